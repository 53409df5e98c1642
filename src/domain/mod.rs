//! What the service is about: plain data and pure rules.
//!
//! An *account* is ours; an *actor* is anyone on the wire. A *post* is ours; a *Note* is its wire form;
//! a *source post* is what an archive told us. A *handle* names an account, a *domain* is a host that we answer for.
//! This room must never know serde, JSON names, SQL, the time of day, the network or configuration.
//! Start with `post.rs`, then `source.rs`.

pub mod account;
pub mod backfill;
pub mod block;
pub mod delivery;
pub mod details;
pub mod echo;
pub mod feed;
pub mod follower;
pub mod ids;
pub mod imports;
pub mod moves;
pub mod news;
pub mod pins;
pub mod post;
pub mod private;
pub mod profile;
pub mod remote;
pub mod resurface;
pub mod settings;
pub mod snowflake;
pub mod software;
pub mod source;
pub mod thread;
pub mod token;
pub mod told;
pub mod urls;
