//! Finished answers, kept in memory until anything changes.
//!
//! Every entry belongs to a generation, and a change of any kind, by any process, begins a new one: what was read before
//! a change is never answered after it was heard of. While nobody tells of changes, nothing is kept and nothing is
//! answered from here. Must never know what an answer means. Start with [`Cache::moment`].

use super::respond::Finished;
use crate::domain::account::Account;
use crate::domain::feed::Outline;
use crate::domain::ids::DomainId;
use crate::operations::proofs::Prover;
use crate::store::changes::Heard;
use crate::store::domains::Domain;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What an entry costs besides its text: the map's own records, headers, pointers. In bytes, rather too many.
const OVERHEAD: u64 = 512;
/// How long anything is kept: as long as others may keep it. Who changes rows by hand is not heard of.
const LONGEST: Duration = Duration::from_secs(180);
/// What an open Ed25519 key takes in openssl, in bytes, about.
const OPEN_KEY: usize = 1024;
/// The part of the memory that domains and accounts may take.
const NAMES_SHARE: u64 = 16;

/// The cache of a server.
#[derive(Debug)]
pub struct Cache {
    kept: Option<Kept>,
    /// Odd while changes are heard of; it only ever grows.
    generation: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    answers: moka::sync::Cache<Key, Answer>,
    names: moka::sync::Cache<String, (u64, Name)>,
}

/// A generation in which something is read. What is read later than this was taken may be kept under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(u64);

/// Which answer: whether ActivityPub was asked for, the authority, the path and the query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// The key of a representation of a path (with its query) on an authority.
    pub fn new(activitypub: bool, authority: &str, path_and_query: &str) -> Key {
        let representation = if activitypub { "a " } else { "h " };
        Key([representation, authority, path_and_query].concat())
    }
}

#[derive(Clone, Debug)]
struct Answer {
    generation: u64,
    until: Option<DateTime<Utc>>,
    finished: Arc<Finished>,
}

/// What nearly every request has to look up.
#[derive(Clone, Debug)]
enum Name {
    Domain(Domain),
    Account(Arc<Account>),
    Prover(Prover),
    Outline(Arc<Outline>),
}

impl Cache {
    /// A cache of at most `bytes`; none at all where that is 0.
    pub fn new(bytes: u64) -> Cache {
        let text = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let weight = |bytes: u64| u32::try_from(bytes.saturating_add(OVERHEAD)).unwrap_or(u32::MAX);
        let names = bytes / NAMES_SHARE;
        let kept = (bytes > 0).then(|| Kept {
            answers: moka::sync::Cache::builder()
                .max_capacity(bytes - names)
                .time_to_live(LONGEST)
                .weigher(move |key: &Key, answer: &Answer| weight(text(key.0.len()) + answer.finished.bytes()))
                .build(),
            names: moka::sync::Cache::builder()
                .max_capacity(names)
                .time_to_live(LONGEST)
                .weigher(move |key: &String, (_, name)| {
                    let size = match name {
                        Name::Domain(domain) => domain.base_url.len(),
                        Name::Account(account) => {
                            let fields = account.profile.fields.iter().map(|(name, value)| name.len() + value.len());
                            account.profile.summary.as_str().len() + fields.sum::<usize>() + size_of::<Account>()
                        }
                        Name::Prover(_) => OPEN_KEY,
                        Name::Outline(outline) => size_of_val(outline.parts()),
                    };
                    weight(text(key.len() + size))
                })
                .build(),
        });
        Cache { kept, generation: AtomicU64::new(0) }
    }

    /// Whether anything is ever kept.
    pub fn is_on(&self) -> bool {
        self.kept.is_some()
    }

    /// Take in what the listener heard. All entries are of an earlier generation from then on, and their memory is freed.
    pub fn hear(&self, heard: Heard) {
        let next = |now: u64| match heard {
            Heard::Listening => (now + 1) | 1,
            Heard::Changed => now + 2,
            Heard::Lost => (now + 1) & !1,
        };
        // The closure always answers, so this cannot fail.
        let _ = self.generation.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(next(now)));
        if let Some(kept) = &self.kept {
            kept.answers.invalidate_all();
            kept.names.invalidate_all();
        }
    }

    /// The generation that it is now; `None` while nothing may be kept. To be taken before anything is read.
    pub fn moment(&self) -> Option<Moment> {
        let generation = self.generation.load(Ordering::Acquire);
        (self.is_on() && generation % 2 == 1).then_some(Moment(generation))
    }

    /// The answer under a key, if it is of this moment.
    pub fn find(&self, moment: Moment, key: &Key, now: DateTime<Utc>) -> Option<Arc<Finished>> {
        let answer = self.kept.as_ref()?.answers.get(key)?;
        let good = answer.generation == moment.0 && answer.until.is_none_or(|until| now < until);
        good.then_some(answer.finished)
    }

    /// Keep an answer that was read at `moment`, until `until` at most. Once that moment is over it is never found.
    pub fn keep(&self, moment: Moment, key: Key, finished: Arc<Finished>, until: Option<DateTime<Utc>>) {
        if let (Some(kept), true) = (&self.kept, self.moment() == Some(moment)) {
            kept.answers.insert(key, Answer { generation: moment.0, until, finished });
        }
    }

    /// The domain of an authority.
    pub fn find_domain(&self, moment: Moment, authority: &str) -> Option<Domain> {
        match self.kept.as_ref()?.names.get(authority)? {
            (generation, Name::Domain(domain)) if generation == moment.0 => Some(domain),
            _ => None,
        }
    }

    /// Keep the domain of an authority that was read at `moment`.
    pub fn keep_domain(&self, moment: Moment, authority: &str, domain: &Domain) {
        if let Some(kept) = &self.kept {
            kept.names.insert(authority.to_owned(), (moment.0, Name::Domain(domain.clone())));
        }
    }

    /// The account at a handle.
    pub fn find_account(&self, moment: Moment, domain: DomainId, handle: &str) -> Option<Arc<Account>> {
        match self.kept.as_ref()?.names.get(&place(domain, handle))? {
            (generation, Name::Account(account)) if generation == moment.0 => Some(account),
            _ => None,
        }
    }

    /// Keep an account that was read at `moment`.
    pub fn keep_account(&self, moment: Moment, account: &Arc<Account>) {
        if let Some(kept) = &self.kept {
            let key = place(account.domain, account.handle.as_str());
            kept.names.insert(key, (moment.0, Name::Account(account.clone())));
        }
    }

    /// Who makes an account's proofs.
    pub fn find_prover(&self, moment: Moment, account: &Account) -> Option<Prover> {
        match self.kept.as_ref()?.names.get(&prover_of(account))? {
            (generation, Name::Prover(prover)) if generation == moment.0 => Some(prover),
            _ => None,
        }
    }

    /// Keep who makes an account's proofs, as was read at `moment`.
    pub fn keep_prover(&self, moment: Moment, account: &Account, prover: &Prover) {
        if let Some(kept) = &self.kept {
            kept.names.insert(prover_of(account), (moment.0, Name::Prover(prover.clone())));
        }
    }

    /// How the history of a feed is cut; its page names it.
    pub fn find_outline(&self, moment: Moment, page: &str) -> Option<Arc<Outline>> {
        match self.kept.as_ref()?.names.get(page)? {
            (generation, Name::Outline(outline)) if generation == moment.0 => Some(outline),
            _ => None,
        }
    }

    /// Keep how the history of a feed is cut, as was read at `moment`.
    pub fn keep_outline(&self, moment: Moment, page: &str, outline: &Arc<Outline>) {
        if let Some(kept) = &self.kept {
            kept.names.insert(page.to_owned(), (moment.0, Name::Outline(outline.clone())));
        }
    }
}

/// The key of an account's prover.
fn prover_of(account: &Account) -> String {
    format!("{}/{}/proofs", account.domain, account.handle)
}

/// The key of an account. No authority has a slash.
fn place(domain: DomainId, handle: &str) -> String {
    format!("{domain}/{handle}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::respond::{Document, OBJECT_AGE};

    fn key() -> Key {
        Key::new(true, "a.example", "/users/ann")
    }

    fn answer(body: &str) -> Arc<Finished> {
        Arc::new(Document::new("text/plain", body.to_owned(), OBJECT_AGE).finish())
    }

    fn found(cache: &Cache) -> bool {
        cache.moment().is_some_and(|moment| cache.find(moment, &key(), Utc::now()).is_some())
    }

    fn listening() -> Cache {
        let cache = Cache::new(1 << 20);
        cache.hear(Heard::Listening);
        cache
    }

    #[test]
    fn what_was_read_before_a_change_is_never_answered_after_it() {
        let cache = listening();
        let before = cache.moment().unwrap();
        // The read is under way when the change is heard of; it may have seen the old rows.
        cache.hear(Heard::Changed);
        cache.keep(before, key(), answer("old"), None);
        assert!(!found(&cache));
        cache.keep(cache.moment().unwrap(), key(), answer("new"), None);
        assert!(found(&cache));
        cache.hear(Heard::Changed);
        assert!(!found(&cache));
    }

    #[test]
    fn nothing_is_kept_or_answered_while_nobody_tells_of_changes() {
        let cache = Cache::new(1 << 20);
        assert_eq!(cache.moment(), None, "before it listens");
        cache.hear(Heard::Listening);
        let first = cache.moment().unwrap();
        cache.keep(first, key(), answer("a"), None);
        assert!(found(&cache));
        cache.hear(Heard::Lost);
        assert_eq!(cache.moment(), None);
        cache.keep(first, key(), answer("a"), None);
        cache.hear(Heard::Listening);
        assert!(cache.moment().is_some() && !found(&cache), "what was kept before the loss is gone");
    }

    #[test]
    fn an_answer_that_the_clock_changes_is_kept_no_longer_than_it_is_true() {
        let cache = listening();
        let moment = cache.moment().unwrap();
        let until = Utc::now() + chrono::TimeDelta::hours(1);
        cache.keep(moment, key(), answer("a"), Some(until));
        assert!(cache.find(moment, &key(), until - chrono::TimeDelta::seconds(1)).is_some());
        assert!(cache.find(moment, &key(), until).is_none());
    }

    #[test]
    fn it_holds_no_more_than_it_may() {
        let cache = listening();
        let moment = cache.moment().unwrap();
        let body = "x".repeat(10_000);
        for n in 0..1000 {
            cache.keep(moment, Key::new(true, "a.example", &format!("/{n}")), answer(&body), None);
        }
        let kept = cache.kept.as_ref().unwrap();
        kept.answers.run_pending_tasks();
        assert!(kept.answers.weighted_size() <= 1 << 20, "{}", kept.answers.weighted_size());
        assert!(kept.answers.entry_count() > 50);
        assert_eq!(Cache::new(0).moment(), None);
    }
}
