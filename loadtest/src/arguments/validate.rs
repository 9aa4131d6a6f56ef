//! Checks that the settings of a run fit each other, the fleet's limits and the system's.

use roomcast_protocol::limits::{
    NEW_MEMBERS_BY_HOST_MAX, NEW_MEMBERS_MAX, ROOMS_PER_CONNECTION_MAX, SENDS_PER_SECOND,
};

use crate::plan::Plan;
use crate::settings::{Credentials, Profile, SPIKE_TIMES, Settings};

/// File descriptors a worker needs beside its connections.
const SPARE_DESCRIPTORS: u64 = 100;
/// Share of the fleet's rate limit that the busiest sender may reach on average.
const SENDS_SHARE_MAX: f64 = 0.8;

/// Everything that is wrong with these settings. `per_user` is the fleet's limit of one user's messages per
/// second, if it is not the default.
pub(super) fn errors(settings: &Settings, per_user: Option<u32>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut refuse = |wrong: bool, message: String| {
        if wrong {
            errors.push(message);
        }
    };
    let Settings {
        connections,
        rooms,
        senders,
        workers,
        ..
    } = *settings;
    refuse(
        connections == 0 || rooms == 0,
        "--connections and --rooms must be at least 1".to_owned(),
    );
    refuse(
        rooms > connections,
        format!("{rooms} rooms are more than the {connections} connections"),
    );
    refuse(
        senders > connections,
        format!("{senders} senders are more than the {connections} connections"),
    );
    refuse(
        settings.rooms_per_connection == 0
            || settings.rooms_per_connection > rooms.min(ROOMS_PER_CONNECTION_MAX),
        format!(
            "a connection may be in 1 to {} of these rooms",
            rooms.min(ROOMS_PER_CONNECTION_MAX)
        ),
    );
    refuse(
        settings.profile == Profile::Broadcast && rooms != 1,
        "the profile broadcast has one room; leave out --rooms".to_owned(),
    );
    refuse(
        settings.duration.is_zero(),
        "--duration must be longer than zero".to_owned(),
    );
    refuse(
        settings.ramp <= 0.0,
        "--ramp must be more than zero".to_owned(),
    );
    refuse(
        settings.rate > 0.0 && senders == 0,
        format!(
            "{} messages per second need senders; raise --senders",
            settings.rate
        ),
    );
    refuse(
        workers == 0 || workers > 256 || workers > connections,
        "--workers must be 1 to 256, and at most --connections".to_owned(),
    );
    if errors.is_empty() {
        errors = capacity_errors(settings, per_user);
    }
    errors
}

/// What the fleet or the system would refuse during the run.
fn capacity_errors(settings: &Settings, per_user: Option<u32>) -> Vec<String> {
    let mut errors = Vec::new();
    let plan = Plan::new(settings);
    let largest = plan.members.iter().map(Vec::len).max().unwrap_or_default();
    let (may_have, who) = match settings.credentials {
        Credentials::Key(_) => (NEW_MEMBERS_BY_HOST_MAX, "the server API"),
        Credentials::Accounts => (NEW_MEMBERS_MAX, "a user"),
    };
    if largest > may_have {
        errors.push(format!(
            "the largest room has {largest} members, the limit of {who} is {may_have}; raise --rooms"
        ));
    }
    let times = if settings.profile == Profile::Spike {
        SPIKE_TIMES
    } else {
        1.0
    };
    let busiest = plan.busiest_sender(settings.rate * times);
    let allowed = f64::from(per_user.unwrap_or(SENDS_PER_SECOND)) * SENDS_SHARE_MAX;
    if busiest > allowed {
        errors.push(format!(
            "the busiest sender would send {busiest:.1} messages per second, over the {:.0} that leave a margin below \
             the fleet's limit of one user; raise --senders, lower --rate, or set --sends-per-second",
            allowed.floor()
        ));
    }
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let needs = settings.connections.div_ceil(settings.workers) as u64 + SPARE_DESCRIPTORS;
    if descriptors.is_some_and(|maximum| needs > maximum) {
        errors.push(format!(
            "a worker needs {needs} file descriptors, the limit is {}; raise --workers",
            descriptors.unwrap_or_default()
        ));
    }
    errors
}
