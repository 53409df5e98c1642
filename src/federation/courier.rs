//! Signed requests to other servers: draft-cavage first, RFC 9421 where that is what a host wants.
//!
//! Follows redirects of what is fetched, signed anew for each address; never of what is delivered. Must never know what
//! a message says. Start with [`Courier::post`].

use super::client::{Answer, Client, Error, TOTAL_TIMEOUT, authority};
use super::signature::{Head, Scheme, Signer};
use crate::metrics::Metrics;
use chrono::{DateTime, Utc};
use openssl::pkey::{PKey, Private};
use std::time::Duration;
use url::Url;

/// Content type of what is delivered; GoToSocial answers 406 to others.
const ACTIVITY_JSON: &str = "application/activity+json";
/// How long a scheme that a host took is tried first there. A day: a host that was updated is understood the next.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Hosts of which a scheme is kept in mind.
const HOSTS: u64 = 10_000;
/// Longest time for a delivery, both schemes included.
const POST_TIMEOUT: Duration = Duration::from_secs(60);
/// Most redirects that are followed: as many as Mastodon follows.
const REDIRECTS: usize = 3;

/// Signs requests and sends them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client,
    /// By host, what worked where draft-cavage did not.
    schemes: moka::sync::Cache<String, Scheme>,
    metrics: Metrics,
}

/// Whose signature goes on a request.
#[derive(Clone)]
pub struct Sender {
    /// The URL of the key.
    pub key_id: String,
    /// The key: RSA.
    pub key: PKey<Private>,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({})", self.key_id)
    }
}

impl Courier {
    /// A courier that sends through this client, and counts what it fetches.
    pub fn new(client: Client, metrics: Metrics) -> Courier {
        let schemes = moka::sync::Cache::builder().max_capacity(HOSTS).time_to_live(REMEMBERED).build();
        Courier { client, schemes, metrics }
    }

    /// The client that it sends through, for what is not signed.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// GET. Answers of every status are answers; redirects are followed, three at most.
    ///
    /// Takes 30 seconds at most, all redirects included. [`Answer::url`] says which URL answered.
    pub async fn get(&self, sender: &Sender, url: &str, accept: &str, now: DateTime<Utc>) -> Result<Answer, Error> {
        // Objects are small. Who compresses nothing cannot be sent what grows without end when it is unpacked.
        let headers = [("accept", accept), ("accept-encoding", "identity")];
        let following = async {
            let mut url = url.to_owned();
            for _ in 0..=REDIRECTS {
                let answer = self.knock(sender, "GET", &url, &headers, None, now).await?;
                match redirect(&answer) {
                    Some(next) => url = next,
                    None => return Ok(answer),
                }
            }
            Err(Error::Redirects)
        };
        let answer = tokio::time::timeout(TOTAL_TIMEOUT, following).await.unwrap_or(Err(Error::Timeout));
        self.metrics.fetched(match &answer {
            Ok(Answer { status: 200..=299, .. }) => "found",
            Ok(Answer { status: 404 | 410, .. }) => "gone",
            Ok(Answer { status: 400..=499, .. }) => "refused",
            Ok(_) => "failed",
            Err(Error::Refused(_)) => "forbidden",
            Err(_) => "unreachable",
        });
        answer
    }

    /// POST an activity. Answers of every status are answers, redirects too.
    ///
    /// Takes 60 seconds at most, also where the host is asked by both schemes.
    pub async fn post(&self, sender: &Sender, url: &str, body: &[u8], now: DateTime<Utc>) -> Result<Answer, Error> {
        let headers = [("content-type", ACTIVITY_JSON)];
        let knocking = self.knock(sender, "POST", url, &headers, Some(body), now);
        tokio::time::timeout(POST_TIMEOUT, knocking).await.unwrap_or(Err(Error::Timeout))
    }

    /// Ask by the scheme that the host is known to take, and once more by the other one if it answers 400 or 401.
    async fn knock(
        &self,
        sender: &Sender,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<Answer, Error> {
        let parsed = Url::parse(url).map_err(|_| Error::Refused(url.to_owned()))?;
        let host = authority(&parsed);
        let known = self.schemes.get(&host);
        let first = known.unwrap_or(Scheme::Cavage);
        let answer = self.ask(first, sender, method, &parsed, headers, body, now).await?;
        if !matches!(answer.status, 400 | 401) {
            return Ok(answer);
        }
        let second = match first {
            Scheme::Cavage => Scheme::Rfc9421,
            Scheme::Rfc9421 => Scheme::Cavage,
        };
        let other = self.ask(second, sender, method, &parsed, headers, body, now).await?;
        match (other.status, second) {
            (200..=399, Scheme::Rfc9421) => self.schemes.insert(host, second),
            (200..=399, Scheme::Cavage) => self.schemes.invalidate(&host),
            // What the host said to the scheme that it is expected to take tells more.
            (400 | 401, _) => return Ok(answer),
            _ => {}
        }
        Ok(other)
    }

    #[expect(clippy::too_many_arguments, reason = "a request has that many parts, and they are named once more above")]
    async fn ask(
        &self,
        scheme: Scheme,
        sender: &Sender,
        method: &str,
        url: &Url,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<Answer, Error> {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let (authority, target) = (authority(url), format!("{}{query}", url.path()));
        let sent = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let head = Head { method, scheme: url.scheme(), authority: &authority, target: &target, headers: sent };
        let signer = Signer { key_id: &sender.key_id, key: &sender.key };
        let made = signer.sign(scheme, &head, body, now).map_err(|error| Error::Unsigned(error.to_string()))?;
        let all: Vec<(&str, &str)> =
            headers.iter().copied().chain(made.iter().map(|(name, value)| (*name, value.as_str()))).collect();
        self.client.send(method, url.as_str(), &all, body).await
    }
}

/// Where an answer sends whoever asked.
fn redirect(answer: &Answer) -> Option<String> {
    let moved = matches!(answer.status, 301 | 302 | 303 | 307 | 308);
    let to = answer.headers.iter().find(|(name, _)| name == "location").filter(|_| moved)?;
    let mut to = Url::parse(&answer.url).ok()?.join(&to.1).ok()?;
    to.set_fragment(None);
    Some(to.to_string())
}
