//! Wires the parts: database, media, keys, domain; runs the server, or a worker, until it is told to stop.

use crate::config::{self, Settings};
use crate::delivery::{self, Queue};
use crate::domain::news::News;
use crate::domain::urls::DomainUrls;
use crate::federation::client::{self, Client};
use crate::federation::keys::Vault;
use crate::http;
use crate::http::tls::Certificate;
use crate::media::MediaStore;
use crate::operations::backup::restore;
use crate::operations::{self, App, backfill, domains, errands, private, resurface};
use crate::postgres::{self, PrivatePostgres};
use crate::store::Store;
use anyhow::Context;
use chrono::Utc;
use rustix::process::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Everything that a command needs. Holds the private database; when it goes, that may stop.
#[derive(Debug)]
pub struct Started {
    /// The handles for operations.
    pub app: App,
    /// The first domain.
    pub urls: DomainUrls,
    /// Something that the operator should know.
    pub notice: Option<String>,
    database: Database,
}

/// The database to use, and what keeps it running.
#[derive(Debug)]
pub struct Database {
    /// Its URL.
    pub url: String,
    /// Something that the operator should know.
    pub notice: Option<String>,
    private: Option<PrivatePostgres>,
}

impl Database {
    /// Let go of it, and see a private one stopped unless another process uses it: whoever started this process may end
    /// everything that is left of it, as systemd does.
    pub async fn close(self) -> anyhow::Result<()> {
        match self.private {
            Some(private) => Ok(aside(move || private.release()).await??),
            None => Ok(()),
        }
    }
}

/// The configured database, or the private one, which is started where it does not run yet.
pub async fn database(settings: &Settings) -> anyhow::Result<Database> {
    if let Some(url) = &settings.database.url {
        return Ok(Database { url: url.clone(), notice: None, private: None });
    }
    let settings = private_settings(&settings.storage.data_dir)?;
    let probe = |url: &str| Store::probe(url).map_err(|e| e.to_string());
    let private = aside(move || PrivatePostgres::attach(&settings, &probe)).await??;
    let (url, notice) = (private.url(), private.notice().map(str::to_owned));
    Ok(Database { url, notice, private: Some(private) })
}

/// Whether a private database was made in the data folder; it need not run.
pub fn has_private_database(data_dir: &Path) -> bool {
    postgres::exists(data_dir)
}

/// Runs something that blocks, perhaps for long, on a thread that does not hold up the end of the process.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Nobody listens any more when the start was broken off.
    std::thread::Builder::new().spawn(move || drop(sender.send(work())))?;
    receiver.await.context("the start broke off")
}

/// The body of the hidden command that owns the private database.
pub fn supervise(data_dir: &Path) -> anyhow::Result<()> {
    let prepare = |url: &str| Store::create_database(url, "everpost").map_err(|e| e.to_string());
    Ok(postgres::supervise(&private_settings(data_dir)?, &prepare)?)
}

fn private_settings(data_dir: &Path) -> anyhow::Result<postgres::Settings> {
    let exe = config::own_program().context("cannot find this program's own file")?;
    Ok(postgres::Settings { data_dir: data_dir.to_owned(), exe, path_var: config::search_path() })
}

/// Open everything: database, migrations, media, keys, the first domain.
pub async fn open(settings: &Settings) -> anyhow::Result<Started> {
    let (app, database) = open_unchecked(settings).await?;
    let domain = domains::ensure_first(&app, &settings.server.public_url, Utc::now()).await?;
    Ok(Started { app, urls: domain.urls(), notice: database.notice.clone(), database })
}

/// The same without a look at the domain, for the commands that put the domain right.
pub async fn open_unchecked(settings: &Settings) -> anyhow::Result<(App, Database)> {
    config::refuse_danger()?;
    restore::refuse_unfinished(&settings.storage.data_dir)?;
    let vault = Vault::open(settings.secrets.key_file.as_deref())?;
    let database = database(settings).await?;
    let url = database.url.clone();
    let migrated = aside(move || Store::migrate(&url)).await?;
    let migrated = migrated.with_context(|| format!("database {}", config::masked_url(&database.url)))?;
    if !migrated.is_empty() {
        tracing::info!(migrations = migrated.len(), "the tables were brought up to this version");
    }
    let (media, private) = (media(settings)?, sealed_files(settings)?);
    let store = Store::connect(&database.url, settings.database.pool_size)?;
    let app = App::new(store, media, vault, private, Client::new(&outbound(settings))?);
    Ok((App { news: News::lasting(settings.federation.push_max_age), ..app }, database))
}

/// How other servers are asked.
fn outbound(settings: &Settings) -> client::Options {
    let config::Federation { extra_ca, allow_addresses, allow_http, .. } = settings.federation.clone();
    let contact = settings.server.public_url.clone();
    client::Options { contact, extra_ca, allow_addresses, allow_http, ..client::Options::default() }
}

/// The media store: the configured folder, else `media` in the data folder.
pub fn media(settings: &Settings) -> anyhow::Result<MediaStore> {
    let data_dir = std::path::absolute(&settings.storage.data_dir).context("storage.data_dir")?;
    let folder = settings.storage.media.clone().unwrap_or_else(|| data_dir.join("media"));
    MediaStore::in_folder(&folder, settings.media.clone())
        .with_context(|| format!("the media folder {}", folder.display()))
}

/// The sealed files of posts that are not public: `private` in the data folder.
pub fn sealed_files(settings: &Settings) -> anyhow::Result<private::Files> {
    let data_dir = std::path::absolute(&settings.storage.data_dir).context("storage.data_dir")?;
    Ok(private::Files::new(&data_dir.join("private")))
}

/// Take as many open files as the system allows in all. The usual limit, 1,024, is for programs that would break with more;
/// a message to as many hosts leaves a connection to each for a while, and then no visitor got in and no host was reached.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files cannot be raised; a message to many hosts may reach it");
    }
}

/// How often it is looked whether something has to be fetched.
const ERRANDS_ROUND: Duration = Duration::from_secs(2);
/// How often it is looked whether servers are to be offered posts.
const OFFERS_ROUND: Duration = Duration::from_secs(5);
/// How often activities are forgotten that came long ago.
const FORGETTING_ROUND: Duration = Duration::from_secs(600);
/// How often it is looked whether it is time to show an old post again; times of the day are to the minute.
const RESURFACING_ROUND: Duration = Duration::from_secs(20);
/// How often the certificate's files are looked at; whoever cannot wait sends SIGHUP.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(2);

/// Run the server until SIGINT or SIGTERM; what is under way is answered first, the database goes last.
/// Tells systemd, where it is the one that started us, when requests can be served and when not.
pub async fn serve(settings: &Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let stopped = stop_signal()?;
    let bind = settings.server.bind;
    let listener = TcpListener::bind(bind).with_context(|| {
        format!("cannot listen on {bind}: stop what listens there, or choose another address with server.bind")
    })?;
    let tls = settings.server.tls.as_ref().map(|(cert, key)| Certificate::read(cert, key)).transpose()?;
    let started = tokio::select! {
        started = open(settings) => started?,
        () = until(stopped.clone()) => return Ok(()),
    };
    if let Some(notice) = &started.notice {
        tracing::warn!("{notice}");
    }
    tracing::info!(url = started.urls.base(), address = %listener.local_addr()?, "listening");
    let reloading = tokio::spawn(reload(tls.clone(), signal(SignalKind::hangup())?));
    let alive = sd_notify::watchdog_enabled().map(|period| tokio::spawn(feed_watchdog(period)));
    let web = http::Settings {
        trusted_proxies: settings.server.trusted_proxies.clone(),
        contact: settings.server.contact.clone(),
        authorized_fetch: settings.federation.authorized_fetch,
        cache_bytes: u64::from(settings.cache.size_mib) << 20,
        log_all_requests: settings.log.all_requests,
        tls,
        metrics_token: settings.server.metrics_token_file.as_deref().map(http::metrics::Token::read).transpose()?,
    };
    let errands = tokio::spawn(do_errands(started.app.clone()));
    let offering = tokio::spawn(offer_posts(started.app.clone()));
    let showing = tokio::spawn(show_again(started.app.clone()));
    let sending = tokio::spawn(queue(&started.app).run(until(stopped.clone())));
    tell(&[NotifyState::Ready]);
    http::serve(started.app, web, listener, started.urls.authority(), until(stopped)).await?;
    // Whatever is under way is leased, and done anew by the next process.
    errands.abort();
    offering.abort();
    showing.abort();
    sending.await.context("deliveries broke off")?;
    reloading.abort();
    started.database.close().await?;
    alive.inspect(tokio::task::JoinHandle::abort);
    Ok(())
}

/// Fetches what was asked for by what came in, and forgets what came long ago, for ever.
async fn do_errands(app: App) {
    let mut rounds = tokio::time::interval(ERRANDS_ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut forgetting = tokio::time::interval(FORGETTING_ROUND);
    loop {
        let outcome = tokio::select! {
            _ = rounds.tick() => errands::run(&app, Utc::now()).await.map(drop),
            _ = forgetting.tick() => app.store.forget_received(Utc::now()).await.map(drop).map_err(Into::into),
        };
        if let Err(error) = outcome {
            tracing::info!(%error, "what has to be fetched from other servers waits for the database");
        }
    }
}

/// Offers posts to the servers of followers, as far as the owner wants that, for ever.
async fn offer_posts(app: App) {
    every(OFFERS_ROUND, "what servers are offered", || backfill::run(&app, Utc::now())).await;
}

/// Shows old posts to followers again when it is time, for ever.
async fn show_again(app: App) {
    every(RESURFACING_ROUND, "what is to be shown again", || resurface::run(&app, Utc::now())).await;
}

/// Does something again and again, for ever. `what` it is about waits where the database is away.
async fn every<F: Future<Output = Result<usize, operations::Error>>>(
    round: Duration,
    what: &str,
    work: impl Fn() -> F,
) {
    let mut rounds = tokio::time::interval(round);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        if let Err(error) = work().await {
            tracing::info!(%error, "{what} waits for the database");
        }
    }
}

/// Deliver until SIGINT or SIGTERM, beside a server on this or another machine; what is under way is finished first.
pub async fn work(settings: &Settings) -> anyhow::Result<()> {
    raise_file_limit();
    let stopped = stop_signal()?;
    let started = tokio::select! {
        started = open(settings) => started?,
        () = until(stopped.clone()) => return Ok(()),
    };
    if let Some(notice) = &started.notice {
        tracing::warn!("{notice}");
    }
    let alive = sd_notify::watchdog_enabled().map(|period| tokio::spawn(feed_watchdog(period)));
    tell(&[NotifyState::Ready]);
    tracing::info!(url = started.urls.base(), "delivering");
    let showing = tokio::spawn(show_again(started.app.clone()));
    queue(&started.app).run(until(stopped)).await;
    showing.abort();
    started.database.close().await?;
    alive.inspect(tokio::task::JoinHandle::abort);
    Ok(())
}

/// What is to be sent, as this process sends it.
fn queue(app: &App) -> Queue {
    Queue {
        store: app.store.clone(),
        courier: app.courier.clone(),
        actors: app.actors.clone(),
        metrics: app.metrics.clone(),
        clock: Arc::new(Utc::now),
        options: delivery::Options::default(),
    }
}

/// Becomes true with SIGINT or SIGTERM.
fn stop_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("stopping");
        tell(&[NotifyState::Stopping]);
        // Who no longer listens has stopped.
        let _ = sender.send(true);
    });
    Ok(receiver)
}

/// Resolves once the signal is there.
async fn until(mut stopped: watch::Receiver<bool>) {
    // Nobody drops the sender before it has told; a stop would be the right answer to that too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Reads the certificate again when its files change, and on SIGHUP. On a terminal SIGHUP means that the terminal is gone,
/// and the server stops, as it does on Ctrl-C.
async fn reload(tls: Option<Certificate>, mut hangup: tokio::signal::unix::Signal) {
    let mut seen = tls.as_ref().map(Certificate::seen);
    let mut looks = tokio::time::interval(CERTIFICATE_LOOK);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = looks.tick(), if tls.is_some() => false,
        };
        if asked && std::io::stderr().is_terminal() {
            // The same way out as everyone else's.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
            continue;
        }
        let now = tls.as_ref().map(Certificate::seen);
        if !asked && now == seen {
            continue;
        }
        seen = now;
        if asked && let Ok(moment) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, moment]);
        }
        match tls.as_ref().map(Certificate::reload) {
            Some(Ok(())) => tracing::info!("the certificate was read again and is in use"),
            Some(Err(error)) => tracing::error!(%error, "the new certificate cannot be used; the old one stays in use"),
            None => tracing::info!("there is no certificate to read again: server.tls_cert is not set"),
        }
        if asked {
            tell(&[NotifyState::Ready]);
        }
    }
}

/// Tells systemd in time that the process is not stuck.
async fn feed_watchdog(period: Duration) {
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// Without systemd this does nothing.
fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told how the server is");
    }
}
