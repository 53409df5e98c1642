//! An account against an archive, which is read as an import reads it and prepared as one prepares it.
//!
//! Of the archive nothing is kept but hashes of keys, and the keys of gaps in its threads. Start with [`compare`].

use super::facts::{self, Counting};
use super::{Archive, BATCH, Kind, Of, Telling, find};
use crate::domain::ids::PostId;
use crate::domain::post::NewPost;
use crate::domain::private::PrivateId;
use crate::domain::source::SourcePost;
use crate::import::{self, Only};
use crate::operations::audiences::is_public;
use crate::operations::copies::Copies;
use crate::operations::gaps::Gaps;
use crate::operations::ingest::{self, digest, unreadable};
use crate::operations::pipeline::{Item, Prepared, Reading};
use crate::operations::private::compare as sealed;
use crate::operations::private::{Keeper, Preparation};
use crate::operations::target::{self, Survey, same_author};
use crate::operations::{Error, blocking, profile};
use chrono::{DateTime, SubsecRound, Utc};
use std::collections::{BTreeSet, HashMap};

/// What is kept of the archive's items.
#[derive(Default)]
struct Met {
    /// Every key that came in its richest layout.
    keys: BTreeSet<u128>,
    /// Those of posts that are not public.
    hidden: BTreeSet<u128>,
    /// Private posts of the account that the archive has too.
    private: BTreeSet<PrivateId>,
}

/// Compare an account with an archive.
pub(super) async fn compare(
    a: Of<'_>,
    archive: &Archive,
    include_private: bool,
    now: DateTime<Utc>,
    telling: &mut Telling<'_>,
) -> Result<(), Error> {
    // As exact as an import takes it.
    let now = now.trunc_subsecs(3);
    let (survey, copies) = survey(archive, now).await?;
    let keeper = Keeper::begin(a.app, Some(a.account.id), false, true).await?;
    let (path, limits) = (archive.path.clone(), archive.limits);
    let reader = blocking(move || import::open(&path, Only::Everything, &limits, now)).await?.map_err(unreadable)?;
    let mut reading = Reading::start(reader, 0);
    let (mut met, mut gaps, mut newest, mut seen) = (Met::default(), Gaps::default(), None, 0);
    while let Some(mut items) = reading.next().await? {
        items.iter_mut().flatten().for_each(|post| survey.audiences.apply(post));
        newest = newest.max(profile::newest(&items));
        seen += items.len() as u64;
        let fresh = admit(items, &copies, &mut met, telling);
        let (public, hidden): (Vec<_>, Vec<_>) = fresh.into_iter().partition(is_public);
        for post in &hidden {
            met.hidden.insert(digest(&post.key.0));
            if survey.audiences.is_answered(&post.key) {
                gaps.open(&post.key, post.reply_to.clone());
            }
        }
        match include_private {
            true => sealed::items(a, hidden, &reading, &mut met.private, telling).await?,
            false => telling.report.left_out += hidden.len() as u64,
        }
        let foreign = foreign(a, &public);
        // There is nothing to hide among them.
        let none: Preparation = keeper.look_up(&[], &copies).await?;
        let prepared = reading.prepare(public, &a.app.media, none, false, now).await?;
        let mut posts: Vec<NewPost> = Vec::with_capacity(prepared.len());
        for item in prepared {
            match item {
                Prepared::Public(post) => {
                    gaps.close(&post.key);
                    posts.push(gaps.join(*post, &survey.audiences));
                }
                Prepared::Skipped((key, reply_to), skipped) => {
                    gaps.open(&key, reply_to);
                    met.keys.remove(&digest(&key.0));
                    telling.tell(skipped.at, Kind::Unusable(skipped.reason));
                }
                Prepared::Hidden(..) => {}
            }
        }
        let there = find(a, posts.iter().map(|post| &post.key)).await?;
        for post in posts {
            let counting = if copies.has_poorer(&post.key, post.format) { Counting::Told } else { Counting::All };
            let (at, would) = (post.at.clone(), facts::of_new(post, a.account));
            match (there.get(&would.key), foreign.get(&at)) {
                (None, Some(why)) => telling.tell(at, Kind::Unusable(why.clone())),
                (one, _) => telling.pair(one, Some(&would), false, counting),
            }
        }
        (telling.progress)(seen);
    }
    let shown = archive.path.display().to_string();
    let told = reading.profile(shown, &a.app.media, false, newest, now).await?;
    if let Some(told) = told.and_then(|told| told.of(a.account)) {
        telling.report.profile = true;
        let one = facts::of_profile(&a.account.profile);
        telling.differs("profile", one.differences(&facts::of_profile(&told), Counting::All));
    }
    drop(reading);
    rest(a, &met, seen, telling).await?;
    if include_private {
        sealed::rest(a, &met.private, telling).await?;
    }
    Ok(())
}

/// Read the archive once: which of its posts are not public, and which come in several layouts.
async fn survey(archive: &Archive, now: DateTime<Utc>) -> Result<(Survey, Copies), Error> {
    let archive = archive.clone();
    blocking(move || {
        let (mut survey, mut copies) = (Survey::default(), Copies::default());
        let mut reader = import::open(&archive.path, Only::Everything, &archive.limits, now).map_err(unreadable)?;
        while let Some(item) = reader.next() {
            match item {
                Ok(post) => {
                    copies.admit(&post.key, post.format);
                    survey.note(post);
                }
                Err(skipped) => survey.note_wrong(skipped),
            }
        }
        match survey.posts {
            0 => Err(target::nothing_readable(std::slice::from_ref(&archive.path), &survey)),
            _ => Ok((survey, copies)),
        }
    })
    .await?
}

/// The items of a batch that are compared: each key once, in its richest layout.
fn admit(items: Vec<Item>, copies: &Copies, met: &mut Met, telling: &mut Telling<'_>) -> Vec<SourcePost> {
    let mut fresh = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Err(skipped) => telling.tell(skipped.at, Kind::Unusable(skipped.reason)),
            Ok(post) if copies.has_richer(&post.key, post.format) => telling.report.poorer += 1,
            Ok(post) if met.keys.insert(digest(&post.key.0)) => fresh.push(post),
            Ok(post) => telling.tell(post.at, Kind::Repeated),
        }
    }
    fresh
}

/// Why an import into the account would refuse some of these posts, by their places.
fn foreign(a: Of<'_>, posts: &[SourcePost]) -> HashMap<String, String> {
    let own = a.account.source.as_ref();
    let other = |post: &SourcePost| {
        let (own, author) = own.zip(post.author.as_ref()).filter(|(own, author)| !same_author(own, author))?;
        Some((post.at.clone(), ingest::not_by(own, author)))
    };
    posts.iter().filter_map(other).collect()
}

/// What the account has and the archive has not, or not for everyone.
async fn rest(a: Of<'_>, met: &Met, before: u64, telling: &mut Telling<'_>) -> Result<(), Error> {
    let (mut after, mut seen) = (PostId(0), before);
    loop {
        let page = a.app.store.page_compared(a.account.id, after, BATCH).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        for one in page.iter().filter(|one| one.entry.is_some()) {
            let key = digest(&one.key.0);
            if met.hidden.contains(&key) {
                telling.tell(one.key.0.clone(), Kind::HiddenB);
            } else if !met.keys.contains(&key) {
                telling.pair(Some(one), None, false, Counting::All);
            }
        }
        seen += page.len() as u64;
        (telling.progress)(seen);
    }
}
