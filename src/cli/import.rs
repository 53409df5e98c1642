//! `everpost import`: progress while it runs, a report at the end.

use super::{output, parse_handle, profile};
use crate::activitystreams::render::timestamp;
use crate::domain::source::{Format, Skipped};
use crate::import::Only;
use crate::import::files::one_line;
use crate::import::limits::Limits;
use crate::operations::accounts;
use crate::operations::ingest::{self, Report, Request};
use crate::operations::preview::{Outcome, Preview};
use crate::operations::private::Tally;
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
    /// Leave out what is of another format
    #[arg(long, value_enum, default_value = "auto")]
    format: FormatName,
    /// Do everything but write, and tell of each item what it would become
    #[arg(long)]
    dry_run: bool,
    /// Keep posts that were not public too: encrypted, without any address; needs secrets.key_file
    #[arg(long)]
    include_private: bool,
    /// Exit with 3 when anything was skipped, any media file is missing, or a note tells of a loss
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
        let lossless =
            report.skipped.is_empty() && report.media_missing == 0 && !report.notes.iter().any(|note| note.loss);
        let code = if self.strict && !lossless { ExitCode::from(LOSS) } else { ExitCode::SUCCESS };
        if self.json {
            let mut value = to_json(&report, begun.elapsed());
            if self.dry_run {
                value["items"] = items.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into();
            }
            output::json(&value)?;
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
    let notes = report.notes.iter().map(|item| json!({ "at": item.at, "note": item.note, "loss": item.loss }));
    json!({
        "format": match report.format {
            Some(Format::Mastodon) => "mastodon",
            Some(Format::Pleroma) => "pleroma",
            _ => "hugo",
        },
        "import": report.import.map(|import| import.0),
        "account": report.account,
        "read": report.read,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "skipped": items(&report.skipped),
        "notes": notes.collect::<Vec<_>>(),
        "published": report.published,
        "unpublished": { "boosts": report.unpublished_boosts, "replies": report.unpublished_replies },
        "media": { "stored": report.media_stored, "missing": report.media_missing },
        "estimated_dates": report.estimated_dates,
        "profile": report.profile.as_ref().map(profile::to_json),
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
    if report.unpublished_replies > 0 {
        println!(
            "  replies kept     {:>7}  to others, not published: publish.replies is off",
            report.unpublished_replies
        );
    }
    if report.unpublished_boosts > 0 {
        println!("  boosts kept      {:>7}  not published: publish.boosts is off", report.unpublished_boosts);
    }
    println!("  notes            {:>7}", report.notes.len());
    print_private(&report.private);
    if let Some(outcome) = &report.profile {
        profile::print(outcome, dry_run);
    }
    name_some("skipped", report.skipped.iter().map(|item| (&item.at, &item.reason)));
    name_some("note", report.notes.iter().map(|item| (&item.at, &item.note)));
}

fn print_private(private: &Tally) {
    println!("  private left out {:>7}", private.left_out);
    if private.stored + private.unchanged > 0 {
        println!("  private stored   {:>7}  and {} unchanged", private.stored, private.unchanged);
    }
    if private.made_public > 0 {
        println!("  now public       {:>7}", private.made_public);
    }
    name_some("still public", private.still_public.iter().map(|item| (&item.at, &item.reason)));
}

/// The first of a list, each with its place, and how many more there are.
fn name_some<'a>(word: &str, mut items: impl ExactSizeIterator<Item = (&'a String, &'a String)>) {
    for (at, text) in items.by_ref().take(SHOWN) {
        println!("  {word} {at}: {text}");
    }
    if items.len() > 0 {
        println!("  … and {} more; --json names them all", items.len());
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
