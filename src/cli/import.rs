//! `everpost import`: progress while it runs, a report at the end.

use super::{output, parse_handle};
use crate::domain::source::{Format, Skipped};
use crate::operations::accounts;
use crate::operations::ingest::{self, Report, Request};
use crate::startup::Started;
use chrono::Utc;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Exit code of `--strict` when something did not come in whole.
const LOSS: u8 = 3;
/// Skipped items that the plain report names; `--json` names all.
const SHOWN: usize = 20;
/// Posts between two plain lines of progress.
const LINE_EVERY: u64 = 5_000;

#[derive(Debug, Args)]
pub struct Import {
    /// Files or folders, of any depth
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The account that gets the posts; by default the one whose source the links name, else a new one
    #[arg(long, value_name = "HANDLE")]
    account: Option<String>,
    /// Take in posts of other authors too
    #[arg(long)]
    adopt: bool,
    /// Read one format only
    #[arg(long, value_enum, default_value = "auto")]
    format: FormatName,
    /// Do everything but write
    #[arg(long)]
    dry_run: bool,
    /// Keep posts that were not public too: encrypted, without any address; needs secrets.key_file
    #[arg(long)]
    include_private: bool,
    /// Exit with 3 when anything was skipped or any media file is missing
    #[arg(long)]
    strict: bool,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// By content
    Auto,
    /// A Hugo site made from a Mastodon account
    Hugo,
}

impl Import {
    /// Import and report; the exit code.
    pub async fn run(self, started: &Started) -> anyhow::Result<ExitCode> {
        let request = Request {
            paths: self.paths,
            account: self.account.as_deref().map(parse_handle).transpose()?,
            adopt: self.adopt,
            format: match self.format {
                FormatName::Auto => None,
                FormatName::Hugo => Some(Format::HugoBundle),
            },
            dry_run: self.dry_run,
            include_private: self.include_private,
        };
        let begun = Instant::now();
        let progress = Progress::new();
        let report =
            ingest::ingest(&started.app, &request, Utc::now(), &|read, total| progress.show(read, total)).await;
        progress.bar.finish_and_clear();
        let report = report?;
        let lossless = report.skipped.is_empty() && report.media_missing == 0;
        let code = if self.strict && !lossless { ExitCode::from(LOSS) } else { ExitCode::SUCCESS };
        if self.json {
            output::json(&to_json(&report, begun.elapsed()))?;
            return Ok(code);
        }
        print(&report, self.dry_run, begun.elapsed());
        if !self.dry_run {
            invite(started, &report).await?;
        }
        Ok(code)
    }
}

/// A bar with rate and remaining time on a terminal, a plain line now and then elsewhere.
struct Progress {
    bar: ProgressBar,
    terminal: bool,
    said: AtomicU64,
}

impl Progress {
    fn new() -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} posts, {per_sec}, {eta} left");
        let bar = ProgressBar::with_draw_target(None, target);
        Progress {
            bar: style.map(|style| bar.clone().with_style(style)).unwrap_or(bar),
            terminal,
            said: AtomicU64::new(0),
        }
    }

    fn show(&self, read: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(read);
        let block = read / LINE_EVERY;
        if !self.terminal && self.said.swap(block, Ordering::Relaxed) < block {
            match total {
                Some(total) => eprintln!("{read} of {total} posts read"),
                None => eprintln!("{read} posts read"),
            }
        }
    }
}

/// The report's fixed shape: fields may be added, never renamed.
fn to_json(report: &Report, took: Duration) -> Value {
    json!({
        "format": "hugo",
        "account": report.account,
        "read": report.read,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "skipped": items(&report.skipped),
        "published": report.published,
        "media": { "stored": report.media_stored, "missing": report.media_missing },
        "estimated_dates": report.estimated_dates,
        "private": {
            "stored": report.private.stored,
            "unchanged": report.private.unchanged,
            "left_out": report.private.left_out,
            "made_public": report.private.made_public,
            "still_public": items(&report.private.still_public),
        },
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
    })
}

fn items(items: &[Skipped]) -> Value {
    Value::from_iter(items.iter().map(|item| json!({ "at": item.at, "reason": item.reason })))
}

fn print(report: &Report, dry_run: bool, took: Duration) {
    println!("{}", if dry_run { "A dry run: nothing was written." } else { "Imported." });
    println!("  account          {}", report.account);
    println!("  posts read       {:>7}  in {:.1} s", report.read, took.as_secs_f64());
    println!("  new              {:>7}", report.created);
    println!("  changed          {:>7}", report.updated);
    println!("  unchanged        {:>7}", report.unchanged);
    println!("  skipped          {:>7}", report.skipped.len());
    println!("  media stored     {:>7}", report.media_stored);
    println!("  media missing    {:>7}", report.media_missing);
    println!("  estimated dates  {:>7}", report.estimated_dates);
    println!("  published        {:>7}", report.published);
    let private = &report.private;
    println!("  private left out {:>7}", private.left_out);
    if private.stored + private.unchanged > 0 {
        println!("  private stored   {:>7}  and {} unchanged", private.stored, private.unchanged);
    }
    if private.made_public > 0 {
        println!("  now public       {:>7}", private.made_public);
    }
    print_items("still public", &private.still_public);
    print_items("skipped", &report.skipped);
}

fn print_items(word: &str, items: &[Skipped]) {
    for item in items.iter().take(SHOWN) {
        println!("  {word} {}: {}", item.at, item.reason);
    }
    if items.len() > SHOWN {
        println!("  … and {} more; --json names them all", items.len() - SHOWN);
    }
}

/// What to do next: where the account is, and how another server would see it.
async fn invite(started: &Started, report: &Report) -> anyhow::Result<()> {
    let handle = parse_handle(&report.account)?;
    let account = accounts::find(&started.app, &handle).await?;
    let urls = account.urls();
    println!();
    if let Some(preview) = output::preview_url(&account) {
        println!("The account is a draft: only this address opens it. Look at it, then publish it.");
        println!("  Preview  {preview}");
        println!("  Publish  everpost account publish {handle}");
        return Ok(());
    }
    let address = account.address();
    println!("  Page    {}", urls.profile());
    println!("  Handle  @{address}");
    println!("  Try     curl '{}/.well-known/webfinger?resource=acct:{address}'", urls.domain().base());
    println!("          curl -H 'Accept: application/activity+json' {}", urls.actor());
    println!("          curl '{}?page=true'", urls.under("outbox"));
    Ok(())
}
