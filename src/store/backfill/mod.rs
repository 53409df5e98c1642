//! Old posts that servers are offered: which servers, what each of them is at, and which post comes next (decision 0026).
//!
//! Each call is one transaction, and each change names the state that it starts from: any number of processes may work at a
//! host, and one that is killed leaves nothing half done. `offers.rs` moves offers on, `fetches.rs` counts who came for what,
//! `progress.rs` is what the owner sees. Must never know when something is due: that is the domain's.

mod candidates;
mod fetches;
mod offers;
mod progress;

pub use candidates::Candidate;
pub use fetches::Fetch;

use super::{Error, Store};
use crate::domain::backfill::Server;
use crate::domain::block::domains_above;
use crate::domain::software::Software;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

/// Accounts, `a`, that offer posts: theirs, live, here, and with a number of them.
const OFFERING: &str = "a.state = 'live' AND a.moved_to IS NULL \
    AND coalesce(a.settings ->> 'backfill.posts', '0')::integer > 0 AND a.settings ->> 'operator' = 'owner'";

/// The columns of a server.
const SERVER: &str = "host, software, version, told_at, ask_at, failure, offered_at, paused_until, pause_reason";

#[derive(QueryableByName)]
struct ServerRow {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Nullable<Text>)]
    software: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    version: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    told_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Timestamptz)]
    ask_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    failure: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    offered_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    paused_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    pause_reason: Option<String>,
}

impl From<ServerRow> for Server {
    fn from(row: ServerRow) -> Server {
        let version = row.version.unwrap_or_default();
        Server {
            host: row.host,
            software: row.software.map(|name| Software { name, version }),
            told: row.told_at,
            ask: row.ask_at,
            failure: row.failure,
            offered: row.offered_at,
            paused: row.paused_until.map(|until| (until, row.pause_reason.unwrap_or_default())),
        }
    }
}

impl Store {
    /// Note the servers with followers of accounts that offer posts.
    pub async fn meet_servers(&self, now: DateTime<Utc>) -> Result<usize, Error> {
        let new = format!(
            "INSERT INTO servers (host, ask_at, look_at) \
             SELECT DISTINCT r.host, $1, $1 FROM accounts AS a JOIN followers AS f ON f.account_id = a.id \
                 JOIN remote_actors AS r ON r.id = f.actor_id \
             WHERE {OFFERING} AND f.state = 'accepted' AND NOT EXISTS (SELECT 1 FROM servers AS s WHERE s.host = r.host) \
             ON CONFLICT DO NOTHING"
        );
        let new = diesel::sql_query(new).bind::<Timestamptz, _>(now);
        Ok(new.execute(&mut self.connection().await?).await?)
    }

    /// Put right what a clock wrote of servers that ran ahead: nothing of theirs lies beyond `farthest`.
    pub async fn mend_servers(&self, now: DateTime<Utc>, farthest: DateTime<Utc>) -> Result<usize, Error> {
        let mend = diesel::sql_query(
            "UPDATE servers SET look_at = least(look_at, $1), ask_at = least(ask_at, $1), offered_at = least(offered_at, $1), \
                 paused_until = least(paused_until, $1) \
             WHERE greatest(look_at, ask_at, offered_at, paused_until) > $2",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(farthest);
        Ok(mend.execute(&mut self.connection().await?).await?)
    }

    /// Servers whose turn it is, at most `limit`; nobody else gets them until `until`, or until they are let go of.
    pub async fn take_servers(
        &self,
        limit: i64,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<Server>, Error> {
        let take = format!(
            "UPDATE servers SET look_at = $2 WHERE host IN (\
                 SELECT host FROM servers WHERE look_at <= $1 ORDER BY look_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING {SERVER}"
        );
        let rows: Vec<ServerRow> = diesel::sql_query(take)
            .bind::<Timestamptz, _>(now)
            .bind::<Timestamptz, _>(until)
            .bind::<BigInt, _>(limit)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(Server::from).collect())
    }

    /// Let go of a server: it is looked at again at `at`.
    pub async fn leave_server(&self, host: &str, at: DateTime<Utc>) -> Result<(), Error> {
        diesel::sql_query("UPDATE servers SET look_at = $2 WHERE host = $1")
            .bind::<Text, _>(host)
            .bind::<Timestamptz, _>(at)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Keep what a server said that it runs, or why it did not; it is asked again at `ask`.
    pub async fn keep_software(
        &self,
        host: &str,
        told: Result<&Software, &str>,
        now: DateTime<Utc>,
        ask: DateTime<Utc>,
    ) -> Result<(), Error> {
        let keep = match told {
            Ok(software) => diesel::sql_query(
                "UPDATE servers SET ask_at = $2, software = $3, version = $4, told_at = $5, failure = NULL WHERE host = $1",
            )
            .into_boxed()
            .bind::<Text, _>(host)
            .bind::<Timestamptz, _>(ask)
            .bind::<Text, _>(&software.name)
            .bind::<Text, _>(&software.version)
            .bind::<Timestamptz, _>(now),
            Err(why) => diesel::sql_query("UPDATE servers SET ask_at = $2, failure = $3 WHERE host = $1")
                .into_boxed()
                .bind::<Text, _>(host)
                .bind::<Timestamptz, _>(ask)
                .bind::<Text, _>(why),
        };
        keep.execute(&mut self.connection().await?).await?;
        Ok(())
    }

    /// End for good what accounts offer to a host that they, or the whole server, block.
    pub async fn stop_blocked(&self, host: &str, now: DateTime<Utc>) -> Result<usize, Error> {
        let stop = format!(
            "INSERT INTO backfill_stops (account_id, host, stopped_at) SELECT a.id, $1, $3 FROM accounts AS a \
             WHERE {OFFERING} AND EXISTS (SELECT 1 FROM blocks AS b WHERE b.kind = 'domain' AND b.target = ANY($2) \
                 AND (b.account_id IS NULL OR b.account_id = a.id)) \
             ON CONFLICT DO NOTHING"
        );
        let stop = diesel::sql_query(stop)
            .bind::<Text, _>(host)
            .bind::<Array<Text>, _>(domains_above(host))
            .bind::<Timestamptz, _>(now);
        Ok(stop.execute(&mut self.connection().await?).await?)
    }
}
