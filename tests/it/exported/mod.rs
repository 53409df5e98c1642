//! What goes out comes in again: archives that are written, read back, and read as others read them.

mod endpoint;
mod importers;
mod killed;
mod lines;
mod private;
mod roundtrip;
mod tables;

use crate::support::TestApp;
use chrono::{DateTime, Utc};
use everpost::domain::account::Account;
use everpost::domain::ids::{AccountId, PostId};
use everpost::domain::post::Entry;
use everpost::export::output::Output;
use everpost::export::{ArchiveWriter, Options, Subject, Summary, csv, fep_6fcd, jsonl, mastodon};
use everpost::operations::export::export;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};

fn now() -> DateTime<Utc> {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// Export an account into a folder, in the format of that name.
async fn write(app: &TestApp, handle: &str, format: &str, folder: &Path, options: Options) -> (PathBuf, Summary) {
    let account = app.account(handle).await;
    let place = folder.join(format!("{handle}.{format}"));
    let subject = Subject { account, options, now: now() };
    let output = match format {
        "csv" => Output::folder(&place, false).unwrap(),
        _ => Output::file(&place, false).unwrap(),
    };
    let writer: Box<dyn ArchiveWriter> = match format {
        "mastodon" => Box::new(mastodon::Writer::new(output.open().unwrap(), &subject).unwrap()),
        "fep-6fcd" => Box::new(fep_6fcd::Writer::new(output.open().unwrap(), &subject, Vec::new()).unwrap()),
        "csv" => Box::new(csv::Writer::new(output.path(), &subject).unwrap()),
        _ => Box::new(jsonl::Writer::new(output.open().unwrap(), &subject)),
    };
    let summary = export(&app.app, &subject, writer, &|_| {}).await.unwrap();
    (output.commit().unwrap(), summary)
}

/// Everything that an account keeps, in order.
async fn kept(app: &TestApp, account: &Account) -> Vec<Entry> {
    let archived = app.app.store.list_archived(Some(account.id), PostId(0), 10_000).await.unwrap();
    archived.into_iter().map(|archived| archived.entry).collect()
}

/// The same without what belongs to the server: when a row changed, whose number the account has.
fn portable(entries: Vec<Entry>) -> Vec<Entry> {
    let portable = |entry| match entry {
        Entry::Post(mut post) => {
            (post.account, post.changed, post.exposed) = (AccountId(0), now(), None);
            Entry::Post(post)
        }
        Entry::Boost(mut boost) => {
            (boost.account, boost.changed, boost.exposed) = (AccountId(0), now(), None);
            Entry::Boost(boost)
        }
    };
    entries.into_iter().map(portable).collect()
}

/// The files of a zip: their names and bytes.
fn unzipped(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut files = Vec::new();
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        files.push((file.name().unwrap().into_owned(), bytes));
    }
    files
}

/// The files of a tar.
fn untarred(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(std::fs::File::open(path).unwrap());
    let mut files = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push((name, bytes));
    }
    files
}

/// A file of an archive as JSON.
fn json_of(files: &[(String, Vec<u8>)], name: &str) -> Value {
    let (_, bytes) = files.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("there is no {name}"));
    serde_json::from_slice(bytes).unwrap()
}
