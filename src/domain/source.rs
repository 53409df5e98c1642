//! A post as its source tells it, before anything of ours is decided: the waist of the hourglass.

use chrono::{DateTime, Utc};
use url::Url;

/// Which reader made a source post. A richer format replaces a poorer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A Hugo page bundle, one folder a thread, as the first Mastodon-to-Hugo converters wrote it.
    HugoBundle,
    /// The archive that Mastodon hands out: zip, tar.gz, unpacked, or its `outbox.json` alone.
    Mastodon,
    /// The backup that Pleroma and Akkoma hand out: the same shape without media.
    Pleroma,
}

impl Format {
    /// Every format, for messages and for reading a stored name.
    pub const ALL: [Format; 3] = [Format::HugoBundle, Format::Mastodon, Format::Pleroma];

    /// The name in the database, in `--json` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::HugoBundle => "hugo-bundle",
            Format::Mastodon => "mastodon",
            Format::Pleroma => "pleroma",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// How much a format tells about a post. Live sources will rank 40 like Mastodon archives; a Hugo bundle 30,
    /// a generic page 20, a day file 10.
    pub fn rank(self) -> u8 {
        match self {
            Format::HugoBundle => 30,
            Format::Mastodon | Format::Pleroma => 40,
        }
    }
}

/// Who wrote a source post: an account on another server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Author {
    /// The server's host (with its port, if it is not the usual one), lower case.
    pub host: String,
    /// The user's name as the source spells it.
    pub user: String,
}

impl std::fmt::Display for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "@{}@{}", self.user, self.host)
    }
}

/// What makes two source posts the same post, within one account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey(pub String);

impl std::fmt::Display for SourceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A link to a post on another server, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostLink {
    /// `mastodon:<host>:<status id>` for every Mastodon shape, else the normalised URL.
    pub key: SourceKey,
    /// Who wrote it, where the URL tells.
    pub author: Option<Author>,
    /// The status id, where the URL has Mastodon's shape.
    pub status: Option<i64>,
}

impl PostLink {
    /// Read a link. Mastodon's shapes are `/@u/N`, `/users/u/statuses/N` and `/ap/users/n/statuses/N`; a post of another
    /// server seen through its reader (`/@u@other/N`) is not one of them, because that id is the reader's.
    pub fn read(url: &Url) -> PostLink {
        let host = host_of(url);
        let segments: Vec<&str> =
            url.path_segments().map(|s| s.filter(|s| !s.is_empty()).collect()).unwrap_or_default();
        let (user, id) = match segments.as_slice() {
            [at_user, id] if at_user.starts_with('@') && !at_user[1..].contains('@') => (Some(&at_user[1..]), *id),
            ["users", user, "statuses", id] => (Some(*user), *id),
            ["ap", "users", _, "statuses", id] => (None, *id),
            _ => (None, ""),
        };
        let number = id.bytes().all(|b| b.is_ascii_digit()).then(|| id.parse::<i64>().ok()).flatten();
        match number {
            Some(number) if number > 0 => PostLink {
                key: SourceKey(format!("mastodon:{host}:{number}")),
                author: user.map(|user| Author { host, user: user.to_owned() }),
                status: Some(number),
            },
            _ => PostLink { key: SourceKey(normalised(url)), author: None, status: None },
        }
    }
}

/// The host of a URL, with its port where that is not the scheme's own.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default().to_lowercase();
    url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

/// One spelling for a canonical URL: `http` counts as `https`, no fragment, no trailing slash, no user.
fn normalised(url: &Url) -> String {
    let path = url.path().trim_end_matches('/');
    let query = url.query().map(|q| format!("?{q}")).unwrap_or_default();
    format!("https://{}{path}{query}", host_of(url))
}

/// Who a post was written for. Only the first two may ever become a [`Post`](super::post::Post).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceAudience {
    /// Everyone, listed everywhere.
    Public,
    /// Everyone who has the link.
    Unlisted,
    /// Anything narrower, or anything that we do not understand: unknown is never public.
    NotPublic,
}

/// Where a publish time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrigin {
    /// The front matter of a file.
    FrontMatter,
    /// The status id.
    StatusId,
    /// Neither could be trusted: the file's date plus a second for each position.
    Estimated,
}

impl DateOrigin {
    /// The name in the database.
    pub fn name(self) -> &'static str {
        match self {
            DateOrigin::FrontMatter => "front_matter",
            DateOrigin::StatusId => "status_id",
            DateOrigin::Estimated => "estimated",
        }
    }
}

/// What sort of file an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film, with or without sound.
    Video,
    /// Sound.
    Audio,
}

impl MediaKind {
    /// The name in the database and on pages.
    pub fn name(self) -> &'static str {
        match self {
            MediaKind::Image => "image",
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
        }
    }

    /// The kind of a media type, `None` for what is neither picture, film nor sound.
    pub fn of_type(media_type: &str) -> Option<MediaKind> {
        match media_type.split_once('/')?.0 {
            "image" => Some(MediaKind::Image),
            "video" => Some(MediaKind::Video),
            "audio" => Some(MediaKind::Audio),
            _ => None,
        }
    }
}

/// A picture, film or sound that a source post refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceMedia {
    /// What the source wrote: a path beside the post, or an absolute URL.
    pub reference: String,
    /// The kind that the markup implies.
    pub kind: MediaKind,
    /// The alternative text.
    pub alt: Option<String>,
    /// What richer sources tell about the file.
    pub told: MediaTold,
}

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
    /// The account at its own server.
    pub author: Option<Author>,
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

/// A post as its source tells it. Nothing in it is trusted yet: the HTML is raw, the tags are as spelled.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePost {
    /// Where in the source it stands: a file and line, for messages. Never words of it, for it may not be public.
    pub at: String,
    /// Its identity within the account.
    pub key: SourceKey,
    /// Who wrote it, where the source tells.
    pub author: Option<Author>,
    /// The status id of its own server, where it has one.
    pub status: Option<i64>,
    /// The ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// Whether the source states `object_id`, or we derived it from the page's URL.
    pub object_id_stated: bool,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
    /// Who it was for.
    pub audience: SourceAudience,
    /// When it was published, to the millisecond where known.
    pub published: DateTime<Utc>,
    /// Where `published` comes from.
    pub date_origin: DateOrigin,
    /// When its author last edited it, if the source says so.
    pub edited: Option<DateTime<Utc>>,
    /// The text as raw HTML.
    pub html: String,
    /// The content warning.
    pub warning: Option<String>,
    /// Whether its media are marked as sensitive.
    pub sensitive: bool,
    /// The language that the source states, a BCP 47 tag.
    pub language: Option<String>,
    /// Hashtags without `#`.
    pub tags: Vec<String>,
    /// The post that it answers.
    pub reply_to: Option<SourceKey>,
    /// Its media in order.
    pub media: Vec<SourceMedia>,
    /// What richer sources tell beyond that.
    pub told: Told,
    /// The source's own bytes for this post, kept for ever beside it.
    pub bytes: Vec<u8>,
    /// Which format it was read from.
    pub format: Format,
    /// The version of the reader that read it; a newer reader may re-read what is unchanged.
    pub reader_version: i32,
}

/// An item of a source that could not be read: data, not an error. The rest goes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where in the source it stands.
    pub at: String,
    /// Why, in a sentence that says what to do where something can be done.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> PostLink {
        PostLink::read(&url.parse().unwrap())
    }

    #[test]
    fn every_mastodon_url_of_a_post_gives_the_same_key() {
        let page = read("https://Hachyderm.io/@mweagle/112215823989566555");
        let object = read("https://hachyderm.io/users/mweagle/statuses/112215823989566555");
        let numeric = read("https://hachyderm.io/ap/users/42/statuses/112215823989566555");
        assert_eq!(page.key.0, "mastodon:hachyderm.io:112215823989566555");
        assert_eq!(page.key, object.key);
        assert_eq!(page.key, numeric.key);
        assert_eq!(page.author, object.author);
        assert_eq!(numeric.author, None, "the number of an account is not its name");
    }

    #[test]
    fn a_post_seen_through_another_server_is_not_taken_for_that_servers_own() {
        let link = read("https://reader.example/@ann@origin.example/112215823989566555");
        assert_eq!((link.status, link.author), (None, None));
    }

    #[test]
    fn a_canonical_url_has_one_spelling() {
        for url in ["http://Blog.example/a/b/", "https://blog.example/a/b#top", "https://ann@blog.example:443/a/b"] {
            assert_eq!(read(url).key.0, "https://blog.example/a/b");
        }
        assert_eq!(read("https://blog.example:8443/a?b=1").key.0, "https://blog.example:8443/a?b=1");
    }
}
