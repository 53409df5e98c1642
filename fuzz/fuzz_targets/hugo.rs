#![no_main]
//! Pages of a Hugo site.

mod reading;

use everpost::domain::source::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading::read(bytes, Some(Format::HugoBundle)));
