//! What is fetched because of what was received: replies that were only named, what they answer, actors that changed.
//!
//! Bounded: ten objects for a reply, a minute and five tries for an errand, two at a time for a host. Whoever is blocked
//! is not asked. Start with [`run`].

use super::receive::{Fetched, fetched};
use super::{App, Error, each};
use crate::domain::echo::ErrandKind;
use crate::federation::fetch;
use crate::store::errands::LeasedErrand;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Errands that are done at the same time by one process.
const AT_ONCE: usize = 4;
/// Errands that are leased together.
const LEASED: i64 = 16;
/// Longest time for one errand, whatever it has to fetch.
const LONGEST: Duration = Duration::from_secs(60);
/// How long an errand is one worker's: four rounds at the slowest, and as much again.
const LEASE: TimeDelta = TimeDelta::minutes(10);
/// Waits before further tries, in minutes; after the last there is none.
const TRIES: [i64; 4] = [1, 10, 60, 360];
/// Objects that are fetched for one reply: itself, and what it answers.
const MOST_FETCHED: usize = 10;

/// What became of an errand.
enum Done {
    /// It is done, or nothing will ever come of it.
    Finished,
    /// It may succeed later.
    Later(String),
}

/// Do what is due, once; how many errands there were.
pub async fn run(app: &App, now: DateTime<Utc>) -> Result<usize, Error> {
    let leased = app.store.lease_errands(LEASED, now, now + LEASE).await?;
    each(leased, AT_ONCE, |leased| settle(app, leased, now)).await
}

async fn settle(app: &App, leased: LeasedErrand, now: DateTime<Utc>) -> Result<(), Error> {
    let url = &leased.errand.url;
    let doing = async {
        match leased.errand.kind {
            ErrandKind::Reply => reply(app, url, now).await,
            ErrandKind::Actor => actor(app, url, now).await,
        }
    };
    let too_long = |_| Ok(Done::Later("it took too long".to_owned()));
    let done = tokio::time::timeout(LONGEST, doing).await.unwrap_or_else(too_long);
    let why = match done {
        Ok(Done::Finished) => return Ok(app.store.finish_errand(&leased).await?),
        Ok(Done::Later(why)) => why,
        // It is leased, and comes again when that ends.
        Err(error @ Error::Store(_)) => return Err(error),
        Err(error) => error.to_string(),
    };
    match usize::try_from(leased.attempts).ok().and_then(|attempts| TRIES.get(attempts)) {
        Some(minutes) => {
            tracing::debug!(url, why, "something could not be fetched and is tried again");
            app.store.postpone_errand(&leased, now + TimeDelta::minutes(*minutes)).await?;
        }
        None => {
            tracing::info!(url, why, "something could not be fetched and is left alone");
            app.store.finish_errand(&leased).await?;
        }
    }
    Ok(())
}

/// Fetch a post that may answer us, and what it answers, up to what is known; then keep them from there on down.
async fn reply(app: &App, url: &str, now: DateTime<Utc>) -> Result<Done, Error> {
    let sender = app.server_sender().await?;
    let mut next = url.to_owned();
    let mut below = Vec::new();
    for _ in 0..MOST_FETCHED {
        if app.store.is_blocked(None, &next).await? {
            return Ok(Done::Finished);
        }
        let value = match fetch::object(&app.courier, &sender, &next, now).await {
            Ok(value) => value,
            Err(fetch::Error::Later { url, cause }) => return Ok(Done::Later(format!("{url}: {cause}"))),
            Err(error) => {
                if matches!(error, fetch::Error::Gone(_) | fetch::Error::NotFound(_)) && below.is_empty() {
                    app.store.delete_reply(url, now).await?;
                }
                return Ok(Done::Finished);
            }
        };
        match kept(app, &value, now).await? {
            Ok(Fetched::Kept) => {
                while let Some(value) = below.pop() {
                    match kept(app, &value, now).await? {
                        Ok(Fetched::Kept) => {}
                        Ok(_) => break,
                        Err(why) => return Ok(Done::Later(why)),
                    }
                }
                return Ok(Done::Finished);
            }
            Ok(Fetched::Nothing(why)) => {
                tracing::debug!(url, why, "a reply is not kept");
                return Ok(Done::Finished);
            }
            Ok(Fetched::Answers(above)) => {
                below.push(value);
                next = above;
            }
            Err(why) => return Ok(Done::Later(why)),
        }
    }
    Ok(Done::Finished)
}

/// Take an object in; the inner error says why that may succeed later.
async fn kept(app: &App, value: &serde_json::Value, now: DateTime<Utc>) -> Result<Result<Fetched, String>, Error> {
    match fetched(app, value, now).await {
        Ok(fetched) => Ok(Ok(fetched)),
        Err(Error::NotFound(_)) => Ok(Ok(Fetched::Nothing("its author cannot be had"))),
        Err(Error::Later(why)) => Ok(Err(why)),
        Err(error) => Err(error),
    }
}

/// Fetch an actor that says that it has changed.
async fn actor(app: &App, uri: &str, now: DateTime<Utc>) -> Result<Done, Error> {
    match app.actors.refresh(uri, now).await.map_err(Error::from) {
        // It was fetched shortly before it changed, and is not asked again so soon.
        Ok(actor) if actor.fetched < now - TimeDelta::seconds(1) => {
            Ok(Done::Later("it was asked a moment ago".to_owned()))
        }
        Ok(_) | Err(Error::NotFound(_)) => Ok(Done::Finished),
        Err(Error::Later(why)) => Ok(Done::Later(why)),
        Err(error) => Err(error),
    }
}
