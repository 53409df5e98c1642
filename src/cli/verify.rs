//! `everpost verify`: one line for each thing that is damaged.

use super::{JsonFlag, output, parse_handle};
use crate::operations::accounts;
use crate::operations::verify::{self, Damage, Finding, Report};
use crate::startup::Started;
use clap::Args;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Findings that `--json` names; all are counted.
const NAMED: usize = 10_000;
/// Posts between two lines of progress.
const LINE_EVERY: u64 = 50_000;

/// Prove every stored post against its kept source, and every file against its name
///
/// Reads everything and changes nothing. Exit code 1 when something is damaged.
#[derive(Debug, Args)]
pub struct Verify {
    /// Only what this account has; by default everything
    #[arg(long, value_name = "HANDLE")]
    account: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

impl Verify {
    /// Run it; whether everything is whole.
    pub async fn run(self, started: &Started) -> anyhow::Result<bool> {
        let account = match self.account.as_deref().map(parse_handle).transpose()? {
            Some(handle) => Some(accounts::find(&started.app, &handle).await?),
            None => None,
        };
        let said = AtomicU64::new(0);
        let progress = |posts: u64, total: u64| {
            let block = posts / LINE_EVERY;
            if said.swap(block, Ordering::Relaxed) < block {
                eprintln!("{posts} of {total} posts proven");
            }
        };
        let named = Mutex::new(Vec::new());
        let watch = |finding: Finding| {
            if !self.json.json {
                println!("{}", line(&finding));
                return;
            }
            let mut named = named.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if named.len() < NAMED {
                named.push(object(&finding));
            }
        };
        let report = verify::verify(&started.app, account.as_ref(), &progress, &watch).await?;
        if self.json.json {
            let findings = named.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            output::json(&to_json(&report, findings))?;
        } else {
            print(&report);
        }
        Ok(report.findings == 0)
    }
}

/// The report's fixed shape: fields may be added, never renamed.
fn to_json(report: &Report, findings: Vec<Value>) -> Value {
    json!({
        "posts": report.posts,
        "reread": report.reread,
        "withdrawn": report.withdrawn,
        "earlier": report.earlier,
        "proofs": report.proofs,
        "files": report.files,
        "findings_total": report.findings,
        "findings": findings,
    })
}

fn object(finding: &Finding) -> Value {
    let fields = if let Damage::Post(fields) = &finding.damage { fields.as_slice() } else { &[] };
    json!({
        "post": finding.post.map(|id| id.to_string()),
        "file": finding.file,
        "activity": finding.activity,
        "damage": finding.damage.name(),
        "fields": fields,
        "what": finding.damage.to_string(),
        "todo": todo(finding),
    })
}

fn line(finding: &Finding) -> String {
    let post = finding.post.map(|id| format!("post {id}"));
    let activity = finding.activity.clone().map(|uri| format!("activity {uri}"));
    let place = post.into_iter().chain(finding.file.clone()).chain(activity).collect::<Vec<_>>().join(", ");
    format!("{place}: {}. {}.", finding.damage, todo(finding))
}

/// What to do about it.
fn todo(finding: &Finding) -> String {
    match (&finding.damage, finding.post) {
        (Damage::Earlier(_), _) => "Restore the database from a backup before you undo that import".to_owned(),
        (Damage::FileMissing | Damage::FileUnreadable(_) | Damage::FileLength(_) | Damage::FileBytes, _) => {
            "Restore the file from a backup".to_owned()
        }
        (Damage::Proof(_), _) => {
            "It goes out as it is, and other servers may refuse it; it is forgotten by itself after \
                                  30 days"
                .to_owned()
        }
        (_, Some(id)) => format!(
            "Restore the database from a backup, or run `everpost post withdraw {id}` and `everpost post restore {id}`, and \
             import its archive again"
        ),
        (_, None) => "Restore the database from a backup".to_owned(),
    }
}

fn print(report: &Report) {
    println!("{}", if report.findings == 0 { "Everything is whole." } else { "Something is damaged; see above." });
    println!("  posts            {:>7}  their sources are those that were kept", report.posts);
    println!("  read again       {:>7}  and say what the posts say", report.reread);
    println!("  withdrawn        {:>7}", report.withdrawn);
    println!("  earlier sources  {:>7}", report.earlier);
    println!("  proofs           {:>7}  of what other servers are told", report.proofs);
    println!("  files            {:>7}", report.files);
    println!("  damaged          {:>7}", report.findings);
}
