//! Old posts of an account, shown to its followers again: set by the owner, done by [`run`] when it is time.

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::account::{Account, AccountState};
use crate::domain::ids::AccountId;
use crate::domain::post::Post;
use crate::domain::resurface::{MOST_A_DAY, Resurfacing, obstacle};
use chrono::{DateTime, Utc};

/// Set how an account shows old posts again. A draft may be set, and begins when it is live.
pub async fn set(app: &App, account: &Account, set: &Resurfacing) -> Result<(), Error> {
    if let Some(why) = obstacle(account).filter(|_| account.state != AccountState::Draft) {
        return Err(Error::Refused(format!("{} shows no old posts again: {why}", account.handle)));
    }
    if set.times.is_empty() || set.times.len() > MOST_A_DAY {
        let message = format!("name one to {MOST_A_DAY} times of the day: more boosts a day are a flood");
        return Err(Error::Refused(message));
    }
    Ok(app.store.set_resurfacing(account.id, set).await?)
}

/// What an account shows at its next moment, and when that is.
pub async fn next(
    app: &App,
    account: &Account,
    set: &Resurfacing,
    now: DateTime<Utc>,
) -> Result<Option<(DateTime<Utc>, Option<Post>)>, Error> {
    let Some(at) = set.next(now) else { return Ok(None) };
    Ok(Some((at, app.store.find_resurfaceable(account.id, set, at).await?)))
}

/// Show what it is time for, of every account; how many posts that were. Any number of processes may do this at once, and as
/// often as they like: each moment has its turn once.
pub async fn run(app: &App, now: DateTime<Utc>) -> Result<usize, Error> {
    let (mut shown, mut failed) = (0, None);
    for (account, set) in app.store.list_resurfacing().await? {
        let Some(slot) = set.due(now) else { continue };
        match show(app, account, slot, now).await {
            Ok(one) => shown += usize::from(one),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(shown), Err)
}

async fn show(app: &App, id: AccountId, slot: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool, Error> {
    let Some(account) = app.store.find_account_by_id(id).await? else { return Ok(false) };
    let announcer = Announcer::of(app, &account, now).await?;
    let show = |account: &Account, post: &Post, at| announcer.announce_note(account, post, at);
    let undo = |account: &Account, post: &Post, at| announcer.undo_announce(account, post, at);
    let Some(post) = app.store.resurface(id, slot, &show, &undo, now).await? else { return Ok(false) };
    let handle = account.handle.as_str();
    tracing::info!(account.handle = handle, post.id = %post, "an old post was shown to followers again");
    Ok(true)
}
