//! Old posts that servers are offered (decision 0026): real HTTP, real Postgres, a clock that is moved.

mod counted;
mod failing;
mod one_by_one;
mod program;
mod whom;

use crate::activitypub::post;
use crate::delivery::office::{Office, Worker, until};
use crate::delivery::sink::Reply;
use chrono::{DateTime, TimeDelta, Utc};
use everpost::domain::ids::PostId;
use everpost::domain::post::NewPost;
use everpost::domain::source::Format;
use everpost::operations::{App, accounts, backfill};
use everpost::store::backfill::Fetch;
use serde_json::json;

/// The moment of the n-th post.
pub fn at(n: i64) -> String {
    let first: DateTime<Utc> = "2019-05-01T10:00:00Z".parse().unwrap();
    (first + TimeDelta::days(n)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The number of the n-th post.
pub fn id(n: i64) -> i64 {
    crate::support::status_id(&at(n))
}

/// An office whose account offers posts, and the servers that follow it.
pub struct Yard {
    pub office: Office,
    worker: Option<Worker>,
    minutes: i64,
}

impl Yard {
    /// With so many posts, of which so many are offered, and a Mastodon at `a.example` where somebody follows.
    pub async fn open(posts: i64, most: u16) -> Yard {
        let yard = Yard::empty(most).await;
        yard.store(&(0..posts).map(|n| post(&at(n))).collect::<Vec<_>>()).await;
        yard.runs("a.example", "mastodon", "4.6.5");
        yard.follow("a.example", "bo").await;
        yard
    }

    pub async fn empty(most: u16) -> Yard {
        let office = Office::open().await;
        let worker = Some(office.worker());
        let yard = Yard { office, worker, minutes: 0 };
        yard.set("backfill.posts", &most.to_string()).await;
        yard
    }

    pub fn app(&self) -> &App {
        &self.office.app
    }

    pub async fn set(&self, key: &str, value: &str) {
        let mut account = self.app().store.find_account_by_id(self.office.account.id).await.unwrap().unwrap();
        accounts::set(self.app(), &mut account, key, value).await.unwrap();
        accounts::save(self.app(), &account, Utc::now()).await.unwrap();
    }

    pub async fn store(&self, posts: &[NewPost]) {
        let (store, account) = (&self.app().store, self.office.account.id);
        let import = store.begin_import(account, &[], Format::HugoBundle, Utc::now()).await.unwrap();
        store.ingest(account, posts, Some(import), None, Utc::now()).await.unwrap();
    }

    /// The host as it is stored.
    pub fn host(&self, name: &str) -> String {
        format!("{name}:{}", self.office.sink.port)
    }

    /// Let a server say that it runs this.
    pub fn runs(&self, name: &str, software: &str, version: &str) {
        let say = |path: &str, body: serde_json::Value| {
            let reply = Reply { body: body.to_string(), ..Reply::with(200, "content-type", "application/json") };
            self.office.sink.say(&format!("{name}{path}"), reply);
        };
        let rel = "http://nodeinfo.diaspora.software/ns/schema/2.0";
        let href = format!("http://{}/nodeinfo/2.0", self.host(name));
        say("/.well-known/nodeinfo", json!({ "links": [{ "rel": rel, "href": href }] }));
        say("/nodeinfo/2.0", json!({ "software": { "name": software, "version": version } }));
    }

    /// Somebody at a server follows.
    pub async fn follow(&self, name: &str, who: &str) {
        let actor = format!("http://{}/users/{who}", self.host(name));
        let (inbox, shared) = (format!("{actor}/inbox"), self.office.inbox(name));
        self.office.follow(&actor, &inbox, Some(&shared)).await;
        let place = format!("UPDATE remote_actors SET host = '{}' WHERE uri = '{actor}'", self.host(name));
        self.office.database.execute(&place);
    }

    /// They follow no more.
    pub fn leave(&self, name: &str) {
        self.office.database.execute(&format!(
            "DELETE FROM followers USING remote_actors AS r WHERE r.id = actor_id AND r.host = '{}'",
            self.host(name)
        ));
    }

    /// Let the owner pin a post, or unpin it.
    pub fn pin(&self, n: i64, pinned: bool) {
        let change = match pinned {
            true => format!(
                "INSERT INTO pins (post_id, account_id, position) VALUES ({}, {}, 1)",
                id(n),
                self.office.account.id
            ),
            false => format!("DELETE FROM pins WHERE post_id = {}", id(n)),
        };
        self.office.database.execute(&change);
    }

    /// Note that a server came for a post.
    pub async fn fetch(&self, name: &str, post: i64) {
        let (host, now) = (self.host(name), Utc::now());
        let fetch = Fetch { post: PostId(post), host, times: 1, between: (now, now) };
        self.app().store.count_fetches(&[fetch]).await.unwrap();
    }

    /// Move the clock on, look at what is to be done, and wait until what is due was sent.
    pub async fn after(&mut self, minutes: i64) {
        self.minutes += minutes;
        self.office.set_clock(TimeDelta::minutes(self.minutes));
        backfill::run(self.app(), self.now()).await.unwrap();
        self.sent().await;
    }

    /// The same, minute by minute.
    pub async fn pass(&mut self, minutes: i64) {
        for _ in 0..minutes {
            self.after(1).await;
        }
    }

    /// Wait until everything was tried that is due.
    pub async fn sent(&self) {
        self.app().store.call_workers().await.unwrap();
        let now = self.now();
        let untried = format!(
            "SELECT count(*) FROM deliveries AS d LEFT JOIN delivery_hosts AS h USING (host) WHERE state = 'waiting' \
             AND (leased_by IS NOT NULL OR answer IS NULL OR (due_at <= '{now}' AND coalesce(look_at <= '{now}', true)))"
        );
        until("everything is tried", || self.office.database.number(&untried) == 0).await;
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.office.now()
    }

    /// Let nothing be sent any more.
    pub async fn close_office(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
    }

    pub fn open_office(&mut self) {
        self.worker = Some(self.office.worker());
    }

    /// What was taken by a server in this order, each as `Add 3`: the number of the post as [`at`] counts.
    pub fn taken(&self, name: &str) -> Vec<String> {
        let sent = "SELECT uri || ' ' || kind || ' ' || object_uri FROM activities ORDER BY id";
        let sent = self.office.database.texts(sent);
        let short = |got: &crate::delivery::sink::Got| {
            let found = sent.iter().find(|line| line.starts_with(&format!("{} ", got.id))).unwrap();
            let [_, kind, object] = found.split(' ').collect::<Vec<_>>()[..] else { panic!("{found}") };
            let number = (0..40).find(|n| object.ends_with(&format!("/statuses/{}", id(*n))));
            number.map_or_else(|| format!("{kind} {object}"), |number| format!("{kind} {number}"))
        };
        let inbox = format!("{name}/inbox");
        self.office.sink.got().iter().filter(|got| got.taken && got.inbox == inbox).map(short).collect()
    }

    /// Posts that are pinned at a server by now, if it does what it is told.
    pub fn pinned(&self, name: &str) -> Vec<String> {
        let mut pins: Vec<String> = Vec::new();
        for deed in self.taken(name) {
            match deed.split_once(' ').unwrap() {
                ("Add", post) if !pins.contains(&post.to_owned()) => pins.push(post.to_owned()),
                ("Remove", post) => pins.retain(|pin| pin != post),
                _ => {}
            }
        }
        pins
    }

    /// State and outcome of an offer.
    pub fn offer(&self, n: i64) -> String {
        let state = "SELECT concat_ws(' ', state, outcome) FROM offers WHERE post_id";
        self.office.database.texts(&format!("{state} = {}", id(n))).join(", ")
    }
}
