//! Another server, with people who have keys: what they show is asked for over HTTP, and what they send is signed.

use crate::support::{Answer, TestApp};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::{DateTime, Utc};
use everpost::federation::proof;
use everpost::federation::signature::{Head, Scheme, Signer};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

type Shown = Arc<Mutex<State>>;

#[derive(Default)]
struct State {
    /// Status and JSON by path.
    documents: HashMap<String, (u16, Value)>,
    /// Paths in the order in which they were asked for.
    asked: Vec<String>,
}

/// Another server on a port of its own. It ends with the process.
pub struct Far {
    pub base: String,
    shown: Shown,
}

/// Somebody on another server.
#[derive(Clone)]
pub struct Person {
    pub uri: String,
    pub key_id: String,
    pub key: PKey<Private>,
    pub ed25519: PKey<Private>,
    shown: Shown,
}

/// What is sent in a request that something may be wrong with.
pub struct Sending {
    pub path: String,
    pub body: String,
    pub content_type: &'static str,
    pub scheme: Scheme,
    pub at: DateTime<Utc>,
    /// What is signed, where that is another body than the one that is sent.
    pub signed_body: Option<String>,
    pub unsigned: bool,
    /// Headers besides.
    pub headers: Vec<(&'static str, String)>,
}

impl Far {
    pub fn start() -> Far {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let shown = Shown::default();
        let given = web::Data::from(shown.clone());
        std::thread::spawn(move || {
            let server = HttpServer::new(move || App::new().app_data(given.clone()).default_service(web::to(answer)));
            actix_web::rt::System::new().block_on(server.workers(1).disable_signals().listen(listener).unwrap().run())
        });
        Far { base, shown }
    }

    /// Somebody here, whom everybody can look up.
    pub fn person(&self, name: &str) -> Person {
        let person = self.hidden(name);
        person.show();
        person
    }

    /// Somebody here whom nobody can look up.
    pub fn hidden(&self, name: &str) -> Person {
        let uri = format!("{}/users/{name}", self.base);
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let ed25519 = PKey::generate_ed25519().unwrap();
        Person { key_id: format!("{uri}#main-key"), uri, key, ed25519, shown: self.shown.clone() }
    }

    /// Show a document at its id, or at a path.
    pub fn show(&self, id: &str, status: u16, document: Value) {
        let path = id.strip_prefix(&self.base).unwrap_or(id).to_owned();
        self.shown.lock().unwrap().documents.insert(path, (status, document));
    }

    /// What was asked for until now.
    pub fn asked(&self) -> Vec<String> {
        self.shown.lock().unwrap().asked.clone()
    }

    /// How often something below that path was asked for.
    pub fn asked_for(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.starts_with(path)).count()
    }
}

async fn answer(shown: web::Data<Mutex<State>>, request: HttpRequest) -> HttpResponse {
    let mut state = shown.lock().unwrap();
    state.asked.push(request.path().to_owned());
    match state.documents.get(request.path()) {
        Some((status, document)) => {
            let status = actix_web::http::StatusCode::from_u16(*status).unwrap();
            HttpResponse::build(status).content_type("application/activity+json").body(document.to_string())
        }
        None => HttpResponse::NotFound().finish(),
    }
}

impl Person {
    fn actor(&self) -> Value {
        let pem = String::from_utf8(self.key.public_key_to_pem().unwrap()).unwrap();
        let multikey = [&[0xed, 0x01][..], &self.ed25519.raw_public_key().unwrap()].concat();
        json!({
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "id": self.uri,
            "type": "Person",
            "preferredUsername": self.name(),
            "name": format!("{} <b>the</b> far", self.name()),
            "inbox": format!("{}/inbox", self.uri),
            "followers": format!("{}/followers", self.uri),
            "publicKey": { "id": self.key_id, "owner": self.uri, "publicKeyPem": pem },
            "assertionMethod": [{ "id": self.proof_key(), "type": "Multikey", "controller": self.uri,
                "publicKeyMultibase": multibase::encode(multibase::Base::Base58Btc, multikey) }],
        })
    }

    pub fn proof_key(&self) -> String {
        format!("{}#ed25519-key", self.uri)
    }

    pub fn name(&self) -> &str {
        self.uri.rsplit('/').next().unwrap()
    }

    fn path(&self) -> String {
        url::Url::parse(&self.uri).unwrap().path().to_owned()
    }

    /// Show the actor as it is now.
    pub fn show(&self) {
        self.shown.lock().unwrap().documents.insert(self.path(), (200, self.actor()));
    }

    /// Answer 410 where the actor was.
    pub fn vanish(&self) {
        self.shown.lock().unwrap().documents.insert(self.path(), (410, json!({})));
    }

    /// The same person with another key.
    pub fn with_new_key(&self) -> Person {
        Person { key: PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), ..self.clone() }
    }

    /// Something that they do; its id is under theirs.
    pub fn does(&self, kind: &str, number: u32, object: impl Into<Value>) -> Value {
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": format!("{}/activities/{number}", self.uri),
            "type": kind,
            "actor": self.uri,
            "object": object.into(),
        })
    }

    /// A public reply of theirs to what has that id.
    pub fn note(&self, number: u32, answers: &str, html: &str) -> Value {
        json!({
            "id": format!("{}/notes/{number}", self.uri),
            "type": "Note",
            "attributedTo": self.uri,
            "inReplyTo": answers,
            "content": html,
            "published": "2024-03-01T12:00:00Z",
            "url": format!("{}/pages/{number}", self.uri),
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "cc": [format!("{}/followers", self.uri)],
        })
    }

    /// The Create of such a note, for the same people.
    pub fn creates(&self, number: u32, note: Value) -> Value {
        let mut activity = self.does("Create", number, note.clone());
        for key in ["to", "cc"] {
            activity[key] = note[key].clone();
        }
        activity
    }

    /// Their own proof on an activity.
    pub fn prove(&self, mut activity: Value) -> Value {
        proof::add(&mut activity, &self.proof_key(), &self.ed25519, Utc::now()).unwrap();
        activity
    }

    /// Send something to the shared inbox as it should be.
    pub async fn send(&self, app: &TestApp, activity: &Value) -> Answer {
        self.send_as(app, Sending::of(activity)).await
    }

    /// The same, that has to be accepted.
    pub async fn says(&self, app: &TestApp, activity: &Value) {
        let answer = self.send(app, activity).await;
        assert_eq!((answer.status, answer.body.as_str()), (202, ""), "{activity}");
    }

    pub async fn send_as(&self, app: &TestApp, sending: Sending) -> Answer {
        let authority = app.base.split_once("://").unwrap().1;
        let mut request =
            app.request(reqwest::Method::POST, &sending.path).header("content-type", sending.content_type);
        for (name, value) in &sending.headers {
            request = request.header(*name, value);
        }
        if !sending.unsigned {
            let head = Head {
                method: "POST",
                scheme: app.base.split_once("://").unwrap().0,
                authority,
                target: &sending.path,
                headers: vec![("content-type", sending.content_type.as_bytes())],
            };
            let signer = Signer { key_id: &self.key_id, key: &self.key };
            let body = sending.signed_body.as_ref().unwrap_or(&sending.body);
            for (name, value) in signer.sign(sending.scheme, &head, Some(body.as_bytes()), sending.at).unwrap() {
                request = request.header(name, value);
            }
        }
        Answer::read(request.body(sending.body).send().await.unwrap()).await
    }
}

impl Sending {
    pub fn of(activity: &Value) -> Sending {
        Sending {
            path: "/inbox".to_owned(),
            body: activity.to_string(),
            content_type: "application/activity+json",
            scheme: Scheme::Cavage,
            at: Utc::now(),
            signed_body: None,
            unsigned: false,
            headers: Vec::new(),
        }
    }
}
