//! Offers: the next one to be made, those that are not done with, and each step that one of them can take.

use super::super::{Error, Store, changes, deliveries as queue};
use super::{OFFERING, SERVER, ServerRow};
use crate::domain::backfill::{FRESH, MOST_OPEN, MOST_TRIES, Offer, OfferOutcome, OfferState, PAUSE, Server, Way};
use crate::domain::block::domains_above;
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, PostId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// The activity that is the Add of an offer, $1.
const ADD: &str = "(SELECT a.id FROM activities AS a JOIN offers AS o ON o.add_uri = a.uri WHERE o.id = $1)";

/// Whether the owner has pinned a post, `p`.
const PINNED: &str = "EXISTS (SELECT 1 FROM pins WHERE pins.post_id = p.id)";

/// The post that a host, $1, is offered next: of the account that has waited longest the newest of its newest top-level posts
/// that was not offered there; one that failed is offered again. $2 are the host and the domains above it, $3 how often, and
/// $4 the moment before which a post has to stand.
fn next_post() -> String {
    format!(
        "SELECT c.id AS account_id, p.id AS post_id, c.inbox, \
             EXISTS (SELECT 1 FROM fetches WHERE fetches.post_id = p.id AND fetches.host = $1) \
                 OR EXISTS (SELECT 1 FROM activities AS told JOIN deliveries AS d ON d.activity_id = told.id \
                     WHERE told.account_id = c.id AND told.object_uri = c.notes || p.id AND told.kind = 'Create' \
                       AND d.inbox = c.inbox AND d.state IN ('waiting', 'delivered')) AS known \
         FROM (SELECT a.id, (a.settings ->> 'backfill.posts')::integer AS most, \
                   d.base_url || '/users/' || a.handle || '/statuses/' AS notes, \
                   (SELECT coalesce(r.shared_inbox, r.inbox) FROM followers AS f JOIN remote_actors AS r ON r.id = f.actor_id \
                       WHERE f.account_id = a.id AND f.state = 'accepted' AND r.host = $1 \
                         AND NOT EXISTS (SELECT 1 FROM parked_inboxes AS parked \
                             WHERE parked.inbox = coalesce(r.shared_inbox, r.inbox)) \
                       ORDER BY r.shared_inbox IS NULL, f.id LIMIT 1) AS inbox, \
                   (SELECT max(o.offered_at) FROM offers AS o WHERE o.account_id = a.id AND o.host = $1) AS last \
               FROM accounts AS a JOIN domains AS d ON d.id = a.domain_id \
               WHERE {OFFERING} \
                 AND NOT EXISTS (SELECT 1 FROM backfill_stops AS s WHERE s.account_id = a.id AND s.host = $1) \
                 AND NOT EXISTS (SELECT 1 FROM blocks AS b WHERE b.kind = 'domain' AND b.target = ANY($2) \
                     AND (b.account_id IS NULL OR b.account_id = a.id))) AS c \
         CROSS JOIN LATERAL (\
             SELECT posts.id, posts.published_at FROM posts \
             WHERE posts.account_id = c.id AND {TOP} ORDER BY posts.published_at DESC, posts.id DESC LIMIT c.most) AS p \
         WHERE c.inbox IS NOT NULL AND p.published_at < $4 AND NOT {PINNED} \
           AND NOT EXISTS (SELECT 1 FROM offers AS o WHERE o.host = $1 AND o.post_id = p.id \
               AND (o.state <> 'done' OR o.outcome <> 'failed' OR o.tries >= $3)) \
         ORDER BY c.last NULLS FIRST, c.id, p.published_at DESC, p.id DESC LIMIT 1"
    )
}

/// Posts that an account shows and that begin a conversation.
pub(super) const TOP: &str = "posts.withdrawn_at IS NULL AND posts.listed AND posts.boost_of IS NULL \
    AND posts.reply_to_id IS NULL AND posts.reply_to_key IS NULL AND NOT posts.to_others";

/// A post that a host may be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Whose it is.
    pub account: AccountId,
    /// The post.
    pub post: PostId,
    /// The inbox: one that the host's followers share, else a follower's own.
    pub inbox: String,
    /// Whether the host has the post already, as far as can be known.
    pub known: bool,
}

#[derive(QueryableByName)]
struct CandidateRow {
    #[diesel(sql_type = BigInt)]
    account_id: i64,
    #[diesel(sql_type = BigInt)]
    post_id: i64,
    #[diesel(sql_type = Text)]
    inbox: String,
    #[diesel(sql_type = Bool)]
    known: bool,
}

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
    /// The post that a host may be offered next, as far as posts, followers and blocks go.
    pub async fn find_candidate(&self, host: &str, now: DateTime<Utc>) -> Result<Option<Candidate>, Error> {
        candidate(&mut *self.connection().await?, host, now).await
    }

    /// Note that a host had a post before, so that it is not offered.
    pub async fn pass_over(&self, host: &str, candidate: &Candidate, now: DateTime<Utc>) -> Result<(), Error> {
        diesel::sql_query(
            "INSERT INTO offers (account_id, host, post_id, inbox, state, outcome, tries, offered_at) \
             VALUES ($1, $2, $3, '', 'done', 'known', 0, $4) ON CONFLICT (host, post_id) DO UPDATE SET outcome = 'known' \
             WHERE offers.state = 'done'",
        )
        .bind::<BigInt, _>(candidate.account.0)
        .bind::<Text, _>(host)
        .bind::<BigInt, _>(candidate.post.0)
        .bind::<Timestamptz, _>(now)
        .execute(&mut self.connection().await?)
        .await?;
        Ok(())
    }

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
                if exposes {
                    let seen = "UPDATE posts SET exposed_at = $2 WHERE id = $1 AND exposed_at IS NULL";
                    let seen = diesel::sql_query(seen).bind::<BigInt, _>(chosen.post.0).bind::<Timestamptz, _>(now);
                    if seen.execute(connection).await? > 0 {
                        changes::tell(connection).await?;
                    }
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
        connection.transaction(async |connection| take_away(connection, offer, outcome, remove, now).await).await
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
    /// is offered nothing for a while. `false`: it is just being sent again, or another process was faster.
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
                drop_add(connection, offer, now).await?;
                let under_way = format!(
                    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE activity_id = {ADD} AND state = 'waiting') AS yes"
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

async fn candidate(
    connection: &mut AsyncPgConnection,
    host: &str,
    now: DateTime<Utc>,
) -> Result<Option<Candidate>, Error> {
    let row: Option<CandidateRow> = diesel::sql_query(next_post())
        .bind::<Text, _>(host)
        .bind::<Array<Text>, _>(domains_above(host))
        .bind::<Integer, _>(i32::try_from(MOST_TRIES).unwrap_or(i32::MAX))
        .bind::<Timestamptz, _>(now - FRESH)
        .get_result(connection)
        .await
        .optional()?;
    Ok(row.map(|row| Candidate {
        account: AccountId(row.account_id),
        post: PostId(row.post_id),
        inbox: row.inbox,
        known: row.known,
    }))
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

/// Have a Remove follow an Add, on a connection that is inside a transaction; whether none does yet.
async fn take_away(
    connection: &mut AsyncPgConnection,
    offer: &Offer,
    outcome: OfferOutcome,
    remove: &Outgoing,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let removing = "UPDATE offers SET state = 'removing', outcome = $2, remove_uri = $3, removed_at = $4 \
        WHERE id = $1 AND state = 'offered'";
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
        Some("waiting") => Way::Failing { status: row.status.and_then(|status| u16::try_from(status).ok()), why },
        Some("delivered") => row.settled_at.map_or(Way::Unknown, |at| Way::Delivered { at }),
        // What expires was leased once more to find that out.
        Some("expired") => Way::Ended { perhaps: attempts > 1, blame: attempts > 1, why },
        Some("dropped") => Way::Ended { perhaps: attempts > 0, blame: false, why },
        Some(_) => Way::Ended { perhaps: false, blame: true, why },
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
