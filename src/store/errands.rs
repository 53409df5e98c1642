//! What has to be fetched because of what was received: a small queue, leased like deliveries.

use super::schema::errands;
use super::{Error, Store};
use crate::domain::echo::{Errand, ErrandKind};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Errands that may wait for one host, and that one host may cause. What comes beyond is not done: others bring it again,
/// or nobody misses it.
const MOST_FOR_HOST: i64 = 200;
const MOST_OF_CAUSE: i64 = 200;
/// Errands for one host that are leased together, so that a slow host does not hold up all others.
const LEASED_FOR_HOST: i64 = 2;

/// An errand that one worker has until its lease ends.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasedErrand {
    id: i64,
    /// What to do.
    pub errand: Errand,
    /// How often it was tried before.
    pub attempts: i32,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    url: String,
    #[diesel(sql_type = Text)]
    cause: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

impl Store {
    /// Lease what is due until `until`, at most `limit`, and two for each host.
    pub async fn lease_errands(
        &self,
        limit: i64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<LeasedErrand>, Error> {
        let rows: Vec<Row> = diesel::sql_query(
            "WITH due AS ( \
                SELECT id, due_at, row_number() OVER (PARTITION BY host ORDER BY due_at, id) AS place FROM errands \
                WHERE due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2) \
            ), chosen AS ( \
                SELECT id FROM due WHERE place <= $4 ORDER BY due_at, id LIMIT $1 \
            ), locked AS ( \
                SELECT id FROM errands WHERE id IN (SELECT id FROM chosen) AND due_at <= $2 \
                AND (leased_until IS NULL OR leased_until <= $2) FOR UPDATE SKIP LOCKED \
            ) UPDATE errands SET leased_until = $3 WHERE id IN (SELECT id FROM locked) \
            RETURNING id, kind, url, cause, attempts",
        )
        .bind::<BigInt, _>(limit)
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(until)
        .bind::<BigInt, _>(LEASED_FOR_HOST)
        .load(&mut self.connection().await?)
        .await?;
        let leased = |row: Row| {
            let kind = ErrandKind::parse(&row.kind);
            let kind = kind.ok_or_else(|| Error::Damaged(format!("an errand of the kind {:?}", row.kind)))?;
            let errand = Errand { kind, url: row.url, cause: row.cause };
            Ok(LeasedErrand { id: row.id, errand, attempts: row.attempts })
        };
        rows.into_iter().map(leased).collect()
    }

    /// An errand is done, or will never be.
    pub async fn finish_errand(&self, leased: &LeasedErrand) -> Result<(), Error> {
        diesel::delete(errands::table.find(leased.id)).execute(&mut self.connection().await?).await?;
        Ok(())
    }

    /// An errand is to be tried again at `due`.
    pub async fn postpone_errand(&self, leased: &LeasedErrand, due: DateTime<Utc>) -> Result<(), Error> {
        let later = (
            errands::attempts.eq(leased.attempts + 1),
            errands::due_at.eq(due),
            errands::leased_until.eq(None::<DateTime<Utc>>),
        );
        diesel::update(errands::table.find(leased.id)).set(later).execute(&mut self.connection().await?).await?;
        Ok(())
    }

    /// How many errands wait.
    pub async fn count_errands(&self) -> Result<i64, Error> {
        Ok(errands::table.count().get_result(&mut self.connection().await?).await?)
    }
}

/// Enqueue an errand, unless it waits already or too many do; whether it is new.
pub(super) async fn enqueue(
    connection: &mut AsyncPgConnection,
    errand: &Errand,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let Some(host) = host_of(&errand.url) else { return Ok(false) };
    let made = diesel::sql_query(
        "INSERT INTO errands (kind, url, host, cause, due_at) SELECT $1, $2, $3, $4, $5 \
            WHERE (SELECT count(*) FROM errands WHERE host = $3) < $6 AND (SELECT count(*) FROM errands WHERE cause = $4) < $7 \
        ON CONFLICT (kind, url) DO NOTHING",
    )
    .bind::<Text, _>(errand.kind.as_str())
    .bind::<Text, _>(&errand.url)
    .bind::<Text, _>(host)
    .bind::<Text, _>(&errand.cause)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(MOST_FOR_HOST)
    .bind::<BigInt, _>(MOST_OF_CAUSE)
    .execute(connection)
    .await?;
    Ok(made > 0)
}

/// Drop the errand for an object that is gone.
pub(super) async fn drop_reply(connection: &mut AsyncPgConnection, url: &str) -> Result<(), Error> {
    let its = errands::table.filter(errands::kind.eq(ErrandKind::Reply.as_str()).and(errands::url.eq(url)));
    diesel::delete(its).execute(connection).await?;
    Ok(())
}
