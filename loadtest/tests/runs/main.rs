//! `loadtest` as an operator runs it, against the embedded product: every profile at a small scale, and every kind of fault.

mod damage;
mod node;
mod profiles;
mod proxy;
mod run;
mod setup;
