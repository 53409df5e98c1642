//! What followers are told of a change, enqueued in the transaction that makes it.
//!
//! What is said is made by whoever asks for the change, from the account or post as it stands afterwards: this room knows
//! no ActivityPub. Start with `announce`.

use super::schema::{accounts, activities, deliveries, domains, followers, posts};
use super::{Error, deliveries as queue};
use crate::domain::account::{Account, Handle};
use crate::domain::delivery::Outgoing;
use crate::domain::follower::FollowState;
use crate::domain::ids::{AccountId, ActivityId, PostId};
use crate::domain::post::Post;
use crate::domain::urls::DomainUrls;
use chrono::{DateTime, Duration, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;

/// Makes, from an account as it stands after a change, what its followers are told; `None` for nothing.
pub type OfAccount<'a> = &'a (dyn Fn(&Account) -> Option<Outgoing> + Send + Sync);

/// The same of a post of an account.
pub type OfPost<'a> = &'a (dyn Fn(&Account, &Post) -> Option<Outgoing> + Send + Sync);

/// What tells of a post, or points at it: for nobody any more once the post is withdrawn.
const TELLING: [&str; 4] = ["Create", "Update", "Announce", "Add"];

/// What followers are told of the posts of an import.
#[derive(Clone, Copy)]
pub struct OfBatch<'a> {
    /// Of a post that came for the first time.
    pub created: OfPost<'a>,
    /// The date that such a post has to be younger than, so that it is looked at.
    pub since: DateTime<Utc>,
    /// Of a post whose text was changed.
    pub edited: OfPost<'a>,
}

/// New and edited posts that an account announces within an hour at most: more at once is a repair of an archive and no edit,
/// and would look like spam.
pub const POSTS_AN_HOUR: i64 = 20;

/// Enqueue what followers are told, on a connection inside the transaction which makes it true; its number. Nothing where
/// nobody follows.
///
/// What was enqueued before about the same object and is only an earlier state of it is dropped, as far as it waits still:
/// who changes five things gets one message out, not five. A Delete takes it back altogether: see [`take_back`].
pub(super) async fn announce(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    outgoing: &Outgoing,
    now: DateTime<Utc>,
) -> Result<Option<ActivityId>, Error> {
    if outgoing.kind == "Delete" {
        take_back(connection, account, &[outgoing.object.as_str()], now).await?;
    }
    if !has_followers(connection, account).await? {
        return Ok(None);
    }
    if outgoing.kind == "Update" {
        let earlier = [outgoing.object.as_str()];
        drop_waiting(connection, account, &earlier, &["Update"], "a later Update took its place", now).await?;
    }
    queue::enqueue(connection, account, outgoing, now).await
}

/// Take back what was said of posts that are withdrawn: what waits of it is dropped, and no text of it is kept.
pub(super) async fn take_back_edits(
    connection: &mut AsyncPgConnection,
    withdrawn: &[i64],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let rows: Vec<(i64, i64, String, String)> = posts::table
        .inner_join(accounts::table.on(accounts::id.eq(posts::account_id)))
        .inner_join(domains::table.on(domains::id.eq(accounts::domain_id)))
        .filter(posts::id.eq_any(withdrawn))
        .select((posts::id, posts::account_id, accounts::handle, domains::base_url))
        .load(connection)
        .await?;
    let mut notes: HashMap<i64, Vec<String>> = HashMap::new();
    for (post, account, handle, base) in rows {
        let handle = Handle::parse(&handle).map_err(|_| Error::Damaged(format!("the handle {handle:?}")))?;
        let note = DomainUrls::new(&base).account(&handle).note(PostId(post));
        notes.entry(account).or_default().push(note);
    }
    for (account, notes) in notes {
        let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
        take_back(connection, AccountId(account), &notes, now).await?;
    }
    Ok(())
}

/// Drop what waits and tells of these objects, and blank all that ever did. A blank one that is leased already and comes back
/// is not sent either.
async fn take_back(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    objects: &[&str],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    drop_waiting(connection, account, objects, &TELLING, "what it tells of was withdrawn", now).await?;
    let told = activities::table
        .filter(activities::account_id.eq(account.0).and(activities::object_uri.eq_any(objects)))
        .filter(activities::kind.eq_any(TELLING).and(activities::signed_by.is_null()));
    diesel::update(told).set(activities::body.eq("")).execute(connection).await?;
    Ok(())
}

/// Drop activities of these kinds about these objects, as far as they wait and nobody is sending them.
async fn drop_waiting(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    objects: &[&str],
    kinds: &[&str],
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let earlier = activities::table
        .filter(activities::account_id.eq(account.0).and(activities::object_uri.eq_any(objects)))
        // One that brings new keys goes out whatever comes after it.
        .filter(activities::kind.eq_any(kinds).and(activities::signed_by.is_null()))
        .select(activities::id);
    let waiting = deliveries::table
        .filter(deliveries::activity_id.eq_any(earlier))
        .filter(deliveries::state.eq("waiting").and(deliveries::leased_until.is_null()));
    let dropped =
        (deliveries::state.eq("dropped"), deliveries::settled_at.eq(now), deliveries::answer.eq(why.to_owned()));
    diesel::update(waiting).set(dropped).execute(connection).await?;
    Ok(())
}

/// How many posts, new or edited, may still be announced at this moment.
pub(super) async fn posts_left(
    connection: &mut AsyncPgConnection,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<usize, Error> {
    if !has_followers(connection, account).await? {
        return Ok(0);
    }
    let recent: i64 = activities::table
        .filter(activities::account_id.eq(account.0).and(activities::kind.eq_any(["Create", "Update"])))
        .filter(activities::object_uri.like("%/statuses/%"))
        .filter(activities::created_at.gt(now - Duration::hours(1)))
        .count()
        .get_result(connection)
        .await?;
    Ok(usize::try_from(POSTS_AN_HOUR - recent).unwrap_or(0))
}

async fn has_followers(connection: &mut AsyncPgConnection, account: AccountId) -> Result<bool, Error> {
    let accepted = followers::table
        .filter(followers::account_id.eq(account.0).and(followers::state.eq(FollowState::Accepted.as_str())));
    Ok(diesel::select(diesel::dsl::exists(accepted)).get_result(connection).await?)
}
