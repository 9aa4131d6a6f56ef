//! The total order of a room's events, merged from all observations.

use std::collections::HashMap;

use super::findings::Findings;
use super::result::ViolationKind;
use super::room::Room;
use crate::history::PageQuery;
use crate::history::event::View;
use crate::history::recording::{Observation, Recording, Response};

/// Who saw each view of an event.
pub(super) struct Observations {
    of_view: Vec<Sighting>,
}

/// Who saw one view of an event, and first when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    /// Deliveries to subscriptions.
    pub(super) delivered: u32,
    /// Times on a page of events as they happened.
    pub(super) paged: u32,
    /// Whether a page of messages in their current state showed it.
    pub(super) shown: bool,
    pub(super) first_us: u64,
    pub(super) by: u32,
}

/// A place of the order.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderedEvent {
    pub(super) seq: u64,
    /// The event; nothing when only an `ACK` speaks of the place.
    pub(super) view: Option<usize>,
    /// Only pages of messages in their current state showed it.
    pub(super) state_only: bool,
    /// From when on it was known to be stored.
    pub(super) known_us: u64,
    /// The number of its send, see [`super::sends::Sends`].
    pub(super) said: Option<usize>,
    /// It should not exist, so no client is required to have it.
    pub(super) doubtful: bool,
}

/// The known events of a room by seq, each once.
pub(super) struct TotalOrder {
    pub(super) places: Vec<OrderedEvent>,
}

impl Observations {
    pub(super) fn of(recording: &Recording) -> Self {
        let nobody = Sighting {
            delivered: 0,
            paged: 0,
            shown: false,
            first_us: u64::MAX,
            by: 0,
        };
        let mut sightings = Self {
            of_view: vec![nobody; recording.views.len()],
        };
        for entry in &recording.entries {
            if let Some(view) = recording.view_of(entry) {
                let (at_us, by) = (entry.at_us, entry.connection);
                sightings.seen(view, at_us, by).delivered += 1;
            }
        }
        for page in &recording.pages {
            for view in &recording.page_views[page.events.clone()] {
                let seen = sightings.seen(*view as usize, page.at_us, page.connection);
                if matches!(page.asked, PageQuery::After(_)) {
                    seen.paged += 1;
                } else {
                    seen.shown = true;
                }
            }
        }
        sightings
    }

    pub(super) fn view(&self, view: usize) -> &Sighting {
        &self.of_view[view]
    }

    fn seen(&mut self, view: usize, at_us: u64, by: u32) -> &mut Sighting {
        let seen = &mut self.of_view[view];
        if at_us < seen.first_us {
            (seen.first_us, seen.by) = (at_us, by);
        }
        seen
    }
}

impl TotalOrder {
    /// The order of `room`; that two readers saw different events at one place is found on the way.
    pub(super) fn of(room: &Room<'_>, findings: &mut Findings) -> Self {
        let acked = acked(room);
        let mut seen: Vec<usize> = room.views.to_vec();
        seen.sort_by_key(|view| room.view(*view).seq);
        let places = seen
            .chunk_by(|one, other| room.view(*one).seq == room.view(*other).seq)
            .filter_map(|same| Self::place(room, same, &acked, findings))
            .collect();
        Self { places }
    }

    /// The place at which these views were seen.
    fn place(
        room: &Room<'_>,
        same: &[usize],
        acked: &HashMap<u64, u64>,
        findings: &mut Findings,
    ) -> Option<OrderedEvent> {
        let seen = |view: &usize| room.sightings.view(*view);
        let is_event = |view: &usize| seen(view).delivered > 0 || seen(view).paged > 0;
        let events: Vec<usize> = same.iter().copied().filter(is_event).collect();
        // Most readers are right, and so is the ACK; some still saw a deleted message's content.
        let trust = |view: &&usize| {
            let shown = room.view(**view);
            let acked = acked.get(&shown.seq) == Some(&shown.subject);
            let votes = u64::from(seen(view).delivered) + u64::from(seen(view).paged);
            (acked, !shown.deleted, votes)
        };
        let best = *events.iter().max_by_key(trust).or_else(|| same.first())?;
        let seq = room.view(best).seq;
        for view in events.iter().filter(|view| **view != best) {
            if !same_event(room.view(best), room.view(*view)) {
                let at_us = seen(view).first_us;
                let kind = ViolationKind::OneSeqTwoEvents;
                findings.add(kind, room.name(), seq, at_us, || {
                    vec![
                        room.tell_sighting(best),
                        room.tell_sighting(*view),
                        "expected: the same event at one place, for everybody".to_owned(),
                    ]
                });
            }
        }
        Some(OrderedEvent {
            seq,
            view: Some(best),
            state_only: events.is_empty(),
            known_us: same.iter().map(|view| seen(view).first_us).min()?,
            said: None,
            doubtful: false,
        })
    }

    /// The number of the first place after `seq`.
    pub(super) fn after(&self, seq: u64) -> usize {
        self.places.partition_point(|place| place.seq <= seq)
    }

    /// The number of the place `seq`.
    pub(super) fn find(&self, seq: u64) -> Option<usize> {
        self.places
            .binary_search_by_key(&seq, |place| place.seq)
            .ok()
    }

    /// Adds places of which only an `ACK` speaks. Numbers of places change.
    pub(super) fn add(&mut self, places: impl IntoIterator<Item = OrderedEvent>) {
        self.places.extend(places);
        self.places.sort_by_key(|place| place.seq);
        self.places.dedup_by_key(|place| place.seq);
    }
}

/// The message of each acknowledged seq. (A duplicate may only confirm that something is
/// so already.)
fn acked(room: &Room<'_>) -> HashMap<u64, u64> {
    let mut acked = HashMap::new();
    for answer in room.answers {
        if let Response::Acked {
            message,
            seq,
            duplicate: false,
        } = answer.says
        {
            acked.entry(seq).or_insert(message);
        }
    }
    acked
}

/// Whether two views show one event. A deleted message's content is gone wherever it is shown again.
fn same_event(one: &View, other: &View) -> bool {
    let key = |view: &View| (view.kind, view.sender, view.subject, view.client);
    key(one) == key(other) && (one.content == other.content || one.deleted || other.deleted)
}

/// Judges `prev` of every view of an event: a place before it, and none left out between.
pub(super) fn check_prevs(room: &Room<'_>, order: &TotalOrder, findings: &mut Findings) {
    for view in room.views {
        let (shown, seen) = (room.view(*view), room.sightings.view(*view));
        if !shown.has_prev() || (seen.delivered == 0 && seen.paged == 0) {
            continue;
        }
        let Some(at) = order.find(shown.seq) else {
            continue;
        };
        let before = order.places[..at]
            .iter()
            .rev()
            .find(|place| !place.doubtful);
        let too_old = before.is_some_and(|before| {
            shown.prev < before.seq && incarnation(before.seq) == incarnation(shown.seq)
        });
        if shown.prev >= shown.seq || too_old {
            let expected = match before {
                Some(before) => format!("expected: prev {}, the event before it", before.seq),
                None => "expected: a prev below its seq".to_owned(),
            };
            let kind = ViolationKind::WrongPrev;
            findings.add(kind, room.name(), shown.seq, seen.first_us, || {
                vec![room.tell_sighting(*view), expected]
            });
        }
    }
}

/// A re-created log begins a new one, and need not know what was before.
const fn incarnation(seq: u64) -> u64 {
    seq >> 40
}

impl Recording {
    /// The number of the view that an entry delivered.
    fn view_of(&self, entry: &crate::history::recording::Record) -> Option<usize> {
        match self.saw(entry) {
            Observation::Delivered(number, _) => Some(number),
            _ => None,
        }
    }
}
