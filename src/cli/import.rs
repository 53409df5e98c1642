//! `everpost import`: progress while it runs, a report at the end.

use super::{output, parse_handle, profile, report};
use crate::activitystreams::render::timestamp;
use crate::domain::source::Format;
use crate::import::Only;
use crate::import::files::one_line;
use crate::import::limits::Limits;
use crate::operations::accounts;
use crate::operations::ingest::{self, Report, Request};
use crate::operations::preview::{Outcome, Preview};
use crate::startup::Started;
use chrono::Utc;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Exit code of `--strict` when something did not come in whole.
const LOSS: u8 = 3;
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
    /// Leave out what is of another format
    #[arg(long, value_enum, default_value = "auto")]
    format: FormatName,
    /// Do everything but write, and tell of each item what it would become
    #[arg(long)]
    dry_run: bool,
    /// Keep posts that were not public too: encrypted, without any address; needs secrets.key_file
    #[arg(long)]
    include_private: bool,
    /// Exit with 3 when anything was skipped, a media file is missing, a note tells of a loss, or a field is lost
    #[arg(long)]
    strict: bool,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatName {
    /// Every file by its content
    Auto,
    /// Pages of Hugo and Jekyll sites in any layout
    Hugo,
    /// Page bundles, one folder a thread
    HugoBundle,
    /// A page for each status, as mastodon-markdown-archive writes it
    HugoStatus,
    /// Any post that says where it first stood
    HugoPage,
    /// A page for each day
    HugoDay,
    /// The archive that Mastodon hands out, or its outbox.json
    Mastodon,
    /// The backup that Pleroma and Akkoma hand out
    Pleroma,
    /// A line of JSON for each activity
    Jsonl,
}

impl FormatName {
    /// What is read.
    fn only(self) -> Only {
        match self {
            FormatName::Auto => Only::Everything,
            FormatName::Hugo => Only::Pages,
            FormatName::HugoBundle => Only::Format(Format::HugoBundle),
            FormatName::HugoStatus => Only::Format(Format::HugoStatus),
            FormatName::HugoPage => Only::Format(Format::HugoPage),
            FormatName::HugoDay => Only::Format(Format::HugoDay),
            FormatName::Mastodon => Only::Format(Format::Mastodon),
            FormatName::Pleroma => Only::Format(Format::Pleroma),
            FormatName::Jsonl => Only::Format(Format::Jsonl),
        }
    }
}

impl Import {
    /// Import and report; the exit code.
    pub async fn run(self, started: &Started, limits: Limits) -> anyhow::Result<ExitCode> {
        let request = Request {
            paths: self.paths,
            account: self.account.as_deref().map(parse_handle).transpose()?,
            adopt: self.adopt,
            only: self.format.only(),
            dry_run: self.dry_run,
            include_private: self.include_private,
            limits,
        };
        let begun = Instant::now();
        let progress = Progress::new();
        // Lines are printed as they come, and nothing is kept of them; one JSON value has to be collected.
        let items = Mutex::new(Vec::new());
        let watch = |item: Preview| match self.json {
            true => items.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(preview_json(&item)),
            false => progress.bar.suspend(|| println!("{}", preview_line(&item))),
        };
        let show = |read, total| progress.show(read, total);
        let report = ingest::ingest_watched(&started.app, &request, Utc::now(), &show, &watch).await;
        progress.bar.finish_and_clear();
        let report = report?;
        let code = if self.strict && !report.is_lossless() { ExitCode::from(LOSS) } else { ExitCode::SUCCESS };
        if self.json {
            let mut value = report::to_json(&report, begun.elapsed());
            if self.dry_run {
                value["items"] = items.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into();
            }
            output::json(&value)?;
            return Ok(code);
        }
        report::print(&report, self.dry_run, begun.elapsed());
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

/// What an item would become, on one line.
fn preview_line(item: &Preview) -> String {
    let outcome = item.outcome.name();
    let mut line = format!("{} -> {outcome}", item.at);
    if let Some(post) = &item.post {
        let format = post.format.name();
        let place = post.id.map(|id| id.to_string()).or_else(|| post.canonical_url.clone()).unwrap_or_default();
        let media = if post.media == 1 { "1 file".to_owned() } else { format!("{} files", post.media) };
        let date = timestamp(post.published);
        line.push_str(&format!("  {format}  {date}  {place}  {media}  {}", one_line(&post.words)));
    }
    if let Outcome::Skipped(reason) = &item.outcome {
        line.push_str(&format!("  {reason}"));
    }
    line
}

fn preview_json(item: &Preview) -> Value {
    let post = item.post.as_ref();
    let reason = match &item.outcome {
        Outcome::Skipped(reason) => Some(reason),
        _ => None,
    };
    json!({
        "at": item.at,
        "outcome": item.outcome.name(),
        "reason": reason,
        "format": post.map(|post| post.format.name()),
        "published": post.map(|post| timestamp(post.published)),
        "id": post.and_then(|post| post.id).map(|id| id.to_string()),
        "canonical": post.and_then(|post| post.canonical_url.as_ref()),
        "words": post.map(|post| &post.words),
        "media": post.map(|post| post.media),
    })
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
        profile::offer(&account);
        return Ok(());
    }
    let address = account.address();
    println!("  Page    {}", urls.profile());
    println!("  Handle  @{address}");
    println!("  Try     curl '{}/.well-known/webfinger?resource=acct:{address}'", urls.domain().base());
    println!("          curl -H 'Accept: application/activity+json' {}", urls.actor());
    println!("          curl '{}?page=true'", urls.under("outbox"));
    profile::offer(&account);
    Ok(())
}
