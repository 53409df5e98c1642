//! What the owner sees of the queue and does to it.

use super::{DeliveryHost, Error, HostRow, Store, count, standing};
use crate::domain::delivery::{DeliveryState, HostFigures, QueueFigures};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, RunQueryDsl};

/// Rows that are changed at once.
const STEP: i64 = 5000;

/// Which hosts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Each for which something waits, or which does not answer.
    Notable,
    /// Each that something was ever sent to.
    All,
}

#[derive(QueryableByName)]
struct Totals {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    paused: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    due: i64,
    #[diesel(sql_type = BigInt)]
    leased: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    oldest: Option<DateTime<Utc>>,
    #[diesel(sql_type = BigInt)]
    parked_inboxes: i64,
}

#[derive(QueryableByName)]
struct Group {
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Bool)]
    known: bool,
}

#[derive(QueryableByName)]
struct Listed {
    #[diesel(embed)]
    host: HostRow,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    look_at: Option<DateTime<Utc>>,
}

impl Store {
    /// How much there is in the queue, and what became of what was in it. Counts every delivery that is kept.
    pub async fn queue_figures(&self, now: DateTime<Utc>) -> Result<QueueFigures, Error> {
        let mut figures = self.count_queue(now).await?;
        let settled: Vec<Group> = diesel::sql_query(
            "SELECT state AS word, count(*) AS number FROM deliveries WHERE settled_at IS NOT NULL GROUP BY state",
        )
        .load(&mut self.connection().await?)
        .await?;
        let state = |word: &str| {
            DeliveryState::parse(word).ok_or_else(|| Error::Damaged(format!("a delivery's state {word:?}")))
        };
        figures.settled =
            settled.iter().map(|g| Ok((state(&g.word)?, count(g.number)))).collect::<Result<_, Error>>()?;
        figures.settled.sort_unstable();
        Ok(figures)
    }

    /// How much there is in the queue, without what is settled. Reads indexes of what waits and nothing else of the queue.
    pub async fn count_queue(&self, now: DateTime<Utc>) -> Result<QueueFigures, Error> {
        let mut connection = self.connection().await?;
        let totals: Totals = diesel::sql_query(
            "WITH idle AS (\
                 SELECT host, count(*) AS waiting, count(*) FILTER (WHERE due_at <= $1) AS due, min(id) AS first FROM deliveries \
                 WHERE state = 'waiting' AND leased_by IS NULL GROUP BY host), \
             leased AS (SELECT count(*) AS leased, min(id) AS first FROM deliveries WHERE leased_by IS NOT NULL) \
             SELECT (SELECT deliveries_paused_at FROM everpost_instance) AS paused, leased, \
                 leased + coalesce((SELECT sum(waiting) FROM idle), 0)::bigint AS waiting, \
                 coalesce((SELECT sum(due) FROM idle LEFT JOIN delivery_hosts AS h USING (host) \
                     WHERE coalesce(h.standing, 'new') <> 'parked' AND coalesce(h.paused_until <= $1, true)), 0)::bigint AS due, \
                 (SELECT a.created_at FROM deliveries AS d JOIN activities AS a ON a.id = d.activity_id \
                     WHERE d.id = least(leased.first, (SELECT min(first) FROM idle))) AS oldest, \
                 (SELECT count(*) FROM parked_inboxes) AS parked_inboxes \
             FROM leased",
        )
        .bind::<Timestamptz, _>(now)
        .get_result(&mut connection)
        .await?;
        let hosts: Vec<Group> =
            diesel::sql_query("SELECT standing AS word, count(*) AS number FROM delivery_hosts GROUP BY standing")
                .load(&mut connection)
                .await?;
        let mut figures = QueueFigures {
            paused: totals.paused,
            waiting: count(totals.waiting),
            due: count(totals.due),
            leased: count(totals.leased),
            oldest: totals.oldest,
            settled: Vec::new(),
            hosts: hosts.iter().map(|g| Ok((standing(&g.word)?, count(g.number)))).collect::<Result<_, Error>>()?,
            parked_inboxes: count(totals.parked_inboxes),
        };
        figures.hosts.sort_unstable();
        Ok(figures)
    }

    /// Hosts with what waits for them, those with the most first; at most `limit`.
    pub async fn list_delivery_hosts(&self, chosen: Chosen, limit: i64) -> Result<Vec<HostFigures>, Error> {
        let rows: Vec<Listed> = diesel::sql_query(
            "WITH waits AS (SELECT host, count(*) AS waiting FROM deliveries WHERE state = 'waiting' GROUP BY host) \
             SELECT host, coalesce(h.standing, 'new') AS standing, coalesce(h.failures, 0) AS failures, h.failing_since, \
                 h.paused_until, coalesce(h.reason, '') AS reason, h.answered_at, \
                 coalesce(waits.waiting, 0) AS waiting, h.look_at \
             FROM delivery_hosts AS h FULL JOIN waits USING (host) \
             WHERE $1 OR waits.waiting > 0 OR h.standing IN ('failing', 'parked') \
             ORDER BY waiting DESC, host LIMIT $2",
        )
        .bind::<Bool, _>(chosen == Chosen::All)
        .bind::<BigInt, _>(limit)
        .load(&mut self.connection().await?)
        .await?;
        let figures = |row: Listed| {
            let next = row.look_at;
            Ok(HostFigures { waiting: count(row.waiting), host: DeliveryHost::try_from(row.host)?, next })
        };
        rows.into_iter().map(figures).collect()
    }

    /// Whether something was ever sent to a host, or is to be.
    pub async fn knows_delivery_host(&self, host: &str) -> Result<bool, Error> {
        let known = "SELECT EXISTS (SELECT 1 FROM delivery_hosts WHERE host = $1) \
            OR EXISTS (SELECT 1 FROM deliveries WHERE host = $1 AND state = 'waiting') AS known";
        let known: Known =
            diesel::sql_query(known).bind::<Text, _>(host).get_result(&mut self.connection().await?).await?;
        Ok(known.known)
    }

    /// Have everything wait from now on, in every process; whether it did not before. What is being sent is finished.
    pub async fn pause_deliveries(&self, now: DateTime<Utc>) -> Result<bool, Error> {
        let paused = "UPDATE everpost_instance SET deliveries_paused_at = $1 WHERE deliveries_paused_at IS NULL";
        let paused = diesel::sql_query(paused).bind::<Timestamptz, _>(now);
        Ok(paused.execute(&mut self.connection().await?).await? > 0)
    }

    /// Send again, in every process; whether it waited.
    pub async fn resume_deliveries(&self) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let resumed =
                    "UPDATE everpost_instance SET deliveries_paused_at = NULL WHERE deliveries_paused_at IS NOT NULL";
                let resumed = diesel::sql_query(resumed).execute(connection).await? > 0;
                super::wake(connection).await?;
                Ok(resumed)
            })
            .await
    }

    /// Make due now what waits, of one host or of all, paused and parked ones too; how many deliveries had to wait.
    pub async fn retry_deliveries(&self, host: Option<&str>, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut connection = self.connection().await?;
        let mut retried = 0;
        loop {
            let step = diesel::sql_query(
                "UPDATE deliveries SET due_at = $2 WHERE id IN (SELECT id FROM deliveries \
                     WHERE state = 'waiting' AND leased_by IS NULL AND due_at > $2 AND ($1 IS NULL OR host = $1) \
                     LIMIT $3 FOR UPDATE SKIP LOCKED)",
            )
            .bind::<Nullable<Text>, _>(host)
            .bind::<Timestamptz, _>(now)
            .bind::<BigInt, _>(STEP)
            .execute(&mut connection)
            .await?;
            retried += step as u64;
            if step == 0 {
                break;
            }
        }
        connection
            .transaction(async |connection| {
                let hosts = diesel::sql_query(
                    "UPDATE delivery_hosts SET paused_until = NULL, look_at = $2 WHERE host IN (\
                         SELECT host FROM delivery_hosts WHERE ($1 IS NULL OR host = $1) AND look_at IS NOT NULL \
                         ORDER BY host FOR UPDATE)",
                );
                hosts.bind::<Nullable<Text>, _>(host).bind::<Timestamptz, _>(now).execute(connection).await?;
                super::wake(connection).await
            })
            .await?;
        Ok(retried)
    }

    /// Send nothing of what waits for a host; how many deliveries that were. What is being sent is finished.
    pub async fn drop_deliveries(&self, host: &str, now: DateTime<Utc>) -> Result<u64, Error> {
        let mut connection = self.connection().await?;
        let mut dropped = 0;
        loop {
            let step = diesel::sql_query(
                "UPDATE deliveries SET state = 'dropped', settled_at = $2, answer = 'the owner dropped it' WHERE id IN (\
                     SELECT id FROM deliveries WHERE host = $1 AND state = 'waiting' AND leased_by IS NULL \
                     LIMIT $3 FOR UPDATE SKIP LOCKED)",
            )
            .bind::<Text, _>(host)
            .bind::<Timestamptz, _>(now)
            .bind::<BigInt, _>(STEP)
            .execute(&mut connection)
            .await?;
            dropped += step as u64;
            if step == 0 {
                return Ok(dropped);
            }
        }
    }
}
