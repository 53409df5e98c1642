//! Reading posts, and taking them back. Writing an archive's posts is `ingest/`.

use super::schema::{accounts, attachments, contexts, media, post_revisions, post_sources, posts};
use super::{Error, Store, changes, media as media_rows};
use crate::domain::ids::{AccountId, ContextId, DomainId, PostId};
use crate::domain::post::{Attachment, Post, Stored, Tombstone, Visibility};
use crate::domain::source::{MediaKind, SourceKey};
use crate::domain::thread::Place;
use chrono::{DateTime, Utc};
use diesel::dsl::{exists, not, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

#[derive(Queryable, Selectable)]
#[diesel(table_name = posts, check_for_backend(Pg))]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) account_id: i64,
    source_key: String,
    source_object_id: Option<String>,
    source_object_id_stated: bool,
    canonical_url: Option<String>,
    visibility: String,
    published_at: DateTime<Utc>,
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
}

/// Post, kind, alternative text, name at the source, file.
pub(super) type AttachmentRow = (i64, String, Option<String>, String, Option<media_rows::Row>);

/// One step of paging through an account's posts, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The newest.
    Newest,
    /// Those before (older than) a post.
    Before(PostId),
    /// Those directly after (newer than) a post; `PostId(0)` means from the very first.
    After(PostId),
}

/// Posts that are shown together.
#[derive(Clone, Copy, Debug)]
pub enum Listing<'a> {
    /// What an account's outbox shows.
    Account(AccountId),
    /// What live accounts of a domain show to everyone under a hashtag (lower case, without `#`): nothing unlisted.
    Tag(DomainId, &'a str),
}

impl Listing<'_> {
    fn query(self) -> posts::BoxedQuery<'static, Pg> {
        let query = posts::table.filter(listed()).into_boxed();
        match self {
            Listing::Account(id) => query.filter(posts::account_id.eq(id.0)),
            Listing::Tag(domain, tag) => {
                let live = accounts::table.filter(accounts::domain_id.eq(domain.0).and(accounts::state.eq("live")));
                let owners = sql::<Bool>("accounts.settings ->> 'operator' = 'owner'");
                let live = live.filter(owners);
                query
                    .filter(posts::tags.contains(vec![tag.to_owned()]).and(posts::visibility.eq("public")))
                    .filter(posts::account_id.eq_any(live.select(accounts::id)))
            }
        }
    }
}

/// A page of posts, newest first, and whether there is more on either side.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The posts.
    pub posts: Vec<Post>,
    /// Whether there are newer ones.
    pub newer: bool,
    /// Whether there are older ones.
    pub older: bool,
}

/// Which posts an account shows in its collections: those that stand, and of replies only those to itself.
/// The index `posts_outbox` has the same condition, word for word: Postgres has to see that it is, in a plan that it makes
/// once for all values.
pub(super) fn listed() -> Box<dyn BoxableExpression<posts::table, Pg, SqlType = Bool>> {
    Box::new(posts::withdrawn_at.is_null().and(not(posts::to_others)))
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
                None => Ok(self.complete(vec![row]).await?.pop().map(|post| Stored::Live(Box::new(post)))),
            },
        }
    }

    /// A page of a listing. `NotFound` when the cursor names no post. Never skips by counting.
    pub async fn page_posts(&self, listing: Listing<'_>, cursor: Cursor, limit: i64) -> Result<Page, Error> {
        let query = || listing.query().select(Row::as_select());
        let newest_first = (posts::published_at.desc(), posts::id.desc());
        let oldest_first = (posts::published_at, posts::id);
        let mut rows: Vec<Row>;
        let (newer, older);
        match cursor {
            Cursor::Newest => {
                rows = query().order(newest_first).limit(limit + 1).load(&mut self.connection().await?).await?;
                (newer, older) = (false, trim(&mut rows, limit));
            }
            Cursor::Before(id) => {
                let ((at, id), listed) = self.position(listing, id).await?;
                let query = query().filter(posts::published_at.le(at)).filter(before(at, id));
                rows = query.order(newest_first).limit(limit + 1).load(&mut self.connection().await?).await?;
                (newer, older) = (listed || self.reaches(listing, at, id, true).await?, trim(&mut rows, limit));
            }
            Cursor::After(PostId(0)) => {
                rows = query().order(oldest_first).limit(limit + 1).load(&mut self.connection().await?).await?;
                (newer, older) = (trim(&mut rows, limit), false);
                rows.reverse();
            }
            Cursor::After(id) => {
                let ((at, id), listed) = self.position(listing, id).await?;
                let after = posts::published_at.gt(at).or(posts::published_at.eq(at).and(posts::id.gt(id)));
                let query = query().filter(posts::published_at.ge(at)).filter(after);
                rows = query.order(oldest_first).limit(limit + 1).load(&mut self.connection().await?).await?;
                (newer, older) = (trim(&mut rows, limit), listed || self.reaches(listing, at, id, false).await?);
                rows.reverse();
            }
        }
        Ok(Page { posts: self.complete(rows).await?, newer, older })
    }

    /// Live accounts, and the posts that their outboxes show.
    pub async fn usage(&self) -> Result<(i64, i64), Error> {
        let mut connection = self.connection().await?;
        let users = accounts::table.filter(accounts::state.eq("live")).count().get_result(&mut connection).await?;
        let live = posts::table.inner_join(accounts::table).filter(accounts::state.eq("live"));
        let standing = live.filter(posts::withdrawn_at.is_null()).filter(not(posts::to_others));
        Ok((users, standing.count().get_result(&mut connection).await?))
    }

    /// How many posts an account's outbox shows.
    pub async fn count_listed(&self, account: AccountId) -> Result<i64, Error> {
        count_listed(&mut *self.connection().await?, account).await
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
            .filter(posts::context_id.eq(context.0).and(posts::withdrawn_at.is_null()))
            .filter(listed())
            .order((posts::published_at, posts::id))
            .limit(limit)
            .select(Row::as_select())
            .load(&mut self.connection().await?)
            .await?;
        self.complete(rows).await
    }

    /// Who answers whom among the standing posts of a conversation, in order of time.
    pub async fn list_places(&self, context: ContextId) -> Result<Vec<Place>, Error> {
        let rows: Vec<(i64, Option<i64>)> = posts::table
            .filter(posts::context_id.eq(context.0))
            .filter(listed())
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
            .filter(listed())
            .group_by(posts::context_id)
            .select((posts::context_id, diesel::dsl::count_star()))
            .load(&mut self.connection().await?)
            .await?;
        Ok(rows.into_iter().map(|(context, count)| (ContextId(context), count)).collect())
    }

    /// Withdraw a post: number, key and date stay, everything else goes, earlier revisions too. Whether it stood until now.
    pub async fn withdraw_post(&self, account: AccountId, id: PostId, now: DateTime<Utc>) -> Result<bool, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                let withdrawn: Option<DateTime<Utc>> = posts::table
                    .filter(posts::id.eq(id.0).and(posts::account_id.eq(account.0)))
                    .select(posts::withdrawn_at)
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
        diesel::update(posts::table.filter(posts::id.eq_any(ids).and(posts::exposed_at.is_null())))
            .set(posts::exposed_at.eq(now))
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
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

    /// Where a post of a listing stands in time, or stood before it was withdrawn; and whether it is known to stand there
    /// still, so that a page beside it has it for a neighbour.
    async fn position(&self, listing: Listing<'_>, id: PostId) -> Result<((DateTime<Utc>, i64), bool), Error> {
        let place = posts::table.filter(posts::id.eq(id.0).and(not(posts::to_others))).into_boxed();
        let place = match listing {
            Listing::Account(account) => place.filter(posts::account_id.eq(account.0)),
            Listing::Tag(domain, _) => {
                let live = accounts::table.filter(accounts::domain_id.eq(domain.0).and(accounts::state.eq("live")));
                place.filter(posts::account_id.eq_any(live.select(accounts::id)))
            }
        };
        let columns = ((posts::published_at, posts::id), posts::withdrawn_at.is_null());
        let place: Option<((DateTime<Utc>, i64), bool)> =
            place.select(columns).first(&mut self.connection().await?).await.optional()?;
        let (place, stands) = place.ok_or_else(|| Error::NotFound(format!("post {id}")))?;
        Ok((place, stands && matches!(listing, Listing::Account(_))))
    }

    /// Whether a listing has a post at `(at, id)` or on its newer (or else its older) side.
    async fn reaches(&self, listing: Listing<'_>, at: DateTime<Utc>, id: i64, newer: bool) -> Result<bool, Error> {
        let query = match newer {
            true => {
                listing.query().filter(posts::published_at.gt(at).or(posts::published_at.eq(at).and(posts::id.ge(id))))
            }
            false => {
                listing.query().filter(posts::published_at.lt(at).or(posts::published_at.eq(at).and(posts::id.le(id))))
            }
        };
        Ok(diesel::select(exists(query)).get_result(&mut self.connection().await?).await?)
    }

    /// Add to rows what lies in other tables: attachments, and whether the answered post still stands.
    async fn complete(&self, rows: Vec<Row>) -> Result<Vec<Post>, Error> {
        let mut connection = self.connection().await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut files = list_files(&mut connection, &ids).await?;
        let parents: Vec<i64> = rows.iter().filter_map(|row| row.reply_to_id).collect();
        let standing: Vec<i64> = match parents.is_empty() {
            true => Vec::new(),
            false => {
                let parents = posts::table.filter(posts::id.eq_any(&parents).and(posts::withdrawn_at.is_null()));
                parents.select(posts::id).load(&mut connection).await?
            }
        };
        rows.into_iter()
            .map(|row| {
                let (mine, rest) = files.drain(..).partition(|file| file.0 == row.id);
                files = rest;
                post(row, mine, &standing)
            })
            .collect()
    }
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
            media_rows::COLUMNS.nullable(),
        ));
    Ok(files.load(connection).await?)
}

/// Empty posts, with all that hangs on them and all that they ever were: number, key and date stay.
pub(super) async fn empty(connection: &mut AsyncPgConnection, ids: &[i64], now: DateTime<Utc>) -> Result<(), Error> {
    diesel::delete(attachments::table.filter(attachments::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(post_sources::table.filter(post_sources::post_id.eq_any(ids))).execute(connection).await?;
    diesel::delete(post_revisions::table.filter(post_revisions::post_id.eq_any(ids))).execute(connection).await?;
    let emptied = (
        posts::content_html.eq(""),
        posts::warning.eq(None::<String>),
        posts::tags.eq(Vec::<String>::new()),
        posts::language.eq(None::<String>),
        posts::updated_at.eq(None::<DateTime<Utc>>),
        posts::source_object_id.eq(None::<String>),
        posts::source_object_id_stated.eq(false),
        posts::canonical_url.eq(None::<String>),
        posts::withdrawn_at.eq(now),
        posts::changed_at.eq(now),
    );
    diesel::update(posts::table.filter(posts::id.eq_any(ids))).set(emptied).execute(connection).await?;
    Ok(())
}

/// How many posts an account's outbox shows, on a connection.
pub(super) async fn count_listed(connection: &mut AsyncPgConnection, account: AccountId) -> Result<i64, Error> {
    let listed = posts::table.filter(posts::account_id.eq(account.0)).filter(listed());
    Ok(listed.count().get_result(connection).await?)
}

/// Whether a post stands before a place in time, the number deciding between posts of one millisecond.
fn before(at: DateTime<Utc>, id: i64) -> Box<dyn BoxableExpression<posts::table, Pg, SqlType = Bool>> {
    Box::new(posts::published_at.lt(at).or(posts::published_at.eq(at).and(posts::id.lt(id))))
}

/// Cut a list that was asked for with one item too many; whether there was one.
fn trim(rows: &mut Vec<Row>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
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

pub(super) fn post(row: Row, files: Vec<AttachmentRow>, standing: &[i64]) -> Result<Post, Error> {
    let damaged = |what: &str| Error::Damaged(format!("post {}: {what}", row.id));
    let visibility = match row.visibility.as_str() {
        "public" => Visibility::Public,
        "unlisted" => Visibility::Unlisted,
        _ => return Err(damaged("visibility")),
    };
    let mut attachments = Vec::with_capacity(files.len());
    for (_, kind, alt, source_url, file) in files {
        let kind = match kind.as_str() {
            "image" => MediaKind::Image,
            "video" => MediaKind::Video,
            "audio" => MediaKind::Audio,
            _ => return Err(damaged("kind of attachment")),
        };
        attachments.push(Attachment { file: file.map(media_rows::file), kind, alt, source_url });
    }
    Ok(Post {
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
        reply_to: row.reply_to_id.filter(|parent| standing.contains(parent)).map(PostId),
        to_others: row.to_others,
        context: ContextId(row.context_id),
        attachments,
        changed: row.changed_at,
        exposed: row.exposed_at,
    })
}
