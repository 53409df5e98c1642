//! Replies of others to our posts, and what each post's echo is.

use super::reactions::discount;
use super::received::hash;
use super::schema::{echoes, remote_actors, replies};
use super::together::Question;
use super::{Connection, Error, Store, changes};
use crate::domain::echo::{Echo, Reply, ReplyAuthor};
use crate::domain::ids::{AccountId, PostId, RemoteActorId};
use crate::domain::remote::KnownActor;
use crate::domain::urls::Named;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Bytea, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;

/// Whether the author of a row of `replies` is blocked neither by the owner of the post nor by the server.
const UNBLOCKED: &str = "NOT EXISTS (SELECT FROM blocks WHERE (blocks.account_id IS NULL OR blocks.account_id = \
    (SELECT account_id FROM posts WHERE posts.id = replies.post_id)) AND CASE kind WHEN 'actor' \
    THEN target = remote_actors.uri WHEN 'address' THEN target = lower(remote_actors.handle) \
    ELSE split_part(remote_actors.host, ':', 1) = target \
    OR right(split_part(remote_actors.host, ':', 1), length(target) + 1) = '.' || target END)";
/// How many bytes the texts of a row of `replies` have.
const BYTES: &str = "octet_length(replies.content_html) + coalesce(octet_length(replies.warning), 0)";
/// Most bytes of texts that are listed at once.
const MOST_BYTES: i64 = 1024 * 1024;

/// A reply that came.
#[derive(Clone, Debug)]
pub struct NewReply<'a> {
    /// The post of ours that it stands below.
    pub post: PostId,
    /// How many steps it is below that.
    pub depth: u16,
    /// Its id.
    pub uri: &'a str,
    /// The id of what it answers.
    pub answers: &'a str,
    /// Its page.
    pub page: Option<&'a str>,
    /// The text.
    pub content: &'a SafeHtml,
    /// The content warning.
    pub warning: Option<&'a str>,
    /// The language of the text.
    pub language: Option<&'a str>,
    /// When it was published.
    pub published: DateTime<Utc>,
    /// When it was last changed.
    pub updated: Option<DateTime<Utc>>,
}

/// What something answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The post of ours that it stands below.
    pub post: PostId,
    /// Whose that is.
    pub account: AccountId,
    /// How many steps it is below that; 0: it is that.
    pub depth: u16,
}

/// One row of a reply.
#[derive(Queryable, Selectable)]
#[diesel(table_name = replies, check_for_backend(diesel::pg::Pg))]
struct Row {
    post_id: i64,
    uri: String,
    answers_uri: String,
    depth: i16,
    page: Option<String>,
    content_html: String,
    warning: Option<String>,
    language: Option<String>,
    published_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
}

/// What is shown of its author.
#[derive(Queryable, Selectable)]
#[diesel(table_name = remote_actors, check_for_backend(diesel::pg::Pg))]
struct AuthorRow {
    uri: String,
    handle: Option<String>,
    name: String,
    page: Option<String>,
}

/// A post, if a live account of that name shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    post: PostId,
    handle: String,
    base: String,
}

impl Question for Shown {
    type Answer = Option<(PostId, AccountId)>;

    async fn answer(
        questions: &[Shown],
        connection: &mut Connection,
    ) -> Result<Vec<Result<Option<(PostId, AccountId)>, Error>>, Error> {
        use super::schema::{accounts, domains, posts};
        let ids: Vec<i64> = questions.iter().map(|asked| asked.post.0).collect();
        let found: Vec<(i64, i64, String, String)> = posts::table
            .inner_join(accounts::table.inner_join(domains::table))
            .filter(posts::id.eq_any(ids).and(posts::withdrawn_at.is_null()))
            .filter(posts::listed.and(posts::boost_of.is_null()))
            .filter(accounts::state.eq("live"))
            .select((posts::id, accounts::id, accounts::handle, domains::base_url))
            .load(connection)
            .await?;
        let of = |asked: &Shown| {
            found.iter().find(|(id, _, handle, base)| (*id, handle, base) == (asked.post.0, &asked.handle, &asked.base))
        };
        Ok(questions
            .iter()
            .map(|asked| Ok(of(asked).map(|(id, owner, ..)| (PostId(*id), AccountId(*owner)))))
            .collect())
    }
}

impl Store {
    /// The post that a URL of ours names, if a live account shows it, and whose it is.
    pub async fn find_shown_post(&self, named: &Named) -> Result<Option<(PostId, AccountId)>, Error> {
        let Some(post) = named.post else { return Ok(None) };
        self.shown.ask(Shown { post, handle: named.handle.as_str().to_owned(), base: named.base.clone() }).await
    }

    /// What the object of that id is to us: a post that is shown, or a reply below one.
    pub async fn find_answered(&self, uri: &str) -> Result<Option<Answered>, Error> {
        use super::schema::posts;
        if let Some(named) = Named::read(uri)
            && let Some((post, account)) = self.find_shown_post(&named).await?
        {
            return Ok(Some(Answered { post, account, depth: 0 }));
        }
        let found: Option<(i64, i64, i16)> = replies::table
            .inner_join(posts::table.on(posts::id.eq(replies::post_id)))
            .filter(replies::uri.eq(uri))
            .select((posts::id, posts::account_id, replies::depth))
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        let answered = |(post, account, depth): (i64, i64, i16)| Answered {
            post: PostId(post),
            account: AccountId(account),
            depth: depth.unsigned_abs(),
        };
        Ok(found.map(answered))
    }

    /// Whose reply the object of that id is, if it is one that is kept.
    pub async fn find_reply_author(&self, uri: &str) -> Result<Option<RemoteActorId>, Error> {
        let found = replies::table.filter(replies::uri.eq(uri)).select(replies::actor_id);
        let found: Option<i64> = found.first(&mut self.connection().await?).await.optional()?;
        Ok(found.map(RemoteActorId))
    }

    /// Delete a reply that its own host does not show to everyone any more; whether there was one.
    pub async fn delete_reply(&self, uri: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let its = replies::table.filter(replies::uri.eq(uri));
                let gone: Vec<i64> = diesel::delete(its).returning(replies::post_id).get_results(connection).await?;
                forget(connection, &gone, now).await?;
                if !gone.is_empty() {
                    changes::tell(connection).await?;
                }
                Ok(!gone.is_empty())
            })
            .await
    }

    /// The replies below these posts, in order of time, at most `limit`, and no more of them than a page can hold. Whom the
    /// owner or the server blocks is left out.
    pub async fn list_replies(&self, posts: &[PostId], limit: i64) -> Result<Vec<Reply>, Error> {
        let posts: Vec<i64> = posts.iter().map(|post| post.0).collect();
        let mut connection = self.connection().await?;
        // What is too much is not even read.
        let sizes: Vec<(i64, i32)> = replies::table
            .inner_join(remote_actors::table)
            .filter(replies::post_id.eq_any(posts))
            .filter(diesel::dsl::sql::<Bool>(UNBLOCKED))
            .order((replies::published_at, replies::id))
            .limit(limit)
            .select((replies::id, diesel::dsl::sql::<Integer>(BYTES)))
            .load(&mut connection)
            .await?;
        let mut total = 0;
        let fits = sizes.into_iter().take_while(|(_, bytes)| {
            total += i64::from(*bytes);
            total <= MOST_BYTES
        });
        let ids: Vec<i64> = fits.map(|(id, _)| id).collect();
        let rows: Vec<(Row, AuthorRow)> = replies::table
            .inner_join(remote_actors::table)
            .filter(replies::id.eq_any(ids))
            .order((replies::published_at, replies::id))
            .select((Row::as_select(), AuthorRow::as_select()))
            .load(&mut connection)
            .await?;
        let reply = |(row, author): (Row, AuthorRow)| Reply {
            post: PostId(row.post_id),
            author: ReplyAuthor { uri: author.uri, handle: author.handle, name: author.name, page: author.page },
            uri: row.uri,
            answers: row.answers_uri,
            depth: row.depth.unsigned_abs(),
            page: row.page,
            content: SafeHtml::stored(row.content_html),
            warning: row.warning,
            language: row.language,
            published: row.published_at,
            updated: row.updated_at,
        };
        Ok(rows.into_iter().map(reply).collect())
    }

    /// Ids and depths of the replies below a post, in order of time. Whom the owner or the server blocks is left out.
    pub async fn list_reply_ids(&self, post: PostId) -> Result<Vec<(String, u16)>, Error> {
        let rows: Vec<(String, i16)> = replies::table
            .inner_join(remote_actors::table)
            .filter(replies::post_id.eq(post.0))
            .filter(diesel::dsl::sql::<Bool>(UNBLOCKED))
            .order((replies::published_at, replies::id))
            .limit(Reply::MOST)
            .select((replies::uri, replies::depth))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(|(uri, depth)| (uri, depth.unsigned_abs())).collect())
    }
}

/// The echoes of some posts; what never had any is absent.
pub(super) async fn list_echoes(
    connection: &mut AsyncPgConnection,
    posts: &[i64],
) -> Result<HashMap<i64, Echo>, Error> {
    let rows: Vec<(i64, i64, i64, i64, i64, DateTime<Utc>)> = echoes::table
        .filter(echoes::post_id.eq_any(posts))
        .select((echoes::post_id, echoes::likes, echoes::boosts, echoes::emoji, echoes::replies, echoes::changed_at))
        .load(connection)
        .await?;
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let echo = |(post, likes, boosts, emoji, replies, changed)| {
        let (likes, boosts, emoji) = (count(likes), count(boosts), count(emoji));
        (post, Echo { likes, boosts, emoji, replies: count(replies), changed: Some(changed) })
    };
    Ok(rows.into_iter().map(echo).collect())
}

/// Keep a reply, or the newer text of one that the same actor wrote; whether that changed anything. Nothing is kept below a
/// post that is not shown or has [`Reply::MOST`] already, or [`Reply::MOST_OF_ONE`] of this actor, and nothing that its author
/// deleted before.
pub(super) async fn keep(
    connection: &mut AsyncPgConnection,
    actor: &KnownActor,
    reply: &NewReply<'_>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = BigInt)]
        changed: i64,
    }
    let kept: Kept = diesel::sql_query(
        "WITH kept AS ( \
            INSERT INTO replies (post_id, actor_id, uri, answers_uri, depth, page, content_html, warning, language, published_at, \
            updated_at, received_at) \
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
            WHERE EXISTS (SELECT FROM posts WHERE id = $1 AND withdrawn_at IS NULL AND listed) \
            AND NOT EXISTS (SELECT FROM received WHERE hash = $13) \
            AND (EXISTS (SELECT FROM replies WHERE uri = $3) \
            OR (coalesce((SELECT replies FROM echoes WHERE post_id = $1), 0) < $14 \
            AND (SELECT count(*) FROM replies WHERE post_id = $1 AND actor_id = $2) < $15)) \
            ON CONFLICT (uri) DO UPDATE SET page = excluded.page, content_html = excluded.content_html, \
            warning = excluded.warning, language = excluded.language, updated_at = excluded.updated_at \
            WHERE replies.actor_id = excluded.actor_id \
            AND excluded.updated_at > coalesce(replies.updated_at, replies.published_at) \
            RETURNING post_id, xmax = 0 AS fresh \
        ), counted AS ( \
            INSERT INTO echoes (post_id, replies, changed_at) SELECT post_id, fresh::int, $12 FROM kept \
            ON CONFLICT (post_id) DO UPDATE SET replies = echoes.replies + excluded.replies, \
            changed_at = greatest(echoes.changed_at, excluded.changed_at) RETURNING 1 \
        ) SELECT count(*) AS changed FROM counted",
    )
    .bind::<BigInt, _>(reply.post.0)
    .bind::<BigInt, _>(actor.id.0)
    .bind::<Text, _>(reply.uri)
    .bind::<Text, _>(reply.answers)
    .bind::<SmallInt, _>(i16::try_from(reply.depth).unwrap_or(i16::MAX))
    .bind::<Nullable<Text>, _>(reply.page)
    .bind::<Text, _>(reply.content.as_str())
    .bind::<Nullable<Text>, _>(reply.warning)
    .bind::<Nullable<Text>, _>(reply.language)
    .bind::<Timestamptz, _>(reply.published)
    .bind::<Nullable<Timestamptz>, _>(reply.updated)
    .bind::<Timestamptz, _>(now)
    .bind::<Bytea, _>(hash("deleted", &actor.told.uri, reply.uri))
    .bind::<BigInt, _>(Reply::MOST)
    .bind::<BigInt, _>(Reply::MOST_OF_ONE)
    .get_result(connection)
    .await?;
    Ok(kept.changed > 0)
}

/// Delete an actor's reply; whether there was one.
pub(super) async fn delete(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
    uri: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let theirs = replies::table.filter(replies::actor_id.eq(actor.0).and(replies::uri.eq(uri)));
    let gone: Vec<i64> = diesel::delete(theirs).returning(replies::post_id).get_results(connection).await?;
    forget(connection, &gone, now).await?;
    Ok(!gone.is_empty())
}

/// Delete all that an actor ever answered; what has to be counted off by [`discount`].
pub(super) async fn delete_all(
    connection: &mut AsyncPgConnection,
    actor: RemoteActorId,
) -> Result<Vec<(i64, String)>, Error> {
    let theirs = replies::table.filter(replies::actor_id.eq(actor.0));
    let gone: Vec<i64> = diesel::delete(theirs).returning(replies::post_id).get_results(connection).await?;
    Ok(counted(&gone))
}

async fn forget(connection: &mut AsyncPgConnection, gone: &[i64], now: DateTime<Utc>) -> Result<(), Error> {
    discount(connection, &counted(gone), now).await
}

fn counted(gone: &[i64]) -> Vec<(i64, String)> {
    gone.iter().map(|post| (*post, "reply".to_owned())).collect()
}
