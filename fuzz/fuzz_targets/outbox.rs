#![no_main]
//! The splitter of an outbox and the reader of its items.

mod reading;

use everpost::domain::source::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading::read(bytes, Some(Format::Mastodon)));
