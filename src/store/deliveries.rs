//! The queue of what leaves: activities, and their deliveries to inboxes.

use super::Error;
use super::schema::{activities, deliveries};
use crate::domain::delivery::{Outgoing, Recipients};
use crate::domain::ids::{AccountId, ActivityId};
use crate::domain::remote::host_of;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Enqueue an activity on a connection that is inside the transaction which makes it true. Its number; `None` where an
/// activity of this id was enqueued before.
pub(super) async fn enqueue(
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
            diesel::sql_query(
                "INSERT INTO deliveries (activity_id, inbox, host, state, due_at) \
                 SELECT DISTINCT $1, coalesce(shared_inbox, inbox), \
                     lower(substring(coalesce(shared_inbox, inbox) FROM '^[a-z]+://([^/?#]+)')), 'waiting', $2 \
                 FROM followers JOIN remote_actors ON remote_actors.id = actor_id \
                 WHERE account_id = $3 AND state = 'accepted'",
            )
            .bind::<BigInt, _>(id)
            .bind::<Timestamptz, _>(now)
            .bind::<BigInt, _>(account.0)
            .execute(connection)
            .await?;
        }
        Recipients::Inboxes(inboxes) => {
            let rows: Vec<_> = inboxes
                .iter()
                .filter_map(|inbox| {
                    Some((
                        deliveries::activity_id.eq(id),
                        deliveries::inbox.eq(inbox),
                        deliveries::host.eq(host_of(inbox)?),
                        deliveries::state.eq("waiting"),
                        deliveries::due_at.eq(now),
                    ))
                })
                .collect();
            diesel::insert_into(deliveries::table).values(rows).on_conflict_do_nothing().execute(connection).await?;
        }
    }
    Ok(Some(ActivityId(id)))
}
