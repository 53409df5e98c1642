//! What people on other servers did with a post here: likes, boosts, emoji, replies.

use super::ids::PostId;
use super::remote::KnownActor;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};

/// How somebody reacted to a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReactionKind {
    /// They like it. Misskey sends every emoji as a like.
    Like,
    /// They passed it on.
    Boost,
    /// They gave it an emoji, as Pleroma does; one can give several.
    Emoji,
}

impl ReactionKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReactionKind::Like => "like",
            ReactionKind::Boost => "boost",
            ReactionKind::Emoji => "emoji",
        }
    }
}

/// How much came for a post since it stands here. What its origin had is in its details.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echo {
    /// People who like it.
    pub likes: u64,
    /// People who passed it on.
    pub boosts: u64,
    /// Emoji that it was given.
    pub emoji: u64,
    /// Replies below it, however deep.
    pub replies: u64,
    /// When any of it last changed; `None`: nothing ever came.
    pub changed: Option<DateTime<Utc>>,
}

/// Who wrote a reply, as far as that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyAuthor {
    /// Their id.
    pub uri: String,
    /// `user@domain`.
    pub handle: Option<String>,
    /// The display name as plain text; may be empty.
    pub name: String,
    /// Their page.
    pub page: Option<String>,
}

/// A reply of somebody on another server, for everyone to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The post of ours that it stands below.
    pub post: PostId,
    /// Who wrote it.
    pub author: ReplyAuthor,
    /// Its id.
    pub uri: String,
    /// The id of what it answers.
    pub answers: String,
    /// How many steps it is below the post, from 1.
    pub depth: u16,
    /// Its page.
    pub page: Option<String>,
    /// The text.
    pub content: SafeHtml,
    /// The content warning.
    pub warning: Option<String>,
    /// The language of the text.
    pub language: Option<String>,
    /// When it was published, as its server says, and not after it came.
    pub published: DateTime<Utc>,
    /// When its author last changed it.
    pub updated: Option<DateTime<Utc>>,
}

impl Reply {
    /// Steps below a post that are kept.
    pub const DEEPEST: u16 = 50;
    /// Replies below a post that are kept.
    pub const MOST: i64 = 1000;
    /// Replies of one actor below a post that are kept.
    pub const MOST_OF_ONE: i64 = 50;
    /// Longest text that is kept, in bytes of HTML.
    pub const LONGEST: usize = 64 * 1024;

    /// Whether it answers the post itself.
    pub fn is_direct(&self) -> bool {
        self.depth == 1
    }
}

/// Something to be fetched because of what was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// What it is for.
    pub kind: ErrandKind,
    /// What to fetch.
    pub url: String,
    /// The host of who made us want it.
    pub cause: String,
}

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrandKind {
    /// The object may answer one of our posts.
    Reply,
    /// An actor has changed.
    Actor,
}

impl ErrandKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrandKind::Reply => "reply",
            ErrandKind::Actor => "actor",
        }
    }

    /// The kind of a word.
    pub fn parse(word: &str) -> Option<ErrandKind> {
        [ErrandKind::Reply, ErrandKind::Actor].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A report that somebody sent to the owner of an account.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Who sent it: most servers send it as their server actor.
    pub from: KnownActor,
    /// Ids of what it is about.
    pub objects: Vec<String>,
    /// Why.
    pub content: String,
    /// When it came.
    pub at: DateTime<Utc>,
}
