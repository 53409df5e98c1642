//! Other servers, all on one port: they note what they are sent, verify each signature, and answer as a test says.

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use chrono::{TimeDelta, Utc};
use everpost::federation::signature::{Head, PublicKey, read};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How a host, or one of its paths, answers.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub wait: Duration,
    pub body: String,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), wait: Duration::ZERO, body: String::new() }
    }

    pub fn with(status: u16, name: &'static str, value: &str) -> Reply {
        Reply { headers: vec![(name, value.to_owned())], ..Reply::status(status) }
    }

    pub fn after(wait: Duration) -> Reply {
        Reply { wait, ..Reply::status(202) }
    }
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Got {
    /// Host and path, as `a.example/ann/inbox`.
    pub inbox: String,
    /// The activity's id.
    pub id: String,
    /// Whether it was answered that it is taken.
    pub taken: bool,
}

#[derive(Default)]
struct Inner {
    key: OnceLock<PublicKey>,
    offset: AtomicI64,
    got: Mutex<Vec<Got>>,
    replies: Mutex<HashMap<String, Reply>>,
    forged: Mutex<Vec<String>>,
}

/// A running sink. Ends with this value.
pub struct Sink {
    pub port: u16,
    inner: Arc<Inner>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Sink {
    pub fn start() -> Sink {
        // Every address of this machine: a test may use as many hosts as it likes.
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Arc::new(Inner::default());
        let data = web::Data::from(inner.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)));
            let server = server.workers(1).listen(listener).unwrap().disable_signals().shutdown_timeout(0);
            let stop = async move { drop(stopped.await) };
            actix_web::rt::System::new().block_on(server.shutdown_signal(stop).run()).unwrap();
        });
        Sink { port, inner, stop: Some(stop) }
    }

    /// Verify signatures with this key from now on, by a clock that is so far off.
    pub fn trust(&self, pem: &str) {
        assert!(self.inner.key.set(PublicKey::from_pem(pem).unwrap()).is_ok());
    }

    pub fn set_clock(&self, offset: TimeDelta) {
        self.inner.offset.store(offset.num_seconds(), Ordering::Relaxed);
    }

    /// Let a host, or one path of it, answer so from now on.
    pub fn say(&self, place: &str, reply: Reply) {
        self.inner.replies.lock().unwrap().insert(place.to_owned(), reply);
    }

    /// Everything that came, in order. Fails if any of it was not signed as it should be.
    pub fn got(&self) -> Vec<Got> {
        assert_eq!(*self.inner.forged.lock().unwrap(), Vec::<String>::new(), "every signature is verified");
        self.inner.got.lock().unwrap().clone()
    }

    /// How much came that was not signed with the key that is trusted.
    pub fn forged(&self) -> usize {
        self.inner.forged.lock().unwrap().len()
    }

    /// What was taken, each as `a.example/inbox id`.
    pub fn taken(&self) -> Vec<String> {
        self.got().iter().filter(|got| got.taken).map(|got| format!("{} {}", got.inbox, got.id)).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

async fn answer(request: HttpRequest, body: web::Bytes, inner: web::Data<Inner>) -> HttpResponse {
    let authority = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let host = authority.split(':').next().unwrap_or_default().to_owned();
    let place = format!("{host}{}", request.path());
    let reply = {
        let replies = inner.replies.lock().unwrap();
        replies.get(&place).or_else(|| replies.get(&host)).cloned().unwrap_or_else(|| Reply::status(202))
    };
    if request.method() == "POST" {
        if let Err(why) = verify(&request, &authority, &body, &inner) {
            inner.forged.lock().unwrap().push(format!("{place}: {why}"));
        }
        let id = serde_json::from_slice::<Value>(&body).unwrap()["id"].as_str().unwrap().to_owned();
        let taken = (200..300).contains(&reply.status);
        inner.got.lock().unwrap().push(Got { inbox: place, id, taken });
    }
    tokio::time::sleep(reply.wait).await;
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in reply.headers {
        response.insert_header((name, value));
    }
    response.body(reply.body)
}

fn verify(request: &HttpRequest, authority: &str, body: &[u8], inner: &Inner) -> Result<(), String> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let target = request.uri().path_and_query().unwrap().as_str();
    let head = Head { method: "POST", scheme: "http", authority, target, headers };
    let now = Utc::now() + TimeDelta::seconds(inner.offset.load(Ordering::Relaxed));
    let claims = read(&head, now).map_err(|error| error.to_string())?;
    let bound = claims[0].bind(body).map_err(|error| error.to_string())?;
    bound.verify(inner.key.get().ok_or("no key is trusted yet")?).map_err(|error| error.to_string())
}
