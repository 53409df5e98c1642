//! A database with an account, other servers for it to write to, and workers that deliver.

use super::sink::Sink;
use crate::support::TestDatabase;
use chrono::{DateTime, TimeDelta, Utc};
use everpost::delivery::{Options, Queue};
use everpost::domain::account::{Account, Handle};
use everpost::domain::delivery::{Outgoing, Recipients};
use everpost::federation::client::{self, Client, Lookup};
use everpost::federation::keys::Vault;
use everpost::media::{self, MediaStore};
use everpost::operations::private::Files;
use everpost::operations::{App, accounts, domains};
use everpost::store::Store;
use everpost::store::keys::KeyOwner;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Hosts that a test may use by name: `h0.example` to `h999.example`, and these.
const NAMED: [&str; 6] = ["a.example", "b.example", "dead.example", "silent.example", "closes.example", "slow.example"];

pub struct Office {
    pub database: TestDatabase,
    pub app: App,
    pub account: Account,
    pub sink: Sink,
    offset: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

/// A loop that delivers.
pub struct Worker {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Worker {
    pub async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }
}

impl Office {
    pub async fn open() -> Office {
        Office::open_on(TestDatabase::new()).await
    }

    /// On a database that a program has too.
    pub async fn open_on(database: TestDatabase) -> Office {
        let folder = tempfile::tempdir().unwrap();
        let (app, account) = settle_in(&database.url(), folder.path()).await;
        let sink = Sink::start();
        sink.trust(&public_key(&app, &account).await);
        Office { database, app, account, sink, offset: Arc::default(), _folder: folder }
    }

    /// The inbox of a host.
    pub fn inbox(&self, host: &str) -> String {
        self.inbox_at(host, "/inbox")
    }

    pub fn inbox_at(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.sink.port)
    }

    /// An activity about an object of ours, by short names.
    pub fn activity(&self, kind: &'static str, id: &str, object: &str, to: Recipients) -> Outgoing {
        activity(&self.account, kind, id, object, to)
    }

    /// Enqueue an activity about an object of its own.
    pub async fn enqueue(&self, id: &str, inboxes: &[String]) {
        let outgoing = self.activity("Update", id, &format!("objects/{id}"), Recipients::Inboxes(inboxes.to_vec()));
        assert!(self.app.store.enqueue(self.account.id, &outgoing, self.now()).await.unwrap());
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.offset.load(Ordering::Relaxed))
    }

    /// Set everybody's clock so far off.
    pub fn set_clock(&self, offset: TimeDelta) {
        self.offset.store(offset.num_seconds(), Ordering::Relaxed);
        self.sink.set_clock(offset);
    }

    pub fn queue(&self) -> Queue {
        let offset = self.offset.clone();
        Queue {
            store: self.app.store.clone(),
            courier: self.app.courier.clone(),
            actors: self.app.actors.clone(),
            metrics: self.app.metrics.clone(),
            clock: Arc::new(move || Utc::now() + TimeDelta::seconds(offset.load(Ordering::Relaxed))),
            options: Options { drain: Duration::from_secs(5), ..Options::default() },
        }
    }

    pub fn worker(&self) -> Worker {
        self.worker_of(self.queue())
    }

    /// A loop with so many slots.
    pub fn small_worker(&self, slots: usize) -> Worker {
        let queue = self.queue();
        let options = Options { slots, ..queue.options };
        self.worker_of(Queue { options, ..queue })
    }

    fn worker_of(&self, queue: Queue) -> Worker {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(queue.run(async move { drop(stopped.await) }));
        Worker { stop, task }
    }

    /// How many deliveries are in a state.
    pub fn count(&self, state: &str) -> i64 {
        self.database.number(&format!("SELECT count(*) FROM deliveries WHERE state = '{state}'"))
    }

    /// Let actors follow the account, each a pair of its own inbox and its shared one.
    pub async fn follow(&self, actor: &str, inbox: &str, shared: Option<&str>) {
        follow(&self.database, &self.account, actor, inbox, shared);
    }
}

/// Look again and again, until it is so.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Look again and again, until there are so many. However slow the machine is, there have to be more now and then.
pub async fn until_all(what: &str, all: usize, mut count: impl FnMut() -> i64) {
    let all = i64::try_from(all).unwrap();
    let (mut before, mut moved) = (count(), Instant::now());
    while before < all {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = count();
        if now > before {
            moved = Instant::now();
        }
        assert!(moved.elapsed() < PATIENCE, "{what}: {now} of {all}");
        before = now;
    }
}

pub fn activity(account: &Account, kind: &'static str, id: &str, object: &str, to: Recipients) -> Outgoing {
    let actor = account.urls().actor();
    let (uri, object) = (format!("{actor}/activities/{id}"), format!("{actor}/{object}"));
    let body = serde_json::json!({ "id": uri, "type": kind, "actor": actor, "object": object }).to_string();
    Outgoing { uri, kind, object, body, to, expires_at: None }
}

pub fn follow(database: &TestDatabase, account: &Account, actor: &str, inbox: &str, shared: Option<&str>) {
    let shared = shared.map_or("NULL".to_owned(), |shared| format!("'{shared}'"));
    database.execute(&format!(
        "WITH actor AS (INSERT INTO remote_actors (uri, host, kind, name, inbox, shared_inbox, keys, also_known_as, fetched_at, \
             created_at) VALUES ('{actor}', 'x', 'Person', '', '{inbox}', {shared}, '[]', '{{}}', now(), now()) RETURNING id) \
         INSERT INTO followers (account_id, actor_id, state, follow_uri, follow, created_at, accepted_at) \
         SELECT {}, id, 'accepted', '{actor}#follow', '{{}}', now(), now() FROM actor",
        account.id
    ));
}

/// The application on a database, with one account that is live.
pub async fn settle_in(url: &str, folder: &std::path::Path) -> (App, Account) {
    let store = Store::connect(url, 5).unwrap();
    let media = MediaStore::in_folder(&folder.join("media"), media::Limits::default()).unwrap();
    let vault = Vault::open(None).unwrap();
    let app = App::new(store, media, vault, Files::new(&folder.join("private")), outbound());
    domains::ensure_first(&app, "http://localhost:8080", Utc::now()).await.unwrap();
    let account = accounts::create(&app, &Handle::parse("ann").unwrap(), None, None, Utc::now()).await.unwrap();
    (app, account)
}

pub async fn public_key(app: &App, account: &Account) -> String {
    let keys = app.store.list_keys(KeyOwner::Account(account.id)).await.unwrap();
    keys.into_iter().find(|key| key.kind == "rsa").unwrap().public_key
}

/// A client for which every name leads to this machine.
fn outbound() -> Client {
    let names = (0..1000).map(|n| format!("h{n}.example:0")).chain(NAMED.map(|name| format!("{name}:0")));
    let options = client::Options {
        contact: "http://localhost:8080".to_owned(),
        allow_addresses: vec!["127.0.0.0/8".parse().unwrap()],
        allow_http: names.collect(),
        lookup: Lookup::new(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })),
        ..client::Options::default()
    };
    Client::new(&options).unwrap()
}
