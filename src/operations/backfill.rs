//! Old posts for the profiles on the servers of followers (decision 0026).
//!
//! Offered one by one to those that fetch them at their own date and out of every feed, and taken out of the pins again.
//! Never a Create.
//!
//! Any number of processes may do this, and any may be killed: what stands in the database says what is next. Start with
//! [`run`].

use super::announcements::Announcer;
use super::{App, Error, each};
use crate::domain::account::Account;
use crate::domain::backfill::{ASIDE, FARTHEST, IDLE, LIFE, LOOK, Offer, OfferOutcome, Server, Step};
use crate::domain::delivery::Outgoing;
use crate::domain::ids::AccountId;
use crate::domain::software::Channel;
use crate::federation::nodeinfo;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Servers that are looked at together, and those of them at the same time.
const TAKEN: i64 = 64;
const AT_ONCE: usize = 4;
/// How long a server is one process's. Asking it what it runs takes a minute at most.
const TURN: TimeDelta = TimeDelta::minutes(5);
/// Longest time for asking a server what it runs.
const LONGEST: Duration = Duration::from_secs(60);
/// How long it is believed what a server said that it runs: it may be brought up to date meanwhile.
const BELIEVED: TimeDelta = TimeDelta::days(3);
/// When a server is asked again that did not say.
const AGAIN: TimeDelta = TimeDelta::hours(6);
/// Posts of a host that are passed over in one turn because it has them already.
const MOST_KNOWN: usize = 50;

/// Look at the servers whose turn it is, once; how many there were.
pub async fn run(app: &App, now: DateTime<Utc>) -> Result<usize, Error> {
    app.store.meet_servers(now).await?;
    app.store.mend_servers(now, now + FARTHEST).await?;
    let servers = app.store.take_servers(TAKEN, now, now + TURN).await?;
    each(servers, AT_ONCE, |server| turn(app, server, now)).await
}

/// Everything that is to be done at one server, and when it is looked at again.
async fn turn(app: &App, mut server: Server, now: DateTime<Utc>) -> Result<(), Error> {
    if app.store.stop_blocked(&server.host, now).await? > 0 {
        tracing::info!(host = server.host, "a server that is blocked is offered no posts any more");
        app.metrics.backfilled("stopped");
    }
    let open = app.store.list_open_offers(&server.host, now).await?;
    for offer in &open {
        step(app, &server.host, offer, now).await?;
    }
    if server.ask <= now && app.store.find_candidate(&server.host, now).await?.is_some() {
        ask(app, &mut server, now).await?;
    }
    let offered = server.is_free(now) && offer(app, &server, now).await?;
    let idle = if server.channel() == Channel::Add { IDLE } else { ASIDE };
    let next = match (offered || !open.is_empty(), server.free_at(now)) {
        (true, _) => now + LOOK,
        (false, free) if free > now => free.min(now + idle),
        (false, _) => now + idle,
    };
    Ok(app.store.leave_server(&server.host, next).await?)
}

/// Ask a server what it runs. Whoever cannot be had now is asked again later; what it said before stands.
async fn ask(app: &App, server: &mut Server, now: DateTime<Utc>) -> Result<(), Error> {
    let sender = app.server_sender().await?;
    let asking = nodeinfo::software(&app.courier, &sender, &server.host, now);
    let told = match tokio::time::timeout(LONGEST, asking).await {
        Ok(told) => told.map_err(|error| error.to_string()),
        Err(_) => Err(format!("{} takes too long to say what it runs", server.host)),
    };
    let ask = now + if told.is_ok() { BELIEVED } else { AGAIN };
    app.store.keep_software(&server.host, told.as_ref().map_err(String::as_str), now, ask).await?;
    match told {
        Ok(software) => server.software = Some(software),
        Err(why) => tracing::debug!(host = server.host, why, "a server does not say what it runs"),
    }
    Ok(())
}

/// Move an offer on.
async fn step(app: &App, host: &str, offer: &Offer, now: DateTime<Utc>) -> Result<(), Error> {
    let event = match offer.next(now) {
        Step::Wait => None,
        Step::Note => {
            app.store.note_fetched(offer, now).await?;
            Some("fetched")
        }
        Step::Remove(outcome) => {
            let Some(speaker) = Speaker::find(app, offer.account, now).await? else { return Ok(()) };
            let remove = speaker.remove(offer);
            app.store.remove_offer(offer, outcome, &remove, now).await?.then_some("removed")
        }
        Step::Done(outcome) => {
            app.store.finish_offer(offer, outcome).await?;
            None
        }
        Step::Forget => {
            app.store.forget_offer(offer).await?;
            None
        }
        Step::Drop => {
            app.store.drop_offer(offer, now).await?;
            None
        }
        Step::Fail { why, remove } => {
            let Some(speaker) = Speaker::find(app, offer.account, now).await? else { return Ok(()) };
            let remove = remove.then(|| speaker.remove(offer));
            let failed = app.store.fail_offer(host, offer, &why, remove.as_ref(), now).await?;
            failed.then(|| tell(host, &why))
        }
        Step::Hold(why) => app.store.pause_offers(host, &why, now).await?.then(|| tell(host, &why)),
        Step::GiveUp(why) => {
            app.store.pause_offers(host, &why, now).await?;
            let outcome = offer.outcome.unwrap_or(OfferOutcome::Unfetched);
            app.store.finish_offer(offer, outcome).await?.then(|| tell(host, &why))
        }
    };
    if let Some(event) = event {
        app.metrics.backfilled(event);
    }
    Ok(())
}

fn tell(host: &str, why: &str) -> &'static str {
    tracing::info!(host, why, "a server is offered no posts for a day");
    "paused"
}

/// Offer a server the next post, if there is one; whether it was.
async fn offer(app: &App, server: &Server, now: DateTime<Utc>) -> Result<bool, Error> {
    for _ in 0..MOST_KNOWN {
        let Some(candidate) = app.store.find_candidate(&server.host, now).await? else { return Ok(false) };
        if candidate.known {
            app.store.pass_over(&server.host, &candidate, now).await?;
            continue;
        }
        let Some(speaker) = Speaker::find(app, candidate.account, now).await? else { return Ok(false) };
        let Speaker { account, announcer } = &speaker;
        let add = announcer.offer(account, candidate.post, &candidate.inbox, now + LIFE);
        let exposes = !account.urls().domain().is_loopback();
        let offered = app.store.offer(&server.host, &candidate, &add, exposes, now).await?;
        if offered {
            app.metrics.backfilled("offered");
        }
        return Ok(offered);
    }
    Ok(false)
}

/// An account that speaks.
struct Speaker {
    account: Account,
    announcer: Announcer,
}

impl Speaker {
    async fn find(app: &App, id: AccountId, now: DateTime<Utc>) -> Result<Option<Speaker>, Error> {
        let Some(account) = app.store.find_account_by_id(id).await? else { return Ok(None) };
        let announcer = Announcer::of(app, &account, now).await?;
        Ok(Some(Speaker { account, announcer }))
    }

    fn remove(&self, offer: &Offer) -> Outgoing {
        self.announcer.end_offer(&self.account, offer.post, &offer.inbox)
    }
}
