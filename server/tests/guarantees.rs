//! What the contract promises (§2), proven against the real program: killed, filled up, and under load.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[path = "guarantees/client.rs"]
mod client;
#[path = "guarantees/follower.rs"]
mod follower;
#[path = "guarantees/model.rs"]
mod model;
#[path = "guarantees/observed.rs"]
mod observed;
#[path = "guarantees/pages.rs"]
mod pages;
#[path = "guarantees/races.rs"]
mod races;
#[path = "guarantees/rng.rs"]
mod rng;
#[path = "guarantees/sender.rs"]
mod sender;
#[path = "guarantees/workload.rs"]
mod workload;

#[path = "guarantees/at_once.rs"]
mod at_once;
#[path = "guarantees/crash.rs"]
mod crash;
#[path = "guarantees/full_disk.rs"]
mod full_disk;
#[path = "guarantees/history.rs"]
mod history;
#[path = "guarantees/members.rs"]
mod members;
#[path = "guarantees/order.rs"]
mod order;
#[path = "guarantees/resume.rs"]
mod resume;

/// Settings under which no limit is met by a test that is not about limits.
const UNLIMITED: &[&str] = &[
    "--sends-per-second",
    "1000000",
    "--send-burst",
    "1000000",
    "--connections-per-user",
    "1000",
    "--replay-max",
    "100000",
    "--log-filter",
    "warn",
];
