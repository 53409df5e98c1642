//! Comparing: what is equal has no findings, and each thing that is not has one, in every direction.

mod accounts;
mod archive;
mod program;

use crate::archives::{create, note, outbox};
use crate::support::packing::put;
use crate::support::{TestApp, status_id};
use chrono::Utc;
use everpost::domain::account::Handle;
use everpost::import::limits::Limits;
use everpost::operations::diff::{self, Archive, Finding, Kind, Of, Other, Report};
use everpost::operations::{Error, accounts as operations};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The minute `number` of a morning.
fn at(number: i64) -> String {
    format!("2024-01-{:02}T10:{:02}:00Z", 1 + number / 60, number % 60)
}

/// A public post by `@ann@m.example` of that minute, with some members of its Note changed.
fn post(number: i64, mut change: Value) -> Value {
    change["published"] = json!(at(number));
    create(note(status_id(&at(number)), change))
}

fn key(number: i64) -> String {
    format!("mastodon:m.example:{}", status_id(&at(number)))
}

/// An archive of these items, in a folder.
fn archive(folder: &Path, items: &[Value]) -> PathBuf {
    put(folder, "outbox.json", &outbox(items))
}

/// Findings as lines, in an order that does not depend on where things are stored.
fn lines(findings: Vec<Finding>) -> Vec<String> {
    let line = |Finding { what, kind }: Finding| match kind {
        Kind::Differs(fields) => {
            let field = |f: diff::Difference| {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                format!("{}: {} | {}", f.field, shown(f.a), shown(f.b))
            };
            format!("{what} differs {}", fields.into_iter().map(field).collect::<Vec<_>>().join("; "))
        }
        Kind::Unusable(reason) => format!("{what} unusable {reason}"),
        other => format!("{what} {}", other.name()),
    };
    let mut lines: Vec<String> = findings.into_iter().map(line).collect();
    lines.sort();
    lines
}

async fn compare(app: &TestApp, handle: &str, b: Other<'_>, private: bool) -> Result<(Report, Vec<String>), Error> {
    let account = app.account(handle).await;
    let a = Of { app: &app.app, account: &account };
    let found = Mutex::new(Vec::new());
    let watch = |finding| found.lock().unwrap().push(finding);
    let report = diff::diff(a, b, private, Utc::now(), &|_| {}, &watch).await?;
    let lines = lines(found.into_inner().unwrap());
    let counted = lines.iter().filter(|line| !line.ends_with(" repeated")).count() as u64;
    assert_eq!(report.differences, counted, "{lines:?}");
    Ok((report, lines))
}

/// An account against an archive.
async fn with_archive(app: &TestApp, handle: &str, path: &Path) -> (Report, Vec<String>) {
    let archive = Archive { path: path.to_owned(), limits: Limits::default() };
    compare(app, handle, Other::Archive(&archive), false).await.unwrap()
}

/// An account against another one.
async fn with_account(a: (&TestApp, &str), b: (&TestApp, &str)) -> (Report, Vec<String>) {
    let account = b.0.account(b.1).await;
    compare(a.0, a.1, Other::Account(Of { app: &b.0.app, account: &account }), false).await.unwrap()
}

/// Make an account that has nothing.
async fn empty(app: &TestApp, handle: &str) {
    operations::create(&app.app, &Handle::parse(handle).unwrap(), None, None, Utc::now()).await.unwrap();
}
