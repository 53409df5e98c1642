//! Inboxes that answered 404 or 410: whether the followers behind them are gone says their own hosts, and nobody else.

use super::{Queue, policy};
use crate::federation::fetch;
use crate::store;
use crate::store::deliveries::ParkedInbox;
use chrono::TimeDelta;

/// Inboxes that are cleared up in one go.
const AT_ONCE: usize = 5;
/// Wait before another look where the first led to nothing.
const AGAIN: TimeDelta = TimeDelta::minutes(10);

impl Queue {
    /// Ask about followers behind parked inboxes: one for each inbox, a few inboxes at a time.
    pub(super) async fn clear_up(&self) -> Result<(), store::Error> {
        loop {
            let now = (self.clock)();
            let parked = self.store.claim_parked_inboxes(AT_ONCE, now, now + AGAIN).await?;
            if parked.is_empty() {
                return Ok(());
            }
            for inbox in parked {
                self.clear_up_one(&inbox).await?;
            }
        }
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
            // It is there. It may have another inbox by now; if not, the next delivery tells how things stand.
            Ok(_) => {
                let known = self.actors.refresh(actor, now).await;
                let same = known.is_ok_and(|known| {
                    known.told.inbox == parked.inbox || known.told.shared_inbox.as_ref() == Some(&parked.inbox)
                });
                match same {
                    true => self.store.unpark_inbox(&parked.inbox).await,
                    false => self.store.delay_parked_inbox(&parked.inbox, now).await,
                }
            }
            Err(fetch::Error::Gone(_) | fetch::Error::NotFound(_)) => {
                self.store.remove_gone_follower(actor).await?;
                tracing::info!(actor, "a follower is gone, as its own host says, and was removed");
                self.store.delay_parked_inbox(&parked.inbox, now).await
            }
            // A host that does not answer for so long is parked itself, and its inbox is no longer the question.
            Err(_) if now - parked.parked_at > policy::PATIENCE => self.store.unpark_inbox(&parked.inbox).await,
            Err(error) => {
                tracing::debug!(actor, %error, "it is not clear yet whether a follower is gone");
                let pause = policy::backoff(u32::try_from(parked.checks).unwrap_or(u32::MAX).saturating_add(4), 0.5);
                self.store.delay_parked_inbox(&parked.inbox, now + pause).await
            }
        }
    }
}
