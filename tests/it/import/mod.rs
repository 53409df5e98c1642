//! The import: an archive's posts become an account's, the same whichever way and however often it is done.

mod again;
mod batches;
mod content;
mod copies;
mod sample;
mod whose;

use crate::support::{Bundle, TestApp};
use everpost::domain::account::Handle;
use everpost::domain::ids::PostId;
use everpost::domain::post::{Post, Stored};
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::operations::ingest::{self, Report, Request};
use std::path::Path;

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const THREE: &str = "2024-01-01T10:10:00Z";

/// A bundle by another author.
fn by(user: &'static str, host: &'static str) -> Bundle {
    Bundle { user, host, ..Bundle::new() }
}

/// An import of one path.
pub fn request(path: &Path) -> Request {
    Request {
        paths: vec![path.to_owned()],
        account: None,
        adopt: false,
        only: Only::Everything,
        dry_run: false,
        include_private: false,
        limits: Limits::default(),
    }
}

/// The same into an account.
fn into(path: &Path, handle: &str) -> Request {
    Request { account: Some(Handle::parse(handle).unwrap()), ..request(path) }
}

/// Run it; the report without the number of the import, which a dry run has none of.
async fn run(app: &TestApp, request: &Request) -> Result<Report, everpost::operations::Error> {
    let report = ingest::ingest(&app.app, request, chrono::Utc::now(), &|_, _| {}).await;
    report.map(|report| Report { import: None, ..report })
}

/// The post that stands under that number.
async fn post(app: &TestApp, handle: &str, id: i64) -> Post {
    let account = app.account(handle).await;
    match app.app.store.find_post(account.id, PostId(id)).await.unwrap() {
        Some(Stored::Live(post)) => *post,
        other => panic!("{id}: {other:?}"),
    }
}

/// Change a page of a bundle by hand.
fn edit(bundle: &Path, change: impl Fn(String) -> String) {
    let page = bundle.join("index.md");
    let before = std::fs::read_to_string(&page).unwrap();
    let after = change(before.clone());
    assert_ne!(before, after, "the edit changes something");
    std::fs::write(page, after).unwrap();
}
