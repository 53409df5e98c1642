//! Posts → archive files: what a writer gets, and what it has to do with it. The mirror image of `import`.
//!
//! A post that is not public is another variant of another type, and only ever comes when it was asked for by name; no
//! writer may make anything public of it, and one that cannot say so to its readers refuses it.
//! Must never know the database, the network, HTTP, or the clock (`now` comes in). One format a file, or a folder.
//! Start with [`Item`] and [`ArchiveWriter`]; `output.rs` puts what is written into its place, all or nothing.

pub mod csv;
pub mod fep_6fcd;
pub mod hugo;
pub mod jsonl;
pub mod mastodon;
pub mod outbox;
pub mod output;
pub mod wire;

use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::{Boost, MediaFile, Post};
use crate::domain::private::{PrivateFile, PrivatePost};
use crate::domain::source::Format;
use chrono::{DateTime, Utc};
use std::io::Read;
use std::path::PathBuf;
use zstd::bulk::Decompressor;

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something stands already where the export should go.
    #[error("{0} is there already; name another place, or move it away")]
    Exists(PathBuf),
    /// What was asked for cannot be written in this format; the sentence says what can.
    #[error("{0}")]
    Refused(String),
    /// The disk, or whatever is written to.
    #[error("{path}: {cause}")]
    Io {
        /// What is written.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A file that belongs to the export cannot be read as it was kept.
    #[error("{file}: {reason}")]
    Damaged {
        /// Its name.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Writing failed in the middle.
    #[error("the export cannot be written: {0}")]
    Write(#[from] std::io::Error),
}

/// By which ids and addresses an export names posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// Those of where each post first stood; ours only for what never had any.
    #[default]
    Origin,
    /// Those that they have here.
    Mirror,
}

/// What is exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// By which ids.
    pub ids: Ids,
    /// Whether posts that are not public come too.
    pub include_private: bool,
    /// Nothing that was published before this moment.
    pub since: Option<DateTime<Utc>>,
    /// Nothing that was published at this moment or later.
    pub until: Option<DateTime<Utc>>,
    /// Only what has one of these hashtags (lower case, without `#`); all if there are none. A boost has none.
    pub tags: Vec<String>,
}

impl Options {
    /// Whether something of that moment, with these hashtags in whatever case, is exported.
    pub fn admits(&self, published: DateTime<Utc>, tags: &[String]) -> bool {
        let in_time =
            self.since.is_none_or(|since| published >= since) && self.until.is_none_or(|until| published < until);
        let has = |wanted: &String| tags.iter().any(|tag| tag.to_lowercase() == *wanted);
        in_time && (self.tags.is_empty() || self.tags.iter().any(has))
    }
}

/// Whose export it is, and what of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The account.
    pub account: Account,
    /// What is exported.
    pub options: Options,
    /// When the export began.
    pub now: DateTime<Utc>,
}

/// Another post that one refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its number here.
    pub id: PostId,
    /// Its ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
}

/// The source's own bytes for a post, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Which reader read them.
    pub format: Format,
    /// The bytes, compressed with zstd.
    pub bytes: Vec<u8>,
}

impl Kept {
    /// Bytes of an uncompressed source beyond which it is damaged: readers take posts of a few MiB at most.
    const LARGEST: usize = 256 << 20;

    /// The bytes, unpacked; `None` where they are damaged, which `verify` tells.
    pub fn unpacked(&self, unpacker: &mut Unpacker) -> Option<Vec<u8>> {
        let length = Decompressor::upper_bound(&self.bytes).filter(|length| *length <= Kept::LARGEST)?;
        if unpacker.0.is_none() {
            unpacker.0 = Decompressor::new().ok();
        }
        unpacker.0.as_mut()?.decompress(&self.bytes, length).ok()
    }
}

/// Unpacks sources, one after the other: setting it up costs more than a source takes.
#[derive(Default)]
pub struct Unpacker(Option<Decompressor<'static>>);

/// A post with what it refers to.
#[derive(Clone, Debug)]
pub struct PublicPost {
    /// The post.
    pub post: Post,
    /// The post here that it answers, as long as that one stands.
    pub parent: Option<Reference>,
    /// The post of the same account that it quotes, as long as that one stands.
    pub quoted: Option<Reference>,
    /// What it was read from.
    pub source: Option<Kept>,
}

/// A post passed on, with what it refers to.
#[derive(Clone, Debug)]
pub struct PublicBoost {
    /// The boost.
    pub boost: Boost,
    /// Its ActivityPub id at the origin, which is that of the activity.
    pub object_id: Option<String>,
    /// The post of the same account that it passes on. One that was withdrawn is passed on by nothing that is exported.
    pub of: Option<Reference>,
}

/// One thing of an export.
#[derive(Clone, Debug)]
pub enum Item {
    /// A post for everyone.
    Post(Box<PublicPost>),
    /// A boost for everyone.
    Boost(Box<PublicBoost>),
    /// A post, or a boost, that was not for everyone. Comes only when [`Options::include_private`] says so.
    Private(Box<PrivatePost>),
}

/// A file that belongs to an export.
#[derive(Clone, Debug, PartialEq)]
pub enum Media {
    /// A picture, film or sound of a public post or of the profile.
    Public(MediaFile),
    /// Its thumbnail in one of [`Picture::SLOTS`](crate::domain::post::Picture::SLOTS).
    Thumbnail(MediaFile, u32),
    /// One of a post that is not public.
    Private(PrivateFile),
}

/// Opens a file of an export, and gives as many bytes as it is said to have; `None` when it is not there.
/// Blocking. A private file that was damaged or exchanged is an error.
pub type Open<'a> = dyn FnMut(&Media) -> Result<Option<Box<dyn Read>>, Error> + 'a;

/// In which order a writer gets the items. Private ones come after all others, in the order in which they came here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By their numbers, which is nearly the order of time; a post before what answers it.
    #[default]
    Number,
    /// By conversation, each from its beginning; a conversation is never left and taken up again.
    Thread,
}

/// A list of people or hosts that belongs to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Who follows it, as `user@domain`, or by id where that is not known.
    Followers,
    /// Whom it blocks, likewise.
    BlockedAccounts,
    /// Domains that it blocks.
    BlockedDomains,
}

/// What a writer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The order of the items.
    pub order: Order,
    /// Whether it wants every file that an item shows once, after all items, instead of opening it beside each.
    pub files: bool,
    /// Whether it wants the account's lists.
    pub lists: bool,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Posts for everyone.
    pub posts: u64,
    /// Boosts for everyone.
    pub boosts: u64,
    /// Posts and boosts that are not public.
    pub private: u64,
    /// Files of posts and of the profile, each counted once.
    pub media: u64,
    /// Files that posts refer to and that are not here: what the origin called them stands in the export.
    pub media_missing: u64,
    /// Things that were left out, or are not whole, each in a sentence.
    pub notes: Vec<String>,
}

impl Summary {
    /// Count an item in, and the files that it lacks.
    pub(crate) fn count(&mut self, item: &Item) {
        let missing = match item {
            Item::Post(item) => {
                self.posts += 1;
                item.post.attachments.iter().filter(|attachment| attachment.file.is_none()).count()
            }
            Item::Boost(_) => {
                self.boosts += 1;
                0
            }
            Item::Private(post) => {
                self.private += 1;
                post.media.iter().filter(|media| media.file.is_none()).count()
            }
        };
        self.media_missing += missing as u64;
    }
}

/// Something that takes an account's posts one by one and makes an archive of them. Memory must not depend on how many.
///
/// It is called on one thread, which may block: [`item`](ArchiveWriter::item) for each, then
/// [`entry`](ArchiveWriter::entry) and [`file`](ArchiveWriter::file) where it wants them, then
/// [`finish`](ArchiveWriter::finish). After an error nothing more is called, and what was written is thrown away.
pub trait ArchiveWriter: Send {
    /// What it asks for; the same each time.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// Take the next item.
    fn item(&mut self, item: &Item, open: &mut Open<'_>) -> Result<(), Error>;

    /// Take the next line of a list; list after list.
    fn entry(&mut self, _list: List, _name: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Take the next file: each once, in no order that means anything.
    fn file(&mut self, _media: &Media, _open: &mut Open<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Write what is left, the profile above all, whose pictures are opened like any other file.
    fn finish(self: Box<Self>, open: &mut Open<'_>) -> Result<Summary, Error>;
}
