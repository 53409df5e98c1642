//! What others report to owners, and how much came that we know nothing of.

use super::schema::{remote_actors, reports, unknown_activities};
use super::{Error, Store, remote};
use crate::domain::echo::Report;
use crate::domain::ids::{AccountId, RemoteActorId};
use crate::domain::remote::KnownActor;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Types that are counted each by itself; what comes later is counted together, for anybody can invent types.
const MOST_KINDS: i64 = 200;
/// Reports of one sender that are kept.
const MOST_REPORTS: i64 = 100;

impl Store {
    /// What was reported to the owner of an account, latest first, at most `limit`.
    pub async fn list_reports(&self, account: AccountId, limit: i64) -> Result<Vec<Report>, Error> {
        let rows: Vec<(remote::Row, Vec<String>, String, DateTime<Utc>)> = reports::table
            .inner_join(remote_actors::table)
            .filter(reports::account_id.eq(account.0))
            .order(reports::id.desc())
            .limit(limit)
            .select((remote::Row::as_select(), reports::objects, reports::content, reports::created_at))
            .load(&mut self.connection().await?)
            .await?;
        let report =
            |(from, objects, content, at)| Ok(Report { from: KnownActor::try_from(from)?, objects, content, at });
        rows.into_iter().map(report).collect()
    }

    /// How many activities came that we know nothing of, by type, most first.
    pub async fn list_unknown_activities(&self) -> Result<Vec<(String, i64)>, Error> {
        let rows = unknown_activities::table
            .order((unknown_activities::total.desc(), unknown_activities::kind))
            .select((unknown_activities::kind, unknown_activities::total));
        Ok(rows.load(&mut self.connection().await?).await?)
    }
}

pub(super) async fn insert(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    actor: RemoteActorId,
    objects: &[String],
    content: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let sent: i64 = reports::table.filter(reports::actor_id.eq(actor.0)).count().get_result(connection).await?;
    if sent >= MOST_REPORTS {
        return Ok(());
    }
    let values = (
        reports::account_id.eq(account.0),
        reports::actor_id.eq(actor.0),
        reports::objects.eq(objects),
        reports::content.eq(content),
        reports::created_at.eq(now),
    );
    diesel::insert_into(reports::table).values(values).execute(connection).await?;
    Ok(())
}

pub(super) async fn count_unknown(
    connection: &mut AsyncPgConnection,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    diesel::sql_query(
        "INSERT INTO unknown_activities (kind, total, last_at) SELECT CASE WHEN EXISTS (SELECT FROM unknown_activities WHERE kind = $1) \
            OR (SELECT count(*) FROM unknown_activities) < $2 THEN $1 ELSE '(other)' END, 1, $3 \
        ON CONFLICT (kind) DO UPDATE SET total = unknown_activities.total + 1, last_at = excluded.last_at",
    )
    .bind::<Text, _>(kind)
    .bind::<BigInt, _>(MOST_KINDS)
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    Ok(())
}
