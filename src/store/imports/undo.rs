//! Taking an import back: first what it wrote over, then what it made, a batch of posts a transaction.
//!
//! Each batch leaves everything consistent, and what was done is not found again: so undoing goes on wherever it was
//! broken off. Start with [`Store::undo_step`].

use super::{revisions, undo_counts, undo_json};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, ImportId, PostId};
use crate::domain::imports::UndoCounts;
use crate::store::schema::{imports, post_revisions, posts};
use crate::store::{Error, Store, accounts, announcements, changes, posts as post_rows, threads};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::collections::HashMap;

/// Posts in a batch, which is one transaction.
const BATCH: i64 = 500;
/// Withdrawn posts of which followers are told at once; of as many more an hour later.
const TOLD_AN_HOUR: u64 = 20;
/// Hours over which they are told of all: what the queue finds to be due in more than two days is sent at once, for it takes
/// that for a clock that ran ahead. Of very many posts more than these few are told in each hour.
const HOURS: u64 = 47;

/// Makes what followers are told of a post that is withdrawn.
pub type OfWithdrawn<'a> = &'a (dyn Fn(PostId) -> Outgoing + Send + Sync);

/// What a step came to.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Its part of the whole; nothing at all when there was nothing left to do, and the import is undone.
    pub counts: UndoCounts,
    /// Posts that stay as they are, each with the later import that wrote over it.
    pub protected: Vec<(PostId, ImportId)>,
}

impl Store {
    /// Take back the next batch of an import; `None` once nothing is left, and the import is noted as undone.
    ///
    /// Called under the account's import lock. `before` is the number below which posts that it made are looked for: the
    /// one that the step before gave, at first the greatest. Followers are told of what is withdrawn, by `told`.
    pub async fn undo_step(
        &self,
        account: AccountId,
        import: ImportId,
        before: PostId,
        told: Option<OfWithdrawn<'_>>,
        now: DateTime<Utc>,
    ) -> Result<Option<(Step, PostId)>, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts::lock_writing(connection, account).await?;
                let mut step = Step::default();
                let mut next = before;
                let edited = list_edited(connection, import).await?;
                if edited.is_empty() {
                    let made = list_made(connection, import, before).await?;
                    let Some((last, ..)) = made.last() else {
                        finish(connection, import).await?;
                        return Ok(None);
                    };
                    next = PostId(*last);
                    let gone = take_back(connection, account, import, &made, now, &mut step).await?;
                    if let Some(told) = told {
                        tell_gone(connection, (account, import), &gone, told, now).await?;
                    }
                } else {
                    give_back(connection, account, import, &edited, now, &mut step).await?;
                }
                add(connection, import, step.counts).await?;
                accounts::touch(connection, account, now).await?;
                changes::tell(connection).await?;
                Ok(Some((step, next)))
            })
            .await
    }
}

/// The next posts that it wrote over and that stand as somebody left them, locked.
async fn list_edited(connection: &mut AsyncPgConnection, import: ImportId) -> Result<Vec<i64>, Error> {
    let own = post_revisions::table.filter(post_revisions::import_id.eq(import.0));
    let ids: Vec<i64> =
        own.select(post_revisions::post_id).order(post_revisions::post_id).limit(BATCH).load(connection).await?;
    let locked = posts::table.filter(posts::id.eq_any(&ids)).order(posts::id).for_update();
    locked.select(posts::id).load::<i64>(connection).await?;
    // Who withdrew one meanwhile took its revisions along.
    let own =
        post_revisions::table.filter(post_revisions::import_id.eq(import.0).and(post_revisions::post_id.eq_any(ids)));
    Ok(own.select(post_revisions::post_id).order(post_revisions::post_id).load(connection).await?)
}

/// A post that the import made: its number, and whether another server has seen it.
type Made = (i64, bool);

/// The next posts that it made and that nobody withdrew, latest first: an answer goes before what it answers. Locked.
async fn list_made(connection: &mut AsyncPgConnection, import: ImportId, before: PostId) -> Result<Vec<Made>, Error> {
    let standing = posts::import_id.eq(import.0).and(posts::withdrawn_at.is_null());
    Ok(posts::table
        .filter(standing.and(posts::id.lt(before.0)))
        .order(posts::id.desc())
        .limit(BATCH)
        .select((posts::id, posts::exposed_at.is_not_null()))
        .for_update()
        .load(connection)
        .await?)
}

/// Of these posts, those that later imports wrote over, each with the first of these.
async fn find_later(
    connection: &mut AsyncPgConnection,
    import: ImportId,
    posts: &[i64],
) -> Result<HashMap<i64, i64>, Error> {
    let later = post_revisions::table
        .filter(post_revisions::post_id.eq_any(posts).and(post_revisions::import_id.gt(import.0)))
        .group_by(post_revisions::post_id)
        .select((post_revisions::post_id, diesel::dsl::min(post_revisions::import_id).assume_not_null()));
    Ok(later.load::<(i64, i64)>(connection).await?.into_iter().collect())
}

/// Posts that it wrote over become what they were. Where a later import wrote over them too they stay, and what that one
/// would bring back is now what stood before both.
async fn give_back(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    import: ImportId,
    edited: &[i64],
    now: DateTime<Utc>,
    step: &mut Step,
) -> Result<(), Error> {
    let later = find_later(connection, import, edited).await?;
    forget_next(connection, &later).await?;
    let (posts, imports) = columns(&later);
    diesel::sql_query(
        "UPDATE post_revisions r SET import_id = l.import FROM unnest($2, $3) AS l (post, import) \
         WHERE r.import_id = $1 AND r.post_id = l.post",
    )
    .bind::<BigInt, _>(import.0)
    .bind::<Array<BigInt>, _>(posts)
    .bind::<Array<BigInt>, _>(imports)
    .execute(connection)
    .await?;
    let free: Vec<i64> = edited.iter().copied().filter(|id| !later.contains_key(id)).collect();
    if !free.is_empty() {
        revisions::restore(connection, account, import, &free, now).await?;
    }
    step.counts.restored += free.len() as u64;
    protect(&later, step);
    Ok(())
}

/// Posts that it made go, or are withdrawn where another server has seen them: these are given. Those that a later import
/// wrote over stay, as if that one had made them.
async fn take_back(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    import: ImportId,
    made: &[Made],
    now: DateTime<Utc>,
    step: &mut Step,
) -> Result<Vec<i64>, Error> {
    let ids: Vec<i64> = made.iter().map(|(id, _)| *id).collect();
    let later = find_later(connection, import, &ids).await?;
    forget_next(connection, &later).await?;
    let (posts, imports) = columns(&later);
    diesel::sql_query(
        "UPDATE posts p SET import_id = l.import, touched_by = (SELECT max(import_id) FROM post_revisions WHERE post_id = p.id) \
         FROM unnest($1, $2) AS l (post, import) WHERE p.id = l.post",
    )
    .bind::<Array<BigInt>, _>(posts)
    .bind::<Array<BigInt>, _>(imports)
    .execute(connection)
    .await?;
    let free = made.iter().filter(|(id, _)| !later.contains_key(id));
    let (seen, unseen): (Vec<Made>, Vec<Made>) = free.partition(|(_, seen)| *seen);
    let [seen, unseen] = [seen, unseen].map(|posts| posts.into_iter().map(|(id, _)| id).collect::<Vec<i64>>());
    post_rows::empty(connection, &seen, now).await?;
    threads::delete(connection, account, &unseen, now).await?;
    step.counts.withdrawn += seen.len() as u64;
    step.counts.deleted += unseen.len() as u64;
    protect(&later, step);
    Ok(seen)
}

/// Tell followers of withdrawn posts, a few an hour: all at once would look like an attack. Before the step is counted.
async fn tell_gone(
    connection: &mut AsyncPgConnection,
    (account, import): (AccountId, ImportId),
    gone: &[i64],
    told: OfWithdrawn<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let before: Option<Value> = imports::table.find(import.0).select(imports::undo_counts).first(connection).await?;
    let first = before.as_ref().map(undo_counts).unwrap_or_default().withdrawn;
    for (number, id) in (first..).zip(gone) {
        let hours = i64::try_from(number / TOLD_AN_HOUR % HOURS).unwrap_or(0);
        let due = now + TimeDelta::hours(hours);
        if announcements::announce(connection, account, &told(PostId(*id)), due).await?.is_none() {
            // Nobody follows.
            break;
        }
    }
    Ok(())
}

/// Let go of what the next import would bring back, for the one before it is undone and takes its place.
async fn forget_next(connection: &mut AsyncPgConnection, later: &HashMap<i64, i64>) -> Result<(), Error> {
    let (posts, imports) = columns(later);
    diesel::sql_query(
        "DELETE FROM post_revisions r USING unnest($1, $2) AS l (post, import) WHERE r.post_id = l.post AND r.import_id = l.import",
    )
    .bind::<Array<BigInt>, _>(posts)
    .bind::<Array<BigInt>, _>(imports)
    .execute(connection)
    .await?;
    Ok(())
}

fn columns(later: &HashMap<i64, i64>) -> (Vec<i64>, Vec<i64>) {
    later.iter().map(|(post, import)| (*post, *import)).unzip()
}

fn protect(later: &HashMap<i64, i64>, step: &mut Step) {
    step.counts.protected += later.len() as u64;
    step.protected.extend(later.iter().map(|(post, import)| (PostId(*post), ImportId(*import))));
    step.protected.sort_unstable();
}

/// Add what a step came to to what undoing came to before.
async fn add(connection: &mut AsyncPgConnection, import: ImportId, counts: UndoCounts) -> Result<(), Error> {
    let before: Option<Value> = imports::table.find(import.0).select(imports::undo_counts).first(connection).await?;
    let counts = before.as_ref().map(undo_counts).unwrap_or_default().and(counts);
    let row = diesel::update(imports::table.find(import.0));
    row.set(imports::undo_counts.eq(undo_json(counts))).execute(connection).await?;
    Ok(())
}

/// Note that nothing is left of it.
async fn finish(connection: &mut AsyncPgConnection, import: ImportId) -> Result<(), Error> {
    add(connection, import, UndoCounts::default()).await?;
    let end = diesel::dsl::sql::<Timestamptz>("clock_timestamp()").nullable();
    diesel::update(imports::table.find(import.0)).set(imports::undone_at.eq(end)).execute(connection).await?;
    Ok(())
}
