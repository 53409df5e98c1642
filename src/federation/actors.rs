//! Actors of other servers and their keys: from memory, from the store, else from their own host.
//!
//! What a stranger can make us fetch is bounded: one fetch of an actor at a time and one in five minutes, few at once for
//! a host and altogether, none for long. Must never decide what an actor may do. Start with [`Actors::by_key`].

use super::courier::{Courier, Sender};
use super::fetch;
use super::senders::{self, Senders};
use super::signature::PublicKey;
use crate::activitystreams::read::remote;
use crate::domain::remote::{KnownActor, host_of};
use crate::store::{self, Store};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// How old what is stored of an actor may be when something is decided by it.
const FRESH: Duration = Duration::hours(24);
/// How long an actor is not asked again, whether it could be had or not.
const PAUSE: Duration = Duration::minutes(5);
/// Fetches that are under way at the same time.
const AT_ONCE: usize = 64;
/// The same for one host: few, so that it takes many slow hosts to hold up all others.
const AT_ONCE_FROM_HOST: usize = 2;
/// Longest wait for a place among them.
const PLACE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);
/// Longest time for all that one key or actor needs while somebody waits for our answer.
const SOON: std::time::Duration = std::time::Duration::from_secs(8);
/// The same while nobody does.
const EVER: std::time::Duration = std::time::Duration::from_secs(60);
/// What is said to whoever finds no place.
const BUSY: &str = "too many actors are being fetched";
/// Keys, actors and hosts that are kept in mind.
const KEPT: u64 = 10_000;
/// How long a key is kept in memory: another process may hear meanwhile that it was replaced.
const KEY_AGE: std::time::Duration = std::time::Duration::from_secs(600);
/// Keys of an actor that are documents of their own and are fetched.
const LINKED_KEYS: usize = 2;

/// Why there is no actor or no key.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The actor was there and is no more.
    #[error("{0} is gone")]
    Gone(String),
    /// There is no such actor or key, or what is there is of no use. Asking again is pointless for a while.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be had now; whoever sent it shall try again later.
    #[error("{0}")]
    Later(String),
    /// The database, or a key of our own.
    #[error("{0}")]
    Inner(Arc<store::Error>),
}

impl Error {
    /// Whether it is we who are busy, and not the host that was to be asked.
    pub fn is_ours(&self) -> bool {
        matches!(self, Error::Later(why) if why.starts_with(BUSY))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::Inner(Arc::new(error))
    }
}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Error {
        match error {
            fetch::Error::Gone(url) => Error::Gone(url),
            fetch::Error::Later { .. } => Error::Later(error.to_string()),
            _ => Error::Unknown(error.to_string()),
        }
    }
}

impl From<senders::Error> for Error {
    fn from(error: senders::Error) -> Error {
        match error {
            senders::Error::Store(error) => error.into(),
            other => Error::Inner(Arc::new(store::Error::Damaged(other.to_string()))),
        }
    }
}

/// The actors of other servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Actors(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    courier: Courier,
    senders: Senders,
    /// Keys that were used, by their ids.
    keys: moka::sync::Cache<String, (Arc<KnownActor>, PublicKey)>,
    /// When a URL was last asked, and which actor that led to.
    asked: moka::sync::Cache<String, (DateTime<Utc>, Result<String, Error>)>,
    /// Who asks an actor holds its lock.
    locks: moka::sync::Cache<String, Arc<Mutex<()>>>,
    at_once: Arc<Semaphore>,
    hosts: moka::sync::Cache<String, Arc<Semaphore>>,
}

impl Actors {
    /// The actors that this store knows and that this courier can fetch, signed by the server actor.
    pub fn new(store: Store, courier: Courier, senders: Senders) -> Actors {
        let age = std::time::Duration::from_secs(PAUSE.num_seconds().unsigned_abs());
        Actors(Arc::new(Inner {
            store,
            courier,
            senders,
            keys: moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(KEY_AGE).build(),
            asked: moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(age).build(),
            locks: moka::sync::Cache::builder().max_capacity(KEPT).time_to_idle(age).build(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            hosts: moka::sync::Cache::builder().max_capacity(KEPT).time_to_idle(age).build(),
        }))
    }

    /// Who signs for our accounts and for the server.
    pub fn senders(&self) -> &Senders {
        &self.0.senders
    }

    /// An actor by its id: as stored, if that is younger than 24 hours, else fetched and kept.
    ///
    /// What is stored stands where the actor cannot be had now.
    pub async fn resolve(&self, uri: &str, now: DateTime<Utc>) -> Result<KnownActor, Error> {
        let known = self.0.store.find_remote_actor(uri).await?;
        match known {
            Some(known) if known.fetched > now - FRESH => Ok(known),
            Some(known) => match self.refresh(uri, now).await {
                Err(Error::Later(_)) => Ok(known),
                other => other,
            },
            None => self.refresh(uri, now).await,
        }
    }

    /// An actor fetched anew and kept; within five minutes after that, as stored, or the error that it was.
    pub async fn refresh(&self, uri: &str, now: DateTime<Utc>) -> Result<KnownActor, Error> {
        self.renew(uri, now, Instant::now() + EVER).await
    }

    /// The same while somebody waits for our answer: within eight seconds or not at all.
    pub async fn refresh_soon(&self, uri: &str, now: DateTime<Utc>) -> Result<KnownActor, Error> {
        self.renew(uri, now, Instant::now() + SOON).await
    }

    /// Whether asking for an actor or a key at this URL would make a fetch: nobody asked for it within five minutes.
    pub async fn would_ask(&self, url: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        match self.remembered(url, now) {
            // A key that stands alone leads to its owner, who is asked next.
            Some(Ok(owner)) if owner != url => match self.remembered(&owner, now) {
                Some(_) => Ok(false),
                None => Ok(!self.is_fresh(&owner, now).await?),
            },
            Some(_) => Ok(false),
            None => Ok(!self.is_fresh(url, now).await?),
        }
    }

    async fn renew(&self, uri: &str, now: DateTime<Utc>, until: Instant) -> Result<KnownActor, Error> {
        let asking = async {
            let sender = self.0.senders.server().await?;
            let value = fetch::object(&self.0.courier, &sender, uri, now).await?;
            self.keep(&value, &sender, now).await
        };
        let uri = self.once(uri, now, until, asking).await?;
        let known = self.0.store.find_remote_actor(&uri).await?;
        known.ok_or_else(|| Error::Later(format!("{uri} was deleted just now")))
    }

    /// The key that a signature names, and whose it is.
    ///
    /// `key_document` is `key_id` without its fragment. A key that is known is given however old it is: when a signature
    /// is not made by it, [`Actors::refresh_soon`] its owner and ask again. Takes eight seconds at most.
    pub async fn by_key(
        &self,
        key_document: &str,
        key_id: &str,
        now: DateTime<Utc>,
    ) -> Result<(KnownActor, PublicKey), Error> {
        if let Some(found) = self.known_key(key_document, key_id).await? {
            return Ok(found);
        }
        let until = Instant::now() + SOON;
        let owner = self.once(key_document, now, until, self.owner(key_document, key_id, now)).await?;
        let actor = self.renew(&owner, now, until).await?;
        let none = || Error::Unknown(format!("{owner} does not have the key {key_id}"));
        self.pick(actor, key_id).ok_or_else(none)
    }

    /// The same without asking anybody; `None` if the key is not known.
    pub async fn known_key(&self, key_document: &str, key_id: &str) -> Result<Option<(KnownActor, PublicKey)>, Error> {
        if let Some((actor, key)) = self.0.keys.get(key_id) {
            return Ok(Some(((*actor).clone(), key)));
        }
        let known = match self.0.store.find_remote_actor(key_document).await? {
            Some(known) => Some(known),
            None => self.0.store.find_remote_actor_by_key(key_id).await?,
        };
        Ok(known.and_then(|known| self.pick(known, key_id)))
    }

    /// Let go of what is in memory of an actor that was changed or deleted in the store.
    pub fn forget(&self, uri: &str) {
        for (key, (actor, _)) in &self.0.keys {
            if actor.told.uri == uri {
                self.0.keys.invalidate(key.as_str());
            }
        }
    }

    /// Pick the key out of an actor, and keep it in memory.
    fn pick(&self, actor: KnownActor, key_id: &str) -> Option<(KnownActor, PublicKey)> {
        let named = actor.told.keys.iter().find(|key| key.id == key_id);
        // Some name the actor itself, which is clear enough while it has one key.
        let only = actor.told.keys.first().filter(|_| actor.told.keys.len() == 1 && actor.told.uri == key_id);
        let text = &named.or(only)?.text;
        let key = if text.contains("-----BEGIN") { PublicKey::from_pem(text) } else { PublicKey::from_multikey(text) };
        let key = key.ok()?;
        self.0.keys.insert(key_id.to_owned(), (Arc::new(actor.clone()), key.clone()));
        Some((actor, key))
    }

    /// Whose a key is: the actor in whose document it stands, who is kept, or the one that its own document names.
    async fn owner(&self, key_document: &str, key_id: &str, now: DateTime<Utc>) -> Result<String, Error> {
        let sender = self.0.senders.server().await?;
        let value = fetch::document(&self.0.courier, &sender, key_document, now).await?;
        let own = value.get("id").and_then(Value::as_str) == Some(key_document);
        if own && remote::remote_actor(&value).is_ok() {
            return self.keep(&value, &sender, now).await;
        }
        let owner = remote::key_owner(&value, key_id).filter(|owner| owner != key_document);
        owner.ok_or_else(|| Error::Unknown(format!("{key_document} holds no key {key_id}")))
    }

    /// Keep an actor that came from its own id, with the keys that it names without showing them.
    async fn keep(&self, value: &Value, sender: &Sender, now: DateTime<Utc>) -> Result<String, Error> {
        let read = remote::remote_actor(value).map_err(Error::Unknown)?;
        let mut actor = read.actor;
        for key in read.linked_keys.iter().take(LINKED_KEYS) {
            // An actor whose other keys can be had is better than none.
            if let Ok(document) = fetch::document(&self.0.courier, sender, key, now).await {
                actor.keys.extend(remote::lone_key(&document, key, &actor.uri));
            }
        }
        self.0.store.keep_remote_actor(&actor, now).await?;
        self.forget(&actor.uri);
        Ok(actor.uri)
    }

    /// What came of asking at a URL within five minutes.
    fn remembered(&self, url: &str, now: DateTime<Utc>) -> Option<Result<String, Error>> {
        self.0.asked.get(url).filter(|(at, _)| *at > now - PAUSE).map(|(_, found)| found)
    }

    /// Whether an actor was fetched within five minutes: another process may have asked.
    async fn is_fresh(&self, url: &str, now: DateTime<Utc>) -> Result<bool, Error> {
        Ok(self.0.store.find_remote_actor(url).await?.is_some_and(|known| known.fetched > now - PAUSE))
    }

    /// Ask for something at a URL until then, unless that is being done or was done within five minutes; the id of the
    /// actor that it led to. What takes too long is remembered too.
    async fn once(
        &self,
        url: &str,
        now: DateTime<Utc>,
        until: Instant,
        asking: impl Future<Output = Result<String, Error>>,
    ) -> Result<String, Error> {
        let slow = || Err(Error::Later(format!("{url} takes too long")));
        let lock = self.0.locks.get_with_by_ref(url, Arc::default);
        let Ok(_held) = timeout_at(until, lock.lock()).await else { return slow() };
        if let Some(found) = self.remembered(url, now) {
            return found;
        }
        if self.is_fresh(url, now).await? {
            return Ok(url.to_owned());
        }
        let _places = self.places(url, until.min(Instant::now() + PLACE_TIMEOUT)).await?;
        let found = timeout_at(until, asking).await.unwrap_or_else(|_| slow());
        if !matches!(found, Err(Error::Inner(_))) {
            self.0.asked.insert(url.to_owned(), (now, found.clone()));
        }
        found
    }

    /// A place among the fetches that are under way; the error, which nobody remembers, if there is none until then.
    ///
    /// That of the host comes first: who waits for a slow host takes no place from others.
    async fn places(&self, url: &str, until: Instant) -> Result<[OwnedSemaphorePermit; 2], Error> {
        let host = host_of(url).ok_or_else(|| Error::Unknown(format!("{url} is not a URL")))?;
        let busy = || Error::Later(format!("{BUSY}; {host} has to wait"));
        let of_host = self.0.hosts.get_with_by_ref(&host, || Arc::new(Semaphore::new(AT_ONCE_FROM_HOST)));
        let waiting = async {
            let of_host = of_host.acquire_owned().await.map_err(|_| busy())?;
            let of_all = self.0.at_once.clone().acquire_owned().await.map_err(|_| busy())?;
            Ok([of_host, of_all])
        };
        timeout_at(until, waiting).await.unwrap_or_else(|_| Err(busy()))
    }
}
