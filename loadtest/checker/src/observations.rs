//! Which connections observed each view of an event.

use crate::history::PageQuery;
use crate::history::recording::{Observation, Recording};

/// Who saw each view of an event.
pub(crate) struct Observations {
    of_view: Vec<Sighting>,
}

/// Who saw one view of an event, and first when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    /// Deliveries to subscriptions.
    pub(crate) delivered: u32,
    /// Times on a page of events as they happened.
    pub(crate) paged: u32,
    /// Whether a page of messages in their current state showed it.
    pub(crate) shown: bool,
    pub(crate) first_us: u64,
    pub(crate) by: u32,
}

impl Observations {
    pub(crate) fn of(recording: &Recording) -> Self {
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
            if let Observation::Delivered(view, _) = recording.saw(entry) {
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

    pub(crate) fn view(&self, view: usize) -> &Sighting {
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
