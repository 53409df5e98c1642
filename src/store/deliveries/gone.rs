//! Inboxes that answered 404 or 410: the hosts of the actors behind them are asked. Nothing is sent until then where it was
//! 410; a 404 may pass, and deliveries go on being tried.

use super::{Error, Store, changes};
use crate::store::again::Again;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// An inbox to be cleared up.
#[derive(Clone, Debug, PartialEq, QueryableByName)]
pub struct ParkedInbox {
    /// The inbox.
    #[diesel(sql_type = Text)]
    pub inbox: String,
    /// How often that was tried, this time included.
    #[diesel(sql_type = Integer)]
    pub checks: i32,
    /// How often in a row an actor behind it was looked for before and was not there.
    #[diesel(sql_type = Integer)]
    pub missing: i32,
    /// When it first answered so.
    #[diesel(sql_type = Timestamptz)]
    pub parked_at: DateTime<Utc>,
    /// A follower's actor to whom things go there; `None`: nobody's any more.
    #[diesel(sql_type = Nullable<Text>)]
    pub actor: Option<String>,
}

/// Note that inboxes answered that they are gone or not there, each with its status code. The word that it is gone counts.
pub(super) async fn park(
    connection: &mut AsyncPgConnection,
    gone: &[(String, u16)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    diesel::sql_query(
        "INSERT INTO parked_inboxes (inbox, status, parked_at, check_at) \
         SELECT DISTINCT ON (inbox) inbox, status, $3, $3 FROM unnest($1, $2) AS given (inbox, status) \
         ORDER BY inbox, status DESC \
         ON CONFLICT (inbox) DO UPDATE SET status = excluded.status, check_at = excluded.check_at \
         WHERE parked_inboxes.status < excluded.status",
    )
    .bind::<Array<Text>, _>(gone.iter().map(|(inbox, _)| inbox.as_str()).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(
        gone.iter().map(|(_, status)| i16::try_from(*status).unwrap_or(i16::MAX)).collect::<Vec<_>>(),
    )
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Note that inboxes took something, those of these deliveries: they are there.
pub(super) async fn unpark(connection: &mut AsyncPgConnection, delivered: &[i64]) -> Result<(), Error> {
    let query = diesel::sql_query(
        "DELETE FROM parked_inboxes WHERE inbox IN (SELECT d.inbox FROM deliveries AS d WHERE d.id = ANY($1))",
    )
    .bind::<Array<BigInt>, _>(delivered);
    Again(query).execute(connection).await?;
    Ok(())
}

impl Store {
    /// At most `limit` parked inboxes whose turn it is, each for nobody else before `again`.
    pub async fn claim_parked_inboxes(
        &self,
        limit: usize,
        now: DateTime<Utc>,
        again: DateTime<Utc>,
    ) -> Result<Vec<ParkedInbox>, Error> {
        let rows = diesel::sql_query(
            "UPDATE parked_inboxes SET checks = checks + 1, check_at = $2 WHERE inbox IN (\
                 SELECT inbox FROM parked_inboxes WHERE check_at <= $1 ORDER BY check_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING inbox, checks, missing, parked_at, (\
                 SELECT uri FROM remote_actors \
                 WHERE (remote_actors.inbox = parked_inboxes.inbox OR remote_actors.shared_inbox = parked_inboxes.inbox) \
                   AND EXISTS (SELECT 1 FROM followers WHERE actor_id = remote_actors.id) ORDER BY id LIMIT 1) AS actor",
        )
        .bind::<Timestamptz, _>(now)
        .bind::<Timestamptz, _>(again)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .load(&mut self.connection().await?)
        .await?;
        Ok(rows)
    }

    /// Look at a parked inbox again at `again`; `missing` is how often in a row its actor was not there by now.
    pub async fn delay_parked_inbox(&self, inbox: &str, missing: i32, again: DateTime<Utc>) -> Result<(), Error> {
        diesel::sql_query("UPDATE parked_inboxes SET check_at = $2, missing = $3 WHERE inbox = $1")
            .bind::<Text, _>(inbox)
            .bind::<Timestamptz, _>(again)
            .bind::<Integer, _>(missing)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Let things be sent to an inbox again.
    pub async fn unpark_inbox(&self, inbox: &str) -> Result<(), Error> {
        diesel::sql_query("DELETE FROM parked_inboxes WHERE inbox = $1")
            .bind::<Text, _>(inbox)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// Forget that an actor follows anybody, for its own host says that it is gone; how many accounts it followed.
    pub async fn remove_gone_follower(&self, actor: &str) -> Result<usize, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let removed = diesel::sql_query(
                    "DELETE FROM followers USING remote_actors WHERE remote_actors.id = actor_id AND uri = $1",
                );
                let removed = removed.bind::<Text, _>(actor).execute(connection).await?;
                if removed > 0 {
                    changes::tell(connection).await?;
                }
                Ok(removed)
            })
            .await
    }
}
