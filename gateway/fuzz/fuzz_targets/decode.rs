//! Any bytes a client could send, cut into pieces by the first eight of them.

#![no_main]

#[path = "../invariants.rs"]
#[allow(dead_code, reason = "the tests need the rest of it")]
mod invariants;
#[path = "../streams.rs"]
#[allow(dead_code, reason = "the tests need the rest of it")]
mod streams;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((&seed, stream)) = input.split_first_chunk() {
        invariants::check(stream, u64::from_be_bytes(seed));
    }
});
