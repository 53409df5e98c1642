//! Reads the archive that Mastodon hands out, and the backup of Pleroma and Akkoma, which has the same shape.
//!
//! It is known by an `outbox.json` that is a collection of activities, in a zip, a tar, a folder, or alone; a file may also
//! hold one activity on each line. That file is streamed. Start with [`Reader`]; `items.rs` splits the file, `post.rs` makes a post of an item, `identity.rs` says which.

pub(super) mod identity;
mod items;
pub(super) mod post;

use super::container::{Bytes, Closed, Container};
use super::files::one_line;
use super::limits::Limits;
use super::{ArchiveReader, Error};
use crate::activitystreams::read;
use crate::domain::source::{Author, Format, Skipped, SourcePost};
use crate::domain::told::SourceProfile;
use chrono::{DateTime, Utc};
use identity::Identities;
use items::{Items, Wrong};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 2;

const OUTBOX: &str = "outbox.json";
const ACTOR: &str = "actor.json";
/// Bytes of an actor's JSON; real ones have 5 KiB.
const LONGEST_ACTOR: u64 = 1024 * 1024;
/// Unusable items that are told one by one; the others are counted, so that a hostile file fills no memory.
const TOLD: u64 = 1_000;
/// Items that are looked at to see whether a file holds activities.
const LOOKED_AT: u32 = 100;
/// The folder of attachments in an archive.
const MEDIA: &str = "media_attachments/";

/// Reads one archive, item by item.
pub struct Reader {
    container: Container,
    /// Where in the container the archive begins: `""`, or a folder with its slash.
    home: String,
    /// What `outbox.json` is called in messages.
    shown: String,
    items: Items<Bytes>,
    /// What is told before the first item.
    ready: VecDeque<Skipped>,
    profile: Option<SourceProfile>,
    /// The account that items are by unless they say otherwise, by its id.
    owner: Option<(String, Author)>,
    identities: Identities,
    format: Format,
    now: DateTime<Utc>,
    limits: Limits,
    /// Unusable items so far.
    unusable: u64,
    done: bool,
    /// How the file holds its items.
    shape: Shape,
}

/// How a file holds activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// As a collection.
    Collection,
    /// One on each line.
    Lines,
}

impl Shape {
    fn items(self, bytes: Bytes, limits: &Limits) -> Items<Bytes> {
        match self {
            Shape::Collection => Items::new(bytes, limits.post),
            Shape::Lines => Items::lines(bytes, limits.post),
        }
    }

    /// Where an item stands in its file.
    fn place(self, index: u64) -> String {
        match self {
            Shape::Collection => format!("$.orderedItems[{index}]"),
            Shape::Lines => format!("line {}", index + 1),
        }
    }
}

impl Reader {
    /// Read the archive in `container`; `None` for a folder that holds none.
    ///
    /// A zip or a tar is either such an archive or nothing that Everpost reads: then the error says what to do.
    pub fn open(
        mut container: Container,
        only: Option<Format>,
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<Option<Reader>, Error> {
        let refused =
            |container: &Container, reason: String| Error::Refused { path: container.path().to_owned(), reason };
        let homes = container.homes(OUTBOX);
        let mut ready: VecDeque<Skipped> = container.take_problems().into();
        let home = match homes.as_slice() {
            [] if container.is_folder() && only.is_none() => return Ok(None),
            [] => return Err(refused(&container, nothing_in(&container, &ready))),
            [home, others @ ..] if home.is_empty() => {
                let second = |other: &String| Skipped {
                    at: container.shown(&format!("{other}{OUTBOX}")),
                    reason: format!("is a second {OUTBOX}; the one at the top is read"),
                };
                ready.extend(others.iter().map(second));
                String::new()
            }
            [home] => home.clone(),
            several => {
                let reason = format!("holds several archives, in {}. Import them one by one.", several.join(", "));
                return Err(refused(&container, one_line(&reason)));
            }
        };
        let outbox = format!("{home}{OUTBOX}");
        let stays_closed = |closed: Closed| refused(&container, format!("{}: {}", one_line(&outbox), told(closed)));
        container.check(&outbox).map_err(stays_closed)?;
        if !recognise(container.read(&outbox).map_err(stays_closed)?, limits) {
            if container.is_folder() && only.is_none() {
                return Ok(None);
            }
            return Err(refused(&container, format!("its {OUTBOX} is no collection of activities")));
        }
        ready.extend(inner_archives(&container));
        Reader::start(container, home, (OUTBOX, Shape::Collection), only, limits, now, ready).map(Some)
    }

    /// Read a bare `outbox.json`, whatever it is called; `None` for any other file. An `actor.json` and the media beside
    /// it are used.
    pub fn open_file(
        path: &Path,
        only: Option<Format>,
        limits: &Limits,
        now: DateTime<Utc>,
    ) -> Result<Option<Reader>, Error> {
        let failed = |cause| Error::Open { path: path.to_owned(), cause };
        let refused = |reason: &str| Error::Refused { path: path.to_owned(), reason: reason.to_owned() };
        let file = || std::fs::File::open(path).map(|file| -> Bytes { Box::new(file) }).map_err(failed);
        let shape = match (recognise(file()?, limits), has_lines(file()?, limits)) {
            (true, _) => Shape::Collection,
            (false, true) => Shape::Lines,
            (false, false) => {
                return match only {
                    None => Ok(None),
                    Some(_) => Err(refused("is neither an archive nor a collection of activities")),
                };
            }
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (Some(container), Some(name)) = (Container::open(folder, limits)?, path.file_name()) else {
            return Err(refused("is in no folder"));
        };
        let name = name.to_string_lossy();
        Reader::start(container, String::new(), (&name, shape), only, limits, now, VecDeque::new()).map(Some)
    }

    fn start(
        container: Container,
        home: String,
        (name, shape): (&str, Shape),
        only: Option<Format>,
        limits: &Limits,
        now: DateTime<Utc>,
        mut ready: VecDeque<Skipped>,
    ) -> Result<Reader, Error> {
        let outbox = format!("{home}{name}");
        let open = || {
            container.read(&outbox).map_err(|closed| Error::Refused {
                path: container.path().to_owned(),
                reason: format!("{}: {}", one_line(&outbox), told(closed)),
            })
        };
        let actor = match read_actor(&container, &format!("{home}{ACTOR}")) {
            Ok(actor) => actor,
            Err(skipped) => {
                ready.push_back(skipped);
                None
            }
        };
        let is_litepub = actor.as_ref().is_some_and(|actor| actor.is_litepub);
        let backup = match shape {
            Shape::Lines => Format::Jsonl,
            Shape::Collection if is_litepub => Format::Pleroma,
            Shape::Collection => Format::Mastodon,
        };
        let profile = actor.map(|actor| actor.profile);
        let mut owner = profile.as_ref().and_then(|profile| profile.actor.clone().zip(profile.author.clone()));
        if owner.is_none() {
            owner = first_author(shape.items(open()?, limits));
        }
        let items = shape.items(open()?, limits);
        let shown = container.shown(&outbox);
        Ok(Reader {
            container,
            home,
            shown,
            items,
            ready,
            profile,
            owner,
            identities: Identities::default(),
            format: only.unwrap_or(backup),
            now,
            limits: *limits,
            unusable: 0,
            done: false,
            shape,
        })
    }

    /// Tell of an unusable item, unless too many were told already.
    fn unusable(&mut self, path: &str, reason: &str) -> Option<Skipped> {
        self.unusable += 1;
        let skipped = || Skipped { at: format!("{} {path}", self.shown), reason: one_line(reason) };
        (self.unusable <= TOLD).then(skipped)
    }

    /// How many entries a list of the archive has; none if it is not there or is no list.
    fn entries(&self, name: &str) -> u64 {
        let Ok(bytes) = self.container.read(&format!("{}{name}", self.home)) else { return 0 };
        let (mut items, mut count) = (Items::new(bytes, self.limits.post), 0);
        while let Some(item) = items.next() {
            count += u64::from(item.is_ok());
        }
        count
    }
}

impl ArchiveReader for Reader {
    fn next(&mut self) -> Option<Result<SourcePost, Skipped>> {
        if let Some(skipped) = self.ready.pop_front() {
            return Some(Err(skipped));
        }
        loop {
            let Some(item) = self.items.next() else {
                let untold = self.unusable.saturating_sub(TOLD);
                let last = untold > 0 && !std::mem::replace(&mut self.done, true);
                let reason = format!("{untold} more items are no posts either");
                return last.then(|| Err(Skipped { at: self.shown.clone(), reason }));
            };
            let skipped = match item {
                Ok((index, bytes)) => match self.post(index, bytes) {
                    Ok(post) => return Some(Ok(*post)),
                    Err(reason) => self.unusable(&self.shape.place(index), &reason),
                },
                Err(Wrong { path, reason }) => self.unusable(&path, &reason),
            };
            if let Some(skipped) = skipped {
                return Some(Err(skipped));
            }
        }
    }

    fn profile(&self) -> Option<SourceProfile> {
        let private_lists = (self.entries("likes.json"), self.entries("bookmarks.json"));
        self.profile.clone().map(|profile| SourceProfile { private_lists, ..profile })
    }

    /// An attachment by what its post calls it: `media_attachments/…`, with a slash before it (storage in S3), or with
    /// the name of a bucket (S3 by path). Also the avatar and the header.
    fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error> {
        let refuse = |reason: String| Error::Media { reference: one_line(reference), reason };
        let lower = reference.trim_start().to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") || lower.starts_with("//") {
            return Err(refuse("is a link, not a file in the archive".to_owned()));
        }
        let written = reference.trim_start_matches('/');
        let decoded = percent_decode_str(written).decode_utf8().unwrap_or_default();
        let mut outcome = Closed::Missing;
        for name in [written, &*decoded] {
            let below = name.find(MEDIA).map(|at| &name[at..]);
            for name in [Some(name), below].into_iter().flatten() {
                match self.container.read_media(&format!("{}{name}", self.home)) {
                    Ok(bytes) => return Ok(bytes),
                    Err(Closed::Missing) => {}
                    Err(closed) => outcome = closed,
                }
            }
        }
        Err(refuse(told(outcome)))
    }
}

fn told(closed: Closed) -> String {
    match closed {
        Closed::Missing => "is not in the archive".to_owned(),
        Closed::Refused(reason) => reason,
    }
}

/// Whether a file is a collection of activities: one of its first items is, or it says so itself and holds nothing else.
fn recognise(bytes: Bytes, limits: &Limits) -> bool {
    let mut items = Items::new(bytes, limits.post);
    let mut others = 0;
    while others < LOOKED_AT {
        match items.next() {
            None => return items.is_collection() && others == 0,
            Some(Err(Wrong { path, .. })) if path == "$" => return false,
            // What is broken or too long is an object that nobody can read, not something else.
            Some(Err(_)) => others += u32::from(!items.is_collection()),
            Some(Ok((_, item))) => match serde_json::from_slice::<Value>(&item) {
                Ok(value) if read::is_activity(&value) => return true,
                Err(_) if item.starts_with(b"{") => {}
                _ => others += 1,
            },
        }
    }
    false
}

/// Whether a file holds activities line by line: its first one is one.
fn has_lines(bytes: Bytes, limits: &Limits) -> bool {
    let first = Items::lines(bytes, limits.post).next();
    let value = first.and_then(Result::ok).and_then(|(_, line)| serde_json::from_slice::<Value>(&line).ok());
    value.is_some_and(|value| read::activity(&value).is_ok())
}

/// The actor beside an outbox, if there is one.
fn read_actor(container: &Container, name: &str) -> Result<Option<read::actor::Actor>, Skipped> {
    let skipped = |reason: String| Skipped { at: container.shown(name), reason };
    let bytes = match container.read_whole(name, LONGEST_ACTOR) {
        Ok(bytes) => bytes,
        Err(Closed::Missing) => return Ok(None),
        Err(Closed::Refused(reason)) => return Err(skipped(reason)),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|cause| skipped(format!("is not JSON, so the account's profile is not read: {cause}")))?;
    match read::actor::actor(&value) {
        Some(actor) => Ok(Some(actor)),
        None => Err(skipped("is no actor, so the account's profile is not read".to_owned())),
    }
}

/// Whose an outbox without an actor is, by the first item that tells, with the id of that account.
fn first_author(mut items: Items<Bytes>) -> Option<(String, Author)> {
    while let Some(item) = items.next() {
        let Ok((_, bytes)) = item else { continue };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
        let Ok(activity) = read::activity(&value) else { continue };
        if let Some(found) = post::author_of(&activity) {
            return Some(found);
        }
    }
    None
}

/// What is wrong with a zip or a tar that holds no outbox.
fn nothing_in(container: &Container, problems: &VecDeque<Skipped>) -> String {
    let mut reason = format!("holds no {OUTBOX}, so it is no archive that Everpost reads");
    if let Some(inner) = container.names().into_iter().filter(|name| is_archive(name)).min() {
        reason.push_str(&format!(". It holds {inner}: unpack it and import that"));
    }
    if let Some(problem) = problems.front() {
        reason.push_str(&format!(". {}: {}", problem.at, problem.reason));
    }
    one_line(&reason)
}

/// Archives inside of the archive, which are not looked into.
fn inner_archives(container: &Container) -> Vec<Skipped> {
    let mut names: Vec<&str> = container.names().into_iter().filter(|name| is_archive(name)).collect();
    names.sort_unstable();
    let skipped = |name: &str| Skipped {
        at: container.shown(name),
        reason: "is an archive in the archive, which is not looked into. Import it by itself.".to_owned(),
    };
    names.into_iter().take(usize::try_from(TOLD).unwrap_or(usize::MAX)).map(skipped).collect()
}

fn is_archive(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|ending| lower.ends_with(ending))
}
