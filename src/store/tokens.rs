//! Rows of tokens, by the hash of each.

use super::schema::tokens;
use super::{Error, Store};
use crate::domain::ids::{AccountId, TokenId};
use crate::domain::token::{Scope, Token};
use chrono::{DateTime, Duration, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

/// How exactly the last use is noted: a token that is used a hundred times a second costs one write a minute.
const USE_NOTED: Duration = Duration::minutes(1);

type Row = (i64, Option<i64>, String, Vec<String>, DateTime<Utc>, Option<DateTime<Utc>>);

type Columns = (tokens::id, tokens::account_id, tokens::name, tokens::scopes, tokens::created_at, tokens::used_at);

const COLUMNS: Columns =
    (tokens::id, tokens::account_id, tokens::name, tokens::scopes, tokens::created_at, tokens::used_at);

/// A scope that this version does not know lets nobody in.
fn token((id, account, name, scopes, created, used): Row) -> Token {
    let scopes = scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
    Token { id: TokenId(id), account: account.map(AccountId), name, scopes, created, used }
}

impl Store {
    /// Keep a token by its hash.
    pub async fn insert_token(
        &self,
        account: Option<AccountId>,
        name: &str,
        scopes: &[Scope],
        sha256: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Token, Error> {
        let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        let values = (
            tokens::account_id.eq(account.map(|account| account.0)),
            tokens::name.eq(name),
            tokens::scopes.eq(words),
            tokens::sha256.eq(sha256),
            tokens::created_at.eq(now),
        );
        let row = diesel::insert_into(tokens::table).values(values).returning(COLUMNS);
        Ok(token(row.get_result(&mut self.connection().await?).await?))
    }

    /// The tokens of an account, or of the whole server, in the order in which they were made.
    pub async fn list_tokens(&self, account: Option<AccountId>) -> Result<Vec<Token>, Error> {
        let rows: Vec<Row> = tokens::table
            .filter(tokens::account_id.is_not_distinct_from(account.map(|account| account.0)))
            .order(tokens::id)
            .select(COLUMNS)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(token).collect())
    }

    /// Take a token back; whether there was one.
    pub async fn delete_token(&self, account: Option<AccountId>, id: TokenId) -> Result<bool, Error> {
        let found = tokens::table
            .filter(tokens::id.eq(id.0))
            .filter(tokens::account_id.is_not_distinct_from(account.map(|account| account.0)));
        Ok(diesel::delete(found).execute(&mut self.connection().await?).await? > 0)
    }

    /// The token of this hash, and that it was used.
    pub async fn use_token(&self, sha256: &[u8], now: DateTime<Utc>) -> Result<Option<Token>, Error> {
        let mut connection = self.connection().await?;
        let row: Option<Row> =
            tokens::table.filter(tokens::sha256.eq(sha256)).select(COLUMNS).first(&mut connection).await.optional()?;
        let Some(found) = row.map(token) else { return Ok(None) };
        if found.used.is_none_or(|used| used < now - USE_NOTED) {
            let row = diesel::update(tokens::table.find(found.id.0)).set(tokens::used_at.eq(now));
            row.execute(&mut connection).await?;
        }
        Ok(Some(found))
    }
}
