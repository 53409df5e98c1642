//! `everpost export`: progress while it runs, and what was written at the end.

use super::{AccountFlag, output};
use crate::export::fep_6fcd::KeyFile;
use crate::export::hugo::Layout;
use crate::export::output::Output;
use crate::export::{self, ArchiveWriter, Ids, Options, Subject, Summary};
use crate::federation::keys;
use crate::http::site;
use crate::operations::App;
use crate::operations::export::{Progress, export, key_files};
use crate::startup::Started;
use chrono::{DateTime, Days, NaiveDate, Utc};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Posts, or files, between two plain lines of progress.
const LINE_EVERY: u64 = 50_000;

/// Write an account's posts as an archive that other software reads
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    account: AccountFlag,
    /// What kind of archive
    #[arg(long, value_enum)]
    format: FormatName,
    /// Where it goes; nothing that is there is written over
    #[arg(long, value_name = "PATH")]
    output: PathBuf,
    /// Take posts that are not public too; then keep the archive to yourself
    #[arg(long)]
    include_private: bool,
    /// Put the account's private keys in too (fep-6fcd): whoever has the archive can speak for the account
    #[arg(long)]
    include_keys: bool,
    /// Nothing older: a day (UTC) as 2024-03-01, or a moment as 2024-03-01T12:00:00Z
    #[arg(long, value_name = "DATE", value_parser = parse_since)]
    since: Option<DateTime<Utc>>,
    /// Nothing newer: a day (UTC), which comes too, or a moment
    #[arg(long, value_name = "DATE", value_parser = parse_until)]
    until: Option<DateTime<Utc>>,
    /// Only posts with this hashtag; may be given several times
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// How posts become pages (hugo)
    #[arg(long, value_enum)]
    layout: Option<LayoutName>,
    /// By which ids posts are named
    #[arg(long, value_enum, default_value = "origin")]
    ids: IdsName,
    /// Print the report as JSON and nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// The zip that Mastodon hands out; PATH may be a folder, then it goes into that
    Mastodon,
    /// A tar with a manifest, the account export container; PATH may be a folder, then it goes into that
    #[value(name = "fep-6fcd")]
    Fep6fcd,
    /// A folder with pages of a site, for Hugo and what reads its pages
    Hugo,
    /// A folder of tables: posts, followers, blocks
    Csv,
    /// A line of JSON for each activity, media as links
    Jsonl,
    /// A folder of pages for any web server, with a search
    Site,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LayoutName {
    /// A page for each conversation, its media beside it
    #[default]
    Bundle,
    /// A page for each day, its media in static/
    Daily,
    /// A page for each post, its media beside it
    Post,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum IdsName {
    /// Those of where each post first stood
    Origin,
    /// Those that they have here
    Mirror,
}

impl Export {
    /// Export and report.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let account = self.account.find(&started.app).await?;
        let options = Options {
            ids: match self.ids {
                IdsName::Origin => Ids::Origin,
                IdsName::Mirror => Ids::Mirror,
            },
            include_private: self.include_private,
            since: self.since,
            until: self.until,
            tags: self.tag.iter().map(|tag| tag.trim_start_matches('#').to_lowercase()).collect(),
        };
        let subject = Subject { account, options, now: Utc::now() };
        let begun = Instant::now();
        anyhow::ensure!(
            self.layout.is_none() || self.format == FormatName::Hugo,
            "--layout goes with --format hugo: no other format has pages"
        );
        anyhow::ensure!(
            !self.include_keys || self.format == FormatName::Fep6fcd,
            "--include-keys goes with --format fep-6fcd: no other format has a place for keys"
        );
        let keys = match self.include_keys {
            true => key_files(&started.app, &subject.account).await?,
            false => Vec::new(),
        };
        let layout = self.layout.unwrap_or_default();
        let (output, writer) = self.format.begin(&self.output, &subject, layout, keys)?;
        let bar = Bar::new();
        let show = |progress| bar.show(progress);
        let writing = async {
            match writer {
                Begun::Archive(writer) => Ok(export(&started.app, &subject, writer, &show).await?),
                Begun::Site => write_site(&started.app, &subject, output.path(), &show).await,
            }
        };
        let summary = tokio::select! {
            summary = writing => summary,
            _ = tokio::signal::ctrl_c() => anyhow::bail!("it was broken off, and nothing of it is left"),
        };
        bar.bar.finish_and_clear();
        let summary = summary?;
        let place = output.commit()?;
        if self.json {
            return output::json(&json!({
                "account": subject.account.handle.as_str(),
                "output": place,
                "posts": summary.posts,
                "boosts": summary.boosts,
                "private": summary.private,
                "media": summary.media,
                "media_missing": summary.media_missing,
                "notes": summary.notes,
                "seconds": begun.elapsed().as_secs_f64(),
            }));
        }
        print(&summary, &place, begun.elapsed());
        if self.include_keys {
            println!(
                "It holds the private keys of the account: whoever has it can speak for the account. Keep it like them."
            );
        }
        Ok(())
    }
}

impl FormatName {
    /// Where it is written, and what writes it.
    fn begin(
        self,
        place: &Path,
        subject: &Subject,
        layout: LayoutName,
        keys: Vec<KeyFile>,
    ) -> Result<(Output, Begun), export::Error> {
        let secret = subject.options.include_private || !keys.is_empty();
        let inside = |name: String| if place.is_dir() { place.join(name) } else { place.to_owned() };
        let (output, writer): (Output, Box<dyn ArchiveWriter>) = match self {
            FormatName::Mastodon => {
                let token = keys::token().map_err(|error| export::Error::Refused(error.to_string()))?;
                let name = export::mastodon::file_name(subject.now, &token);
                let output = Output::file(&inside(name), secret)?;
                let writer = export::mastodon::Writer::new(output.open()?, subject)?;
                (output, Box::new(writer))
            }
            FormatName::Fep6fcd => {
                let output = Output::file(&inside(export::fep_6fcd::file_name(subject.now)), secret)?;
                let writer = export::fep_6fcd::Writer::new(output.open()?, subject, keys)?;
                (output, Box::new(writer))
            }
            FormatName::Hugo => {
                let output = Output::folder(place, secret)?;
                let layout = match layout {
                    LayoutName::Bundle => Layout::Bundle,
                    LayoutName::Daily => Layout::Daily,
                    LayoutName::Post => Layout::Post,
                };
                let writer = export::hugo::Writer::new(output.path(), layout, subject);
                (output, Box::new(writer))
            }
            FormatName::Csv => {
                let output = Output::folder(place, secret)?;
                let writer = export::csv::Writer::new(output.path(), subject)?;
                (output, Box::new(writer))
            }
            FormatName::Jsonl => {
                let output = Output::file(place, secret)?;
                let writer = export::jsonl::Writer::new(output.open()?, subject);
                (output, Box::new(writer))
            }
            // It is for everyone, so it has no place for what is not.
            FormatName::Site if subject.options.include_private => {
                let why = "a site is for everyone: leave --include-private away, or take --format mastodon or jsonl";
                return Err(export::Error::Refused(why.to_owned()));
            }
            FormatName::Site => return Ok((Output::folder(place, false)?, Begun::Site)),
        };
        Ok((output, Begun::Archive(writer)))
    }
}

/// What an export is written by.
enum Begun {
    /// A writer, which is given each post once.
    Archive(Box<dyn ArchiveWriter>),
    /// What makes a site, which looks at the posts itself.
    Site,
}

async fn write_site(
    app: &App,
    subject: &Subject,
    folder: &Path,
    show: &(dyn Fn(Progress) + Sync),
) -> anyhow::Result<Summary> {
    let admits = |at, tags: &[String]| subject.options.admits(at, tags);
    let wanted = site::Wanted { account: &subject.account, admits: &admits, now: subject.now };
    let progress = |done, total| show(Progress::Posts(done, total));
    let site::Written { posts, boosts, media, media_missing, notes } =
        site::write(app, &wanted, folder, &progress).await?;
    Ok(Summary { posts, boosts, media, media_missing, notes, ..Summary::default() })
}

/// A bar with rate and remaining time on a terminal, a plain line now and then elsewhere.
struct Bar {
    bar: ProgressBar,
    terminal: bool,
    said: AtomicU64,
}

impl Bar {
    fn new() -> Bar {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style =
            ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} posts, {per_sec}, {eta} left {msg}");
        let bar = ProgressBar::with_draw_target(None, target);
        Bar { bar: style.map(|style| bar.clone().with_style(style)).unwrap_or(bar), terminal, said: AtomicU64::new(0) }
    }

    fn show(&self, progress: Progress) {
        let (done, line) = match progress {
            Progress::Posts(done, total) => {
                self.bar.set_length(total.max(done));
                self.bar.set_position(done);
                (done, format!("{done} of {total} posts exported"))
            }
            Progress::Files(done) => {
                self.bar.set_message(format!("· {done} files"));
                (done, format!("{done} files exported"))
            }
        };
        let block = done / LINE_EVERY;
        if !self.terminal && self.said.swap(block, Ordering::Relaxed) < block {
            eprintln!("{line}");
        }
    }
}

fn print(summary: &Summary, place: &Path, took: Duration) {
    println!("Exported to {} in {:.1} s.", place.display(), took.as_secs_f64());
    let line = |name: &str, count: u64| println!("  {name:<14} {count:>7}");
    line("posts", summary.posts);
    line("boosts", summary.boosts);
    if summary.private > 0 {
        line("not public", summary.private);
    }
    line("media", summary.media);
    if summary.media_missing > 0 {
        line("media missing", summary.media_missing);
    }
    for note in &summary.notes {
        println!("  note: {note}");
    }
    if summary.private > 0 {
        println!("It holds posts that are not public: whoever has it can read them.");
    }
}

fn parse_since(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, 0)
}

fn parse_until(text: &str) -> Result<DateTime<Utc>, String> {
    moment(text, 1)
}

/// A moment, or the beginning of the day so many days after the one given.
fn moment(text: &str, days: u64) -> Result<DateTime<Utc>, String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| day.checked_add_days(Days::new(days)));
    let day = day.and_then(|day| day.and_hms_opt(0, 0, 0)).map(|day| day.and_utc());
    let exact = || DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok();
    day.or_else(exact)
        .ok_or_else(|| format!("{text:?} is neither a day as 2024-03-01 nor a moment as 2024-03-01T12:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_meant_whole_and_a_moment_to_the_second() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(parse_since("2024-02-29"), Ok(at("2024-02-29T00:00:00Z")));
        assert_eq!(parse_until("2024-02-29"), Ok(at("2024-03-01T00:00:00Z")));
        assert_eq!(parse_until("2024-02-29T12:00:00+02:00"), Ok(at("2024-02-29T10:00:00Z")));
        assert!(parse_since("yesterday").is_err() && parse_since("2024-02-30").is_err());
    }
}
