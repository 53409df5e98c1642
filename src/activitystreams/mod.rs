//! The wire vocabulary: how accounts and posts look to other servers, and how theirs look. JSON and domain values, no I/O.
//!
//! Spec spellings (`attributedTo`, `alsoKnownAs`) live in this room only.
//! Must never know the database, HTTP, or who is asking. Start with `render.rs`, which writes, and `read/mod.rs`;
//! `archived.rs` writes what goes into an archive.

pub mod archived;
pub mod context;
pub mod discovery;
pub mod outgoing;
pub mod read;
pub mod render;
pub mod vocabulary;
