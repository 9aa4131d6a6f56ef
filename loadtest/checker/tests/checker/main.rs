//! The checker reports no violation in valid histories and finds every mutation.

mod fault_injection;
mod model;
mod mutations;
mod mutations_of_history;
mod mutations_of_order;
mod mutations_of_responses;
mod no_false_positives;
mod rng;
mod simulation;
mod trace;
