//! The observations of one room.

use crate::history::event::View;
use crate::history::recording::{AttemptRecord, PageRead, Record, Recording, ResponseRecord};
use crate::observations::Observations;

/// The records and observations of one room.
pub(crate) struct Room<'a> {
    pub(crate) recording: &'a Recording,
    pub(crate) observations: &'a Observations,
    /// The number of its name.
    pub(crate) number: u32,
    /// Every view of its events.
    pub(crate) views: &'a [usize],
    /// Deliveries and changes of subscriptions, grouped by connection, in order.
    pub(crate) records: &'a [Record],
    /// Of each connection in their order.
    pub(crate) attempts: &'a [AttemptRecord],
    pub(crate) responses: &'a [ResponseRecord],
    pub(crate) pages: &'a [&'a PageRead],
}

impl<'a> Room<'a> {
    /// Whether it has records; names of users have none.
    pub(crate) fn is_used(&self) -> bool {
        !(self.records.is_empty() && self.attempts.is_empty() && self.pages.is_empty())
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'a str {
        self.recording.name(self.number)
    }

    /// The view of this number.
    pub(crate) fn view(&self, number: usize) -> &'a View {
        &self.recording.views[number]
    }

    /// The user of a connection.
    pub(crate) fn user(&self, connection: u32) -> u32 {
        self.recording.connections[connection as usize].user
    }
}
