//! The queue and its workers: real HTTP, real Postgres, every signature verified by who gets it.

mod command;
mod edits;
mod faults;
mod hosts;
mod keys;
pub mod office;
mod processes;
mod sending;
pub mod sink;
