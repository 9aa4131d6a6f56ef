//! Reading rooms from the embedded log and store, with ingest anywhere between them.

mod after_an_ack;
mod catching_up;
mod counting;
mod pages;
mod world;
