//! actix-web: the only room with routes and status codes.
//!
//! Reads go straight to the store, everything that changes something goes through operations.
//! Must never know diesel, archive formats, or how a request leaves for another server. Start with [`routes`].

pub mod activitypub;
pub mod authorize;
pub mod cache;
pub mod collections;
pub mod echoes;
pub mod entries;
pub mod error;
pub mod export;
pub mod extract;
pub mod feeds;
pub mod fetches;
pub mod files;
pub mod images;
pub mod inbox;
pub mod limits;
pub mod metrics;
pub mod moved;
pub mod pages;
pub mod paths;
pub mod requests;
pub mod respond;
pub mod site;
pub mod tls;
pub mod views;
pub mod wellknown;

use crate::operations::App;
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{Handler, Responder, guard, web};
use cache::{Cache, Key, Moment};
use chrono::Utc;
use error::Error;
use extract::Here;
use ipnet::IpNet;
use std::future::Future;
use std::time::Duration;

/// Seconds in which requests under way are answered once the server is told to stop.
const DRAIN_SECONDS: u64 = 10;

/// Longest wait for the last fetches to be counted.
const COUNTED: Duration = Duration::from_secs(5);

/// What the web server needs besides the application.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Proxies whose `X-Forwarded-Host` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How to reach the operator; may be empty.
    pub contact: String,
    /// Whether posts and collections are given to those alone who sign their requests.
    pub authorized_fetch: bool,
    /// Memory for finished answers, in bytes; 0: every answer is made anew.
    pub cache_bytes: u64,
    /// Whether every request gets a line in the log, and not only those that failed.
    pub log_all_requests: bool,
    /// The certificate with which the server speaks https itself.
    pub tls: Option<tls::Certificate>,
    /// What opens the figures to other machines.
    pub metrics_token: Option<metrics::Token>,
}

/// Every route on one page. The URLs follow Mastodon's scheme and are for ever.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        // Posts, first because they are asked for most.
        .service(negotiated("/users/{handle}/statuses/{id}", activitypub::post))
        .service(object("/users/{handle}/statuses/{id}/activity", activitypub::activity))
        .service(object("/users/{handle}/statuses/{id}/announces/{at}", activitypub::shown_again))
        .service(object("/users/{handle}/statuses/{id}/quote_authorization", activitypub::quote_authorization))
        .service(object("/users/{handle}/statuses/{id}/replies", collections::replies))
        .service(object("/users/{handle}/statuses/{id}/{which:likes|shares}", collections::reactions))
        // The process and what it stands on.
        .service(get("/healthz", wellknown::healthz))
        .service(get("/readyz", wellknown::readyz))
        .service(get("/metrics", metrics::metrics))
        // Discovery.
        .service(get("/.well-known/webfinger", wellknown::webfinger))
        .service(get("/.well-known/host-meta", wellknown::host_meta))
        .service(get("/.well-known/host-meta.json", wellknown::host_meta_json))
        .service(get("/.well-known/nodeinfo", wellknown::nodeinfo_links))
        .service(get("/nodeinfo/{version}", wellknown::nodeinfo))
        // Actors.
        .service(get("/actor", activitypub::server_actor))
        .service(get("/actor/outbox", collections::server_outbox))
        .service(post("/actor/inbox", inbox::shared))
        .service(post("/inbox", inbox::shared))
        .service(get("/users/{handle}", activitypub::account))
        .service(post("/users/{handle}/inbox", inbox::of_account))
        .service(post("/users/{handle}/export", export::export))
        .service(object("/users/{handle}/outbox", collections::outbox))
        .service(object("/users/{handle}/{which:followers|following}", collections::people))
        .service(object("/users/{handle}/collections/{which:featured|tags}", collections::featured))
        .service(object("/users/{handle}/contexts/{id}", collections::context))
        .service(object("/users/{handle}/migration.json", moved::collection))
        // Pages, which answer ActivityPub in place.
        .service(get("/", pages::home))
        .service(get("/@{handle}", activitypub::account))
        .service(get("/@{handle}/moved", moved::page))
        .service(get("/@{handle}/feed.{format:atom|rss|json}", feeds::of_account))
        .service(get("/@{handle}/feed/{part:[0-9-]+}.{format:atom|rss|json}", feeds::archive_of_account))
        .service(negotiated("/@{handle}/{id}", activitypub::post))
        .service(negotiated("/tags/{tag}", pages::tag))
        .service(get("/tags/{tag}/feed.{format:atom|rss|json}", feeds::of_tag))
        .service(get("/tags/{tag}/feed/{part:[0-9-]+}.{format:atom|rss|json}", feeds::archive_of_tag))
        // Files.
        .service(get("/media/{file}", files::media))
        .service(get("/assets/style.css", files::style))
        .service(get("/assets/icon.svg", files::icon))
        .service(get("/favicon.ico", files::icon))
        .default_service(web::to(|_: Here| async { Error::not_found("There is nothing at this address.") }));
}

/// A resource that is read: GET and HEAD.
fn get<F, Args>(path: &str, handler: F) -> actix_web::Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let read = guard::Any(guard::Get()).or(guard::Head());
    web::resource(path)
        .route(web::route().guard(read).to(handler))
        .default_service(web::to(|| async { Error::method_not_allowed("GET, HEAD") }))
}

/// A resource that is ActivityPub whatever Accept says, and under authorized fetch for those alone who sign.
fn object<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    get(path, handler).wrap(from_fn(authorize::objects))
}

/// The same, which is a page for people.
fn negotiated<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    get(path, handler).wrap(from_fn(authorize::negotiated))
}

/// A resource that something is sent to: POST.
fn post<F, Args>(path: &str, handler: F) -> impl HttpServiceFactory + 'static
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::post().to(handler))
        .default_service(web::to(|| async { Error::method_not_allowed("POST") }))
}

/// Around every request: what is in the cache is answered from there, and what may be kept is put there.
pub async fn around(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
    let cache = request.app_data::<web::Data<Cache>>().cloned();
    let wanted = cache.as_deref().and_then(|cache| wanted(cache, &request));
    if let (Some(cache), Some((moment, key))) = (&cache, &wanted) {
        let now = Utc::now();
        if let Some(finished) = cache.find(*moment, key, now) {
            let mut response = finished.respond(request.request(), now);
            guard_headers(response.headers_mut());
            let response = request.into_response(response);
            fetches::note(&response);
            return Ok(response);
        }
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    fetches::note(&response);
    let discovery = response.request().path().starts_with("/.well-known/");
    let kept = response.response_mut().extensions_mut().remove::<respond::Keep>();
    if let (Some(cache), Some((moment, key)), Some(respond::Keep(finished, until))) = (cache, wanted, kept) {
        cache.keep(moment, key, finished, until);
    }
    let shown = response.response().extensions().get::<error::Shown>().cloned();
    let html = extract::wants_html(response.request().headers());
    if let Some(shown) = shown.or_else(|| error::Shown::of_library(response.response())) {
        let host = extract::authority(response.request()).unwrap_or_default();
        let id = requests::RequestId::of(response.request()).unwrap_or_default();
        response = response.map_body(|head, _| {
            let (content_type, body) = match html {
                true => (respond::HTML, views::error(&shown, &host, &id)),
                false => ("application/json", shown.json(&id)),
            };
            head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            if html {
                // A draft's page is 404 until the visitor has its cookie; a cached 404 must not hide it then.
                head.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept, Cookie"));
            }
            actix_web::body::BoxBody::new(body)
        });
    }
    let headers = response.headers_mut();
    guard_headers(headers);
    if discovery {
        // Scripts of any origin may read what discovery answers, its errors too.
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    Ok(response)
}

/// What to look for in the cache, and the moment at which that begins; `None` where nothing is kept.
fn wanted(cache: &Cache, request: &ServiceRequest) -> Option<(Moment, Key)> {
    let moment = cache.moment()?;
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    let authority = extract::authority(request.request()).filter(|_| read)?;
    let path = request.uri().path_and_query()?.as_str();
    Some((moment, Key::new(extract::wants_activitypub(request.headers()), &authority, path)))
}

/// On every answer: a browser never guesses types, tells nobody where a reader comes from, and runs nothing.
fn guard_headers(headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(respond::PAGE_POLICY));
    }
}

/// What handlers are given: the application with the AP library's request data around it.
pub type Data = activitypub_federation::config::Data<App>;

/// Run the server on a bound listener until `stop` resolves, then answer what is under way.
pub async fn serve(
    app: App,
    settings: Settings,
    listener: std::net::TcpListener,
    authority: &str,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let store = app.store.clone();
    let counted = app.clone();
    let (figures, known) = (web::Data::new(app.metrics.clone()), web::Data::new(metrics::Known::default()));
    let config = crate::federation::configure(app, authority).await.map_err(std::io::Error::other)?;
    let cache = web::Data::new(Cache::new(settings.cache_bytes));
    let limits = web::Data::new(limits::Limits::default());
    let heard = cache.clone();
    let (fetches, counter) = fetches::channel();
    let (end, ending) = tokio::sync::oneshot::channel::<()>();
    let counting = tokio::spawn(counter.run(counted, limits.clone().into_inner(), async move { drop(ending.await) }));
    let listener_task = cache.is_on().then(|| tokio::spawn(async move { store.listen(|what| heard.hear(what)).await }));
    let turn = web::Data::new(export::Turn::default());
    let tls = settings.tls.clone();
    let server = actix_web::HttpServer::new(move || {
        actix_web::App::new()
            .wrap(activitypub_federation::config::FederationMiddleware::new(config.clone()))
            // Outside of all that answers, so that what is kept costs nothing of what lies inside.
            .wrap(from_fn(around))
            .wrap(from_fn(requests::around))
            .app_data(web::Data::new(settings.clone()))
            .app_data(cache.clone())
            .app_data(limits.clone())
            .app_data(web::Data::new(fetches.clone()))
            .app_data(figures.clone())
            .app_data(known.clone())
            .app_data(turn.clone())
            .configure(routes)
    });
    let server = match tls {
        Some(certificate) => server.listen_openssl(listener, certificate.acceptor().map_err(std::io::Error::other)?)?,
        None => server.listen(listener)?,
    };
    let ended = server.disable_signals().shutdown_timeout(DRAIN_SECONDS).shutdown_signal(stop).run().await;
    if let Some(task) = listener_task {
        task.abort();
    }
    drop(end);
    if tokio::time::timeout(COUNTED, counting).await.is_err() {
        tracing::debug!("which servers fetched posts last was not written down");
    }
    ended
}
