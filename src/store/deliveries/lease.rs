//! What a worker may send now: leased to it for a while, in one short transaction.
//!
//! Hosts are found first, by when they have to be looked at, and their deliveries after that. So the time it takes depends
//! neither on how much waits nor on how many hosts are dead, and a host gets its turn whatever waits for another.

use super::{Error, Store, standing};
use crate::domain::block::domains_above;
use crate::domain::delivery::{Leased, Obstacle, Standing};
use crate::domain::ids::{AccountId, DeliveryId};
use crate::store::again::Again;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use std::collections::HashMap;

/// Hosts that are taken in at once from those which something was enqueued for.
const INTAKE: i64 = 5000;
/// Wait before a host is looked at again whose due deliveries all wait for earlier ones about the same object.
const BEHIND: TimeDelta = TimeDelta::seconds(60);

/// Has the planner walk down the indexes in their order. By itself it takes every host to have as much waiting as any other,
/// and reads and sorts all of it to find the first four: 726 ms instead of 17 for 32 hosts among a million rows.
const STRAIGHT: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off";

/// Whether an activity, `a`, tells of a post or points at one that does not stand any more or that its account no longer shows:
/// that is for nobody then, and the lease gives an empty body.
const HIDDEN: &str = "coalesce(a.kind IN ('Create', 'Update', 'Announce', 'Add') AND a.object_uri ~ '/statuses/[0-9]{1,18}$' AND NOT EXISTS (\
    SELECT 1 FROM posts WHERE posts.id = substring(a.object_uri FROM '/statuses/([0-9]{1,18})$')::bigint \
      AND posts.account_id = a.account_id AND posts.withdrawn_at IS NULL AND posts.listed), false)";

/// The key that signs an activity, `a`, for the inbox of a delivery, `mine`: its own; or the one that signs the word of a new
/// key, while that waits for the inbox or for the one that its actor shares: nobody there knows the new one before. Who takes
/// an earlier key no more knows the one in force. Nothing may order this by the primary key, which would walk all of it.
const SIGNED_BY: &str = "CASE WHEN mine.status = 401 THEN NULL ELSE coalesce(a.signed_by, (\
    SELECT told.signed_by FROM activities AS told \
    WHERE told.account_id = a.account_id AND told.signed_by IS NOT NULL \
      AND told.object_uri = substring(a.uri FROM '^https?://[^/]+/users/[^/#]+') \
      AND EXISTS (SELECT 1 FROM deliveries AS w WHERE w.activity_id = told.id AND w.state = 'waiting' \
          AND w.status IS DISTINCT FROM 401 AND w.inbox IN (mine.inbox, (\
              SELECT r.shared_inbox FROM remote_actors AS r WHERE r.inbox = mine.inbox AND r.shared_inbox IS NOT NULL LIMIT 1))) \
    ORDER BY told.id + 0 LIMIT 1)) END";

/// Makes leases end, with the condition between the two; the hosts are told to the workers.
const FREE: &str =
    "WITH freed AS (UPDATE deliveries SET leased_by = NULL, leased_until = NULL WHERE leased_by IS NOT NULL AND";
const FREED: &str = "RETURNING host), \
    told AS (INSERT INTO delivery_wakes (host) SELECT DISTINCT host FROM freed) \
    SELECT count(*) AS id FROM freed";

/// How much a worker takes on.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// How many deliveries to hosts of this standing it can take on at most.
    pub free: [(Standing, usize); 4],
    /// How many in all.
    pub total: usize,
    /// How many deliveries are under way to a host of good standing at once, all workers together. Others get one.
    pub each: usize,
}

/// What a worker found.
#[derive(Debug, Default)]
pub struct Look {
    /// What it has now.
    pub leased: Vec<Leased>,
    /// When the next host has to be looked at, of those that it has room for.
    pub next: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Host {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Text)]
    standing: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    body: String,
    #[diesel(sql_type = Nullable<Text>)]
    signed_by: Option<String>,
    #[diesel(sql_type = Text)]
    inbox: String,
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    parked: bool,
    #[diesel(sql_type = Array<Text>)]
    actors: Vec<String>,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    host: String,
}

#[derive(QueryableByName)]
struct Barred {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Bool)]
    everywhere: bool,
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct Next {
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next: Option<DateTime<Utc>>,
}

impl Store {
    /// Lease what is due to `worker` until `until`, and say when to look again.
    pub async fn lease(
        &self,
        worker: i64,
        lanes: &Lanes,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Look, Error> {
        let mut connection = self.connection().await?;
        while take_in(&mut connection, now).await? == INTAKE {}
        let leased = connection
            .transaction(async |connection| {
                connection.batch_execute(STRAIGHT).await?;
                let mut hosts = choose(connection, lanes, now).await?;
                if hosts.is_empty() {
                    return Ok::<_, Error>(Vec::new());
                }
                let found = pick(connection, &hosts, lanes, now).await?;
                // Whom there was no room for keeps its turn.
                if let Some(last) = found.last().filter(|_| found.len() >= lanes.total) {
                    let reached = hosts.iter().position(|(host, _)| *host == last.host);
                    hosts.truncate(reached.map_or(hosts.len(), |reached| reached + 1));
                }
                let leased = take(connection, worker, &hosts, lanes, found, until).await?;
                reschedule(connection, &hosts, lanes.each, now, until).await?;
                Ok(leased)
            })
            .await?;
        let next = next_look(&mut connection, lanes).await?;
        Ok(Look { leased, next })
    }

    /// Go on having these, as far as `worker` has them. What it has without knowing, because the answer to a lease was lost
    /// with the database, is not among them and goes to who takes it over.
    pub async fn prolong_leases(&self, worker: i64, ids: &[DeliveryId], until: DateTime<Utc>) -> Result<(), Error> {
        diesel::sql_query("UPDATE deliveries SET leased_until = $3 WHERE id = ANY($2) AND leased_by = $1")
            .bind::<BigInt, _>(worker)
            .bind::<Array<BigInt>, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind::<Timestamptz, _>(until)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Tell all workers that there is something to do.
    pub async fn call_workers(&self) -> Result<(), Error> {
        super::wake(&mut *self.connection().await?).await
    }

    /// Take leases back that ran out, and tell their hosts; how many there were. Whoever had them died or was cut off.
    pub async fn take_over_leases(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        self.free(
            diesel::sql_query(format!("{FREE} leased_until <= $1 {FREED}")).into_boxed().bind::<Timestamptz, _>(now),
        )
        .await
    }

    /// Let go of what `worker` has and did not get to the end of; how many there were.
    pub async fn release_leases(&self, worker: i64) -> Result<usize, Error> {
        self.free(diesel::sql_query(format!("{FREE} leased_by = $1 {FREED}")).into_boxed().bind::<BigInt, _>(worker))
            .await
    }

    async fn free(&self, query: BoxedSqlQuery<'_, Pg, SqlQuery>) -> Result<usize, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let freed: Id = query.get_result(connection).await?;
                if freed.id > 0 {
                    super::wake(connection).await?;
                }
                Ok(usize::try_from(freed.id).unwrap_or(0))
            })
            .await
    }
}

/// Note the hosts that something was enqueued for, so that they are looked at; how many were read.
///
/// The rows are taken by where they lie: the table is empty nearly always, so the planner, who has seen it empty, would read
/// all of it for each of them, which is a second for ten thousand. A locked row stays where it is.
async fn take_in(connection: &mut AsyncPgConnection, now: DateTime<Utc>) -> Result<i64, Error> {
    let query = diesel::sql_query(
        "WITH taken AS (DELETE FROM delivery_wakes WHERE ctid = ANY(ARRAY(\
             SELECT ctid FROM delivery_wakes ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING host), \
         noted AS (\
             INSERT INTO delivery_hosts (host, standing, look_at) \
             SELECT host, 'new', $1 FROM (SELECT DISTINCT host FROM taken ORDER BY host) AS hosts \
             ON CONFLICT (host) DO UPDATE SET look_at = greatest(\
                 least(delivery_hosts.look_at, excluded.look_at), delivery_hosts.paused_until)) \
         SELECT count(*) AS id FROM taken",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(INTAKE);
    let taken: Id = Again(query).get_result(connection).await?;
    Ok(taken.id)
}

/// The hosts whose turn it is, locked: for this moment nobody else leases anything of theirs.
async fn choose(
    connection: &mut AsyncPgConnection,
    lanes: &Lanes,
    now: DateTime<Utc>,
) -> Result<Vec<(String, Standing)>, Error> {
    let mut chosen = Vec::new();
    for (lane, free) in lanes.free.iter().filter(|(_, free)| *free > 0) {
        let query = diesel::sql_query(
            "SELECT host, standing FROM delivery_hosts \
             WHERE standing = $1 AND look_at <= $2 AND (SELECT deliveries_paused_at FROM everpost_instance) IS NULL \
             ORDER BY look_at LIMIT $3 FOR UPDATE SKIP LOCKED",
        )
        .bind::<Text, _>(lane.as_str())
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(i64::try_from(*free).unwrap_or(i64::MAX));
        let hosts: Vec<Host> = Again(query).load(connection).await?;
        for host in hosts {
            let standing = standing(&host.standing)?;
            chosen.push((host.host, standing));
        }
    }
    Ok(chosen)
}

/// What is due for these hosts, one after the other, as long as there is room: the oldest first, and of what is about one
/// object for one inbox the first alone.
///
/// The conditions are spelled so that each is one step down an index, whatever the planner believes of the tables.
async fn pick(
    connection: &mut AsyncPgConnection,
    hosts: &[(String, Standing)],
    lanes: &Lanes,
    now: DateTime<Utc>,
) -> Result<Vec<Due>, Error> {
    let wanted = |(host, standing): &(String, Standing)| {
        (host.clone(), i32::try_from(most(*standing, lanes.each)).unwrap_or(i32::MAX))
    };
    let (names, most): (Vec<_>, Vec<_>) = hosts.iter().map(wanted).unzip();
    let query = diesel::sql_query(
        "SELECT picked.id, wanted.host FROM unnest($1, $2) AS wanted (host, most) \
         CROSS JOIN LATERAL (\
             SELECT d.id FROM deliveries AS d \
             WHERE d.host = wanted.host AND d.state = 'waiting' AND d.leased_by IS NULL AND d.due_at <= $3 \
               AND d.id = (SELECT min(e.id) FROM deliveries AS e WHERE e.line = d.line AND e.state = 'waiting') \
             ORDER BY d.due_at, d.id \
             LIMIT greatest(0, wanted.most - (\
                 SELECT count(*) FROM deliveries AS f WHERE f.host = wanted.host AND f.leased_by IS NOT NULL))\
         ) AS picked LIMIT $4",
    )
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Integer>, _>(most)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(i64::try_from(lanes.total).unwrap_or(i64::MAX));
    let due = Again(query).load(connection).await?;
    Ok(due)
}

/// Lease what was found for these hosts, as far as the lanes of their standings have room.
async fn take(
    connection: &mut AsyncPgConnection,
    worker: i64,
    hosts: &[(String, Standing)],
    lanes: &Lanes,
    due: Vec<Due>,
    until: DateTime<Utc>,
) -> Result<Vec<Leased>, Error> {
    let standings: HashMap<&str, Standing> = hosts.iter().map(|(host, standing)| (host.as_str(), *standing)).collect();
    let mut free: HashMap<Standing, usize> = lanes.free.into_iter().collect();
    let mut found: Vec<i64> = Vec::new();
    for Due { id, host } in &due {
        let left = standings.get(host.as_str()).and_then(|standing| free.get_mut(standing));
        if let Some(left) = left.filter(|left| **left > 0) {
            *left -= 1;
            found.push(*id);
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let query = diesel::sql_query(format!(
        "WITH mine AS (\
             UPDATE deliveries SET leased_by = $1, leased_until = $2, attempts = attempts + 1 \
             WHERE id = ANY($3) AND state = 'waiting' AND leased_by IS NULL \
             RETURNING id, activity_id, inbox, host, attempts, status) \
         SELECT mine.id, a.account_id, a.kind, CASE WHEN {HIDDEN} THEN '' ELSE a.body END AS body, {SIGNED_BY} AS signed_by, \
             mine.inbox, mine.host, attempts, a.created_at, a.expires_at, \
             EXISTS (SELECT 1 FROM parked_inboxes AS p WHERE p.inbox = mine.inbox AND p.status = 410) AS parked, \
             ARRAY(SELECT named.name FROM remote_actors AS r \
                 CROSS JOIN LATERAL (VALUES (r.uri), (lower(r.handle))) AS named (name) \
                 WHERE r.inbox = mine.inbox AND named.name IS NOT NULL LIMIT 20) AS actors \
         FROM mine JOIN activities AS a ON a.id = mine.activity_id"
    ))
    .bind::<BigInt, _>(worker)
    .bind::<Timestamptz, _>(until)
    .bind::<Array<BigInt>, _>(found);
    let rows: Vec<Row> = Again(query).load(connection).await?;
    let leased = |row: Row| {
        let standing = standings.get(row.host.as_str()).copied().unwrap_or(Standing::New);
        (
            row.actors,
            Leased {
                id: DeliveryId(row.id),
                account: AccountId(row.account_id),
                kind: row.kind,
                body: row.body,
                signed_by: row.signed_by,
                inbox: row.inbox,
                host: row.host,
                standing,
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                enqueued: row.created_at,
                expires_at: row.expires_at,
                obstacle: row.parked.then_some(Obstacle::Parked),
            },
        )
    };
    let (actors, leased): (Vec<_>, Vec<_>) = rows.into_iter().map(leased).unzip();
    mark_blocked(connection, actors, leased).await
}

/// Find out which of these, each with the ids and addresses of the actors whose own inbox it goes to, go to somebody who is
/// blocked. That an account takes nobody for a follower whom it blocked itself is said: else they would wait for ever.
async fn mark_blocked(
    connection: &mut AsyncPgConnection,
    actors: Vec<Vec<String>>,
    mut leased: Vec<Leased>,
) -> Result<Vec<Leased>, Error> {
    let (mut ids, mut accounts, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (delivery, actors) in leased.iter().zip(actors) {
        for target in domains_above(&delivery.host).into_iter().chain(actors) {
            ids.push(delivery.id.0);
            accounts.push(delivery.account.0);
            targets.push(target);
        }
    }
    let query = diesel::sql_query(
        "SELECT d.id, bool_or(blocks.account_id IS NULL) AS everywhere \
         FROM unnest($1, $2, $3) AS d (id, account_id, target) JOIN blocks USING (target) \
         WHERE blocks.account_id IS NULL OR blocks.account_id = d.account_id GROUP BY d.id",
    )
    .bind::<Array<BigInt>, _>(ids)
    .bind::<Array<BigInt>, _>(accounts)
    .bind::<Array<Text>, _>(targets);
    let blocked: Vec<Barred> = Again(query).load(connection).await?;
    let blocked: HashMap<i64, bool> = blocked.into_iter().map(|row| (row.id, row.everywhere)).collect();
    for delivery in &mut leased {
        let everywhere = blocked.get(&delivery.id.0);
        if everywhere.is_some_and(|everywhere| *everywhere || delivery.kind != "Reject") {
            delivery.obstacle = Some(Obstacle::Blocked);
        }
    }
    Ok(leased)
}

/// When each of these hosts has to be looked at again, now that some of its deliveries are leased. One with as many under
/// way as it may have is looked at when one of them is settled; the end of the lease stands for a worker that dies.
async fn reschedule(
    connection: &mut AsyncPgConnection,
    hosts: &[(String, Standing)],
    each: usize,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<(), Error> {
    let names: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
    let most: Vec<i32> =
        hosts.iter().map(|(_, standing)| i32::try_from(most(*standing, each)).unwrap_or(i32::MAX)).collect();
    let query = diesel::sql_query(
        "UPDATE delivery_hosts AS h SET look_at = CASE \
             WHEN (SELECT count(*) FROM deliveries AS f WHERE f.host = h.host AND f.leased_by IS NOT NULL) >= wanted.most \
                 THEN $4 \
             WHEN EXISTS (SELECT 1 FROM deliveries AS d \
                 WHERE d.host = h.host AND d.state = 'waiting' AND d.leased_by IS NULL AND d.due_at <= $3 \
                   AND d.id = (SELECT min(e.id) FROM deliveries AS e WHERE e.line = d.line AND e.state = 'waiting')) \
                 THEN $3 \
             ELSE least( \
                 (SELECT min(d.due_at) FROM deliveries AS d \
                     WHERE d.host = h.host AND d.state = 'waiting' AND d.leased_by IS NULL AND d.due_at > $3), \
                 (SELECT $5 FROM deliveries AS d \
                     WHERE d.host = h.host AND d.state = 'waiting' AND d.leased_by IS NULL AND d.due_at <= $3 LIMIT 1)) \
             END \
         FROM unnest($1, $2) AS wanted (host, most) WHERE h.host = wanted.host",
    )
    .bind::<Array<Text>, _>(names)
    .bind::<Array<Integer>, _>(most)
    .bind::<Timestamptz, _>(now)
    .bind::<Timestamptz, _>(until)
    .bind::<Timestamptz, _>(now + BEHIND);
    Again(query).execute(connection).await?;
    Ok(())
}

/// When the first host has to be looked at that there is room for.
async fn next_look(connection: &mut AsyncPgConnection, lanes: &Lanes) -> Result<Option<DateTime<Utc>>, Error> {
    let lanes: Vec<&str> =
        lanes.free.iter().filter(|(_, free)| *free > 0).map(|(standing, _)| standing.as_str()).collect();
    let query = diesel::sql_query(
        "SELECT min(first) AS next FROM unnest($1) AS lane (standing) CROSS JOIN LATERAL (\
             SELECT look_at AS first FROM delivery_hosts WHERE delivery_hosts.standing = lane.standing \
               AND look_at IS NOT NULL ORDER BY look_at LIMIT 1) AS hosts \
         WHERE (SELECT deliveries_paused_at FROM everpost_instance) IS NULL",
    )
    .bind::<Array<Text>, _>(lanes);
    let next: Next = Again(query).get_result(connection).await?;
    Ok(next.next)
}

/// How many deliveries may be under way at once to a host that stands so.
fn most(standing: Standing, each: usize) -> usize {
    if standing == Standing::Good { each } else { 1 }
}
