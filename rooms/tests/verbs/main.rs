//! The verbs against the embedded log and store, with ingest standing still and with it going on.

mod create;
mod departures;
mod members;
mod races;
mod reads;
mod standings;
mod unreliable;
mod world;
