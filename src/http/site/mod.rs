//! A static site of one account, for any file server.
//!
//! It has the pages of the server as files, its objects beside them, and a search that needs no server (decision 0032).
//! The history is walked once from the newest post to the oldest, and once more for each hashtag; memory depends on the
//! largest conversation and on how many hashtags there are. Start with [`write`](fn@write).

mod files;
mod lists;
mod search;
mod views;

use super::entries::{BoostView, EntryView, PostView};
use super::paths::{Paths, folder};
use super::views::{AccountLine, HomePage, ProfilePage, ThreadPage};
use crate::activitystreams::render;
use crate::domain::account::Account;
use crate::domain::ids::{ContextId, PostId};
use crate::domain::post::{Boost, Entry, Post};
use crate::operations::App;
use crate::operations::proofs::Prover;
use crate::store::listing::{Cursor, Listing};
use chrono::{DateTime, Utc};
use files::Files;
use lists::Run;
use search::Search;
use std::path::{Path, PathBuf};
use views::{Count, TagsPage, YearPage};

/// Posts that are read together.
const BATCH: i64 = 200;
/// Posts on a page of a year or a hashtag, and on the first page.
const PAGE: usize = 20;
/// Posts of a conversation that are read.
const THREAD: i64 = 1000;
/// Posts of a conversation that one page shows: those around the one that it is about. Else a conversation would take as many
/// pages as it has posts, each with all of them.
const SHOWN: usize = 50;

/// Why a site was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database, or a key.
    #[error(transparent)]
    Operations(#[from] crate::operations::Error),
    /// A file of the site, or one that belongs into it.
    #[error("{path}: {cause}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// A media file cannot be read.
    #[error(transparent)]
    Media(#[from] crate::media::Error),
    /// A page could not be made.
    #[error("a page could not be made: {0}")]
    Page(#[from] askama::Error),
    /// The index for the search could not be made.
    #[error("the search could not be made: {0}")]
    Search(String),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Error {
        Error::Operations(error.into())
    }
}

/// What becomes a site.
pub struct Wanted<'a> {
    /// Whose posts.
    pub account: &'a Account,
    /// Whether something that was published at that moment, with these hashtags, is in it.
    pub admits: &'a (dyn Fn(DateTime<Utc>, &[String]) -> bool + Sync),
    /// When the export began.
    pub now: DateTime<Utc>,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Posts.
    pub posts: u64,
    /// Boosts.
    pub boosts: u64,
    /// Files of posts and of the profile, each counted once, without thumbnails.
    pub media: u64,
    /// Files that posts refer to and that are not here.
    pub media_missing: u64,
    /// Things that were left out, each in a sentence.
    pub notes: Vec<String>,
}

/// A site being written.
struct Site<'a> {
    app: &'a App,
    wanted: &'a Wanted<'a>,
    account: &'a Account,
    files: Files,
    search: Search,
    prover: Prover,
    written: Written,
    /// The conversation that was read last.
    thread: Option<(ContextId, Vec<Post>)>,
}

/// Write the site into the folder `root`, which is empty. `progress` is given the posts so far, of so many.
///
/// While it runs no import into the account does, and no media file is let go of.
pub async fn write(
    app: &App,
    wanted: &Wanted<'_>,
    root: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Written, Error> {
    let lock = app.store.lock_import(wanted.account.id).await?;
    let language = app.store.find_main_language(wanted.account.id).await?.unwrap_or_else(|| "en".to_owned());
    let mut site = Site {
        app,
        wanted,
        account: wanted.account,
        files: Files::new(root),
        search: Search::new(&root.join("search"), language),
        prover: app.prover(wanted.account).await?,
        written: Written::default(),
        thread: None,
    };
    site.all(progress).await?;
    lock.release().await?;
    Ok(site.written)
}

impl Site<'_> {
    async fn all(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), Error> {
        let total = u64::try_from(self.app.store.count_listed(self.account.id).await?).unwrap_or_default();
        let (mut newest, mut years, mut seen) = (Vec::new(), Vec::<Count>::new(), 0);
        let (mut first, mut last) = (None, None);
        let mut run: Option<Run> = None;
        let mut cursor = Some(Cursor::Newest);
        while let Some(at) = cursor {
            let page = self.app.store.page_posts(Listing::Account(self.account.id), at, BATCH).await?;
            cursor = page.entries.last().filter(|_| page.older).map(|entry| Cursor::Before(entry.id()));
            for entry in page.entries {
                seen += 1;
                let Some(entry) = self.admitted(entry).await? else { continue };
                let (published, size) = match &entry {
                    Entry::Post(post) => (post.published, self.post(post).await?),
                    Entry::Boost(boost) => {
                        self.written.boosts += 1;
                        (boost.published, 1)
                    }
                };
                last = last.or(Some(published));
                first = Some(published);
                let year = published.format("%Y").to_string();
                match years.last_mut().filter(|known| known.name == year) {
                    Some(known) => known.count += 1,
                    None => years.push(Count {
                        path: format!("/@{}/years/{year}", self.account.handle),
                        name: year.clone(),
                        count: 1,
                    }),
                }
                if newest.len() < PAGE {
                    newest.push(self.view(&entry, size, &Paths::of_site(1)));
                }
                let base = format!("@{}/years/{year}", self.account.handle);
                let place = Run::place(run.as_ref(), &base);
                let view = self.view(&entry, size, &place.paths());
                run = Some(match Run::add(run, place, view) {
                    (run, None) => run,
                    (run, Some(full)) => {
                        self.year(&full)?;
                        run
                    }
                });
            }
            progress(seen, total);
        }
        if let Some(run) = run {
            self.year(&run)?;
        }
        let tags = self.tags().await?;
        self.front(newest, (first, last), years, !tags.is_empty())?;
        self.files.put("tags/index.html", &TagsPage::new(self.account, tags, &Paths::of_site(1)))?;
        self.objects().await?;
        self.search.finish(self.account, &mut self.files).await?;
        self.files.assets()
    }

    /// An entry as the site has it; `None` if it is not in it. What it refers to is in it too, or it does not say so.
    async fn admitted(&self, entry: Entry) -> Result<Option<Entry>, Error> {
        Ok(match entry {
            Entry::Post(mut post) if self.has(&post) => {
                if let Some(quoted) = post.quoted {
                    post.quoted = self.finds(quoted).await?.then_some(quoted);
                }
                Some(Entry::Post(post))
            }
            Entry::Boost(boost) if (self.wanted.admits)(boost.published, &[]) => {
                let shown = match boost.ours {
                    Some(ours) => self.finds(ours).await?,
                    None => true,
                };
                shown.then_some(Entry::Boost(boost))
            }
            Entry::Post(_) | Entry::Boost(_) => None,
        })
    }

    fn has(&self, post: &Post) -> bool {
        (self.wanted.admits)(post.published, &post.tags)
    }

    async fn finds(&self, id: PostId) -> Result<bool, Error> {
        Ok(self.app.store.list_posts(&[id]).await?.iter().any(|post| self.has(post)))
    }

    /// A post's own page, its object, its files, and its words for the search; how many posts its conversation has.
    async fn post(&mut self, post: &Post) -> Result<i64, Error> {
        self.written.posts += 1;
        if self.thread.as_ref().is_none_or(|(context, _)| *context != post.context) {
            let mut posts = self.app.store.list_context(post.context, THREAD).await?;
            posts.retain(|other| self.has(other));
            self.thread = Some((post.context, posts));
        }
        let empty = Vec::new();
        let thread = self.thread.as_ref().map_or(&empty, |(_, posts)| posts);
        let at = thread.iter().position(|other| other.id == post.id);
        let whole = std::slice::from_ref(post);
        let (shown, beginning) = match at {
            Some(at) if thread.len() > SHOWN => {
                let from = at.saturating_sub(SHOWN / 2).min(thread.len() - SHOWN);
                (&thread[from..from + SHOWN], thread.first().filter(|_| from > 0))
            }
            Some(_) => (thread.as_slice(), None),
            None => (whole, None),
        };
        let size = i64::try_from(thread.len().max(1)).unwrap_or(i64::MAX);
        let paths = Paths::of_site(2);
        let posts = shown.iter().map(|other| {
            // What is asked for was looked at; of the others no more is told than is known to be here.
            let other = if other.id == post.id { post } else { other };
            PostView::new(other, self.account, size, &paths).focused(other.id == post.id)
        });
        let beginning = beginning.map(|first| paths.page(&format!("/@{}/{}", self.account.handle, first.id)));
        let page = ThreadPage::new(self.account, post, posts.collect(), &paths).part_of(size, beginning);
        let folder = format!("@{}/{}", self.account.handle, post.id);
        self.files.put(&format!("{folder}/index.html"), &page)?;
        let object = self.object(post).await?;
        self.files.put_text(&format!("{folder}/index.json"), &object)?;
        for attachment in &post.attachments {
            match &attachment.file {
                Some(file) => self.written.media += u64::from(self.files.media(self.app, file).await?),
                None => self.written.media_missing += 1,
            }
        }
        self.search.add(post, &format!("@{}/{}/", self.account.handle, post.id)).await?;
        Ok(size)
    }

    fn view(&self, entry: &Entry, size: i64, paths: &Paths) -> EntryView {
        match entry {
            Entry::Post(post) => PostView::new(post, self.account, size, paths).into(),
            Entry::Boost(boost) => self.boost(boost, paths).into(),
        }
    }

    fn boost(&self, boost: &Boost, paths: &Paths) -> BoostView {
        BoostView::new(boost, self.account, paths)
    }

    fn year(&mut self, run: &Run) -> Result<(), Error> {
        self.files.put(&format!("{}/index.html", run.path()), &YearPage::new(self.account, run))
    }

    /// The pages of each hashtag; the hashtags with how many posts have them, those with most first.
    async fn tags(&mut self) -> Result<Vec<Count>, Error> {
        let mut counts = Vec::new();
        for tag in self.app.store.list_tags(self.account.id).await? {
            let Some(folder) = folder(&tag) else {
                self.written.notes.push(format!("#{tag} has no page, for no folder can have that name"));
                continue;
            };
            let (mut run, mut count, mut cursor) = (None, 0, Some(Cursor::Newest));
            while let Some(at) = cursor {
                let page = self.app.store.page_posts(Listing::Tagged(self.account.id, &tag), at, BATCH).await?;
                cursor = page.entries.last().filter(|_| page.older).map(|entry| Cursor::Before(entry.id()));
                for entry in page.entries {
                    let Some(entry) = self.admitted(entry).await? else { continue };
                    count += 1;
                    let place = Run::place(run.as_ref(), &format!("tags/{folder}"));
                    let view = self.view(&entry, 1, &place.paths());
                    run = Some(match Run::add(run, place, view) {
                        (run, None) => run,
                        (run, Some(full)) => {
                            self.tag(&tag, &full)?;
                            run
                        }
                    });
                }
            }
            if let Some(run) = run {
                self.tag(&tag, &run)?;
                let urls = self.account.urls();
                let path = urls.domain().tag(&tag).replacen(urls.domain().base(), "", 1);
                counts.push(Count { path, name: format!("#{tag}"), count });
            }
        }
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        Ok(counts)
    }

    fn tag(&mut self, tag: &str, run: &Run) -> Result<(), Error> {
        self.files.put(&format!("{}/index.html", run.path()), &views::tag_page(self.account, tag, run))
    }

    /// The page of the account, and the front page that names it.
    fn front(
        &mut self,
        newest: Vec<EntryView>,
        (first, last): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        years: Vec<Count>,
        has_tags: bool,
    ) -> Result<(), Error> {
        let total = i64::try_from(self.written.posts + self.written.boosts).unwrap_or(i64::MAX);
        let paths = Paths::of_site(1);
        let span = (total, first, last);
        let page = ProfilePage::new(self.account, span, Vec::new(), newest, (None, None), &paths);
        let tags = has_tags.then(|| paths.page("/tags"));
        let years = years.into_iter().map(|year| year.link(&paths)).collect();
        self.files.put(&format!("@{}/index.html", self.account.handle), &page.with_lists(years, tags))?;
        let paths = Paths::of_site(0);
        let line = AccountLine::new(self.account, total, &paths);
        let urls = self.account.urls();
        self.files.put("index.html", &HomePage::new(urls.domain().authority(), vec![line], &paths))
    }
}

/// The number of a count as people read it.
fn grouped(count: u64) -> String {
    super::views::grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A moment as objects have it.
fn iso(at: DateTime<Utc>) -> String {
    render::timestamp(at)
}
