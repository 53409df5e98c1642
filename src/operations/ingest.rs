//! An archive's posts → stored posts, from anywhere, batch by batch.

pub use super::report::Report;

use super::audiences::{Audiences, is_public};
use super::copies::{Copies, Told};
use super::fields::Tally;
use super::gaps::Gaps;
use super::pipeline::{Item, Prepared, Reading, Times, millis};
use super::planned::Planned;
use super::preview::{self, Preview};
use super::private::{Hidden, Keeper};
use super::target::{self, Survey, Target, handle_of, same_author};
use super::{App, Error, blocking};
use super::{announcements, private, profile};
use crate::domain::account::Handle;
use crate::domain::post::{Kept, MediaFile, NewPost};
use crate::domain::source::{Author, DateOrigin, Format, Remark, Skipped, SourceKey, SourcePost};
use crate::import::limits::Limits;
use crate::import::{self, Only};
use crate::store::ingest::Stored;
use crate::store::listing::KeptCounts;
use chrono::{DateTime, SubsecRound, Utc};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Instant;
use tokio::sync::mpsc;

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// The account that gets the posts; by default the one whose source the links name, else a new one.
    pub account: Option<Handle>,
    /// Whether posts by another author come in too.
    pub adopt: bool,
    /// Which formats are read.
    pub only: Only,
    /// Everything but writing.
    pub dry_run: bool,
    /// Whether posts that are not public are kept too, sealed; else they are left out.
    pub include_private: bool,
    /// How much of an archive is believed.
    pub limits: Limits,
}

/// A text by its hash: what an import keeps of every post must stay small, for there may be millions.
pub(super) fn digest(text: &str) -> u128 {
    let hash = openssl::sha::sha256(text.as_bytes());
    hash.first_chunk().map_or(0, |first: &[u8; 16]| u128::from_be_bytes(*first))
}

/// What an import keeps in mind from batch to batch before they are written.
#[derive(Default)]
struct Before {
    /// Every key that came in, with its formats.
    copies: Copies,
    /// Posts that could not be stored.
    gaps: Gaps,
}

/// A batch ready to be written, and what came of the items of it that are not.
#[derive(Default)]
struct Ready {
    /// In parts in which no key comes twice; all but the first hold further copies of posts that came before.
    parts: Vec<Vec<NewPost>>,
    read: u64,
    format: Option<Format>,
    unchanged: u64,
    estimated_dates: u64,
    skipped: Vec<Skipped>,
    notes: Vec<Remark>,
    /// Posts that are not public.
    hidden: Vec<Hidden>,
    /// The keys of those that are, where some of them may stand here sealed.
    public: Vec<SourceKey>,
    /// What posts that stay as they are tell and have.
    fields: Tally,
    media_found: u64,
    /// What each of the others tells, by its place.
    told: HashMap<String, Tally>,
    /// For a dry run: what is told of posts that stay as they are, and the place of each item in the batch.
    previews: Vec<Preview>,
    order: HashMap<String, usize>,
}

/// What an import keeps in mind from batch to batch once they are written.
#[derive(Default)]
struct Run {
    report: Report,
    /// What a dry run would have written under each key.
    told: HashMap<u128, Told>,
    /// What a dry run would have made.
    planned: Planned,
    /// Every file that was stored.
    files: HashSet<u128>,
}

impl Before {
    /// What can be stored of a batch.
    fn keep(&mut self, prepared: Vec<Prepared>, audiences: &Audiences, ready: &mut Ready) {
        let mut posts = Vec::with_capacity(prepared.len());
        for item in prepared {
            match item {
                Prepared::Public(post) => {
                    // A further copy may be good where the first one was not.
                    self.gaps.close(&post.key);
                    posts.push(self.gaps.join(*post, audiences));
                }
                Prepared::Hidden((key, reply_to), hidden) => {
                    if audiences.is_answered(&key) {
                        self.gaps.open(&key, reply_to);
                    }
                    ready.hidden.push(hidden);
                }
                Prepared::Skipped((key, reply_to), skipped) => {
                    self.gaps.open(&key, reply_to);
                    ready.skipped.push(skipped);
                }
            }
        }
        ready.public.retain(|key| !self.gaps.has(key));
        ready.parts = self.copies.parts(posts);
    }
}

impl Run {
    /// Count in what came of the profile.
    fn note_profile(&mut self, profile: Option<profile::Outcome>) {
        if let Some(profile) = &profile {
            self.report.media_missing += profile.missing;
            self.report.note(profile.remarks.iter().cloned());
            self.files.extend(profile.stored().map(|file| digest(&file.sha256)));
        }
        self.report.profile = profile;
    }
}

/// The number of items after which Postgres is asked to learn what the tables hold, and by how many times more each
/// further time.
const LEARN: (u64, u64) = (1000, 10);

/// Import archives. `progress` is called after each batch with what was read so far and, where known, the total.
pub async fn ingest(
    app: &App,
    request: &Request,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Report, Error> {
    ingest_watched(app, request, now, progress, &|_| {}).await
}

/// The same. `watch` is called in a dry run with what each item would become, in the order of the archive.
pub async fn ingest_watched(
    app: &App,
    request: &Request,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
    watch: &(dyn Fn(Preview) + Sync),
) -> Result<Report, Error> {
    private::refuse_without_key(app, request.include_private)?;
    // As exact as what is kept, so that what was decided by it can be proven.
    let now = now.trunc_subsecs(3);
    let begun = Instant::now();
    let survey = survey(request, now).await?;
    let mut times = Times { survey: millis(begun), ..Times::default() };
    if survey.posts == 0 {
        return Err(target::nothing_readable(&request.paths, &survey));
    }
    let mut target = target::choose(app, request, &survey, now).await?;
    let mut run =
        Run { report: Report { account: handle_of(&target).to_owned(), ..Report::default() }, ..Run::default() };
    let mut lock = None;
    if let (Some(account), false) = (target::account_of(&target), request.dry_run) {
        lock = Some(app.store.lock_import(account).await?);
    }
    let keeper = Keeper::begin(app, target::account_of(&target), request.include_private, request.dry_run).await?;
    if let Target::Account(account) = target {
        let account = target::claim(app, request, &survey, *account, now).await?;
        if let (false, Some(format)) = (request.dry_run, survey.format) {
            let id = app.store.begin_import(account.id, &target::shown(&request.paths), format, now).await?;
            run.report.import = Some(id);
        }
        target = Target::Account(Box::new(account));
    }
    // While a batch is written the next is made ready, and the one after that is read.
    let (sender, mut batches) = mpsc::channel(1);
    let mut profiles = Vec::new();
    let making = make_ready(app, request, &target, (&keeper, &survey.audiences), now, sender, &mut profiles);
    let writing = async {
        let (mut took, mut learn_at) = (0, LEARN.0);
        while let Some(ready) = batches.recv().await {
            let begun = Instant::now();
            let previews = write(app, &target, &keeper, ready, request.dry_run, now, &mut run).await?;
            previews.into_iter().for_each(watch);
            if !request.dry_run && run.report.read >= learn_at {
                app.store.learn().await?;
                learn_at *= LEARN.1;
            }
            took += millis(begun);
            progress(run.report.read, Some(survey.items()));
        }
        Ok(took)
    };
    ((times.read, times.ready), times.write) = tokio::try_join!(making, writing)?;
    let Times { survey: survey_ms, read: read_ms, ready: ready_ms, write: write_ms } = times;
    tracing::info!(survey_ms, read_ms, ready_ms, write_ms, "what the stages of the import took");
    keeper.finish(&mut run.report.private).await?;
    run.note_profile(profile::keep(app, &target, profiles, request.dry_run, now).await?);
    let mut kept = match &target {
        Target::Account(account) => app.store.count_kept(account.id).await?,
        Target::WouldBe(_) => KeptCounts::default(),
    };
    kept += run.planned.more;
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    run.report.published = count(kept.listed);
    (run.report.unpublished_boosts, run.report.unpublished_replies) = (count(kept.boosts), count(kept.replies));
    run.report.media_stored = run.files.len() as u64;
    if let Some(import) = run.report.import {
        app.store.finish_import(import, &run.report.counts()).await?;
    }
    if let Some(lock) = lock {
        lock.release().await?;
    }
    if !request.dry_run {
        app.forget_media().await?;
    }
    Ok(run.report)
}

/// Read every path, and send what can be written on, batch by batch. Gives the milliseconds of reading and making ready.
async fn make_ready(
    app: &App,
    request: &Request,
    target: &Target,
    (keeper, audiences): (&Keeper, &Audiences),
    now: DateTime<Utc>,
    sender: mpsc::Sender<Ready>,
    profiles: &mut Vec<profile::Ready>,
) -> Result<(u64, u64), Error> {
    let mut before = Before::default();
    let (mut read, mut reading_took, mut making_took) = (0, 0, 0);
    for path in &request.paths {
        let (shown, mut newest) = (path.display().to_string(), None);
        let (path, only, limits) = (path.clone(), request.only, request.limits);
        let reader = blocking(move || import::open(&path, only, &limits, now)).await?.map_err(unreadable)?;
        let mut reading = Reading::start(reader, read);
        while let Some(mut items) = reading.next().await? {
            items.iter_mut().flatten().for_each(|post| audiences.apply(post));
            let format = items.iter().flatten().next().map(|post| post.format);
            let mut ready = Ready { read: items.len() as u64, format, ..Ready::default() };
            if request.dry_run {
                ready.order = preview::order(&items);
            }
            read += ready.read;
            newest = newest.max(profile::newest(&items));
            let begun = Instant::now();
            let fresh = admit(items, request, target, &mut before.copies, &mut ready);
            ready.public = keeper.held_keys(&fresh);
            let hiding = keeper.look_up(&fresh, &before.copies).await?;
            let fresh = leave_unchanged(app, target, fresh, request.dry_run, &mut ready).await?;
            ready.told =
                fresh.iter().filter(|post| is_public(post)).map(|post| (post.at.clone(), Tally::of(post))).collect();
            let prepared = reading.prepare(fresh, &app.media, hiding, !request.dry_run, now).await?;
            before.keep(prepared, audiences, &mut ready);
            making_took += millis(begun);
            if sender.send(ready).await.is_err() {
                // Writing failed, and says why.
                return Ok((0, 0));
            }
        }
        reading_took += reading.took();
        profiles.extend(reading.profile(shown, &app.media, !request.dry_run, newest, now).await?);
    }
    Ok((reading_took, making_took))
}

async fn survey(request: &Request, now: DateTime<Utc>) -> Result<Survey, Error> {
    let request = request.clone();
    blocking(move || {
        let mut survey = Survey::default();
        for path in &request.paths {
            let mut reader = import::open(path, request.only, &request.limits, now).map_err(unreadable)?;
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

pub(super) fn unreadable(error: import::Error) -> Error {
    Error::NothingReadable(error.to_string())
}

/// Sort out what cannot come in: unreadable, by somebody else, or here a second time.
fn admit(
    items: Vec<Item>,
    request: &Request,
    target: &Target,
    copies: &mut Copies,
    ready: &mut Ready,
) -> Vec<SourcePost> {
    let mut fresh = Vec::with_capacity(items.len());
    let source = match target {
        Target::Account(account) if !request.adopt => account.source.as_ref(),
        _ => None,
    };
    for item in items {
        match item {
            Err(reason) => ready.skipped.push(reason),
            // What nobody asked for is left out, whoever wrote it and however often it comes.
            Ok(post) if !request.include_private && !is_public(&post) => fresh.push(post),
            Ok(post) => {
                let other = source.zip(post.author.as_ref()).filter(|(own, author)| !same_author(own, author));
                let reason = match other {
                    Some((own, author)) => Some(not_by(own, author)),
                    None if copies.admit(&post.key, post.format) => None,
                    None if !is_public(&post) => Some("it is in this import already".to_owned()),
                    None => Some(format!("it is in this import already, as {}", post.key)),
                };
                match reason {
                    Some(reason) => ready.skipped.push(Skipped { at: post.at, reason }),
                    None => fresh.push(post),
                }
            }
        }
    }
    fresh
}

/// Why a post does not come into an account that keeps those of `own`.
pub(super) fn not_by(own: &Author, author: &Author) -> String {
    format!("it is by {author}, not by {own}; --adopt takes it in all the same")
}

/// Count what stands here exactly as it is in the source, and pass on the rest: its media need not be read.
/// Posts that are not public are passed on, for what stands here is not them.
async fn leave_unchanged(
    app: &App,
    target: &Target,
    posts: Vec<SourcePost>,
    dry_run: bool,
    ready: &mut Ready,
) -> Result<Vec<SourcePost>, Error> {
    let Target::Account(account) = target else { return Ok(posts) };
    let public = posts.iter().filter(|post| is_public(post));
    let keys: Vec<&str> = public.map(|post| post.key.0.as_str()).collect();
    let whole = app.store.list_whole_sources(account.id, &keys).await?;
    let (mut same, fresh): (Vec<_>, Vec<_>) = posts.into_iter().partition(|post| {
        whole.get(&post.key.0).is_some_and(|standing| {
            standing.sha256 == openssl::sha::sha256(&post.bytes)
                && standing.format == post.format.name()
                && standing.reader_version >= post.reader_version
                && is_public(post)
        })
    });
    ready.unchanged += same.len() as u64;
    ready.media_found += same.iter().map(|post| post.media.len() as u64).sum::<u64>();
    same.iter().for_each(|post| ready.fields.add(&Tally::of(post)));
    ready.notes.extend(same.iter_mut().flat_map(|post| post.remarks.drain(..)));
    if dry_run {
        ready.previews.extend(same.iter().map(Preview::unchanged));
    }
    ready.estimated_dates += same.iter().filter(|post| post.date_origin == DateOrigin::Estimated).count() as u64;
    Ok(fresh)
}

/// Write a batch, part by part; for a dry run, what is told of each item.
async fn write(
    app: &App,
    target: &Target,
    keeper: &Keeper,
    ready: Ready,
    dry_run: bool,
    now: DateTime<Utc>,
    run: &mut Run,
) -> Result<Vec<Preview>, Error> {
    let Ready { parts, read, format, unchanged, estimated_dates, skipped, notes, hidden, public, .. } = ready;
    let (mut previews, order) = (ready.previews, ready.order);
    run.report.read += read;
    run.report.format = run.report.format.or(format);
    run.report.unchanged += unchanged;
    run.report.estimated_dates += estimated_dates;
    run.report.media_found += ready.media_found;
    run.report.fields.add(&ready.fields);
    run.report.note(notes);
    if dry_run {
        previews.extend(skipped.iter().map(Preview::skipped));
    }
    skipped.into_iter().for_each(|item| run.report.skip(item));
    for (at, part) in parts.into_iter().enumerate() {
        // What a dry run wrote before was taken back, so the store cannot decide about its copies.
        let told = |post: &NewPost| dry_run && run.told.contains_key(&digest(&post.key.0));
        let (told, part): (Vec<_>, Vec<_>) = part.into_iter().partition(told);
        // What a further copy tells the post has by the first one.
        let fields = if at == 0 { Some(&ready.told) } else { None };
        write_part(app, target, &told, fields, dry_run, now, (run, &mut previews)).await?;
        write_part(app, target, &part, fields, dry_run, now, (run, &mut previews)).await?;
    }
    if dry_run {
        previews.extend(hidden.iter().filter_map(Hidden::preview));
    }
    keeper.write(hidden, now, &mut run.report).await?;
    keeper.let_go(&public, &mut run.report.private).await?;
    if !dry_run {
        return Ok(Vec::new());
    }
    Ok(preview::in_order(previews.into_iter(), &order))
}

/// Write posts with different keys. Without `fields`, what each tells, each is a copy of a post that came before in
/// another format.
async fn write_part(
    app: &App,
    target: &Target,
    batch: &[NewPost],
    fields: Option<&HashMap<String, Tally>>,
    dry_run: bool,
    now: DateTime<Utc>,
    (run, previews): (&mut Run, &mut Vec<Preview>),
) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    let told = |post: &NewPost| Some(run.told.get_mut(&digest(&post.key.0))?.further(post));
    let told: Vec<Kept> = if dry_run { batch.iter().filter_map(told).collect() } else { Vec::new() };
    let stored = match target {
        _ if !told.is_empty() => Stored { kept: told, ..Stored::default() },
        Target::Account(account) => announcements::ingest(app, account, batch, run.report.import, now).await?,
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
                let skipped = Skipped { at: post.at.clone(), reason: reason.clone() };
                previews.extend(dry_run.then(|| Preview::skipped(&skipped)));
                run.report.skip(skipped);
                continue;
            }
        }
        // What a further copy lacks the post may have.
        if let Some(fields) = fields {
            run.report.media_found += files.len() as u64;
            run.report.media_missing += (post.attachments.len() - files.len()) as u64;
            run.report.estimated_dates += u64::from(post.date_origin == DateOrigin::Estimated);
            run.report.note(post.remarks.iter().cloned());
            fields.get(&post.at).into_iter().for_each(|told| run.report.fields.add(told));
        }
        if let (true, Kept::Created(id) | Kept::Updated(id)) = (dry_run && fields.is_some(), kept) {
            run.told.insert(digest(&post.key.0), Told::of(*id, post));
        }
        if dry_run {
            previews.push(Preview::of(post, kept));
        }
        if matches!(kept, Kept::Created(_) | Kept::Updated(_)) {
            run.files.extend(files.into_iter().map(|file| digest(&file.sha256)));
        }
        if matches!(kept, Kept::Created(_)) {
            created.push(post);
        }
    }
    if dry_run {
        run.planned.more += stored.more;
        match target {
            // All of it counted already.
            Target::Account(account) if account.settings.publish_replies => {}
            _ => run.planned.note(&created, matches!(target, Target::WouldBe(_))),
        }
    }
    Ok(())
}
