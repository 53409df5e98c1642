//! Who follows an account: looked at, accepted, refused, sent away.

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::follower::{FollowState, Follower};
use chrono::{DateTime, Utc};

/// Accept somebody who asked to follow; their server is told.
pub async fn approve(app: &App, account: &Account, who: &str, now: DateTime<Utc>) -> Result<Follower, Error> {
    let follower = find(app, account, who).await?;
    let name = name(&follower);
    if follower.state == FollowState::Accepted {
        return Err(Error::Refused(format!("{name} follows already")));
    }
    if let Some(target) = &account.moved_to {
        return Err(Error::Refused(format!("the account has moved to {target}: nobody can follow it here any more")));
    }
    let answer = Announcer::of(app, account, now).await?.answer(account, &follower, true);
    match app.store.accept_follower(account.id, follower.actor.id, &answer, now).await? {
        true => Ok(follower),
        false => Err(Error::Refused(format!("{name} asks no more"))),
    }
}

/// Refuse somebody who asked to follow; their server is told.
pub async fn reject(app: &App, account: &Account, who: &str, now: DateTime<Utc>) -> Result<Follower, Error> {
    let follower = find(app, account, who).await?;
    if follower.state == FollowState::Accepted {
        let name = name(&follower);
        return Err(Error::Refused(format!("{name} follows already; `everpost follower remove {name}` ends that")));
    }
    send_away(app, account, follower, now).await
}

/// Let somebody follow no more, or ask no more. Their server is told by a Reject of the Follow and drops it; they may ask
/// again, unless they are blocked.
pub async fn remove(app: &App, account: &Account, who: &str, now: DateTime<Utc>) -> Result<Follower, Error> {
    send_away(app, account, find(app, account, who).await?, now).await
}

async fn send_away(app: &App, account: &Account, follower: Follower, now: DateTime<Utc>) -> Result<Follower, Error> {
    let answer = Announcer::of(app, account, now).await?.answer(account, &follower, false);
    match app.store.remove_follower(account.id, follower.actor.id, Some(&answer), now).await? {
        true => Ok(follower),
        false => Err(Error::NotFound(format!("{} follows no more", name(&follower)))),
    }
}

/// The follower who goes by this `user@domain`, or has this id.
async fn find(app: &App, account: &Account, who: &str) -> Result<Follower, Error> {
    let bare = who.trim().trim_start_matches("acct:").trim_start_matches('@');
    let mut found = app.store.find_followers_named(account.id, bare).await?;
    match (found.pop(), found.len()) {
        (Some(follower), 0) => Ok(follower),
        (Some(other), _) => {
            found.push(other);
            let ids: Vec<&str> = found.iter().map(|follower| follower.actor.told.uri.as_str()).collect();
            Err(Error::Refused(format!("several go by {who}; say which by its id: {}", ids.join(", "))))
        }
        (None, _) => Err(Error::NotFound(format!(
            "{who} neither follows {} nor asks to; `everpost follower list` shows who does",
            account.handle
        ))),
    }
}

/// What a follower is called: `@user@domain`, or the id where that is not known.
pub fn name(follower: &Follower) -> String {
    let told = &follower.actor.told;
    told.handle.as_ref().map_or_else(|| told.uri.clone(), |handle| format!("@{handle}"))
}
