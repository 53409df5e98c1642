//! Sending what is in the queue: leases it, signs it, sends it, writes down what came of it (decision 0022).
//!
//! [`Queue::run`] is the loop; any number of processes run it. `policy.rs` says what follows from an outcome, `round.rs`
//! does the work of one turn, `gone.rs` clears up inboxes that are gone. Must never know what an activity says.
//! No transaction is open while something is sent.

mod gone;
pub mod policy;
mod round;

use crate::federation::actors::Actors;
use crate::federation::courier::Courier;
use crate::metrics::Metrics;
use crate::store::Store;
use chrono::{DateTime, Utc};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

/// How long a lease lasts. A worker that was killed leaves its deliveries to the others after that.
const LEASE: Duration = Duration::from_secs(15);
/// How often a worker prolongs its leases, and takes over those that ran out.
const PULSE: Duration = Duration::from_secs(5);
/// Longest time without a look at the queue, where no notification arrives.
const POLL: Duration = Duration::from_secs(15);
/// Shortest time between two looks that found nothing, so that two workers do not hunt each other.
const BREATH: Duration = Duration::from_millis(50);
/// How long what has ended waits at most for more that ends, before it is written down and makes room.
const GATHER: Duration = Duration::from_millis(20);
/// How often at most a worker that is full calls the others.
const CALL: Duration = Duration::from_secs(1);
/// Wait after the database failed: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Longest wait for the last words to the database.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often inboxes that are gone are cleared up.
const CLEAR_UP: Duration = Duration::from_secs(60);
/// How often old rows are forgotten.
const TIDY: Duration = Duration::from_secs(3600);

/// Where a worker reads the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// How much a worker does at once.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Deliveries that this process has under way at the same time. Half of them are kept for hosts that answered last,
    /// and of the others half for hosts that did not fail last.
    pub slots: usize,
    /// Deliveries under way to one host that answers, all processes together; to others it is one.
    pub per_host: usize,
    /// How long what is under way may take once the worker is told to stop.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { slots: 128, per_host: 4, drain: Duration::from_secs(10) }
    }
}

/// The queue as a worker sees it.
#[derive(Clone)]
pub struct Queue {
    /// The database.
    pub store: Store,
    /// What signs and sends.
    pub courier: Courier,
    /// The actors of others, and the keys of ours.
    pub actors: Actors,
    /// Where outcomes are counted.
    pub metrics: Metrics,
    /// Where the time is read.
    pub clock: Clock,
    /// How much is done at once.
    pub options: Options,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Queue {
    /// Send what is due until `stop` resolves; what is under way then is finished in the time that is left for it, and what
    /// is not finished is left to others.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let heard = Arc::new(Notify::new());
        let helpers = [
            tokio::spawn({
                let (store, heard) = (self.store.clone(), heard.clone());
                async move { store.listen_for_deliveries(|_| heard.notify_one()).await }
            }),
            tokio::spawn(self.clone().look_after()),
        ];
        let mut round = round::Round::new(&self);
        self.work(&mut round, &heard, stop).await;
        helpers.iter().for_each(tokio::task::JoinHandle::abort);
        round.finish(self.options.drain).await;
        if timeout(LAST_WORDS, round.leave()).await.is_err() {
            tracing::warn!("the database did not hear which deliveries were left; they are sent when their lease ends");
        }
    }

    async fn work(&self, round: &mut round::Round<'_>, heard: &Notify, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look_at = Instant::now();
        let mut trouble = Trouble::default();
        loop {
            if trouble.is_over() {
                let turn = async {
                    // What ended makes room for more.
                    if round.settle().await? {
                        look_at = Instant::now();
                    }
                    if look_at <= Instant::now() {
                        look_at = round.look().await?;
                    }
                    Ok(())
                };
                tokio::pin!(turn);
                let done = tokio::select! {
                    done = &mut turn => done,
                    () = &mut stop => {
                        // Broken off it would leave a transaction open, which the last words then wait for.
                        if timeout(LAST_WORDS, &mut turn).await.is_err() {
                            tracing::debug!("the database did not answer to the end of a turn");
                        }
                        return;
                    }
                };
                trouble.note(done);
            }
            tokio::select! {
                () = &mut stop => return,
                () = round.some_ended() => {}
                () = heard.notified() => look_at = Instant::now(),
                () = sleep_until(trouble.until.unwrap_or(look_at)) => {}
                _ = pulse.tick(), if trouble.is_over() => {
                    // Right after an outage others have not written down yet what they had under way.
                    let take_over = trouble.last.is_none_or(|last| last.elapsed() > LEASE);
                    trouble.note(round.pulse(take_over).await);
                }
            }
        }
    }

    /// What has to be done now and then.
    async fn look_after(self) {
        let (mut clear_up, mut tidy) = (interval(CLEAR_UP), interval(TIDY));
        loop {
            let done = tokio::select! {
                _ = clear_up.tick() => self.clear_up().await,
                _ = tidy.tick() => self.tidy().await,
            };
            if let Err(error) = done {
                tracing::debug!(%error, "the queue could not be looked after; that is done later");
            }
        }
    }

    /// Forget what is old, and the keys of accounts that are gone once nothing is left to be signed with them.
    async fn tidy(&self) -> Result<(), crate::store::Error> {
        self.store.forget_keys().await?;
        loop {
            match self.store.tidy_deliveries(policy::AGES, (self.clock)()).await? {
                Some((_, true)) => tokio::task::yield_now().await,
                Some((tidied, false)) => {
                    tracing::debug!(?tidied, "the queue was tidied");
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }
}

/// How it goes with the database.
#[derive(Debug, Default)]
struct Trouble {
    /// When to try again, while it fails.
    until: Option<Instant>,
    wait: Duration,
    /// When it last failed.
    last: Option<Instant>,
}

impl Trouble {
    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    fn note(&mut self, turn: Result<(), crate::store::Error>) {
        match turn {
            Ok(()) if self.until.take().is_some() => {
                self.wait = Duration::ZERO;
                tracing::info!("deliveries go on");
            }
            Ok(()) => {}
            Err(error) => {
                if self.until.is_none() {
                    tracing::warn!(%error, "deliveries stand still until the database answers");
                }
                self.wait = (self.wait * 2).clamp(RETRY.0, RETRY.1);
                (self.until, self.last) = (Some(Instant::now() + self.wait), Some(Instant::now()));
            }
        }
    }
}
