//! The service levels of each profile.

use crate::coordinator::RunEvents;
use crate::plan::{Plan, as_f64};
use crate::report::{Threshold, Unit};
use crate::settings::{Profile, Settings};
use crate::stats::LatencyHistogram;
use crate::summary::{Sum, in_ms};

/// Minimum share of messages acknowledged at the end.
const ACKNOWLEDGED: f64 = 0.999;
/// Maximum share of connections lost, in profiles without disconnections.
const LOST: f64 = 0.001;

/// The service levels of this run.
pub(super) fn of(
    settings: &Settings,
    plan: &Plan,
    sum: &Sum,
    events: &RunEvents,
) -> Vec<Threshold> {
    let mut levels = Vec::new();
    let slo_ms = settings.slo.as_secs_f64() * 1_000.0;
    if settings.rate > 0.0 {
        let judged = if settings.profile.disturbs() {
            sum.prompt.clone()
        } else {
            sum.all()
        };
        levels.push(at_most(
            "99 of 100 deliveries",
            slo_ms,
            p99_ms(&judged),
            Unit::Ms,
        ));
        let acknowledged = share(sum.counts.acked, sum.counts.due);
        levels.push(Threshold {
            at_least: true,
            ..at_most(
                "messages acknowledged",
                ACKNOWLEDGED,
                acknowledged,
                Unit::Share,
            )
        });
    }
    levels.extend(of_profile(settings, plan, sum, events));
    if !settings.profile.disturbs() {
        let lost = as_f64(usize::try_from(sum.counts.lost).unwrap_or(usize::MAX));
        let bound = (as_f64(settings.connections) * LOST).floor();
        levels.push(at_most("connections lost", bound, Some(lost), Unit::Count));
    }
    let whole = if events.caught_up_at_end { 1.0 } else { 0.0 };
    levels.push(Threshold {
        at_least: true,
        ..at_most(
            "all clients caught up at the end",
            1.0,
            Some(whole),
            Unit::Share,
        )
    });
    levels
}

/// The level specific to the profile.
fn of_profile(
    settings: &Settings,
    plan: &Plan,
    sum: &Sum,
    events: &RunEvents,
) -> Option<Threshold> {
    let within_s = settings.recovery_slo.as_secs_f64();
    let recovery_time = events.recovery_time.map(|after| after.as_secs_f64());
    Some(match settings.profile {
        Profile::Broadcast => {
            let last = sum.last_member(plan.members[0].len() as u64);
            let slo_ms = settings.slo.as_secs_f64() * 1_000.0;
            at_most(
                "the last member, 99 of 100 messages",
                slo_ms,
                p99_ms(&last),
                Unit::Ms,
            )
        }
        Profile::Stampede => at_most(
            "recovery after the disconnection",
            within_s,
            recovery_time,
            Unit::S,
        ),
        Profile::SlowReaders => at_most(
            "recovery after reading resumed",
            within_s,
            recovery_time,
            Unit::S,
        ),
        Profile::Churn => at_most(
            "connecting, 99 of 100 times",
            within_s,
            p99_s(&sum.connects),
            Unit::S,
        ),
        // No client needs to be disconnected for long while gateways restart.
        Profile::Reload => {
            let away = p99_s(&sum.away).unwrap_or_default();
            at_most("recovery, 99 of 100 times", within_s, Some(away), Unit::S)
        }
        Profile::Steady | Profile::Spike | Profile::Idle | Profile::Soak => return None,
    })
}

fn at_most(name: &str, bound: f64, seen: Option<f64>, unit: Unit) -> Threshold {
    Threshold {
        name: name.to_owned(),
        bound,
        seen,
        unit,
        at_least: false,
    }
}

fn p99_ms(times: &LatencyHistogram) -> Option<f64> {
    (!times.is_empty()).then(|| in_ms(times.value_at_quantile(0.99)))
}

fn p99_s(times: &LatencyHistogram) -> Option<f64> {
    p99_ms(times).map(|ms| ms / 1_000.0)
}

fn share(part: u64, whole: u64) -> Option<f64> {
    let number = |count: u64| as_f64(usize::try_from(count).unwrap_or(usize::MAX));
    (whole > 0).then(|| number(part) / number(whole))
}
