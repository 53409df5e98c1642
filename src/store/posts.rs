//! Reading posts, and taking them back. Writing an archive's posts is `ingest/`.

use super::listing::listed_posts;
use super::replies::list_echoes;
use super::schema::{
    accounts, attachments, contexts, echoes, media, post_revisions, post_sources, posts, reactions, replies,
};
use super::{Error, Store, announcements, changes, details, media as media_rows};
use crate::domain::delivery::Outgoing;
use crate::domain::echo::Echo;
use crate::domain::ids::{AccountId, ContextId, PostId};
use crate::domain::post::{Attachment, Boost, Entry, Post, Stored, Tombstone, Visibility};
use crate::domain::source::{MediaKind, SourceKey};
use crate::domain::thread::Place;
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::collections::HashMap;

#[derive(Queryable, Selectable)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) account_id: i64,
    source_key: String,
    pub(super) source_object_id: Option<String>,
    source_object_id_stated: bool,
    canonical_url: Option<String>,
    visibility: String,
    pub(super) published_at: DateTime<Utc>,
    date_origin: String,
    updated_at: Option<DateTime<Utc>>,
    content_html: String,
    warning: Option<String>,
    sensitive: bool,
    language: Option<String>,
    tags: Vec<String>,
    pub(super) reply_to_id: Option<i64>,
    pub(super) to_others: bool,
    pub(super) context_id: i64,
    changed_at: DateTime<Utc>,
    exposed_at: Option<DateTime<Utc>>,
    pub(super) withdrawn_at: Option<DateTime<Utc>>,
    awaited: bool,
    details: Option<Value>,
    pub(super) refers_to: Option<String>,
    pub(super) boost_of: Option<String>,
    pub(super) listed: bool,
}

/// Post, kind, alternative text, name at the source, what else that told, file.
pub(super) type AttachmentRow = (i64, String, Option<String>, String, Option<Value>, Option<media_rows::Row>);

/// What rows say about other posts, as far as those stand.
#[derive(Default)]
pub(super) struct Relations {
    /// Posts that others answer.
    pub(super) parents: Vec<i64>,
    /// Posts that others quote or pass on, by account and key, and whether they stand.
    pub(super) referred: HashMap<(i64, String), (i64, bool)>,
    /// What others did with the posts themselves.
    pub(super) echoes: HashMap<i64, Echo>,
}

impl Store {
    /// What stands under a post's number on an account.
    pub async fn find_post(&self, account: AccountId, id: PostId) -> Result<Option<Stored>, Error> {
        let row: Option<Row> = posts::table
            .filter(posts::id.eq(id.0).and(posts::account_id.eq(account.0)))
            .select(Row::as_select())
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        match row {
            None => Ok(None),
            Some(row) => match row.withdrawn_at {
                Some(withdrawn) => Ok(Some(Stored::Withdrawn(tombstone(row, withdrawn)))),
                None => Ok(self.complete(vec![row]).await?.pop().map(Stored::from)),
            },
        }
    }

    /// Live accounts, and the posts that their outboxes show.
    pub async fn usage(&self) -> Result<(i64, i64), Error> {
        let mut connection = self.connection().await?;
        let users = accounts::table.filter(accounts::state.eq("live")).count().get_result(&mut connection).await?;
        let live = posts::table.inner_join(accounts::table).filter(accounts::state.eq("live"));
        let standing = live.filter(posts::withdrawn_at.is_null().and(posts::listed).and(posts::boost_of.is_null()));
        Ok((users, standing.count().get_result(&mut connection).await?))
    }

    /// Follow a context to the one it was merged into; `None` when the account never had it.
    pub async fn find_context(&self, account: AccountId, id: ContextId) -> Result<Option<ContextId>, Error> {
        let merged: Option<Option<i64>> = contexts::table
            .filter(contexts::id.eq(id.0).and(contexts::account_id.eq(account.0)))
            .select(contexts::merged_into)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(merged.map(|merged| merged.map_or(id, ContextId)))
    }

    /// The standing posts of a conversation in order of time, at most `limit`.
    pub async fn list_context(&self, context: ContextId, limit: i64) -> Result<Vec<Post>, Error> {
        let rows: Vec<Row> = posts::table
            .filter(posts::context_id.eq(context.0))
            .filter(listed_posts())
            .order((posts::published_at, posts::id))
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.connection().await?)
            .await?;
        let post = |entry| match entry {
            Entry::Post(post) => Some(*post),
            Entry::Boost(_) => None,
        };
        Ok(self.complete(rows).await?.into_iter().filter_map(post).collect())
    }

    /// Those of these posts that their accounts show, by number.
    pub async fn list_posts(&self, ids: &[PostId]) -> Result<Vec<Post>, Error> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        list_shown(&mut *self.connection().await?, &ids).await
    }

    /// Who answers whom among the standing posts of a conversation, in order of time.
    pub async fn list_places(&self, context: ContextId) -> Result<Vec<Place>, Error> {
        let rows: Vec<(i64, Option<i64>)> = posts::table
            .filter(posts::context_id.eq(context.0))
            .filter(listed_posts())
            .order((posts::published_at, posts::id))
            .select((posts::id, posts::reply_to_id))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(|(id, to)| Place { id: PostId(id), reply_to: to.map(PostId) }).collect())
    }

    /// How many listed posts each of these conversations has.
    pub async fn count_contexts(&self, contexts: &[ContextId]) -> Result<Vec<(ContextId, i64)>, Error> {
        let contexts: Vec<i64> = contexts.iter().map(|context| context.0).collect();
        let rows: Vec<(i64, i64)> = posts::table
            .filter(posts::context_id.eq_any(contexts))
            .filter(listed_posts())
            .group_by(posts::context_id)
            .select((posts::context_id, diesel::dsl::count_star()))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(|(context, count)| (ContextId(context), count)).collect())
    }

    /// Withdraw a post: number, key and date stay, everything else goes, earlier revisions too. Followers are told where
    /// another server has seen it. Whether it stood until now.
    pub async fn withdraw_post(
        &self,
        account: AccountId,
        id: PostId,
        told: Option<&Outgoing>,
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                super::accounts::lock_writing(connection, account).await?;
                type Moments = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);
                let (withdrawn, exposed): Moments = posts::table
                    .filter(posts::id.eq(id.0).and(posts::account_id.eq(account.0)))
                    .select((posts::withdrawn_at, posts::exposed_at))
                    .for_update()
                    .first(connection)
                    .await
                    .optional()?
                    .ok_or_else(|| Error::NotFound(format!("post {id}")))?;
                if withdrawn.is_some() {
                    diesel::update(posts::table.find(id.0)).set(posts::awaited.eq(false)).execute(connection).await?;
                    return Ok(false);
                }
                empty(connection, &[id.0], now).await?;
                if let (Some(told), true) = (told, exposed.is_some()) {
                    announcements::announce(connection, account, told, now).await?;
                }
                super::accounts::touch(connection, account, now).await?;
                changes::tell(connection).await?;
                Ok(true)
            })
            .await
    }

    /// Let the next import bring a withdrawn post back. `Conflict` when it is not withdrawn.
    pub async fn await_post(&self, account: AccountId, id: PostId) -> Result<(), Error> {
        let mine = posts::id.eq(id.0).and(posts::account_id.eq(account.0));
        let changed = diesel::update(posts::table.filter(mine.and(posts::withdrawn_at.is_not_null())))
            .set(posts::awaited.eq(true))
            .execute(&mut self.connection().await?)
            .await?;
        match (changed, self.find_post(account, id).await?) {
            (0, None) => Err(Error::NotFound(format!("post {id}"))),
            (0, Some(_)) => Err(Error::Conflict(format!("post {id} is not withdrawn"))),
            _ => Ok(()),
        }
    }

    /// Note that posts have answered another server; from now on their dates are fixed. That changes no answer, so nobody
    /// is told: the first walk through an archive would empty every cache with each step.
    pub async fn expose_posts(&self, ids: &[PostId], now: DateTime<Utc>) -> Result<(), Error> {
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        expose(&mut *self.connection().await?, &ids, now).await.map(drop)
    }

    /// Withdrawn posts of an account, latest first, at most `limit`.
    pub async fn list_withdrawn(&self, account: AccountId, limit: i64) -> Result<Vec<Tombstone>, Error> {
        let rows: Vec<Row> = posts::table
            .filter(posts::account_id.eq(account.0).and(posts::withdrawn_at.is_not_null()))
            .order(posts::withdrawn_at.desc())
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().filter_map(|row| row.withdrawn_at.map(|at| tombstone(row, at))).collect())
    }

    /// Add to rows what lies in other rows: attachments, and whether what they answer, quote or pass on still stands.
    pub(super) async fn complete(&self, rows: Vec<Row>) -> Result<Vec<Entry>, Error> {
        complete(&mut *self.connection().await?, rows).await
    }
}

/// The same on a connection: other servers know these posts from now on, and keep the dates that they have. Whether any of
/// them was new to them.
pub(super) async fn expose(connection: &mut AsyncPgConnection, ids: &[i64], now: DateTime<Utc>) -> Result<bool, Error> {
    let unseen = posts::table.filter(posts::id.eq_any(ids).and(posts::exposed_at.is_null()));
    Ok(diesel::update(unseen).set(posts::exposed_at.eq(now)).execute(connection).await? > 0)
}

async fn complete(connection: &mut AsyncPgConnection, rows: Vec<Row>) -> Result<Vec<Entry>, Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut files = list_files(connection, &ids).await?;
    let parents: Vec<i64> = rows.iter().filter_map(|row| row.reply_to_id).collect();
    let parents: Vec<i64> = match parents.is_empty() {
        true => Vec::new(),
        false => {
            let parents = posts::table.filter(posts::id.eq_any(&parents).and(posts::withdrawn_at.is_null()));
            parents.select(posts::id).load(connection).await?
        }
    };
    let echoes = list_echoes(connection, &ids).await?;
    let relations = Relations { parents, referred: list_referred(connection, &rows).await?, echoes };
    rows.into_iter()
        .map(|row| {
            let (mine, rest) = files.drain(..).partition(|file| file.0 == row.id);
            files = rest;
            entry(row, mine, &relations)
        })
        .collect()
}

/// Those of these posts that an account shows, as they stand inside a transaction, by number.
pub(super) async fn list_shown(connection: &mut AsyncPgConnection, ids: &[i64]) -> Result<Vec<Post>, Error> {
    let shown = posts::table.filter(posts::id.eq_any(ids)).filter(listed_posts()).order(posts::id);
    let rows: Vec<Row> = shown.select(Row::as_select()).load(connection).await?;
    let post = |entry| match entry {
        Entry::Post(post) => Some(*post),
        Entry::Boost(_) => None,
    };
    Ok(complete(connection, rows).await?.into_iter().filter_map(post).collect())
}

/// The attachments of some posts, each in its order.
pub(super) async fn list_files(connection: &mut AsyncPgConnection, posts: &[i64]) -> Result<Vec<AttachmentRow>, Error> {
    let files = attachments::table
        .left_join(media::table)
        .filter(attachments::post_id.eq_any(posts))
        .order((attachments::post_id, attachments::position))
        .select((
            attachments::post_id,
            attachments::kind,
            attachments::alt,
            attachments::source_url,
            attachments::told,
            media_rows::COLUMNS.nullable(),
        ));
    Ok(files.load(connection).await?)
}

/// Empty posts, with all that hangs on them and all that they ever were: number, key and date stay.
pub(super) async fn empty(connection: &mut AsyncPgConnection, ids: &[i64], now: DateTime<Utc>) -> Result<(), Error> {
    diesel::delete(attachments::table.filter(attachments::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(post_sources::table.filter(post_sources::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(post_revisions::table.filter(post_revisions::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(reactions::table.filter(reactions::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(replies::table.filter(replies::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(echoes::table.filter(echoes::post_id.eq_any(ids))).execute(connection).await?;
    super::pins::forget(connection, ids).await?;
    super::resurface::take_back(connection, ids, now).await?;
    let emptied = (
        posts::content_html.eq(""),
        posts::warning.eq(None::<String>),
        posts::tags.eq(Vec::<String>::new()),
        posts::language.eq(None::<String>),
        posts::updated_at.eq(None::<DateTime<Utc>>),
        posts::source_object_id.eq(None::<String>),
        posts::source_object_id_stated.eq(false),
        posts::canonical_url.eq(None::<String>),
        posts::details.eq(None::<Value>),
        posts::refers_to.eq(None::<String>),
        posts::boost_of.eq(None::<String>),
        posts::withdrawn_at.eq(now),
        posts::changed_at.eq(now),
    );
    diesel::update(posts::table.filter(posts::id.eq_any(ids))).set(emptied).execute(connection).await?;
    announcements::take_back_edits(connection, ids, now).await
}

/// Posts that these rows quote or pass on, as far as their own accounts show or showed them, and whether they stand.
pub(super) async fn list_referred(
    connection: &mut AsyncPgConnection,
    rows: &[Row],
) -> Result<HashMap<(i64, String), (i64, bool)>, Error> {
    let referring = || rows.iter().filter(|row| row.refers_to.is_some());
    if referring().next().is_none() {
        return Ok(HashMap::new());
    }
    let accounts: Vec<i64> = referring().map(|row| row.account_id).collect();
    let keys: Vec<&str> = referring().filter_map(|row| row.refers_to.as_deref()).collect();
    let found: Vec<(i64, String, (i64, bool))> = posts::table
        .filter(posts::account_id.eq_any(accounts).and(posts::source_key.eq_any(keys)))
        .filter(posts::listed.or(posts::withdrawn_at.is_not_null()).and(posts::boost_of.is_null()))
        .select((posts::account_id, posts::source_key, (posts::id, posts::withdrawn_at.is_null())))
        .load(connection)
        .await?;
    Ok(found.into_iter().map(|(account, key, found)| ((account, key), found)).collect())
}

pub(super) fn tombstone(row: Row, withdrawn: DateTime<Utc>) -> Tombstone {
    Tombstone {
        id: PostId(row.id),
        account: AccountId(row.account_id),
        key: SourceKey(row.source_key),
        published: row.published_at,
        withdrawn,
        awaited: row.awaited,
    }
}

/// A row that was not withdrawn, with what other rows say.
pub(super) fn entry(row: Row, files: Vec<AttachmentRow>, relations: &Relations) -> Result<Entry, Error> {
    let id = row.id;
    let damaged = |what: &str| Error::Damaged(format!("post {id}: {what}"));
    let visibility = match row.visibility.as_str() {
        "public" => Visibility::Public,
        "unlisted" => Visibility::Unlisted,
        _ => return Err(damaged("visibility")),
    };
    let referred = row.refers_to.clone().and_then(|key| relations.referred.get(&(row.account_id, key)).copied());
    if let Some(object) = row.boost_of {
        return Ok(Entry::Boost(Boost {
            id: PostId(row.id),
            account: AccountId(row.account_id),
            key: SourceKey(row.source_key),
            object,
            // Also one that was withdrawn: where that stood is not told any more, and its address here says so.
            ours: referred.map(|(id, _)| PostId(id)),
            visibility,
            published: row.published_at,
            listed: row.listed,
            changed: row.changed_at,
            exposed: row.exposed_at,
        }));
    }
    let mut attachments = Vec::with_capacity(files.len());
    for (_, kind, alt, source_url, told, file) in files {
        let kind = match kind.as_str() {
            "image" => MediaKind::Image,
            "video" => MediaKind::Video,
            "audio" => MediaKind::Audio,
            _ => return Err(damaged("kind of attachment")),
        };
        let told = details::read_told(told).map_err(|e| damaged(&format!("what is told of an attachment: {e}")))?;
        attachments.push(Attachment { file: file.map(media_rows::file), kind, alt, source_url, told });
    }
    let mut details = details::read(row.details).map_err(|e| damaged(&format!("details: {e}")))?;
    let reply_to = row.reply_to_id.filter(|parent| relations.parents.contains(parent));
    // What was withdrawn here may not be for everyone at its source any more: where it stood is not told.
    if row.reply_to_id.is_some() && reply_to.is_none() {
        details.answers = None;
    }
    if referred.is_some_and(|(_, stands)| !stands) {
        details.quote = None;
    }
    Ok(Entry::Post(Box::new(Post {
        id: PostId(row.id),
        account: AccountId(row.account_id),
        key: SourceKey(row.source_key),
        object_id: row.source_object_id,
        object_id_stated: row.source_object_id_stated,
        canonical_url: row.canonical_url,
        visibility,
        published: row.published_at,
        date_estimated: row.date_origin == "estimated",
        updated: row.updated_at,
        content: crate::text::SafeHtml::stored(row.content_html),
        warning: row.warning,
        sensitive: row.sensitive,
        language: row.language,
        tags: row.tags,
        reply_to: reply_to.map(PostId),
        to_others: row.to_others,
        listed: row.listed,
        context: ContextId(row.context_id),
        attachments,
        details,
        echo: relations.echoes.get(&id).copied().unwrap_or_default(),
        quoted: referred.filter(|(_, stands)| *stands).map(|(id, _)| PostId(id)),
        changed: row.changed_at,
        exposed: row.exposed_at,
    })))
}

impl From<Entry> for Stored {
    fn from(entry: Entry) -> Stored {
        match entry {
            Entry::Post(post) => Stored::Live(post),
            Entry::Boost(boost) => Stored::Boost(boost),
        }
    }
}
