//! Imports: the rows that remember them, and what undoes them.
//!
//! `revisions.rs` keeps what an import writes over and brings it back, `undo.rs` takes an import back, batch by batch.

pub(super) mod revisions;
mod undo;

pub use undo::Step;

use super::schema::{accounts, imports};
use super::{Error, Store};
use crate::domain::ids::{AccountId, ImportId};
use crate::domain::imports::{Import, UndoCounts};
use crate::domain::source::Format;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use serde_json::{Map, Value};

#[derive(Queryable, Selectable)]
#[diesel(table_name = imports, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: i64,
    account_id: i64,
    paths: Vec<String>,
    format: String,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    counts: Value,
    undo_counts: Option<Value>,
    undone_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Prospect {
    #[diesel(sql_type = BigInt)]
    deleted: i64,
    #[diesel(sql_type = BigInt)]
    withdrawn: i64,
    #[diesel(sql_type = BigInt)]
    restored: i64,
    #[diesel(sql_type = BigInt)]
    protected: i64,
}

impl Store {
    /// Note that an import into an account begins; its posts bear the number that this gives.
    pub async fn begin_import(
        &self,
        account: AccountId,
        paths: &[String],
        format: Format,
        now: DateTime<Utc>,
    ) -> Result<ImportId, Error> {
        let values = (
            imports::account_id.eq(account.0),
            imports::paths.eq(paths),
            imports::format.eq(format.name()),
            imports::started_at.eq(now),
        );
        let row = diesel::insert_into(imports::table).values(values).returning(imports::id);
        Ok(ImportId(row.get_result(&mut self.connection().await?).await?))
    }

    /// Note that an import came to its end, and what it came to: name to number.
    pub async fn finish_import(&self, id: ImportId, counts: &[(&str, u64)]) -> Result<(), Error> {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), Value::from(*count)));
        let end = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("greatest(started_at, clock_timestamp())");
        diesel::update(imports::table.find(id.0))
            .set((imports::counts.eq(Value::Object(Map::from_iter(counts))), imports::finished_at.eq(end.nullable())))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// An account's imports, latest first, at most `limit`.
    pub async fn list_imports(&self, account: AccountId, limit: i64) -> Result<Vec<Import>, Error> {
        let rows: Vec<(Row, String)> = imports::table
            .inner_join(accounts::table)
            .filter(imports::account_id.eq(account.0))
            .order(imports::id.desc())
            .limit(limit)
            .select((Row::as_select(), accounts::handle))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(import).collect())
    }

    /// The import of that number.
    pub async fn find_import(&self, id: ImportId) -> Result<Option<Import>, Error> {
        let row: Option<(Row, String)> = imports::table
            .inner_join(accounts::table)
            .filter(imports::id.eq(id.0))
            .select((Row::as_select(), accounts::handle))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(row.map(import))
    }

    /// What undoing an import would come to now.
    pub async fn count_undo(&self, id: ImportId) -> Result<UndoCounts, Error> {
        let counted: Prospect = diesel::sql_query(
            "SELECT count(*) FILTER (WHERE made AND NOT later AND NOT seen) AS deleted, \
             count(*) FILTER (WHERE made AND NOT later AND seen) AS withdrawn, \
             count(*) FILTER (WHERE NOT made AND NOT later) AS restored, \
             count(*) FILTER (WHERE later) AS protected FROM (\
             SELECT true AS made, exposed_at IS NOT NULL AS seen, EXISTS (SELECT FROM post_revisions \
             WHERE post_id = posts.id AND import_id > $1) AS later \
             FROM posts WHERE import_id = $1 AND withdrawn_at IS NULL \
             UNION ALL SELECT false, false, EXISTS (SELECT FROM post_revisions AS other \
             WHERE other.post_id = own.post_id AND other.import_id > $1) FROM post_revisions AS own WHERE own.import_id = $1\
             ) AS touched",
        )
        .bind::<BigInt, _>(id.0)
        .get_result(&mut self.connection().await?)
        .await?;
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(UndoCounts {
            deleted: number(counted.deleted),
            withdrawn: number(counted.withdrawn),
            restored: number(counted.restored),
            protected: number(counted.protected),
        })
    }
}

fn import((row, handle): (Row, String)) -> Import {
    let numbers = |value: &Value| {
        let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
        value.as_object().into_iter().flatten().filter_map(number).collect::<Vec<_>>()
    };
    Import {
        id: ImportId(row.id),
        account: AccountId(row.account_id),
        handle,
        paths: row.paths,
        format: Format::named(&row.format),
        started: row.started_at,
        finished: row.finished_at,
        counts: numbers(&row.counts),
        undoing: row.undo_counts.as_ref().map(undo_counts),
        undone: row.undone_at,
    }
}

/// What undoing came to, from its column.
fn undo_counts(value: &Value) -> UndoCounts {
    let number = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or_default();
    UndoCounts {
        deleted: number("deleted"),
        withdrawn: number("withdrawn"),
        restored: number("restored"),
        protected: number("protected"),
    }
}

/// The same as a column.
fn undo_json(counts: UndoCounts) -> Value {
    let entries = counts.entries().into_iter().map(|(name, count)| (name.to_owned(), Value::from(count)));
    Value::Object(Map::from_iter(entries))
}
