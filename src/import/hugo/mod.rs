//! Reads the pages of Hugo and Jekyll sites that hold posts, whatever layout each of them has.
//!
//! A page is judged by its content, so layouts may be mixed in one tree; a file that no layout knows is none of our
//! business. Start with [`Reader`]; each layout has a file: `bundle.rs`, `day.rs`, `status.rs`, `generic.rs`. Of pages that
//! Everpost wrote itself, `told.rs` reads what else they know.

mod body;
mod bundle;
mod day;
mod front_matter;
mod generic;
mod links;
mod markdown;
mod markup;
mod shortcodes;
mod site;
mod status;
#[cfg(test)]
mod tests;
mod told;

use super::files::{File, Tree, one_line};
use super::mastodon::identity::Identities;
use super::{ArchiveReader, Error};
use crate::domain::source::{self, Format, Remark, Skipped, SourceAudience, SourceMedia, SourcePost};
use crate::domain::told::MediaTold;
use body::Body;
use chrono::{DateTime, Datelike, Duration, Utc};
use front_matter::FrontMatter;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use url::Url;

/// The endings of pages that hold Markdown, and of those that hold HTML.
const MARKDOWN: [&str; 6] = ["md", "markdown", "mdown", "mkd", "mkdn", "mkdown"];
const HTML: [&str; 2] = ["html", "htm"];

/// The longest post that is taken apart, in bytes: far above what servers allow, and little enough for any HTML in it.
const MAX_POST: usize = 128 * 1024;

/// Why a post is not taken apart that would cost more time than any is worth.
const TOO_DEEP: &str = "has quotes, lists or elements that stand more than 100 deep in each other, which no post needs";

/// A post, or why there is none.
type Item = Result<SourcePost, Skipped>;

/// Reads all pages of a tree, one at a time.
pub struct Reader {
    tree: Tree,
    only: Option<Format>,
    now: DateTime<Utc>,
    /// The keys of posts by their ids, of pages that tell those.
    identities: RefCell<Identities>,
    /// What the page under way still has to give.
    ready: VecDeque<Item>,
}

impl Reader {
    /// Read `tree`, or what is of the format `only`. Nothing in it can have happened more than a day after `now`.
    pub fn new(tree: Tree, only: Option<Format>, now: DateTime<Utc>) -> Reader {
        Reader { tree, only, now, identities: RefCell::default(), ready: VecDeque::new() }
    }
}

impl ArchiveReader for Reader {
    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let items = self.tree.next()?.and_then(|file| self.read_file(&file));
            match items {
                Ok(items) => self.ready.extend(items),
                Err(skipped) => return Some(Err(skipped)),
            }
        }
    }

    fn media(&self, reference: &str) -> Result<Box<dyn Read + Send>, Error> {
        if reference.starts_with('/') {
            return Err(Error::Media { reference: one_line(reference), reason: site::NOT_THERE.into() });
        }
        self.tree.media(reference)
    }
}

impl Reader {
    /// All items of a file; none if it is not one of ours; an error if nothing of it can be read.
    fn read_file(&self, file: &File) -> Result<Vec<Item>, Skipped> {
        let is_html = file.has_extension(&HTML);
        if !is_html && !file.has_extension(&MARKDOWN) {
            return Ok(vec![]);
        }
        let Some(bytes) = file.read_if(front_matter::may_begin)? else {
            return Ok(vec![]);
        };
        let has_sources = !is_html && body::may_hold_posts(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let Some(page) = self.page(file, &text, has_sources)? else {
            return Ok(vec![]);
        };
        let body = if has_sources { body::split(&text, page.end, page.lines) } else { Body::default() };
        let layout = if is_html { page.generic() } else { page.layout(&body) };
        let Some(layout) = layout.filter(|layout| self.only.is_none_or(|only| only == *layout)) else {
            return Ok(vec![]);
        };
        if let Err(cause) = std::str::from_utf8(&bytes)
            && !(layout == Format::HugoDay && day::only_headings_are_cut(&bytes))
        {
            let at = cause.valid_up_to();
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            let reason = format!("is not UTF-8 at byte {at}. Convert it to UTF-8 and import it again.");
            return Err(page.skipped(line, &reason));
        }
        if let Some(reason) = page.withheld() {
            return Err(Skipped { at: page.shown.to_owned(), reason });
        }
        match layout {
            Format::HugoBundle => bundle::items(&page, &body),
            Format::HugoDay => Ok(day::items(&page, &body)),
            Format::HugoStatus => Ok(vec![status::item(&page)]),
            Format::HugoPage => Ok(vec![generic::item(&page, is_html)]),
            Format::Mastodon | Format::Pleroma | Format::Jsonl => Ok(vec![]), // No page has such a layout.
        }
    }

    /// The page with its front matter read; `None` if it cannot be one of ours, an error if it is and cannot be read.
    fn page<'a>(&'a self, file: &'a File, text: &'a str, has_sources: bool) -> Result<Option<Page<'a>>, Skipped> {
        let Some(block) = front_matter::find(text) else {
            return Ok(None);
        };
        if block.as_ref().is_ok_and(|block| !has_sources && !block.may_be_canonical()) {
            return Ok(None);
        }
        let (end, lines) = block.as_ref().map_or((0, 0), |block| (block.end, block.lines));
        match block.and_then(|block| block.read()) {
            Ok(front_matter) => {
                let (shown, relative) = (file.shown.as_str(), file.relative.as_path());
                let (tree, identities) = (&self.tree, &self.identities);
                Ok(Some(Page { shown, relative, text, front_matter, end, lines, now: self.now, tree, identities }))
            }
            Err((line, reason)) => {
                let is_ours = front_matter::names_canonical(text)
                    || (has_sources && !body::split(text, 0, 0).sections.is_empty());
                let at = format!("{}:{line}", file.shown);
                if is_ours { Err(Skipped { at, reason: one_line(&reason) }) } else { Ok(None) }
            }
        }
    }
}

/// A page on its way through the reader of its layout.
struct Page<'a> {
    /// Its path for messages.
    shown: &'a str,
    /// Its path below the root.
    relative: &'a Path,
    text: &'a str,
    front_matter: FrontMatter,
    /// The offset after the front matter, and the number of lines before it.
    end: usize,
    lines: usize,
    now: DateTime<Utc>,
    tree: &'a Tree,
    identities: &'a RefCell<Identities>,
}

impl Page<'_> {
    /// Which layout it has, if any.
    fn layout(&self, body: &Body<'_>) -> Option<Format> {
        let says = &self.front_matter;
        let has_posts = !body.sections.is_empty();
        if says.canonical().is_some() && has_posts {
            Some(Format::HugoBundle)
        } else if says.canonicals().next().is_none() && body.sections.iter().any(|section| section.level == day::LEVEL)
        {
            Some(Format::HugoDay)
        } else if says.post_uri().is_some() && says.post_id.is_some() {
            Some(Format::HugoStatus)
        } else {
            self.generic()
        }
    }

    /// The generic layout, if it says where it first stood.
    fn generic(&self) -> Option<Format> {
        self.front_matter.canonicals().next().map(|_| Format::HugoPage)
    }

    /// Why the page is not to be shown to everybody now, if it is not.
    fn withheld(&self) -> Option<String> {
        let says = &self.front_matter;
        let date = |text: &Option<String>| text.as_deref().and_then(front_matter::date);
        let day = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
        // One that says for whom it is counts as what it says: it must keep its post away from everyone, whatever else
        // tells of it.
        let is_kept_away = says.visibility.is_some() && self.audience() == SourceAudience::NotPublic;
        if says.draft && !is_kept_away {
            return Some("is a draft".into());
        }
        if self.relative.iter().any(|part| part == "_drafts") {
            return Some("is a draft: it lies in the folder _drafts".into());
        }
        if says.published == Some(false) {
            return Some("is not published: its front matter says `published: false`".into());
        }
        if says.private || says.password || says.headless {
            return Some("is not for everyone: its front matter says private, password or headless".into());
        }
        if let Some(time) = date(&says.publish_date).filter(|time| *time > self.now) {
            return Some(format!("is not to be published before {}", day(time)));
        }
        let expired = date(&says.expiry_date).filter(|time| *time <= self.now);
        expired.map(|time| format!("has expired: it was to be shown until {}", day(time)))
    }

    /// For whom it is: what is not known to be public is not.
    fn audience(&self) -> SourceAudience {
        match self.front_matter.visibility.as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("public") if !self.front_matter.unlisted => SourceAudience::Public,
            None | Some("public" | "unlisted") => SourceAudience::Unlisted,
            Some(_) => SourceAudience::NotPublic,
        }
    }

    /// The folder that it lies in, below the root.
    fn folder(&self) -> &Path {
        self.relative.parent().unwrap_or(Path::new(""))
    }

    /// Its name without the folder.
    fn name(&self) -> &str {
        self.relative.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// What stands below its front matter.
    fn body(&self) -> &str {
        &self.text[self.end..]
    }

    /// The line of the page on which its body's first text stands.
    fn first_line(&self) -> usize {
        let blank = self.body().lines().take_while(|line| line.trim().is_empty()).count();
        self.lines + 1 + if self.body().trim().is_empty() { 0 } else { blank }
    }

    /// Whether something can have happened then.
    fn is_plausible(&self, time: DateTime<Utc>) -> bool {
        (1970..=9999).contains(&time.year()) && time <= self.now + Duration::days(1)
    }

    fn skipped(&self, line: usize, reason: &str) -> Skipped {
        Skipped { at: format!("{}:{line}", self.shown), reason: one_line(reason) }
    }

    fn remark(&self, line: usize, note: &str, loss: bool) -> Remark {
        Remark { at: format!("{}:{line}", self.shown), note: one_line(note), loss }
    }
}

/// The media of a post, each once; `reference` says where the file of a target is.
fn media_of(embeds: Vec<markup::Embed>, reference: impl Fn(&str) -> Option<String>) -> Vec<SourceMedia> {
    let mut media: Vec<SourceMedia> = Vec::new();
    for embed in embeds {
        let Some(reference) = reference(&embed.target) else {
            continue;
        };
        match media.iter_mut().find(|known| known.reference == reference) {
            Some(known) => known.alt = known.alt.take().or(embed.alt),
            None => media.push(SourceMedia { reference, kind: embed.kind, alt: embed.alt, told: MediaTold::default() }),
        }
    }
    media
}

/// Hashtags from tags: what no hashtag can hold is left out, and each comes once.
fn hashtags<'a>(tags: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for tag in tags {
        let tag: String = tag.chars().filter(|c| markup::is_tag_char(*c)).collect();
        let is_new = || names.iter().all(|known| known.to_lowercase() != tag.to_lowercase());
        if !tag.is_empty() && is_new() {
            names.push(tag);
        }
    }
    names
}

/// The seconds by which an estimated date is moved.
fn seconds(position: usize) -> Duration {
    Duration::seconds(i64::try_from(position).unwrap_or(0))
}

/// A URL that can be that of a web page.
fn web_address(text: &str) -> Option<Url> {
    source::web_address(text.trim())
}
