//! Conversations when posts leave them: what answered a post that is gone is again what it was without it.
//!
//! A conversation has the number of the first post in it that is here. Joining them is done in `ingest/write.rs`.

use super::listing::{Relisted, relist};
use super::schema::{contexts, posts};
use super::{Error, accounts};
use crate::domain::ids::AccountId;
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// A post whose conversation is another one now.
#[derive(QueryableByName)]
struct Moved {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = Bool)]
    orphan: bool,
    #[diesel(sql_type = BigInt)]
    left: i64,
    #[diesel(sql_type = Bool)]
    seen: bool,
}

/// Delete posts that no other server has seen, with all that hangs on them, and put the conversations in order.
pub(super) async fn delete(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    ids: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let left: Vec<i64> =
        posts::table.filter(posts::id.eq_any(ids)).select(posts::context_id).distinct().load(connection).await?;
    diesel::delete(posts::table.filter(posts::id.eq_any(ids))).execute(connection).await?;
    let moved = list_moved(connection, &left).await?;
    part(connection, account, &moved, now).await?;
    sweep(connection, &left).await
}

/// Posts of these conversations that are in the wrong one, by the first post above each.
async fn list_moved(connection: &mut AsyncPgConnection, contexts: &[i64]) -> Result<Vec<Moved>, Error> {
    let moved = diesel::sql_query(
        "WITH RECURSIVE thread (id, first, orphan) AS (\
         SELECT id, id, reply_to_key IS NOT NULL FROM posts WHERE context_id = ANY($1) AND reply_to_id IS NULL \
         UNION ALL SELECT p.id, t.first, t.orphan FROM thread t JOIN posts p ON p.reply_to_id = t.id) \
         SELECT p.id, t.first, t.orphan, p.context_id AS left, p.exposed_at IS NOT NULL AS seen \
         FROM thread t JOIN posts p ON p.id = t.id WHERE p.context_id <> t.first OR p.to_others <> t.orphan",
    );
    Ok(moved.bind::<Array<BigInt>, _>(contexts).load(connection).await?)
}

/// Give each thread its own conversation. The one that it leaves goes on answering if anybody saw it there.
async fn part(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    moved: &[Moved],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if moved.is_empty() {
        return Ok(());
    }
    let seen: Vec<i64> =
        moved.iter().filter(|post| post.seen && post.left != post.first).map(|post| post.left).collect();
    let seen = contexts::table.filter(contexts::id.eq_any(seen));
    diesel::update(seen).set(contexts::kept.eq(true)).execute(connection).await?;
    let column = |number: fn(&Moved) -> i64| moved.iter().map(number).collect::<Vec<_>>();
    let (ids, firsts) = (column(|post| post.id), column(|post| post.first));
    diesel::sql_query(
        "INSERT INTO contexts (id, account_id) SELECT DISTINCT a, $1 FROM unnest($2) AS new (a) ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(account.0)
    .bind::<Array<BigInt>, _>(&firsts)
    .execute(connection)
    .await?;
    diesel::sql_query(
        "UPDATE contexts c SET merged_into = nullif(m.first, c.id) FROM unnest($1, $2) AS m (id, first) WHERE c.id = m.id",
    )
    .bind::<Array<BigInt>, _>(&ids)
    .bind::<Array<BigInt>, _>(&firsts)
    .execute(connection)
    .await?;
    diesel::sql_query(
        "UPDATE posts p SET context_id = m.first, to_others = m.orphan, changed_at = $4 \
         FROM unnest($1, $2, $3) AS m (id, first, orphan) WHERE p.id = m.id",
    )
    .bind::<Array<BigInt>, _>(&ids)
    .bind::<Array<BigInt>, _>(&firsts)
    .bind::<Array<Bool>, _>(moved.iter().map(|post| post.orphan).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    let settings = accounts::settings(connection, account).await?;
    relist(connection, Relisted::Only(&ids), &settings, now).await
}

/// Delete conversations that hold nothing any more, and those that were merged into them, unless an URL of theirs was seen.
async fn sweep(connection: &mut AsyncPgConnection, ids: &[i64]) -> Result<(), Error> {
    let inside = posts::table.filter(posts::context_id.eq(contexts::id));
    let empty = not(contexts::kept).and(not(exists(inside)));
    let unopened = not(exists(posts::table.filter(posts::id.eq(contexts::id))));
    let merged = contexts::merged_into.eq_any(ids).assume_not_null().and(unopened);
    diesel::delete(contexts::table.filter(merged.and(empty))).execute(connection).await?;
    let other = diesel::alias!(contexts as other);
    let refers = other.filter(other.field(contexts::merged_into).eq(contexts::id.nullable()));
    let whole = contexts::table.filter(contexts::id.eq_any(ids).and(empty).and(not(exists(refers))));
    diesel::delete(whole).execute(connection).await?;
    Ok(())
}
