//! `fep-6fcd`: the account export container, a tar with a manifest (FEP-6fcd), which the endpoint of FEP-9091 gives too.
//!
//! Nothing is held or spooled: of a file whose length is not known before, the head is written over at its end.

use super::outbox::{self, Outbox};
use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Item, List, Media, Open, Subject, Summary, Wants};
use crate::activitystreams::archived::{self, Beside};
use crate::activitystreams::render::timestamp;
use crate::domain::post::MediaFile;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use tar::Header;

/// Bytes of a block, and of a head.
const BLOCK: u64 = 512;
/// Bytes that are written to the disk at once.
const BUFFER: usize = 256 * 1024;

/// A private key as a file of the export.
#[derive(Clone)]
pub struct KeyFile {
    /// The fragment of its id.
    pub name: String,
    /// What the file holds.
    pub json: Value,
}

/// No word of it: what is printed for debugging ends in logs.
impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile")
    }
}

/// Writes a tar.
pub struct Writer {
    tar: Tar,
    wire: Wire,
    subject: Subject,
    keys: Vec<KeyFile>,
    /// Open as long as items come.
    outbox: Option<Outbox>,
    /// The list that is being written, and those that were.
    list: Option<List>,
    lists: Vec<List>,
    summary: Summary,
}

/// The name of an archive that is made at `now`.
pub fn file_name(now: chrono::DateTime<chrono::Utc>) -> String {
    format!("ap-account-export-{}.tar", now.format("%Y-%m-%d"))
}

impl Writer {
    /// Write into a file, with these private keys, if any.
    pub fn new(file: File, subject: &Subject, keys: Vec<KeyFile>) -> Result<Writer, Error> {
        let wire = Wire::new(subject, Place::Inside(path));
        let mut tar =
            Tar { out: BufWriter::with_capacity(BUFFER, file), begun: None, modified: subject.now.timestamp() };
        tar.whole("manifest.yml", manifest(subject, &wire, &keys).as_bytes())?;
        tar.begin("activitypub/outbox.json")?;
        let outbox = Some(Outbox::begin(&mut tar.out)?);
        let (list, lists, summary) = (None, Vec::new(), Summary::default());
        Ok(Writer { tar, wire, subject: subject.clone(), keys, outbox, list, lists, summary })
    }

    /// End whatever file is being written.
    fn end(&mut self) -> Result<(), Error> {
        if let Some(outbox) = self.outbox.take() {
            outbox.end(&mut self.tar.out)?;
        }
        self.list = None;
        self.tar.end()
    }

    fn begin_list(&mut self, list: List) -> Result<(), Error> {
        self.end()?;
        self.tar.begin(&format!("activitypub/{}", list_file(list)))?;
        if list == List::Followers {
            self.tar.out.write_all(b"Account address\n")?;
        }
        self.list = Some(list);
        self.lists.push(list);
        Ok(())
    }

    /// Put a file into the tar as it is; whether it could be had.
    fn put(&mut self, name: &str, media: &Media, bytes: i64, open: &mut Open<'_>) -> Result<bool, Error> {
        self.end()?;
        let Some(mut source) = open(media)? else { return Ok(false) };
        self.tar.copy(name, u64::try_from(bytes).unwrap_or_default(), &mut source)?;
        self.summary.media += 1;
        Ok(true)
    }

    fn picture(&mut self, name: &str, file: Option<&MediaFile>, open: &mut Open<'_>) -> Result<Option<String>, Error> {
        let Some(file) = file else { return Ok(None) };
        let name = picture_name(name, file);
        let whole = self.put(&format!("activitypub/{name}"), &Media::Public(file.clone()), file.bytes, open)?;
        Ok(whole.then_some(name))
    }
}

impl ArchiveWriter for Writer {
    fn wants(&self) -> Wants {
        Wants { files: true, lists: true, ..Wants::default() }
    }

    fn item(&mut self, item: &Item, _open: &mut Open<'_>) -> Result<(), Error> {
        if let Some(outbox) = &mut self.outbox {
            outbox.item(item, &mut self.wire, &mut self.tar.out)?;
        }
        self.summary.count(item);
        Ok(())
    }

    fn entry(&mut self, list: List, name: &str) -> Result<(), Error> {
        if self.list != Some(list) {
            self.begin_list(list)?;
        }
        let mut row = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        row.write_record([name]).map_err(|error| Error::Write(error.into()))?;
        let row = row.into_inner().map_err(|error| Error::Write(io::Error::other(error.to_string())))?;
        Ok(self.tar.out.write_all(&row)?)
    }

    fn file(&mut self, media: &Media, open: &mut Open<'_>) -> Result<(), Error> {
        let bytes = match media {
            Media::Public(file) => file.bytes,
            Media::Private(file) => file.bytes,
            Media::Thumbnail(..) => return Ok(()),
        };
        let name = format!("activitypub/{}", self.wire.path(media));
        self.put(&name, media, bytes, open).map(drop)
    }

    fn finish(mut self: Box<Self>, open: &mut Open<'_>) -> Result<Summary, Error> {
        for list in LISTS {
            if !self.lists.contains(&list) {
                self.begin_list(list)?;
            }
        }
        self.end()?;
        let profile = self.subject.account.profile.clone();
        let beside = Beside {
            avatar: self.picture("avatar", profile.avatar.as_ref(), open)?,
            header: self.picture("header", profile.header.as_ref(), open)?,
        };
        for name in ["likes.json", "bookmarks.json"] {
            self.tar.whole(&format!("activitypub/{name}"), outbox::empty(name).to_string().as_bytes())?;
        }
        let actor = archived::actor(&self.subject.account, self.wire.names(), &beside);
        self.tar.whole("activitypub/actor.json", actor.to_string().as_bytes())?;
        for key in std::mem::take(&mut self.keys) {
            self.tar.whole(&format!("key/{}.json", key.name), key.json.to_string().as_bytes())?;
        }
        self.tar.finish()?;
        Ok(self.summary)
    }
}

const LISTS: [List; 3] = [List::Followers, List::BlockedAccounts, List::BlockedDomains];

fn list_file(list: List) -> &'static str {
    match list {
        List::Followers => "followers.csv",
        List::BlockedAccounts => "blocked_accounts.csv",
        List::BlockedDomains => "blocked_domains.csv",
    }
}

fn picture_name(name: &str, file: &MediaFile) -> String {
    format!("{name}.{}", file.extension)
}

/// Where an attachment is, beside the outbox.
fn path(name: &str, extension: &str) -> String {
    format!("attachments/{}.{extension}", name.get(..32).unwrap_or(name))
}

/// The manifest. YAML takes the strings of JSON as they are.
fn manifest(subject: &Subject, wire: &Wire, keys: &[KeyFile]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (created, controller) = (timestamp(subject.now), json!(wire.names().actor()));
    let mut text = format!(
        "ubc-version: 0.1\nmeta:\n  created: {created}\n  createdBy:\n    controller: {controller}\n    client:\n      \
         name: \"Everpost {version}\"\ncontents:\n  manifest.yml:\n    url: https://w3id.org/fep/6fcd#manifest-file\n  \
         activitypub:\n    contents:\n"
    );
    let mut file = |name: &str, url: &str| text.push_str(&format!("      {name}:\n        url: {url}\n"));
    file("actor.json", "https://www.w3.org/TR/activitypub/#actor-objects");
    for name in ["outbox.json", "likes.json", "bookmarks.json"] {
        file(name, "https://www.w3.org/TR/activitystreams-core/#collections");
    }
    for list in LISTS {
        file(list_file(list), "https://docs.joinmastodon.org/user/moving/#export");
    }
    let profile = &subject.account.profile;
    for (name, picture) in [("avatar", &profile.avatar), ("header", &profile.header)] {
        if let Some(picture) = picture {
            file(&picture_name(name, picture), "https://www.w3.org/TR/activitystreams-vocabulary/#dfn-image");
        }
    }
    text.push_str("      attachments:\n        contents: {}\n");
    if !keys.is_empty() {
        text.push_str("  key:\n    contents:\n");
        for key in keys {
            text.push_str(&format!(
                "      {}.json:\n        url: https://w3id.org/fep/521a\n",
                json!(key.name).as_str().unwrap_or_default()
            ));
        }
    }
    text
}

/// A tar being written into something that can be gone back in.
struct Tar {
    out: BufWriter<File>,
    /// The file whose length is not known yet, and where its head is.
    begun: Option<(String, u64)>,
    modified: i64,
}

impl Tar {
    fn head(&self, name: &str, size: u64) -> Result<Header, Error> {
        let mut header = Header::new_gnu();
        header.set_path(name)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(u64::try_from(self.modified).unwrap_or_default());
        header.set_cksum();
        Ok(header)
    }

    fn pad(&mut self, size: u64) -> Result<(), Error> {
        let rest = usize::try_from(size.next_multiple_of(BLOCK) - size).unwrap_or_default();
        Ok(self.out.write_all(&[0; BLOCK as usize][..rest])?)
    }

    /// A file that is in memory.
    fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.copy(name, bytes.len() as u64, &mut &*bytes)
    }

    /// A file of that length.
    fn copy(&mut self, name: &str, size: u64, source: &mut dyn Read) -> Result<(), Error> {
        let header = self.head(name, size)?;
        self.out.write_all(header.as_bytes())?;
        let copied = io::copy(&mut source.take(size), &mut self.out)?;
        if copied != size {
            let reason = format!("it ends after {copied} bytes of {size}");
            return Err(Error::Damaged { file: name.to_owned(), reason });
        }
        self.pad(size)
    }

    /// Begin a file of which it is not known how long it gets.
    fn begin(&mut self, name: &str) -> Result<(), Error> {
        self.begun = Some((name.to_owned(), self.out.stream_position()?));
        Ok(self.out.write_all(&[0; BLOCK as usize])?)
    }

    /// End it, and write its head.
    fn end(&mut self) -> Result<(), Error> {
        let Some((name, at)) = self.begun.take() else { return Ok(()) };
        let size = self.out.stream_position()? - at - BLOCK;
        self.pad(size)?;
        let end = self.out.stream_position()?;
        self.out.seek(SeekFrom::Start(at))?;
        let header = self.head(&name, size)?;
        self.out.write_all(header.as_bytes())?;
        self.out.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    fn finish(mut self) -> Result<(), Error> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        Ok(self.out.flush()?)
    }
}
