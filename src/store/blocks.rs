//! Blocks of domains and actors.

use super::schema::blocks;
use super::{Error, Store, changes};
use crate::domain::block::{Block, BlockTarget, domains_above};
use crate::domain::ids::{AccountId, BlockId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};

type Row = (i64, Option<i64>, String, String, String, DateTime<Utc>);

const COLUMNS: (blocks::id, blocks::account_id, blocks::kind, blocks::target, blocks::comment, blocks::created_at) =
    (blocks::id, blocks::account_id, blocks::kind, blocks::target, blocks::comment, blocks::created_at);

fn block((id, account, kind, target, comment, since): Row) -> Block {
    let target = if kind == "domain" { BlockTarget::Domain(target) } else { BlockTarget::Actor(target) };
    Block { id: BlockId(id), account: account.map(AccountId), target, comment, since }
}

fn columns(target: &BlockTarget) -> (&'static str, &str) {
    match target {
        BlockTarget::Domain(domain) => ("domain", domain),
        BlockTarget::Actor(uri) => ("actor", uri),
    }
}

impl Store {
    /// Whether an actor, or its domain or one above that, is blocked for the whole server or for `account`.
    pub async fn is_blocked(&self, account: Option<AccountId>, actor: &str) -> Result<bool, Error> {
        let domains = host_of(actor).map(|host| domains_above(&host)).unwrap_or_default();
        let holds = blocks::account_id.is_null().or(blocks::account_id.eq(account.map(|account| account.0)));
        let aimed = (blocks::kind.eq("domain").and(blocks::target.eq_any(domains)))
            .or(blocks::kind.eq("actor").and(blocks::target.eq(actor)));
        let found = blocks::table.filter(holds.assume_not_null()).filter(aimed);
        Ok(diesel::select(diesel::dsl::exists(found)).get_result(&mut self.connection().await?).await?)
    }

    /// Block; whether that is new.
    pub async fn insert_block(
        &self,
        account: Option<AccountId>,
        target: &BlockTarget,
        comment: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let (kind, target) = columns(target);
        let values = (
            blocks::account_id.eq(account.map(|account| account.0)),
            blocks::kind.eq(kind),
            blocks::target.eq(target),
            blocks::comment.eq(comment),
            blocks::created_at.eq(now),
        );
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let made = diesel::insert_into(blocks::table).values(values).on_conflict_do_nothing();
                let made = made.execute(connection).await? > 0;
                changes::tell(connection).await?;
                Ok(made)
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
}
