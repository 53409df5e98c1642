//! What an account shows, in order and page by page, and how much that is.

use super::posts::Row;
use super::schema::{accounts, posts};
use super::{Error, Store};
use crate::domain::ids::{AccountId, DomainId, PostId};
use crate::domain::post::Entry;
use crate::domain::settings::Settings;
use chrono::{DateTime, Utc};
use diesel::dsl::{count_star, exists, not, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

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
    /// What an account's outbox shows: its posts, and its boosts where the owner wants that.
    Account(AccountId),
    /// What an account only keeps: replies to others and boosts that its settings do not publish.
    Kept(AccountId),
    /// What an account shows under a hashtag (lower case, without `#`): no boosts.
    Tagged(AccountId, &'a str),
    /// The posts that live accounts of a domain show to everyone under a hashtag (lower case, without `#`): nothing unlisted.
    Tag(DomainId, &'a str),
}

impl Listing<'_> {
    pub(super) fn query(self) -> posts::BoxedQuery<'static, Pg> {
        let query = posts::table.filter(listed()).into_boxed();
        match self {
            Listing::Account(id) => query.filter(posts::account_id.eq(id.0)),
            Listing::Kept(id) => {
                let kept = posts::withdrawn_at.is_null().and(not(posts::listed));
                posts::table.filter(kept.and(posts::account_id.eq(id.0))).into_boxed()
            }
            Listing::Tagged(account, tag) => query
                .filter(posts::account_id.eq(account.0).and(posts::boost_of.is_null()))
                .filter(posts::tags.contains(vec![tag.to_owned()])),
            Listing::Tag(domain, tag) => {
                let live = accounts::table.filter(accounts::domain_id.eq(domain.0).and(accounts::state.eq("live")));
                let owners = sql::<Bool>("accounts.settings ->> 'operator' = 'owner'");
                let live = live.filter(owners);
                query
                    .filter(posts::boost_of.is_null())
                    .filter(posts::tags.contains(vec![tag.to_owned()]).and(posts::visibility.eq("public")))
                    .filter(posts::account_id.eq_any(live.select(accounts::id)))
            }
        }
    }
}

/// A page of a listing, newest first, and whether there is more on either side.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Posts and boosts.
    pub entries: Vec<Entry>,
    /// Whether there are newer ones.
    pub newer: bool,
    /// Whether there are older ones.
    pub older: bool,
}

/// How many posts of an account stand, by whether it shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptCounts {
    /// What its outbox shows.
    pub listed: i64,
    /// Boosts that are only kept.
    pub boosts: i64,
    /// Replies to others, and what answers those, that are only kept.
    pub replies: i64,
}

impl std::ops::AddAssign for KeptCounts {
    fn add_assign(&mut self, more: KeptCounts) {
        self.listed += more.listed;
        self.boosts += more.boosts;
        self.replies += more.replies;
    }
}

impl std::ops::Sub for KeptCounts {
    type Output = KeptCounts;

    fn sub(self, less: KeptCounts) -> KeptCounts {
        KeptCounts {
            listed: self.listed - less.listed,
            boosts: self.boosts - less.boosts,
            replies: self.replies - less.replies,
        }
    }
}

/// What an account shows: what stands, and of replies to others and boosts only what its settings say.
/// The index `posts_outbox` has the same condition, word for word: Postgres has to see that it is, in a plan that it makes
/// once for all values.
pub(super) fn listed() -> Box<dyn BoxableExpression<posts::table, Pg, SqlType = Bool>> {
    Box::new(posts::withdrawn_at.is_null().and(posts::listed))
}

/// The posts among what an account shows: no boosts.
pub(super) fn listed_posts() -> Box<dyn BoxableExpression<posts::table, Pg, SqlType = Bool>> {
    Box::new(posts::withdrawn_at.is_null().and(posts::listed).and(posts::boost_of.is_null()))
}

/// Whether an account shows a post. `posts.listed` follows this wherever one of its three sources changes: written
/// with the post, or else by [`relist`].
pub(super) fn is_listed(is_boost: bool, to_others: bool, settings: &Settings) -> bool {
    (!is_boost || settings.publish_boosts) && (!to_others || settings.publish_replies)
}

/// Posts of one account that are listed anew.
#[derive(Clone, Copy)]
pub(super) enum Relisted<'a> {
    /// All that it has.
    Of(AccountId),
    /// Those of these numbers.
    Only(&'a [i64]),
}

/// List posts as [`is_listed`] says, where they are not.
pub(super) async fn relist(
    connection: &mut AsyncPgConnection,
    posts: Relisted<'_>,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let which = match posts {
        Relisted::Of(_) => "account_id = $4",
        Relisted::Only(_) => "id = ANY($4)",
    };
    let relist = diesel::sql_query(format!(
        "UPDATE posts SET listed = NOT listed, changed_at = $3 \
         WHERE {which} AND listed <> ((boost_of IS NULL OR $1) AND (NOT to_others OR $2))"
    ));
    let relist = relist
        .bind::<Bool, _>(settings.publish_boosts)
        .bind::<Bool, _>(settings.publish_replies)
        .bind::<Timestamptz, _>(now);
    match posts {
        Relisted::Of(account) => relist.bind::<BigInt, _>(account.0).execute(connection).await?,
        Relisted::Only(ids) => relist.bind::<Array<BigInt>, _>(ids).execute(connection).await?,
    };
    Ok(())
}

impl Store {
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
        Ok(Page { entries: self.complete(rows).await?, newer, older })
    }

    /// What an account shows, and what it only keeps.
    pub async fn count_kept(&self, account: AccountId) -> Result<KeptCounts, Error> {
        count_kept(&mut *self.connection().await?, account).await
    }

    /// How many posts an account's outbox shows.
    pub async fn count_listed(&self, account: AccountId) -> Result<i64, Error> {
        let listed = posts::table.filter(posts::account_id.eq(account.0)).filter(listed());
        Ok(listed.count().get_result(&mut self.connection().await?).await?)
    }

    /// Every hashtag (lower case, without `#`) of the posts that an account shows, in order.
    pub async fn list_tags(&self, account: AccountId) -> Result<Vec<String>, Error> {
        let tags = sql::<Text>("unnest(tags)");
        let shown = posts::table.filter(posts::account_id.eq(account.0)).filter(listed_posts());
        let mut tags: Vec<String> = shown.select(tags).distinct().load(&mut self.connection().await?).await?;
        tags.sort();
        Ok(tags)
    }

    /// The language that most of the posts have that an account shows; `None` where none has any.
    pub async fn find_main_language(&self, account: AccountId) -> Result<Option<String>, Error> {
        let shown = posts::table.filter(posts::account_id.eq(account.0)).filter(listed_posts());
        let counted = shown.filter(posts::language.is_not_null()).group_by(posts::language);
        let most = counted.order((count_star().desc(), posts::language)).select(posts::language);
        Ok(most.first::<Option<String>>(&mut self.connection().await?).await.optional()?.flatten())
    }

    /// Where a post of a listing stands in time, or stood before it was withdrawn; and whether it is known to stand there
    /// still, so that a page beside it has it for a neighbour.
    async fn position(&self, listing: Listing<'_>, id: PostId) -> Result<((DateTime<Utc>, i64), bool), Error> {
        let shown = posts::listed.eq(!matches!(listing, Listing::Kept(_)));
        let place = posts::table.filter(posts::id.eq(id.0).and(shown)).into_boxed();
        let place = match listing {
            Listing::Account(account) | Listing::Kept(account) | Listing::Tagged(account, _) => {
                place.filter(posts::account_id.eq(account.0))
            }
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
}

/// What an account shows, and what it only keeps, on a connection.
pub(super) async fn count_kept(connection: &mut AsyncPgConnection, account: AccountId) -> Result<KeptCounts, Error> {
    let counts = sql::<(BigInt, BigInt, BigInt)>(
        "count(*) FILTER (WHERE listed), count(*) FILTER (WHERE NOT listed AND boost_of IS NOT NULL), \
         count(*) FILTER (WHERE NOT listed AND boost_of IS NULL)",
    );
    let standing = posts::table.filter(posts::account_id.eq(account.0).and(posts::withdrawn_at.is_null()));
    let (listed, boosts, replies) = standing.select(counts).get_result(connection).await?;
    Ok(KeptCounts { listed, boosts, replies })
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
