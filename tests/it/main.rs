//! The single integration binary: the real parts, a real Postgres, a real HTTP client.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall fail")]

mod activitypub;
mod architecture;
mod cli;
mod collections;
mod crash;
mod discovery;
mod import;
mod negotiation;
mod outside_readers;
mod pages;
mod private_postgres;
mod public_url;
mod readme;
mod schema;
mod secrets;
mod signatures;
mod support;
mod withdrawal;
