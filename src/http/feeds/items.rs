//! Posts and boosts as entries of a feed, the same for every format: their addresses are whole, and a reader that knows
//! nothing of warnings shows nothing that the page hides.

use crate::activitystreams::render::{is_web_address, timestamp};
use crate::domain::account::Account;
use crate::domain::post::{Boost, Entry, Post};
use crate::domain::source::MediaKind;
use crate::http::entries::{LinkView, PollView, host};
use crate::http::images::{ImageView, ROW, small};
use crate::http::paths::Paths;
use askama::Template;
use chrono::{DateTime, Utc};

/// Characters of the title of an entry that has none of its own.
const TITLE: usize = 70;

/// One entry.
pub struct Item {
    pub(super) id: String,
    /// Its page.
    pub(super) url: String,
    /// Where it first stood.
    pub(super) original: Option<String>,
    /// A title of its own.
    pub(super) title: Option<String>,
    /// What stands for it in a list: never empty.
    pub(super) label: String,
    /// What it warns of, in a sentence.
    pub(super) warning: Option<String>,
    pub(super) html: String,
    pub(super) language: Option<String>,
    pub(super) published: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
    pub(super) tags: Vec<String>,
    pub(super) enclosures: Vec<Enclosure>,
    pub(super) author: Author,
}

/// A file of an entry that may be shown without asking.
pub struct Enclosure {
    pub(super) url: String,
    pub(super) media_type: String,
    pub(super) bytes: i64,
    pub(super) alt: Option<String>,
}

/// Who wrote an entry.
#[derive(Clone)]
pub struct Author {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) avatar: Option<String>,
}

impl Author {
    /// An account as an author.
    pub fn of(account: &Account) -> Author {
        let urls = account.urls();
        Author {
            name: account.display_name().to_owned(),
            avatar: account.profile.avatar.as_ref().map(|file| urls.domain().path(&small(file, &Paths::of_server()))),
            url: urls.profile(),
        }
    }
}

/// A picture, film or sound in the text of an entry.
struct MediaView {
    kind: &'static str,
    url: String,
    preview: String,
    alt: Option<String>,
    media_type: String,
}

/// The text of an entry.
#[derive(Template)]
#[template(path = "feed_entry.html")]
struct Text<'a> {
    warning: Option<&'a str>,
    answers: Option<LinkView>,
    content_html: &'a str,
    poll: Option<PollView>,
    quotes: Option<LinkView>,
    media: Vec<MediaView>,
    /// Whether pictures are only linked.
    hidden: bool,
    sensitive: bool,
    original: Option<(&'a str, Option<String>)>,
}

impl Item {
    pub(super) fn published_iso(&self) -> String {
        timestamp(self.published)
    }

    pub(super) fn updated_iso(&self) -> String {
        timestamp(self.updated)
    }

    /// As RSS has it (RFC 822, with four digits for the year).
    pub(super) fn published_mail(&self) -> String {
        self.published.to_rfc2822()
    }

    /// An entry of an account's.
    pub fn new(entry: &Entry, account: &Account) -> Item {
        match entry {
            Entry::Post(post) => Item::of_post(post, account),
            Entry::Boost(boost) => Item::of_boost(boost, account),
        }
    }

    fn of_post(post: &Post, account: &Account) -> Item {
        let urls = account.urls();
        let warning = post.warning.as_ref().map(|warning| format!("Content warning: {warning}"));
        let hidden = post.sensitive || warning.is_some();
        let files: Vec<_> = post.attachments.iter().filter_map(|a| Some((a, a.file.as_ref()?))).collect();
        let media = files.iter().map(|(attachment, file)| MediaView {
            kind: match attachment.kind {
                MediaKind::Image => "Picture",
                MediaKind::Video => "Video",
                MediaKind::Audio => "Audio",
            },
            url: urls.domain().media(&file.file_name()),
            preview: urls.domain().path(&ImageView::new(file, ROW, &Paths::of_server()).src),
            alt: attachment.alt.clone(),
            media_type: file.media_type.clone(),
        });
        // What a page shows only after a click is a link here and no enclosure: many readers show those at once.
        let enclosures = files.iter().filter(|_| !hidden).map(|(attachment, file)| Enclosure {
            url: urls.domain().media(&file.file_name()),
            media_type: file.media_type.clone(),
            bytes: file.bytes,
            alt: attachment.alt.clone(),
        });
        let elsewhere = |url: &Option<String>| url.as_deref().filter(|url| is_web_address(url)).map(LinkView::new);
        let here = |id| LinkView::new(&urls.page(id));
        let original = post.canonical_url.clone().filter(|url| is_web_address(url));
        let text = Text {
            warning: warning.as_deref(),
            answers: post.reply_to.map(here).or_else(|| elsewhere(&post.details.answers)),
            content_html: post.content.as_str(),
            poll: post.details.poll.as_ref().map(PollView::new),
            quotes: post.quoted.map(here).or_else(|| elsewhere(&post.details.quote)),
            media: media.collect(),
            hidden,
            sensitive: hidden && warning.is_none(),
            original: original.as_deref().map(|url| (url, host(url))),
        };
        let day = || format!("A post of {}", post.published.format("%-d %B %Y"));
        let excerpt = Some(post.content.excerpt(TITLE)).filter(|excerpt| !excerpt.is_empty());
        Item {
            id: urls.note(post.id),
            url: urls.page(post.id),
            label: warning.clone().or_else(|| post.details.title.clone()).or(excerpt).unwrap_or_else(day),
            title: warning.clone().or_else(|| post.details.title.clone()),
            html: text.render().unwrap_or_default(),
            language: post.language.clone(),
            published: post.published,
            updated: post.updated.map_or(post.published, |at| at.max(post.published)),
            tags: post.tags.clone(),
            enclosures: enclosures.collect(),
            author: Author::of(account),
            original,
            warning,
        }
    }

    fn of_boost(boost: &Boost, account: &Account) -> Item {
        let urls = account.urls();
        let of = boost.ours.map_or_else(|| boost.object.clone(), |ours| urls.page(ours));
        let LinkView { url, shown } = LinkView::new(&of);
        let is_address = is_web_address(&url);
        let escaped = |text: &str| crate::text::escape(text);
        Item {
            id: urls.under_note(boost.id, "activity"),
            html: match is_address {
                true => format!("<p>Boosted <a href=\"{}\">{}</a></p>", escaped(&url), escaped(&shown)),
                false => format!("<p>Boosted {}</p>", escaped(&shown)),
            },
            label: format!("Boosted {shown}"),
            title: Some(format!("Boosted {shown}")),
            url: if is_address { url } else { urls.profile() },
            original: None,
            warning: None,
            language: None,
            published: boost.published,
            updated: boost.published,
            tags: Vec::new(),
            enclosures: Vec::new(),
            author: Author::of(account),
        }
    }
}
