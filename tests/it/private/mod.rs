//! What was not for everyone: left out, or sealed for who has the key file. Never served, never in clear on a disk.

mod command;
mod import;
mod rest;
mod walk;

use crate::support::{TestApp, fixture, status_id};
use everpost::domain::post::MediaFile;
use everpost::domain::source::{
    Author, DateOrigin, Format, MediaKind, MediaTold, Mention, PostLink, Skipped, SourceAudience, SourceKey,
    SourceMedia, SourcePost, Told,
};
use everpost::import::{ArchiveReader, Error};
use everpost::operations::ingest::{self, Report, Request};
use everpost::operations::private::{self, Which};
use everpost::operations::{App, private::Numbered};
use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ONE: &str = "2024-01-01T10:00:00Z";
const TWO: &str = "2024-01-01T10:05:00Z";
const THREE: &str = "2024-01-01T10:10:00Z";

/// Stands in everything that is private, and in nothing else.
const MARK: &str = "Zilpzalp";

/// An archive in memory.
#[derive(Clone, Default)]
pub struct Archive {
    posts: Vec<SourcePost>,
    media: HashMap<String, Vec<u8>>,
    /// Stops for ever once the posts before this one were given, on the second reading.
    stuck: Option<usize>,
}

impl Archive {
    fn new(posts: &[SourcePost]) -> Archive {
        Archive { posts: posts.to_vec(), ..Archive::default() }
    }

    /// With the files that its posts name, but not those of the given names.
    fn with_media(mut self, lacking: &[&str]) -> Archive {
        for item in self.posts.iter().flat_map(|post| &post.media) {
            if !lacking.contains(&item.reference.as_str()) {
                self.media.insert(item.reference.clone(), picture(&item.reference));
            }
        }
        self
    }

    fn reader(&self, stuck: Option<usize>) -> Box<dyn ArchiveReader> {
        let items = VecDeque::from(self.posts.clone());
        Box::new(Reading { items, media: self.media.clone(), left: stuck })
    }
}

struct Reading {
    items: VecDeque<SourcePost>,
    media: HashMap<String, Vec<u8>>,
    left: Option<usize>,
}

impl ArchiveReader for Reading {
    fn next(&mut self) -> Option<Result<SourcePost, Skipped>> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1).expect("the archive ends here, as if the program had been killed");
        }
        self.items.pop_front().map(Ok)
    }

    fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error> {
        match self.media.get(reference) {
            Some(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
            None => Err(Error::Media { reference: reference.to_owned(), reason: "is not there".to_owned() }),
        }
    }
}

/// A picture of its own for each name; one whose name holds [`MARK`] has it in its bytes as well. Longer than a piece of
/// a sealed file.
fn picture(name: &str) -> Vec<u8> {
    let file = "hugo-mastodon-to-hugo-v1/content/mastodon/2024/04/112219765417328195/ae995b1a0b63161b.png";
    let mut bytes = std::fs::read(fixture(file)).unwrap();
    bytes.extend(name.as_bytes().repeat(1 + (200 << 10) / name.len()));
    bytes
}

/// A post by `@ann@origin.example`, written at `at`.
fn post(at: &str, audience: SourceAudience, words: &str) -> SourcePost {
    let url = format!("https://origin.example/@ann/{}", status_id(at));
    let object_id = url.replace("/@ann/", "/users/ann/statuses/");
    SourcePost {
        at: format!("outbox.json, item of {at}"),
        key: PostLink::read(&url.parse().unwrap()).key,
        author: Some(Author { host: "origin.example".to_owned(), user: "ann".to_owned() }),
        status: Some(status_id(at)),
        object_id: Some(object_id),
        object_id_stated: true,
        canonical_url: Some(url),
        audience,
        published: at.parse().unwrap(),
        date_origin: DateOrigin::StatusId,
        edited: None,
        html: format!("<p>{words}</p>"),
        warning: None,
        sensitive: false,
        language: None,
        tags: Vec::new(),
        reply_to: None,
        media: Vec::new(),
        told: Told::default(),
        bytes: format!("{{\"content\":\"{words}\",\"audience\":\"{audience:?}\"}}").into_bytes(),
        format: Format::Mastodon,
        reader_version: 1,
    }
}

fn public(at: &str, words: &str) -> SourcePost {
    post(at, SourceAudience::Public, words)
}

/// A direct message with [`MARK`] in every field that has words.
fn hidden(at: &str) -> SourcePost {
    let mention = Mention { href: format!("https://other.example/{MARK}"), name: format!("@{MARK}@other.example") };
    SourcePost {
        warning: Some(format!("{MARK} warning")),
        tags: vec![MARK.to_owned()],
        told: Told { mentions: vec![mention], ..Told::default() },
        ..post(at, SourceAudience::NotPublic, &format!("{MARK} at {at}, <b>only</b> for you"))
    }
}

fn with_media(post: SourcePost, names: &[&str]) -> SourcePost {
    let item = |name: &&str| SourceMedia {
        reference: (*name).to_owned(),
        kind: MediaKind::Image,
        alt: Some(format!("{name} seen from above")),
        told: MediaTold::default(),
    };
    SourcePost { media: names.iter().map(item).collect(), ..post }
}

fn request(include_private: bool, dry_run: bool) -> Request {
    let paths = vec![PathBuf::from("in memory")];
    Request { paths, account: None, adopt: false, format: None, dry_run, include_private }
}

async fn run(app: &App, archive: &Archive, request: &Request) -> Result<Report, everpost::operations::Error> {
    let (archive, opened) = (archive.clone(), std::sync::atomic::AtomicU32::new(0));
    let open = move |_: &Path| {
        let first = opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
        Ok(archive.reader(archive.stuck.filter(|_| !first)))
    };
    ingest::ingest_from(app, request, Arc::new(open), chrono::Utc::now(), &|_, _| {}).await
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
    hidden(at).key
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
    let sha256: String = openssl::sha::sha256(&picture(name)).iter().map(|byte| format!("{byte:02x}")).collect();
    app.app.media.path(&MediaFile { sha256, extension: "png".into(), media_type: "image/png".into(), bytes: 0 })
}
