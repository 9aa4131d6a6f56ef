//! One room of a recording, and the way through its check.

use super::findings::Findings;
use super::order::{Order, Sightings, judge_prevs};
use super::speech::Speech;
use super::verdict::Checked;
use super::{history, subscriptions};
use crate::record::event::View;
use crate::record::recording::{Answer, Entry, PageRead, Recording, Tried};

/// What was seen of one room.
pub(super) struct Room<'a> {
    pub(super) recording: &'a Recording,
    pub(super) sightings: &'a Sightings,
    /// The number of its name.
    pub(super) number: u32,
    /// Every view of its events.
    pub(super) views: &'a [usize],
    /// What happened to subscriptions: all of one connection together, in their order.
    pub(super) entries: &'a [Entry],
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
    pub(super) fn judge(&self, checked: &mut Checked, findings: &mut Findings) {
        let mut order = Order::of(self, findings);
        let speech = Speech::of(self, &mut order, checked, findings);
        judge_prevs(self, &order, findings);
        subscriptions::judge(self, &order, &speech, checked, findings);
        history::judge(self, &order, &speech, checked, findings);
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
