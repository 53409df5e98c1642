//! A simulated Mastodon: another server with users of its own, who follow accounts and look at them.
//!
//! It knows nothing of Everpost: no file here names anything of the crate, and `tests/it/architecture.rs` holds it to that.
//! What it does is what the sources of Mastodon say that it does; each rule names its number, R-…, where it stands:
//!
//! | Rule | Where |
//! |---|---|
//! | R-1: what is pushed gets an id of now and goes into feeds; what is fetched the id of its date, and into feeds only within six hours | `State::keep` |
//! | R-11: 410 on WebFinger or the actor deletes the account here; 404 does not | `resolve`, `fetch_profile` |
//! | R-12: a handle and its subject have to agree | `resolve` |
//! | R-26: totals, and whether the collections are hidden | `process_actor` |
//! | R-40: 404 on fetching a post anew deletes it | `fetch_status` |
//! | R-41: a Delete leaves a Tombstone that keeps the id out, until the account has other keys | `delete`, `create`, `process_actor` |
//! | R-45, R-47: who may see a post; an edit counts by its `updated`, one of an old post that is not held does not | `visibility`, `update` |
//! | R-56, R-73: pins are looked at when an account is found, first followed, or updated | `synchronise_pins`, `accepted` |
//! | R-57: Add fetches and pins, Remove unpins, and what is known comes to a new follower's feed at its place | `add`, `unpin`, `State::merge` |
//! | R-58: five replies of the same host on arrival; a whole thread when it is opened | `fetch_replies`, `walk_thread` |
//! | R-64: `atomUri` names a post that is held | `create` |
//! | R-65: one boost a post and account, of now; what it boosts is fetched silently | `announce` |
//! | R-66: a Create that concerns nobody here is dropped | `concerns_somebody` |
//! | R-67, R-71: what is dropped is answered 202 all the same | `process`, `take` |
//! | R-74: a Delete of somebody unknown is 202 without a question | `take` |
//! | R-76 to R-78: draft-cavage, as it signs and judges it | `signature` |
//!
//! Not simulated: other schemes of signatures, relayed activities, media, emoji, polls, quotes, and what its users would
//! post. Jobs are not tried again.

mod activities;
mod author;
mod client;
mod controls;
mod profiles;
mod server;
mod signature;
mod state;
mod statuses;

pub use state::{Dropped, Feed, Insertion, Profile, Reason, Status};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use server::{Job, Server};
use signature::Keys;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Ends with this value.
pub struct Mastodon {
    server: Arc<Server>,
    runtime: Option<tokio::runtime::Runtime>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Mastodon {
    /// A server of a version of today that believes the certificates that everybody believes.
    pub fn start() -> Mastodon {
        Mastodon::start_as("4.5.3", None)
    }

    /// A server of a version that believes an authority too, whose certificate is given in PEM form.
    pub fn start_as(version: &str, believed: Option<Vec<u8>>) -> Mastodon {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = Arc::new(Server::new(base, version, believed, runtime.handle().clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        server::serve(&server, listener, stopped);
        Mastodon { server, runtime: Some(runtime), stop: Some(stop) }
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> String {
        authority(&self.server.base)
    }

    /// A name that leads to an address from now on.
    pub fn reach(&self, host: &str, address: SocketAddr) {
        self.server.client.reach(host, address);
    }

    /// Set the clock here so far off.
    pub fn set_clock(&self, offset: TimeDelta) {
        self.server.set_clock(offset);
    }

    /// Let so much time pass from now on between the answer that brings a post and its being held: a busy server's.
    pub fn set_dawdling(&self, time: Duration) {
        self.server.set_dawdling(time);
    }

    /// Let somebody live here; their actor's id.
    pub fn add_user(&self, name: &str) -> String {
        self.server.state().users.entry(name.to_owned()).or_default();
        self.server.actor(name)
    }

    /// A user finds an account by its handle and asks to follow it; its actor's id.
    pub fn follow(&self, name: &str, handle: &str) -> String {
        self.add_user(name);
        let profile = self.look_up_account(handle).unwrap();
        let me = self.server.actor(name);
        self.server.state().users.get_mut(name).unwrap().follows.entry(profile.uri.clone()).or_insert(false);
        let follow = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{me}#follows/{}", profile.uri),
            "type": "Follow", "actor": me, "object": profile.uri,
        });
        assert_eq!(self.send(name, &profile.inbox, follow), Ok(202));
        profile.uri
    }

    /// The same, once it is accepted and all that follows from it is done.
    pub fn follow_and_wait(&self, name: &str, handle: &str) -> String {
        let actor = self.follow(name, handle);
        self.wait("the follow is accepted", |mastodon| mastodon.follows(name, &actor));
        self.settle();
        actor
    }

    /// A user follows no longer, whatever the account is told of that.
    pub fn unfollow(&self, name: &str, actor: &str) {
        self.server.state().users.get_mut(name).unwrap().follows.remove(actor);
    }

    /// Whether a user follows an account, and was accepted.
    pub fn follows(&self, name: &str, actor: &str) -> bool {
        self.server.state().users.get(name).is_some_and(|user| user.follows.get(actor) == Some(&true))
    }

    /// Somebody sends an activity; the status of the answer.
    fn send(&self, name: &str, inbox: &str, activity: Value) -> Result<u16, String> {
        let (server, inbox) = (self.server.clone(), inbox.to_owned());
        let key_id = format!("{}#main-key", server.actor(name));
        self.block_on(async move { server.client.post(Keys::shared(), &key_id, &inbox, &activity, server.now()).await })
    }

    /// Look for an account by its handle, and fetch it.
    pub fn look_up_account(&self, handle: &str) -> Result<Profile, String> {
        let (server, handle) = (self.server.clone(), handle.to_owned());
        self.block_on(async move { server.resolve(&handle).await })
    }

    /// Look for a post by its id, as whoever pastes it into the search does; whether it is held then.
    pub fn look_up(&self, uri: &str) -> bool {
        let (server, uri) = (self.server.clone(), uri.to_owned());
        let found = self.block_on(async move { server.fetch_status(&uri, None).await });
        self.settle();
        found.is_some()
    }

    /// Open the thread of a post that is held.
    pub fn open_thread(&self, uri: &str) {
        let root = self.server.state().find(uri).unwrap().id;
        self.server.start(Job::Thread(root));
        self.settle();
    }

    /// An account as it is known here.
    pub fn account(&self, actor: &str) -> Option<Profile> {
        self.server.state().profiles.get(actor).cloned()
    }

    /// What the page of an account shows: its posts and boosts, the newest first by their ids.
    pub fn profile(&self, actor: &str) -> Vec<Status> {
        self.server.state().statuses.values().rev().filter(|status| status.author == actor).cloned().collect()
    }

    /// The same without boosts, as ids and dates.
    pub fn posts(&self, actor: &str) -> Vec<(String, DateTime<Utc>)> {
        let posts = self.profile(actor).into_iter().filter(|status| status.boost_of.is_none());
        posts.map(|status| (status.uri, status.created)).collect()
    }

    /// The posts that an account boosted, the last boost first.
    pub fn boosts(&self, actor: &str) -> Vec<String> {
        let state = self.server.state();
        let boosts = state.statuses.values().rev().filter(|status| status.author == actor);
        boosts.filter_map(|status| Some(state.statuses.get(&status.boost_of?)?.uri.clone())).collect()
    }

    /// A post that is held.
    pub fn status(&self, uri: &str) -> Option<Status> {
        self.server.state().find(uri).cloned()
    }

    /// What an account has pinned.
    pub fn pins(&self, actor: &str) -> Vec<String> {
        let state = self.server.state();
        let pins = state.pins.iter().filter(|(of, _)| of == actor);
        pins.map(|(_, status)| state.statuses[status].uri.clone()).collect()
    }

    /// The home feed of a user, from its top.
    pub fn home(&self, name: &str) -> Vec<String> {
        let state = self.server.state();
        state.users[name].home.iter().rev().map(|id| state.statuses[id].uri.clone()).collect()
    }

    /// Every time that a post was put on top of a feed.
    pub fn insertions(&self) -> Vec<Insertion> {
        self.server.state().insertions.clone()
    }

    /// Who was told of a mention, and by which post.
    pub fn notifications(&self) -> Vec<(String, String)> {
        self.server.state().notifications.clone()
    }

    pub fn tombstones(&self) -> Vec<String> {
        self.server.state().tombstones.keys().cloned().collect()
    }

    /// What was taken and had no effect.
    pub fn dropped(&self) -> Vec<Dropped> {
        self.server.state().dropped.clone()
    }

    /// Every activity that came and was signed by its sender, in order.
    pub fn received(&self) -> Vec<Value> {
        self.server.state().received.clone()
    }

    /// Deliveries that were refused, and why.
    pub fn refused(&self) -> Vec<String> {
        self.server.state().refused.clone()
    }

    /// Every URL that was asked for, signed by the instance actor, in order.
    pub fn fetched(&self) -> Vec<String> {
        self.server.state().fetched.clone()
    }

    /// Whether nothing is left to be done at the moment.
    pub fn is_idle(&self) -> bool {
        self.server.is_idle()
    }

    /// Wait until nothing is left to be done.
    pub fn settle(&self) {
        self.wait("nothing is left to be done", Mastodon::is_idle);
    }

    /// Look again and again, until it is so.
    pub fn wait(&self, what: &str, mut holds: impl FnMut(&Mastodon) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: it is not so; refused: {:?}", self.refused());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From wherever a test runs: on the threads here, while this one waits.
    fn block_on<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let (told, done) = std::sync::mpsc::channel();
        self.runtime.as_ref().unwrap().spawn(async move { drop(told.send(work.await)) });
        done.recv().unwrap()
    }
}

impl Drop for Mastodon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The id of an object, or of what is named by its id alone; empty where there is none.
fn id(value: &Value) -> &str {
    value.as_str().or_else(|| value["id"].as_str()).unwrap_or_default()
}

/// What stands in a property, as a list.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// The items of a collection or of a page, by the name that its type has for them.
fn items(page: &Value) -> Option<Vec<Value>> {
    let items = match page["type"].as_str()? {
        "Collection" | "CollectionPage" => &page["items"],
        "OrderedCollection" | "OrderedCollectionPage" => &page["orderedItems"],
        _ => return None,
    };
    Some(list(items).into_iter().cloned().collect())
}

/// Whether a document has the context of ActivityStreams.
fn is_supported(document: &Value) -> bool {
    list(&document["@context"]).into_iter().any(|context| context == "https://www.w3.org/ns/activitystreams")
}

/// The host of a URL, with its port if it says one.
fn authority(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether two URLs are on one host.
fn same_host(one: &str, other: &str) -> bool {
    !authority(one).is_empty() && authority(one) == authority(other)
}

/// A date as HTTP writes it.
fn web_date(text: &str) -> Option<DateTime<Utc>> {
    NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok().map(|date| date.and_utc())
}
