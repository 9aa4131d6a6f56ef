//! `loadtest` as an operator runs it, against the embedded product: every profile small, and every kind of damage.

mod damage;
mod node;
mod profiles;
mod proxy;
mod run;
mod setup;
