//! What keeps the queue from growing for ever, and from standing still after the clock was wrong.
//!
//! Bounded steps, each a short transaction of its own, by one process at a time.

use super::{Error, Store};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// Names the lock of who tidies, among the advisory locks of this database.
const LOCK: i64 = 0x6576_7470_7469_6479;
/// Rows of a step.
const STEP: usize = 1000;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    /// How long something may wait after it was enqueued.
    pub waiting: TimeDelta,
    /// How long a delivery is kept that was delivered or dropped.
    pub done: TimeDelta,
    /// How long a delivery is kept that failed for good, and an activity of which no delivery is left.
    pub failed: TimeDelta,
    /// The longest time ahead for which anything is ever put off: what lies beyond was written by a wrong clock.
    pub ahead: TimeDelta,
}

/// What was tidied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Deliveries that had waited too long.
    pub expired: usize,
    /// Deliveries that were forgotten.
    pub deliveries: usize,
    /// Activities that were forgotten.
    pub activities: usize,
}

#[derive(QueryableByName)]
struct Got {
    #[diesel(sql_type = Bool)]
    got: bool,
}

impl Store {
    /// Tidy up, unless another process does: one step of everything; whether there is more to do.
    pub async fn tidy_deliveries(&self, ages: Ages, now: DateTime<Utc>) -> Result<Option<(Tidied, bool)>, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let got: Got = diesel::sql_query("SELECT pg_try_advisory_xact_lock($1) AS got")
                    .bind::<BigInt, _>(LOCK)
                    .get_result(connection)
                    .await?;
                if !got.got {
                    return Ok(None);
                }
                mend(connection, ages, now).await?;
                let tidied = step(connection, ages, now).await?;
                let more = [tidied.expired, tidied.deliveries, tidied.activities].into_iter().any(|rows| rows >= STEP);
                Ok(Some((tidied, more)))
            })
            .await
    }
}

async fn step(connection: &mut AsyncPgConnection, ages: Ages, now: DateTime<Utc>) -> Result<Tidied, Error> {
    let rows = i64::try_from(STEP).unwrap_or(i64::MAX);
    let expired = diesel::sql_query(
        "UPDATE deliveries SET state = 'expired', settled_at = $2, answer = coalesce(answer, 'its host was never asked') \
         WHERE id IN (SELECT d.id FROM activities JOIN deliveries AS d ON activity_id = activities.id \
             WHERE activities.created_at < $1 AND d.state = 'waiting' AND d.leased_by IS NULL \
             LIMIT $3 FOR UPDATE OF d SKIP LOCKED)",
    )
    .bind::<Timestamptz, _>(now - ages.waiting)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(rows)
    .execute(connection)
    .await?;
    let mut deliveries = 0;
    for (states, age) in [("'delivered', 'dropped'", ages.done), ("'refused', 'gone', 'expired'", ages.failed)] {
        deliveries += diesel::sql_query(format!(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries \
                 WHERE settled_at < $1 AND state IN ({states}) LIMIT $2 FOR UPDATE SKIP LOCKED)"
        ))
        .bind::<Timestamptz, _>(now - age)
        .bind::<BigInt, _>(rows)
        .execute(connection)
        .await?;
    }
    let activities = diesel::sql_query(
        "DELETE FROM activities WHERE id IN (SELECT id FROM activities AS a WHERE created_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE activity_id = a.id) \
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
    )
    .bind::<Timestamptz, _>(now - ages.failed)
    .bind::<BigInt, _>(rows)
    .execute(connection)
    .await?;
    Ok(Tidied { expired, deliveries, activities })
}

/// Put right what a clock wrote that ran ahead, and tell of every host that something waits for and nobody looks at.
async fn mend(connection: &mut AsyncPgConnection, ages: Ages, now: DateTime<Utc>) -> Result<(), Error> {
    for mended in [
        "UPDATE deliveries SET due_at = $1 WHERE state = 'waiting' AND leased_by IS NULL AND due_at > $2",
        "UPDATE deliveries SET leased_until = $1 WHERE leased_by IS NOT NULL AND leased_until > $2",
        "UPDATE delivery_hosts SET paused_until = NULL, look_at = $1 WHERE paused_until > $2 OR look_at > $2",
        "INSERT INTO delivery_wakes (host) SELECT DISTINCT d.host FROM deliveries AS d \
         LEFT JOIN delivery_hosts AS h ON h.host = d.host \
         WHERE d.state = 'waiting' AND d.leased_by IS NULL AND h.look_at IS NULL \
           AND $1 < $2 AND NOT EXISTS (SELECT 1 FROM delivery_wakes AS w WHERE w.host = d.host)",
    ] {
        diesel::sql_query(mended)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(now + ages.ahead)
            .execute(connection)
            .await?;
    }
    Ok(())
}
