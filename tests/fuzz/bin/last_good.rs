//! The last good state of a cluster, driven by libFuzzer.

#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::last_good(data));
