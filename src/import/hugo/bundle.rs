//! Layout (a): a page bundle that holds one thread of Mastodon posts, as the first converters wrote it.
//!
//! Known by a `canonical` in its front matter and source lines in its body. The HTML of a post stands in it as the server
//! had it, and its media lie beside the page. Start with [`items`], then `body.rs` and `markup.rs`.

use super::body::{self, Body, Section};
use super::{Item, MAX_POST, Page, front_matter, markup, media_of, seconds, told, web_address};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{DateOrigin, Format, PostLink, Skipped, SourceKey, SourceMedia, SourcePost};
use crate::domain::told::Told;
use crate::import::files::one_line;
use chrono::{DateTime, Duration, Timelike, Utc};
use url::Url;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 1;

/// The tag that every page has.
const EXTRA_TAG: &str = "Social Media";

/// All posts of a bundle, each with what is wrong in its place.
pub fn items(page: &Page<'_>, body: &Body<'_>) -> Result<Vec<Item>, Skipped> {
    let canonical = page.front_matter.canonical().unwrap_or_default();
    let Some(canonical) = web_address(canonical) else {
        return Err(page.skipped(1, &format!("its canonical is no web address: {canonical}")));
    };
    Bundle { page, body, canonical }.items()
}

/// A page that was recognised.
struct Bundle<'a> {
    page: &'a Page<'a>,
    body: &'a Body<'a>,
    canonical: Url,
}

/// What the sections of a page tell each other.
struct Thread {
    /// The time of the first section, stated or reckoned.
    first: DateTime<Utc>,
    /// Whether the front matter states it.
    stated: bool,
    /// Whether the first status id agrees with it: then the ids of this server tell the time.
    ids_agree: bool,
    /// The last post that was good, and what it answers.
    last: Option<(SourceKey, Option<SourceKey>)>,
    /// The tags of the front matter that no section shows.
    loose_tags: Vec<String>,
}

/// A section with its media taken out.
#[derive(Default)]
struct Content {
    html: String,
    words: markup::Words,
    media: Vec<SourceMedia>,
}

impl Bundle<'_> {
    /// Its posts, each with what is wrong in its place.
    fn items(&self) -> Result<Vec<Item>, Skipped> {
        let contents: Vec<Content> = self.body.sections.iter().map(|section| self.content(section)).collect();
        let mut thread = self.thread(&contents)?;
        let mut items = Vec::with_capacity(contents.len() + 1);
        for ((position, section), content) in self.body.sections.iter().enumerate().zip(contents) {
            let layout = (Format::HugoBundle, READER_VERSION);
            let item = match told::of(self.page, section.link) {
                Some(told) => told::item(self.page, told, section.line, section.text, layout)
                    .inspect(|post| thread.last = Some((post.key.clone(), post.reply_to.clone()))),
                None => self.post(position, section, content, &mut thread),
            };
            items.push(item);
        }
        if let Some(line) = self.body.rest {
            let reason = "is text without a source line, so it is not known which post it is".to_owned();
            items.push(Err(self.page.skipped(line, &reason)));
        }
        Ok(items)
    }

    /// What its sections share: the first date, and the tags that belong to none of them.
    fn thread(&self, contents: &[Content]) -> Result<Thread, Skipped> {
        let stated = self.page.front_matter.date.as_deref().and_then(front_matter::date);
        let Some(first) = stated.or_else(|| self.first_from_ids()) else {
            let count = self.body.sections.len();
            let reason = match self.page.front_matter.date.as_deref() {
                Some(date) => format!("its date is no date: {date}"),
                None => "its front matter has no date".to_owned(),
            };
            let reason = format!("{reason}; no status id tells the time either, so its posts ({count}) are left out");
            return Err(Skipped { at: self.page.shown.to_owned(), reason: one_line(&reason) });
        };
        if !self.page.is_plausible(first) {
            let reason = format!("its date is before 1970 or in the future: {}", first.to_rfc3339());
            return Err(Skipped { at: self.page.shown.to_owned(), reason });
        }
        let is_loose = |tag: &&String| contents.iter().all(|content| content.words.spelling_of(tag).is_none());
        let loose_tags = self.tags().iter().filter(is_loose).cloned().collect();
        let first_id =
            self.body.sections.first().and_then(|section| PostLink::read(&web_address(section.link?)?).status);
        let ids_agree =
            first_id.is_some_and(|id| trusted_time(id, stated, self.page.now).is_some()) && stated.is_some();
        Ok(Thread { first, stated: stated.is_some(), ids_agree, last: None, loose_tags })
    }

    /// When the first post was published, reckoned from the first status id that can be trusted.
    fn first_from_ids(&self) -> Option<DateTime<Utc>> {
        self.body.sections.iter().enumerate().find_map(|(position, section)| {
            let status = PostLink::read(&web_address(section.link?)?).status?;
            let time = trusted_time(status, None, self.page.now)?;
            time.checked_sub_signed(seconds(position))
        })
    }

    /// The tags of the front matter as hashtags.
    fn tags(&self) -> Vec<String> {
        let names =
            self.page.front_matter.tags.as_written().iter().map(|tag| tag.trim().trim_start_matches('#').trim());
        let kept = names.filter(|tag| !tag.is_empty() && !tag.eq_ignore_ascii_case(EXTRA_TAG));
        kept.map(str::to_owned).collect()
    }

    /// Take a section apart. One that is too long stays empty.
    fn content(&self, section: &Section<'_>) -> Content {
        if section.text.len() > MAX_POST {
            return Content::default();
        }
        let (html, embeds) = markup::take_media(&section.text.replace("\r\n", "\n"), markup::Looking::Everything);
        let html = body::without_separators(&html).to_owned();
        let media = media_of(embeds, |target| self.reference(target));
        Content { words: markup::words(&html), html, media }
    }

    /// Where a media file is: a URL, or the path below the root of the file of that name beside the page.
    fn reference(&self, target: &str) -> Option<String> {
        let lower = target.to_ascii_lowercase();
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return Some(target.to_owned());
        }
        if target.starts_with("//") {
            return Some(format!("https:{target}"));
        }
        let name = target.rsplit('/').next().filter(|name| !name.is_empty() && *name != "." && *name != "..")?;
        (!lower.starts_with("data:")).then(|| self.page.folder().join(name).to_string_lossy().into_owned())
    }

    /// One post.
    fn post(&self, position: usize, section: &Section<'_>, content: Content, thread: &mut Thread) -> Item {
        let skipped = |reason: &str| self.page.skipped(section.line, reason);
        let Some(url) = section.link.and_then(web_address) else {
            return Err(skipped("its source line does not link to a post"));
        };
        if section.text.len() > MAX_POST {
            return Err(skipped("is longer than 128 KiB, which no post is"));
        }
        if content.media.is_empty() && content.words.text.trim().is_empty() {
            return Err(skipped("is empty"));
        }
        let link = PostLink::read(&url);
        let (published, date_origin) = self.published(position, link.status, thread);
        if !self.page.is_plausible(published) {
            return Err(skipped("its date is before 1970 or in the future"));
        }
        let reply_to = match thread.last.take() {
            Some((last, parent)) if last == link.key => parent,
            last => last.map(|(last, _)| last),
        };
        thread.last = Some((link.key.clone(), reply_to.clone()));
        let is_first = position == 0;
        let (object_id, object_id_stated) = self.object_id(is_first, &url, &link);
        Ok(SourcePost {
            at: format!("{}:{}", self.page.shown, section.line),
            key: link.key,
            author: link.author,
            status: link.status,
            object_id,
            object_id_stated,
            canonical_url: Some(url.into()),
            audience: self.page.audience(),
            published,
            date_origin,
            edited: self.edited(published).filter(|_| is_first),
            tags: self.tags_of(&content.words, if is_first { &thread.loose_tags } else { &[] }),
            html: content.html,
            warning: None,
            sensitive: false,
            language: None,
            reply_to,
            media: content.media,
            told: Told::default(),
            bytes: self.bytes(is_first, section),
            format: Format::HugoBundle,
            reader_version: READER_VERSION,
            remarks: Vec::new(),
        })
    }

    /// When a post was published, and how that is known.
    fn published(&self, position: usize, status: Option<i64>, thread: &Thread) -> (DateTime<Utc>, DateOrigin) {
        // A thread may go on for days, so the first date bounds a later one only while the ids are in doubt.
        let near = Some(thread.first).filter(|_| position == 0 || !thread.ids_agree);
        let time = status.and_then(|status| trusted_time(status, near, self.page.now));
        let time = time.filter(|time| *time >= thread.first - Duration::days(1));
        if position == 0 && thread.stated {
            let agrees = |time: &DateTime<Utc>| time.timestamp() == thread.first.timestamp();
            let finer = time.filter(|time| thread.first.nanosecond() == 0 && agrees(time));
            return (finer.unwrap_or(thread.first), DateOrigin::FrontMatter);
        }
        match time {
            Some(time) => (time, DateOrigin::StatusId),
            None => {
                let time = thread.first.checked_add_signed(seconds(position)).unwrap_or(thread.first);
                (time, DateOrigin::Estimated)
            }
        }
    }

    /// When the page was edited, if that was after its first post was published.
    fn edited(&self, published: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let edited = self.page.front_matter.lastmod.as_deref().and_then(front_matter::date)?;
        (edited > published && self.page.is_plausible(edited)).then_some(edited)
    }

    /// The ActivityPub id of a post, and whether the page states it.
    ///
    /// The page states that of its first post. Where that has Mastodon's old shape, the others of the same user have it.
    fn object_id(&self, is_first: bool, url: &Url, link: &PostLink) -> (Option<String>, bool) {
        let canonical = PostLink::read(&self.canonical);
        if canonical.key == link.key {
            return (Some(self.canonical.to_string()), true);
        }
        let same_server = self.canonical.host_str() == url.host_str() && self.canonical.port() == url.port();
        let segments: Vec<&str> = self.canonical.path().trim_matches('/').split('/').collect();
        if let (["users", user, "statuses", _], Some(author), Some(status)) =
            (segments.as_slice(), &link.author, link.status)
        {
            let same_user = same_server && author.user.eq_ignore_ascii_case(user);
            let mut derived = self.canonical.clone();
            derived.set_path(&format!("/users/{user}/statuses/{status}"));
            return (same_user.then(|| derived.into()), false);
        }
        // A server that is not Mastodon: its object ids and its pages have nothing in common but the host.
        let may_be_its_own = is_first && same_server && canonical.status.is_none();
        (may_be_its_own.then(|| self.canonical.to_string()), false)
    }

    /// The hashtags of a post: those marked in its HTML, those of the page that it shows, and the loose ones.
    fn tags_of(&self, words: &markup::Words, loose: &[String]) -> Vec<String> {
        let shown = self.tags();
        let shown = shown.iter().filter_map(|tag| words.spelling_of(tag)).map(str::to_owned);
        let mut tags: Vec<String> = Vec::new();
        for tag in words.linked.iter().cloned().chain(shown).chain(loose.iter().cloned()) {
            if tags.iter().all(|known| known.to_lowercase() != tag.to_lowercase()) {
                tags.push(tag);
            }
        }
        tags
    }

    /// The bytes of a section as they stand in the file; the front matter goes with the first, but for its comments:
    /// there the converter notes when it ran, which is no change of the post.
    fn bytes(&self, is_first: bool, section: &Section<'_>) -> Vec<u8> {
        let before = if is_first { &self.page.text[..section.start] } else { "" };
        let kept = before.split_inclusive('\n').filter(|line| !line.starts_with('#'));
        kept.chain([&self.page.text[section.start..section.end]]).collect::<String>().into_bytes()
    }
}
