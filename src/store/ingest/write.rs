//! Writes a batch: what is new, over what stands, and the conversations that posts open or join. New rows: `insert.rs`.

use super::decide::{Decision, Existing, decide};
use super::insert::{Files, insert_attachments, insert_posts};
use super::{Stored, find};
use crate::domain::details::Details;
use crate::domain::ids::{AccountId, ContextId, ImportId, PostId};
use crate::domain::post::{Kept, NewPost};
use crate::domain::settings::Settings;
use crate::domain::snowflake;
use crate::domain::source::SourceKey;
use crate::store::announcements::{self, OfBatch, OfPost};
use crate::store::imports::revisions;
use crate::store::listing::is_listed;
use crate::store::schema::{attachments, contexts, post_sources, posts};
use crate::store::{Error, accounts, changes, details, posts as post_rows};
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use std::collections::HashSet;

/// [`write`] as one opaque future: the compiler cannot prove by itself that its many borrows may cross threads.
pub(super) fn boxed<'a>(
    connection: &'a mut AsyncPgConnection,
    account: AccountId,
    batch: &'a [NewPost],
    import: Option<ImportId>,
    told: Option<OfBatch<'a>>,
    now: DateTime<Utc>,
) -> BoxFuture<'a, Result<Stored, Error>> {
    write(connection, account, batch, import, told, now).boxed()
}

async fn write(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    batch: &[NewPost],
    import: Option<ImportId>,
    told: Option<OfBatch<'_>>,
    now: DateTime<Utc>,
) -> Result<Stored, Error> {
    accounts::lock_writing(connection, account).await?;
    let mut standing = find::find_standing(connection, account, batch).await?;
    let mut taken = find::find_taken(connection, account, batch).await?;
    let at_risk = import.map(|import| (import, find::list_at_risk(batch, &standing)));
    let earlier = match &at_risk {
        Some((import, at_risk)) => revisions::take(connection, *import, at_risk).await?,
        None => Vec::new(),
    };
    let settings = accounts::settings(connection, account).await?;
    let mut stored = Stored::default();
    let mut created: Vec<(&NewPost, PostId, ContextId)> = Vec::new();
    let mut attached: Vec<(&NewPost, PostId, Files)> = Vec::new();
    let mut edits: Vec<PostId> = Vec::new();
    for new in batch {
        let existing = standing.get(&new.key.0).cloned();
        let kept = match (decide(existing.as_ref(), new), existing) {
            (Decision::Replace { edited }, Some(existing)) => {
                let (earlier, is_news) = replace(connection, &existing, new, edited, &settings, now).await?;
                attached.extend(earlier.map(|files| (new, existing.id, files)));
                edits.extend(is_news.then_some(existing.id));
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
    insert_posts(connection, account, &created, &standing, &settings, import, now).await?;
    insert_attachments(connection, &attached, now).await?;
    if let Some(import) = import {
        let updated = |kept: &Kept| if let Kept::Updated(id) = kept { Some(id.0) } else { None };
        let updated: Vec<i64> = stored.kept.iter().filter_map(updated).collect();
        revisions::keep(connection, import, earlier, &updated).await?;
    }
    adopt_orphans(connection, account, &created, &settings, now).await?;
    if let Some(told) = told {
        let young = created.iter().filter(|(new, ..)| new.published > told.since);
        let young: Vec<PostId> = young.map(|(_, id, _)| *id).collect();
        announce_posts(connection, account, &young, told.created, now).await?;
        announce_posts(connection, account, &edits, told.edited, now).await?;
    }
    if stored.kept.iter().any(|kept| matches!(kept, Kept::Created(_) | Kept::Updated(_))) {
        accounts::touch(connection, account, now).await?;
        changes::tell(connection).await?;
    }
    Ok(stored)
}

/// Tell followers of posts, as many as may be told at once: the newest, in the order of their dates. The others are here, or
/// have their new text, all the same, for who fetches them.
async fn announce_posts(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    ids: &[PostId],
    told: OfPost<'_>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let left = announcements::posts_left(connection, account, now).await?;
    if left == 0 {
        return Ok(());
    }
    let account = accounts::get(connection, account).await?;
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let mut posts = post_rows::list_shown(connection, &ids).await?;
    posts.sort_by_key(|post| (post.published, post.id));
    let newest = posts.iter().rev().filter_map(|post| Some((post.id.0, told(&account, post)?)));
    let mut newest: Vec<_> = newest.take(left).collect();
    newest.reverse();
    for (id, told) in newest {
        if announcements::announce(connection, account.id, &told, now).await?.is_some() {
            post_rows::expose(connection, &[id], now).await?;
        }
    }
    Ok(())
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
    diesel::dsl::Eq<posts::details, Option<Value>>,
    diesel::dsl::Eq<posts::refers_to, Option<&'a str>>,
    diesel::dsl::Eq<posts::boost_of, &'a Option<String>>,
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
        posts::details.eq(details::write(&new.details)),
        posts::refers_to.eq(new.refers_to.as_ref().map(|key| key.0.as_str())),
        posts::boost_of.eq(&new.boost_of),
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

/// Whether any of a post's media is there.
fn has_files(new: &NewPost) -> bool {
    new.attachments.iter().any(|attachment| attachment.file.is_some())
}

/// A post over what stands, with what that knows and its own format does not tell: another format's content warning,
/// and all else that a poorer format filled.
async fn merged(connection: &mut AsyncPgConnection, existing: &Existing, new: &NewPost) -> Result<NewPost, Error> {
    type Told = (Option<Value>, Option<String>);
    type Row = (Option<String>, bool, Option<String>, (Option<String>, bool), Option<String>, Vec<String>, Told);
    let (warning, sensitive, canonical_url, object, language, tags, told): Row = posts::table
        .find(existing.id.0)
        .select((
            posts::warning,
            posts::sensitive,
            posts::canonical_url,
            (posts::source_object_id, posts::source_object_id_stated),
            posts::language,
            posts::tags,
            (posts::details, posts::refers_to),
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
        if merged.details == Details::default() {
            let damaged = |e: serde_json::Error| Error::Damaged(format!("post {}: details: {e}", existing.id));
            merged.details = details::read(told.0).map_err(damaged)?;
            merged.refers_to = merged.refers_to.or(told.1.map(SourceKey));
        }
    }
    Ok(merged)
}

/// Write a post over what stands. Its number stays; its date stays too once another server has seen it.
/// Gives back the files that it had; `None` if it keeps them, because it comes from another format without any. And whether
/// the edit is news to a server that has seen the post: another text, and a later time of it.
async fn replace(
    connection: &mut AsyncPgConnection,
    existing: &Existing,
    new: &NewPost,
    edited: bool,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(Option<Files>, bool), Error> {
    type Before = (DateTime<Utc>, Option<DateTime<Utc>>, Option<DateTime<Utc>>, String, Option<String>);
    let row = posts::table.find(existing.id.0);
    let other = existing.is_of_other_format(new);
    let whole;
    let new = if other || (new.warning.is_none() && !new.format.tells_warnings()) {
        whole = merged(connection, existing, new).await?;
        &whole
    } else {
        new
    };
    let columns = (posts::published_at, posts::exposed_at, posts::updated_at, posts::content_html, posts::warning);
    let (published, exposed, updated, text, warning): Before =
        row.select(columns).for_update().first(connection).await?;
    let published = if exposed.is_some() { published } else { new.published };
    let stated = new.edited.filter(|at| *at > published);
    diesel::update(row)
        .set((
            content(new),
            posts::published_at.eq(published),
            posts::listed.eq(is_listed(new.boost_of.is_some(), existing.to_others, settings)),
            posts::withdrawn_at.eq(None::<DateTime<Utc>>),
            posts::awaited.eq(false),
            posts::changed_at.eq(now),
        ))
        .execute(connection)
        .await?;
    let mut is_news = false;
    let other_text = text != new.content.as_str() || warning != new.warning;
    // That others liked it meanwhile, or that its archive has other paths, is no edit.
    if edited && other_text || stated.is_some() {
        let at = stated.unwrap_or(now);
        diesel::update(row).set(posts::updated_at.eq(at)).execute(connection).await?;
        is_news = other_text && exposed.is_some() && existing.withdrawn.is_none() && at > updated.unwrap_or(published);
    }
    diesel::delete(post_sources::table.find(existing.id.0)).execute(connection).await?;
    diesel::insert_into(post_sources::table).values(source(new, existing.id)).execute(connection).await?;
    if other && existing.files > 0 && !has_files(new) {
        return Ok((None, is_news));
    }
    let dropped: Vec<(String, Option<String>)> =
        diesel::delete(attachments::table.filter(attachments::post_id.eq(existing.id.0)))
            .returning((attachments::source_url, attachments::media_sha256))
            .get_results(connection)
            .await?;
    let files = dropped.into_iter().filter_map(|(source_url, file)| Some((source_url, file?))).collect();
    Ok((Some(files), is_news))
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
    fill_empty!(details, details::write(&new.details));
    fill_empty!(refers_to, new.refers_to.as_ref().map(|key| &key.0));
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

/// Posts that came before what they answer are joined to it now, their conversations too.
async fn adopt_orphans(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    created: &[(&NewPost, PostId, ContextId)],
    settings: &Settings,
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
            let joined = (
                posts::context_id.eq(parent.1),
                posts::to_others.eq(parent.2),
                // A conversation has no boosts.
                posts::listed.eq(is_listed(false, parent.2, settings)),
                posts::changed_at.eq(now),
            );
            diesel::update(members).set(joined).execute(connection).await?;
            let merged = contexts::table.filter(contexts::id.eq(old).or(contexts::merged_into.eq(old)));
            diesel::update(merged).set(contexts::merged_into.eq(parent.1)).execute(connection).await?;
        }
    }
    Ok(())
}
