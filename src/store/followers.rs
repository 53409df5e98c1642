//! Who follows our accounts, and who has asked to.

use super::remote::lower;
use super::schema::{followers, remote_actors};
use super::{Error, Store, changes, deliveries, remote};
use crate::domain::delivery::Outgoing;
use crate::domain::follower::{FollowState, Follower};
use crate::domain::ids::{AccountId, RemoteActorId};
use crate::domain::remote::KnownActor;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// A Follow that came.
#[derive(Clone, Copy, Debug)]
pub struct Follow<'a> {
    /// Whom it follows.
    pub account: AccountId,
    /// Who follows.
    pub actor: RemoteActorId,
    /// The id of the Follow.
    pub uri: &'a str,
    /// The Follow as it came.
    pub json: &'a str,
}

type Row = (remote::Row, String, String, String, DateTime<Utc>);

fn follower((actor, state, follow_uri, follow, since): Row) -> Result<Follower, Error> {
    let state = FollowState::parse(&state).ok_or_else(|| Error::Damaged(format!("a follower's state {state:?}")))?;
    Ok(Follower { actor: KnownActor::try_from(actor)?, state, follow_uri, follow, since })
}

impl Store {
    /// Keep a Follow in this state and enqueue the answer to it, as one change. A later Follow of the same actor takes the
    /// place of the earlier one; who was accepted stays accepted.
    pub async fn follow(
        &self,
        follow: &Follow<'_>,
        state: FollowState,
        answer: Option<&Outgoing>,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                keep(connection, follow, state, answer, now).await?;
                changes::tell(connection).await
            })
            .await
    }

    /// Accept somebody who asked, and enqueue the answer; whether there was somebody.
    pub async fn accept_follower(
        &self,
        account: AccountId,
        actor: RemoteActorId,
        answer: &Outgoing,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let found = accept(connection, account, actor, now).await?;
                if found {
                    deliveries::enqueue(connection, account, answer, now).await?;
                    changes::tell(connection).await?;
                }
                Ok(found)
            })
            .await
    }

    /// Forget that an actor follows or has asked to, and enqueue what is said about it; whether there was anything.
    pub async fn remove_follower(
        &self,
        account: AccountId,
        actor: RemoteActorId,
        answer: Option<&Outgoing>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let found = forget(connection, account, actor).await?;
                if let (true, Some(answer)) = (found, answer) {
                    deliveries::enqueue(connection, account, answer, now).await?;
                }
                if found {
                    changes::tell(connection).await?;
                }
                Ok(found)
            })
            .await
    }

    /// How an actor stands to an account.
    pub async fn find_follower(&self, account: AccountId, actor: RemoteActorId) -> Result<Option<Follower>, Error> {
        let row: Option<Row> = followers::table
            .inner_join(remote_actors::table)
            .filter(followers::account_id.eq(account.0))
            .filter(followers::actor_id.eq(actor.0))
            .select((
                remote::Row::as_select(),
                followers::state,
                followers::follow_uri,
                followers::follow,
                followers::created_at,
            ))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        row.map(follower).transpose()
    }

    /// Those in this state, by actor number, at most `limit` after `after`.
    pub async fn list_followers(
        &self,
        account: AccountId,
        state: FollowState,
        after: Option<RemoteActorId>,
        limit: usize,
    ) -> Result<Vec<Follower>, Error> {
        let rows: Vec<Row> = followers::table
            .inner_join(remote_actors::table)
            .filter(followers::account_id.eq(account.0))
            .filter(followers::state.eq(state.as_str()))
            .filter(followers::actor_id.gt(after.map_or(0, |after| after.0)))
            .order(followers::actor_id)
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select((
                remote::Row::as_select(),
                followers::state,
                followers::follow_uri,
                followers::follow,
                followers::created_at,
            ))
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(follower).collect()
    }

    /// The places and ids of accepted followers, the latest first, at most `limit` before the place `before`.
    pub async fn page_followers(
        &self,
        account: AccountId,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, Error> {
        let rows = followers::table
            .inner_join(remote_actors::table)
            .filter(followers::account_id.eq(account.0))
            .filter(followers::state.eq(FollowState::Accepted.as_str()))
            .filter(followers::id.lt(before.unwrap_or(i64::MAX)))
            .order(followers::id.desc())
            .limit(i64::try_from(limit).unwrap_or(i64::MAX))
            .select((followers::id, remote_actors::uri));
        Ok(rows.load(&mut self.connection().await?).await?)
    }

    /// Those who have this id, or go by this `user@domain`, whatever its case: three at most.
    pub async fn find_followers_named(&self, account: AccountId, who: &str) -> Result<Vec<Follower>, Error> {
        let goes_by = remote_actors::handle.is_not_null().and(lower(remote_actors::handle).eq(who.to_lowercase()));
        let rows: Vec<Row> = followers::table
            .inner_join(remote_actors::table)
            .filter(followers::account_id.eq(account.0))
            .filter(remote_actors::uri.eq(who).or(goes_by.assume_not_null()))
            .order(followers::actor_id)
            .limit(3)
            .select((
                remote::Row::as_select(),
                followers::state,
                followers::follow_uri,
                followers::follow,
                followers::created_at,
            ))
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(follower).collect()
    }

    /// How many are in this state.
    pub async fn count_followers(&self, account: AccountId, state: FollowState) -> Result<u64, Error> {
        let theirs =
            followers::table.filter(followers::account_id.eq(account.0)).filter(followers::state.eq(state.as_str()));
        let count: i64 = theirs.count().get_result(&mut self.connection().await?).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

async fn accept(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    actor: RemoteActorId,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let theirs = followers::table
        .filter(followers::account_id.eq(account.0))
        .filter(followers::actor_id.eq(actor.0))
        .filter(followers::state.eq(FollowState::Requested.as_str()));
    let accepted = (followers::state.eq(FollowState::Accepted.as_str()), followers::accepted_at.eq(now));
    Ok(diesel::update(theirs).set(accepted).execute(connection).await? > 0)
}

/// Keep a Follow in this state and enqueue the answer to it, on a connection that is inside a transaction; the workers are to
/// be told after it.
pub(super) async fn keep(
    connection: &mut AsyncPgConnection,
    follow: &Follow<'_>,
    state: FollowState,
    answer: Option<&Outgoing>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let accepted = (state == FollowState::Accepted).then_some(now);
    let values = (
        followers::account_id.eq(follow.account.0),
        followers::actor_id.eq(follow.actor.0),
        followers::state.eq(state.as_str()),
        followers::follow_uri.eq(follow.uri),
        followers::follow.eq(follow.json),
        followers::created_at.eq(now),
        followers::accepted_at.eq(accepted),
    );
    let kept = diesel::insert_into(followers::table)
        .values(values)
        .on_conflict((followers::account_id, followers::actor_id))
        .do_update()
        .set((
            followers::follow_uri.eq(excluded(followers::follow_uri)),
            followers::follow.eq(excluded(followers::follow)),
        ));
    kept.execute(connection).await?;
    if accepted.is_some() {
        accept(connection, follow.account, follow.actor, now).await?;
    }
    if let Some(answer) = answer {
        deliveries::enqueue_quietly(connection, follow.account, answer, now).await?;
    }
    Ok(())
}

/// Forget that an actor follows or has asked to; whether there was anything.
pub(super) async fn forget(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    actor: RemoteActorId,
) -> Result<bool, Error> {
    let theirs = followers::table.filter(followers::account_id.eq(account.0)).filter(followers::actor_id.eq(actor.0));
    Ok(diesel::delete(theirs).execute(connection).await? > 0)
}

/// Forget a Follow that its actor takes back, by its id or by whom it is of; whether there was one.
pub(super) async fn undo(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
    uri: Option<&str>,
    account: Option<AccountId>,
) -> Result<bool, Error> {
    let either = followers::follow_uri
        .eq(uri.unwrap_or_default())
        .and(uri.is_some().into_sql::<diesel::sql_types::Bool>())
        .or(followers::account_id.eq(account.map_or(0, |account| account.0)));
    let theirs = followers::table.filter(followers::actor_id.eq(actor.0)).filter(either);
    Ok(diesel::delete(theirs).execute(connection).await? > 0)
}

/// Whether exactly this Follow was accepted and still counts.
pub(super) async fn stands(connection: &mut AsyncPgConnection, follow: &Follow<'_>) -> Result<bool, Error> {
    let its = followers::table
        .filter(followers::account_id.eq(follow.account.0).and(followers::actor_id.eq(follow.actor.0)))
        .filter(followers::follow_uri.eq(follow.uri).and(followers::state.eq(FollowState::Accepted.as_str())));
    Ok(diesel::select(diesel::dsl::exists(its)).get_result(connection).await?)
}
