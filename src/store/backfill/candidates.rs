//! The post that a host is offered next.

use super::super::{Error, Store};
use super::OFFERING;
use crate::domain::backfill::{FRESH, MOST_TRIES};
use crate::domain::block::domains_above;
use crate::domain::ids::{AccountId, PostId};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Whether the owner has pinned a post, `p`.
pub(super) const PINNED: &str = "EXISTS (SELECT 1 FROM pins WHERE pins.post_id = p.id)";

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
}

/// The same on a connection.
pub(super) async fn candidate(
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
