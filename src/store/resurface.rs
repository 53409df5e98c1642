//! Old posts that accounts show again: how that is set, and which were shown at which moment.

use super::listing::listed_posts;
use super::schema::{accounts as account_rows, posts, resurfaced, resurfacing};
use super::{Error, Store, accounts, announcements, changes, posts as post_rows};
use crate::domain::account::Account;
use crate::domain::delivery::Outgoing;
use crate::domain::ids::{AccountId, PostId};
use crate::domain::post::Post;
use crate::domain::resurface::{self, Candidate, DAY, MOST_A_DAY, Mode, OLD, Resurfacing};
use chrono::{DateTime, Datelike, NaiveTime, Timelike, Utc};
use diesel::dsl::{exists, not};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

/// Makes what followers are told of a post that is shown again at a moment.
pub type OfShowing<'a> = &'a (dyn Fn(&Account, &Post, DateTime<Utc>) -> Outgoing + Send + Sync);

/// A post that was shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub post: PostId,
    /// The moment whose turn it was.
    pub at: DateTime<Utc>,
    /// When that was taken back.
    pub undone: Option<DateTime<Utc>>,
}

/// How an account shows old posts again, as stored.
#[derive(Queryable, Selectable)]
#[diesel(table_name = resurfacing, check_for_backend(Pg))]
struct Row {
    mode: String,
    times: Vec<i16>,
    time_zone: String,
    allow_warned: bool,
    set_at: DateTime<Utc>,
    last_slot: Option<DateTime<Utc>>,
}

impl Store {
    /// Set how an account shows old posts again, from now on. What it showed before stays noted.
    pub async fn set_resurfacing(&self, account: AccountId, set: &Resurfacing) -> Result<(), Error> {
        let minutes = |time: &NaiveTime| i16::try_from(time.num_seconds_from_midnight() / 60).unwrap_or(0);
        let values = (
            resurfacing::mode.eq(set.mode.as_str()),
            resurfacing::times.eq(set.times.iter().map(minutes).collect::<Vec<_>>()),
            resurfacing::time_zone.eq(set.zone.name()),
            resurfacing::allow_warned.eq(set.allow_warned),
            resurfacing::set_at.eq(set.since),
        );
        diesel::insert_into(resurfacing::table)
            .values((resurfacing::account_id.eq(account.0), values.clone()))
            .on_conflict(resurfacing::account_id)
            .do_update()
            .set(values)
            .execute(&mut self.connection().await?)
            .await?;
        Ok(())
    }

    /// How an account shows old posts again; `None` where it does not.
    pub async fn find_resurfacing(&self, account: AccountId) -> Result<Option<Resurfacing>, Error> {
        find(&mut *self.connection().await?, account).await
    }

    /// Show no more old posts of an account again; whether it did until now.
    pub async fn stop_resurfacing(&self, account: AccountId) -> Result<bool, Error> {
        let set = resurfacing::table.find(account.0);
        Ok(diesel::delete(set).execute(&mut self.connection().await?).await? > 0)
    }

    /// The live accounts that show old posts again, each with how.
    pub async fn list_resurfacing(&self) -> Result<Vec<(AccountId, Resurfacing)>, Error> {
        let rows: Vec<(i64, Row)> = resurfacing::table
            .inner_join(account_rows::table.on(account_rows::id.eq(resurfacing::account_id)))
            .filter(account_rows::state.eq("live").and(account_rows::moved_to.is_null()))
            .order(resurfacing::account_id)
            .select((resurfacing::account_id, Row::as_select()))
            .load(&mut self.connection().await?)
            .await?;
        rows.into_iter().map(|(account, row)| Ok((AccountId(account), read(row)?))).collect()
    }

    /// Which post an account would show at a moment.
    pub async fn find_resurfaceable(
        &self,
        account: AccountId,
        set: &Resurfacing,
        at: DateTime<Utc>,
    ) -> Result<Option<Post>, Error> {
        let mut connection = self.connection().await?;
        match choose(&mut connection, account, set, at).await? {
            Some(id) => Ok(post_rows::list_shown(&mut connection, &[id.0]).await?.pop()),
            None => Ok(None),
        }
    }

    /// How many posts a drip has before it at a moment.
    pub async fn count_resurfaceable(
        &self,
        account: AccountId,
        set: &Resurfacing,
        at: DateTime<Utc>,
    ) -> Result<i64, Error> {
        let left = posts::table.filter(waits_for_drip(account, set, at)).count();
        Ok(left.get_result(&mut self.connection().await?).await?)
    }

    /// What an account showed last.
    pub async fn find_last_resurfaced(&self, account: AccountId) -> Result<Option<Shown>, Error> {
        let mine = resurfaced::table.filter(resurfaced::account_id.eq(account.0)).order(resurfaced::slot_at.desc());
        let columns = (resurfaced::post_id, resurfaced::slot_at, resurfaced::undone_at);
        let found: Option<(i64, DateTime<Utc>, Option<DateTime<Utc>>)> =
            mine.select(columns).first(&mut self.connection().await?).await.optional()?;
        Ok(found.map(|(post, at, undone)| Shown { post: PostId(post), at, undone }))
    }

    /// A showing of a post at a moment, if there was one.
    pub async fn find_resurfaced(&self, post: PostId, at: DateTime<Utc>) -> Result<Option<Shown>, Error> {
        let found: Option<Option<DateTime<Utc>>> = resurfaced::table
            .filter(resurfaced::post_id.eq(post.0).and(resurfaced::slot_at.eq(at)))
            .select(resurfaced::undone_at)
            .first(&mut self.connection().await?)
            .await
            .optional()?;
        Ok(found.map(|undone| Shown { post, at, undone }))
    }

    /// Show a post again, if it is the turn of `slot` and nobody else has taken it; which one.
    ///
    /// One transaction notes the moment, chooses, notes the post, and enqueues what followers are told: `undo` of each showing
    /// of it before, as other servers take no second one beside a first, then `show`. Whoever is killed has done nothing.
    pub async fn resurface(
        &self,
        account: AccountId,
        slot: DateTime<Utc>,
        show: OfShowing<'_>,
        undo: OfShowing<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<PostId>, Error> {
        let mut connection = self.connection().await?;
        connection
            .transaction(async |connection| {
                accounts::lock_writing(connection, account).await?;
                let Some(set) = find(connection, account).await? else { return Ok(None) };
                let account = accounts::get(connection, account).await?;
                let stands = set.due(now) == Some(slot) && resurface::obstacle(&account).is_none();
                if !stands || !announcements::has_followers(connection, account.id).await? {
                    return Ok(None);
                }
                let row = resurfacing::table.find(account.id.0);
                diesel::update(row).set(resurfacing::last_slot.eq(slot)).execute(connection).await?;
                if count_since(connection, account.id, slot - DAY).await? >= i64::try_from(MOST_A_DAY).unwrap_or(0) {
                    return Ok(None);
                }
                let Some(id) = choose(connection, account.id, &set, slot).await? else { return Ok(None) };
                let Some(post) = post_rows::list_shown(connection, &[id.0]).await?.pop() else { return Ok(None) };
                let standing = resurfaced::post_id.eq(id.0).and(resurfaced::undone_at.is_null());
                let earlier: Vec<DateTime<Utc>> = diesel::update(resurfaced::table.filter(standing))
                    .set(resurfaced::undone_at.eq(now))
                    .returning(resurfaced::slot_at)
                    .get_results(connection)
                    .await?;
                let showing = (
                    resurfaced::account_id.eq(account.id.0),
                    resurfaced::slot_at.eq(slot),
                    resurfaced::post_id.eq(id.0),
                );
                diesel::insert_into(resurfaced::table).values(showing).execute(connection).await?;
                let told = earlier.into_iter().map(|at| undo(&account, &post, at));
                for told in told.chain([show(&account, &post, slot)]) {
                    announcements::announce(connection, account.id, &told, now).await?;
                }
                post_rows::expose(connection, &[id.0], now).await?;
                changes::tell(connection).await?;
                Ok(Some(id))
            })
            .await
    }
}

/// Take back that posts were shown again which are withdrawn: their Deletes say so to everybody.
pub(super) async fn take_back(
    connection: &mut AsyncPgConnection,
    withdrawn: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let standing = resurfaced::post_id.eq_any(withdrawn).and(resurfaced::undone_at.is_null());
    let standing = resurfaced::table.filter(standing);
    diesel::update(standing).set(resurfaced::undone_at.eq(now)).execute(connection).await?;
    Ok(())
}

async fn find(connection: &mut AsyncPgConnection, account: AccountId) -> Result<Option<Resurfacing>, Error> {
    let row: Option<Row> =
        resurfacing::table.find(account.0).select(Row::as_select()).first(connection).await.optional()?;
    row.map(read).transpose()
}

fn read(row: Row) -> Result<Resurfacing, Error> {
    let Row { mode, times, time_zone: zone, allow_warned, set_at: since, last_slot: last } = row;
    let damaged = |what: String| Error::Damaged(format!("resurfacing: {what}"));
    let time = |minutes: i16| {
        let seconds = u32::try_from(minutes).unwrap_or(u32::MAX).saturating_mul(60);
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).ok_or_else(|| damaged(format!("minute {minutes}")))
    };
    Ok(Resurfacing {
        mode: Mode::parse(&mode).ok_or_else(|| damaged(format!("mode {mode:?}")))?,
        times: times.into_iter().map(time).collect::<Result<_, _>>()?,
        zone: zone.parse().map_err(|_| damaged(format!("time zone {zone:?}")))?,
        allow_warned,
        since,
        last,
    })
}

/// Which post an account shows at a moment.
async fn choose(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    set: &Resurfacing,
    at: DateTime<Utc>,
) -> Result<Option<PostId>, Error> {
    match set.mode {
        Mode::Drip => {
            let oldest = posts::table.filter(waits_for_drip(account, set, at)).order((posts::published_at, posts::id));
            let id: Option<i64> = oldest.select(posts::id).first(connection).await.optional()?;
            Ok(id.map(PostId))
        }
        Mode::OnThisDay => {
            let mine = posts::table.filter(may_be_shown(account, set)).filter(posts::date_origin.ne("estimated"));
            let first: Option<DateTime<Utc>> =
                mine.select(diesel::dsl::min(posts::published_at)).first(connection).await?;
            let Some(first) = first else { return Ok(None) };
            let mut candidates = Vec::new();
            for (from, until) in resurface::anniversaries(set.day(at), set.zone, set.day(first).year()) {
                let day = posts::table
                    .filter(may_be_shown(account, set))
                    .filter(posts::date_origin.ne("estimated"))
                    .filter(posts::published_at.ge(from).and(posts::published_at.lt(until)));
                let found: Vec<(i64, DateTime<Utc>)> =
                    day.select((posts::id, posts::published_at)).load(connection).await?;
                candidates.extend(found);
            }
            let ids: Vec<i64> = candidates.iter().map(|(id, _)| *id).collect();
            let shown: Vec<(i64, Option<DateTime<Utc>>)> = resurfaced::table
                .filter(resurfaced::post_id.eq_any(ids))
                .group_by(resurfaced::post_id)
                .select((resurfaced::post_id, diesel::dsl::max(resurfaced::slot_at)))
                .load(connection)
                .await?;
            let last = |id: i64| shown.iter().find(|(post, _)| *post == id).and_then(|(_, at)| *at);
            let candidate = |(id, published): (i64, _)| Candidate { id: PostId(id), published, shown: last(id) };
            let candidates: Vec<Candidate> = candidates.into_iter().map(candidate).collect();
            Ok(resurface::choose(&candidates, at))
        }
    }
}

type Condition = Box<dyn BoxableExpression<posts::table, Pg, SqlType = diesel::sql_types::Bool>>;

/// Posts that an account shows and that answer nothing; with a warning only where that is wanted.
fn may_be_shown(account: AccountId, set: &Resurfacing) -> Condition {
    let open = posts::warning.is_null().and(not(posts::sensitive));
    let begins = posts::reply_to_id.is_null().and(not(posts::to_others));
    let mine = posts::account_id.eq(account.0).and(begins).and(listed_posts());
    if set.allow_warned { Box::new(mine) } else { Box::new(mine.and(open)) }
}

/// Those of them that were never shown again and are old at a moment.
fn waits_for_drip(account: AccountId, set: &Resurfacing, at: DateTime<Utc>) -> Condition {
    let shown = exists(resurfaced::table.filter(resurfaced::post_id.eq(posts::id)));
    Box::new(may_be_shown(account, set).and(posts::published_at.lt(at - OLD)).and(not(shown)))
}

/// How many posts an account has shown again later than this.
async fn count_since(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    since: DateTime<Utc>,
) -> Result<i64, Error> {
    let recent = resurfaced::account_id.eq(account.0).and(resurfaced::slot_at.gt(since));
    Ok(resurfaced::table.filter(recent).count().get_result(connection).await?)
}
