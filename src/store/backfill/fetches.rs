//! Which server has fetched which post.

use super::super::{Error, Store};
use crate::domain::backfill::Fetched;
use crate::domain::ids::{AccountId, PostId};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

/// Fetches of one post by one host, to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The post.
    pub post: PostId,
    /// The host.
    pub host: String,
    /// How many.
    pub times: i64,
    /// When the first and the last of them was.
    pub between: (DateTime<Utc>, DateTime<Utc>),
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Bool)]
    known: bool,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    post_id: i64,
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Timestamptz)]
    first_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    last_at: DateTime<Utc>,
    #[diesel(sql_type = BigInt)]
    times: i64,
}

impl Store {
    /// Whether fetches by a host are counted: somebody there follows somebody here, or it was offered posts.
    pub async fn is_counted(&self, host: &str) -> Result<bool, Error> {
        let known: Known = diesel::sql_query(
            "SELECT EXISTS (SELECT 1 FROM servers WHERE host = $1) \
                OR EXISTS (SELECT 1 FROM remote_actors AS r JOIN followers AS f ON f.actor_id = r.id \
                    WHERE r.host = $1 AND f.state = 'accepted') AS known",
        )
        .bind::<Text, _>(host)
        .get_result(&mut self.connection().await?)
        .await?;
        Ok(known.known)
    }

    /// Count fetches; each post and host stands there once. What is no post by now is left out.
    pub async fn count_fetches(&self, fetches: &[Fetch]) -> Result<(), Error> {
        diesel::sql_query(
            "INSERT INTO fetches (post_id, host, first_at, last_at, times) \
             SELECT post, host, first, last, times FROM unnest($1, $2, $3, $4, $5) AS new (post, host, first, last, times) \
             WHERE EXISTS (SELECT 1 FROM posts WHERE posts.id = new.post) ORDER BY post, host \
             ON CONFLICT (post_id, host) DO UPDATE SET last_at = greatest(fetches.last_at, excluded.last_at), \
                 times = fetches.times + excluded.times",
        )
        .bind::<Array<BigInt>, _>(fetches.iter().map(|fetch| fetch.post.0).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(fetches.iter().map(|fetch| fetch.host.as_str()).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(fetches.iter().map(|fetch| fetch.between.0).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(fetches.iter().map(|fetch| fetch.between.1).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(fetches.iter().map(|fetch| fetch.times).collect::<Vec<_>>())
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Which posts of an account which host has fetched, by host and from the newest post on; at most `limit` after `after`.
    pub async fn list_fetches(
        &self,
        account: AccountId,
        after: Option<(&str, PostId)>,
        limit: i64,
    ) -> Result<Vec<Fetched>, Error> {
        let rows: Vec<Row> = diesel::sql_query(
            "SELECT f.post_id, f.host, f.first_at, f.last_at, f.times FROM fetches AS f JOIN posts AS p ON p.id = f.post_id \
             WHERE p.account_id = $1 AND ($2 IS NULL OR f.host > $2 OR (f.host = $2 AND f.post_id < $3)) \
             ORDER BY f.host, f.post_id DESC LIMIT $4",
        )
        .bind::<BigInt, _>(account.0)
        .bind::<Nullable<Text>, _>(after.map(|(host, _)| host))
        .bind::<Nullable<BigInt>, _>(after.map(|(_, post)| post.0))
        .bind::<BigInt, _>(limit)
        .load(&mut self.connection().await?)
        .await?;
        let fetched = |row: Row| Fetched {
            post: PostId(row.post_id),
            host: row.host,
            first: row.first_at,
            last: row.last_at,
            times: u64::try_from(row.times).unwrap_or(0),
        };
        Ok(rows.into_iter().map(fetched).collect())
    }
}
