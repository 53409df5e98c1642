//! Finds what stands under the keys of a batch.
//!
//! Keys are looked up one by one in their index, said so that Postgres has no other choice: as a list of a thousand it
//! reads all posts of the account instead, as long as it has no statistics, and that is throughout a first import.

use super::decide::{Decision, Existing, decide};
use crate::domain::ids::{AccountId, ContextId, PostId};
use crate::domain::post::NewPost;
use crate::store::Error;
use crate::store::schema::{attachments, post_sources, posts};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::{HashMap, HashSet};

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

#[derive(QueryableByName)]
struct Orphan {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    key: String,
}

/// The numbers of the posts that stand under these keys, in any order.
pub(in crate::store) async fn list_ids(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    keys: &[&str],
) -> Result<Vec<i64>, Error> {
    let ids = diesel::sql_query(
        "SELECT found.id FROM unnest($1) AS wanted (key) CROSS JOIN LATERAL \
         (SELECT id FROM posts WHERE account_id = $2 AND source_key = wanted.key LIMIT 1) AS found",
    );
    let ids: Vec<Id> = ids.bind::<Array<Text>, _>(keys).bind::<BigInt, _>(account.0).load(connection).await?;
    Ok(ids.into_iter().map(|row| row.id).collect())
}

/// Posts that answer one of these keys and do not know it yet, each with that key.
pub(super) async fn list_orphans(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    keys: &[&str],
) -> Result<Vec<(i64, String)>, Error> {
    let orphans = diesel::sql_query(
        "SELECT found.id, wanted.key FROM unnest($1) AS wanted (key) CROSS JOIN LATERAL \
         (SELECT id FROM posts WHERE account_id = $2 AND reply_to_key = wanted.key AND reply_to_id IS NULL OFFSET 0) \
         AS found ORDER BY found.id",
    );
    let orphans: Vec<Orphan> =
        orphans.bind::<Array<Text>, _>(keys).bind::<BigInt, _>(account.0).load(connection).await?;
    Ok(orphans.into_iter().map(|row| (row.id, row.key)).collect())
}

/// What stands under the batch's own keys and under the keys that it answers.
pub(super) async fn find_standing(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    batch: &[NewPost],
) -> Result<HashMap<String, Existing>, Error> {
    type Row = (String, i64, (i64, bool), Option<DateTime<Utc>>, bool, Option<(String, i32, Vec<u8>)>, Option<i64>);
    // Until the batch is written nobody withdraws what it is about to write over.
    let own: Vec<&str> = batch.iter().map(|new| new.key.0.as_str()).collect();
    let locked = posts::table.filter(posts::id.eq_any(list_ids(connection, account, &own).await?));
    locked.select(posts::id).order(posts::id).for_update().load::<i64>(connection).await?;
    let mut keys: Vec<&str> = batch
        .iter()
        .flat_map(|new| [Some(&new.key), new.reply_to.as_ref()])
        .flatten()
        .map(|key| key.0.as_str())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    let ids = list_ids(connection, account, &keys).await?;
    let source = (post_sources::format, post_sources::reader_version, post_sources::sha256);
    let files = attachments::table
        .filter(attachments::post_id.eq(posts::id).and(attachments::media_sha256.is_not_null()))
        .count();
    let rows: Vec<Row> = posts::table
        .left_join(post_sources::table)
        .filter(posts::id.eq_any(ids))
        .select((
            posts::source_key,
            posts::id,
            (posts::context_id, posts::to_others),
            posts::withdrawn_at,
            posts::awaited,
            source.nullable(),
            files.single_value(),
        ))
        .load(connection)
        .await?;
    let existing = |(key, id, (context, to_others), withdrawn, awaited, source, files): Row| {
        let (id, context, files) = (PostId(id), ContextId(context), files.unwrap_or_default());
        (key, Existing { id, context, to_others, withdrawn, awaited, source, files })
    };
    Ok(rows.into_iter().map(existing).collect())
}

/// Which of the numbers that the batch would like are in use anywhere on the server. The number of another account's
/// conversation is, also where the post that opened it is gone.
pub(super) async fn find_taken(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    batch: &[NewPost],
) -> Result<HashSet<i64>, Error> {
    let wanted: Vec<i64> = batch.iter().map(|new| new.preferred_id.0).collect();
    let taken = diesel::sql_query(
        "SELECT id FROM posts WHERE id = ANY($1) \
         UNION ALL SELECT id FROM contexts WHERE kept AND id = ANY($1) AND account_id <> $2",
    );
    let taken: Vec<Id> = taken.bind::<Array<BigInt>, _>(wanted).bind::<BigInt, _>(account.0).load(connection).await?;
    Ok(taken.into_iter().map(|row| row.id).collect())
}

/// The posts that a batch may write over.
pub(super) fn list_at_risk(batch: &[NewPost], standing: &HashMap<String, Existing>) -> Vec<i64> {
    let standing = batch.iter().filter_map(|new| Some((new, standing.get(&new.key.0)?)));
    let writes = |new: &NewPost, existing: &Existing| {
        matches!(decide(Some(existing), new), Decision::Replace { .. } | Decision::Fill)
    };
    standing.filter(|(new, existing)| writes(new, existing)).map(|(_, existing)| existing.id.0).collect()
}
