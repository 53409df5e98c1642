//! An archive's posts → stored posts, from anywhere, batch by batch.

use super::prepare::prepare;
use super::private::{self, Hidden, Keeper};
use super::target::{self, Survey, Target, handle_of, same_author};
use super::{App, Error, blocking};
use crate::domain::account::Handle;
use crate::domain::post::{Kept, MediaFile, NewPost};
use crate::domain::source::{DateOrigin, Format, Skipped, SourceKey, SourcePost};
use crate::import::{self, ArchiveReader};
use crate::store::ingest::Stored;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Posts in a batch: one transaction. Memory is bounded by a batch, which also ends at [`BATCH_BYTES`].
const BATCH: usize = 100;
/// Source bytes in a batch.
const BATCH_BYTES: usize = 4 << 20;

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// The account that gets the posts; by default the one whose source the links name, else a new one.
    pub account: Option<Handle>,
    /// Whether posts by another author come in too.
    pub adopt: bool,
    /// Read this format only.
    pub format: Option<Format>,
    /// Everything but writing.
    pub dry_run: bool,
    /// Whether posts that are not public are kept too, sealed; else they are left out.
    pub include_private: bool,
}

/// What an import came to. `read` = created + updated + unchanged + skipped + private stored, unchanged and left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The account's handle.
    pub account: String,
    /// Items found.
    pub read: u64,
    /// Posts that are new.
    pub created: u64,
    /// Posts that were there and changed.
    pub updated: u64,
    /// Posts that were there already.
    pub unchanged: u64,
    /// Items left out, each with place and reason.
    pub skipped: Vec<Skipped>,
    /// Posts that the outbox shows now.
    pub published: u64,
    /// Media files stored for what was created or updated, each counted once.
    pub media_stored: u64,
    /// Media files that posts refer to and that could not be had.
    pub media_missing: u64,
    /// Posts whose date is an estimate.
    pub estimated_dates: u64,
    /// Posts that are not public; `skipped` has none of them, unless one could not be sealed.
    pub private: private::Tally,
}

/// Opens one of a request's paths. Each is opened twice and has to tell the same both times.
pub type Open = dyn Fn(&Path) -> Result<Box<dyn ArchiveReader>, import::Error> + Send + Sync;

/// What one import keeps in mind from batch to batch.
#[derive(Default)]
struct Run {
    report: Report,
    /// Every key that came in.
    seen: HashSet<SourceKey>,
    /// Posts that could not be stored, each with the nearest post above it that could.
    left_out: HashMap<SourceKey, Option<SourceKey>>,
    /// What a dry run would have made, so that later batches find what they answer.
    planned: HashSet<SourceKey>,
    /// Posts that the outbox would show after a dry run and does not show now.
    would_list: i64,
    /// The hash of every file that was stored.
    files: HashSet<String>,
    /// Posts of the batch that are not public.
    hidden: Vec<Hidden>,
}

/// A post's key, and the key of what it answers.
type Place = (SourceKey, Option<SourceKey>);

/// What became of a source post that may come in.
enum Prepared {
    /// To be stored where everyone can read it.
    Public(Box<NewPost>),
    /// Not for everyone.
    Hidden(Place, Hidden),
    /// Not to be stored.
    Skipped(Place, Skipped),
}

impl Run {
    /// What can be stored of a batch. What answers a post that cannot be stored answers that one's parent instead, so
    /// that a thread goes on around a gap.
    fn keep(&mut self, prepared: Vec<Prepared>) -> Vec<NewPost> {
        let mut batch = Vec::with_capacity(prepared.len());
        for item in prepared {
            let (key, reply_to) = match item {
                Prepared::Public(post) => {
                    batch.push(NewPost { reply_to: self.around_gaps(post.reply_to.clone()), ..*post });
                    continue;
                }
                Prepared::Hidden(place, hidden) => {
                    self.hidden.push(hidden);
                    place
                }
                Prepared::Skipped(place, skipped) => {
                    self.report.skipped.push(skipped);
                    place
                }
            };
            let parent = self.around_gaps(reply_to);
            self.left_out.insert(key, parent);
        }
        batch
    }

    fn around_gaps(&self, key: Option<SourceKey>) -> Option<SourceKey> {
        match key.as_ref().and_then(|key| self.left_out.get(key)) {
            Some(parent) => parent.clone(),
            None => key,
        }
    }

    /// Note what a batch of a dry run would have made, and count what the store could not: it took back what the
    /// earlier batches made, so the answers to that were not listed; and an account that is not there has no store.
    fn plan(&mut self, created: &[&NewPost], nothing_stands: bool) {
        let (mut uncounted, mut counted) = (HashSet::new(), Vec::new());
        for post in created {
            let listed = match &post.reply_to {
                None => nothing_stands,
                Some(key) => self.planned.contains(key) || uncounted.contains(key),
            };
            if listed {
                uncounted.insert(post.key.clone());
            } else if !nothing_stands {
                counted.push(post.key.clone());
            }
        }
        self.would_list += i64::try_from(uncounted.len()).unwrap_or_default();
        self.planned.extend(uncounted);
        self.planned.extend(counted);
    }
}

/// Import archives. `progress` is called after each batch with what was read so far and, where known, the total.
pub async fn ingest(
    app: &App,
    request: &Request,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Report, Error> {
    let format = request.format;
    ingest_from(app, request, Arc::new(move |path: &Path| import::open(path, format, now)), now, progress).await
}

/// The same from readers that `open` gives.
pub async fn ingest_from(
    app: &App,
    request: &Request,
    open: Arc<Open>,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Report, Error> {
    private::refuse_without_key(app, request.include_private)?;
    let survey = survey(request, open.clone()).await?;
    if survey.posts == 0 {
        return Err(nothing_readable(request, &survey));
    }
    let mut target = target::choose(app, request, &survey, now).await?;
    let mut run =
        Run { report: Report { account: handle_of(&target).to_owned(), ..Report::default() }, ..Run::default() };
    let mut lock = None;
    if let Target::Account(account) = target {
        if !request.dry_run {
            lock = Some(app.store.lock_import(account.id).await?);
        }
        target = Target::Account(Box::new(target::claim(app, request, &survey, *account, now).await?));
    }
    let account = match &target {
        Target::Account(account) => Some(account.id),
        Target::WouldBe(_) => None,
    };
    let keeper = Keeper::begin(app, account, request.include_private, request.dry_run).await?;
    for path in &request.paths {
        let (path, open) = (path.clone(), open.clone());
        let mut reader = blocking(move || open(&path)).await?.map_err(unreadable)?;
        loop {
            let (back, items) = blocking(move || read_batch(reader)).await?;
            reader = back;
            if items.is_empty() {
                break;
            }
            run.report.read += items.len() as u64;
            let (fresh, skipped) = admit(items, request, &target, &mut run.seen);
            run.report.skipped.extend(skipped);
            let mut public: Vec<SourceKey> =
                fresh.iter().filter(|post| private::is_public(post)).map(|post| post.key.clone()).collect();
            let hiding = keeper.look_up(&fresh).await?;
            let fresh = leave_unchanged(app, &target, fresh, &mut run.report).await?;
            let (media, keep) = (app.media.clone(), !request.dry_run);
            let (back, prepared) = blocking(move || {
                let prepare = |post: SourcePost| {
                    let place = (post.key.clone(), post.reply_to.clone());
                    if !private::is_public(&post) {
                        return Prepared::Hidden(place, hiding.prepare(post, reader.as_ref()));
                    }
                    match prepare(post, reader.as_ref(), &media, keep, now) {
                        Ok(post) => Prepared::Public(Box::new(post)),
                        Err(skipped) => Prepared::Skipped(place, skipped),
                    }
                };
                let prepared: Vec<Prepared> = fresh.into_iter().map(prepare).collect();
                (reader, prepared)
            })
            .await?;
            reader = back;
            let batch = run.keep(prepared);
            write(app, &target, &batch, request.dry_run, now, &mut run).await?;
            keeper.write(std::mem::take(&mut run.hidden), now, &mut run.report).await?;
            public.retain(|key| !run.left_out.contains_key(key));
            keeper.let_go(&public, &mut run.report.private).await?;
            progress(run.report.read, Some(survey.items()));
        }
    }
    keeper.finish().await?;
    if let Some(lock) = lock {
        lock.release().await?;
    }
    if !request.dry_run {
        app.forget_media().await?;
    }
    let listed = match &target {
        Target::Account(account) => app.store.count_listed(account.id).await?,
        Target::WouldBe(_) => 0,
    };
    run.report.published = u64::try_from(listed + run.would_list).unwrap_or_default();
    run.report.media_stored = run.files.len() as u64;
    Ok(run.report)
}

/// Nothing came out of the archive at all: what Everpost reads, and what was wrong with the first items.
fn nothing_readable(request: &Request, survey: &Survey) -> Error {
    let paths: Vec<String> = request.paths.iter().map(|path| path.display().to_string()).collect();
    let wrong = survey.wrong.iter().map(|item| format!("\n  {}: {}", item.at, item.reason)).collect::<String>();
    Error::NothingReadable(format!(
        "nothing readable was found in {}. Everpost reads Hugo page bundles that were made from a Mastodon account: \
         an index.md with `canonical` in its front matter and a \"Mastodon Source\" link below each post.{wrong}",
        paths.join(" ")
    ))
}

async fn survey(request: &Request, open: Arc<Open>) -> Result<Survey, Error> {
    let request = request.clone();
    blocking(move || {
        let mut survey = Survey::default();
        for path in &request.paths {
            let mut reader = open(path).map_err(unreadable)?;
            while let Some(item) = reader.next() {
                match item {
                    Ok(post) => survey.note(post),
                    Err(skipped) => survey.note_wrong(skipped),
                }
            }
        }
        Ok(survey)
    })
    .await?
}

fn unreadable(error: import::Error) -> Error {
    Error::NothingReadable(error.to_string())
}

type Batch = (Box<dyn ArchiveReader>, Vec<Result<SourcePost, Skipped>>);

fn read_batch(mut reader: Box<dyn ArchiveReader>) -> Batch {
    let mut items = Vec::new();
    let mut bytes = 0;
    while items.len() < BATCH && bytes < BATCH_BYTES {
        let Some(item) = reader.next() else { break };
        bytes += item.as_ref().map_or(0, |post| post.bytes.len() + post.html.len());
        items.push(item);
    }
    (reader, items)
}

/// Sort out what cannot come in: unreadable, by somebody else, or here a second time.
fn admit(
    items: Vec<Result<SourcePost, Skipped>>,
    request: &Request,
    target: &Target,
    seen: &mut HashSet<SourceKey>,
) -> (Vec<SourcePost>, Vec<Skipped>) {
    let (mut fresh, mut skipped) = (Vec::new(), Vec::new());
    let source = match target {
        Target::Account(account) if !request.adopt => account.source.as_ref(),
        _ => None,
    };
    for item in items {
        match item {
            Err(reason) => skipped.push(reason),
            Ok(post) => {
                let other = source.zip(post.author.as_ref()).filter(|(own, author)| !same_author(own, author));
                let reason = match other {
                    Some((own, author)) => {
                        Some(format!("it is by {author}, not by {own}; --adopt takes it in all the same"))
                    }
                    None if seen.insert(post.key.clone()) => None,
                    None => Some(format!("it is in this import already, as {}", post.key)),
                };
                match reason {
                    Some(reason) => skipped.push(Skipped { at: post.at, reason }),
                    None => fresh.push(post),
                }
            }
        }
    }
    (fresh, skipped)
}

/// Count what stands here exactly as it is in the source, and pass on the rest: its media need not be read.
/// Posts that are not public are passed on, for what stands here is not them.
async fn leave_unchanged(
    app: &App,
    target: &Target,
    posts: Vec<SourcePost>,
    report: &mut Report,
) -> Result<Vec<SourcePost>, Error> {
    let Target::Account(account) = target else { return Ok(posts) };
    let keys: Vec<&str> =
        posts.iter().filter(|post| private::is_public(post)).map(|post| post.key.0.as_str()).collect();
    let whole = app.store.list_whole_sources(account.id, &keys).await?;
    let (same, fresh): (Vec<_>, Vec<_>) = posts.into_iter().partition(|post| {
        let sha256 = openssl::sha::sha256(&post.bytes);
        private::is_public(post)
            && whole.get(&post.key.0).is_some_and(|standing| {
                standing.sha256 == sha256
                    && standing.format == post.format.name()
                    && standing.reader_version >= post.reader_version
            })
    });
    report.unchanged += same.len() as u64;
    report.estimated_dates += same.iter().filter(|post| post.date_origin == DateOrigin::Estimated).count() as u64;
    Ok(fresh)
}

async fn write(
    app: &App,
    target: &Target,
    batch: &[NewPost],
    dry_run: bool,
    now: DateTime<Utc>,
    run: &mut Run,
) -> Result<(), Error> {
    let stored = match target {
        Target::Account(account) => app.store.ingest(account.id, batch, dry_run, now).await?,
        Target::WouldBe(_) => {
            let kept = batch.iter().map(|post| Kept::Created(post.preferred_id)).collect();
            Stored { kept, ..Stored::default() }
        }
    };
    let mut created = Vec::new();
    for (post, kept) in batch.iter().zip(&stored.kept) {
        let files: Vec<&MediaFile> =
            post.attachments.iter().filter_map(|attachment| attachment.file.as_ref()).collect();
        match kept {
            Kept::Created(_) => run.report.created += 1,
            Kept::Updated(_) => run.report.updated += 1,
            Kept::Unchanged(_) => run.report.unchanged += 1,
            Kept::Refused(reason) => {
                run.report.skipped.push(Skipped { at: post.at.clone(), reason: reason.clone() });
                continue;
            }
        }
        run.report.media_missing += (post.attachments.len() - files.len()) as u64;
        run.report.estimated_dates += u64::from(post.date_origin == DateOrigin::Estimated);
        if matches!(kept, Kept::Created(_) | Kept::Updated(_)) {
            run.files.extend(files.into_iter().map(|file| file.sha256.clone()));
        }
        if matches!(kept, Kept::Created(_)) {
            created.push(post);
        }
    }
    if dry_run {
        run.would_list += stored.listed;
        run.plan(&created, matches!(target, Target::WouldBe(_)));
    }
    Ok(())
}
