//! `everpost doctor`: looks at the installation, and at the server as a stranger sees it, and says what to do.
//!
//! Each look yields a [`Finding`]. Changes nothing, asks nobody but the server's own public names.
//! `inside.rs` looks at this machine, `outside.rs` comes back in through the front door.

mod advice;
mod front;
mod inside;
mod outside;

use super::output;
use crate::config::{self, Settings};
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Look for what is wrong, from the database to the public address, and say what to do
///
/// Works while the server runs and while it does not. Changes nothing. Ends with 0 when there is no problem, else with 1.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Reach the public host at this address and port instead of asking DNS, as 192.0.2.1:443: to try a proxy before its
    /// name leads to it
    #[arg(long, value_name = "ADDRESS:PORT")]
    connect: Option<SocketAddr>,
    #[command(flatten)]
    json: super::JsonFlag,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// As it should be.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// It works today; somebody should look at it.
    Warning,
    /// It does not work, or it loses something.
    Problem,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        }
    }
}

/// What one look found.
#[derive(Clone, Debug)]
struct Finding {
    check: &'static str,
    severity: Severity,
    /// What was seen, as a sentence.
    seen: String,
    /// What to do about it; empty where nothing has to be done.
    advice: String,
}

impl Finding {
    fn ok(check: &'static str, seen: impl Into<String>) -> Finding {
        Finding { check, severity: Severity::Ok, seen: seen.into(), advice: String::new() }
    }

    fn note(check: &'static str, seen: impl Into<String>) -> Finding {
        Finding { severity: Severity::Note, ..Finding::ok(check, seen) }
    }

    fn warning(check: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, severity: Severity::Warning, seen: seen.into(), advice: advice.into() }
    }

    fn problem(check: &'static str, seen: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { severity: Severity::Problem, ..Finding::warning(check, seen, advice) }
    }
}

impl Doctor {
    /// Look at everything. A configuration that cannot be read is a finding too, and then the only one.
    pub async fn run(self, settings: Result<Settings, config::Error>) -> anyhow::Result<ExitCode> {
        let (mut findings, mut public_url) = (Vec::new(), None);
        match settings {
            Err(error) => findings.push(Finding::problem("configuration", format!("{error}."), advice::CONFIGURATION)),
            Ok(settings) => {
                let inside = inside::look(&settings, &mut findings).await;
                outside::look(&settings, self.connect, inside, &mut findings).await;
                public_url = Some(settings.server.public_url);
            }
        }
        let problems = findings.iter().filter(|finding| finding.severity == Severity::Problem).count();
        match self.json.json {
            true => output::json(&report(&findings, public_url.as_deref()))?,
            false => print(&findings, problems),
        }
        Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The shape that docs/hosting.md describes; keys are added and never changed.
fn report(findings: &[Finding], public_url: Option<&str>) -> Value {
    let of = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let list = findings.iter().map(|finding| {
        json!({
            "check": finding.check,
            "severity": finding.severity.name(),
            "seen": finding.seen,
            "advice": Some(&finding.advice).filter(|advice| !advice.is_empty()),
        })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "public_url": public_url,
        "problems": of(Severity::Problem),
        "warnings": of(Severity::Warning),
        "findings": list.collect::<Vec<_>>(),
    })
}

fn print(findings: &[Finding], problems: usize) {
    for Finding { check, severity, seen, advice } in findings {
        println!("{:<8} {check:<14} {seen}", severity.name());
        for line in advice.lines() {
            println!("{:<23} {line}", "");
        }
    }
    match problems {
        0 => println!("\nNo problem was found."),
        1 => println!("\n1 problem was found."),
        more => println!("\n{more} problems were found."),
    }
}
