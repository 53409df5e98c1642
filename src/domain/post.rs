//! A post of ours, which anyone may read: public or unlisted, there is no other kind.

use super::details::Details;
use super::echo::Echo;
use super::ids::{AccountId, ContextId, PostId};
use super::source::{DateOrigin, Format, MediaKind, Remark, SourceAudience, SourceKey};
use super::told::MediaTold;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};

/// Who sees a post. A narrower audience cannot be written down here, so it cannot leak from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Everyone, listed everywhere.
    Public,
    /// Everyone who has the link.
    Unlisted,
}

impl Visibility {
    /// The name in the database and in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Unlisted => "unlisted",
        }
    }

    /// The visibility of a source post, `None` for one that is not for everyone.
    pub fn of(audience: SourceAudience) -> Option<Visibility> {
        match audience {
            SourceAudience::Public => Some(Visibility::Public),
            SourceAudience::Unlisted => Some(Visibility::Unlisted),
            SourceAudience::NotPublic => None,
        }
    }
}

/// A file in the media store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFile {
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Extension that belongs to its type, without a dot.
    pub extension: String,
    /// Media type, from its bytes and not from its name.
    pub media_type: String,
    /// Size in bytes.
    pub bytes: i64,
    /// Its figures, for a picture that could be measured.
    pub picture: Option<Picture>,
}

impl MediaFile {
    /// `<sha256>.<extension>`, its name in URLs and on disk.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.sha256, self.extension)
    }

    /// `<sha256>.<slot>.webp`, the name of a thumbnail in URLs and on disk.
    pub fn thumbnail_name(&self, slot: u32) -> String {
        format!("{}.{slot}.webp", self.sha256)
    }
}

/// What a picture looks like before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels as it is shown: a picture that says it lies on its side is turned. At least 1.
    pub width: u32,
    /// Height in pixels as it is shown. At least 1.
    pub height: u32,
    /// Its blurhash; `None` where it was measured and could not be decoded.
    pub blurhash: Option<String>,
    /// The thumbnails that there are, of [`Picture::SLOTS`], in ascending order.
    pub thumbnails: Vec<u32>,
}

impl Picture {
    /// Greatest widths of thumbnails, in pixels, in ascending order. On our pages a picture is at most 36rem (576) wide, and
    /// half of that beside another one: 600 serves both on plain screens, 1200 is for dense ones.
    pub const SLOTS: [u32; 2] = [600, 1200];

    /// Version of the rules by which figures are made. A stored file with an older one is looked at again on request.
    pub const VERSION: i16 = 1;

    /// Width and height in pixels of the thumbnail in a slot: never wider than the picture.
    pub fn thumbnail_size(&self, slot: u32) -> (u32, u32) {
        let width = slot.min(self.width);
        let height = u64::from(self.height) * u64::from(width) / u64::from(self.width.max(1));
        (width, u32::try_from(height).unwrap_or(u32::MAX).max(1))
    }
}

/// A picture, film or sound of a post.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    /// The stored file; `None` while the file is missing.
    pub file: Option<MediaFile>,
    /// What sort of file.
    pub kind: MediaKind,
    /// Alternative text.
    pub alt: Option<String>,
    /// What the source called it: a path or a URL.
    pub source_url: String,
    /// What else the source told about it.
    pub told: MediaTold,
}

/// A post that stands here and can be read by anyone.
#[derive(Clone, Debug, PartialEq)]
pub struct Post {
    /// Its number.
    pub id: PostId,
    /// Whose it is.
    pub account: AccountId,
    /// Its identity at the source.
    pub key: SourceKey,
    /// The ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// Whether the source states `object_id`.
    pub object_id_stated: bool,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
    /// Who sees it.
    pub visibility: Visibility,
    /// When it was published: its own date, whenever it came here.
    pub published: DateTime<Utc>,
    /// Whether `published` is an estimate.
    pub date_estimated: bool,
    /// When its text last changed, if it did.
    pub updated: Option<DateTime<Utc>>,
    /// The text.
    pub content: SafeHtml,
    /// Content warning.
    pub warning: Option<String>,
    /// Whether its media are sensitive.
    pub sensitive: bool,
    /// Language, an ISO 639-1 code.
    pub language: Option<String>,
    /// Hashtags without `#`.
    pub tags: Vec<String>,
    /// The post here that it answers, as long as that one stands.
    pub reply_to: Option<PostId>,
    /// Whether its conversation begins with a reply to a post that is not here.
    pub to_others: bool,
    /// Whether it is published: a reply to others is only kept, unless the account's owner wants it published.
    pub listed: bool,
    /// The conversation.
    pub context: ContextId,
    /// Media in order, also those whose file is missing.
    pub attachments: Vec<Attachment>,
    /// What else its source told.
    pub details: Details,
    /// The post of the same account that it quotes, as long as that one stands.
    pub quoted: Option<PostId>,
    /// What others did with it since it stands here.
    pub echo: Echo,
    /// When its row last changed.
    pub changed: DateTime<Utc>,
    /// When it first answered under a name that is for ever.
    pub exposed: Option<DateTime<Utc>>,
}

/// A post passed on: somebody else's, or the account's own. Served only where the account's owner wants that.
#[derive(Clone, Debug, PartialEq)]
pub struct Boost {
    /// Its number.
    pub id: PostId,
    /// Whose it is.
    pub account: AccountId,
    /// Its identity at the source.
    pub key: SourceKey,
    /// The id of the object that is passed on.
    pub object: String,
    /// That object, if it is a post of the same account here, also one that was withdrawn.
    pub ours: Option<PostId>,
    /// Who sees it.
    pub visibility: Visibility,
    /// When it was passed on.
    pub published: DateTime<Utc>,
    /// Whether it is published: only where the account's owner wants that.
    pub listed: bool,
    /// When its row last changed.
    pub changed: DateTime<Utc>,
    /// When it first answered under a name that is for ever.
    pub exposed: Option<DateTime<Utc>>,
}

/// What is left of a withdrawn post: number, key and date.
#[derive(Clone, Debug, PartialEq)]
pub struct Tombstone {
    /// Its number.
    pub id: PostId,
    /// Whose it was.
    pub account: AccountId,
    /// Its identity at the source.
    pub key: SourceKey,
    /// When it had been published.
    pub published: DateTime<Utc>,
    /// When it was withdrawn.
    pub withdrawn: DateTime<Utc>,
    /// Whether its next import may bring it back.
    pub awaited: bool,
}

/// What an account shows in its outbox and on its page.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// A post.
    Post(Box<Post>),
    /// A post passed on.
    Boost(Boost),
}

impl Entry {
    /// Its number.
    pub fn id(&self) -> PostId {
        match self {
            Entry::Post(post) => post.id,
            Entry::Boost(boost) => boost.id,
        }
    }

    /// The post; `None` for a boost.
    pub fn post(&self) -> Option<&Post> {
        match self {
            Entry::Post(post) => Some(post),
            Entry::Boost(_) => None,
        }
    }

    /// When it first answered under a name that is for ever.
    pub fn exposed(&self) -> Option<DateTime<Utc>> {
        match self {
            Entry::Post(post) => post.exposed,
            Entry::Boost(boost) => boost.exposed,
        }
    }
}

/// What stands at a post's URL.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// A post.
    Live(Box<Post>),
    /// A post passed on.
    Boost(Boost),
    /// The trace of one.
    Withdrawn(Tombstone),
}

/// A post ready to be stored: sanitised, judged to be for everyone, its media in the store.
#[derive(Clone, Debug)]
pub struct NewPost {
    /// Where in the source it stands, for the report.
    pub at: String,
    /// Its identity at the source.
    pub key: SourceKey,
    /// The first number to try.
    pub preferred_id: PostId,
    /// The ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// Whether the source states `object_id`.
    pub object_id_stated: bool,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
    /// Who sees it.
    pub visibility: Visibility,
    /// When it was published.
    pub published: DateTime<Utc>,
    /// Where that date comes from.
    pub date_origin: DateOrigin,
    /// When its author last edited it.
    pub edited: Option<DateTime<Utc>>,
    /// The text.
    pub content: SafeHtml,
    /// Content warning.
    pub warning: Option<String>,
    /// Whether its media are sensitive.
    pub sensitive: bool,
    /// Language.
    pub language: Option<String>,
    /// Hashtags without `#`.
    pub tags: Vec<String>,
    /// The key of the post that it answers.
    pub reply_to: Option<SourceKey>,
    /// Media in order.
    pub attachments: Vec<Attachment>,
    /// What else its source told.
    pub details: Details,
    /// The id of the object that it passes on, if it is a boost; it has no text of its own then.
    pub boost_of: Option<String>,
    /// The key of the post of the same account that it quotes or passes on, if that is one.
    pub refers_to: Option<SourceKey>,
    /// Which reader made it.
    pub format: Format,
    /// That reader's version.
    pub reader_version: i32,
    /// SHA-256 of the source's bytes.
    pub source_sha256: [u8; 32],
    /// The source's bytes, compressed with zstd.
    pub source_bytes: Vec<u8>,
    /// What is not quite as it was at the source, for the report.
    pub remarks: Vec<Remark>,
}

/// What storing a post came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    Created(PostId),
    /// It was there and changed.
    Updated(PostId),
    /// It was there already.
    Unchanged(PostId),
    /// It may not come in, for the reason given.
    Refused(String),
}
