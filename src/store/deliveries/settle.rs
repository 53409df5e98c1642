//! What came of deliveries, written down: many at once, in one short transaction.
//!
//! Hosts are locked first and in order, as everywhere, so that no two workers wait for each other in a circle.

use super::{Error, HostRow, Store};
use crate::domain::delivery::{DeliveryHost, DeliveryState, Settlement, Standing};
use crate::store::again::Again;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// Deliveries of a host that are tried anew at once when it answers again. The others wait for nothing but their turn.
const REVIVED: i64 = 1000;

impl Store {
    /// Write down what came of deliveries that `worker` had. What it no longer has is left to who has it now, unless it was
    /// delivered: that is true whoever has it.
    ///
    /// `judge` is called for each host of `hosts` as it stands now, and changes what it has to. `gone` are inboxes, each
    /// with its status code, that are not there and have to be cleared up; one that took something is there. Gives each host as it was and as it is.
    pub async fn settle(
        &self,
        worker: i64,
        settlements: &[Settlement],
        hosts: &[&str],
        judge: impl Fn(&mut DeliveryHost) + Send + Sync,
        gone: &[(String, u16)],
        now: DateTime<Utc>,
    ) -> Result<Vec<(DeliveryHost, DeliveryHost)>, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let before = lock(connection, hosts).await?;
                let mut after = before.clone();
                after.iter_mut().for_each(&judge);
                write_hosts(connection, &after, now).await?;
                write_deliveries(connection, worker, settlements, now).await?;
                postpone_lines(connection, settlements).await?;
                for (before, after) in before.iter().zip(&after) {
                    let was_down = matches!(before.standing, Standing::Failing | Standing::Parked);
                    if was_down && after.standing == Standing::Good {
                        revive(connection, &after.host, now).await?;
                    }
                }
                let delivered = settlements.iter().filter(|one| one.state == DeliveryState::Delivered);
                let delivered: Vec<i64> = delivered.map(|one| one.id.0).collect();
                if !delivered.is_empty() {
                    super::gone::unpark(connection, &delivered).await?;
                }
                if !gone.is_empty() {
                    super::gone::park(connection, gone, now).await?;
                }
                Ok(before.into_iter().zip(after).collect())
            })
            .await
    }

    /// Note that a host is there again, because something came from it; whether it was thought to be gone. Costs one look at
    /// a small table where it was not.
    pub async fn host_is_back(&self, host: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let back = diesel::sql_query(
                    "UPDATE delivery_hosts SET standing = 'good', failures = 0, failing_since = NULL, paused_until = NULL, \
                         reason = '', look_at = $2 WHERE host = $1 AND standing IN ('failing', 'parked')",
                );
                let back = back.bind::<Text, _>(host).bind::<Timestamptz, _>(now).execute(connection).await? > 0;
                if back {
                    revive(connection, host, now).await?;
                    super::wake(connection).await?;
                }
                Ok(back)
            })
            .await
    }
}

/// Hosts as they stand, locked.
async fn lock(connection: &mut AsyncPgConnection, hosts: &[&str]) -> Result<Vec<DeliveryHost>, Error> {
    let query = diesel::sql_query(
        "SELECT host, standing, failures, failing_since, paused_until, reason, answered_at FROM delivery_hosts \
         WHERE host = ANY($1) ORDER BY host FOR UPDATE",
    )
    .bind::<Array<Text>, _>(hosts);
    let rows: Vec<HostRow> = Again(query).load(connection).await?;
    rows.into_iter().map(DeliveryHost::try_from).collect()
}

async fn write_hosts(
    connection: &mut AsyncPgConnection,
    hosts: &[DeliveryHost],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let failures = |host: &DeliveryHost| i32::try_from(host.failures).unwrap_or(i32::MAX);
    let query = diesel::sql_query(
        "UPDATE delivery_hosts AS h SET standing = s.standing, failures = s.failures, failing_since = s.failing_since, \
             paused_until = s.paused_until, reason = s.reason, answered_at = s.answered_at, \
             look_at = greatest($8, s.paused_until) \
         FROM unnest($1, $2, $3, $4, $5, $6, $7) \
             AS s (host, standing, failures, failing_since, paused_until, reason, answered_at) \
         WHERE h.host = s.host",
    )
    .bind::<Array<Text>, _>(hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(hosts.iter().map(|host| host.standing.as_str()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(hosts.iter().map(failures).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(hosts.iter().map(|host| host.failing_since).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(hosts.iter().map(|host| host.paused_until).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(hosts.iter().map(|host| host.reason.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(hosts.iter().map(|host| host.answered).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now);
    Again(query).execute(connection).await?;
    Ok(())
}

async fn write_deliveries(
    connection: &mut AsyncPgConnection,
    worker: i64,
    settlements: &[Settlement],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let status = |settlement: &Settlement| settlement.status.and_then(|status| i16::try_from(status).ok());
    // Postgres takes no NUL in a text.
    let answer = |settlement: &Settlement| settlement.answer.replace('\0', "");
    let query = diesel::sql_query(
        "UPDATE deliveries AS d SET state = s.state, due_at = coalesce(s.due, d.due_at), status = s.status, \
             answer = s.answer, leased_by = NULL, leased_until = NULL, \
             settled_at = CASE WHEN s.state <> 'waiting' THEN $7 END \
         FROM unnest($2, $3, $4, $5, $6) AS s (id, state, due, status, answer) \
         WHERE d.id = s.id AND d.state = 'waiting' AND (d.leased_by = $1 OR s.state = 'delivered')",
    )
    .bind::<BigInt, _>(worker)
    .bind::<Array<BigInt>, _>(settlements.iter().map(|one| one.id.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(settlements.iter().map(|one| one.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(settlements.iter().map(|one| one.due).collect::<Vec<_>>())
    .bind::<Array<Nullable<SmallInt>>, _>(settlements.iter().map(status).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(settlements.iter().map(answer).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now);
    Again(query).execute(connection).await?;
    Ok(())
}

/// What stands behind a delivery that waits on is not due before it, so that nobody looks at it in vain.
async fn postpone_lines(connection: &mut AsyncPgConnection, settlements: &[Settlement]) -> Result<(), Error> {
    let waiting = |one: &&Settlement| one.state == DeliveryState::Waiting;
    let ids: Vec<i64> = settlements.iter().filter(waiting).map(|one| one.id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let query = diesel::sql_query(
        "UPDATE deliveries AS e SET due_at = d.due_at FROM deliveries AS d \
         WHERE d.id = ANY($1) AND d.state = 'waiting' AND d.leased_by IS NULL AND e.line = d.line AND e.id > d.id \
           AND e.state = 'waiting' AND e.leased_by IS NULL AND e.due_at < d.due_at",
    )
    .bind::<Array<BigInt>, _>(ids);
    Again(query).execute(connection).await?;
    Ok(())
}

/// Make due what waits for another attempt at a host that answers again.
async fn revive(connection: &mut AsyncPgConnection, host: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let query = diesel::sql_query(
        "UPDATE deliveries SET due_at = $2 WHERE id IN (SELECT id FROM deliveries \
             WHERE host = $1 AND state = 'waiting' AND leased_by IS NULL AND due_at > $2 ORDER BY due_at LIMIT $3)",
    )
    .bind::<Text, _>(host)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(REVIVED);
    Again(query).execute(connection).await?;
    Ok(())
}
