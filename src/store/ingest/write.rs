//! Writes a batch: posts, sources, attachments, and the conversations that they open or join.

use super::decide::{Decision, Existing, decide};
use super::{Stored, find};
use crate::domain::ids::{AccountId, ContextId, ImportId, PostId};
use crate::domain::post::{Kept, MediaFile, NewPost};
use crate::domain::snowflake;
use crate::store::imports::revisions;
use crate::store::schema::{attachments, contexts, post_sources, posts};
use crate::store::{Error, accounts, changes, media as media_rows};
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::{HashMap, HashSet};

/// Rows in one statement whose values stand one by one: Postgres takes 65,535 values.
const ROWS: usize = 4000;

/// [`write`] as one opaque future: the compiler cannot prove by itself that its many borrows may cross threads.
pub(super) fn boxed<'a>(
    connection: &'a mut AsyncPgConnection,
    account: AccountId,
    batch: &'a [NewPost],
    import: Option<ImportId>,
    now: DateTime<Utc>,
) -> BoxFuture<'a, Result<Stored, Error>> {
    write(connection, account, batch, import, now).boxed()
}

async fn write(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    batch: &[NewPost],
    import: Option<ImportId>,
    now: DateTime<Utc>,
) -> Result<Stored, Error> {
    let mut standing = find::find_standing(connection, account, batch).await?;
    let mut taken = find::find_taken(connection, account, batch).await?;
    let at_risk = import.map(|import| (import, find::list_at_risk(batch, &standing)));
    let earlier = match &at_risk {
        Some((import, at_risk)) => revisions::take(connection, *import, at_risk).await?,
        None => Vec::new(),
    };
    let mut stored = Stored::default();
    let mut created: Vec<(&NewPost, PostId, ContextId)> = Vec::new();
    let mut attached: Vec<(&NewPost, PostId, Files)> = Vec::new();
    for new in batch {
        let existing = standing.get(&new.key.0).cloned();
        let kept = match (decide(existing.as_ref(), new), existing) {
            (Decision::Replace { edited }, Some(existing)) => {
                let earlier = replace(connection, &existing, new, edited, now).await?;
                attached.extend(earlier.map(|files| (new, existing.id, files)));
                Kept::Updated(existing.id)
            }
            (Decision::Fill, Some(existing)) => {
                let brings_files = existing.files == 0 && has_files(new);
                if brings_files {
                    let empty = attachments::table.filter(attachments::post_id.eq(existing.id.0));
                    diesel::delete(empty).execute(connection).await?;
                    attached.push((new, existing.id, Files::new()));
                }
                if fill(connection, &existing, new, brings_files, now).await? {
                    Kept::Updated(existing.id)
                } else {
                    Kept::Unchanged(existing.id)
                }
            }
            (Decision::Keep, Some(existing)) => Kept::Unchanged(existing.id),
            (Decision::Refuse(since), Some(existing)) => Kept::Refused(format!(
                "it was withdrawn on {}, and servers that saw it go do not take it again; `everpost post restore {}` lets the next import bring it back",
                since.format("%Y-%m-%d"),
                existing.id
            )),
            _ => {
                let id = free_id(connection, new, &mut taken).await?;
                let parent = new.reply_to.as_ref().and_then(|key| standing.get(&key.0));
                let context = parent.map_or(ContextId(id.0), |parent| parent.context);
                created.push((new, id, context));
                attached.push((new, id, Files::new()));
                let to_others = new.reply_to.is_some() && parent.is_none_or(|parent| parent.to_others);
                let existing =
                    Existing { id, context, to_others, withdrawn: None, awaited: false, source: None, files: 0 };
                standing.insert(new.key.0.clone(), existing);
                Kept::Created(id)
            }
        };
        stored.kept.push(kept);
    }
    insert_posts(connection, account, &created, &standing, import, now).await?;
    insert_attachments(connection, &attached, now).await?;
    if let Some(import) = import {
        let updated = |kept: &Kept| if let Kept::Updated(id) = kept { Some(id.0) } else { None };
        let updated: Vec<i64> = stored.kept.iter().filter_map(updated).collect();
        revisions::keep(connection, import, earlier, &updated).await?;
    }
    adopt_orphans(connection, account, &created, now).await?;
    if stored.kept.iter().any(|kept| matches!(kept, Kept::Created(_) | Kept::Updated(_))) {
        accounts::touch(connection, account, now).await?;
        changes::tell(connection).await?;
    }
    Ok(stored)
}

/// The preferred number, or the next free one from the minted one on.
async fn free_id(connection: &mut AsyncPgConnection, new: &NewPost, taken: &mut HashSet<i64>) -> Result<PostId, Error> {
    let mut id = new.preferred_id.0;
    if !taken.insert(id) {
        let hash = openssl::sha::sha256(new.key.0.as_bytes());
        id = snowflake::mint(new.published, u16::from_be_bytes([hash[0], hash[1]]));
        while taken.contains(&id) || is_taken(connection, id).await? {
            id += 1;
        }
        taken.insert(id);
    }
    Ok(PostId(id))
}

async fn is_taken(connection: &mut AsyncPgConnection, id: i64) -> Result<bool, Error> {
    Ok(diesel::select(exists(posts::table.find(id))).get_result(connection).await?)
}

/// Write new posts, and their conversations and sources: each column as one array, which Postgres takes apart. That costs
/// a fraction of as many values, and knows no limit of their number.
async fn insert_posts(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    created: &[(&NewPost, PostId, ContextId)],
    standing: &HashMap<String, Existing>,
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
        columns.to_others.push(standing.get(&new.key.0).is_some_and(|post| post.to_others));
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
         date_origin, content_html, warning, sensitive, language, tags) \
         SELECT $21, $1, $2, $2, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r::text[] \
         FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
         AS new (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r)",
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

/// The columns that a source's text fills, on insert and on update alike.
type Content<'a> = (
    diesel::dsl::Eq<posts::source_object_id, &'a Option<String>>,
    diesel::dsl::Eq<posts::source_object_id_stated, bool>,
    diesel::dsl::Eq<posts::canonical_url, &'a Option<String>>,
    diesel::dsl::Eq<posts::visibility, &'static str>,
    diesel::dsl::Eq<posts::date_origin, &'static str>,
    diesel::dsl::Eq<posts::content_html, &'a str>,
    diesel::dsl::Eq<posts::warning, &'a Option<String>>,
    diesel::dsl::Eq<posts::sensitive, bool>,
    diesel::dsl::Eq<posts::language, &'a Option<String>>,
    diesel::dsl::Eq<posts::tags, &'a Vec<String>>,
);

fn content(new: &NewPost) -> Content<'_> {
    (
        posts::source_object_id.eq(&new.object_id),
        posts::source_object_id_stated.eq(new.object_id_stated),
        posts::canonical_url.eq(&new.canonical_url),
        posts::visibility.eq(new.visibility.name()),
        posts::date_origin.eq(new.date_origin.name()),
        posts::content_html.eq(new.content.as_str()),
        posts::warning.eq(&new.warning),
        posts::sensitive.eq(new.sensitive),
        posts::language.eq(&new.language),
        posts::tags.eq(&new.tags),
    )
}

type Source<'a> = (
    diesel::dsl::Eq<post_sources::post_id, i64>,
    diesel::dsl::Eq<post_sources::format, &'static str>,
    diesel::dsl::Eq<post_sources::reader_version, i32>,
    diesel::dsl::Eq<post_sources::sha256, Vec<u8>>,
    diesel::dsl::Eq<post_sources::bytes, &'a Vec<u8>>,
);

fn source(new: &NewPost, id: PostId) -> Source<'_> {
    (
        post_sources::post_id.eq(id.0),
        post_sources::format.eq(new.format.name()),
        post_sources::reader_version.eq(new.reader_version),
        post_sources::sha256.eq(new.source_sha256.to_vec()),
        post_sources::bytes.eq(&new.source_bytes),
    )
}

/// The files that a post had, each with what the source called it.
type Files = Vec<(String, String)>;

/// Whether any of a post's media is there.
fn has_files(new: &NewPost) -> bool {
    new.attachments.iter().any(|attachment| attachment.file.is_some())
}

/// A post over what stands, with what that knows and its own format does not tell: another format's content warning,
/// and all else that a poorer format filled.
async fn merged(connection: &mut AsyncPgConnection, existing: &Existing, new: &NewPost) -> Result<NewPost, Error> {
    type Row = (Option<String>, bool, Option<String>, (Option<String>, bool), Option<String>, Vec<String>);
    let (warning, sensitive, canonical_url, object, language, tags): Row = posts::table
        .find(existing.id.0)
        .select((
            posts::warning,
            posts::sensitive,
            posts::canonical_url,
            (posts::source_object_id, posts::source_object_id_stated),
            posts::language,
            posts::tags,
        ))
        .first(connection)
        .await?;
    let mut merged = new.clone();
    if new.warning.is_none() {
        merged.sensitive |= sensitive && warning.is_some();
        merged.warning = warning;
    }
    if existing.is_of_other_format(new) {
        merged.canonical_url = merged.canonical_url.or(canonical_url);
        if merged.object_id.is_none() {
            (merged.object_id, merged.object_id_stated) = object;
        }
        merged.language = merged.language.or(language);
        if merged.tags.is_empty() {
            merged.tags = tags;
        }
    }
    Ok(merged)
}

/// Write a post over what stands. Its number stays; its date stays too once another server has seen it.
/// Gives back the files that it had; `None` if it keeps them, because it comes from another format without any.
async fn replace(
    connection: &mut AsyncPgConnection,
    existing: &Existing,
    new: &NewPost,
    edited: bool,
    now: DateTime<Utc>,
) -> Result<Option<Files>, Error> {
    let row = posts::table.find(existing.id.0);
    let other = existing.is_of_other_format(new);
    let whole;
    let new = if other || (new.warning.is_none() && !new.format.tells_warnings()) {
        whole = merged(connection, existing, new).await?;
        &whole
    } else {
        new
    };
    let (published, exposed): (DateTime<Utc>, Option<DateTime<Utc>>) =
        row.select((posts::published_at, posts::exposed_at)).for_update().first(connection).await?;
    let published = if exposed.is_some() { published } else { new.published };
    let stated = new.edited.filter(|at| *at > published);
    diesel::update(row)
        .set((
            content(new),
            posts::published_at.eq(published),
            posts::withdrawn_at.eq(None::<DateTime<Utc>>),
            posts::awaited.eq(false),
            posts::changed_at.eq(now),
        ))
        .execute(connection)
        .await?;
    if edited || stated.is_some() {
        diesel::update(row).set(posts::updated_at.eq(stated.unwrap_or(now))).execute(connection).await?;
    }
    diesel::delete(post_sources::table.find(existing.id.0)).execute(connection).await?;
    diesel::insert_into(post_sources::table).values(source(new, existing.id)).execute(connection).await?;
    if other && existing.files > 0 && !has_files(new) {
        return Ok(None);
    }
    let dropped: Vec<(String, Option<String>)> =
        diesel::delete(attachments::table.filter(attachments::post_id.eq(existing.id.0)))
            .returning((attachments::source_url, attachments::media_sha256))
            .get_results(connection)
            .await?;
    Ok(Some(dropped.into_iter().filter_map(|(source_url, file)| Some((source_url, file?))).collect()))
}

/// Let a poorer format fill what is empty; whether it filled anything.
async fn fill(
    connection: &mut AsyncPgConnection,
    existing: &Existing,
    new: &NewPost,
    brings_files: bool,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let row = posts::table.find(existing.id.0);
    let mut filled = usize::from(brings_files);
    macro_rules! fill_empty {
        ($column:ident, $value:expr) => {
            if let Some(value) = $value {
                let empty = posts::table.filter(posts::id.eq(existing.id.0).and(posts::$column.is_null()));
                filled += diesel::update(empty).set(posts::$column.eq(value)).execute(connection).await?;
            }
        };
    }
    fill_empty!(canonical_url, &new.canonical_url);
    fill_empty!(source_object_id, &new.object_id);
    if let Some(warning) = &new.warning {
        let empty = posts::table.filter(posts::id.eq(existing.id.0).and(posts::warning.is_null()));
        let sensitive = posts::sensitive.eq(posts::sensitive.or(new.sensitive.into_sql::<diesel::sql_types::Bool>()));
        filled += diesel::update(empty).set((posts::warning.eq(warning), sensitive)).execute(connection).await?;
    }
    if !new.tags.is_empty() {
        let none: Vec<String> = Vec::new();
        let empty = posts::table.filter(posts::id.eq(existing.id.0).and(posts::tags.eq(none)));
        filled += diesel::update(empty).set(posts::tags.eq(&new.tags)).execute(connection).await?;
    }
    fill_empty!(language, &new.language);
    if filled > 0 {
        diesel::update(row).set(posts::changed_at.eq(now)).execute(connection).await?;
    }
    Ok(filled > 0)
}

/// Store attachments. One whose file is missing in the archive keeps the file that came with it earlier.
async fn insert_attachments(
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

/// Posts that came before what they answer are joined to it now, their conversations too.
async fn adopt_orphans(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    created: &[(&NewPost, PostId, ContextId)],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let keys: Vec<&str> = created.iter().map(|(new, _, _)| new.key.0.as_str()).collect();
    for (orphan, key) in find::list_orphans(connection, account, &keys).await? {
        let parent: (i64, i64, bool) = posts::table
            .filter(posts::account_id.eq(account.0).and(posts::source_key.eq(&key)))
            .select((posts::id, posts::context_id, posts::to_others))
            .first(connection)
            .await?;
        if parent.0 == orphan {
            continue;
        }
        let old: i64 = posts::table.find(orphan).select(posts::context_id).first(connection).await?;
        let link = (posts::reply_to_id.eq(parent.0), posts::changed_at.eq(now));
        diesel::update(posts::table.find(orphan)).set(link).execute(connection).await?;
        if old != parent.1 {
            // Its URL was seen: it answers even when what was merged is taken apart again.
            let seen = posts::table.filter(posts::context_id.eq(old).and(posts::exposed_at.is_not_null()));
            let known = contexts::table.filter(contexts::id.eq(old).and(exists(seen)));
            diesel::update(known).set(contexts::kept.eq(true)).execute(connection).await?;
            let members = posts::table.filter(posts::context_id.eq(old));
            diesel::update(members)
                .set((posts::context_id.eq(parent.1), posts::to_others.eq(parent.2), posts::changed_at.eq(now)))
                .execute(connection)
                .await?;
            let merged = contexts::table.filter(contexts::id.eq(old).or(contexts::merged_into.eq(old)));
            diesel::update(merged).set(contexts::merged_into.eq(parent.1)).execute(connection).await?;
        }
    }
    Ok(())
}
