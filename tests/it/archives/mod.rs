//! Reading the archives of other servers: every form that they come in, every field, and everything that can be wrong.

mod fields;
mod forms;
mod hostile_containers;
mod hostile_items;
mod imported;
mod profile;
pub mod roundtrip;
mod shown;
mod stored;

use crate::support::packing::Files;
use chrono::{DateTime, Utc};
use everpost::domain::source::{Format, Skipped, SourcePost};
use everpost::import::limits::Limits;
use everpost::import::{ArchiveReader, Error, Only};
pub use imported::packed;
use serde_json::{Value, json};
use std::path::Path;

type Item = Result<SourcePost, Skipped>;

fn now() -> DateTime<Utc> {
    "2026-11-24T00:00:00Z".parse().unwrap()
}

fn open_as(path: &Path, only: Option<Format>) -> Result<Box<dyn ArchiveReader>, Error> {
    let only = only.map_or(Only::Everything, Only::Format);
    everpost::import::open(path, only, &Limits::default(), now())
}

fn open(path: &Path) -> Box<dyn ArchiveReader> {
    open_as(path, None).unwrap_or_else(|error| panic!("{error}"))
}

/// All items of an archive, with its own path cut from their places.
fn read_all(path: &Path) -> Vec<Item> {
    read_from(open(path), path)
}

fn read_from(mut reader: Box<dyn ArchiveReader>, path: &Path) -> Vec<Item> {
    let shown = path.to_string_lossy();
    let short = |at: &str| at.replace(&*shown, "").trim_start_matches([':', '/', ' ']).to_owned();
    let mut items = Vec::new();
    while let Some(item) = reader.next() {
        items.push(match item {
            Ok(post) => Ok(SourcePost { at: short(&post.at), ..post }),
            Err(skipped) => Err(Skipped { at: short(&skipped.at), ..skipped }),
        });
    }
    items
}

/// What was skipped, each as `place: reason`.
fn skipped(items: &[Item]) -> Vec<String> {
    items.iter().filter_map(|item| item.as_ref().err()).map(|item| format!("{}: {}", item.at, item.reason)).collect()
}

fn posts(items: Vec<Item>) -> Vec<SourcePost> {
    items.into_iter().map(|item| item.unwrap_or_else(|skipped| panic!("{skipped:?}"))).collect()
}

/// A public note by `@ann@m.example`, with some of its members changed.
pub fn note(number: i64, change: Value) -> Value {
    let id = format!("https://m.example/users/ann/statuses/{number}");
    let mut note = json!({
        "id": id, "type": "Note", "attributedTo": "https://m.example/users/ann",
        "url": format!("https://m.example/@ann/{number}"), "published": "2024-04-05T00:39:47Z",
        "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [], "content": format!("<p>Number {number}</p>"),
    });
    note.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    note
}

/// The activity that made a note.
pub fn create(note: Value) -> Value {
    json!({
        "id": format!("{}/activity", note["id"].as_str().unwrap_or_default()), "type": "Create",
        "actor": "https://m.example/users/ann", "published": note["published"], "to": note["to"], "cc": note["cc"],
        "object": note,
    })
}

pub fn outbox(items: &[Value]) -> Vec<u8> {
    let collection = json!({
        "@context": "https://www.w3.org/ns/activitystreams", "id": "outbox.json", "type": "OrderedCollection",
        "totalItems": items.len(), "orderedItems": items,
    });
    collection.to_string().into_bytes()
}

/// An archive that holds nothing but an outbox of so many public notes.
fn plain(count: i64) -> Files {
    let items: Vec<Value> = (1..=count).map(|number| create(note(number, json!({})))).collect();
    vec![("outbox.json".to_owned(), outbox(&items))]
}
