//! Inboxes that answered 404 or 410: whether the followers behind them are gone says their own hosts, and nobody else.
//!
//! A 410 and a Tombstone are taken at their word; a 404 has to be said for days.

use super::{Queue, policy};
use crate::federation::fetch;
use crate::store;
use crate::store::deliveries::ParkedInbox;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

/// Inboxes that are claimed together.
const AT_ONCE: usize = 5;
/// Times that this is done in one go, so that whatever else has to be looked after gets its turn.
const STEPS: usize = 10;
/// Wait before another look where the first led to nothing.
const AGAIN: TimeDelta = TimeDelta::minutes(10);

impl Queue {
    /// Ask about followers behind parked inboxes: one for each inbox, a few inboxes at a time.
    pub(super) async fn clear_up(&self) -> Result<(), store::Error> {
        for _ in 0..STEPS {
            let now = (self.clock)();
            let parked = self.store.claim_parked_inboxes(AT_ONCE, now, now + AGAIN).await?;
            if parked.is_empty() {
                break;
            }
            for inbox in parked {
                self.clear_up_one(&inbox).await?;
            }
        }
        Ok(())
    }

    async fn clear_up_one(&self, parked: &ParkedInbox) -> Result<(), store::Error> {
        let now = (self.clock)();
        let Some(actor) = &parked.actor else { return self.store.unpark_inbox(&parked.inbox).await };
        let server = match self.actors.senders().server().await {
            Ok(server) => server,
            Err(error) => {
                tracing::error!(%error, "nobody can ask whether a follower is gone");
                return Ok(());
            }
        };
        match fetch::object(&self.courier, &server, actor, now).await {
            Ok(value) if is_tombstone(&value) => self.remove(parked, actor, now).await,
            Ok(_) => self.look_where_it_is(parked, actor, now).await,
            Err(fetch::Error::Gone(_)) => self.remove(parked, actor, now).await,
            Err(fetch::Error::NotFound(_)) => {
                let looks = parked.missing.saturating_add(1);
                if policy::is_gone(looks, parked.parked_at, now) {
                    return self.remove(parked, actor, now).await;
                }
                tracing::debug!(actor, looks, "a follower is missing; it is looked for again before it is removed");
                self.store.delay_parked_inbox(&parked.inbox, looks, now + pause(parked)).await
            }
            // A host that does not answer for so long is parked itself, and its inbox is no longer the question.
            Err(_) if now - parked.parked_at > policy::PATIENCE => self.store.unpark_inbox(&parked.inbox).await,
            Err(error) => {
                tracing::debug!(actor, %error, "it is not clear yet whether a follower is gone");
                self.store.delay_parked_inbox(&parked.inbox, 0, now + pause(parked)).await
            }
        }
    }

    /// The actor is there. It may have another inbox by now; if not, the next delivery tells how things stand.
    async fn look_where_it_is(
        &self,
        parked: &ParkedInbox,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<(), store::Error> {
        let leads_here =
            |inbox: &str, shared: Option<&str>| inbox == parked.inbox || shared == Some(parked.inbox.as_str());
        let found = self.actors.refresh(actor, now).await;
        if found.as_ref().is_ok_and(|known| leads_here(&known.told.inbox, known.told.shared_inbox.as_deref())) {
            return self.store.unpark_inbox(&parked.inbox).await;
        }
        // The next actor's turn comes at once only where this one leads here no more: what came may be another one's, or
        // of no use, and then this one would be asked again and again.
        let stored = self.store.find_remote_actor(actor).await?;
        let still = stored.is_some_and(|known| leads_here(&known.told.inbox, known.told.shared_inbox.as_deref()));
        let again = if still { now + pause(parked) } else { now };
        self.store.delay_parked_inbox(&parked.inbox, 0, again).await
    }

    /// Remove a follower, and have the next one behind its inbox looked at.
    async fn remove(&self, parked: &ParkedInbox, actor: &str, now: DateTime<Utc>) -> Result<(), store::Error> {
        self.store.remove_gone_follower(actor).await?;
        tracing::info!(actor, "a follower is gone, as its own host says, and was removed");
        self.store.delay_parked_inbox(&parked.inbox, parked.missing, now).await
    }
}

/// How long an inbox is left alone after a look at it.
fn pause(parked: &ParkedInbox) -> TimeDelta {
    policy::backoff(u32::try_from(parked.checks).unwrap_or(u32::MAX).saturating_add(policy::MISSING_AHEAD), 0.5)
}

/// Whether an object says of itself that what stood there was deleted, as some servers do with 200.
fn is_tombstone(value: &Value) -> bool {
    let named = |kind: &Value| kind.as_str() == Some("Tombstone");
    match value.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(named),
        Some(kind) => named(kind),
        None => false,
    }
}
