//! Which server fetches which post, told by the signatures of requests, also of those that the cache answers.
//!
//! A request without a signature costs nothing. What a signed one says is handed over, as far as there is room, and judged
//! off the request's path: only where its key is on a host that is counted, and with the bounds that strangers have. Must
//! never hold up an answer. Start with [`note`].

use super::extract::{authority, number, wants_activitypub};
use super::limits::{self, Limits};
use crate::domain::ids::PostId;
use crate::domain::remote::host_of;
use crate::federation::signature::{self, Head};
use crate::operations::receive::authenticate::{self, MOST_CLAIMS};
use crate::operations::{App, Error};
use crate::store::backfill::Fetch;
use crate::store::domains::Domain;
use actix_web::dev::ServiceResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Requests that wait to be judged. What comes beyond is not counted.
const ROOM: usize = 1024;
/// Requests that are judged at the same time.
const AT_ONCE: usize = 16;
/// Longest head of a request that is judged, in bytes.
const LONGEST: usize = 16 << 10;
/// How often what was counted is written down.
const WRITTEN: Duration = Duration::from_millis(500);
/// Posts and hosts that are counted until then. What comes beyond is not counted while the database is away.
const MOST_COUNTED: usize = 10_000;
/// How long it is believed that a host is counted.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long it is believed that it is not: somebody there may begin to follow, and the first post is offered within seconds.
const DOUBTED: Duration = Duration::from_millis(500);
/// Hosts and domains that are kept in mind.
const KEPT: u64 = 1000;

/// Takes what is to be counted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Fetches(mpsc::Sender<Asked>);

/// Put beside an answer that was given to whoever proved who they are: the host of that actor.
#[derive(Clone, Debug)]
pub struct Proven(pub String);

/// A request for a post that was answered.
#[derive(Debug)]
struct Asked {
    post: PostId,
    at: DateTime<Utc>,
    by: By,
}

/// Who asked.
#[derive(Debug)]
enum By {
    /// This host, as is proven.
    Host(String),
    /// Whoever signed this.
    Signer(Box<Signed>),
}

/// What a signature may cover of a request that has no body.
#[derive(Debug)]
struct Signed {
    authority: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    address: Option<IpAddr>,
}

/// Note that a request was answered, if that gave a post to another server that signed.
pub fn note<B>(response: &ServiceResponse<B>) {
    let request = response.request();
    let proven = response.response().extensions().get::<Proven>().cloned();
    if proven.is_none() && !request.headers().contains_key("signature") {
        return;
    }
    let given = matches!(response.status(), StatusCode::OK | StatusCode::NOT_MODIFIED);
    if !given || *request.method() != Method::GET || !wants_activitypub(request.headers()) {
        return;
    }
    let Some(post) = post_of(request.path()) else { return };
    let Some(fetches) = request.app_data::<web::Data<Fetches>>() else { return };
    // Without room nothing is copied.
    let Ok(place) = fetches.0.try_reserve() else { return };
    let by = match proven {
        Some(Proven(host)) => By::Host(host),
        None => match signed(request) {
            Some(signed) => By::Signer(Box::new(signed)),
            None => return,
        },
    };
    place.send(Asked { post, at: Utc::now(), by });
}

/// The number of the post that a path names as an object: `/users/H/statuses/ID` or `/@H/ID`.
fn post_of(path: &str) -> Option<PostId> {
    let id = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "users", _, "statuses", id] => id,
        ["", page, id] if page.starts_with('@') => id,
        _ => return None,
    };
    number(id).map(PostId)
}

fn signed(request: &HttpRequest) -> Option<Signed> {
    let size: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let header = |(name, value): (&actix_web::http::header::HeaderName, &actix_web::http::header::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    (size <= LONGEST).then_some(())?;
    Some(Signed {
        authority: authority(request)?,
        target: request.uri().path_and_query()?.as_str().to_owned(),
        headers: request.headers().iter().map(header).collect(),
        address: limits::address(request),
    })
}

/// What is to be counted, and what counts it.
pub fn channel() -> (Fetches, Counter) {
    let (sender, receiver) = mpsc::channel(ROOM);
    (Fetches(sender), Counter(receiver))
}

/// The other end of [`Fetches`].
#[derive(Debug)]
pub struct Counter(mpsc::Receiver<Asked>);

impl Counter {
    /// Count until `stop` resolves; what was handed over by then is counted and written down.
    pub async fn run(mut self, app: App, limits: Arc<Limits>, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let judge = Arc::new(Judge::new(app.clone(), limits));
        let mut judging = FuturesUnordered::new();
        let mut counted: HashMap<(i64, String), Fetch> = HashMap::new();
        let mut written = tokio::time::interval(WRITTEN);
        written.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut going, mut open) = (true, true);
        while open || !judging.is_empty() {
            tokio::select! {
                () = &mut stop, if going => {
                    going = false;
                    self.0.close();
                }
                asked = self.0.recv(), if open && judging.len() < AT_ONCE => match asked {
                    Some(asked) => {
                        let judge = judge.clone();
                        judging.push(async move { judge.host(&asked).await.map(|host| (asked, host)) }.boxed());
                    }
                    None => open = false,
                },
                Some(judged) = judging.next(), if !judging.is_empty() => {
                    if let Some((asked, host)) = judged && counted.len() < MOST_COUNTED {
                        add(&mut counted, &asked, host);
                    }
                }
                _ = written.tick() => write(&app, &mut counted).await,
            }
        }
        write(&app, &mut counted).await;
    }
}

fn add(counted: &mut HashMap<(i64, String), Fetch>, asked: &Asked, host: String) {
    let new = Fetch { post: asked.post, host: host.clone(), times: 0, between: (asked.at, asked.at) };
    let fetch = counted.entry((asked.post.0, host)).or_insert(new);
    fetch.times += 1;
    fetch.between = (fetch.between.0.min(asked.at), fetch.between.1.max(asked.at));
}

async fn write(app: &App, counted: &mut HashMap<(i64, String), Fetch>) {
    if counted.is_empty() {
        return;
    }
    let fetches: Vec<Fetch> = counted.values().cloned().collect();
    match app.store.count_fetches(&fetches).await {
        Ok(()) => counted.clear(),
        Err(error) => tracing::debug!(%error, "which servers fetched posts is written down later"),
    }
}

/// Says whose a request was.
struct Judge {
    app: App,
    limits: Arc<Limits>,
    /// Whether a host is counted, and since when that is known.
    hosts: moka::sync::Cache<String, (bool, Instant)>,
    /// Our domains.
    domains: moka::sync::Cache<String, Option<Domain>>,
}

impl Judge {
    fn new(app: App, limits: Arc<Limits>) -> Judge {
        Judge {
            app,
            limits,
            hosts: moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(BELIEVED).build(),
            domains: moka::sync::Cache::builder().max_capacity(KEPT).time_to_live(BELIEVED).build(),
        }
    }

    /// The host that asked, if it is proven and counted.
    async fn host(&self, asked: &Asked) -> Option<String> {
        let (host, outcome) = match self.judge(asked).await {
            Ok(Some(host)) => (Some(host), "counted"),
            Ok(None) => (None, "unproven"),
            Err(error) => {
                tracing::debug!(%error, "it could not be told which server fetched a post");
                (None, "failed")
            }
        };
        self.app.metrics.counted(outcome);
        host
    }

    async fn judge(&self, asked: &Asked) -> Result<Option<String>, Error> {
        let signed = match &asked.by {
            By::Host(host) => return Ok(self.is_counted(host).await?.then(|| host.clone())),
            By::Signer(signed) => signed,
        };
        let Some(domain) = self.domain(&signed.authority).await? else { return Ok(None) };
        let headers = signed.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let scheme = domain.base_url.split_once("://").map_or("https", |(scheme, _)| scheme);
        let head = Head { method: "GET", scheme, authority: &signed.authority, target: &signed.target, headers };
        let Ok(claims) = signature::read(&head, asked.at) else { return Ok(None) };
        let may_fetch = |host: &str| self.limits.may_fetch(signed.address, host);
        for claim in claims.iter().take(MOST_CLAIMS) {
            let Some(host) = host_of(claim.key_document()) else { continue };
            if !self.is_counted(&host).await?
                || authenticate::check(claim, &domain.base_url).is_err()
                || self.app.store.is_blocked(None, claim.key_document()).await?
            {
                continue;
            }
            let Ok(bound) = claim.bind(b"") else { continue };
            // A key stands on the host of its actor, or it is none.
            match authenticate::signer(&self.app, claim, &bound, None, &may_fetch, asked.at).await? {
                Ok((actor, _)) => return Ok(host_of(&actor.told.uri).filter(|of_actor| *of_actor == host)),
                Err(refusal) => tracing::debug!(%refusal, "it is not proven which server fetched a post"),
            }
        }
        Ok(None)
    }

    async fn is_counted(&self, host: &str) -> Result<bool, Error> {
        if let Some((counted, since)) = self.hosts.get(host)
            && (counted || since.elapsed() < DOUBTED)
        {
            return Ok(counted);
        }
        let counted = self.app.store.is_counted(host).await?;
        self.hosts.insert(host.to_owned(), (counted, Instant::now()));
        Ok(counted)
    }

    async fn domain(&self, authority: &str) -> Result<Option<Domain>, Error> {
        if let Some(known) = self.domains.get(authority) {
            return Ok(known);
        }
        let domain = self.app.store.find_domain(authority).await?;
        self.domains.insert(authority.to_owned(), domain.clone());
        Ok(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_an_object_at_two_addresses_and_what_is_below_it_is_another() {
        assert_eq!(post_of("/users/ann/statuses/77"), Some(PostId(77)));
        assert_eq!(post_of("/@ann/77"), Some(PostId(77)));
        for other in [
            "/users/ann/statuses/77/replies",
            "/users/ann",
            "/@ann",
            "/@ann/moved",
            "/tags/77",
            "/users/ann/statuses/007",
        ] {
            assert_eq!(post_of(other), None, "{other}");
        }
    }
}
