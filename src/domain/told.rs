//! What richer sources tell about a post, its media and its account, beyond text and date. Data alone.

use super::source::{Author, SourceKey};
use chrono::{DateTime, Utc};

/// What a source tells about a media file besides where it is. Not checked against the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaTold {
    /// Its media type.
    pub media_type: Option<String>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// The point to keep in view: x and y from -1 to 1, the middle being 0.
    pub focal_point: Option<(f64, f64)>,
    /// A blurred picture of it, in the blurhash notation.
    pub blurhash: Option<String>,
    /// How long it plays, an ISO 8601 duration.
    pub duration: Option<String>,
    /// Where a still picture of it is: a path in the archive, or a URL.
    pub icon: Option<String>,
}

/// What sort of object a post is at its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// A short text, as nearly everything is.
    #[default]
    Note,
    /// A poll.
    Question,
    /// An object of another type: `Article`, `Page`, `Video`, `Audio`, `Event` or `Image`.
    Other(String),
    /// Somebody else's post, or one's own, passed on: the id of that object. Has no text of its own.
    Boost(String),
}

/// One possible answer of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollOption {
    /// Its text.
    pub name: String,
    /// Votes for it; `None` where the source does not tell.
    pub votes: Option<u64>,
}

/// A poll as it stood when it was archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Whether one voter may choose several options.
    pub multiple: bool,
    /// The options in order.
    pub options: Vec<PollOption>,
    /// When voting ends or ended.
    pub ends: Option<DateTime<Utc>>,
    /// When it was closed, if it was.
    pub closed: Option<DateTime<Utc>>,
    /// How many people voted.
    pub voters: Option<u64>,
}

impl Poll {
    /// The same, closed at the latest `now`. An archived poll takes no votes: where nobody tells, it counts as closed when
    /// it was to end, else when it was `published` (R-61: archived polls always say when they were closed).
    pub fn closed(self, published: DateTime<Utc>, now: DateTime<Utc>) -> Poll {
        Poll { closed: Some(self.closed.or(self.ends).unwrap_or(published).min(now)), ..self }
    }
}

/// A person that a post names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The person's id or profile.
    pub href: String,
    /// As the source writes it: `@ann@host.example`.
    pub name: String,
}

/// A custom emoji that a text uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emoji {
    /// With its colons: `:blobcat:`.
    pub shortcode: String,
    /// Where its picture is or was, if the source tells.
    pub url: Option<String>,
}

/// How often others reacted, as far as the source tells. Numbers only: no actor is ever invented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Likes.
    pub likes: Option<u64>,
    /// Boosts.
    pub boosts: Option<u64>,
    /// Replies.
    pub replies: Option<u64>,
}

/// What richer sources tell about a post beyond text, date and media. Empty for those that do not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// What sort of object it is.
    pub kind: SourceKind,
    /// Its title: articles and events have one.
    pub title: Option<String>,
    /// What an article, an event or a film is about, as raw HTML. A Note has a warning in that place instead.
    pub summary: Option<String>,
    /// The text as its author wrote it, before it became HTML, and the media type of that.
    pub written: Option<(String, String)>,
    /// The text as raw HTML by language (BCP 47), where the source tells several; the first is the main one.
    pub languages: Vec<(String, String)>,
    /// People whom it names.
    pub mentions: Vec<Mention>,
    /// Custom emoji in its text, its warning and its poll.
    pub emoji: Vec<Emoji>,
    /// Its poll.
    pub poll: Option<Poll>,
    /// The id of the object that it quotes.
    pub quote: Option<String>,
    /// The identity that the object which it quotes or passes on would have as a post of the same account.
    pub refers_to: Option<SourceKey>,
    /// The id of the object that it answers, whether we have that or not.
    pub answers: Option<String>,
    /// The conversation's id at the source.
    pub conversation: Option<String>,
    /// Reactions at the time of the archive.
    pub totals: Totals,
}

/// Who an archive is from, as it tells itself. Nothing in it is trusted yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceProfile {
    /// The account at its own server, by the host in its id.
    pub author: Option<Author>,
    /// What others call it, `ann@host.example`: its host may be another one than that of its id.
    pub handle: Option<String>,
    /// Its ActivityPub id.
    pub actor: Option<String>,
    /// Display name, plain text.
    pub name: String,
    /// Bio as raw HTML.
    pub summary_html: String,
    /// Rows of the profile's table: name, and value as raw HTML.
    pub fields: Vec<(String, String)>,
    /// The avatar: a path in the archive, or a URL.
    pub avatar: Option<String>,
    /// The header picture, likewise.
    pub header: Option<String>,
    /// When the account was made at its server.
    pub published: Option<DateTime<Utc>>,
    /// Other ids of the same person.
    pub also_known_as: Vec<String>,
    /// Where it moved to, if it did.
    pub moved_to: Option<String>,
    /// Whether its server could suggest it to others: offered, never taken over by itself.
    pub discoverable: bool,
    /// Whether its posts could be indexed: offered, never taken over by itself.
    pub indexable: bool,
    /// Whether its server had suspended it.
    pub suspended: bool,
    /// Custom emoji in name, bio and fields.
    pub emoji: Vec<Emoji>,
    /// Liked and bookmarked posts that the archive lists; they are private, counted, and never stored.
    pub private_lists: (u64, u64),
}
