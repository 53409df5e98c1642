//! What goes out comes back equal: import, export, import elsewhere, compare; for every reader and every writer.
//!
//! `docs/exporting.md` has the outcome as a table, and the test fails when that does not tell the truth.

mod matrix;
mod pages;

use crate::support::TestApp;
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::export::hugo::Layout;
use everpost::export::{self, ArchiveWriter, Ids, Options, Subject, Summary};
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::operations::diff::{self, Finding, Of, Other};
use everpost::operations::ingest::{self, Report, Request};
use everpost::operations::{accounts, export as exports};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// An archive that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Mastodon,
    Fep6fcd,
    Jsonl,
    Hugo(Layout),
}

impl Written {
    const ALL: [Written; 6] = [
        Written::Mastodon,
        Written::Fep6fcd,
        Written::Jsonl,
        Written::Hugo(Layout::Bundle),
        Written::Hugo(Layout::Daily),
        Written::Hugo(Layout::Post),
    ];

    fn name(self) -> &'static str {
        match self {
            Written::Mastodon => "mastodon",
            Written::Fep6fcd => "fep-6fcd",
            Written::Jsonl => "jsonl",
            Written::Hugo(Layout::Bundle) => "hugo bundle",
            Written::Hugo(Layout::Daily) => "hugo daily",
            Written::Hugo(Layout::Post) => "hugo post",
        }
    }

    /// Its writer, and where it writes.
    fn begin(self, folder: &Path, subject: &Subject) -> (PathBuf, Box<dyn ArchiveWriter>) {
        let path = match self {
            Written::Mastodon => folder.join("archive.zip"),
            Written::Fep6fcd => folder.join("archive.tar"),
            Written::Jsonl => folder.join("archive.jsonl"),
            Written::Hugo(_) => folder.join("site"),
        };
        let file = || File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let writer: Box<dyn ArchiveWriter> = match self {
            Written::Mastodon => Box::new(export::mastodon::Writer::new(file(), subject).unwrap()),
            Written::Fep6fcd => Box::new(export::fep_6fcd::Writer::new(file(), subject, Vec::new()).unwrap()),
            Written::Jsonl => Box::new(export::jsonl::Writer::new(file(), subject)),
            Written::Hugo(layout) => {
                std::fs::create_dir(&path).unwrap();
                Box::new(export::hugo::Writer::new(&path, layout, subject))
            }
        };
        (path, writer)
    }
}

/// Export an account into a folder.
async fn write(
    app: &TestApp,
    handle: &str,
    written: Written,
    ids: Ids,
    include_private: bool,
    folder: &Path,
) -> (PathBuf, Summary) {
    let account = app.account(handle).await;
    let options = Options { ids, include_private, ..Options::default() };
    let subject = Subject { account, options, now: Utc::now() };
    let (path, writer) = written.begin(folder, &subject);
    let summary = exports::export(&app.app, &subject, writer, &|_| {}).await.unwrap();
    (path, summary)
}

/// Import into an account that is made first and has nothing.
async fn read(app: &TestApp, handle: &str, paths: &[&Path], only: Only, include_private: bool) -> Report {
    let account = Handle::parse(handle).unwrap();
    if accounts::find(&app.app, &account).await.is_err() {
        accounts::create(&app.app, &account, None, None, Utc::now()).await.unwrap();
    }
    let request = Request {
        paths: paths.iter().map(|path| path.to_path_buf()).collect(),
        account: Some(account),
        adopt: false,
        only,
        dry_run: false,
        include_private,
        limits: Limits::default(),
    };
    ingest::ingest(&app.app, &request, Utc::now(), &|_, _| {}).await.unwrap()
}

/// What differs between two accounts.
async fn compare(a: (&TestApp, &str), b: (&TestApp, &str), private: bool) -> Vec<Finding> {
    let (one, other) = (a.0.account(a.1).await, b.0.account(b.1).await);
    let found = Mutex::new(Vec::new());
    let watch = |finding| found.lock().unwrap().push(finding);
    let (a, b) = (Of { app: &a.0.app, account: &one }, Of { app: &b.0.app, account: &other });
    diff::diff(a, Other::Account(b), private, Utc::now(), &|_| {}, &watch).await.unwrap();
    found.into_inner().unwrap()
}
