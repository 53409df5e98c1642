//! Archive files → [`SourcePost`]s. One format a file, or a folder; each is a wire structure and a reader.
//!
//! Must never know the database, the network, account ids or the clock (`now` comes in).
//! A bad item is a [`Skipped`], never an error: the rest goes in.
//! Start with [`open`], then `hugo/mod.rs` and `mastodon/mod.rs`; `container/` opens zips and tars for all of them.

pub mod container;
pub mod files;
pub mod hugo;
pub mod limits;
pub mod mastodon;

use self::container::Container;
use self::limits::Limits;
use crate::domain::source::{Format, Skipped, SourcePost};
use crate::domain::told::SourceProfile;
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
    /// It is an archive that must not be read, or cannot be.
    #[error("{path}: {reason}")]
    Refused {
        /// What was asked for.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
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

/// What of the given paths is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// Everything that any reader knows, by its content.
    #[default]
    Everything,
    /// Pages of Hugo and Jekyll sites, in any layout.
    Pages,
    /// One format.
    Format(Format),
}

/// Open a file, a folder of any depth, or an archive. What it is, its content decides; `only` leaves out the rest.
///
/// `now` bounds which dates and status ids are believed. Blocking, like everything here.
pub fn open(path: &Path, only: Only, limits: &Limits, now: DateTime<Utc>) -> Result<Box<dyn ArchiveReader>, Error> {
    let archive = match only {
        Only::Everything => Some(None),
        Only::Format(format) if format.is_activities() => Some(Some(format)),
        Only::Pages | Only::Format(_) => None,
    };
    if let Some(format) = archive {
        let reader = match Container::open(path, limits)? {
            Some(container) => mastodon::Reader::open(container, format, limits, now)?,
            None => mastodon::Reader::open_file(path, format, limits, now)?,
        };
        if let Some(reader) = reader {
            return Ok(Box::new(reader));
        }
    }
    let layout = match only {
        Only::Format(format) => Some(format),
        Only::Everything | Only::Pages => None,
    };
    let tree = files::Tree::open(path)?.limited(limits.media);
    Ok(Box::new(hugo::Reader::new(tree, layout, now)))
}
