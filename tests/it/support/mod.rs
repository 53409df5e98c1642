//! What tests stand on: a Postgres, a running application, the real program, invented archives.

mod archive;
mod database;
mod program;
mod server;

pub use archive::{Bundle, fixture, samples, status_id};
pub use database::TestDatabase;
pub use program::{Outcome, Program};
pub use server::{Answer, TestApp, vault};
