//! The looks at this machine: configuration, disk, keys, database, clock, and whether the server runs.

use super::{Finding, advice};
use crate::activitystreams::render::timestamp;
use crate::config::Settings;
use crate::domain::account::{Account, AccountState};
use crate::federation::keys::Vault;
use crate::operations::backup::restore::refuse_unfinished;
use crate::startup;
use crate::store::domains::Domain;
use crate::store::keys::KeyOwner;
use crate::store::{self, Store};
use chrono::Utc;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Below this many bytes of free space nothing can be imported.
const LITTLE_SPACE: u64 = 256 << 20;
/// Below this many bytes of free space somebody should look.
const SOME_SPACE: u64 = 2 << 30;
/// Media files that are looked for on the disk.
const SAMPLE: i64 = 1000;
/// Seconds by which two clocks may differ before somebody should look, and before other servers refuse signatures.
pub(super) const SKEW: (i64, i64) = (10, 300);

/// What the looks from outside build on.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// The first domain, if the database knows one.
    pub domain: Option<Domain>,
    /// Every account, if the database answers.
    pub accounts: Vec<Account>,
    /// Whether something listens at `server.bind`.
    pub running: bool,
}

/// Look at everything on this machine.
pub(super) async fn look(settings: &Settings, findings: &mut Vec<Finding>) -> Inside {
    configuration(settings, findings);
    disk(&settings.storage.data_dir, findings);
    let vault = keys(settings, findings);
    let mut inside = Inside { running: server(settings, findings).await, ..Inside::default() };
    if let Some((store, _database)) = database(settings, findings).await
        && let Err(error) = contents(settings, &store, vault.as_ref(), findings, &mut inside).await
    {
        findings.push(Finding::problem("database", format!("{error}."), "See the log of PostgreSQL."));
    }
    inside
}

fn configuration(settings: &Settings, findings: &mut Vec<Finding>) {
    const CHECK: &str = "configuration";
    let before = findings.len();
    let public_url = &settings.server.public_url;
    let loopback = crate::domain::urls::DomainUrls::new(public_url).is_loopback();
    if loopback {
        findings.push(Finding::note(
            CHECK,
            format!("server.public_url is {public_url}: nobody else can reach this server."),
        ));
    } else if settings.server.contact.is_empty() {
        let advice = "Set server.contact to a mail address, so that those who run other servers can reach you before they block you.";
        findings.push(Finding::warning(CHECK, "server.contact is empty.", advice));
    }
    let everywhere = !settings.server.bind.ip().is_loopback();
    if everywhere && settings.server.tls.is_none() && !loopback {
        let seen = format!("server.bind is {}: other machines can reach Everpost without https.", settings.server.bind);
        findings.push(Finding::note(CHECK, seen));
    }
    if let Err(error) = crate::config::refuse_danger() {
        findings.push(Finding::problem(CHECK, format!("{error}."), advice::CONFIGURATION));
    }
    if findings.len() == before {
        findings.push(Finding::ok(CHECK, format!("It can be read; the public address is {public_url}.")));
    }
}

fn disk(data_dir: &Path, findings: &mut Vec<Finding>) {
    const CHECK: &str = "disk";
    let shown = data_dir.display();
    let Ok(meta) = std::fs::metadata(data_dir) else {
        findings.push(match data_dir.parent().is_some_and(Path::is_dir) || data_dir.is_relative() {
            true => {
                Finding::note(CHECK, format!("The data folder {shown} is not there yet; the first start makes it."))
            }
            false => Finding::problem(
                CHECK,
                format!("The data folder {shown} is not there, nor the folder that should hold it."),
                "Make it and give it to the user that runs the server, or correct storage.data_dir.",
            ),
        });
        return;
    };
    let me = rustix::process::geteuid().as_raw();
    let probe = data_dir.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        findings.push(Finding::problem(CHECK, format!("The data folder {shown} cannot be written to: {error}."),
            format!("It has to belong to the user that runs the server: chown -R USER {shown}. If it does, the disk is full or mounted read-only.")));
    } else if me == 0 && meta.uid() != 0 {
        findings.push(Finding::warning(
            CHECK,
            format!(
                "The data folder {shown} belongs to the user number {}, and this is root, who may do everything.",
                meta.uid()
            ),
            "Run this as the user of the server, to see what that one may do: runuser -u everpost -- everpost doctor",
        ));
    }
    let space = rustix::fs::statvfs(data_dir).map(|stat| (stat.f_bavail * stat.f_frsize, stat.f_favail, stat.f_files));
    let Ok((free, nodes, all)) = space else { return };
    let mib = free >> 20;
    let advice = "Make room, or move the data folder to a larger disk: PostgreSQL stops when the disk is full.";
    findings.push(match () {
        () if free < LITTLE_SPACE => Finding::problem(CHECK, format!("{mib} MiB are free in {shown}."), advice),
        () if all > 0 && nodes < 1000 => {
            Finding::problem(CHECK, format!("The disk of {shown} has room for {nodes} more files only."), advice)
        }
        () if free < SOME_SPACE => Finding::warning(CHECK, format!("{mib} MiB are free in {shown}."), advice),
        () => Finding::ok(CHECK, format!("{} GiB are free in {shown}.", free >> 30)),
    });
}

/// The key files: that they can be read, and by nobody else. `None` when private keys cannot be opened.
fn keys(settings: &Settings, findings: &mut Vec<Finding>) -> Option<Vault> {
    const CHECK: &str = "keys";
    let tls = settings.server.tls.as_ref().map(|(_, key)| ("server.tls_key", key));
    let files = settings.secrets.key_file.iter().map(|file| ("secrets.key_file", file)).chain(tls);
    for (key, file) in files {
        let shown = file.display();
        let Ok(meta) = std::fs::metadata(file) else { continue };
        let group_is_mine = meta.gid() == rustix::process::getegid().as_raw() && meta.uid() == 0;
        let open = meta.mode() & if group_is_mine { 0o007 } else { 0o077 };
        findings.push(match open {
            0 => Finding::ok(CHECK, format!("{key} {shown} can be read by its owner alone.")),
            _ => Finding::problem(
                CHECK,
                format!("{key} {shown} can be read or written by others (mode {:04o}).", meta.mode() & 0o7777),
                format!("chmod 600 {shown}. If others have used this machine, make a new key."),
            ),
        });
    }
    if let Some((cert, key)) = &settings.server.tls
        && let Err(error) = crate::http::tls::Certificate::read(cert, key)
    {
        findings.push(Finding::problem(
            CHECK,
            format!("{error}."),
            "Correct the files; the server does not start without them.",
        ));
    }
    match Vault::open(settings.secrets.key_file.as_deref()) {
        Ok(vault) => {
            if settings.secrets.key_file.is_none() {
                findings.push(Finding::note(
                    CHECK,
                    "Private keys are stored unencrypted; secrets.key_file would encrypt them.",
                ));
            }
            Some(vault)
        }
        Err(error) => {
            findings.push(Finding::problem(
                CHECK,
                format!("{error}."),
                "If private keys were encrypted with it, bring it back from your backup: a new one does not open them.",
            ));
            None
        }
    }
}

/// Whether something listens, and says that it can serve.
async fn server(settings: &Settings, findings: &mut Vec<Finding>) -> bool {
    const CHECK: &str = "server";
    let address = reachable(settings.server.bind);
    let connecting = tokio::time::timeout(Duration::from_secs(5), tokio::net::TcpStream::connect(address)).await;
    match connecting {
        Ok(Ok(_)) => {
            findings.push(Finding::ok(CHECK, format!("It listens on {address}.")));
            true
        }
        _ => {
            findings.push(Finding::problem(CHECK, format!("Nothing listens on {address}: the server does not run."),
                "Start it: systemctl start everpost (or docker compose up --detach, or everpost serve). If it ends at once, see why: journalctl -u everpost"));
            false
        }
    }
}

/// An address at which a server that is bound there can be reached from this machine.
pub(super) fn reachable(bind: SocketAddr) -> SocketAddr {
    match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bind.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), bind.port()),
        _ => bind,
    }
}

/// The database, if it answers and has this version's tables.
async fn database(settings: &Settings, findings: &mut Vec<Finding>) -> Option<(Store, startup::Database)> {
    const CHECK: &str = "database";
    if settings.database.url.is_none() && !startup::has_private_database(&settings.storage.data_dir) {
        findings.push(Finding::note(CHECK, "There is no private database yet; the first start makes one."));
        return None;
    }
    if let Err(error) = refuse_unfinished(&settings.storage.data_dir) {
        let seen = "A restore was begun and has not ended.";
        findings.push(Finding::problem(CHECK, seen, format!("{error}.")));
        return None;
    }
    let database = match startup::database(settings).await {
        Ok(database) => database,
        Err(error) => {
            findings.push(Finding::problem(
                CHECK,
                format!("The private database does not start: {error:#}"),
                "Do what the message says. The data are in the data folder; do not remove it.",
            ));
            return None;
        }
    };
    let url = database.url.clone();
    let pending = tokio::task::spawn_blocking(move || Store::pending_migrations(&url)).await;
    let shown = crate::config::masked_url(&database.url);
    match pending {
        Ok(Ok(pending)) => {
            findings.push(Finding::ok(CHECK, format!("It answers ({shown}).")));
            if pending.is_empty() {
                findings.push(Finding::ok("migrations", "The tables are those of this version."));
                let store = Store::connect(&database.url, 2).ok()?;
                return Some((store, database));
            }
            findings.push(Finding::problem("migrations", format!("{} migrations have not run: {}.", pending.len(), pending.join(", ")),
                "Make a backup, then run: everpost migrate. Starting the server does the same."));
        }
        Ok(Err(store::Error::Foreign(why))) => findings.push(Finding::problem(CHECK, why, advice::CONFIGURATION)),
        Ok(Err(error)) => findings.push(Finding::problem(CHECK, format!("{error} ({shown})."),
            "See whether PostgreSQL runs (systemctl status postgresql, or docker compose ps), and whether host, name, user and password in database.url (or DATABASE_URL) are right.")),
        Err(error) => findings.push(Finding::problem(CHECK, error.to_string(), "Please report this.")),
    }
    None
}

/// What is in the database: the domain, the server's key, the clock, media.
async fn contents(
    settings: &Settings,
    store: &Store,
    vault: Option<&Vault>,
    findings: &mut Vec<Finding>,
    inside: &mut Inside,
) -> Result<(), store::Error> {
    skew(store.now().await? - Utc::now(), "the database", findings);
    inside.accounts = store.list_accounts().await?;
    inside.domain = store.list_domains().await?.into_iter().find(|domain| domain.first);
    let public_url = &settings.server.public_url;
    match &inside.domain {
        None => findings.push(Finding::note("domain", "The server has not been started with this database yet.")),
        Some(domain) if domain.base_url == *public_url => findings.push(Finding::ok("domain", format!("It is {public_url}."))),
        Some(Domain { base_url: old, exposed: Some(_), .. }) => findings.push(Finding::problem("domain",
            format!("server.public_url is {public_url}, but the accounts live under {old}, and other servers have seen that."),
            format!("Set server.public_url back to {old}, or run: everpost domain rename {old} {public_url}"))),
        Some(Domain { base_url: old, .. }) => findings.push(Finding::warning("domain",
            format!("The accounts live under {old}; the next start moves them to {public_url}."), "Start the server anew.")),
    }
    if let (Some(domain), Some(vault)) = (&inside.domain, vault)
        && let Some(row) = store.list_keys(KeyOwner::ServerActor(domain.id)).await?.first()
        && let Err(error) = vault.private_key(row)
    {
        findings.push(Finding::problem("keys", format!("{error}"), "Bring the key file back from your backup."));
    }
    if let Some(since) = store.queue_figures(Utc::now()).await?.paused {
        findings.push(Finding::warning(
            "queue",
            format!("Nothing is sent to other servers: deliveries are paused since {}.", timestamp(since)),
            "When that has served its purpose (after a restore: when the old server is gone): everpost queue resume",
        ));
    }
    let live = inside.accounts.iter().filter(|account| account.state == AccountState::Live).count();
    findings.push(match (inside.accounts.len(), live) {
        (0, _) => Finding::note("accounts", "There is no account yet: `everpost import PATH` makes one."),
        (all, 0) => Finding::note(
            "accounts",
            format!("{all} are drafts: nobody else sees them until `everpost account publish HANDLE`."),
        ),
        (all, live) => Finding::ok("accounts", format!("{live} of {all} are live.")),
    });
    media(settings, store, findings).await
}

async fn media(settings: &Settings, store: &Store, findings: &mut Vec<Finding>) -> Result<(), store::Error> {
    let files = store.sample_media(SAMPLE).await?;
    let kept = match startup::media(settings) {
        Ok(kept) => kept,
        Err(error) => {
            let advice =
                "See whether storage.data_dir and storage.media name the right folders and this user may write there.";
            findings.push(Finding::problem("media", format!("{error:#}."), advice));
            return Ok(());
        }
    };
    let missing: Vec<_> = files.iter().filter(|file| !kept.path(file).is_file()).collect();
    findings.push(match missing.first() {
        None => Finding::ok("media", format!("{} files were looked for, and all are there.", files.len())),
        Some(first) => Finding::problem("media", format!("{} of {} files are not there, as {}.", missing.len(), files.len(), kept.path(first).display()),
            "Bring storage.data_dir/media back from your backup, or see whether storage.data_dir names the right folder. Importing the archive again brings back what is in it."),
    });
    Ok(())
}

/// What to say about a clock that differs by `difference` from the one of this machine.
pub(super) fn skew(difference: chrono::TimeDelta, whose: &str, findings: &mut Vec<Finding>) {
    let seconds = difference.num_seconds();
    let way = if seconds > 0 { "ahead of" } else { "behind" };
    let seen = format!("The clock of {whose} is {} seconds {way} that of this machine.", seconds.abs());
    findings.push(match seconds.abs() {
        seconds if seconds >= SKEW.1 => Finding::problem("clock", seen, advice::CLOCK),
        seconds if seconds >= SKEW.0 => Finding::warning("clock", seen, advice::CLOCK),
        _ => Finding::ok("clock", format!("The clock of {whose} and that of this machine agree.")),
    });
}
