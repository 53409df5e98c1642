//! The queue of what leaves: activities, and their deliveries to inboxes (decision 0022).
//!
//! Here is how something gets in. `lease.rs` gives a worker what it may send, `settle.rs` takes what came of it,
//! `hosts.rs` is what the owner sees and does, `gone.rs` clears up inboxes that are gone, `tidy.rs` forgets what is old.
//! Must never know what an outcome means: that is the policy of who sends.

mod gone;
mod hosts;
mod lease;
mod settle;
mod tidy;

pub use gone::ParkedInbox;
pub use hosts::Chosen;
pub use lease::{Lanes, Look};
pub use tidy::{Ages, Tidied};

use super::again::Again;
use super::schema::activities;
use super::{Error, Store, changes};
use crate::domain::delivery::{DeliveryHost, Outgoing, Recipients, Standing};
use crate::domain::ids::{AccountId, ActivityId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// The end of the statement that makes deliveries out of inboxes, `found (inbox, host)`: $1 is the activity, $2 what it is
/// about, $3 the time. A host is told to the workers by a row of its own, so that nobody who enqueues waits for another.
const DELIVER: &str = "made AS (\
        INSERT INTO deliveries (activity_id, inbox, host, line, state, due_at) \
        SELECT $1, inbox, host, hashtextextended(inbox || ' ' || $2, 0), 'waiting', $3 FROM found \
        ON CONFLICT DO NOTHING RETURNING host) \
    INSERT INTO delivery_wakes (host) SELECT DISTINCT host FROM made";

/// The followers' inboxes: each distinct shared one once, none that is known to be gone, none without a host. The
/// host is spelled as `host_of` spells it.
const FOLLOWERS: &str = "WITH inboxes AS (\
        SELECT DISTINCT coalesce(shared_inbox, inbox) AS inbox \
        FROM followers JOIN remote_actors ON remote_actors.id = actor_id WHERE account_id = $4 AND state = 'accepted'), \
    hosts AS (\
        SELECT inbox, lower(substring(inbox FROM '^[A-Za-z]+://(?:[^/?#@]*@)?([^/?#@]+)')) AS authority FROM inboxes \
        WHERE NOT EXISTS (SELECT 1 FROM parked_inboxes WHERE parked_inboxes.inbox = inboxes.inbox AND status = 410)), \
    found AS (\
        SELECT inbox, regexp_replace(authority, CASE WHEN inbox ILIKE 'https:%' THEN ':443$' ELSE ':80$' END, '') AS host \
        FROM hosts WHERE authority IS NOT NULL), ";

/// Enqueue an activity on a connection that is inside the transaction which makes it true. Its number; `None` where an
/// activity of this id was enqueued before.
pub(super) async fn enqueue(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    outgoing: &Outgoing,
    now: DateTime<Utc>,
) -> Result<Option<ActivityId>, Error> {
    let id = enqueue_quietly(connection, account, outgoing, now).await?;
    if id.is_some() {
        wake(connection).await?;
    }
    Ok(id)
}

/// The same for what comes in floods: the workers have to be told after the transaction.
pub(super) async fn enqueue_quietly(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    outgoing: &Outgoing,
    now: DateTime<Utc>,
) -> Result<Option<ActivityId>, Error> {
    let id: Option<i64> = diesel::insert_into(activities::table)
        .values((
            activities::account_id.eq(account.0),
            activities::uri.eq(&outgoing.uri),
            activities::kind.eq(outgoing.kind),
            activities::object_uri.eq(&outgoing.object),
            activities::body.eq(&outgoing.body),
            activities::created_at.eq(now),
            activities::expires_at.eq(outgoing.expires_at),
        ))
        .on_conflict(activities::uri)
        .do_nothing()
        .returning(activities::id)
        .get_result(connection)
        .await
        .optional()?;
    let Some(id) = id else { return Ok(None) };
    match &outgoing.to {
        Recipients::Followers => {
            let deliver = diesel::sql_query(format!("{FOLLOWERS}{DELIVER}"))
                .bind::<BigInt, _>(id)
                .bind::<Text, _>(&outgoing.object)
                .bind::<Timestamptz, _>(now)
                .bind::<BigInt, _>(account.0);
            Again(deliver).execute(connection).await?;
        }
        Recipients::Inboxes(inboxes) => {
            let known = inboxes.iter().filter_map(|inbox| Some((inbox.as_str(), host_of(inbox)?)));
            let (inboxes, hosts): (Vec<_>, Vec<_>) = known.unzip();
            let deliver = diesel::sql_query(format!(
                "WITH found AS (SELECT inbox, host FROM unnest($4, $5) AS given (inbox, host)), {DELIVER}"
            ))
            .bind::<BigInt, _>(id)
            .bind::<Text, _>(&outgoing.object)
            .bind::<Timestamptz, _>(now)
            .bind::<Array<Text>, _>(inboxes)
            .bind::<Array<Text>, _>(hosts);
            Again(deliver).execute(connection).await?;
        }
    }
    Ok(Some(ActivityId(id)))
}

impl Store {
    /// Enqueue an activity that makes nothing true but itself; whether it is new.
    pub async fn enqueue(&self, account: AccountId, outgoing: &Outgoing, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        let enqueued =
            connection.transaction(async |connection| enqueue(connection, account, outgoing, now).await).await?;
        Ok(enqueued.is_some())
    }

    /// Call `heard` whenever something may have become due, for ever.
    pub async fn listen_for_deliveries(&self, heard: impl Fn(changes::Heard)) {
        self.listen_to(changes::DELIVERIES, heard).await;
    }
}

/// Tell the workers, once the transaction is committed, that something may be due.
async fn wake(connection: &mut AsyncPgConnection) -> Result<(), Error> {
    changes::notify(connection, changes::DELIVERIES).await
}

/// A host as stored.
#[derive(QueryableByName)]
struct HostRow {
    #[diesel(sql_type = Text)]
    host: String,
    #[diesel(sql_type = Text)]
    standing: String,
    #[diesel(sql_type = Integer)]
    failures: i32,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    paused_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    answered_at: Option<DateTime<Utc>>,
}

impl TryFrom<HostRow> for DeliveryHost {
    type Error = Error;

    fn try_from(row: HostRow) -> Result<DeliveryHost, Error> {
        Ok(DeliveryHost {
            standing: standing(&row.standing)?,
            host: row.host,
            failures: u32::try_from(row.failures).unwrap_or(0),
            failing_since: row.failing_since,
            paused_until: row.paused_until,
            reason: row.reason,
            answered: row.answered_at,
        })
    }
}

fn standing(word: &str) -> Result<Standing, Error> {
    Standing::parse(word).ok_or_else(|| Error::Damaged(format!("a host's standing {word:?}")))
}

/// A count as it is shown.
fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
