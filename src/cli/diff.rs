//! `everpost diff`: one line for each thing that two accounts, or an account and an archive, do not have alike.

use super::{JsonFlag, open, output, parse_handle};
use crate::config::{self, Sources};
use crate::domain::account::Account;
use crate::import::limits::Limits;
use crate::operations::diff::{self, Archive, Difference, Finding, Kind, Of, Other, Report};
use crate::operations::{App, accounts};
use crate::startup::Started;
use anyhow::{Context, bail};
use chrono::Utc;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Findings that `--json` names; all are counted.
const NAMED: usize = 10_000;
/// Posts between two lines of progress.
const LINE_EVERY: u64 = 50_000;

/// Compare an account with another one, or with an archive, and print what differs
///
/// Writes nothing. Posts are the same by their key at the source; compared is all that they keep of it, and the profile. An
/// archive is read as an import into an account that has nothing else would read it. Exit code 0 when equal, 1 when anything
/// differs, 2 when that cannot be said.
#[derive(Debug, Args)]
pub struct Diff {
    /// An account: its handle, as @ann or @ann@keep.example
    #[arg(value_name = "ACCOUNT")]
    a: String,
    /// Another account, or the path of an archive; what begins with @ is an account
    #[arg(value_name = "ACCOUNT|ARCHIVE")]
    b: String,
    /// The second account is one of the instance that this configuration file describes, read without the environment
    #[arg(long, value_name = "FILE")]
    other_config: Option<PathBuf>,
    /// Compare what is not public too, where the key file opens it; no word of it is printed
    #[arg(long)]
    include_private: bool,
    #[command(flatten)]
    json: JsonFlag,
}

impl Diff {
    /// Compare; the exit code says whether both sides are equal.
    pub async fn run(self, started: &Started, limits: Limits) -> anyhow::Result<ExitCode> {
        let app = &started.app;
        let account = find(app, &self.a).await?;
        let a = Of { app, account: &account };
        let elsewhere = match &self.other_config {
            Some(file) => Some(open(&settings(file.clone())?).await?),
            None => None,
        };
        let path = PathBuf::from(&self.b);
        let is_path = elsewhere.is_none() && !self.b.starts_with('@') && path.exists();
        let report = if is_path {
            self.compare(a, Other::Archive(&Archive { path, limits })).await?
        } else {
            let app = elsewhere.as_ref().map_or(app, |elsewhere| &elsewhere.app);
            let hint = || format!("there is no file or folder {}, and it names no account either", self.b);
            let account = match self.b.starts_with('@') {
                true => find(app, &self.b).await?,
                false => find(app, &self.b).await.with_context(hint)?,
            };
            self.compare(a, Other::Account(Of { app, account: &account })).await?
        };
        Ok(if report.differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn compare(&self, a: Of<'_>, b: Other<'_>) -> anyhow::Result<Report> {
        let said = AtomicU64::new(0);
        let progress = |posts: u64| {
            let block = posts / LINE_EVERY;
            if said.swap(block, Ordering::Relaxed) < block {
                eprintln!("{posts} posts looked at");
            }
        };
        // Lines are printed as they come, and nothing is kept of them; one JSON value has to be collected.
        let named = Mutex::new(Vec::new());
        let watch = |finding: Finding| {
            if !self.json.json {
                print!("{}", lines(&finding));
                return;
            }
            let mut named = named.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if named.len() < NAMED {
                named.push(object(&finding));
            }
        };
        let report = diff::diff(a, b, self.include_private, Utc::now(), &progress, &watch).await?;
        if self.json.json {
            let findings = named.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            output::json(&to_json(&report, findings))?;
        } else {
            print(&report);
        }
        Ok(report)
    }
}

/// The account of a handle, with or without its domain.
async fn find(app: &App, text: &str) -> anyhow::Result<Account> {
    let (name, domain) = match text.trim_start_matches('@').split_once('@') {
        Some((name, domain)) => (name, Some(domain)),
        None => (text, None),
    };
    let account = accounts::find(app, &parse_handle(name)?).await?;
    if let Some(domain) = domain.filter(|domain| !account.handle_domain.eq_ignore_ascii_case(domain)) {
        bail!("there is no account @{name}@{domain} here; {name} is @{}", account.address());
    }
    Ok(account)
}

/// What a configuration file alone says: the environment and the flags are those of this instance.
fn settings(file: PathBuf) -> anyhow::Result<config::Settings> {
    Ok(config::load(&Sources { file: Some(file), flags: Vec::new(), environment: Vec::new() })?)
}

fn lines(Finding { what, kind }: &Finding) -> String {
    let line = match kind {
        Kind::OnlyA(shown) => format!("only in A: {what}  {shown}"),
        Kind::OnlyB(shown) => format!("only in B: {what}  {shown}"),
        Kind::WithdrawnA => format!("withdrawn from A, and stands in B: {what}"),
        Kind::WithdrawnB => format!("withdrawn from B, and stands in A: {what}"),
        Kind::HiddenB => format!("for everyone in A, and not public in B: {what}"),
        Kind::Unusable(reason) => format!("an import leaves out: {what}: {reason}"),
        Kind::Repeated => format!("comes again in B: {what}"),
        Kind::Differs(fields) => {
            let fields: String = fields.iter().map(field).collect();
            return format!("differs: {what}\n{fields}");
        }
    };
    format!("{}\n", line.trim_end())
}

fn field(Difference { field, a, b }: &Difference) -> String {
    let shown = |value: &Option<String>| value.as_deref().unwrap_or("(nothing)").to_owned();
    match (a, b) {
        (None, None) => format!("  {field}\n"),
        _ => format!("  {field}\n    A  {}\n    B  {}\n", shown(a), shown(b)),
    }
}

fn object(Finding { what, kind }: &Finding) -> Value {
    let (shown, fields) = match kind {
        Kind::OnlyA(shown) | Kind::OnlyB(shown) => (Some(shown), None),
        Kind::Unusable(reason) => (Some(reason), None),
        Kind::Differs(fields) => (None, Some(fields)),
        _ => (None, None),
    };
    let field = |found: &Difference| json!({ "field": found.field, "a": found.a, "b": found.b });
    json!({
        "what": what,
        "found": kind.name(),
        "shown": shown,
        "fields": fields.map(|fields| fields.iter().map(field).collect::<Vec<_>>()),
    })
}

fn to_json(report: &Report, findings: Vec<Value>) -> Value {
    json!({
        "equal": report.differences == 0,
        "compared": report.compared,
        "compared_private": report.compared_private,
        "profile": report.profile,
        "left_out": report.left_out,
        "poorer": report.poorer,
        "differences": report.differences,
        "findings": findings,
    })
}

fn print(report: &Report) {
    match report.differences {
        0 => println!("Equal."),
        1 => println!("One thing differs; see above."),
        many => println!("{many} things differ; see above."),
    }
    println!("  compared     {:>7}  posts and boosts that both sides have", report.compared);
    if report.compared_private > 0 {
        println!("  private      {:>7}  likewise; no word of them is shown", report.compared_private);
    }
    println!("  profile      {:>7}", if report.profile { "yes" } else { "no" });
    if report.left_out > 0 {
        println!("  left out     {:>7}  not public in the archive; --include-private compares them", report.left_out);
    }
    if report.poorer > 0 {
        println!("  poorer       {:>7}  further copies, of which the richest was compared", report.poorer);
    }
}
