//! Everpost keeps archived posts alive on the fediverse.
//!
//! The rooms in floor order; imports point down only (see ARCHITECTURE.md, enforced by `tests/it/architecture.rs`).

// Floor 0.
pub mod domain;
pub mod metrics;
pub mod text;
// Floor 1.
pub mod activitystreams;
pub mod media;
pub mod store;
// Floor 2.
pub mod export;
pub mod federation;
pub mod import;
// Floor 3.
pub mod delivery;
// Floor 4.
pub mod operations;
// Floor 5.
pub mod http;
// Floor 6.
pub mod cli;
pub mod config;
pub mod postgres;
pub mod startup;
