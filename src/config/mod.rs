//! Configuration: the only reader of the environment and of configuration files.
//!
//! Layers, the first that gives a key wins: command line, environment, `DATABASE_URL`, file, `config/default.toml`.
//! Every value remembers where it came from, so that a wrong one is reported with its name, its place and what is allowed.

mod age;
mod import;
mod settings;
mod written;

pub use settings::{Cache, Database, Federation, Log, Secrets, Server, Settings, Storage};
pub use written::{backup_passphrase, for_this_machine, to_file};

use crate::domain::news::News;
use crate::domain::urls::is_loopback;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The reference manual, which is also the lowest layer.
const DEFAULT: &str = include_str!("../../config/default.toml");

/// Why the configuration cannot be used: what, where, and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key that does not exist.
    #[error("{key} ({place}) is not a configuration key. {allowed}")]
    UnknownKey {
        /// The key.
        key: String,
        /// Where it was given.
        place: String,
        /// What exists.
        allowed: String,
    },
    /// A value that the key does not take.
    #[error("{key} ({place}) cannot be {value:?}: {allowed}")]
    BadValue {
        /// The key.
        key: String,
        /// Where it was given.
        place: String,
        /// What was given; masked for keys that may hold secrets.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A file that cannot be read.
    #[error("cannot read the configuration file {path}: {cause}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    value: Value,
    place: String,
}

/// What comes from outside: arguments and environment, handed in so that tests can.
#[derive(Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// Each `--set`, as `section.key=value`.
    pub flags: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// The flags given, with this process's environment.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Sources {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        Sources { file, flags, environment: std::env::vars_os().filter_map(text).collect() }
    }
}

/// Search path for programs, as the environment gives it.
pub fn search_path() -> Option<OsString> {
    std::env::var_os("PATH")
}

/// This program's own file, by which it starts its supervisor.
pub fn own_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// What the log should show: `EVERPOST_LOG`, in the syntax of tracing's filters, as `everpost=debug`.
pub fn log_filter() -> Option<String> {
    std::env::var("EVERPOST_LOG").ok()
}

/// Refuse to start with the variable that makes the AP library fetch from private addresses.
pub fn refuse_danger() -> Result<(), Error> {
    match std::env::var_os("DANGER_FEDERATION_ALLOW_LOCAL_IP") {
        None => Ok(()),
        Some(_) => Err(Error::BadValue {
            key: "DANGER_FEDERATION_ALLOW_LOCAL_IP".to_owned(),
            place: "the environment".to_owned(),
            value: "set".to_owned(),
            allowed: "it switches off protection against requests to private addresses; unset it".to_owned(),
        }),
    }
}

/// Read and check everything.
pub fn load(sources: &Sources) -> Result<Settings, Error> {
    let mut entries = default_entries();
    if let Some(path) = &sources.file {
        add_file(&mut entries, path)?;
    }
    if let Some((_, url)) = sources.environment.iter().find(|(name, value)| name == "DATABASE_URL" && !value.is_empty())
    {
        put(&mut entries, "database.url", url, "DATABASE_URL in the environment")?;
    }
    for (name, value) in &sources.environment {
        if let Some(key) = key_of_variable(name, &entries)? {
            put(&mut entries, &key, value, &format!("{name} in the environment"))?;
        }
    }
    for flag in &sources.flags {
        let (key, value) = flag.split_once('=').unwrap_or((flag, ""));
        put(&mut entries, key, value, &format!("--set {key}"))?;
    }
    settings(&entries)
}

/// Every key with the value in force, secrets masked, in the order of the manual.
pub fn effective(settings: &Settings) -> Vec<(&'static str, String)> {
    let path = |path: &PathBuf| path.display().to_string();
    let tls = |part: fn(&(PathBuf, PathBuf)) -> &PathBuf| settings.server.tls.as_ref().map(part).map(path);
    let blocks = |blocks: &[IpNet]| blocks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",");
    let mut keys = vec![
        ("server.bind", settings.server.bind.to_string()),
        ("server.public_url", settings.server.public_url.clone()),
        ("server.contact", settings.server.contact.clone()),
        ("server.trusted_proxies", blocks(&settings.server.trusted_proxies)),
        ("server.tls_cert", tls(|tls| &tls.0).unwrap_or_default()),
        ("server.tls_key", tls(|tls| &tls.1).unwrap_or_default()),
        ("server.metrics_token_file", settings.server.metrics_token_file.as_ref().map(path).unwrap_or_default()),
        ("storage.data_dir", path(&settings.storage.data_dir)),
        (
            "storage.media",
            settings.storage.media.as_ref().map_or("file".to_owned(), |path| format!("file://{}", path.display())),
        ),
        ("media.max_file_mib", (settings.media.file_bytes >> 20).to_string()),
        ("media.max_picture_mib", (settings.media.picture_bytes >> 20).to_string()),
        ("media.max_megapixels", (settings.media.pixels / 1_000_000).to_string()),
        ("media.strip_metadata", settings.media.strip_metadata.to_string()),
        ("database.url", settings.database.url.as_deref().map(masked_url).unwrap_or_default()),
        ("database.pool_size", settings.database.pool_size.to_string()),
        ("cache.size_mib", settings.cache.size_mib.to_string()),
        ("secrets.key_file", settings.secrets.key_file.as_ref().map(path).unwrap_or_default()),
        ("federation.extra_ca", settings.federation.extra_ca.as_ref().map(path).unwrap_or_default()),
        ("federation.allow_addresses", blocks(&settings.federation.allow_addresses)),
        ("federation.allow_http", settings.federation.allow_http.join(",")),
        ("federation.authorized_fetch", if settings.federation.authorized_fetch { "on" } else { "off" }.to_owned()),
        ("federation.push_max_age", age::shown(settings.federation.push_max_age)),
        ("log.format", if settings.log.json { "json" } else { "text" }.to_owned()),
        ("log.requests", if settings.log.all_requests { "all" } else { "failed" }.to_owned()),
    ];
    keys.extend(import::effective(&settings.import));
    keys
}

/// A database URL that may be shown: no password, no parameters.
pub fn masked_url(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else { return "(not a URL)".to_owned() };
    if url.password().is_some() && url.set_password(Some("***")).is_err() {
        return "(masked)".to_owned();
    }
    let secret = |name: &str| name.contains("pass") || name.contains("key");
    let pairs: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    if !pairs.is_empty() {
        let masked = pairs.iter().map(|(k, v)| (k.as_str(), if secret(k) { "***" } else { v.as_str() }));
        url.query_pairs_mut().clear().extend_pairs(masked);
    }
    url.to_string()
}

fn default_entries() -> BTreeMap<String, Entry> {
    let table: Table = DEFAULT.parse().unwrap_or_default();
    let mut entries = BTreeMap::new();
    for (section, keys) in &table {
        for (key, value) in keys.as_table().into_iter().flatten() {
            entries.insert(format!("{section}.{key}"), Entry { value: value.clone(), place: "default".to_owned() });
        }
    }
    entries
}

fn add_file(entries: &mut BTreeMap<String, Entry>, path: &Path) -> Result<(), Error> {
    let fail = |cause: String| Error::File { path: path.to_owned(), cause };
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    // The message alone: the error's own text quotes the line, which may hold a password.
    let table = toml::de::DeTable::parse(&text).map_err(|e| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        fail(format!("line {}: {}", before.matches('\n').count() + 1, e.message()))
    })?;
    for (section, keys) in table.get_ref() {
        let section_name = section.get_ref().as_ref();
        let line = |at: usize| text[..at.min(text.len())].lines().count().max(1);
        let place = |at: usize| format!("{} line {}", path.display(), line(at + 1));
        let Some(keys) = keys.get_ref().as_table() else {
            return Err(unknown(section_name, &place(section.span().start), entries));
        };
        for (key, value) in keys {
            let name = format!("{section_name}.{}", key.get_ref());
            let place = place(key.span().start);
            let Some(entry) = entries.get(&name) else { return Err(unknown(&name, &place, entries)) };
            let value = to_value(value.get_ref());
            if value.type_str() != entry.value.type_str() {
                let allowed = format!("it takes {}", article(entry.value.type_str()));
                let value = if name == "database.url" { "(not shown)".to_owned() } else { value.to_string() };
                return Err(Error::BadValue { key: name, place, value, allowed });
            }
            entries.insert(name, Entry { value, place });
        }
    }
    Ok(())
}

/// The plain value of a parsed one; types that no key takes become text.
fn to_value(value: &toml::de::DeValue<'_>) -> Value {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Integer),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| to_value(item.get_ref())).collect()),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or_default()),
        DeValue::Table(_) => Value::Table(Table::new()),
        DeValue::Datetime(time) => Value::Datetime(*time),
    }
}

/// The key that an environment variable sets, if it is one of ours. `EVERPOST_SERVER_BIND` (one underscore) is a mistake,
/// `EVERPOST_SERVICE_HOST` (set by Kubernetes for a service of that name) is not ours.
fn key_of_variable(name: &str, entries: &BTreeMap<String, Entry>) -> Result<Option<String>, Error> {
    let Some(rest) = name.strip_prefix("EVERPOST_") else { return Ok(None) };
    let rest = rest.to_lowercase();
    let key = match rest.split_once("__") {
        Some((section, key)) => format!("{section}.{key}"),
        None => match rest.split_once('_') {
            Some((section, key)) if entries.contains_key(&format!("{section}.{key}")) => {
                let allowed = format!(
                    "Write two underscores after the section: EVERPOST_{}__{}.",
                    section.to_uppercase(),
                    key.to_uppercase()
                );
                return Err(Error::UnknownKey { key: name.to_owned(), place: "the environment".to_owned(), allowed });
            }
            _ => return Ok(None),
        },
    };
    match entries.contains_key(&key) {
        true => Ok(Some(key)),
        false => Err(unknown(&key, &format!("{name} in the environment"), entries)),
    }
}

fn put(entries: &mut BTreeMap<String, Entry>, key: &str, text: &str, place: &str) -> Result<(), Error> {
    let Some(entry) = entries.get(key) else { return Err(unknown(key, place, entries)) };
    let bad = |allowed: &str| Error::BadValue {
        key: key.to_owned(),
        place: place.to_owned(),
        value: text.to_owned(),
        allowed: allowed.to_owned(),
    };
    let value = match &entry.value {
        Value::Integer(_) => Value::Integer(text.trim().parse().map_err(|_| bad("it takes a whole number"))?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().map_err(|_| bad("it takes true or false"))?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    };
    entries.insert(key.to_owned(), Entry { value, place: place.to_owned() });
    Ok(())
}

fn unknown(key: &str, place: &str, entries: &BTreeMap<String, Entry>) -> Error {
    let section = key.split('.').next().unwrap_or_default();
    let in_section: Vec<&str> =
        entries.keys().filter_map(|known| known.strip_prefix(section)?.strip_prefix('.')).collect();
    let allowed = match in_section.is_empty() {
        false => format!("Allowed in [{section}]: {}.", in_section.join(", ")),
        true => format!("Allowed: {}.", entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    Error::UnknownKey { key: key.to_owned(), place: place.to_owned(), allowed }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list, as [\"a\", \"b\"]",
        _ => "text in quotes",
    }
}

fn settings(entries: &BTreeMap<String, Entry>) -> Result<Settings, Error> {
    let text = |key: &str| entries.get(key).and_then(|entry| entry.value.as_str()).unwrap_or_default().to_owned();
    let path = |key: &str| Some(text(key)).filter(|text| !text.is_empty()).map(PathBuf::from);
    let bad = |key: &str, value: &str, allowed: &str| Error::BadValue {
        key: key.to_owned(),
        place: entries.get(key).map(|entry| entry.place.clone()).unwrap_or_default(),
        value: value.to_owned(),
        allowed: allowed.to_owned(),
    };
    let bind = text("server.bind");
    let bind = bind
        .parse()
        .map_err(|_| bad("server.bind", &bind, "it takes an address and a port, as 127.0.0.1:8080 or [::1]:8080"))?;
    let public_url = text("server.public_url");
    let public_url = read_public_url(&public_url).map_err(|allowed| bad("server.public_url", &public_url, allowed))?;
    let items = |key: &str| {
        let items = entries.get(key).and_then(|entry| entry.value.as_array()).into_iter().flatten();
        items.map(|item| item.as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    let blocks = |key: &str| {
        let block = |item: &str| {
            let block = item.parse::<IpNet>().or_else(|_| item.parse::<std::net::IpAddr>().map(IpNet::from));
            block.map_err(|_| bad(key, item, "each takes an address or a network, as 10.0.0.0/8"))
        };
        items(key).into_iter().map(block).collect::<Result<Vec<_>, _>>()
    };
    let trusted_proxies = blocks("server.trusted_proxies")?;
    let plain = |item: &str| {
        let valid = read_authority(item);
        valid.ok_or_else(|| bad("federation.allow_http", item, "each takes a host and a port, as localhost:8080"))
    };
    let allow_http = items("federation.allow_http").into_iter().map(plain).collect::<Result<_, _>>()?;
    let url = Some(text("database.url")).filter(|url| !url.is_empty());
    if let Some(url) = &url {
        let scheme = url::Url::parse(url).map(|url| url.scheme().to_owned()).unwrap_or_default();
        if scheme != "postgres" && scheme != "postgresql" {
            return Err(bad(
                "database.url",
                &masked_url(url),
                "it takes postgres://user:password@host/name, or nothing",
            ));
        }
    }
    let pool_size = entries.get("database.pool_size").and_then(|entry| entry.value.as_integer()).unwrap_or_default();
    let size = usize::try_from(pool_size).ok().filter(|size| (1..=50).contains(size));
    let pool_size = size.ok_or_else(|| bad("database.pool_size", &pool_size.to_string(), "it takes 1 to 50"))?;
    let size_mib = entries.get("cache.size_mib").and_then(|entry| entry.value.as_integer()).unwrap_or_default();
    let size = u32::try_from(size_mib).ok().filter(|size| (0..=1024).contains(size));
    let size_mib = size.ok_or_else(|| bad("cache.size_mib", &size_mib.to_string(), "it takes 0 to 1024"))?;
    let data_dir = path("storage.data_dir").ok_or_else(|| bad("storage.data_dir", "", "it takes a folder"))?;
    let place = text("storage.media");
    let media = read_media_place(&place).map_err(|allowed| bad("storage.media", &place, allowed))?;
    let limit = |key: &str, most: u64, allowed: &str| {
        let value = entries.get(key).and_then(|entry| entry.value.as_integer()).unwrap_or_default();
        let limit = u64::try_from(value).ok().filter(|limit| (1..=most).contains(limit));
        limit.ok_or_else(|| bad(key, &value.to_string(), allowed))
    };
    let limits = crate::media::Limits {
        file_bytes: limit("media.max_file_mib", 4096, "it takes 1 to 4096")? << 20,
        picture_bytes: limit("media.max_picture_mib", 256, "it takes 1 to 256")? << 20,
        pixels: limit("media.max_megapixels", 1000, "it takes 1 to 1000")? * 1_000_000,
        strip_metadata: entries
            .get("media.strip_metadata")
            .and_then(|entry| entry.value.as_bool())
            .unwrap_or(crate::media::Limits::default().strip_metadata),
    };
    let tls = match (path("server.tls_cert"), path("server.tls_key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(bad("server.tls_key", "", "server.tls_cert is set, so it takes a file too")),
        (None, Some(_)) => return Err(bad("server.tls_cert", "", "server.tls_key is set, so it takes a file too")),
    };
    let one_of = |key: &str, first: &str, second: &str| match text(key) {
        value if value == first => Ok(false),
        value if value == second => Ok(true),
        value => Err(bad(key, &value, &format!("it takes {first} or {second}"))),
    };
    let push_max_age = text("federation.push_max_age");
    let push_max_age = age::read(&push_max_age, News::MOST).ok_or_else(|| {
        bad("federation.push_max_age", &push_max_age, "it takes hours or minutes, as 6h or 90m, 24h at most, or 0")
    })?;
    Ok(Settings {
        server: Server {
            bind,
            public_url,
            contact: text("server.contact"),
            trusted_proxies,
            tls,
            metrics_token_file: path("server.metrics_token_file"),
        },
        storage: Storage { data_dir, media },
        media: limits,
        database: Database { url, pool_size },
        cache: Cache { size_mib },
        secrets: Secrets { key_file: path("secrets.key_file") },
        federation: Federation {
            extra_ca: path("federation.extra_ca"),
            allow_addresses: blocks("federation.allow_addresses")?,
            allow_http,
            authorized_fetch: one_of("federation.authorized_fetch", "off", "on")?,
            push_max_age,
        },
        log: Log {
            json: one_of("log.format", "text", "json")?,
            all_requests: one_of("log.requests", "failed", "all")?,
        },
        import: import::limits(entries)?,
    })
}

/// The folder that `storage.media` names, `None` for the usual one; what is allowed, when it names none.
fn read_media_place(text: &str) -> Result<Option<PathBuf>, &'static str> {
    const ALLOWED: &str = "it takes file, for a folder in storage.data_dir, or file:///path, for another one; \
                           other places than a folder are not possible yet";
    match text {
        "file" => Ok(None),
        _ => {
            let url = url::Url::parse(text).ok().filter(|url| url.scheme() == "file" && url.path().len() > 1);
            url.and_then(|url| url.to_file_path().ok()).map(Some).ok_or(ALLOWED)
        }
    }
}

/// A host with its port, in lower case; `None` if it is something else, or lacks the port.
fn read_authority(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let url = url::Url::parse(&format!("none://{text}")).ok()?;
    let named = url.host_str().zip(url.port()).map(|(host, port)| format!("{host}:{port}"))?;
    (named == text).then_some(text)
}

/// Check a public URL; what is allowed, when it is not.
///
/// Identifiers carry no port, except on localhost, where nothing is for ever.
pub fn read_public_url(text: &str) -> Result<String, &'static str> {
    let url = url::Url::parse(text).map_err(|_| "it takes a scheme and a host, as https://example.org")?;
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Err("it takes a scheme and a host, as https://example.org");
    }
    if url.path() != "/" || text.ends_with('/') || url.query().is_some() || url.fragment().is_some() {
        return Err("it takes no path and no trailing slash, as https://example.org");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it takes no user and no password");
    }
    let loopback = is_loopback(host);
    if url.port().is_some() && !loopback {
        return Err("a port is possible on localhost alone; put a proxy on the usual port, as https://example.org");
    }
    if url.scheme() == "http" && !loopback {
        return Err("http is possible on localhost alone; other servers accept https only");
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{}{port}", url.scheme(), host.to_lowercase()))
}

#[cfg(test)]
mod tests;
