//! What is done about what an inbox was sent, once it is clear who sent it.
//!
//! Each deed is judged here and becomes one [`Effect`], which the store carries out together with remembering the
//! activity. What needs the network becomes an errand. Must never believe a word about what is on another host than the
//! actor's (FEP-fe34). Start with [`receive`]; [`authenticate`](authenticate::authenticate) comes before it.

pub mod authenticate;
mod follows;
mod notes;
mod reactions;

pub(super) use notes::{Fetched, fetched};

use super::{App, Error};
use crate::activitystreams::read::incoming::{Deed, Incoming, Subject};
use crate::domain::account::Account;
use crate::domain::echo::{Errand, ErrandKind};
use crate::domain::remote::{KnownActor, host_of, same_host};
use crate::domain::urls::Named;
use crate::store::received::{Effect, Taken};
use chrono::{DateTime, Utc};

/// An activity of which it is clear who sent it.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it says.
    pub incoming: Incoming,
    /// The JSON as it came.
    pub text: String,
    /// Whose it is.
    pub actor: KnownActor,
    /// What tells it from every other that is not a copy of it: by the request, or by its proof if somebody else sent it.
    pub seal: [u8; 32],
    /// Whether somebody else sent it. Then it is not new because the request is.
    pub relayed: bool,
}

/// What became of an activity. All of these are success for its sender, but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed something.
    Changed,
    /// There was nothing to change.
    Unchanged,
    /// It came before.
    Before,
    /// It is nothing that we do anything about, and why.
    Ignored(&'static str),
    /// It claims what is not its sender's to claim.
    Foreign,
}

/// Take an activity in.
pub async fn receive(app: &App, message: &Message, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let Message { incoming, actor, .. } = message;
    if incoming.id.as_ref().is_some_and(|id| !same_host(id, &actor.told.uri)) {
        return Ok(Outcome::Foreign);
    }
    match &incoming.deed {
        Deed::Follow(object) => follows::follow(app, message, object, now).await,
        Deed::Undo(undone) => reactions::undo(app, message, undone, now).await,
        Deed::Block(object) => match find_account(app, object).await? {
            Some(account) => carry_out(app, message, &Effect::Leave(account.id), now).await,
            None => Ok(Outcome::Ignored("it blocks nobody who is here")),
        },
        Deed::Like { .. } | Deed::EmojiReact { .. } | Deed::Announce(_) => reactions::react(app, message, now).await,
        Deed::Create(subject) => notes::told(app, message, subject, false, now).await,
        Deed::Update(Subject::Actor(uri)) if *uri == actor.told.uri => {
            errand(app, message, ErrandKind::Actor, uri, now).await
        }
        Deed::Update(subject) => notes::told(app, message, subject, true, now).await,
        Deed::Delete(uri) if *uri == actor.told.uri => {
            let outcome = carry_out(app, message, &Effect::Vanish, now).await?;
            app.actors.forget(uri);
            Ok(outcome)
        }
        Deed::Delete(uri) if same_host(uri, &actor.told.uri) => {
            // What is deleted twice is gone; so nothing else than that has to be remembered.
            let taken = app.store.receive(actor, None, &Effect::Delete(uri), now).await?;
            Ok(outcome(app, actor, taken))
        }
        Deed::Flag { objects, content } => report(app, message, objects, content, now).await,
        // Their own actor says where they have moved. They go on following until they say otherwise.
        Deed::Move(_) => errand(app, message, ErrandKind::Actor, &actor.told.uri, now).await,
        Deed::Unknown(kind) => carry_out(app, message, &Effect::Unknown(kind), now).await,
        Deed::Delete(_) => Ok(Outcome::Ignored("it deletes what is on another host")),
        Deed::Accept | Deed::Reject => Ok(Outcome::Ignored("nothing was asked of it")),
        Deed::Arrange => Ok(Outcome::Ignored("its collections are not kept here")),
        Deed::QuoteRequest { .. } => Ok(Outcome::Ignored("quotes are not stamped here")),
    }
}

/// A report to the owner of an account, with what of it is here.
async fn report(
    app: &App,
    message: &Message,
    objects: &[String],
    content: &str,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    let mut reported: Option<Account> = None;
    let mut ours: Vec<String> = Vec::new();
    for object in objects {
        let account = match &reported {
            Some(account) if object.starts_with(account.urls().domain().base()) => Some(account.clone()),
            Some(_) => None,
            None => find_account(app, object).await?,
        };
        if let Some(account) = account {
            ours.push(object.clone());
            reported = Some(account);
        }
    }
    match reported {
        Some(account) => {
            let effect = Effect::Report { account: account.id, objects: &ours, content };
            carry_out(app, message, &effect, now).await
        }
        None => Ok(Outcome::Ignored("it reports nothing that is here")),
    }
}

/// Put something that has to be fetched into the queue.
async fn errand(
    app: &App,
    message: &Message,
    kind: ErrandKind,
    url: &str,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    let cause = host_of(&message.actor.told.uri).unwrap_or_default();
    carry_out(app, message, &Effect::Fetch(&Errand { kind, url: url.to_owned(), cause }), now).await
}

/// Remember an activity and do what it says.
async fn carry_out(app: &App, message: &Message, effect: &Effect<'_>, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let taken = app.store.receive(&message.actor, message.incoming.id.as_deref(), effect, now).await?;
    Ok(outcome(app, &message.actor, taken))
}

/// The same for what may be said again under the same id, once it was taken back: only a copy of the request is the same.
async fn carry_out_again(
    app: &App,
    message: &Message,
    effect: &Effect<'_>,
    now: DateTime<Utc>,
) -> Result<Outcome, Error> {
    let seal: String = message.seal.iter().map(|byte| format!("{byte:02x}")).collect();
    let taken = app.store.receive(&message.actor, Some(&seal), effect, now).await?;
    Ok(outcome(app, &message.actor, taken))
}

fn outcome(app: &App, actor: &KnownActor, taken: Taken) -> Outcome {
    match taken {
        Taken::Changed => Outcome::Changed,
        Taken::Unchanged => Outcome::Unchanged,
        Taken::Before => Outcome::Before,
        Taken::ActorGone => {
            // Another process heard of it, or it happened just now.
            app.actors.forget(&actor.told.uri);
            Outcome::Ignored("its actor is gone")
        }
    }
}

/// The account that a URL names, itself or a post of it, whatever its state.
async fn find_account(app: &App, url: &str) -> Result<Option<Account>, Error> {
    let Some(named) = Named::read(url) else { return Ok(None) };
    let authority = named.base.split_once("://").map_or("", |(_, authority)| authority);
    let domain = app.store.find_domain(authority).await?.filter(|domain| domain.base_url == named.base);
    let Some(domain) = domain else { return Ok(None) };
    Ok(app.store.find_account(domain.id, &named.handle).await?)
}
