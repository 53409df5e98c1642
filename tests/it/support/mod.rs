//! What tests stand on: a Postgres, a running application, the real program, invented archives.

mod archive;
mod certificates;
mod database;
mod front;
pub mod packing;
mod peer;
mod program;
mod server;
mod serving;

pub use archive::{Bundle, fixture, samples, status_id};
pub use certificates::{Authority, Issued};
pub use database::TestDatabase;
pub use front::{Asked, Front, Reply};
pub use peer::{Heard, Peer};
pub use program::{Outcome, Program};
pub use server::{Answer, TestApp, vault};
pub use serving::{PATIENCE, Serving};
