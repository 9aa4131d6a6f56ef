//! A whole fleet on servers of its own, every part of which is killed while people talk (§2).
//!
//! One fleet serves all tests, one at a time: starting it takes longer than most of them.

#[allow(dead_code, reason = "each test program uses its part of the support")]
mod support;

#[path = "guarantees/client.rs"]
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
mod client;
#[path = "guarantees/follower.rs"]
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
mod follower;
#[path = "guarantees/observed.rs"]
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
mod observed;
#[path = "guarantees/pages.rs"]
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
mod pages;
#[path = "guarantees/races.rs"]
mod races;
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
#[path = "guarantees/rng.rs"]
mod rng;
#[path = "guarantees/sender.rs"]
#[allow(dead_code, reason = "shared with the tests of the guarantees")]
mod sender;

#[path = "fleet/conversation.rs"]
mod conversation;
#[path = "fleet/fixture.rs"]
mod fixture;

#[path = "fleet/cross_gateway.rs"]
mod cross_gateway;
#[path = "fleet/flood.rs"]
mod flood;
#[path = "fleet/full_log.rs"]
mod full_log;
#[path = "fleet/killed.rs"]
mod killed;
#[path = "fleet/rebuilt.rs"]
mod rebuilt;
#[path = "fleet/secured.rs"]
mod secured;
