//! `everpost restore`: a backup becomes an instance again, where there is none.

use super::backup::{Bar, ask, passphrase};
use super::{JsonFlag, output};
use crate::config::{self, Settings, Sources};
use crate::operations::backup::restore::{self, Target};
use crate::operations::backup::{self, Passphrase, Verified};
use crate::startup;
use crate::store::Store;
use anyhow::Context;
use chrono::Utc;
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The name of the key file, where the configuration names none, in the data folder.
const KEY_FILE: &str = "everpost.key";
/// The name of the configuration from the backup, in the data folder.
const CONFIGURATION: &str = "restored.toml";

/// Make an instance of a backup, in an empty data folder and an empty database
///
/// The whole backup is proven first; one that is damaged is refused before anything is touched. Ends by telling what to do next.
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    path: PathBuf,
    /// The passphrase is in the first line of this file; else it is taken from EVERPOST_BACKUP_PASSPHRASE, or asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    json: JsonFlag,
}

impl Restore {
    /// Restore and tell what to do next.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        config::refuse_danger()?;
        let data_dir = std::path::absolute(&settings.storage.data_dir).context("storage.data_dir")?;
        let (media, sealed) = (startup::media(settings)?, startup::sealed_files(settings)?);
        let encrypted = backup::is_encrypted(&self.path).map_err(unchanged)?;
        let passphrase = if encrypted { Some(self.passphrase()?) } else { None };
        // What can be seen at once, before a large file is read.
        restore::refuse_filled(&data_dir, &media, &sealed)?;
        if let Some(url) = settings.database.url.clone().filter(|_| restore::refuse_unfinished(&data_dir).is_ok()) {
            tokio::task::spawn_blocking(move || restore::refuse_filled_database(&url)).await??;
        }
        let verified = self.verify(passphrase.clone()).await?;
        let key_file = settings.secrets.key_file.clone().unwrap_or_else(|| data_dir.join(KEY_FILE));
        let key_file = std::path::absolute(key_file).context("secrets.key_file")?;
        let has_key = verified.key.is_some();
        let configuration = config::for_this_machine(
            &verified.configuration,
            settings,
            &data_dir,
            Some(&*key_file).filter(|_| has_key),
        );
        let configuration = configuration.with_context(|| {
            format!("{}: its configuration cannot be read. Nothing was changed", self.path.display())
        })?;
        let config_file = data_dir.join(CONFIGURATION);
        let database = startup::database(settings).await?;
        let target = Target {
            store: Store::connect(&database.url, 2)?,
            url: database.url.clone(),
            media,
            sealed,
            data_dir,
            key_file: key_file.clone(),
            configuration: (config_file.clone(), configuration),
        };
        let bar = Bar::new("restored");
        let show = bar.clone();
        let progress = std::sync::Arc::new(move |done, all| show.show(done, all));
        let restored = restore::restore(target, &self.path, passphrase, &verified, progress).await;
        bar.end();
        restored?;
        let waiting = Store::connect(&database.url, 1)?.queue_figures(Utc::now()).await?.waiting;
        database.close().await?;
        let next = next(settings, &verified, &config_file, &key_file, waiting);
        if self.json.json {
            return output::json(&to_json(&verified, &config_file, has_key.then_some(&*key_file), waiting, &next));
        }
        print(&verified, &next);
        Ok(())
    }

    fn passphrase(&self) -> anyhow::Result<Passphrase> {
        match passphrase(self.passphrase_file.as_deref())? {
            Some(given) => Ok(given),
            None => Passphrase::new(ask("Passphrase of the backup")?)
                .context("the backup is encrypted, and there is no passphrase"),
        }
    }

    async fn verify(&self, passphrase: Option<Passphrase>) -> anyhow::Result<Verified> {
        let bar = Bar::new("proven");
        let (show, path) = (bar.clone(), self.path.clone());
        let verified = tokio::task::spawn_blocking(move || {
            backup::verify(&path, passphrase.as_ref(), &|done, all| show.show(done, all))
        });
        let verified = verified.await?;
        bar.end();
        verified.map_err(unchanged)
    }
}

fn unchanged(error: crate::operations::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}. Nothing was changed")
}

/// The report's fixed shape: fields may be added, never renamed.
fn to_json(
    verified: &Verified,
    config_file: &Path,
    key_file: Option<&Path>,
    waiting: u64,
    next: &[String],
) -> serde_json::Value {
    let Verified { manifest, end, .. } = verified;
    json!({
        "id": manifest.id,
        "created": manifest.created,
        "domain": manifest.domain,
        "posts": manifest.posts,
        "configuration": config_file.display().to_string(),
        "key_file": key_file.map(|file| file.display().to_string()),
        "waiting": waiting,
        "troubles": end.troubles,
        "troubles_total": end.troubles_total,
        "next": next,
    })
}

/// What to do next, a sentence or two each.
fn next(settings: &Settings, verified: &Verified, config_file: &Path, key_file: &Path, waiting: u64) -> Vec<String> {
    let manifest = &verified.manifest;
    let mut next = Vec::new();
    let file = config_file.display();
    next.push(match &settings.database.url {
        None => format!("The configuration of the old server is in {file}, with the places of this machine. Look it through, then \
                         use it (--config {file}), or take over into your own what you need."),
        Some(_) => format!("The configuration of the old server is in {file}, with the places of this machine and without \
                            database.url. Look it through, then use it (--config {file}), and give it the database as you gave \
                            it to this command."),
    });
    match &verified.key {
        Some(_) => next.push(format!(
            "The key file is {}. Without it nothing that it seals can be opened: secrets.key_file has to name it, as {file} does.",
            key_file.display()
        )),
        None if !manifest.open_keys => next.push(
            "The backup has sealed keys and not the key file: bring your own copy of that file back, and name it in \
             secrets.key_file."
                .to_owned(),
        ),
        None => {}
    }
    next.extend(missing_files(config_file));
    if let Some(domain) = manifest.domain.as_ref().filter(|domain| **domain != settings.server.public_url) {
        next.push(format!(
            "The instance is known as {domain}: server.public_url has to be that. Here it is {}.",
            settings.server.public_url
        ));
    }
    next.push(format!(
        "Make sure that the old server does not run any more: two with one name and one set of keys confuse everybody. Then let \
         its name lead to this machine, start the server, and run `everpost --config {file} doctor`."
    ));
    next.push(format!(
        "Nothing is sent to other servers yet, for the old one may have sent it: {waiting} deliveries wait. `everpost queue hosts` \
         shows them, `everpost queue drop --host HOST` gives some up, and `everpost queue resume` begins to send. Do not forget \
         the last one."
    ));
    if verified.end.troubles_total > 0 {
        next.push(format!(
            "{} media files were missing or damaged already when the backup was made: `everpost verify` names them.",
            verified.end.troubles_total
        ));
    }
    next
}

/// Files that the configuration names and that are not on this machine.
fn missing_files(config_file: &Path) -> Option<String> {
    let sources = Sources { file: Some(config_file.to_owned()), ..Sources::default() };
    let settings = config::load(&sources).ok()?;
    let tls = settings.server.tls.iter().flat_map(|(cert, key)| [("server.tls_cert", cert), ("server.tls_key", key)]);
    let token = settings.server.metrics_token_file.iter().map(|file| ("server.metrics_token_file", file));
    let authorities = settings.federation.extra_ca.iter().map(|file| ("federation.extra_ca", file));
    let missing: Vec<String> = tls
        .chain(token)
        .chain(authorities)
        .filter(|(_, file)| !file.exists())
        .map(|(key, file)| format!("{key} ({})", file.display()))
        .collect();
    let one = missing.join(", ");
    (!missing.is_empty()).then(|| {
        format!("These files are not in a backup and not on this machine: {one}. Bring them, or unset the keys.")
    })
}

fn print(verified: &Verified, next: &[String]) {
    let manifest = &verified.manifest;
    println!("Restored.");
    println!("  as of  {}", manifest.created);
    println!("  posts  {}", manifest.posts);
    if let Some(domain) = &manifest.domain {
        println!("  name   {domain}");
    }
    println!("\nWhat to do next:");
    for (number, step) in next.iter().enumerate() {
        println!("{}. {step}", number + 1);
    }
}
