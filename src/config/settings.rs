//! What can be configured, section by section, as the rest of the program is given it. `config/default.toml` is the manual.

use super::masked_url;
use crate::media::Limits;
use chrono::TimeDelta;
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What is in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `server.*`.
    pub server: Server,
    /// `storage.*`.
    pub storage: Storage,
    /// `database.*`.
    pub database: Database,
    /// `cache.*`.
    pub cache: Cache,
    /// `media.*`.
    pub media: Limits,
    /// `secrets.*`.
    pub secrets: Secrets,
    /// `federation.*`.
    pub federation: Federation,
    /// `log.*`.
    pub log: Log,
    /// `import.*`.
    pub import: crate::import::limits::Limits,
}

/// `server.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Address and port to listen on.
    pub bind: SocketAddr,
    /// Scheme and authority, lower case, without a trailing slash.
    pub public_url: String,
    /// How to reach the operator; may be empty.
    pub contact: String,
    /// Proxies whose `X-Forwarded-Host` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate chain and the private key, as PEM files, with which the server speaks https itself.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The file that holds the token with which figures are read from other machines.
    pub metrics_token_file: Option<PathBuf>,
}

/// `storage.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    /// Folder for everything that is kept.
    pub data_dir: PathBuf,
    /// Folder for media; `None`: one in `data_dir`.
    pub media: Option<PathBuf>,
}

/// `database.*`.
#[derive(Clone, PartialEq)]
pub struct Database {
    /// A PostgreSQL to use; `None`: a private one.
    pub url: Option<String>,
    /// Most connections, 1 to 50.
    pub pool_size: usize,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = self.url.as_deref().map(masked_url);
        f.debug_struct("Database").field("url", &url).field("pool_size", &self.pool_size).finish()
    }
}

/// `cache.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Memory for finished answers in MiB, 0 to 1024; 0: none is kept.
    pub size_mib: u32,
}

/// `secrets.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Secrets {
    /// The file whose key encrypts private keys at rest.
    pub key_file: Option<PathBuf>,
}

/// `federation.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Federation {
    /// Certificate authorities, as a PEM file, that are believed besides the system's.
    pub extra_ca: Option<PathBuf>,
    /// Blocks of addresses that may be asked although they are not public.
    pub allow_addresses: Vec<IpNet>,
    /// Hosts with their ports that are spoken to over plain http, in lower case; port 0 stands for every port.
    pub allow_http: Vec<String>,
    /// Whether posts and collections are given to those alone who sign their requests.
    pub authorized_fetch: bool,
    /// How long after its own date a post may be pushed to followers; zero: never.
    pub push_max_age: TimeDelta,
}

/// `log.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Log {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// A line for every request, not only for those that failed.
    pub all_requests: bool,
}
