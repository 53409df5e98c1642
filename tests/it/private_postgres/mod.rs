//! The private PostgreSQL under the real program: real processes, real signals, a data folder for each test.

mod lifecycle;
mod place;
mod refusals;
mod takeover;

pub use place::{Place, kill, until, write_archive};
