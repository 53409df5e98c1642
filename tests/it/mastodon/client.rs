//! How the simulated server asks others: signed by its instance actor, without redirects, and by type and id.

use super::signature::Keys;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

/// Largest answer that is read, in bytes.
const MAX_BODY: usize = 1 << 20;

/// What came of asking for a document.
pub enum Fetched {
    Document(Value),
    /// 404.
    Missing,
    /// 410.
    Gone,
    /// Anything else, and what it was.
    Failed(String),
}

pub struct Client {
    /// The certificate of an authority that is believed besides the system's, in PEM form.
    believed: Option<Vec<u8>>,
    places: Mutex<Vec<(String, SocketAddr)>>,
    inner: Mutex<reqwest::Client>,
}

impl Client {
    pub fn new(believed: Option<Vec<u8>>) -> Client {
        let inner = Mutex::new(build(believed.as_deref(), &[]));
        Client { believed, places: Mutex::default(), inner }
    }

    /// A name that leads to an address from now on; who asks by https is shown a certificate for the name all the same.
    pub fn reach(&self, host: &str, address: SocketAddr) {
        let mut places = self.places.lock().unwrap();
        places.retain(|(known, _)| known != host);
        places.push((host.to_owned(), address));
        *self.inner.lock().unwrap() = build(self.believed.as_deref(), &places);
    }

    /// GET a document of ActivityPub: of the right type, and under the id that was asked for.
    pub async fn fetch(&self, keys: &Keys, key_id: &str, url: &str, now: DateTime<Utc>) -> Fetched {
        let found = self.fetch_any(keys, key_id, url, now).await;
        match &found {
            Fetched::Document(document) if document["id"] != url => {
                Fetched::Failed(format!("{url} says that it is {}", document["id"]))
            }
            _ => found,
        }
    }

    /// The same, whatever its id says: pages of collections are asked for so.
    pub async fn fetch_any(&self, keys: &Keys, key_id: &str, url: &str, now: DateTime<Utc>) -> Fetched {
        let Ok(parsed) = url::Url::parse(url) else { return Fetched::Failed(format!("{url} is no URL")) };
        let accept = ("accept".to_owned(), "application/activity+json, application/ld+json".to_owned());
        let headers = [keys.sign(key_id, &parsed, None, now), vec![accept]].concat();
        match self.send(parsed, &headers, None).await {
            Err(why) => Fetched::Failed(why),
            Ok((404, ..)) => Fetched::Missing,
            Ok((410, ..)) => Fetched::Gone,
            Ok((200, kind, body)) if is_activitypub(&kind) => match serde_json::from_slice(&body) {
                Ok(document) => Fetched::Document(document),
                Err(error) => Fetched::Failed(format!("{url}: {error}")),
            },
            Ok((status, kind, _)) => Fetched::Failed(format!("{url} answers {status} {kind}")),
        }
    }

    /// GET without a signature: status, content type, body.
    pub async fn get(&self, url: &str, accept: &str) -> Result<(u16, String, Vec<u8>), String> {
        let parsed = url::Url::parse(url).map_err(|error| error.to_string())?;
        self.send(parsed, &[("accept".to_owned(), accept.to_owned())], None).await
    }

    /// POST an activity; the status of the answer.
    pub async fn post(
        &self,
        keys: &Keys,
        key_id: &str,
        inbox: &str,
        activity: &Value,
        now: DateTime<Utc>,
    ) -> Result<u16, String> {
        let parsed = url::Url::parse(inbox).map_err(|error| error.to_string())?;
        let body = activity.to_string().into_bytes();
        let headers = keys.sign(key_id, &parsed, Some(&body), now);
        Ok(self.send(parsed, &headers, Some(body)).await?.0)
    }

    async fn send(
        &self,
        url: url::Url,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
    ) -> Result<(u16, String, Vec<u8>), String> {
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::GET };
        let client = self.inner.lock().unwrap().clone();
        let mut request = client.request(method, url);
        if let Some(body) = body {
            request = request.body(body);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let kind = answer.headers().get("content-type").map_or("", |value| value.to_str().unwrap_or_default());
        let (status, kind) = (answer.status().as_u16(), kind.to_owned());
        let body = answer.bytes().await.map_err(|error| error.to_string())?;
        if body.len() > MAX_BODY {
            return Err("the answer is too large".to_owned());
        }
        Ok((status, kind, body.to_vec()))
    }
}

/// Connections are not kept: a client is used from several runtimes.
fn build(believed: Option<&[u8]>, places: &[(String, SocketAddr)]) -> reqwest::Client {
    let mut builder = reqwest::Client::builder()
        .user_agent("Mastodon/4.5.3 (simulated; +http://localhost/)")
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(30));
    if let Some(pem) = believed {
        builder = builder.tls_certs_merge([reqwest::Certificate::from_pem(pem).unwrap()]);
    }
    for (host, address) in places {
        builder = builder.resolve(host, *address);
    }
    builder.build().unwrap()
}

/// The two types that are taken, with or without a charset.
fn is_activitypub(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    match parts.next() {
        Some("application/activity+json") => true,
        Some("application/ld+json") => parts.any(|part| {
            part.strip_prefix("profile=").is_some_and(|profile| {
                profile.trim_matches('"').split(' ').any(|one| one == "https://www.w3.org/ns/activitystreams")
            })
        }),
        _ => false,
    }
}
