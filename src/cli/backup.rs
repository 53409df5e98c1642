//! `everpost backup`: the whole instance into one file.

use super::{JsonFlag, output};
use crate::config::{self, Settings};
use crate::operations::backup::{self, Passphrase, Report, Request};
use crate::startup;
use anyhow::{Context, bail, ensure};
use chrono::Utc;
use clap::Args;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code when the backup is made and something was missing before.
const LOSS: u8 = 3;
/// Troubles that the plain report names.
const SHOWN: usize = 20;
/// Bytes between two plain lines of progress.
const LINE_EVERY: u64 = 1 << 30;

/// Write the whole instance into one file: database, media, sealed files, keys, and the configuration without secrets
///
/// Everything runs on meanwhile. The way back is `everpost restore`. Exit code 3 when the backup was made and media files were
/// missing or damaged before.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to make, or a folder, in which it gets a name with the time
    path: PathBuf,
    /// Encrypt it with a passphrase, which is asked for, or taken from EVERPOST_BACKUP_PASSPHRASE
    #[arg(long)]
    encrypt: bool,
    /// Encrypt it with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Leave out the key file; then nothing that it seals can be opened without your own copy of it
    #[arg(long)]
    without_key: bool,
    #[command(flatten)]
    json: JsonFlag,
}

impl Backup {
    /// Make it and report.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let given = passphrase(self.passphrase_file.as_deref())?;
        let passphrase = match given {
            None if self.encrypt => Some(ask_twice()?),
            given => given,
        };
        let key_file = settings.secrets.key_file.as_deref().filter(|_| !self.without_key);
        let key =
            key_file.map(|file| std::fs::read(file).with_context(|| format!("secrets.key_file {}", file.display())));
        let request = Request {
            path: self.path,
            passphrase: passphrase.clone(),
            configuration: config::to_file(settings),
            key: key.transpose()?,
        };
        let (app, database) = startup::open_unchecked(settings).await?;
        let bar = Bar::new("backed up");
        let show = |done, all| bar.show(done, all);
        // Dropped by a signal, it leaves nothing.
        let made = tokio::select! {
            made = backup::backup(&app, request, Utc::now(), &show) => made,
            stopped = stopped() => {
                stopped?;
                bail!("the backup was broken off, and nothing of it is left");
            }
        };
        bar.end();
        let report = made?;
        drop(database);
        if self.json.json {
            output::json(&to_json(&report, passphrase.is_some()))?;
        } else {
            print(&report);
        }
        warn(&report, passphrase.is_some(), settings.secrets.key_file.as_deref());
        Ok(if report.end.troubles_total == 0 { ExitCode::SUCCESS } else { ExitCode::from(LOSS) })
    }
}

/// Ends with the first signal that asks for an end.
async fn stopped() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
    Ok(())
}

/// The passphrase from a file, else from the environment.
pub(super) fn passphrase(file: Option<&Path>) -> anyhow::Result<Option<Passphrase>> {
    let Some(file) = file else { return Ok(config::backup_passphrase().and_then(Passphrase::new)) };
    let text = std::fs::read_to_string(file).with_context(|| format!("--passphrase-file {}", file.display()))?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    Ok(Some(
        Passphrase::new(line)
            .with_context(|| format!("--passphrase-file {}: its first line is empty", file.display()))?,
    ))
}

/// Ask the person at the terminal.
pub(super) fn ask(question: &str) -> anyhow::Result<String> {
    let nobody = "there is nobody to ask for the passphrase: name a file with --passphrase-file, or set \
                  EVERPOST_BACKUP_PASSPHRASE";
    ensure!(std::io::stdin().is_terminal(), nobody);
    eprint!("{question}: ");
    Term::stderr().read_secure_line().context(nobody)
}

fn ask_twice() -> anyhow::Result<Passphrase> {
    let first = ask("Passphrase for the backup")?;
    ensure!(first == ask("The same once more")?, "the two are not the same; nothing was done");
    Passphrase::new(first).context("an empty passphrase protects nothing; nothing was done")
}

/// The report's fixed shape: fields may be added, never renamed.
fn to_json(report: &Report, encrypted: bool) -> serde_json::Value {
    let Report { path, size, manifest, end } = report;
    json!({
        "path": path.display().to_string(),
        "bytes": size,
        "id": manifest.id,
        "created": manifest.created,
        "posts": manifest.posts,
        "members": end.members,
        "encrypted": encrypted,
        "open_keys": manifest.open_keys && !encrypted,
        "troubles": end.troubles,
        "troubles_total": end.troubles_total,
    })
}

fn print(report: &Report) {
    let Report { path, size, manifest, end } = report;
    println!("Backed up.");
    println!("  file   {}", path.display());
    println!("  size   {}", indicatif::HumanBytes(*size));
    println!("  as of  {}", manifest.created);
    println!("  posts  {}", manifest.posts);
    if end.troubles_total > 0 {
        println!(
            "  {} media files were missing or damaged before; `everpost verify` says which posts they belong to:",
            end.troubles_total
        );
        end.troubles.iter().take(SHOWN).for_each(|trouble| println!("    {trouble}"));
        if end.troubles_total > SHOWN as u64 {
            println!("    … and {} more; --json names the first thousand", end.troubles_total - SHOWN as u64);
        }
    }
    println!("Copy it to another machine. `everpost restore` is the way back.");
}

/// Say loudly when private keys lie open in the file, and when the file does not suffice.
fn warn(report: &Report, encrypted: bool, key_file: Option<&Path>) {
    let path = report.path.display();
    if report.manifest.open_keys && !encrypted {
        eprintln!(
            "everpost: WARNING: {path} holds private keys, and is not encrypted. Whoever reads it can speak in the name of your \
             accounts, and open what is sealed. Keep it where nobody else can read it, or make another one with --encrypt."
        );
    }
    if let Some(file) = key_file.filter(|_| !report.manifest.open_keys) {
        eprintln!(
            "everpost: {path} holds sealed keys, and not the file that opens them. Keep a copy of {} elsewhere: without it no \
             restored server can sign, and what is sealed is lost.",
            file.display()
        );
    }
}

/// A bar of bytes on a terminal, a plain line now and then elsewhere.
pub(super) struct Bar {
    bar: ProgressBar,
    terminal: bool,
    said: AtomicU64,
    what: &'static str,
}

impl Bar {
    pub(super) fn new(what: &'static str) -> Arc<Bar> {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style =
            ProgressStyle::with_template("{bar:30} {bytes} of about {total_bytes}, {bytes_per_sec}, {eta} left");
        let bar = ProgressBar::with_draw_target(None, target);
        let bar = style.map(|style| bar.clone().with_style(style)).unwrap_or(bar);
        Arc::new(Bar { bar, terminal, said: AtomicU64::new(0), what })
    }

    pub(super) fn show(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
        let block = done / LINE_EVERY;
        if !self.terminal && self.said.swap(block, Ordering::Relaxed) < block {
            let (done, all) = (indicatif::HumanBytes(done), indicatif::HumanBytes(all));
            eprintln!("{done} of about {all} {}", self.what);
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
