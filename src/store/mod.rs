//! Postgres: the only room that knows diesel and SQL.
//!
//! [`Store`] is a pool; each file holds one noun: its rows, its queries, the conversion to and from the domain.
//! Must never know ActivityPub's vocabulary, actix or files. Every call is one short transaction.
//! Start with `posts.rs`; writing an archive is `ingest/`.

pub mod accounts;
mod again;
pub mod announcements;
pub mod archive;
pub mod backfill;
pub mod blocks;
pub mod changes;
pub mod compared;
pub mod deliveries;
mod details;
pub mod domains;
pub mod errands;
pub mod exported;
mod feeds;
pub mod followers;
pub mod imports;
mod in_place;
pub mod ingest;
pub mod keys;
pub mod listing;
pub mod load;
pub mod media;
mod migrate;
pub mod pins;
pub mod posts;
pub mod private;
pub mod profiles;
pub mod reactions;
pub mod received;
pub mod remote;
pub mod replies;
pub mod reports;
pub mod resurface;
mod schema;
pub mod snapshot;
mod threads;
mod together;
pub mod tokens;

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::deadpool::{Hook, HookError, Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures::FutureExt;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::{MakeTlsConnector, TlsStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use together::Together;
use tokio_postgres::Socket;

/// What can go wrong with the database, by what a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is not there.
    #[error("{0} is not there")]
    NotFound(String),
    /// Something else has that name or number.
    #[error("it is there already ({0})")]
    Conflict(String),
    /// The database cannot be reached now; trying again may help.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The database is not one that this program may touch.
    #[error("{0}")]
    Foreign(String),
    /// Somebody else is doing the same at this moment.
    #[error("{0}")]
    Busy(String),
    /// A stored value does not mean anything to this version.
    #[error("the database holds something this version cannot read: {0}")]
    Damaged(String),
    /// Anything else that the database said.
    #[error("the database refused: {0}")]
    Database(String),
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Error {
        match error {
            DieselError::NotFound => Error::NotFound("the row".to_owned()),
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                Error::Conflict(info.constraint_name().unwrap_or_default().to_owned())
            }
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => {
                Error::Unavailable(info.message().to_owned())
            }
            DieselError::DatabaseError(DatabaseErrorKind::Unknown | DatabaseErrorKind::UnableToSendCommand, info)
                if is_shutdown(info.message()) =>
            {
                Error::Unavailable(info.message().to_owned())
            }
            DieselError::BrokenTransactionManager => Error::Unavailable("the connection broke".to_owned()),
            other => Error::Database(other.to_string()),
        }
    }
}

/// What Postgres and its driver say while the server goes away or comes back.
fn is_shutdown(message: &str) -> bool {
    let signs = [
        "terminating connection",
        "shutting down",
        "starting up",
        "connection closed",
        "error communicating with the server",
        "in recovery mode",
        "Broken pipe",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

/// The database: a pool of connections to a migrated Postgres.
#[derive(Clone)]
pub struct Store {
    pool: Pool<AsyncPgConnection>,
    place: Place,
    posts_in_place: Together<in_place::Wish>,
    blocked: Together<blocks::Whether>,
    shown: Together<replies::Shown>,
    reacted: Together<reactions::Reacted>,
    gentle: changes::Gentle,
    gentle_wakes: changes::Gentle,
}

/// Where the database is, and how a connection to it is protected.
#[derive(Clone)]
struct Place {
    url: Arc<str>,
    tls: Tls,
}

/// When a connection was last found broken. All that were made before it are suspect and are not used again; so a
/// connection need not be asked, at the price of a round trip for each use, whether it still stands.
type LastLoss = Arc<Mutex<Option<Instant>>>;

/// A connection taken from the pool.
type Connection = Object<AsyncPgConnection>;

/// Longest wait for a free or a new connection.
const POOL_WAIT: Duration = Duration::from_secs(10);

impl Store {
    /// A pool of at most `size` connections. Connects lazily; connections live on the runtime that calls this.
    pub fn connect(url: &str, size: usize) -> Result<Store, Error> {
        let tls = Tls::read(url)?;
        let place = Place { url: tls.plain(url).into(), tls };
        let runtime = tokio::runtime::Handle::current();
        let last_loss = LastLoss::default();
        let mut config = ManagerConfig::<AsyncPgConnection>::default();
        config.recycling_method = RecyclingMethod::Fast;
        let (there, noted) = (place.clone(), last_loss.clone());
        config.custom_setup = Box::new(move |_| {
            let connecting = runtime.spawn(open(there.clone(), noted.clone()));
            async move { connecting.await.unwrap_or_else(|e| Err(ConnectionError::BadConnection(e.to_string()))) }
                .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(&*place.url, config);
        let still_good = Hook::sync_fn(move |_, metrics| {
            let lost = *last_loss.lock().unwrap_or_else(PoisonError::into_inner);
            match lost.is_some_and(|at| at >= metrics.created) {
                true => Err(HookError::message("it is older than the last loss")),
                false => Ok(()),
            }
        });
        let pool = Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(POOL_WAIT))
            .pre_recycle(still_good)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(Store {
            posts_in_place: Together::start(&pool),
            blocked: Together::start(&pool),
            shown: Together::start(&pool),
            reacted: Together::start(&pool),
            pool,
            place,
            gentle: changes::Gentle::of_changes(),
            gentle_wakes: changes::Gentle::of_deliveries(),
        })
    }

    /// Bring the tables up to this version. Blocking; safe when several processes start at once.
    pub fn migrate(url: &str) -> Result<Vec<String>, Error> {
        migrate::run(url)
    }

    /// The migrations that have not run yet, by name. Blocking; changes nothing.
    pub fn pending_migrations(url: &str) -> Result<Vec<String>, Error> {
        migrate::pending(url)
    }

    /// Take every migration back and bring it in again: proves that each `down.sql` is real. For tests.
    pub fn redo_migrations(url: &str) -> Result<(), Error> {
        migrate::redo(url)
    }

    /// Create the database `name` unless it is there; `url` names another one on the same server. Blocking.
    pub fn create_database(url: &str, name: &str) -> Result<(), Error> {
        migrate::create_database(url, name)
    }

    /// Whether the database answers. Blocking, one try.
    pub fn probe(url: &str) -> Result<(), Error> {
        migrate::probe(url)
    }

    /// Whether the database answers and has this version's tables.
    pub async fn ready(&self) -> Result<(), Error> {
        use diesel_async::RunQueryDsl;
        let applied = diesel::dsl::sql::<diesel::sql_types::BigInt>("count(*) FROM __diesel_schema_migrations");
        let applied: i64 = diesel::select(applied).get_result(&mut self.connection().await?).await?;
        match usize::try_from(applied).is_ok_and(|applied| applied >= migrate::count()) {
            true => Ok(()),
            false => Err(Error::Unavailable("the tables are not up to this version".to_owned())),
        }
    }

    /// What time it is for the database.
    pub async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>, Error> {
        use diesel_async::RunQueryDsl;
        let now = diesel::dsl::sql::<diesel::sql_types::Timestamptz>("clock_timestamp()");
        Ok(diesel::select(now).get_result(&mut self.connection().await?).await?)
    }

    async fn connection(&self) -> Result<Connection, Error> {
        self.pool.get().await.map_err(|e| Error::Unavailable(e.to_string()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

/// How a connection is protected, from `sslmode` in the URL, with libpq's meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tls {
    verify: bool,
}

impl Tls {
    /// `verify-ca` and `verify-full` check the certificate against the system's authorities; the weaker modes do not.
    fn read(url: &str) -> Result<Tls, Error> {
        let parsed = url::Url::parse(url).map_err(|e| Error::Unavailable(format!("database.url is not a URL: {e}")))?;
        let mode = parsed.query_pairs().find(|(key, _)| key == "sslmode").map(|(_, mode)| mode.into_owned());
        Ok(Tls { verify: matches!(mode.as_deref(), Some("verify-ca" | "verify-full")) })
    }

    /// The URL as tokio-postgres takes it: it knows `require` but not the two verifying modes.
    fn plain(self, url: &str) -> String {
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require")
    }
}

/// A connection as the driver gives it: the client, and what has to be polled for it.
type Dialled = (tokio_postgres::Client, tokio_postgres::Connection<Socket, TlsStream<Socket>>);

/// Connect, under a name by which an operator finds the connection in `pg_stat_activity`.
async fn dial(place: &Place, name: &str) -> Result<Dialled, Error> {
    let unavailable = |message: String| Error::Unavailable(message);
    let mut connector = SslConnector::builder(SslMethod::tls()).map_err(|e| unavailable(e.to_string()))?;
    if !place.tls.verify {
        connector.set_verify(SslVerifyMode::NONE);
    }
    let connector = MakeTlsConnector::new(connector.build());
    let driver = |cause: tokio_postgres::Error| unavailable(cause.to_string());
    let mut config: tokio_postgres::Config = place.url.parse().map_err(driver)?;
    config.application_name(name).connect(connector).await.map_err(driver)
}

/// A connection for the pool. How it ends is noted in `last_loss`.
async fn open(place: Place, last_loss: LastLoss) -> diesel::ConnectionResult<AsyncPgConnection> {
    let dialled = dial(&place, "everpost").await.map_err(|e| ConnectionError::BadConnection(e.to_string()));
    let (client, connection) = dialled?;
    tokio::spawn(async move {
        // It ends without an error when the pool lets go of it.
        if let Err(cause) = connection.await {
            tracing::debug!(%cause, "a connection to the database was lost");
            *last_loss.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    });
    let mut connection = AsyncPgConnection::try_from(client).await?;
    // Our questions are small, and making a plan takes longer than following it. By itself Postgres makes a new one each
    // time wherever a list is among the values, for it takes every list to be short.
    let once = connection.batch_execute("SET plan_cache_mode = force_generic_plan").await;
    once.map_err(|e| ConnectionError::BadConnection(e.to_string()))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_verifying_modes_check_the_certificate() {
        let tls = |mode: &str| Tls::read(&format!("postgres://u@h/d?sslmode={mode}")).unwrap();
        assert!(!tls("require").verify && !tls("prefer").verify);
        assert!(tls("verify-full").verify && tls("verify-ca").verify);
        assert_eq!(tls("verify-full").plain("postgres://h/d?sslmode=verify-full"), "postgres://h/d?sslmode=require");
    }
}
