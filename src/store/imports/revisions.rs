//! Posts as they stood before an import wrote over them: kept whole by Postgres itself, and brought back.
//!
//! No column is named here but those that may not go back, so a new column is kept without a change to this file.

use crate::domain::ids::{AccountId, ImportId};
use crate::store::listing::{Relisted, relist};
use crate::store::{Error, accounts};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// Columns of `posts` that never go back: what makes it this post, where it stands in its conversation (that is kept in
/// order as posts come and go), and what became of it since.
const STAYS: [&str; 11] = [
    "id",
    "account_id",
    "source_key",
    "reply_to_key",
    "reply_to_id",
    "to_others",
    "listed",
    "context_id",
    "created_at",
    "exposed_at",
    "import_id",
];
/// Columns of `posts` for which [`restore`] has a rule of its own.
const RULED: [&str; 5] = ["published_at", "updated_at", "changed_at", "withdrawn_at", "touched_by"];

/// A post as it stands: its rows as JSON, and its source's bytes.
#[derive(QueryableByName)]
pub(in crate::store) struct Revision {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    post: String,
    #[diesel(sql_type = Text)]
    attachments: String,
    #[diesel(sql_type = Nullable<Text>)]
    source: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    source_bytes: Option<Vec<u8>>,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Posts as they stand, but for those that the import itself made: what undoing it does to them needs no earlier state.
pub(in crate::store) async fn take(
    connection: &mut AsyncPgConnection,
    import: ImportId,
    posts: &[i64],
) -> Result<Vec<Revision>, Error> {
    if posts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = diesel::sql_query(
        "SELECT p.id, to_jsonb(p)::text AS post, (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.position), '[]') \
         FROM attachments a WHERE a.post_id = p.id)::text AS attachments, (to_jsonb(s) - 'bytes')::text AS source, \
         s.bytes AS source_bytes FROM posts p LEFT JOIN post_sources s ON s.post_id = p.id \
         WHERE p.id = ANY($1) AND p.import_id IS DISTINCT FROM $2",
    );
    Ok(rows.bind::<Array<BigInt>, _>(posts).bind::<BigInt, _>(import.0).load(connection).await?)
}

/// Keep revisions of the posts that an import wrote over, and note on these that it did. Of several writes by one import
/// the first one counts.
pub(in crate::store) async fn keep(
    connection: &mut AsyncPgConnection,
    import: ImportId,
    mut taken: Vec<Revision>,
    written: &[i64],
) -> Result<(), Error> {
    if written.is_empty() {
        return Ok(());
    }
    let touched = diesel::sql_query("UPDATE posts SET touched_by = $1 WHERE id = ANY($2)");
    touched.bind::<BigInt, _>(import.0).bind::<Array<BigInt>, _>(written).execute(connection).await?;
    taken.retain(|revision| written.contains(&revision.id));
    if taken.is_empty() {
        return Ok(());
    }
    let column = |text: fn(&Revision) -> Option<&str>| taken.iter().map(text).collect::<Vec<_>>();
    diesel::sql_query(
        "INSERT INTO post_revisions (import_id, post_id, post, attachments, source, source_bytes) \
         SELECT $1, a, b::jsonb, c::jsonb, d::jsonb, e FROM unnest($2, $3, $4, $5, $6) AS new (a, b, c, d, e) \
         ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(import.0)
    .bind::<Array<BigInt>, _>(taken.iter().map(|revision| revision.id).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(column(|revision| Some(&revision.post)))
    .bind::<Array<Nullable<Text>>, _>(column(|revision| Some(&revision.attachments)))
    .bind::<Array<Nullable<Text>>, _>(column(|revision| revision.source.as_deref()))
    .bind::<Array<Nullable<Binary>>, _>(taken.iter().map(|revision| &revision.source_bytes).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    diesel::sql_query(
        "INSERT INTO revision_media (import_id, post_id, media_sha256) \
         SELECT DISTINCT r.import_id, r.post_id, a ->> 'media_sha256' \
         FROM post_revisions r CROSS JOIN LATERAL jsonb_array_elements(r.attachments) AS a \
         WHERE r.import_id = $1 AND r.post_id = ANY($2) AND a ->> 'media_sha256' IS NOT NULL ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(import.0)
    .bind::<Array<BigInt>, _>(taken.iter().map(|revision| revision.id).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Make posts again what they were before an import wrote over them, and let go of these revisions.
///
/// What another server has seen keeps its date. Words that change back are an edit: `updated` becomes `now`, and
/// never goes backwards. A post that had been withdrawn before the import is withdrawn again.
pub(super) async fn restore(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    import: ImportId,
    posts: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let columns = columns(connection, "posts").await?;
    let goes_back = |name: &&String| !STAYS.contains(&name.as_str()) && !RULED.contains(&name.as_str());
    let assigned: Vec<String> = columns.iter().filter(goes_back).map(|name| format!("{name} = b.{name}")).collect();
    // What an author writes of a file: all but its number and what we found out about it.
    let written =
        |rows: &str| format!("(SELECT jsonb_agg(e - 'id' - 'media_sha256' ORDER BY (e ->> 'position')::int) {rows})");
    let now_written = written("FROM (SELECT to_jsonb(a) AS e FROM attachments a WHERE a.post_id = p.id) AS standing");
    let then_written = written("FROM jsonb_array_elements(r.attachments) AS e");
    let update = format!(
        "UPDATE posts p SET {}, changed_at = $3, \
         published_at = CASE WHEN p.exposed_at IS NULL THEN b.published_at ELSE p.published_at END, \
         updated_at = CASE WHEN p.exposed_at IS NULL OR b.withdrawn_at IS NOT NULL THEN b.updated_at \
         WHEN (p.content_html, p.warning, {now_written}) IS DISTINCT FROM (b.content_html, b.warning, {then_written}) \
         THEN greatest($3, p.updated_at) ELSE p.updated_at END, \
         withdrawn_at = CASE WHEN b.withdrawn_at IS NOT NULL AND p.exposed_at IS NOT NULL THEN $3 ELSE b.withdrawn_at END, \
         touched_by = (SELECT max(import_id) FROM post_revisions WHERE post_id = p.id AND import_id < $1) \
         FROM post_revisions r JOIN posts q ON q.id = r.post_id CROSS JOIN LATERAL jsonb_populate_record(q, r.post) AS b \
         WHERE r.import_id = $1 AND r.post_id = ANY($2) AND p.id = r.post_id",
        assigned.join(", ")
    );
    diesel::sql_query(update)
        .bind::<BigInt, _>(import.0)
        .bind::<Array<BigInt>, _>(posts)
        .bind::<Timestamptz, _>(now)
        .execute(connection)
        .await?;
    // A post can have been a boost before, or the other way round.
    let settings = accounts::settings(connection, account).await?;
    relist(connection, Relisted::Only(posts), &settings, now).await?;
    for table in ["attachments", "post_sources"] {
        let delete = diesel::sql_query(format!("DELETE FROM {table} WHERE post_id = ANY($1)"));
        delete.bind::<Array<BigInt>, _>(posts).execute(connection).await?;
    }
    let names = columns_but(connection, "attachments", "id").await?;
    let attachments = format!(
        "INSERT INTO attachments ({names}) SELECT b.* FROM post_revisions r CROSS JOIN LATERAL \
         (SELECT {names} FROM jsonb_populate_recordset(NULL::attachments, r.attachments)) AS b \
         WHERE r.import_id = $1 AND r.post_id = ANY($2)"
    );
    let names = columns_but(connection, "post_sources", "").await?;
    let sources = format!(
        "INSERT INTO post_sources ({names}) SELECT b.* FROM post_revisions r CROSS JOIN LATERAL \
         (SELECT {names} FROM jsonb_populate_record(NULL::post_sources, r.source || jsonb_build_object('bytes', r.source_bytes))) \
         AS b WHERE r.import_id = $1 AND r.post_id = ANY($2) AND r.source IS NOT NULL"
    );
    let forget = "DELETE FROM post_revisions WHERE import_id = $1 AND post_id = ANY($2)".to_owned();
    for statement in [attachments, sources, forget] {
        let statement = diesel::sql_query(statement).bind::<BigInt, _>(import.0);
        statement.bind::<Array<BigInt>, _>(posts).execute(connection).await?;
    }
    Ok(())
}

/// The columns of a table, but for one, as a list.
async fn columns_but(connection: &mut AsyncPgConnection, table: &str, but: &str) -> Result<String, Error> {
    let mut names = columns(connection, table).await?;
    names.retain(|name| name != but);
    Ok(names.join(", "))
}

/// The columns of a table, in order. Their names are those of our migrations.
async fn columns(connection: &mut AsyncPgConnection, table: &str) -> Result<Vec<String>, Error> {
    let names = diesel::sql_query(
        "SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 \
         AND NOT attisdropped AND attgenerated = '' ORDER BY attnum",
    );
    let names: Vec<Name> = names.bind::<Text, _>(table).load(connection).await?;
    Ok(names.into_iter().map(|row| row.name).collect())
}
