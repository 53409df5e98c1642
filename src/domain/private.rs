//! A post that was not for everyone. It is no `Post`, and nothing makes a `Post` or a `NewPost` of it.
//!
//! Who may name this module is a closed list in `tests/it/architecture.rs`: the import, the command line, export.

use super::source::{Format, MediaKind, SourceKey};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};

/// The number of a private post, on this server and in no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrivateId(pub i64);

impl std::fmt::Display for PrivateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A post for fewer people than everyone, or for nobody knows whom. Exists in memory only; stored it is sealed.
#[derive(Clone, PartialEq)]
pub struct PrivatePost {
    /// Its identity at the source.
    pub key: SourceKey,
    /// Who wrote it, where the source tells: `@ann@host.example`.
    pub author: Option<String>,
    /// The ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
    /// When it was published.
    pub published: DateTime<Utc>,
    /// Whether `published` is an estimate.
    pub date_estimated: bool,
    /// When its author last edited it.
    pub edited: Option<DateTime<Utc>>,
    /// What it passes on, by the id of that object: then it has no text.
    pub boost_of: Option<String>,
    /// The text.
    pub content: SafeHtml,
    /// Content warning.
    pub warning: Option<String>,
    /// Whether its media are sensitive.
    pub sensitive: bool,
    /// Language, as the source states it.
    pub language: Option<String>,
    /// Hashtags without `#`.
    pub tags: Vec<String>,
    /// Whom it names: of a direct message, who got it.
    pub mentions: Vec<String>,
    /// The key of the post that it answers.
    pub reply_to: Option<SourceKey>,
    /// Media in order, also those that are missing.
    pub media: Vec<PrivateMedia>,
    /// Which reader made it.
    pub format: Format,
    /// That reader's version.
    pub reader_version: i32,
    /// The source's own bytes, which tell all that the fields do not, the audience above all.
    pub source: Vec<u8>,
}

/// A picture, film or sound of a private post.
#[derive(Clone, PartialEq)]
pub struct PrivateMedia {
    /// The sealed file; `None` while it is missing.
    pub file: Option<PrivateFile>,
    /// What sort of file.
    pub kind: MediaKind,
    /// Alternative text.
    pub alt: Option<String>,
    /// What the source called it: a path or a URL.
    pub source_url: String,
}

/// A sealed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    /// Its name on disk, 64 hexadecimal digits which tell nothing without the key.
    pub name: String,
    /// Media type of what is in it, from its bytes.
    pub media_type: String,
    /// Extension that belongs to that type, without a dot.
    pub extension: String,
    /// Size of what is in it, in bytes.
    pub bytes: i64,
}

/// No word of it: what is printed for debugging ends in logs.
impl std::fmt::Debug for PrivatePost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivatePost")
    }
}

impl std::fmt::Debug for PrivateMedia {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateMedia")
    }
}
