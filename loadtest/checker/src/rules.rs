//! The rules, applied to one room after another.

mod pages;
mod send_order;
mod sends;
mod subscriptions;
mod total_order;

use crate::findings::Findings;
use crate::result::Checked;
use crate::room::Room;

/// Applies every rule to `room`.
pub(crate) fn check(room: &Room<'_>, checked: &mut Checked, findings: &mut Findings) {
    let mut order = total_order::merge(room, findings);
    let sends = sends::check(room, &mut order, checked, findings);
    send_order::check(room, &order, &sends, findings);
    total_order::check_prevs(room, &order, findings);
    subscriptions::check(room, &order, &sends, checked, findings);
    pages::check(room, &order, &sends, checked, findings);
    checked.rooms += 1;
    checked.events += order.events.len() as u64;
}
