//! The checker reports no violation in honest histories and finds every damage made on purpose.

mod damage;
mod damage_to_answers;
mod damage_to_history;
mod damage_to_order;
mod damaged;
mod fleet;
mod honest;
mod simulation;
mod trace;
