//! Where else an account's owner is: aliases, by which others may move here, and the move of the account itself.
//!
//! An actor is asked for itself before anything is said about it. Start with [`move_to`].

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::moves::{self, MOST_ALIASES};
use crate::domain::remote::RemoteActor;
use crate::federation::{actors, fetch};
use chrono::{DateTime, Utc};

/// A move that was taken back. Shown as where it had led to and who has heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// Where the account had moved to.
    pub target: String,
    /// Servers that had been told of the Move, or were just being told.
    pub gone: u64,
    /// Servers that it was still to be sent to, and is not any more.
    pub dropped: u64,
}

impl std::fmt::Display for TakenBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TakenBack { target, gone, dropped } = self;
        write!(f, "{target} (servers that were told of the move: {gone}, that are not told any more: {dropped})")
    }
}

/// Move an account to another actor: it says so, and its followers' servers are told. The actor that it moved to.
///
/// They make their people follow there. It takes no follows from then on and announces nothing new, and all of it goes on
/// being served.
pub async fn move_to(app: &App, account: &Account, whom: &str, now: DateTime<Utc>) -> Result<RemoteActor, Error> {
    if let Some(obstacle) = moves::obstacle(account, now) {
        return Err(Error::Refused(obstacle));
    }
    let target = find(app, whom, now).await?;
    if let Some(obstacle) = moves::obstacle_at(account, &target) {
        return Err(Error::Refused(obstacle));
    }
    let moved = Account { moved_to: Some(target.uri.clone()), last_move: Some(now), ..account.clone() };
    let announcer = Announcer::of(app, account, now).await?;
    // Misskey goes by `movedTo` of the actor, Mastodon by the Move: the first has to stand when the second comes.
    let told = [announcer.update_actor(&moved), announcer.move_to(account, &target.uri)];
    match app.store.move_account(&moved, &told, now).await? {
        Some(_) => Ok(target),
        None => Err(meanwhile(account)),
    }
}

/// Take a move back: the account takes follows again, and who was not told of it yet is not told any more.
///
/// Who was taken along stays where they are, for nothing undoes that; and another move has to wait as if this one stood.
pub async fn undo(app: &App, account: &Account, now: DateTime<Utc>) -> Result<TakenBack, Error> {
    let Some(target) = &account.moved_to else {
        return Err(Error::Refused(format!("{} has not moved", account.handle)));
    };
    let back = Account { moved_to: None, ..account.clone() };
    let told = Announcer::of(app, account, now).await?.update_actor(&back);
    let recalled = app.store.move_account(&back, &[told], now).await?.ok_or_else(|| meanwhile(account))?;
    Ok(TakenBack { target: target.clone(), gone: recalled.gone, dropped: recalled.dropped })
}

fn meanwhile(account: &Account) -> Error {
    Error::Refused(format!("{} was moved or deleted at the same moment", account.handle))
}

/// Say that an actor is the same person, so that it can move here. With `unchecked` an id is taken as it is, for an actor
/// whose server is no more. The id that it goes by.
pub async fn add_alias(
    app: &App,
    account: &Account,
    whom: &str,
    unchecked: bool,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    let id = match unchecked {
        true if whom.starts_with("https://") => whom.to_owned(),
        true => return Err(Error::Refused("with --unchecked an alias is the id of an actor, https://…".to_owned())),
        false => find(app, whom, now).await?.uri,
    };
    if id == account.urls().actor() {
        return Err(Error::Refused(format!("{id} is the account itself")));
    }
    let known = account.also_known_as();
    if known.contains(&id) {
        return Ok(id);
    }
    if known.len() >= MOST_ALIASES {
        return Err(Error::Refused(format!("an account has at most {MOST_ALIASES} aliases, for others read no more")));
    }
    let mut aliases = account.aliases.clone();
    aliases.push(id.clone());
    set_aliases(app, account, aliases, now).await?;
    Ok(id)
}

/// Say no longer that an actor is the same person.
pub async fn remove_alias(app: &App, account: &Account, whom: &str, now: DateTime<Utc>) -> Result<String, Error> {
    let mut aliases = account.aliases.clone();
    let id = match aliases.iter().any(|alias| alias == whom) {
        true => whom.to_owned(),
        false if account.source_actor.as_deref() == Some(whom) => {
            return Err(Error::Refused(format!(
                "{whom} is the account whose posts are kept here, and always stands there"
            )));
        }
        false if whom.starts_with("https://") => whom.to_owned(),
        false => find(app, whom, now).await?.uri,
    };
    if !aliases.contains(&id) {
        return Err(Error::NotFound(format!("{whom} is no alias; `everpost account alias list` shows them")));
    }
    aliases.retain(|alias| *alias != id);
    set_aliases(app, account, aliases, now).await?;
    Ok(id)
}

async fn set_aliases(app: &App, account: &Account, aliases: Vec<String>, now: DateTime<Utc>) -> Result<(), Error> {
    let changed = Account { aliases, ..account.clone() };
    let told = Announcer::of(app, account, now).await?.update_actor(&changed);
    Ok(app.store.set_aliases(&changed, &told, now).await?)
}

/// An actor as it is at this moment, by `user@domain` or by its id. Its handle has to lead back to it: other servers look it
/// up by that.
async fn find(app: &App, whom: &str, now: DateTime<Utc>) -> Result<RemoteActor, Error> {
    let sender = app.server_sender().await?;
    let refused = |message: String| Error::Refused(message);
    let id = match whom.starts_with("https://") || whom.starts_with("http://") {
        true => whom.to_owned(),
        false => fetch::webfinger(&app.courier, &sender, whom, now)
            .await
            .map_err(|error| refused(format!("{whom} leads to no actor: {error}")))?,
    };
    let actor = match app.actors.refresh(&id, now).await {
        Ok(known) => known.told,
        Err(actors::Error::Inner(error)) => return Err(Error::Task(error.to_string())),
        Err(error) => return Err(refused(format!("the actor of {whom} cannot be had: {error}"))),
    };
    let Some(handle) = &actor.handle else {
        return Err(refused(format!("{} has no handle, and nobody could find it", actor.uri)));
    };
    let back = fetch::webfinger(&app.courier, &sender, handle, now).await.map_err(|error| {
        refused(format!("{} says that it is {handle}, which leads to no actor: {error}", actor.uri))
    })?;
    if back != actor.uri {
        return Err(refused(format!("{} says that it is {handle}, but that leads to {back}", actor.uri)));
    }
    Ok(actor)
}
