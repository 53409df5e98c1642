//! Somebody with a server of their own, made by hand, who does to the simulated server what nobody should.

use super::Mastodon;
use super::client::Client;
use super::signature::Keys;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Inner {
    /// Status and document by path; a document with a status of an error is none.
    documents: Mutex<BTreeMap<String, (u16, Value)>>,
    received: Mutex<Vec<Value>>,
}

/// The author `ann`; their server ends with this value.
pub struct Author {
    pub base: String,
    keys: Keys,
    inner: Arc<Inner>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Author {
    pub fn start() -> Author {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let inner = Arc::new(Inner::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let data = web::Data::from(inner.clone());
        std::thread::spawn(move || {
            let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)));
            let server = server.workers(1).listen(listener).unwrap().disable_signals().shutdown_timeout(0);
            let stop = async move { drop(stopped.await) };
            actix_web::rt::System::new().block_on(server.shutdown_signal(stop).run()).unwrap();
        });
        let author = Author { base, keys: Keys::new(), inner, stop: Some(stop) };
        let (actor, handle) = (author.actor(), author.handle());
        author.serve("/users/ann", author.document());
        author.serve(
            "/.well-known/webfinger",
            json!({
                "subject": format!("acct:{handle}"),
                "links": [{"rel": "self", "type": "application/activity+json", "href": actor}],
            }),
        );
        for name in ["outbox", "followers", "following"] {
            let root = format!("{actor}/{name}");
            let first = format!("{root}?page=1");
            author.serve(&format!("/users/ann/{name}"), collection(&root, json!({"totalItems": 7, "first": first})));
        }
        author.feature(&[]);
        author
    }

    pub fn actor(&self) -> String {
        format!("{}/users/ann", self.base)
    }

    pub fn handle(&self) -> String {
        format!("ann@{}", super::authority(&self.base))
    }

    /// What the actor says of itself.
    pub fn document(&self) -> Value {
        let id = self.actor();
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "id": id, "type": "Person", "preferredUsername": "ann", "inbox": format!("{id}/inbox"),
            "outbox": format!("{id}/outbox"), "followers": format!("{id}/followers"), "following": format!("{id}/following"),
            "featured": format!("{id}/featured"),
            "publicKey": {"id": format!("{id}#main-key"), "owner": id, "publicKeyPem": self.keys.public},
        })
    }

    /// Other keys from now on, which nobody was told of.
    pub fn lose_keys(&mut self) {
        self.keys = Keys::new();
        self.serve("/users/ann", self.document());
    }

    pub fn serve(&self, path: &str, document: Value) {
        self.inner.documents.lock().unwrap().insert(path.to_owned(), (200, document));
    }

    /// Answer with this status there from now on.
    pub fn refuse(&self, path: &str, status: u16) {
        self.inner.documents.lock().unwrap().insert(path.to_owned(), (status, Value::Null));
    }

    /// Pins, each as an id or as an object.
    pub fn feature(&self, items: &[Value]) {
        let id = format!("{}/featured", self.actor());
        self.serve("/users/ann/featured", collection(&id, json!({"orderedItems": items})));
    }

    /// A public post of that moment, served; its id.
    pub fn post(&self, name: &str, at: DateTime<Utc>) -> String {
        self.post_with(name, at, json!({}))
    }

    /// The same with more properties, or others.
    pub fn post_with(&self, name: &str, at: DateTime<Utc>, more: Value) -> String {
        let id = format!("{}/posts/{name}", self.base);
        let mut note = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "id": id, "type": "Note", "attributedTo": self.actor(),
            "published": at.to_rfc3339_opts(SecondsFormat::Secs, true), "content": format!("<p>{name}</p>"),
            "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [format!("{}/followers", self.actor())],
        });
        for (name, value) in more.as_object().unwrap() {
            note[name] = value.clone();
        }
        self.serve(&format!("/posts/{name}"), note);
        id
    }

    /// A post as it is served.
    pub fn note(&self, name: &str) -> Value {
        self.inner.documents.lock().unwrap()[&format!("/posts/{name}")].1.clone()
    }

    /// An activity about an object, public.
    pub fn activity(&self, kind: &str, number: u32, object: Value) -> Value {
        json!({
            "@context": "https://www.w3.org/ns/activitystreams", "id": format!("{}#{kind}-{number}", self.actor()),
            "type": kind, "actor": self.actor(), "object": object,
            "to": ["https://www.w3.org/ns/activitystreams#Public"], "cc": [format!("{}/followers", self.actor())],
        })
    }

    /// An Add or a Remove of a pin.
    pub fn pinning(&self, kind: &str, number: u32, id: &str) -> Value {
        let mut activity = self.activity(kind, number, json!(id));
        activity["target"] = json!(format!("{}/featured", self.actor()));
        activity
    }

    /// Send an activity to the shared inbox, and wait until what it does is done; the status of the answer.
    pub fn push(&self, mastodon: &Mastodon, activity: &Value) -> u16 {
        self.push_signed(mastodon, activity, &self.keys)
    }

    /// The same, signed with somebody else's key.
    pub fn push_signed(&self, mastodon: &Mastodon, activity: &Value, keys: &Keys) -> u16 {
        let (inbox, key_id) = (format!("http://{}/inbox", mastodon.host()), format!("{}#main-key", self.actor()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::new(None);
        let status = runtime.block_on(client.post(keys, &key_id, &inbox, activity, Utc::now())).unwrap();
        mastodon.settle();
        status
    }

    /// Somebody there follows, and is accepted.
    pub fn be_followed(&self, mastodon: &Mastodon, name: &str) {
        mastodon.follow(name, &self.handle());
        let follow = self.inner.received.lock().unwrap().last().unwrap().clone();
        assert_eq!(self.push(mastodon, &self.activity("Accept", 0, follow)), 202);
        assert!(mastodon.follows(name, &self.actor()));
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

fn collection(id: &str, more: Value) -> Value {
    let mut collection =
        json!({"@context": "https://www.w3.org/ns/activitystreams", "id": id, "type": "OrderedCollection"});
    for (name, value) in more.as_object().unwrap() {
        collection[name] = value.clone();
    }
    collection
}

async fn answer(request: HttpRequest, body: web::Bytes, inner: web::Data<Inner>) -> HttpResponse {
    if request.method() == "POST" {
        inner.received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        return HttpResponse::Accepted().finish();
    }
    match inner.documents.lock().unwrap().get(request.path()) {
        Some((200, document)) => {
            HttpResponse::Ok().insert_header(("content-type", "application/activity+json")).body(document.to_string())
        }
        Some((status, _)) => HttpResponse::build(actix_web::http::StatusCode::from_u16(*status).unwrap()).finish(),
        None => HttpResponse::NotFound().finish(),
    }
}
