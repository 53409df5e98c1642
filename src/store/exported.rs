//! An account's posts as an export takes them: in order, page by page, with what they refer to and were read from.

use super::posts::{Relations, Row, entry, list_files, list_referred};
use super::replies::list_echoes;
use super::schema::{attachments, media, post_sources, posts};
use super::{Error, Store, media as media_rows};
use crate::domain::ids::{AccountId, ContextId, PostId};
use crate::domain::post::{Entry, MediaFile};
use chrono::{DateTime, Utc};
use diesel::dsl::exists;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;

/// Which of an account's posts are taken.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// Whose.
    pub account: AccountId,
    /// Nothing that was published before this moment.
    pub since: Option<DateTime<Utc>>,
    /// Nothing that was published at this moment or later.
    pub until: Option<DateTime<Utc>>,
    /// Only what has one of these hashtags; all if there are none.
    pub tags: &'a [String],
}

/// How far an export has come, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// By number: those up to this one are taken.
    Number(PostId),
    /// By conversation and time: those up to this post of this conversation are taken.
    Thread(ContextId, DateTime<Utc>, PostId),
}

/// Another post, by what it is called here and at its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its number.
    pub id: PostId,
    /// Its ActivityPub id at the origin.
    pub object_id: Option<String>,
    /// The page where it first stood.
    pub canonical_url: Option<String>,
}

/// A post, or a boost, with what belongs to it.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The post, or the boost.
    pub entry: Entry,
    /// Its id at the origin: of a boost that of the activity.
    pub object_id: Option<String>,
    /// The post here that it answers.
    pub parent: Option<Other>,
    /// The post of the same account that it quotes, or passes on.
    pub referred: Option<Other>,
    /// The name of the format that it was read from, and the bytes, compressed with zstd.
    pub source: Option<(String, Vec<u8>)>,
}

impl Store {
    /// The next standing posts and boosts, at most `limit`, and how far that is; `None` when there are no more. A boost of a
    /// post of the same account that was withdrawn is left out: it would tell where that stood.
    pub async fn list_exported(
        &self,
        selection: &Selection<'_>,
        reached: Reached,
        limit: i64,
    ) -> Result<Option<(Vec<Exported>, Reached)>, Error> {
        let query = selected(selection);
        let query = match reached {
            Reached::Number(id) => query.filter(posts::id.gt(id.0)).order(posts::id),
            Reached::Thread(context, at, id) => {
                let later = posts::published_at.gt(at).or(posts::published_at.eq(at).and(posts::id.gt(id.0)));
                let further = posts::context_id.gt(context.0).or(posts::context_id.eq(context.0).and(later));
                let from = posts::context_id.ge(context.0).and(further);
                query.filter(from).order((posts::context_id, posts::published_at, posts::id))
            }
        };
        let query = query.limit(limit).select(Row::as_select());
        let mut connection = self.connection().await?;
        let mut at_once = connection.build_transaction().repeatable_read().read_only();
        at_once
            .run(async |connection| {
                let rows: Vec<Row> = query.load(connection).await?;
                let Some(last) = rows.last() else { return Ok(None) };
                let (context, id) = (ContextId(last.context_id), PostId(last.id));
                let reached = match reached {
                    Reached::Number(_) => Reached::Number(id),
                    Reached::Thread(..) => Reached::Thread(context, last.published_at, id),
                };
                Ok(Some((complete(connection, rows).await?, reached)))
            })
            .await
    }

    /// How many posts and boosts that is.
    pub async fn count_exported(&self, selection: &Selection<'_>) -> Result<i64, Error> {
        Ok(selected(selection).count().get_result(&mut self.connection().await?).await?)
    }

    /// The files that these posts show, each once, in the order of their hashes from the one after `after` on, at most
    /// `limit`.
    pub async fn list_exported_files(
        &self,
        selection: &Selection<'_>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<MediaFile>, Error> {
        let shown = attachments::table
            .filter(attachments::media_sha256.eq(media::sha256.nullable()))
            .filter(attachments::post_id.eq_any(selected(selection).select(posts::id)));
        let rows: Vec<media_rows::Row> = media::table
            .filter(media::sha256.gt(after).and(exists(shown)))
            .order(media::sha256)
            .limit(limit)
            .select(media_rows::COLUMNS)
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(media_rows::file).collect())
    }
}

fn selected(selection: &Selection<'_>) -> posts::BoxedQuery<'static, Pg> {
    let mine = posts::account_id.eq(selection.account.0).and(posts::withdrawn_at.is_null());
    let mut query = posts::table.filter(mine).into_boxed();
    if let Some(since) = selection.since {
        query = query.filter(posts::published_at.ge(since));
    }
    if let Some(until) = selection.until {
        query = query.filter(posts::published_at.lt(until));
    }
    if !selection.tags.is_empty() {
        query = query.filter(posts::tags.overlaps_with(selection.tags.to_vec()));
    }
    query
}

/// Add to rows what lies in other rows.
async fn complete(connection: &mut AsyncPgConnection, rows: Vec<Row>) -> Result<Vec<Exported>, Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut files: HashMap<i64, Vec<_>> = HashMap::new();
    for file in list_files(connection, &ids).await? {
        files.entry(file.0).or_default().push(file);
    }
    let sources: Vec<(i64, String, Vec<u8>)> = post_sources::table
        .filter(post_sources::post_id.eq_any(&ids))
        .select((post_sources::post_id, post_sources::format, post_sources::bytes))
        .load(connection)
        .await?;
    let mut sources: HashMap<i64, (String, Vec<u8>)> =
        sources.into_iter().map(|(id, format, bytes)| (id, (format, bytes))).collect();
    let referred = list_referred(connection, &rows).await?;
    let wanted: Vec<i64> =
        rows.iter().filter_map(|row| row.reply_to_id).chain(referred.values().map(|(id, _)| *id)).collect();
    let others: Vec<(i64, Option<String>, Option<String>)> = match wanted.is_empty() {
        true => Vec::new(),
        false => {
            let standing = posts::table.filter(posts::id.eq_any(wanted).and(posts::withdrawn_at.is_null()));
            standing.select((posts::id, posts::source_object_id, posts::canonical_url)).load(connection).await?
        }
    };
    let others: HashMap<i64, Other> = others
        .into_iter()
        .map(|(id, object_id, canonical_url)| (id, Other { id: PostId(id), object_id, canonical_url }))
        .collect();
    let echoes = list_echoes(connection, &ids).await?;
    let relations = Relations { parents: others.keys().copied().collect(), referred, echoes };
    let mut exported = Vec::with_capacity(rows.len());
    for row in rows {
        let key = row.refers_to.clone().map(|key| (row.account_id, key));
        let referred = key.and_then(|key| relations.referred.get(&key).copied());
        if row.boost_of.is_some() && referred.is_some_and(|(_, stands)| !stands) {
            continue;
        }
        exported.push(Exported {
            object_id: row.source_object_id.clone(),
            parent: row.reply_to_id.and_then(|id| others.get(&id).cloned()),
            referred: referred.and_then(|(id, _)| others.get(&id).cloned()),
            source: sources.remove(&row.id),
            entry: {
                let mine = files.remove(&row.id).unwrap_or_default();
                entry(row, mine, &relations)?
            },
        });
    }
    Ok(exported)
}
