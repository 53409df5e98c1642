//! Archive files → [`SourcePost`]s. One format a file, or a folder; each is a wire structure and a reader.
//!
//! Must never know the database, the network, account ids or the clock (`now` comes in).
//! A bad item is a [`Skipped`], never an error: the rest goes in.
//! Start with [`open`], then `hugo/mod.rs`.

pub mod files;
pub mod hugo;

use crate::domain::source::{Format, Skipped, SourcePost, SourceProfile};
use chrono::{DateTime, Utc};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Why an archive cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path does not exist or cannot be opened.
    #[error("cannot open {path}: {cause}. Check the path and that this user may read it.")]
    Open {
        /// What was asked for.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A media file that a post refers to is not in the archive, or must not be read.
    #[error("{reference}: {reason}")]
    Media {
        /// The path or URL that the post gives.
        reference: String,
        /// Why it cannot be had.
        reason: String,
    },
}

/// A source of posts that is read once, front to back.
///
/// Every format implements it in one file. Items come in the archive's own order, parents before their replies.
pub trait ArchiveReader: Send {
    /// The next post, or why the next one is unusable; `None` at the end.
    fn next(&mut self) -> Option<Result<SourcePost, Skipped>>;

    /// Who the archive is from, where it tells.
    fn profile(&self) -> Option<SourceProfile> {
        None
    }

    /// The bytes of a media file, by [`SourceMedia::reference`](crate::domain::source::SourceMedia::reference).
    fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error>;
}

/// Open a file or a folder of any depth. `only` restricts it to one format; otherwise each file is judged by its content.
///
/// `now` bounds which status ids are believed to carry a time. Blocking, like everything here.
pub fn open(path: &Path, only: Option<Format>, now: DateTime<Utc>) -> Result<Box<dyn ArchiveReader>, Error> {
    let tree = files::Tree::open(path)?;
    match only {
        None | Some(_) => Ok(Box::new(hugo::Reader::new(tree, now))),
    }
}
