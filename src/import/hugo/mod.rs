//! Reads Hugo page bundles that hold one thread of Mastodon posts each, as the first converters wrote them.
//!
//! A page is recognised by its content: a `canonical` in its front matter and source lines in its body. All other files
//! are none of its business. Start with [`Reader`], then `front_matter.rs`, `body.rs` and `markup.rs`.

mod body;
mod front_matter;
mod markup;
#[cfg(test)]
mod tests;

use super::files::{File, Tree, one_line};
use super::{ArchiveReader, Error};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{
    DateOrigin, Format, MediaTold, PostLink, Skipped, SourceAudience, SourceKey, SourceMedia, SourcePost, Told,
};
use body::{Body, Section};
use chrono::{DateTime, Datelike, Duration, Timelike, Utc};
use front_matter::{Found, FrontMatter};
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use url::Url;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 1;

/// The tag that every page has.
const EXTRA_TAG: &str = "Social Media";

/// The longest post that is taken apart, in bytes: far above what servers allow, and little enough for any HTML in it.
const MAX_POST: usize = 128 * 1024;

/// A post, or why there is none.
type Item = Result<SourcePost, Skipped>;

/// Reads all pages of a tree, one at a time.
pub struct Reader {
    tree: Tree,
    now: DateTime<Utc>,
    /// What the page under way still has to give.
    ready: VecDeque<Item>,
}

impl Reader {
    /// Read `tree`. Nothing in it can have happened more than a day after `now`.
    pub fn new(tree: Tree, now: DateTime<Utc>) -> Reader {
        Reader { tree, now, ready: VecDeque::new() }
    }
}

impl ArchiveReader for Reader {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let items = match self.tree.next()? {
                Ok(file) if file.has_extension(&["md", "markdown"]) => read_file(&file, self.now),
                Ok(_) => continue,
                Err(skipped) => Err(skipped),
            };
            match items {
                Ok(items) => self.ready.extend(items),
                Err(skipped) => return Some(Err(skipped)),
            }
        }
    }

    fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error> {
        self.tree.media(reference)
    }
}

/// All items of a file; none if it is not one of ours; an error if nothing of it can be read.
fn read_file(file: &File, now: DateTime<Utc>) -> Result<Vec<Item>, Skipped> {
    let bytes = file.read()?;
    if !body::may_hold_posts(&bytes) {
        return Ok(vec![]);
    }
    let folder = file.relative.parent().unwrap_or(Path::new(""));
    let text = String::from_utf8_lossy(&bytes);
    let Some(page) = Page::recognise(&text, &file.shown, folder, now)? else {
        return Ok(vec![]);
    };
    if let Err(cause) = std::str::from_utf8(&bytes) {
        let at = cause.valid_up_to();
        let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        return Err(page.skipped(line, format!("is not UTF-8 at byte {at}. Convert it to UTF-8 and import it again.")));
    }
    if page.front_matter.draft {
        return Err(Skipped { at: page.shown.to_owned(), reason: "is a draft".into() });
    }
    page.items()
}

/// A page that was recognised.
struct Page<'a> {
    /// Its path for messages.
    shown: &'a str,
    /// The folder that it lies in, below the root.
    folder: &'a Path,
    text: &'a str,
    front_matter: FrontMatter,
    canonical: Url,
    body: Body<'a>,
    now: DateTime<Utc>,
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

impl<'a> Page<'a> {
    /// Recognise a page by its content; an error if it is one of ours but cannot be read.
    fn recognise(
        text: &'a str,
        shown: &'a str,
        folder: &'a Path,
        now: DateTime<Utc>,
    ) -> Result<Option<Page<'a>>, Skipped> {
        let skipped = |line: usize, reason: &str| Skipped { at: format!("{shown}:{line}"), reason: one_line(reason) };
        let (front_matter, end, lines) = match front_matter::read(text) {
            Found::Nothing => return Ok(None),
            Found::Broken { .. } if body::split(text, 0, 0).sections.is_empty() => return Ok(None),
            Found::Broken { line, reason } => return Err(skipped(line, &reason)),
            Found::Read { front_matter, end, lines } => (front_matter, end, lines),
        };
        let body = body::split(text, end, lines);
        let Some(canonical) = front_matter.canonical.as_deref().filter(|_| !body.sections.is_empty()) else {
            return Ok(None);
        };
        let Some(canonical) = web_address(canonical) else {
            return Err(skipped(1, &format!("its canonical is no web address: {canonical}")));
        };
        Ok(Some(Page { shown, folder, text, front_matter, canonical, body, now }))
    }

    /// Its posts, each with what is wrong in its place.
    fn items(&self) -> Result<Vec<Item>, Skipped> {
        let contents: Vec<Content> = self.body.sections.iter().map(|section| self.content(section)).collect();
        let mut thread = self.thread(&contents)?;
        let mut items = Vec::with_capacity(contents.len() + 1);
        for ((position, section), content) in self.body.sections.iter().enumerate().zip(contents) {
            items.push(self.post(position, section, content, &mut thread));
        }
        if let Some(line) = self.body.rest {
            let reason = "is text without a source line, so it is not known which post it is".to_owned();
            items.push(Err(self.skipped(line, reason)));
        }
        Ok(items)
    }

    /// What its sections share: the first date, and the tags that belong to none of them.
    fn thread(&self, contents: &[Content]) -> Result<Thread, Skipped> {
        let stated = self.front_matter.date.as_deref().and_then(front_matter::date);
        let Some(first) = stated.or_else(|| self.first_from_ids()) else {
            let count = self.body.sections.len();
            let reason = match self.front_matter.date.as_deref() {
                Some(date) => format!("its date is no date: {date}"),
                None => "its front matter has no date".to_owned(),
            };
            let reason = format!("{reason}; no status id tells the time either, so its posts ({count}) are left out");
            return Err(Skipped { at: self.shown.to_owned(), reason: one_line(&reason) });
        };
        if !self.is_plausible(first) {
            let reason = format!("its date is before 1970 or in the future: {}", first.to_rfc3339());
            return Err(Skipped { at: self.shown.to_owned(), reason });
        }
        let is_loose = |tag: &&String| contents.iter().all(|content| content.words.spelling_of(tag).is_none());
        let loose_tags = self.tags().iter().filter(is_loose).cloned().collect();
        let first_id =
            self.body.sections.first().and_then(|section| PostLink::read(&web_address(section.link?)?).status);
        let ids_agree = first_id.is_some_and(|id| trusted_time(id, stated, self.now).is_some()) && stated.is_some();
        Ok(Thread { first, stated: stated.is_some(), ids_agree, last: None, loose_tags })
    }

    /// When the first post was published, reckoned from the first status id that can be trusted.
    fn first_from_ids(&self) -> Option<DateTime<Utc>> {
        self.body.sections.iter().enumerate().find_map(|(position, section)| {
            let status = PostLink::read(&web_address(section.link?)?).status?;
            let time = trusted_time(status, None, self.now)?;
            time.checked_sub_signed(seconds(position))
        })
    }

    /// The tags of the front matter as hashtags.
    fn tags(&self) -> Vec<String> {
        let names = self.front_matter.tags.iter().map(|tag| tag.trim().trim_start_matches('#').trim());
        let kept = names.filter(|tag| !tag.is_empty() && !tag.eq_ignore_ascii_case(EXTRA_TAG));
        kept.map(str::to_owned).collect()
    }

    /// Take a section apart. One that is too long stays empty.
    fn content(&self, section: &Section<'_>) -> Content {
        if section.text.len() > MAX_POST {
            return Content::default();
        }
        let (html, embeds) = markup::take_media(&section.text.replace("\r\n", "\n"));
        let html = body::without_separators(&html).to_owned();
        let mut media: Vec<SourceMedia> = Vec::new();
        for embed in embeds {
            let Some(reference) = self.reference(&embed.target) else {
                continue;
            };
            match media.iter_mut().find(|known| known.reference == reference) {
                Some(known) => known.alt = known.alt.take().or(embed.alt),
                None => {
                    media.push(SourceMedia { reference, kind: embed.kind, alt: embed.alt, told: MediaTold::default() })
                }
            }
        }
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
        (!lower.starts_with("data:")).then(|| self.folder.join(name).to_string_lossy().into_owned())
    }

    /// One post.
    fn post(&self, position: usize, section: &Section<'_>, content: Content, thread: &mut Thread) -> Item {
        let skipped = |reason: &str| self.skipped(section.line, reason.to_owned());
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
        if !self.is_plausible(published) {
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
            at: format!("{}:{}", self.shown, section.line),
            key: link.key,
            author: link.author,
            status: link.status,
            object_id,
            object_id_stated,
            canonical_url: Some(url.into()),
            audience: SourceAudience::Public,
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
        })
    }

    /// When a post was published, and how that is known.
    fn published(&self, position: usize, status: Option<i64>, thread: &Thread) -> (DateTime<Utc>, DateOrigin) {
        // A thread may go on for days, so the first date bounds a later one only while the ids are in doubt.
        let near = Some(thread.first).filter(|_| position == 0 || !thread.ids_agree);
        let time = status.and_then(|status| trusted_time(status, near, self.now));
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
        let edited = self.front_matter.lastmod.as_deref().and_then(front_matter::date)?;
        (edited > published && self.is_plausible(edited)).then_some(edited)
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
        let before = if is_first { &self.text[..section.start] } else { "" };
        let kept = before.split_inclusive('\n').filter(|line| !line.starts_with('#'));
        kept.chain([&self.text[section.start..section.end]]).collect::<String>().into_bytes()
    }

    /// Whether something can have happened then.
    fn is_plausible(&self, time: DateTime<Utc>) -> bool {
        (1970..=9999).contains(&time.year()) && time <= self.now + Duration::days(1)
    }

    fn skipped(&self, line: usize, reason: String) -> Skipped {
        Skipped { at: format!("{}:{line}", self.shown), reason }
    }
}

/// The seconds by which an estimated date is moved.
fn seconds(position: usize) -> Duration {
    Duration::seconds(i64::try_from(position).unwrap_or(0))
}

/// A URL that can be that of a web page.
fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}
