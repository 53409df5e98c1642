//! What was not for everyone: left out, or sealed for who has the key file. Never served, never in clear on a disk.

mod audience;
mod command;
mod import;
mod killed;
mod rest;
mod thousand;
mod walk;

use crate::archives::{create, note, outbox};
use crate::support::packing::{Files, put, zip};
use crate::support::{TestApp, status_id};
use chrono::Utc;
use everpost::domain::source::{PostLink, SourceKey, SourcePost};
use everpost::import::Only;
use everpost::import::limits::Limits;
use everpost::operations::ingest::{self, Report, Request};
use everpost::operations::private::{self, Which};
use everpost::operations::{App, private::Numbered};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const THREE: &str = "2024-01-01T10:10:00Z";

/// Stands in everything that is private, and in nothing else.
const MARK: &str = "Zilpzalp";

/// An archive as Mastodon hands it out, by `@ann@m.example`.
#[derive(Clone, Default)]
struct Archive {
    items: Vec<Value>,
    media: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    fn new(items: &[Value]) -> Archive {
        Archive { items: items.to_vec(), ..Archive::default() }
    }

    /// With the files that its posts name, but not those of the given names.
    fn with_media(mut self, lacking: &[&str]) -> Archive {
        for media in self.items.iter().filter_map(|item| item["object"]["attachment"].as_array()).flatten() {
            let name = media["url"].as_str().unwrap().rsplit('/').next().unwrap();
            if !lacking.contains(&name) {
                self.media.insert(name.to_owned(), picture(name));
            }
        }
        self
    }

    fn outbox(&self) -> Vec<u8> {
        outbox(&self.items)
    }

    /// Write the zip into a folder; its path.
    fn write(&self, folder: &Path) -> PathBuf {
        let mut files = Files::from([("outbox.json".to_owned(), self.outbox())]);
        files.extend(self.media.iter().map(|(name, bytes)| (format!("media_attachments/{name}"), bytes.clone())));
        put(folder, "archive.zip", &zip(&files))
    }

    /// What its reader makes of it.
    fn read(&self) -> Vec<SourcePost> {
        let folder = tempfile::tempdir().unwrap();
        let path = self.write(folder.path());
        let mut reader = everpost::import::open(&path, Only::Everything, &Limits::default(), Utc::now()).unwrap();
        std::iter::from_fn(|| reader.next()).map(Result::unwrap).collect()
    }
}

/// A picture of its own for each name, which its bytes hold. Longer than a piece of a sealed file.
fn picture(name: &str) -> Vec<u8> {
    drawn(name, 170)
}

/// The same with sides of so many pixels.
fn drawn(name: &str, side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk("Comment".to_owned(), name.to_owned()).unwrap();
    let mut state = name.bytes().fold(7_u32, |state, byte| state.wrapping_mul(31).wrapping_add(byte.into()));
    let noise = (0..side * side * 3).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.collect();
    encoder.write_header().unwrap().write_image_data(&noise).unwrap();
    bytes
}

/// A post of that time with some members of its Note changed.
fn post(at: &str, mut change: Value) -> Value {
    change["published"] = json!(at);
    create(note(status_id(at), change))
}

fn public(at: &str, words: &str) -> Value {
    post(at, json!({ "content": format!("<p>{words}</p>") }))
}

/// A direct message with [`MARK`] in every field that has words.
fn hidden(at: &str) -> Value {
    let other = format!("https://other.example/users/{MARK}");
    post(
        at,
        json!({
            "to": [other], "cc": [], "summary": format!("{MARK} warning"), "sensitive": true,
            "content": format!("<p>{MARK} at {at}, <b>only</b> for you</p>"),
            "tag": [
                { "type": "Mention", "href": other, "name": format!("@{MARK}@other.example") },
                { "type": "Hashtag", "href": format!("https://m.example/tags/{MARK}"), "name": format!("#{MARK}") },
            ],
        }),
    )
}

fn with_media(mut item: Value, names: &[&str]) -> Value {
    let media = |name: &&str| {
        let url = format!("/media_attachments/{name}");
        json!({ "type": "Document", "mediaType": "image/png", "url": url, "name": format!("{name} seen from above") })
    };
    item["object"]["attachment"] = names.iter().map(media).collect();
    item
}

fn request(include_private: bool, dry_run: bool) -> Request {
    Request { include_private, dry_run, ..crate::import::request(Path::new("")) }
}

async fn run(app: &App, archive: &Archive, request: &Request) -> Result<Report, everpost::operations::Error> {
    let folder = tempfile::tempdir().unwrap();
    let request = Request { paths: vec![archive.write(folder.path())], ..request.clone() };
    ingest::ingest(app, &request, Utc::now(), &|_, _| {}).await
}

/// Import with `--include-private`.
async fn keep(app: &App, archive: &Archive) -> Report {
    let report = run(app, archive, &request(true, false)).await.unwrap();
    assert_sum(&report);
    report
}

/// Import without it.
async fn leave(app: &App, archive: &Archive) -> Report {
    let report = run(app, archive, &request(false, false)).await.unwrap();
    assert_sum(&report);
    report
}

fn assert_sum(report: &Report) {
    let private = report.private.stored + report.private.unchanged + report.private.left_out;
    let sum = report.created + report.updated + report.unchanged + report.skipped.len() as u64 + private;
    assert_eq!(report.read, sum, "{report:?}");
    assert!(!format!("{report:?}").contains(MARK), "{report:?}");
}

fn key(at: &str) -> SourceKey {
    PostLink::read(&format!("https://m.example/@ann/{}", status_id(at)).parse().unwrap()).key
}

async fn show(app: &TestApp, at: &str) -> Result<Numbered, everpost::operations::Error> {
    let account = app.account("ann").await;
    private::show(&app.app, &account, &Which::Key(key(at))).await
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The sealed files of an application.
fn sealed_files(app: &TestApp) -> Vec<PathBuf> {
    files(&app.data_dir.path().join("private"))
}

/// Where the public store has, or would have, a picture.
fn public_file(app: &TestApp, name: &str) -> PathBuf {
    app.app.media.path(&app.app.media.inspect(&mut picture(name).as_slice()).unwrap())
}
