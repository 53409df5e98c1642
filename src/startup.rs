//! Wires the parts: database, media, keys, domain; runs the server until it is told to stop.

use crate::config::{self, Settings};
use crate::domain::urls::DomainUrls;
use crate::federation::keys::Vault;
use crate::http;
use crate::media::MediaStore;
use crate::operations::{App, domains, private};
use crate::postgres::{self, PrivatePostgres};
use crate::store::Store;
use anyhow::Context;
use chrono::Utc;
use std::net::TcpListener;
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

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
    _private: Option<PrivatePostgres>,
}

/// The configured database, or the private one, which is started where it does not run yet.
pub async fn database(settings: &Settings) -> anyhow::Result<Database> {
    if let Some(url) = &settings.database.url {
        return Ok(Database { url: url.clone(), notice: None, _private: None });
    }
    let settings = private_settings(&settings.storage.data_dir)?;
    let probe = |url: &str| Store::probe(url).map_err(|e| e.to_string());
    let private = aside(move || PrivatePostgres::attach(&settings, &probe)).await??;
    let (url, notice) = (private.url(), private.notice().map(str::to_owned));
    Ok(Database { url, notice, _private: Some(private) })
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
    let vault = Vault::open(settings.secrets.key_file.as_deref())?;
    let database = database(settings).await?;
    let url = database.url.clone();
    let migrated = aside(move || Store::migrate(&url)).await?;
    let migrated = migrated.with_context(|| format!("database {}", config::masked_url(&database.url)))?;
    if !migrated.is_empty() {
        tracing::info!(migrations = migrated.len(), "the tables were brought up to this version");
    }
    let data_dir = std::path::absolute(&settings.storage.data_dir).context("storage.data_dir")?;
    let app = App {
        store: Store::connect(&database.url, settings.database.pool_size)?,
        media: MediaStore::new(&data_dir.join("media")),
        vault,
        private: private::Files::new(&data_dir.join("private")),
    };
    Ok((app, database))
}

/// Run the server until SIGINT or SIGTERM; what is under way is answered first, the database goes last.
pub async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut stop = Box::pin(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        tracing::info!("stopping");
    });
    let bind = settings.server.bind;
    let listener = TcpListener::bind(bind).with_context(|| {
        format!("cannot listen on {bind}: stop what listens there, or choose another address with server.bind")
    })?;
    let started = tokio::select! {
        started = open(settings) => started?,
        () = &mut stop => return Ok(()),
    };
    if let Some(notice) = &started.notice {
        tracing::warn!("{notice}");
    }
    tracing::info!(url = started.urls.base(), address = %listener.local_addr()?, "listening");
    let web = http::Settings {
        trusted_proxies: settings.server.trusted_proxies.clone(),
        contact: settings.server.contact.clone(),
    };
    http::serve(started.app, web, listener, started.urls.authority(), stop).await?;
    drop(started.database);
    Ok(())
}
