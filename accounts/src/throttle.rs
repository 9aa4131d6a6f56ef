//! Rate limits of failed sign-ins and of registrations, by name and client address.
//!
//! Failures are counted in windows of a minute for each name from each address, for each address and
//! for each name. At the limit of one of them every attempt of that kind is refused until the window
//! has passed, right or wrong. An attempt is counted as it is made: one that could pass the limit waits
//! until those that are being judged are settled, so that no crowd of guesses gets ahead of the count.

mod window;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use roomcast_protocol::limits::{
    FAILED_SIGN_INS_PER_ADDRESS_MAX, FAILED_SIGN_INS_PER_NAME_AND_ADDRESS_MAX,
    FAILED_SIGN_INS_PER_NAME_MAX, REGISTRATIONS_PER_ADDRESS_MAX, THROTTLE_KEYS_MAX,
    THROTTLE_WINDOW,
};
use roomcast_protocol::{Refusal, Timestamp};
use tokio::sync::Notify;

use crate::fields;
use window::Window;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    NameAndAddress(Arc<str>, IpAddr),
    Address(IpAddr),
    Name(Arc<str>),
    Registrations(IpAddr),
}

impl Key {
    const fn limit(&self) -> u32 {
        match self {
            Self::NameAndAddress(..) => FAILED_SIGN_INS_PER_NAME_AND_ADDRESS_MAX,
            Self::Address(_) => FAILED_SIGN_INS_PER_ADDRESS_MAX,
            Self::Name(_) => FAILED_SIGN_INS_PER_NAME_MAX,
            Self::Registrations(_) => REGISTRATIONS_PER_ADDRESS_MAX,
        }
    }
}

/// Counts attempts; one for all of a process.
#[derive(Default)]
pub(crate) struct Throttle {
    windows: Mutex<HashMap<Key, Window>>,
    settled: Notify,
}

/// Whether an attempt may be judged.
enum Admission {
    Admitted,
    /// Those that are being judged may reach the limit: it depends on them.
    Later,
    Refused(Duration),
}

impl Throttle {
    /// Refuses a sign-in whose limit is reached, without counting it.
    pub(crate) fn check(&self, name: &str, from: IpAddr, now: Timestamp) -> Result<(), Refusal> {
        let windows = self.lock();
        let remaining = keys(name, from)
            .iter()
            .filter_map(|key| windows.get(key)?.refused_for(key.limit(), now))
            .max();
        remaining.map_or(Ok(()), |remaining| Err(too_many_failures(remaining)))
    }

    /// Counts a sign-in that is about to be judged.
    pub(crate) async fn attempt(
        &self,
        name: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Refusal> {
        let keys = keys(name, from);
        loop {
            let settled = self.settled.notified();
            match self.admit(&keys, now) {
                Admission::Admitted => break,
                Admission::Later => settled.await,
                Admission::Refused(remaining) => return Err(too_many_failures(remaining)),
            }
        }
        Ok(Attempt {
            throttle: self,
            keys: keys.into(),
            now,
            counts: true,
        })
    }

    /// Counts a registration.
    pub(crate) fn registration(
        &self,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Refusal> {
        let keys = [Key::Registrations(counted(from))];
        match self.admit(&keys, now) {
            Admission::Admitted => Ok(Attempt {
                throttle: self,
                keys: keys.into(),
                now,
                counts: true,
            }),
            Admission::Refused(remaining) => Err(too_many_registrations(remaining)),
            Admission::Later => Err(too_many_registrations(THROTTLE_WINDOW)),
        }
    }

    fn admit(&self, keys: &[Key], now: Timestamp) -> Admission {
        let mut windows = self.lock();
        let mut later = false;
        for key in keys {
            let Some(window) = windows.get(key) else {
                continue;
            };
            if let Some(remaining) = window.refused_for(key.limit(), now) {
                return Admission::Refused(remaining);
            }
            later |= window.may_reach(key.limit(), now);
        }
        if later {
            return Admission::Later;
        }
        for key in keys {
            make_room(&mut windows, now);
            windows.entry(key.clone()).or_default().begin();
        }
        Admission::Admitted
    }

    fn settle(&self, keys: &[Key], counts: bool, now: Timestamp) {
        let mut windows = self.lock();
        for key in keys {
            if let Some(window) = windows.get_mut(key) {
                window.settle(counts, now);
                if window.is_idle() {
                    windows.remove(key);
                }
            }
        }
        drop(windows);
        self.settled.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Window>> {
        self.windows.lock()
    }
}

/// An attempt that is being judged. It counts unless it is forgiven, also when its caller goes away.
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    keys: Box<[Key]>,
    now: Timestamp,
    counts: bool,
}

impl Attempt<'_> {
    /// The sign-in was right, or nothing was registered: it does not count.
    pub(crate) fn forgive(mut self) {
        self.counts = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.throttle.settle(&self.keys, self.counts, self.now);
    }
}

fn keys(name: &str, from: IpAddr) -> [Key; 3] {
    let (name, from) = (fields::name_key(name), counted(from));
    [
        Key::NameAndAddress(Arc::clone(&name), from),
        Key::Address(from),
        Key::Name(name),
    ]
}

/// What counts as one address: of IPv6 the first 64 bits, since a client has all addresses behind them.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// Forgets windows that have passed when there are too many, and then the oldest ones.
fn make_room(windows: &mut HashMap<Key, Window>, now: Timestamp) {
    if windows.len() < THROTTLE_KEYS_MAX {
        return;
    }
    windows.retain(|_, window| window.is_needed(now));
    if windows.len() < THROTTLE_KEYS_MAX {
        return;
    }
    let mut begun: Vec<Timestamp> = windows.values().map(Window::begun_at).collect();
    let eighth = begun.len() / 8;
    let (_, oldest, _) = begun.select_nth_unstable(eighth);
    let oldest = *oldest;
    windows.retain(|_, window| window.begun_at() > oldest || window.is_judging());
}

fn too_many_failures(remaining: Duration) -> Refusal {
    Refusal {
        message: "too many failed sign-ins: wait before the next".into(),
        ..Refusal::rate_limited(millis(remaining))
    }
}

fn too_many_registrations(remaining: Duration) -> Refusal {
    Refusal {
        message: "too many registrations from this address: wait before the next".into(),
        ..Refusal::rate_limited(millis(remaining))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
