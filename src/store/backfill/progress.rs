//! How far offering has come, for the owner to see.

use super::super::{Error, Store};
use super::candidates::TOP;
use super::{OFFERING, SERVER, ServerRow};
use crate::domain::backfill::Progress;
use crate::domain::ids::AccountId;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::RunQueryDsl;
use std::collections::HashMap;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = BigInt)]
    followers: i64,
    #[diesel(sql_type = Bool)]
    stopped: bool,
    #[diesel(sql_type = BigInt)]
    offered: i64,
    #[diesel(sql_type = BigInt)]
    open: i64,
    #[diesel(sql_type = BigInt)]
    fetched: i64,
    #[diesel(sql_type = BigInt)]
    unfetched: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    known: i64,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = BigInt)]
    has: i64,
}

impl Store {
    /// How far offering has come at each server that an account's followers are on or that was offered its posts, by host.
    pub async fn list_progress(&self, account: AccountId) -> Result<Vec<Progress>, Error> {
        let mut connection = self.connection().await?;
        let rows: Vec<Row> = diesel::sql_query(format!(
            "WITH there AS (\
                 SELECT r.host, count(*) AS followers FROM followers AS f JOIN remote_actors AS r ON r.id = f.actor_id \
                 WHERE f.account_id = $1 AND f.state = 'accepted' GROUP BY r.host), \
             made AS (\
                 SELECT host, count(*) FILTER (WHERE outcome IS DISTINCT FROM 'known') AS offered, \
                     count(*) FILTER (WHERE state <> 'done') AS open, \
                     count(*) FILTER (WHERE outcome = 'fetched' OR (state = 'offered' AND fetched_at IS NOT NULL)) AS fetched, \
                     count(*) FILTER (WHERE outcome = 'unfetched') AS unfetched, \
                     count(*) FILTER (WHERE outcome = 'failed') AS failed, \
                     count(*) FILTER (WHERE outcome = 'known') AS known \
                 FROM offers WHERE account_id = $1 GROUP BY host), \
             top AS (\
                 SELECT posts.id FROM posts WHERE posts.account_id = $1 AND {TOP} ORDER BY posts.published_at DESC, posts.id DESC \
                 LIMIT coalesce((SELECT (a.settings ->> 'backfill.posts')::integer FROM accounts AS a \
                     WHERE a.id = $1 AND {OFFERING}), 0)), \
             had AS (\
                 SELECT f.host, count(*) AS has FROM fetches AS f JOIN posts AS p ON p.id = f.post_id \
                 WHERE p.account_id = $1 GROUP BY f.host) \
             SELECT s.host, coalesce(followers, 0) AS followers, \
                 EXISTS (SELECT 1 FROM backfill_stops AS b WHERE b.account_id = $1 AND b.host = s.host) AS stopped, \
                 coalesce(offered, 0) AS offered, coalesce(open, 0) AS open, coalesce(fetched, 0) AS fetched, \
                 coalesce(unfetched, 0) AS unfetched, coalesce(failed, 0) AS failed, coalesce(known, 0) AS known, \
                 CASE WHEN followers > 0 THEN (SELECT count(*) FROM top WHERE NOT EXISTS (\
                     SELECT 1 FROM offers AS o WHERE o.host = s.host AND o.post_id = top.id)) ELSE 0 END AS waiting, \
                 coalesce(has, 0) AS has \
             FROM servers AS s LEFT JOIN there USING (host) LEFT JOIN made USING (host) LEFT JOIN had USING (host) \
             WHERE there.host IS NOT NULL OR made.host IS NOT NULL OR had.host IS NOT NULL ORDER BY s.host"
        ))
        .bind::<BigInt, _>(account.0)
        .load(&mut connection)
        .await?;
        let servers: Vec<ServerRow> =
            diesel::sql_query(format!("SELECT {SERVER} FROM servers")).load(&mut connection).await?;
        let mut servers: HashMap<String, ServerRow> =
            servers.into_iter().map(|server| (server.host.clone(), server)).collect();
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let progress = |row: Row| {
            Some(Progress {
                server: servers.remove(&row.host)?.into(),
                account,
                followers: number(row.followers),
                stopped: row.stopped,
                offered: number(row.offered),
                open: number(row.open),
                fetched: number(row.fetched),
                unfetched: number(row.unfetched),
                failed: number(row.failed),
                known: number(row.known),
                waiting: number(row.waiting),
                has: number(row.has),
            })
        };
        Ok(rows.into_iter().filter_map(progress).collect())
    }
}
