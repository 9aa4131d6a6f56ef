//! One room of a recording, and the way through its check.

use super::findings::Findings;
use super::result::Checked;
use super::sends::Sends;
use super::total_order::{Observations, TotalOrder, check_prevs};
use super::{history, subscriptions};
use crate::history::event::View;
use crate::history::recording::{Answer, PageRead, Record, Recording, Tried};

/// What was seen of one room.
pub(super) struct Room<'a> {
    pub(super) recording: &'a Recording,
    pub(super) sightings: &'a Observations,
    /// The number of its name.
    pub(super) number: u32,
    /// Every view of its events.
    pub(super) views: &'a [usize],
    /// What happened to subscriptions: all of one connection together, in their order.
    pub(super) entries: &'a [Record],
    /// Of each connection in their order.
    pub(super) tries: &'a [Tried],
    pub(super) answers: &'a [Answer],
    pub(super) pages: &'a [&'a PageRead],
}

impl<'a> Room<'a> {
    /// Whether anything happened in it; names of users are rooms in which nothing did.
    pub(super) fn is_used(&self) -> bool {
        !(self.entries.is_empty() && self.tries.is_empty() && self.pages.is_empty())
    }

    /// Judges all of it.
    pub(super) fn check(&self, checked: &mut Checked, findings: &mut Findings) {
        let mut order = TotalOrder::of(self, findings);
        let speech = Sends::of(self, &mut order, checked, findings);
        check_prevs(self, &order, findings);
        subscriptions::check(self, &order, &speech, checked, findings);
        history::check(self, &order, &speech, checked, findings);
        checked.rooms += 1;
        checked.events += order.places.len() as u64;
    }

    /// Its name.
    pub(super) fn name(&self) -> &'a str {
        self.recording.name(self.number)
    }

    /// The view of this number.
    pub(super) fn view(&self, number: usize) -> &'a View {
        &self.recording.views[number]
    }

    /// The user of a connection.
    pub(super) fn user(&self, connection: u32) -> u32 {
        self.recording.connections[connection as usize].user
    }
}
