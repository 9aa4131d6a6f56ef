//! The text of `loadtest --help`.

use std::fmt::Write as _;

use crate::settings::Profile;

const HEAD: &str = "\
Proves the promises of a Roomcast fleet under load, or says which one broke.

loadtest --url ws://host:port [options]
loadtest compare before.json after.json

Where and as whom
  --url ws://host:port       the fleet's door; may be given several times, connections spread over them
  --token-key hs256:FILE     sign tokens with the secret the fleet was given, and make rooms as the host product
  --accounts                 register accounts instead, and make rooms as they

How much
  --connections N            WebSockets, each of its own user (1000; broadcast: 10000)
  --rooms N                  rooms they are in (a tenth of the connections; broadcast: 1)
  --rooms-per-connection N   rooms each of them is in (1)
  --senders N                how many of them speak (all; broadcast: 1)
  --rate N/s                 messages a second, all together (100; broadcast: 1)
  --duration TIME            how long they speak (60s; soak: 1h)
  --ramp N/s                 new connections a second at the start (1000)
  --arrivals poisson|constant    how messages follow each other (poisson; broadcast: constant)
  --popularity uniform|zipf[:S]  how messages fall on rooms (uniform)
  --room-sizes uniform|zipf[:S]  how members fall on rooms (uniform)
  --content-bytes N..M       how long messages are (32..256)
  --seed N                   the same seed makes the same load
  --workers N                processes that hold the connections (one for every 18000)

What happens (--profile, steady if not given)
";

const TAIL: &str = "
  --reload-command CMD       what restarts the gateways, run by sh

What is judged
  --slo-ms N                 the 99th percentile from due to delivered, in milliseconds (150)
  --whole-within TIME        until everybody is whole again after a cut (5s)
  --sends-per-second N       what the fleet takes of one user (20)

What is left
  --json FILE, --html FILE   the results, for programs and for people
  --keep                     leave rooms and accounts behind

Status: 0 every service level held and every promise was kept, 1 a service level was missed,
2 a promise was broken, 3 it could not run as asked, or the load generator itself was too slow.
Of compare: 0 the second run is no worse, 1 it is, 3 they cannot be compared.
";

/// The text of `--help`.
pub fn help() -> String {
    let mut text = HEAD.to_owned();
    for profile in Profile::ALL {
        let _ = writeln!(text, "  {:<26} {}", profile.word(), profile.says());
    }
    text + TAIL
}
