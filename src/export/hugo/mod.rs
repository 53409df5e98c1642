//! `hugo`: pages of a site, in the layouts that converters write.
//!
//! The text of each post is HTML, its media are where Hugo serves them, and all else that is known of it is an activity in
//! the front matter, where our own reader finds it again.
//! A page holds posts of one visibility. What is not public is a draft in a folder of its own, whatever the layout is: Hugo
//! publishes neither drafts nor the files beside them. Start with [`Writer`]; `page.rs` is what a page looks like.

mod front_matter;
mod page;

use super::wire::{Place, Wire};
use super::{ArchiveWriter, Error, Ids, Item, Media, Open, Order, Subject, Summary, Wants};
use crate::domain::ids::ContextId;
use crate::domain::post::{MediaFile, Post, Visibility};
use crate::domain::private::{PrivateFile, PrivatePost};
use chrono::{DateTime, Utc};
use page::{Page, Section, Shown};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// How posts become pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// A folder with a page and its media for each conversation.
    #[default]
    Bundle,
    /// A page for each day.
    Daily,
    /// A folder with a page and its media for each post.
    Post,
}

/// Bytes of a page from which on a long conversation, or a long day, goes on in another one. Readers of sites take pages of
/// a few MiB.
const FULL: usize = 256 * 1024;
/// The digits of its hash that name a file: as many as tell any two files apart.
const DIGITS: usize = 32;
/// Where posts are in a site.
const POSTS: &str = "content/mastodon";
/// Where the media of pages without a folder are, and where the site serves them.
const SHARED: (&str, &str) = ("static/mastodon/media", "/mastodon/media");

/// Writes pages into a folder.
pub struct Writer {
    folder: PathBuf,
    layout: Layout,
    wire: Wire,
    /// Whether posts go by the ids that they have here.
    mirrored: bool,
    /// Whether nobody knows whose the posts are: then the pages do not say that they are ours.
    anonymous: bool,
    /// Pages that are not full yet: one, but for days, which have one for each visibility.
    open: Vec<(Group, Page)>,
    /// How many pages each day has so far, by their names.
    days: BTreeMap<String, u32>,
    /// Pages that are not public, which have no other name.
    private: u64,
    /// Boosts, which a site has no place for.
    boosts: u64,
    summary: Summary,
}

/// What stands on one page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    of: Of,
    audience: Audience,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Of {
    Conversation(ContextId),
    Day(String),
    Alone,
}

/// Who may see a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Everyone(Visibility),
    Nobody,
}

impl Writer {
    /// Write into `folder`, which is there and empty.
    pub fn new(folder: &Path, layout: Layout, subject: &Subject) -> Writer {
        let place: fn(&str, &str) -> String = match layout {
            Layout::Daily => |name, extension| format!("{}/{}", SHARED.1, short(name, extension)),
            Layout::Bundle | Layout::Post => short,
        };
        let mirrored = subject.options.ids == Ids::Mirror;
        let unknown = subject.account.source.is_none() && subject.account.source_actor.is_none();
        Writer {
            folder: folder.to_owned(),
            layout,
            wire: Wire::new(subject, Place::Inside(place)),
            mirrored,
            anonymous: unknown && !mirrored,
            open: Vec::new(),
            days: BTreeMap::new(),
            private: 0,
            boosts: 0,
            summary: Summary::default(),
        }
    }

    fn post(&mut self, item: &Item, post: &Post, open: &mut Open<'_>) -> Result<(), Error> {
        let audience = Audience::Everyone(post.visibility);
        let of = match self.layout {
            Layout::Bundle => Of::Conversation(post.context),
            Layout::Daily => Of::Day(post.published.format("%Y-%m-%d").to_string()),
            Layout::Post => Of::Alone,
        };
        let at = self.place(&Group { of, audience }, post.published, &post.id.to_string())?;
        let (_, page) = &mut self.open[at];
        let media = match self.layout {
            Layout::Daily => self.folder.join(SHARED.0),
            Layout::Bundle | Layout::Post => page.folder.clone(),
        };
        let mut shown = Vec::new();
        for attachment in &post.attachments {
            let Some(file) = &attachment.file else { continue };
            keep(&Media::Public(file.clone()), &media, &mut self.summary, open)?;
            shown.push(Shown {
                target: self.wire.path(&Media::Public(file.clone())),
                kind: attachment.kind,
                alt: attachment.alt.clone(),
            });
        }
        let mut activity = self.wire.activity(item)?;
        page::as_told(&mut activity, &post.attachments);
        if post.to_others && post.details.answers.is_none() {
            page::answers_others(&mut activity);
        }
        let has_id = self.mirrored || post.object_id.is_some();
        let (_, page) = &mut self.open[at];
        page.add(Section {
            activity: page::trimmed(activity, has_id, post.date_estimated, self.anonymous),
            html: post.content.as_str(),
            warning: post.warning.as_deref(),
            tags: &post.tags,
            published: post.published,
            updated: post.updated,
            media: shown,
        });
        self.summary.count(item);
        self.let_go(at)
    }

    fn private(&mut self, item: &Item, post: &PrivatePost, open: &mut Open<'_>) -> Result<(), Error> {
        if post.boost_of.is_some() {
            self.boosts += 1;
            return Ok(());
        }
        self.summary.count(item);
        self.private += 1;
        let name = format!("private-{}", self.private);
        let at = self.place(&Group { of: Of::Alone, audience: Audience::Nobody }, post.published, &name)?;
        let folder = self.open[at].1.folder.clone();
        let mut shown = Vec::new();
        for media in &post.media {
            let Some(file) = &media.file else { continue };
            keep(&Media::Private(file.clone()), &folder, &mut self.summary, open)?;
            shown.push(Shown { target: short(&file.name, &file.extension), kind: media.kind, alt: media.alt.clone() });
        }
        let mut activity = self.wire.activity(item)?;
        // Wherever those for everyone are, these are beside their page.
        page::beside(&mut activity, SHARED.1);
        let (_, page) = &mut self.open[at];
        page.add(Section {
            activity: page::trimmed(activity, post.object_id.is_some(), post.date_estimated, self.anonymous),
            html: post.content.as_str(),
            warning: post.warning.as_deref(),
            tags: &post.tags,
            published: post.published,
            updated: post.edited,
            media: shown,
        });
        self.let_go(at)
    }

    /// The page that a post goes onto: the open one of its group, or a new one.
    fn place(&mut self, group: &Group, published: DateTime<Utc>, name: &str) -> Result<usize, Error> {
        if let Some(at) = self.open.iter().position(|(of, _)| of == group && group.of != Of::Alone) {
            return Ok(at);
        }
        // Of days there may be one page for each visibility, of all else nothing comes back.
        let stays = |(other, _): &(Group, Page)| group.of == other.of && matches!(group.of, Of::Day(_));
        let (open, done) = std::mem::take(&mut self.open).into_iter().partition(stays);
        self.open = open;
        for (_, page) in done {
            page.write()?;
        }
        let (folder, file) = match &group.of {
            Of::Day(day) => {
                let unlisted = group.audience == Audience::Everyone(Visibility::Unlisted);
                let name = format!("{day}{}", if unlisted { "-unlisted" } else { "" });
                let count = self.days.entry(name.clone()).or_default();
                *count += 1;
                let number = if *count > 1 { format!("-{count}") } else { String::new() };
                let folder = self.folder.join(POSTS).join(published.format("%Y").to_string());
                (folder, format!("{name}{number}.md"))
            }
            Of::Conversation(_) | Of::Alone => {
                let month = self.folder.join(POSTS).join(published.format("%Y/%m").to_string());
                (month.join(name), "index.md".to_owned())
            }
        };
        fs::create_dir_all(&folder).map_err(|cause| Error::Io { path: folder.clone(), cause })?;
        let layout = if group.audience == Audience::Nobody { Layout::Bundle } else { self.layout };
        self.open.push((group.clone(), Page::new(folder, file, layout, group.audience)));
        Ok(self.open.len() - 1)
    }

    /// Write a page that is full, or that nothing more comes onto.
    fn let_go(&mut self, at: usize) -> Result<(), Error> {
        let (group, page) = &self.open[at];
        if group.of == Of::Alone || page.bytes() >= FULL {
            return self.open.remove(at).1.write();
        }
        Ok(())
    }
}

impl ArchiveWriter for Writer {
    fn wants(&self) -> Wants {
        let order = if self.layout == Layout::Bundle { Order::Thread } else { Order::Number };
        Wants { order, ..Wants::default() }
    }

    fn item(&mut self, item: &Item, open: &mut Open<'_>) -> Result<(), Error> {
        match item {
            Item::Post(post) => self.post(item, &post.post, open),
            Item::Boost(_) => {
                self.boosts += 1;
                Ok(())
            }
            Item::Private(post) => self.private(item, post, open),
        }
    }

    fn finish(mut self: Box<Self>, _open: &mut Open<'_>) -> Result<Summary, Error> {
        for (_, page) in std::mem::take(&mut self.open) {
            page.write()?;
        }
        if self.boosts > 0 {
            let note =
                format!("boosts are on no page, for a site has no place for them: {} were left out", self.boosts);
            self.summary.notes.push(note);
        }
        Ok(self.summary)
    }
}

/// What a file is called in a site, by the name under which it is kept.
fn short(name: &str, extension: &str) -> String {
    format!("{}.{extension}", name.get(..DIGITS).unwrap_or(name))
}

/// Copy a file into a folder, unless it is there.
fn keep(media: &Media, folder: &Path, summary: &mut Summary, open: &mut Open<'_>) -> Result<(), Error> {
    let name = match media {
        Media::Public(MediaFile { sha256, extension, .. })
        | Media::Thumbnail(MediaFile { sha256, extension, .. }, _) => short(sha256, extension),
        Media::Private(PrivateFile { name, extension, .. }) => short(name, extension),
    };
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    let Some(mut bytes) = open(media)? else { return Ok(()) };
    let failed = |cause| Error::Io { path: path.clone(), cause };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = File::create_new(&path).map_err(failed)?;
    std::io::copy(&mut bytes, &mut file).map_err(failed)?;
    summary.media += 1;
    Ok(())
}
