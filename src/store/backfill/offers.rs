//! Offers: those that are made and not done with, and each step that one of them can take.

use super::super::{Error, Store, accounts, changes, deliveries as queue, posts};
use super::candidates::{Candidate, PINNED, candidate};
use super::{SERVER, ServerRow};
use crate::domain::backfill::{MOST_OPEN, Offer, OfferOutcome, OfferState, PAUSE, Server, Way};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, PostId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// The activity that is the Add of an offer, $1.
const ADD: &str = "(SELECT a.id FROM activities AS a JOIN offers AS o ON o.add_uri = a.uri WHERE o.id = $1)";

#[derive(QueryableByName)]
struct OfferRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = BigInt)]
    post_id: i64,
    #[diesel(sql_type = Text)]
    inbox: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Text>)]
    outcome: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    fetched_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Bool)]
    seen: bool,
    #[diesel(sql_type = Bool)]
    stands: bool,
    #[diesel(sql_type = Bool)]
    pinned: bool,
    #[diesel(sql_type = Nullable<Text>)]
    delivery: Option<String>,
    #[diesel(sql_type = Nullable<Bool>)]
    leased: Option<bool>,
    #[diesel(sql_type = Nullable<Integer>)]
    attempts: Option<i32>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    answer: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    settled_at: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

impl Store {
    /// Offer a post to a host: enqueue this Add, if it still is the one to be offered next and the server may be
    /// offered something; whether it was. From then on the post counts as seen, for its address is told. `exposes`: whether that
    /// address is for ever.
    pub async fn offer(
        &self,
        host: &str,
        chosen: &Candidate,
        add: &Outgoing,
        exposes: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let lock = format!("SELECT {SERVER} FROM servers WHERE host = $1 FOR UPDATE");
                let server: ServerRow = diesel::sql_query(lock).bind::<Text, _>(host).get_result(connection).await?;
                if !Server::from(server).is_free(now) || !flows(connection, host, &chosen.inbox, now).await? {
                    return Ok(false);
                }
                if candidate(connection, host, now).await?.as_ref() != Some(chosen) {
                    return Ok(false);
                }
                diesel::sql_query(
                    "INSERT INTO offers (account_id, host, post_id, inbox, state, tries, add_uri, offered_at) \
                     VALUES ($1, $2, $3, $4, 'offered', 1, $5, $6) ON CONFLICT (host, post_id) DO UPDATE \
                     SET inbox = excluded.inbox, state = 'offered', outcome = NULL, tries = offers.tries + 1, \
                         add_uri = excluded.add_uri, remove_uri = NULL, offered_at = excluded.offered_at, \
                         fetched_at = NULL, removed_at = NULL",
                )
                .bind::<BigInt, _>(chosen.account.0)
                .bind::<Text, _>(host)
                .bind::<BigInt, _>(chosen.post.0)
                .bind::<Text, _>(&chosen.inbox)
                .bind::<Text, _>(&add.uri)
                .bind::<Timestamptz, _>(now)
                .execute(connection)
                .await?;
                diesel::sql_query("UPDATE servers SET offered_at = $2 WHERE host = $1")
                    .bind::<Text, _>(host)
                    .bind::<Timestamptz, _>(now)
                    .execute(connection)
                    .await?;
                if exposes && posts::expose(connection, &[chosen.post.0], now).await? {
                    changes::tell(connection).await?;
                }
                queue::enqueue(connection, chosen.account, add, now).await?;
                Ok(true)
            })
            .await
    }

    /// What a host was offered and is not done with, the oldest first. An offer that was done with before the host came for
    /// the post is taken up again: the pin may have been made after it was taken away.
    pub async fn list_open_offers(&self, host: &str, now: DateTime<Utc>) -> Result<Vec<Offer>, Error> {
        let mut connection = self.connection().await?;
        diesel::sql_query(
            "UPDATE offers SET state = 'offered', outcome = NULL, fetched_at = $2 \
             WHERE host = $1 AND state = 'done' AND fetched_at IS NULL AND remove_uri IS NOT NULL \
               AND EXISTS (SELECT 1 FROM fetches AS f WHERE f.post_id = offers.post_id AND f.host = offers.host)",
        )
        .bind::<Text, _>(host)
        .bind::<Timestamptz, _>(now)
        .execute(&mut connection)
        .await?;
        let rows: Vec<OfferRow> = diesel::sql_query(format!(
            "SELECT o.id, o.account_id, o.post_id, o.inbox, o.state, o.outcome, o.fetched_at, \
                 EXISTS (SELECT 1 FROM fetches AS f WHERE f.post_id = o.post_id AND f.host = o.host) AS seen, \
                 p.withdrawn_at IS NULL AND p.listed AS stands, {PINNED} AS pinned, \
                 d.state AS delivery, d.leased_by IS NOT NULL AS leased, d.attempts, d.status, d.answer, d.settled_at \
             FROM offers AS o JOIN posts AS p ON p.id = o.post_id \
                 LEFT JOIN activities AS a ON a.uri = CASE o.state WHEN 'offered' THEN o.add_uri ELSE o.remove_uri END \
                 LEFT JOIN deliveries AS d ON d.activity_id = a.id \
             WHERE o.host = $1 AND o.state <> 'done' ORDER BY o.id"
        ))
        .bind::<Text, _>(host)
        .load(&mut connection)
        .await?;
        rows.into_iter().map(offer).collect()
    }

    /// Note that a post was fetched.
    pub async fn note_fetched(&self, offer: &Offer, now: DateTime<Utc>) -> Result<(), Error> {
        diesel::sql_query(
            "UPDATE offers SET fetched_at = $2 WHERE id = $1 AND state = 'offered' AND fetched_at IS NULL",
        )
        .bind::<BigInt, _>(offer.id)
        .bind::<Timestamptz, _>(now)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

    /// Enqueue the Remove of an offer; whether it is this call that did.
    pub async fn remove_offer(
        &self,
        offer: &Offer,
        outcome: OfferOutcome,
        remove: &Outgoing,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts::lock_writing(connection, offer.account).await?;
                take_away(connection, offer, outcome, remove, now).await
            })
            .await
    }

    /// An offer is done with; whether it was not before.
    pub async fn finish_offer(&self, offer: &Offer, outcome: OfferOutcome) -> Result<bool, Error> {
        let done = "UPDATE offers SET state = 'done', outcome = $3 WHERE id = $1 AND state = $2";
        let done = diesel::sql_query(done)
            .bind::<BigInt, _>(offer.id)
            .bind::<Text, _>(word(offer.state))
            .bind::<Text, _>(outcome.as_str());
        Ok(done.execute(&mut self.connection().await?).await? > 0)
    }

    /// An offer never went out: it is as if it had not been made.
    pub async fn forget_offer(&self, offer: &Offer) -> Result<(), Error> {
        diesel::sql_query("DELETE FROM offers WHERE id = $1 AND state = 'offered'")
            .bind::<BigInt, _>(offer.id)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// The Add of an offer is not to be sent any more, unless it is being sent.
    pub async fn drop_offer(&self, offer: &Offer, now: DateTime<Utc>) -> Result<(), Error> {
        drop_add(&mut *self.connection().await?, offer, now).await
    }

    /// The Add of an offer failed: what waits of it is dropped, this Remove is enqueued where it may have arrived, and the host
    /// is offered nothing for a while. `false`: it is just being sent again, or has arrived meanwhile, or another process was
    /// faster.
    pub async fn fail_offer(
        &self,
        host: &str,
        offer: &Offer,
        why: &str,
        remove: Option<&Outgoing>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts::lock_writing(connection, offer.account).await?;
                drop_add(connection, offer, now).await?;
                let under_way = format!(
                    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE activity_id = {ADD} \
                         AND state IN ('waiting', 'delivered')) AS yes"
                );
                let under_way: Answer =
                    diesel::sql_query(under_way).bind::<BigInt, _>(offer.id).get_result(connection).await?;
                if under_way.yes {
                    return Ok(false);
                }
                let failed = match remove {
                    Some(remove) => take_away(connection, offer, OfferOutcome::Failed, remove, now).await?,
                    None => {
                        let failed =
                            "UPDATE offers SET state = 'done', outcome = 'failed' WHERE id = $1 AND state = 'offered'";
                        diesel::sql_query(failed).bind::<BigInt, _>(offer.id).execute(connection).await? > 0
                    }
                };
                if failed {
                    pause(connection, host, why, now).await?;
                }
                Ok(failed)
            })
            .await
    }

    /// Offer a host nothing for a while, unless that is so already; whether it was not.
    pub async fn pause_offers(&self, host: &str, why: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        pause(&mut *self.connection().await?, host, why, now).await
    }
}

/// Whether what is enqueued for an inbox of a host would be sent, and few enough offers there are open.
async fn flows(connection: &mut AsyncPgConnection, host: &str, inbox: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let flows: Answer = diesel::sql_query(
        "SELECT (SELECT deliveries_paused_at FROM everpost_instance) IS NULL \
            AND NOT EXISTS (SELECT 1 FROM delivery_hosts WHERE host = $2 \
                AND (standing IN ('failing', 'parked') OR paused_until > $3)) \
            AND (SELECT count(*) FROM offers WHERE host = $1 AND state <> 'done') < $4 AS yes",
    )
    .bind::<Text, _>(host)
    .bind::<Text, _>(host_of(inbox).unwrap_or_default())
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(i64::try_from(MOST_OPEN).unwrap_or(i64::MAX))
    .get_result(connection)
    .await?;
    Ok(flows.yes)
}

/// Drop the delivery of an Add, if it waits and nobody is sending it.
async fn drop_add(connection: &mut AsyncPgConnection, offer: &Offer, now: DateTime<Utc>) -> Result<(), Error> {
    diesel::sql_query(format!(
        "UPDATE deliveries SET state = 'dropped', settled_at = $2, \
             answer = coalesce(answer, 'the post is not offered any more') \
         WHERE activity_id = {ADD} AND state = 'waiting' AND leased_by IS NULL"
    ))
    .bind::<BigInt, _>(offer.id)
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    Ok(())
}

/// Have a Remove follow an Add, on a connection that is inside a transaction and holds the account's pins; whether none does
/// yet. Of what the owner has pinned meanwhile nothing is taken away.
async fn take_away(
    connection: &mut AsyncPgConnection,
    offer: &Offer,
    outcome: OfferOutcome,
    remove: &Outgoing,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let removing = "UPDATE offers SET state = 'removing', outcome = $2, remove_uri = $3, removed_at = $4 \
        WHERE id = $1 AND state = 'offered' AND NOT EXISTS (SELECT 1 FROM pins WHERE pins.post_id = offers.post_id)";
    let removing = diesel::sql_query(removing)
        .bind::<BigInt, _>(offer.id)
        .bind::<Text, _>(outcome.as_str())
        .bind::<Text, _>(&remove.uri)
        .bind::<Timestamptz, _>(now);
    if removing.execute(connection).await? == 0 {
        return Ok(false);
    }
    queue::enqueue(connection, offer.account, remove, now).await?;
    Ok(true)
}

async fn pause(connection: &mut AsyncPgConnection, host: &str, why: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let paused = "UPDATE servers SET paused_until = $2, pause_reason = $3 \
        WHERE host = $1 AND coalesce(paused_until <= $4, true)";
    let paused = diesel::sql_query(paused)
        .bind::<Text, _>(host)
        .bind::<Timestamptz, _>(now + PAUSE)
        .bind::<Text, _>(why)
        .bind::<Timestamptz, _>(now);
    Ok(paused.execute(connection).await? > 0)
}

fn word(state: OfferState) -> &'static str {
    match state {
        OfferState::Offered => "offered",
        OfferState::Removing => "removing",
    }
}

fn offer(row: OfferRow) -> Result<Offer, Error> {
    let damaged = |what: &str, word: &str| Error::Damaged(format!("an offer's {what} {word:?}"));
    let state = match row.state.as_str() {
        "offered" => OfferState::Offered,
        "removing" => OfferState::Removing,
        other => return Err(damaged("state", other)),
    };
    let outcome = row.outcome.as_deref();
    let outcome = outcome.map(|word| OfferOutcome::parse(word).ok_or_else(|| damaged("outcome", word))).transpose()?;
    let why = match (&row.answer, row.status) {
        (answer, Some(status)) => {
            let answer = answer.as_deref().unwrap_or_default().trim();
            if answer.is_empty() {
                format!("its inbox answered {status}")
            } else {
                format!("its inbox answered {status}: {answer}")
            }
        }
        (Some(answer), None) => answer.clone(),
        (None, None) => "it was not sent".to_owned(),
    };
    let attempts = row.attempts.unwrap_or(0);
    let way = match row.delivery.as_deref() {
        None => Way::Unknown,
        Some("waiting") if row.leased == Some(true) || row.answer.is_none() => Way::Waiting,
        // Of several attempts only the last one's answer is known, and one before it may have arrived.
        Some("waiting") => {
            let status = row.status.filter(|_| attempts <= 1);
            Way::Failing { status: status.and_then(|status| u16::try_from(status).ok()), why }
        }
        Some("delivered") => row.settled_at.map_or(Way::Unknown, |at| Way::Delivered { at }),
        // What expires was leased once more to find that out.
        Some("expired") => Way::Ended { perhaps: attempts > 1, blame: attempts > 1, why },
        Some("dropped") => Way::Ended { perhaps: attempts > 0, blame: false, why },
        Some(_) => Way::Ended { perhaps: attempts > 1, blame: true, why },
    };
    Ok(Offer {
        id: row.id,
        account: AccountId(row.account_id),
        post: PostId(row.post_id),
        inbox: row.inbox,
        state,
        outcome,
        way,
        seen: row.seen,
        fetched: row.fetched_at,
        stands: row.stands,
        pinned: row.pinned,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_attempts_one_before_the_last_may_have_arrived() {
        let way = |state: &str, attempts: i32, status: i16| {
            let row = OfferRow {
                id: 1,
                account_id: 1,
                post_id: 1,
                inbox: "https://far.example/inbox".to_owned(),
                state: "offered".to_owned(),
                outcome: None,
                fetched_at: None,
                seen: false,
                stands: true,
                pinned: false,
                delivery: Some(state.to_owned()),
                leased: Some(false),
                attempts: Some(attempts),
                status: Some(status),
                answer: Some(String::new()),
                settled_at: None,
            };
            offer(row).unwrap().way
        };
        assert!(matches!(way("waiting", 1, 429), Way::Failing { status: Some(429), .. }));
        assert!(matches!(way("waiting", 2, 429), Way::Failing { status: None, .. }));
        assert!(matches!(way("refused", 1, 403), Way::Ended { perhaps: false, blame: true, .. }));
        assert!(matches!(way("refused", 2, 403), Way::Ended { perhaps: true, blame: true, .. }));
    }
}
