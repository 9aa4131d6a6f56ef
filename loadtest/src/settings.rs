//! The settings of a run, validated and complete. Workers receive them as JSON.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Everything that shapes a run; the same settings and the same seed make the same load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// The endpoints of the fleet; connections are spread over them.
    pub endpoints: Vec<Endpoint>,
    /// The load profile.
    pub profile: Profile,
    /// WebSocket connections, one user each.
    pub connections: usize,
    /// Rooms that the connections are members of.
    pub rooms: usize,
    /// Rooms each connection is a member of.
    pub rooms_per_connection: usize,
    /// Connections that send.
    pub senders: usize,
    /// Messages per second of all senders.
    pub rate: f64,
    /// The arrival process of sends.
    pub arrivals: ArrivalProcess,
    /// The distribution of messages over rooms.
    pub popularity: Distribution,
    /// The distribution of members over rooms.
    pub room_sizes: Distribution,
    /// The shortest and longest content, in bytes.
    pub content_bytes: (usize, usize),
    /// Duration of the load.
    pub duration: Duration,
    /// New connections a second at the start.
    pub ramp: f64,
    /// Limit of the 99th percentile of delivery latency.
    pub slo: Duration,
    /// Limit of the recovery time, where it is checked.
    pub recovery_slo: Duration,
    /// Seed of the load.
    pub seed: u64,
    /// Worker processes.
    pub workers: usize,
    /// Whether rooms and accounts are left in place.
    pub keep: bool,
    /// The source of tokens.
    pub credentials: Credentials,
    /// File of the JSON report.
    pub json: Option<PathBuf>,
    /// File of the HTML report.
    pub html: Option<PathBuf>,
    /// Shell command that restarts the gateways.
    pub reload_command: Option<String>,
}

/// One address of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `host:port`, as the operator wrote it.
    pub authority: String,
    /// The resolved address.
    pub address: SocketAddr,
}

/// The source of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// Signed locally with the shared secret in this file (HS256).
    Key(PathBuf),
    /// Issued by the fleet to accounts registered for the run.
    Accounts,
}

/// The arrival process of sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArrivalProcess {
    /// Independent sends, exponential intervals.
    Poisson,
    /// Constant intervals.
    Constant,
}

/// A distribution over rooms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Distribution {
    /// The same for each.
    Uniform,
    /// Zipf with this exponent.
    Zipf(f64),
}

macro_rules! profiles {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $says:literal;)*) => {
        /// What happens during a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Profile { $($(#[$doc])* $name,)* }

        impl Profile {
            /// Every profile.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name on the command line.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// A description, without a full stop.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => $says,)* }
            }
        }
    };
}

profiles! {
    /// The same rate all along.
    Steady = "steady", "a constant rate";
    /// Ten times the rate for ten seconds.
    Spike = "spike", "ten times the rate for ten seconds, or a third of a shorter run";
    /// All connections cut at once.
    Stampede = "stampede", "all connections closed at once half-way; measures the recovery";
    /// Connections that leave and come back all the time.
    Churn = "churn", "2 % of the connections disconnect and resume per second";
    /// One room with all users.
    Broadcast = "broadcast", "one room with all users, one sender; measures the last delivery";
    /// No messages.
    Idle = "idle", "connections without messages";
    /// Some stop reading for a while.
    SlowReaders = "slow-readers", "5 % of the connections stop reading from a quarter to two thirds of the run";
    /// Gateways are restarted.
    Reload = "reload", "gateways are restarted during the run, by --reload-command or by the operator";
    /// Steady, for long.
    Soak = "soak", "steady for an hour by default";
}

impl Profile {
    /// The profile with this name.
    pub fn from_name(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.as_str() == word)
    }

    /// Whether the run itself disconnects clients, so that messages due in that time are late by design
    /// and latency is judged on the others.
    pub const fn disturbs(self) -> bool {
        matches!(
            self,
            Self::Stampede | Self::Churn | Self::SlowReaders | Self::Reload
        )
    }
}

/// The share of connections that stop reading.
pub const SLOW_SHARE: f64 = 0.05;
/// The share of connections that leave each second.
pub const CHURN_SHARE: f64 = 0.02;
/// Factor of the rate during a spike.
pub const SPIKE_TIMES: f64 = 10.0;

impl Settings {
    /// The factor of the rate at `at`.
    pub fn rate_times(&self, at: Duration) -> f64 {
        let spike = self.spike();
        if spike.is_some_and(|(from, until)| (from..until).contains(&at)) {
            SPIKE_TIMES
        } else {
            1.0
        }
    }

    /// When the spike begins and ends, from the start of the load.
    pub fn spike(&self) -> Option<(Duration, Duration)> {
        let length = Duration::from_secs(10).min(self.duration / 3);
        let from = (self.duration - length) / 2;
        (self.profile == Profile::Spike).then_some((from, from + length))
    }

    /// Whether this connection is a slow reader.
    pub fn is_slow(&self, connection: usize) -> bool {
        let every = 1.0 / SLOW_SHARE;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "one in twenty"
        )]
        let every = every as usize;
        self.profile == Profile::SlowReaders
            && connection % every == self.connections.min(every) - 1
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings of a small run.
    pub(crate) fn settings() -> Settings {
        Settings {
            endpoints: vec![Endpoint {
                authority: "localhost:8080".to_owned(),
                address: ([127, 0, 0, 1], 8080).into(),
            }],
            profile: Profile::Steady,
            connections: 10,
            rooms: 2,
            rooms_per_connection: 1,
            senders: 10,
            rate: 10.0,
            arrivals: ArrivalProcess::Poisson,
            popularity: Distribution::Uniform,
            room_sizes: Distribution::Uniform,
            content_bytes: (64, 256),
            duration: Duration::from_secs(30),
            ramp: 1_000.0,
            slo: Duration::from_millis(150),
            recovery_slo: Duration::from_secs(5),
            seed: 1,
            workers: 1,
            keep: false,
            credentials: Credentials::Accounts,
            json: None,
            html: None,
            reload_command: None,
        }
    }

    #[test]
    fn a_twentieth_of_the_connections_is_slow() {
        let slow = Settings {
            profile: Profile::SlowReaders,
            connections: 1_000,
            ..settings()
        };
        assert_eq!((0..1_000).filter(|&one| slow.is_slow(one)).count(), 50);
        let few = Settings {
            connections: 8,
            ..slow
        };
        assert_eq!((0..8).filter(|&one| few.is_slow(one)).count(), 1);
    }
}
