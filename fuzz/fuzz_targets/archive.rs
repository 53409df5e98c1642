#![no_main]
//! Zips, tars and what is in them.

mod reading;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading::read(bytes, None));
