//! The running server: its HTTP face, what it signs with, and the jobs in which it does what it was told.
//!
//! As Mastodon it answers a delivery with 202 before it does anything about it. Jobs run side by side; what concerns one
//! post is done one after the other.

use super::client::{Client, Fetched};
use super::same_host;
use super::signature::{Claim, Keys};
use super::state::{Dropped, State};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Largest delivery, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Something to be done later.
pub enum Job {
    /// What somebody sent, once it is known that it was they.
    Process { sender: String, activity: Value },
    /// Look at the pins of an account.
    Featured(String),
    /// A first local user follows an account.
    Refresh(String),
    /// The replies of a post that came.
    Replies { of: String, collection: Value },
    /// A reply that was listed.
    Fetch(String),
    /// What a post answers.
    Parent { of: i64, uri: String },
    /// Somebody opened a thread.
    Thread(i64),
}

pub struct Server {
    /// `http://localhost:PORT`.
    pub base: String,
    version: String,
    pub client: Client,
    state: Mutex<State>,
    /// One post is dealt with by one job at a time.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    jobs: AtomicUsize,
    /// Seconds between the clock here and the true one.
    offset: AtomicI64,
    /// Milliseconds that pass between the answer that brings a post and its being held.
    dawdling: AtomicU64,
    runtime: tokio::runtime::Handle,
}

impl Server {
    pub fn new(base: String, version: &str, believed: Option<Vec<u8>>, runtime: tokio::runtime::Handle) -> Server {
        Server {
            base,
            version: version.to_owned(),
            client: Client::new(believed),
            state: Mutex::default(),
            locks: Mutex::default(),
            jobs: AtomicUsize::new(0),
            offset: AtomicI64::new(0),
            dawdling: AtomicU64::new(0),
            runtime,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.offset.load(Ordering::Relaxed))
    }

    pub fn set_clock(&self, offset: TimeDelta) {
        self.offset.store(offset.num_seconds(), Ordering::Relaxed);
    }

    pub fn set_dawdling(&self, time: Duration) {
        self.dawdling.store(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// What a busy server does between reading a post and holding it.
    pub async fn dawdle(&self) {
        tokio::time::sleep(Duration::from_millis(self.dawdling.load(Ordering::Relaxed))).await;
    }

    pub fn is_idle(&self) -> bool {
        self.jobs.load(Ordering::SeqCst) == 0
    }

    pub fn actor(&self, name: &str) -> String {
        format!("{}/users/{name}", self.base)
    }

    /// The key id of the instance actor, who signs whatever is asked for.
    pub fn instance_key(&self) -> String {
        format!("{}/actor#main-key", self.base)
    }

    /// GET a document under its own id, signed by the instance actor.
    pub async fn fetch(&self, url: &str) -> Fetched {
        self.state().fetched.push(url.to_owned());
        self.client.fetch(Keys::shared(), &self.instance_key(), url, self.now()).await
    }

    /// A collection or a page of one that is named in a document of `origin`: given, or on the same host.
    pub async fn collection(&self, named: &Value, origin: &str) -> Option<Value> {
        match named {
            Value::Object(_) => Some(named.clone()),
            Value::String(url) if same_host(url, origin) => {
                self.state().fetched.push(url.clone());
                let found = self.client.fetch_any(Keys::shared(), &self.instance_key(), url, self.now()).await;
                match found {
                    Fetched::Document(document) => Some(document),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Wait for the turn to do something about one post.
    pub async fn turn(&self, uri: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = self.locks.lock().unwrap().entry(uri.to_owned()).or_default().clone();
        lock.lock_owned().await
    }

    /// Note that an activity had no effect.
    pub fn drop_it(&self, activity: &Value, why: &'static str) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let dropped = Dropped { activity: text(&activity["id"]), kind: text(&activity["type"]), why };
        self.state().dropped.push(dropped);
    }

    pub fn start(self: &Arc<Self>, job: Job) {
        self.jobs.fetch_add(1, Ordering::SeqCst);
        let server = self.clone();
        let work = self.clone().run(job);
        self.runtime.spawn(async move {
            // A job that fails is a mistake of the simulation, and is not swallowed.
            let done = tokio::spawn(work).await;
            server.jobs.fetch_sub(1, Ordering::SeqCst);
            done.unwrap();
        });
    }

    fn run(self: Arc<Self>, job: Job) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            match job {
                Job::Process { sender, activity } => self.process(&sender, &activity).await,
                Job::Featured(actor) => self.synchronise_pins(&actor).await,
                Job::Refresh(actor) => drop(self.fetch_profile(&actor).await),
                Job::Replies { of, collection } => self.fetch_replies(&of, &collection).await,
                Job::Fetch(uri) => drop(self.fetch_status(&uri, None).await),
                Job::Parent { of, uri } => self.fetch_parent(of, &uri).await,
                Job::Thread(root) => self.walk_thread(root).await,
            }
        })
    }

    /// Judge a delivery; the status code of the answer.
    async fn take(self: &Arc<Self>, target: &str, headers: &HashMap<String, String>, body: &[u8]) -> u16 {
        let refuse = |why: String| {
            self.state().refused.push(why);
            401
        };
        let parsed = serde_json::from_slice::<Value>(body);
        if let Ok(activity) = &parsed {
            // Who is not known cannot be gone, nor have changed.
            let of_themselves = activity["actor"].is_string() && activity["actor"] == *super::id(&activity["object"]);
            let known = activity["actor"].as_str().is_some_and(|actor| self.state().profiles.contains_key(actor));
            if of_themselves && !known && (activity["type"] == "Delete" || activity["type"] == "Update") {
                self.drop_it(activity, "it is about somebody who is not known");
                return 202;
            }
        }
        let claim = match Claim::read(target, headers, body, self.now()) {
            Ok(claim) => claim,
            Err(why) => return refuse(why),
        };
        let signer = claim.key_id.split('#').next().unwrap_or_default().to_owned();
        let known = self.state().profiles.get(&signer).map(|profile| profile.key.clone());
        let proven = known.is_some_and(|key| claim.is_by(&key));
        // A key that is not known, or was renewed, is fetched.
        if !proven && !self.fetch_profile(&signer).await.is_ok_and(|profile| claim.is_by(&profile.key)) {
            return refuse(format!("{} did not sign it", claim.key_id));
        }
        if let Ok(activity) = parsed {
            self.state().received.push(activity.clone());
            self.start(Job::Process { sender: signer, activity });
        }
        202
    }

    fn user_document(&self, name: &str) -> Value {
        let id = self.actor(name);
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "id": id, "type": "Person", "preferredUsername": name, "name": name, "url": format!("{}/@{name}", self.base),
            "inbox": format!("{id}/inbox"), "outbox": format!("{id}/outbox"), "followers": format!("{id}/followers"),
            "following": format!("{id}/following"), "manuallyApprovesFollowers": false, "discoverable": true,
            "endpoints": {"sharedInbox": format!("{}/inbox", self.base)}, "publicKey": public_key(&id),
        })
    }

    fn instance_document(&self) -> Value {
        let id = format!("{}/actor", self.base);
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "id": id, "type": "Application", "preferredUsername": super::authority(&self.base),
            "inbox": format!("{id}/inbox"), "outbox": format!("{id}/outbox"), "url": format!("{}/about", self.base),
            "manuallyApprovesFollowers": true, "publicKey": public_key(&id),
        })
    }
}

fn public_key(id: &str) -> Value {
    json!({"id": format!("{id}#main-key"), "owner": id, "publicKeyPem": Keys::shared().public})
}

/// Serve on a socket until `stop` comes to something.
pub fn serve(server: &Arc<Server>, listener: TcpListener, stop: tokio::sync::oneshot::Receiver<()>) {
    let data = web::Data::from(server.clone());
    std::thread::spawn(move || {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(MAX_BODY))
                .route("/.well-known/webfinger", web::get().to(webfinger))
                .route("/.well-known/nodeinfo", web::get().to(nodeinfo_links))
                .route("/nodeinfo/2.0", web::get().to(nodeinfo))
                .route("/actor", web::get().to(instance))
                .route("/users/{name}", web::get().to(user))
                .route("/inbox", web::post().to(inbox))
                .route("/actor/inbox", web::post().to(inbox))
                .route("/users/{name}/inbox", web::post().to(inbox))
        });
        let server = server.workers(1).listen(listener).unwrap().disable_signals().shutdown_timeout(0);
        let stop = async move { drop(stop.await) };
        actix_web::rt::System::new().block_on(server.shutdown_signal(stop).run()).unwrap();
    });
}

async fn inbox(request: HttpRequest, body: web::Bytes, server: web::Data<Server>) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let target = request.uri().path_and_query().unwrap().as_str();
    let status = server.into_inner().take(target, &headers, &body).await;
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}

async fn webfinger(request: HttpRequest, server: web::Data<Server>) -> HttpResponse {
    let query: HashMap<_, _> = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let asked = query.get("resource").map_or("", |resource| resource.trim_start_matches("acct:"));
    let host = super::authority(&server.base);
    let actor = match asked.split_once('@') {
        Some((name, domain)) if domain == host && name == host => format!("{}/actor", server.base),
        Some((name, domain)) if domain == host && server.state().users.contains_key(name) => server.actor(name),
        _ => return HttpResponse::NotFound().finish(),
    };
    let jrd = json!({
        "subject": format!("acct:{asked}"), "aliases": [actor],
        "links": [{"rel": "self", "type": "application/activity+json", "href": actor}],
    });
    answer("application/jrd+json; charset=utf-8", &jrd)
}

async fn nodeinfo_links(server: web::Data<Server>) -> HttpResponse {
    let href = format!("{}/nodeinfo/2.0", server.base);
    let rel = "http://nodeinfo.diaspora.software/ns/schema/2.0";
    answer("application/json; charset=utf-8", &json!({"links": [{"rel": rel, "href": href}]}))
}

async fn nodeinfo(server: web::Data<Server>) -> HttpResponse {
    let users = server.state().users.len();
    let told = json!({
        "version": "2.0", "software": {"name": "mastodon", "version": server.version}, "protocols": ["activitypub"],
        "services": {"outbound": [], "inbound": []}, "openRegistrations": false, "metadata": {},
        "usage": {"users": {"total": users, "activeMonth": users, "activeHalfyear": users}, "localPosts": 0},
    });
    answer("application/json; charset=utf-8", &told)
}

async fn instance(server: web::Data<Server>) -> HttpResponse {
    answer("application/activity+json; charset=utf-8", &server.instance_document())
}

async fn user(name: web::Path<String>, server: web::Data<Server>) -> HttpResponse {
    if !server.state().users.contains_key(&*name) {
        return HttpResponse::NotFound().finish();
    }
    answer("application/activity+json; charset=utf-8", &server.user_document(&name))
}

fn answer(kind: &str, document: &Value) -> HttpResponse {
    HttpResponse::Ok().insert_header(("content-type", kind)).body(document.to_string())
}
