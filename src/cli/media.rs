//! `everpost media …`.

use super::{JsonFlag, output};
use crate::operations::media::{self, Report};
use crate::startup::Started;
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

/// Unreadable files that the plain report names; `--json` names all.
const SHOWN: usize = 20;
/// Files between two lines of progress.
const LINE_EVERY: u64 = 1000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure stored pictures that an earlier version kept, and make their thumbnails
    ///
    /// Running it again does what is left, and nothing when nothing is. Exit code 1 when a file could not be read.
    Refresh(JsonFlag),
}

impl Command {
    /// Run it; whether everything could be read.
    pub async fn run(self, started: &Started) -> anyhow::Result<bool> {
        let Command::Refresh(flag) = self;
        let progress = |looked_at: u64| {
            if looked_at.is_multiple_of(LINE_EVERY) {
                eprintln!("{looked_at} files looked at");
            }
        };
        let report = media::refresh(&started.app, Utc::now(), &progress).await?;
        match flag.json {
            true => output::json(&to_json(&report))?,
            false => print(&report),
        }
        Ok(report.unreadable.is_empty())
    }
}

/// The report's fixed shape: fields may be added, never renamed.
fn to_json(report: &Report) -> Value {
    let unreadable = report.unreadable.iter().map(|(file, reason)| json!({ "file": file, "reason": reason }));
    json!({
        "looked_at": report.looked_at,
        "measured": report.measured,
        "without": report.without,
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}

fn print(report: &Report) {
    if report.looked_at == 0 {
        println!("Every stored file has its figures.");
        return;
    }
    println!("  looked at        {:>7}", report.looked_at);
    println!("  measured         {:>7}", report.measured);
    println!("  nothing to do    {:>7}", report.without);
    println!("  unreadable       {:>7}", report.unreadable.len());
    for (file, reason) in report.unreadable.iter().take(SHOWN) {
        println!("  unreadable {file}: {reason}");
    }
    if report.unreadable.len() > SHOWN {
        println!("  … and {} more; --json names them all", report.unreadable.len() - SHOWN);
    }
}
