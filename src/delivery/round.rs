//! One worker at work: what it has leased, what is under way, and what came of it and is not yet written down.

use super::policy::{self, Attempt, Outcome};
use super::{BREATH, CALL, GATHER, LEASE, POLL, Queue};
use crate::domain::account::AccountState;
use crate::domain::delivery::{DeliveryHost, DeliveryState, Leased, Obstacle, Settlement, Standing};
use crate::domain::ids::AccountId;
use crate::federation::courier::Sender;
use crate::federation::senders;
use crate::store::Error;
use crate::store::deliveries::Lanes;
use chrono::{DateTime, Utc};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};

/// A worker and everything that it has.
pub(super) struct Round<'a> {
    queue: &'a Queue,
    /// Its number among all that ever were.
    worker: i64,
    /// Leased and not begun.
    pending: Vec<Leased>,
    /// What is being sent, by the task that does it.
    begun: HashMap<Id, Leased>,
    sending: JoinSet<(Attempt, Duration)>,
    /// What ended and is not written down.
    ended: Vec<(Leased, Verdict)>,
    /// When the other workers were last called to help.
    called: Option<Instant>,
}

/// What came of a delivery that was leased.
enum Verdict {
    /// It was tried.
    Tried(Attempt),
    /// It was not, and is not going to be.
    Untried(DeliveryState, &'static str),
}

/// Who says something, as far as sending it needs to know.
struct Speaker {
    state: AccountState,
    sender: Result<Arc<Sender>, String>,
}

impl<'a> Round<'a> {
    pub fn new(queue: &'a Queue) -> Round<'a> {
        Round {
            queue,
            worker: i64::from_ne_bytes(random()),
            pending: Vec::new(),
            begun: HashMap::new(),
            sending: JoinSet::new(),
            ended: Vec::new(),
            called: None,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        (self.queue.clock)()
    }

    /// Lease what is due, as far as there is room, and begin to send it; when to look again.
    pub async fn look(&mut self) -> Result<Instant, Error> {
        self.begin().await?;
        let lanes = self.lanes();
        if lanes.free.iter().all(|(_, free)| *free == 0) {
            // Whatever ends makes room, and is followed by a look.
            return Ok(Instant::now() + POLL);
        }
        let now = self.now();
        let look = self.queue.store.lease(self.worker, &lanes, now, now + LEASE).await?;
        let found = !look.leased.is_empty();
        self.pending = look.leased;
        if self.begin().await? {
            // What is not sent at all makes room at once, and its hosts may have more.
            return Ok(Instant::now());
        }
        // What there is no room for here may find some elsewhere.
        let full = self.begun.len() >= self.queue.options.slots;
        if full && self.called.is_none_or(|called| called.elapsed() > CALL) {
            self.called = Some(Instant::now());
            self.queue.store.call_workers().await?;
        }
        let wait = look.next.map_or(POLL, |next| (next - now).to_std().unwrap_or_default().min(POLL));
        Ok(Instant::now() + if found { wait } else { wait.max(BREATH) })
    }

    /// How much may be leased: a quarter of the slots for hosts that do not answer, half for these and those that were
    /// never asked, of which an eighth of the slots is filled first, the rest for those that answered last.
    fn lanes(&self) -> Lanes {
        let slots = self.queue.options.slots;
        let busy =
            |standings: &[Standing]| self.begun.values().filter(|leased| standings.contains(&leased.standing)).count();
        let free = slots.saturating_sub(self.begun.len());
        let failing = (slots / 4).saturating_sub(busy(&[Standing::Failing, Standing::Parked]));
        let others = (slots / 2).saturating_sub(busy(&[Standing::New, Standing::Failing, Standing::Parked]));
        // Each lane gets its part at most, and all together what is free.
        let new = others.min(free);
        let failing = failing.min(new);
        let mut lanes =
            [(Standing::Good, free), (Standing::New, new), (Standing::Failing, failing), (Standing::Parked, failing)];
        // Those that answered always have a backlog after a fan-out. An eighth of the slots goes to new hosts before them,
        // or these would not be asked until it is gone.
        let first = (slots / 8).max(1).saturating_sub(busy(&[Standing::New]));
        if first > 0 {
            lanes.swap(0, 1);
            lanes[0].1 = new.min(first);
        }
        Lanes { free: lanes, total: free, each: self.queue.options.per_host }
    }

    /// Begin to send what is leased; whether something of it is settled without being sent.
    async fn begin(&mut self) -> Result<bool, Error> {
        if self.pending.is_empty() {
            return Ok(false);
        }
        let mut speakers: HashMap<(AccountId, Option<String>), Option<Speaker>> = HashMap::new();
        for leased in &self.pending {
            let voice = (leased.account, leased.signed_by.clone());
            if let Entry::Vacant(unknown) = speakers.entry(voice) {
                unknown.insert(self.speaker(leased.account, leased.signed_by.as_deref()).await?);
            }
        }
        let now = self.now();
        for leased in std::mem::take(&mut self.pending) {
            let speaker = speakers.get(&(leased.account, leased.signed_by.clone())).and_then(Option::as_ref);
            match ready(&leased, speaker, now) {
                Ok(sender) => self.send(leased, sender),
                Err(verdict) => self.ended.push((leased, verdict)),
            }
        }
        self.settle().await
    }

    /// An account with the key of that id, or with the one in force.
    async fn speaker(&self, id: AccountId, signed_by: Option<&str>) -> Result<Option<Speaker>, Error> {
        let Some(account) = self.queue.store.find_account_by_id(id).await? else { return Ok(None) };
        let senders = self.queue.actors.senders();
        let found = match signed_by {
            Some(key_id) => senders.account_with(&account, key_id).await,
            None => senders.account(&account).await,
        };
        let sender = match found {
            Ok(sender) => Ok(Arc::new(sender)),
            Err(senders::Error::Store(error)) => return Err(error),
            Err(error) => {
                tracing::error!(account.handle = account.handle.as_str(), %error, "an account's messages cannot be signed");
                Err(error.to_string())
            }
        };
        Ok(Some(Speaker { state: account.state, sender }))
    }

    fn send(&mut self, leased: Leased, sender: Arc<Sender>) {
        let (courier, clock) = (self.queue.courier.clone(), self.queue.clock.clone());
        let (inbox, body) = (leased.inbox.clone(), leased.body.clone());
        let task = self.sending.spawn(async move {
            let begun = Instant::now();
            let answer = courier.post(&sender, &inbox, body.as_bytes(), clock()).await;
            (policy::read(answer, clock()), begun.elapsed())
        });
        self.begun.insert(task.id(), leased);
    }

    /// Resolves when something that is under way has ended, and with it what ends right after it: a turn costs the database
    /// hardly more for many than for one. Never resolves where nothing is under way.
    pub async fn some_ended(&mut self) {
        match self.sending.join_next_with_id().await {
            Some(ended) => self.note(ended),
            None => std::future::pending().await,
        }
        let until = Instant::now() + GATHER;
        while self.ended.len() < self.queue.options.slots / 2 {
            match timeout_at(until, self.sending.join_next_with_id()).await {
                Ok(Some(ended)) => self.note(ended),
                Ok(None) | Err(_) => return,
            }
        }
        while let Some(ended) = self.sending.try_join_next_with_id() {
            self.note(ended);
        }
    }

    fn note(&mut self, ended: Result<(Id, (Attempt, Duration)), tokio::task::JoinError>) {
        let (id, attempt, took) = match ended {
            Ok((id, (attempt, took))) => (id, attempt, Some(took)),
            Err(error) => (error.id(), Attempt::unsent("sending it broke off"), None),
        };
        if let Some(leased) = self.begun.remove(&id) {
            self.queue.metrics.delivered(attempt.outcome.name(), took);
            self.ended.push((leased, Verdict::Tried(attempt)));
        }
    }

    /// Write down what ended; whether anything did.
    pub async fn settle(&mut self) -> Result<bool, Error> {
        if self.ended.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        let mut hosts: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
        let (mut settlements, mut gone) = (Vec::new(), Vec::new());
        for (leased, verdict) in &self.ended {
            let attempts = hosts.entry(&leased.host).or_default();
            settlements.push(match verdict {
                Verdict::Untried(state, why) => {
                    let answer = (*why).to_owned();
                    Settlement { id: leased.id, state: *state, due: None, status: None, answer }
                }
                Verdict::Tried(attempt) => {
                    attempts.push(attempt);
                    let (state, due) = policy::next(attempt.outcome, leased.attempts, leased.enqueued, now, chance());
                    if let (Outcome::Gone | Outcome::Missing, Some(status)) = (attempt.outcome, attempt.status) {
                        gone.push((leased.inbox.clone(), status));
                    }
                    Settlement { id: leased.id, state, due, status: attempt.status, answer: attempt.answer.clone() }
                }
            });
        }
        let judge = |host: &mut DeliveryHost| {
            for attempt in hosts.get(host.host.as_str()).into_iter().flatten() {
                policy::judge(host, attempt, now, chance());
            }
        };
        let names: Vec<&str> = hosts.keys().copied().collect();
        let changes = self.queue.store.settle(self.worker, &settlements, &names, judge, &gone, now).await?;
        for (before, after) in changes.iter().filter(|(before, after)| before.standing != after.standing) {
            tell(before, after);
        }
        for (_, verdict) in &self.ended {
            if let Verdict::Untried(state, _) = verdict {
                self.queue.metrics.delivered(state.as_str(), None);
            }
        }
        self.ended.clear();
        Ok(true)
    }

    /// Keep what is leased, and take over what others had and lost.
    pub async fn pulse(&mut self, take_over: bool) -> Result<(), Error> {
        let now = self.now();
        let ended = self.ended.iter().map(|(leased, _)| leased.id);
        let ids: Vec<_> = self.begun.values().chain(&self.pending).map(|leased| leased.id).chain(ended).collect();
        if !ids.is_empty() {
            self.queue.store.prolong_leases(self.worker, &ids, now + LEASE).await?;
        }
        if take_over {
            let taken = self.queue.store.take_over_leases(now).await?;
            if taken > 0 {
                tracing::info!(deliveries = taken, "deliveries of a worker that is gone are taken over");
            }
        }
        Ok(())
    }

    /// Wait for what is under way, no longer than this; the rest is broken off.
    pub async fn finish(&mut self, drain: Duration) {
        let until = Instant::now() + drain;
        while !self.begun.is_empty() {
            if timeout_at(until, self.some_ended()).await.is_err() {
                break;
            }
            // At once: whoever is killed before the end has less to say twice. What cannot be written down waits.
            let _ = timeout_at(until, self.settle()).await;
        }
        self.sending.abort_all();
        while let Some(ended) = self.sending.join_next_with_id().await {
            if ended.is_ok() {
                self.note(ended);
            }
        }
    }

    /// Write down what ended, and let go of the rest.
    pub async fn leave(&mut self) {
        let left = async {
            self.settle().await?;
            self.queue.store.release_leases(self.worker).await
        };
        match left.await {
            Ok(0) => {}
            Ok(left) => tracing::info!(deliveries = left, "deliveries are left to the next worker"),
            Err(error) => tracing::warn!(%error, "deliveries are left to the next worker, when their lease ends"),
        }
    }
}

/// Who signs a delivery, or why it is not sent.
fn ready(leased: &Leased, speaker: Option<&Speaker>, now: DateTime<Utc>) -> Result<Arc<Sender>, Verdict> {
    let dropped = |why| Err(Verdict::Untried(DeliveryState::Dropped, why));
    match (leased.obstacle, speaker) {
        (Some(Obstacle::Blocked), _) => dropped("it goes to somebody who is blocked"),
        // The store blanks what tells of a post that was withdrawn or is no longer shown.
        _ if leased.body.is_empty() => dropped("what it tells of is no longer shown"),
        (Some(Obstacle::Parked), _) => Err(Verdict::Untried(DeliveryState::Gone, "its inbox said that it is gone")),
        _ if now - leased.enqueued > policy::PATIENCE => {
            Err(Verdict::Untried(DeliveryState::Expired, "it had waited too long"))
        }
        _ if leased.expires_at.is_some_and(|at| at <= now) => {
            Err(Verdict::Untried(DeliveryState::Expired, "it was no longer news"))
        }
        (None, None) => dropped("its account is not there"),
        (None, Some(speaker)) if !policy::may_say(&speaker.state, &leased.kind) => {
            dropped("its account no longer says such things")
        }
        (None, Some(Speaker { state: AccountState::Gone { .. }, sender: Err(_) })) => {
            dropped("its account is gone, and its keys with it")
        }
        (None, Some(Speaker { sender, .. })) => sender.clone().map_err(|why| Verdict::Tried(Attempt::unsent(&why))),
    }
}

/// What an operator may want to know of a host.
fn tell(before: &DeliveryHost, after: &DeliveryHost) {
    match after.standing {
        Standing::Parked => {
            tracing::warn!(
                host = after.host,
                reason = after.reason,
                "a host has not answered for a week and is parked"
            );
        }
        Standing::Good if before.standing == Standing::Parked => {
            tracing::info!(host = after.host, "a host that was parked answers again");
        }
        _ => {}
    }
}

/// A number between 0 and 1.
fn chance() -> f64 {
    f64::from(u32::from_ne_bytes(random())) / f64::from(u32::MAX)
}

/// Random bytes. They protect nothing: without randomness they are zeros, and work goes on.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = openssl::rand::rand_bytes(&mut bytes);
    bytes
}
