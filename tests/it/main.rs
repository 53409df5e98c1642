//! The single integration binary: the real parts, a real Postgres, a real HTTP client.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on shall fail")]

mod activitypub;
mod architecture;
mod archives;
mod backup;
mod cache;
mod cli;
mod collections;
mod crash;
mod delivery;
mod diff;
mod discovery;
mod doctor;
mod equality;
mod exported;
mod federation;
mod feeds;
mod import;
mod inbox;
mod mastodon;
mod media;
mod negotiation;
mod offers;
mod outside_readers;
mod owner;
mod pages;
mod peers;
mod private;
mod private_postgres;
mod public_url;
mod pulled;
mod reading;
mod readme;
mod running;
mod schema;
mod secrets;
mod signatures;
mod site;
mod support;
mod tls;
mod together;
mod undo;
mod verify;
mod withdrawal;
