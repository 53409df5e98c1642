//! `mastodon`: the zip that Mastodon hands out, with the names, paths and shapes of its `BackupService`.
//!
//! `outbox.json` comes first and streams by; media follow as they are, for they are compressed already; the actor comes last.
//! What other software asks of such a zip says decision 0027.

use super::outbox::{self, Outbox};
use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Item, Media, Open, Subject, Summary, Wants};
use crate::activitystreams::archived::{self, Beside};
use crate::domain::post::MediaFile;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Bytes that are written to the disk at once.
const BUFFER: usize = 256 * 1024;

/// Writes a zip.
pub struct Writer {
    zip: ZipWriter<BufWriter<File>>,
    wire: Wire,
    subject: Subject,
    /// Open as long as items come.
    outbox: Option<Outbox>,
    summary: Summary,
}

/// The name of an archive: Mastodon's own, when it is made at `now`. `token` are 32 random hexadecimal digits.
pub fn file_name(now: chrono::DateTime<chrono::Utc>, token: &str) -> String {
    format!("archive-{}-{token}.zip", now.format("%Y%m%d%H%M%S"))
}

impl Writer {
    /// Write into a file.
    pub fn new(file: File, subject: &Subject) -> Result<Writer, Error> {
        let mut zip = ZipWriter::new(BufWriter::with_capacity(BUFFER, file));
        // How large it gets is not known yet, and 4 GiB are too little for some.
        zip.start_file("outbox.json", deflated().large_file(true)).map_err(failed)?;
        let outbox = Some(Outbox::begin(&mut zip)?);
        let wire = Wire::new(subject, Place::Inside(path));
        Ok(Writer { zip, wire, subject: subject.clone(), outbox, summary: Summary::default() })
    }

    fn end_outbox(&mut self) -> Result<(), Error> {
        match self.outbox.take() {
            Some(outbox) => outbox.end(&mut self.zip),
            None => Ok(()),
        }
    }

    fn json(&mut self, name: &str, value: &serde_json::Value) -> Result<(), Error> {
        self.zip.start_file(name, deflated()).map_err(failed)?;
        Ok(self.zip.write_all(value.to_string().as_bytes())?)
    }

    /// Put a file into the zip as it is; whether it could be had.
    fn put(&mut self, name: &str, media: &Media, open: &mut Open<'_>) -> Result<bool, Error> {
        let Some(mut bytes) = open(media)? else { return Ok(false) };
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.zip.start_file(name, stored.unix_permissions(0o644)).map_err(failed)?;
        io::copy(&mut bytes, &mut self.zip)?;
        self.summary.media += 1;
        Ok(true)
    }

    /// A picture of the profile, under this name with its extension.
    fn picture(&mut self, name: &str, file: Option<&MediaFile>, open: &mut Open<'_>) -> Result<Option<String>, Error> {
        let Some(file) = file else { return Ok(None) };
        let name = format!("{name}.{}", file.extension);
        Ok(self.put(&name, &Media::Public(file.clone()), open)?.then_some(name))
    }
}

impl ArchiveWriter for Writer {
    fn wants(&self) -> Wants {
        Wants { files: true, ..Wants::default() }
    }

    fn item(&mut self, item: &Item, _open: &mut Open<'_>) -> Result<(), Error> {
        if let Some(outbox) = &mut self.outbox {
            outbox.item(item, &mut self.wire, &mut self.zip)?;
        }
        self.summary.count(item);
        Ok(())
    }

    fn file(&mut self, media: &Media, open: &mut Open<'_>) -> Result<(), Error> {
        self.end_outbox()?;
        let name = self.wire.path(media);
        self.put(&name, media, open).map(drop)
    }

    fn finish(mut self: Box<Self>, open: &mut Open<'_>) -> Result<Summary, Error> {
        self.end_outbox()?;
        let profile = self.subject.account.profile.clone();
        let beside = Beside {
            avatar: self.picture("avatar", profile.avatar.as_ref(), open)?,
            header: self.picture("header", profile.header.as_ref(), open)?,
        };
        self.json("likes.json", &outbox::empty("likes.json"))?;
        self.json("bookmarks.json", &outbox::empty("bookmarks.json"))?;
        let actor = archived::actor(&self.subject.account, self.wire.names(), &beside);
        self.json("actor.json", &actor)?;
        let file = self.zip.finish().map_err(failed)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(self.summary)
    }
}

/// Where Mastodon's Paperclip puts a file: below a number of 18 digits, three at a time. The number comes from the name, and
/// the last part of the path belongs to this file alone: importers of Misskey's family find files by it.
fn path(name: &str, extension: &str) -> String {
    let number = name.get(..15).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let digits = format!("{:018}", number % 1_000_000_000_000_000_000);
    let folders: Vec<&str> = (0..6).filter_map(|part| digits.get(part * 3..part * 3 + 3)).collect();
    let own = name.get(..32).unwrap_or(name);
    format!("media_attachments/files/{}/original/{own}.{extension}", folders.join("/"))
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(0o644)
}

fn failed(error: ZipError) -> Error {
    Error::Write(match error {
        ZipError::Io(cause) => cause,
        other => io::Error::other(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_where_mastodon_puts_one_and_its_name_is_its_own() {
        let name = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let path = path(name, "png");
        let parts: Vec<&str> = path.split('/').collect();
        assert_eq!((parts[0], parts[1], parts[8]), ("media_attachments", "files", "original"));
        assert!(parts[2..8].iter().all(|part| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit())), "{path}");
        assert_eq!(parts[9], "0123456789abcdef0123456789abcdef.png");
    }

    #[test]
    fn an_archive_is_called_as_mastodon_calls_it() {
        let now = "2026-11-25T17:03:04Z".parse().unwrap();
        let token = "0123456789abcdef0123456789abcdef";
        assert_eq!(file_name(now, token), format!("archive-20261125170304-{token}.zip"));
    }
}
