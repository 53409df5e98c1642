//! Blocks of domains and actors.

use super::again::Again;
use super::reactions::discount;
use super::schema::{blocks, remote_actors};
use super::together::Question;
use super::{Connection, Error, Store, changes};
use crate::domain::block::{Block, BlockTarget, Blocked, domains_above};
use crate::domain::ids::{AccountId, BlockId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;

type Row = (i64, Option<i64>, String, String, String, DateTime<Utc>);

const COLUMNS: (blocks::id, blocks::account_id, blocks::kind, blocks::target, blocks::comment, blocks::created_at) =
    (blocks::id, blocks::account_id, blocks::kind, blocks::target, blocks::comment, blocks::created_at);

fn block((id, account, kind, target, comment, since): Row) -> Block {
    let target = match kind.as_str() {
        "domain" => BlockTarget::Domain(target),
        "address" => BlockTarget::Address(target),
        _ => BlockTarget::Actor(target),
    };
    Block { id: BlockId(id), account: account.map(AccountId), target, comment, since }
}

fn columns(target: &BlockTarget) -> (&'static str, &str) {
    match target {
        BlockTarget::Domain(domain) => ("domain", domain),
        BlockTarget::Actor(uri) => ("actor", uri),
        BlockTarget::Address(address) => ("address", address),
    }
}

/// Whether an actor is blocked.
#[derive(Clone, Debug)]
pub(super) struct Whether {
    account: Option<AccountId>,
    actor: String,
}

#[derive(QueryableByName)]
struct IsBlocked {
    #[diesel(sql_type = Bool)]
    blocked: bool,
}

impl Question for Whether {
    type Answer = bool;

    async fn answer(questions: &[Whether], connection: &mut Connection) -> Result<Vec<Result<bool, Error>>, Error> {
        let accounts: Vec<Option<i64>> = questions.iter().map(|asked| asked.account.map(|id| id.0)).collect();
        let actors: Vec<&str> = questions.iter().map(|asked| asked.actor.as_str()).collect();
        // No name of a domain has a space.
        let domains = |asked: &Whether| host_of(&asked.actor).map(|host| domains_above(&host).join(" "));
        let domains: Vec<String> = questions.iter().map(|asked| domains(asked).unwrap_or_default()).collect();
        let question = diesel::sql_query(
            "SELECT EXISTS (SELECT FROM blocks WHERE (blocks.account_id IS NULL OR blocks.account_id = asked.account) AND ( \
                kind = 'domain' AND target = ANY (string_to_array(domains, ' ')) OR kind = 'actor' AND target = actor \
                OR kind = 'address' AND target IN (SELECT lower(handle) FROM remote_actors WHERE uri = actor))) AS blocked \
            FROM unnest($1, $2, $3) WITH ORDINALITY AS asked (account, actor, domains, place) ORDER BY place",
        )
        .bind::<Array<Nullable<BigInt>>, _>(accounts)
        .bind::<Array<Text>, _>(actors)
        .bind::<Array<Text>, _>(domains);
        let found: Vec<IsBlocked> = Again(question).load(connection).await?;
        Ok(found.into_iter().map(|found| Ok(found.blocked)).collect())
    }
}

impl Store {
    /// Whether an actor, its address if it is known here, or its domain or one above that, is blocked for the whole server or for `account`.
    pub async fn is_blocked(&self, account: Option<AccountId>, actor: &str) -> Result<bool, Error> {
        self.blocked.ask(Whether { account, actor: actor.to_owned() }).await
    }

    /// Block: those at whom it is aimed follow no more, their reactions are taken back, their replies are not listed,
    /// and what waits for them is dropped. Nothing tells them.
    pub async fn insert_block(
        &self,
        account: Option<AccountId>,
        target: &BlockTarget,
        comment: &str,
        now: DateTime<Utc>,
    ) -> Result<Blocked, Error> {
        let (kind, text) = columns(target);
        let values = (
            blocks::account_id.eq(account.map(|account| account.0)),
            blocks::kind.eq(kind),
            blocks::target.eq(text),
            blocks::comment.eq(comment),
            blocks::created_at.eq(now),
        );
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let made = diesel::insert_into(blocks::table).values(values).on_conflict_do_nothing();
                let is_new = made.execute(connection).await? > 0;
                // First what waits: a personal inbox is known by the actor alone.
                let deliveries = drop_deliveries(connection, account, target, now).await?;
                let followers = remove_followers(connection, account, target).await?;
                let reactions = remove_reactions(connection, account, target, now).await?;
                let known = diesel::select(exists(remote_actors::table.filter(remote_actors::uri.eq(text))));
                let known: bool = known.get_result(connection).await?;
                let is_unknown = matches!(target, BlockTarget::Actor(_)) && !known;
                changes::tell(connection).await?;
                Ok(Blocked { is_new, followers, reactions, deliveries, is_unknown })
            })
            .await
    }

    /// Take a block back; whether there was one.
    pub async fn delete_block(&self, account: Option<AccountId>, target: &BlockTarget) -> Result<bool, Error> {
        let (kind, target) = columns(target);
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let found = blocks::table
                    .filter(blocks::account_id.is_not_distinct_from(account.map(|account| account.0)))
                    .filter(blocks::kind.eq(kind))
                    .filter(blocks::target.eq(target));
                let found = diesel::delete(found).execute(connection).await? > 0;
                changes::tell(connection).await?;
                Ok(found)
            })
            .await
    }

    /// Every block that holds for the whole server, or for one account alone, in the order in which they were made.
    pub async fn list_blocks(&self, account: Option<AccountId>) -> Result<Vec<Block>, Error> {
        let rows: Vec<Row> = blocks::table
            .filter(blocks::account_id.is_not_distinct_from(account.map(|account| account.0)))
            .order(blocks::id)
            .select(COLUMNS)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(block).collect())
    }

    /// `user@domain` of those of these actors that are known, by id.
    pub async fn list_addresses(&self, actors: &[&str]) -> Result<HashMap<String, String>, Error> {
        let known = remote_actors::table.filter(remote_actors::uri.eq_any(actors));
        let rows: Vec<(String, Option<String>)> =
            known.select((remote_actors::uri, remote_actors::handle)).load(&mut self.connection().await?).await?;
        Ok(rows.into_iter().filter_map(|(uri, handle)| Some((uri, handle?))).collect())
    }
}

/// Which rows of `remote_actors` a block is aimed at: $1 is the target.
fn aim(target: &BlockTarget) -> &'static str {
    match target {
        BlockTarget::Domain(_) => {
            "(regexp_replace(remote_actors.host, ':[0-9]+$', '') = $1 \
             OR right(regexp_replace(remote_actors.host, ':[0-9]+$', ''), length($1) + 1) = '.' || $1)"
        }
        BlockTarget::Actor(_) => "remote_actors.uri = $1",
        BlockTarget::Address(_) => "lower(remote_actors.handle) = $1",
    }
}

async fn remove_followers(
    connection: &mut AsyncPgConnection,
    account: Option<AccountId>,
    target: &BlockTarget,
) -> Result<u64, Error> {
    let removed = diesel::sql_query(format!(
        "DELETE FROM followers USING remote_actors WHERE remote_actors.id = followers.actor_id \
         AND ($2 IS NULL OR followers.account_id = $2) AND {}",
        aim(target)
    ));
    let removed = removed
        .bind::<Text, _>(columns(target).1)
        .bind::<Nullable<BigInt>, _>(account.map(|account| account.0))
        .execute(connection)
        .await?;
    Ok(removed as u64)
}

#[derive(QueryableByName)]
struct Reaction {
    #[diesel(sql_type = BigInt)]
    post_id: i64,
    #[diesel(sql_type = Text)]
    kind: String,
}

/// Take back the likes, boosts and emoji of those at whom a block is aimed, and count them off. Their replies stay, and are
/// not listed while the block stands.
async fn remove_reactions(
    connection: &mut AsyncPgConnection,
    account: Option<AccountId>,
    target: &BlockTarget,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let removed = diesel::sql_query(format!(
        "DELETE FROM reactions USING remote_actors, posts WHERE remote_actors.id = reactions.actor_id \
         AND posts.id = reactions.post_id AND ($2 IS NULL OR posts.account_id = $2) AND {} \
         RETURNING reactions.post_id, reactions.kind",
        aim(target)
    ));
    let removed: Vec<Reaction> = removed
        .bind::<Text, _>(columns(target).1)
        .bind::<Nullable<BigInt>, _>(account.map(|account| account.0))
        .get_results(connection)
        .await?;
    let gone: Vec<(i64, String)> = removed.into_iter().map(|reaction| (reaction.post_id, reaction.kind)).collect();
    discount(connection, &gone, now).await?;
    Ok(gone.len() as u64)
}

/// Drop what waits for a domain, or for the personal inbox of an actor: a shared one has others behind it. What a worker has
/// in its hands is not taken from it.
async fn drop_deliveries(
    connection: &mut AsyncPgConnection,
    account: Option<AccountId>,
    target: &BlockTarget,
    now: DateTime<Utc>,
) -> Result<u64, Error> {
    let theirs = match target {
        BlockTarget::Domain(_) => "(regexp_replace(d.host, ':[0-9]+$', '') = $1 \
             OR right(regexp_replace(d.host, ':[0-9]+$', ''), length($1) + 1) = '.' || $1)"
            .to_owned(),
        _ => format!("d.inbox IN (SELECT inbox FROM remote_actors WHERE {})", aim(target)),
    };
    let dropped = diesel::sql_query(format!(
        "UPDATE deliveries d SET state = 'dropped', settled_at = $3, answer = 'it is blocked' FROM activities a \
         WHERE a.id = d.activity_id AND d.state = 'waiting' AND d.leased_until IS NULL \
         AND ($2 IS NULL OR a.account_id = $2) AND {theirs}"
    ));
    let dropped = dropped
        .bind::<Text, _>(columns(target).1)
        .bind::<Nullable<BigInt>, _>(account.map(|account| account.0))
        .bind::<Timestamptz, _>(now)
        .execute(connection)
        .await?;
    Ok(dropped as u64)
}
