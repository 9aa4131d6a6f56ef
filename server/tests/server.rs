//! The whole program through its own front doors: command line, sockets, signals.

mod support;

mod configuration;
