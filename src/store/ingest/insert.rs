//! Inserts new posts with their sources and conversations, and attachments.

use super::decide::Existing;
use crate::domain::ids::{AccountId, ContextId, ImportId, PostId};
use crate::domain::post::{MediaFile, NewPost};
use crate::domain::settings::Settings;
use crate::store::listing::is_listed;
use crate::store::schema::attachments;
use crate::store::{Error, details, media as media_rows};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::collections::HashMap;

/// Rows in one statement whose values stand one by one: Postgres takes 65,535 values.
const ROWS: usize = 4000;

/// The files that a post had, each with what the source called it.
pub(super) type Files = Vec<(String, String)>;

/// Write new posts, and their conversations and sources: each column as one array, which Postgres takes apart. That costs
/// a fraction of as many values, and knows no limit of their number.
pub(super) async fn insert_posts(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    created: &[(&NewPost, PostId, ContextId)],
    standing: &HashMap<String, Existing>,
    settings: &Settings,
    import: Option<ImportId>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if created.is_empty() {
        return Ok(());
    }
    let opened = created.iter().filter(|(_, id, context)| id.0 == context.0);
    diesel::sql_query(
        "INSERT INTO contexts (id, account_id) SELECT id, $1 FROM unnest($2) AS new (id) \
         ON CONFLICT (id) DO UPDATE SET merged_into = NULL",
    )
    .bind::<BigInt, _>(account.0)
    .bind::<Array<BigInt>, _>(opened.map(|(_, _, context)| context.0).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    let mut columns = Columns::default();
    for (new, id, context) in created {
        // A parent that comes later in the batch has another conversation until `adopt_orphans` joins the two.
        let parent = new.reply_to.as_ref().and_then(|key| standing.get(&key.0));
        let parent = parent.filter(|parent| parent.context == *context).map(|parent| parent.id.0);
        columns.id.push(id.0);
        columns.source_key.push(&new.key.0);
        columns.reply_to_key.push(new.reply_to.as_ref().map(|key| key.0.as_str()));
        columns.reply_to_id.push(parent.filter(|parent| *parent != id.0));
        let to_others = standing.get(&new.key.0).is_some_and(|post| post.to_others);
        columns.to_others.push(to_others);
        columns.listed.push(is_listed(new.boost_of.is_some(), to_others, settings));
        columns.details.push(details::write(&new.details));
        columns.refers_to.push(new.refers_to.as_ref().map(|key| key.0.as_str()));
        columns.boost_of.push(new.boost_of.as_deref());
        columns.context_id.push(context.0);
        columns.published_at.push(new.published);
        columns.updated_at.push(new.edited.filter(|edited| *edited > new.published));
        columns.source_object_id.push(new.object_id.as_deref());
        columns.source_object_id_stated.push(new.object_id_stated);
        columns.canonical_url.push(new.canonical_url.as_deref());
        columns.visibility.push(new.visibility.name());
        columns.date_origin.push(new.date_origin.name());
        columns.content_html.push(new.content.as_str());
        columns.warning.push(new.warning.as_deref());
        columns.sensitive.push(new.sensitive);
        columns.language.push(new.language.as_deref());
        columns.tags.push(array_literal(&new.tags));
        columns.format.push(new.format.name());
        columns.reader_version.push(new.reader_version);
        columns.sha256.push(&new.source_sha256);
        columns.bytes.push(&new.source_bytes);
    }
    diesel::sql_query(
        "INSERT INTO posts (import_id, account_id, created_at, changed_at, id, source_key, reply_to_key, reply_to_id, to_others, \
         context_id, published_at, updated_at, source_object_id, source_object_id_stated, canonical_url, visibility, \
         date_origin, content_html, warning, sensitive, language, tags, details, refers_to, boost_of, listed) \
         SELECT $25, $1, $2, $2, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r::text[], s, t, u, v \
         FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24) \
         AS new (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v)",
    )
    .bind::<BigInt, _>(account.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<BigInt>, _>(&columns.id)
    .bind::<Array<Text>, _>(&columns.source_key)
    .bind::<Array<Nullable<Text>>, _>(&columns.reply_to_key)
    .bind::<Array<Nullable<BigInt>>, _>(&columns.reply_to_id)
    .bind::<Array<Bool>, _>(&columns.to_others)
    .bind::<Array<BigInt>, _>(&columns.context_id)
    .bind::<Array<Timestamptz>, _>(&columns.published_at)
    .bind::<Array<Nullable<Timestamptz>>, _>(&columns.updated_at)
    .bind::<Array<Nullable<Text>>, _>(&columns.source_object_id)
    .bind::<Array<Bool>, _>(&columns.source_object_id_stated)
    .bind::<Array<Nullable<Text>>, _>(&columns.canonical_url)
    .bind::<Array<Text>, _>(&columns.visibility)
    .bind::<Array<Text>, _>(&columns.date_origin)
    .bind::<Array<Text>, _>(&columns.content_html)
    .bind::<Array<Nullable<Text>>, _>(&columns.warning)
    .bind::<Array<Bool>, _>(&columns.sensitive)
    .bind::<Array<Nullable<Text>>, _>(&columns.language)
    .bind::<Array<Text>, _>(&columns.tags)
    .bind::<Array<Nullable<Jsonb>>, _>(&columns.details)
    .bind::<Array<Nullable<Text>>, _>(&columns.refers_to)
    .bind::<Array<Nullable<Text>>, _>(&columns.boost_of)
    .bind::<Array<Bool>, _>(&columns.listed)
    .bind::<Nullable<BigInt>, _>(import.map(|import| import.0))
    .execute(connection)
    .await?;
    diesel::sql_query(
        "INSERT INTO post_sources (post_id, format, reader_version, sha256, bytes) SELECT * FROM unnest($1, $2, $3, $4, $5)",
    )
    .bind::<Array<BigInt>, _>(&columns.id)
    .bind::<Array<Text>, _>(&columns.format)
    .bind::<Array<Integer>, _>(&columns.reader_version)
    .bind::<Array<Binary>, _>(&columns.sha256)
    .bind::<Array<Binary>, _>(&columns.bytes)
    .execute(connection)
    .await?;
    Ok(())
}

/// New posts, column by column.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<i64>,
    source_key: Vec<&'a str>,
    reply_to_key: Vec<Option<&'a str>>,
    reply_to_id: Vec<Option<i64>>,
    to_others: Vec<bool>,
    context_id: Vec<i64>,
    published_at: Vec<DateTime<Utc>>,
    updated_at: Vec<Option<DateTime<Utc>>>,
    source_object_id: Vec<Option<&'a str>>,
    source_object_id_stated: Vec<bool>,
    canonical_url: Vec<Option<&'a str>>,
    visibility: Vec<&'static str>,
    date_origin: Vec<&'static str>,
    content_html: Vec<&'a str>,
    warning: Vec<Option<&'a str>>,
    sensitive: Vec<bool>,
    language: Vec<Option<&'a str>>,
    tags: Vec<String>,
    details: Vec<Option<Value>>,
    refers_to: Vec<Option<&'a str>>,
    boost_of: Vec<Option<&'a str>>,
    listed: Vec<bool>,
    format: Vec<&'static str>,
    reader_version: Vec<i32>,
    sha256: Vec<&'a [u8]>,
    bytes: Vec<&'a [u8]>,
}

/// Texts as the literal of a Postgres array: an array of arrays would be taken apart whole.
fn array_literal(texts: &[String]) -> String {
    let quoted = |text: &String| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    format!("{{{}}}", texts.iter().map(quoted).collect::<Vec<_>>().join(","))
}

/// Store attachments. One whose file is missing in the archive keeps the file that came with it earlier.
pub(super) async fn insert_attachments(
    connection: &mut AsyncPgConnection,
    posts: &[(&NewPost, PostId, Files)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let attached = posts.iter().flat_map(|(new, _, _)| &new.attachments);
    let mut files: Vec<&MediaFile> = attached.filter_map(|attachment| attachment.file.as_ref()).collect();
    // In one order everywhere, so that two imports cannot wait for each other.
    files.sort_by(|a, b| a.sha256.cmp(&b.sha256));
    for files in files.chunks(ROWS) {
        media_rows::insert(connection, files.to_vec(), now).await?;
    }
    let mut rows = Vec::new();
    for (new, id, earlier) in posts {
        for (at, attachment) in new.attachments.iter().enumerate() {
            let kept = || earlier.iter().find(|(name, _)| *name == attachment.source_url).map(|(_, sha256)| sha256);
            rows.push((
                attachments::post_id.eq(id.0),
                attachments::position.eq(i16::try_from(at).unwrap_or(i16::MAX)),
                attachments::kind.eq(attachment.kind.name()),
                attachments::media_sha256.eq(attachment.file.as_ref().map(|file| &file.sha256).or_else(kept)),
                attachments::alt.eq(&attachment.alt),
                attachments::source_url.eq(&attachment.source_url),
                attachments::told.eq(details::write_told(&attachment.told)),
            ));
        }
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        diesel::insert_into(attachments::table).values(rows).execute(connection).await?;
        rows = rest;
    }
    Ok(())
}
