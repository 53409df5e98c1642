//! A post as its source tells it, before anything of ours is decided: the waist of the hourglass.
//! What only the richer sources tell stands in `told.rs`.

use super::told::{MediaTold, Told};
use chrono::{DateTime, Utc};
use url::Url;

/// Which reader made a source post. A richer format replaces a poorer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// A Hugo page bundle, one folder a thread, as the first Mastodon-to-Hugo converters wrote it.
    HugoBundle,
    /// A page for each status, as mastodon-markdown-archive writes it.
    HugoStatus,
    /// Any post of a Hugo or Jekyll site that says where it first stood.
    HugoPage,
    /// A page for each day with all its threads, as later Mastodon-to-Hugo converters write it.
    HugoDay,
    /// The archive that Mastodon hands out: zip, tar.gz, unpacked, or its `outbox.json` alone.
    Mastodon,
    /// The backup that Pleroma and Akkoma hand out: the same shape without media.
    Pleroma,
    /// A line of JSON for each activity, as Everpost writes them for scripts: media are links.
    Jsonl,
}

impl Format {
    /// Every format, for messages and for reading a stored name.
    pub const ALL: [Format; 7] = [
        Format::HugoBundle,
        Format::HugoStatus,
        Format::HugoPage,
        Format::HugoDay,
        Format::Mastodon,
        Format::Pleroma,
        Format::Jsonl,
    ];

    /// The name in the database, in `--json` and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Format::HugoBundle => "hugo-bundle",
            Format::HugoStatus => "hugo-status",
            Format::HugoPage => "hugo-page",
            Format::HugoDay => "hugo-day",
            Format::Mastodon => "mastodon",
            Format::Pleroma => "pleroma",
            Format::Jsonl => "jsonl",
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// How much a format tells about a post; no two tell as much. The archives of servers tell all that there is, as live
    /// sources will; a backup of Pleroma is without its media, and so are lines of JSON.
    ///
    /// A bundle has the server's own HTML. A status page has the exact time, the object's id and what it answers, but
    /// its text went through Markdown and its films are gone. A generic page is what somebody made of a post. A day file
    /// has a day instead of a time, plain text without its hashtags, and no object ids.
    pub fn rank(self) -> u8 {
        match self {
            Format::Mastodon => 40,
            Format::Pleroma => 39,
            Format::Jsonl => 38,
            Format::HugoBundle => 30,
            Format::HugoStatus => 25,
            Format::HugoPage => 20,
            Format::HugoDay => 10,
        }
    }

    /// Whether its posts are activities as they stood in a server's archive.
    pub fn is_activities(self) -> bool {
        matches!(self, Format::Mastodon | Format::Pleroma | Format::Jsonl)
    }

    /// Whether posts of this format can have a content warning. One that cannot never takes one away.
    pub fn tells_warnings(self) -> bool {
        match self {
            Format::HugoBundle | Format::HugoStatus => false,
            Format::HugoPage | Format::HugoDay | Format::Mastodon | Format::Pleroma | Format::Jsonl => true,
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

/// The address that a text is, where a browser may be sent to it.
pub fn web_address(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(is_web)
}

/// Whether an address is one of the web.
pub fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
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
    ///
    /// GoToSocial's two shapes of one post give one key, and so do the two pages of Pleroma and Akkoma. The id of the
    /// activity that made a post (`…/activity`) is read as the post's.
    pub fn read(url: &Url) -> PostLink {
        let host = host_of(url);
        let mut segments: Vec<&str> =
            url.path_segments().map(|s| s.filter(|s| !s.is_empty()).collect()).unwrap_or_default();
        if let ["users", _, "statuses", _, "activity"]
        | ["ap", "users", _, "statuses", _, "activity"]
        | ["objects" | "notes", _, "activity"] = segments.as_slice()
        {
            segments.pop();
        }
        let (user, id) = match segments.as_slice() {
            [at_user, id] if is_own_page(at_user) => (Some(&at_user[1..]), *id),
            [at_user, "statuses" | "posts", id] if is_own_page(at_user) => (Some(&at_user[1..]), *id),
            ["users", user, "statuses", id] => (Some(*user), *id),
            ["ap", "users", _, "statuses", id] | ["objects" | "notice" | "notes", id] => (None, *id),
            _ => (None, ""),
        };
        let author = user.map(|user| Author { host: host.clone(), user: user.to_owned() });
        let number = id.bytes().all(|b| b.is_ascii_digit()).then(|| id.parse::<i64>().ok()).flatten();
        let (key, author, status) = match (segments.as_slice(), number.filter(|number| *number > 0)) {
            ([_, _] | ["users", ..] | ["ap", ..], Some(number))
                if !matches!(segments[0], "objects" | "notice" | "notes") =>
            {
                (format!("mastodon:{host}:{number}"), author, Some(number))
            }
            ([_, "statuses", id] | ["users", _, "statuses", id], _) if is_ulid(id) => {
                let user = user.unwrap_or_default().to_lowercase();
                (format!("https://{host}/users/{user}/statuses/{id}"), author, None)
            }
            ([_, "posts", id], _) if author.is_some() => (format!("https://{host}/notice/{id}"), author, None),
            (["objects" | "notice" | "notes", id], _) => (format!("https://{host}/{}/{id}", segments[0]), None, None),
            _ => (normalised(url), None, None),
        };
        PostLink { key: SourceKey(key), author, status }
    }
}

impl Author {
    /// Who an actor's id or profile names: `/users/u` or `/@u`. The number of `/ap/users/n` is no name.
    pub fn of_actor(url: &Url) -> Option<Author> {
        let segments: Vec<&str> = url.path_segments()?.filter(|s| !s.is_empty()).collect();
        let user = match segments.as_slice() {
            ["users", user] => *user,
            [at_user] if is_own_page(at_user) => &at_user[1..],
            _ => return None,
        };
        Some(Author { host: host_of(url), user: user.to_owned() })
    }

    /// The host of an actor's id, as authors have it.
    pub fn host_of(url: &Url) -> Option<String> {
        url.has_host().then(|| host_of(url))
    }
}

/// Whether a path's segment is `@user`, and not `@user@elsewhere`.
fn is_own_page(segment: &str) -> bool {
    segment.len() > 1 && segment.starts_with('@') && !segment[1..].contains('@')
}

/// Whether this is an id of GoToSocial: 26 characters of Crockford's alphabet.
fn is_ulid(id: &str) -> bool {
    id.len() == 26 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
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

impl SourceAudience {
    /// The narrower of two.
    pub fn narrower(self, other: SourceAudience) -> SourceAudience {
        match (self, other) {
            (SourceAudience::Public, SourceAudience::Public) => SourceAudience::Public,
            (SourceAudience::NotPublic, _) | (_, SourceAudience::NotPublic) => SourceAudience::NotPublic,
            _ => SourceAudience::Unlisted,
        }
    }
}

/// Where a publish time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrigin {
    /// The post's own server states it, beside the post.
    Stated,
    /// A page states it, in its front matter or its name.
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
            DateOrigin::Stated => "stated",
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
    /// What its reader changed or left out.
    pub remarks: Vec<Remark>,
}

/// Something about a post that came in, and not quite as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Where in the source it stands: a file and line.
    pub at: String,
    /// What was changed or left out, in a sentence.
    pub note: String,
    /// Whether something is lost by it that its readers saw before.
    pub loss: bool,
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
        for activity in ["users/mweagle", "ap/users/42"] {
            let made = read(&format!("https://hachyderm.io/{activity}/statuses/112215823989566555/activity"));
            assert_eq!((made.key, made.status), (page.key.clone(), page.status));
        }
    }

    #[test]
    fn the_shapes_of_other_servers_give_one_key_a_post() {
        let one = "01HTP2V7Q4Y6X3K8N5M9R1S2T0";
        let page = read(&format!("https://gts.example/@ann/statuses/{one}"));
        assert_eq!(page.key.0, format!("https://gts.example/users/ann/statuses/{one}"));
        assert_eq!(page, read(&format!("https://gts.example/users/ann/statuses/{one}")));
        assert_eq!(page.author.unwrap().to_string(), "@ann@gts.example");
        let notice = read("https://pl.example/notice/AaBbCc123");
        assert_eq!(notice.key.0, "https://pl.example/notice/AaBbCc123");
        assert_eq!(read("https://pl.example/@ann/posts/AaBbCc123").key, notice.key);
        let object = "https://pl.example/objects/5b1ae2f0-0000-4000-8000-000000000001";
        assert_eq!(read(object).key.0, object);
        assert_eq!(read(&format!("{object}/activity")).key.0, object);
        assert_eq!(read("https://mk.example/notes/9abc/activity").key.0, "https://mk.example/notes/9abc");
        assert_eq!(read("https://pl.example/notice/123").status, None, "a number there is no status id of Mastodon's");
        assert_eq!(read("https://px.example/p/ann/112215823989566555").status, None, "nor is one of Pixelfed's");
    }

    #[test]
    fn an_actor_names_its_author_unless_it_has_a_number() {
        let of = |url: &str| Author::of_actor(&url.parse().unwrap()).map(|author| author.to_string());
        assert_eq!(of("https://m.example/users/ann").as_deref(), Some("@ann@m.example"));
        assert_eq!(of("https://m.example/@ann").as_deref(), Some("@ann@m.example"));
        assert_eq!(of("https://m.example/ap/users/42"), None);
        assert_eq!(of("https://m.example/@ann@elsewhere.example"), None);
    }

    #[test]
    fn a_post_seen_through_another_server_is_not_taken_for_that_servers_own() {
        let link = read("https://reader.example/@ann@origin.example/112215823989566555");
        assert_eq!((link.status, link.author), (None, None));
    }

    #[test]
    fn every_format_has_a_name_and_a_rank_of_its_own() {
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(format));
            assert_eq!(Format::ALL.iter().filter(|other| other.rank() == format.rank()).count(), 1, "{format:?}");
        }
        assert_eq!(Format::named("something else"), None);
    }

    #[test]
    fn a_canonical_url_has_one_spelling() {
        for url in ["http://Blog.example/a/b/", "https://blog.example/a/b#top", "https://ann@blog.example:443/a/b"] {
            assert_eq!(read(url).key.0, "https://blog.example/a/b");
        }
        assert_eq!(read("https://blog.example:8443/a?b=1").key.0, "https://blog.example:8443/a?b=1");
    }
}
