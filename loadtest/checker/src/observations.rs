//! Which connections observed each view of an event.

use crate::history::PageQuery;
use crate::history::recording::{Observation, Recording};

/// A summary of the observations of each view.
pub(crate) struct Observations {
    of_view: Vec<ViewSummary>,
}

/// How often a view was observed, and the first observation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViewSummary {
    /// Deliveries to subscriptions.
    pub(crate) delivered: u32,
    /// Occurrences on pages of events.
    pub(crate) paged: u32,
    /// Whether a page of messages in their current state contained it.
    pub(crate) shown: bool,
    pub(crate) first_us: u64,
    pub(crate) by: u32,
}

impl Observations {
    pub(crate) fn of(recording: &Recording) -> Self {
        let unobserved = ViewSummary {
            delivered: 0,
            paged: 0,
            shown: false,
            first_us: u64::MAX,
            by: 0,
        };
        let mut observations = Self {
            of_view: vec![unobserved; recording.views.len()],
        };
        for record in &recording.records {
            if let Observation::Delivered(view, _) = recording.saw(record) {
                let (at_us, by) = (record.at_us, record.connection);
                observations.seen(view, at_us, by).delivered += 1;
            }
        }
        for page in &recording.pages {
            for view in &recording.page_views[page.events.clone()] {
                let seen = observations.seen(*view as usize, page.at_us, page.connection);
                if matches!(page.asked, PageQuery::After(_)) {
                    seen.paged += 1;
                } else {
                    seen.shown = true;
                }
            }
        }
        observations
    }

    pub(crate) fn view(&self, view: usize) -> &ViewSummary {
        &self.of_view[view]
    }

    fn seen(&mut self, view: usize, at_us: u64, by: u32) -> &mut ViewSummary {
        let seen = &mut self.of_view[view];
        if at_us < seen.first_us {
            (seen.first_us, seen.by) = (at_us, by);
        }
        seen
    }
}
