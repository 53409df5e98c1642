//! `everpost block …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::block::{Block, BlockTarget, Blocked};
use crate::import::files::one_line;
use crate::operations::App;
use crate::operations::blocks::{self, Imported, List};
use crate::startup::Started;
use anyhow::Context;
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Without --account a block holds for the whole server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Block domains and actors: nothing is taken from them, nothing is sent to them, and they follow no more
    Add {
        /// example.org (with everything below it), user@example.org, or the address of a profile
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        /// Why, for yourself
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// Take blocks back; who was removed by one has to follow again
    Remove {
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<String>,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// List what is blocked
    List {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Block what a list names: Mastodon's blocked domains or accounts, or an administrator's domain blocks
    Import {
        /// The list
        csv: PathBuf,
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Write what is blocked as a list that Mastodon reads: domains, or accounts
    Export {
        /// A new file
        csv: PathBuf,
        /// Accounts instead of domains
        #[arg(long)]
        accounts: bool,
        #[command(flatten)]
        account: AccountFlag,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        match self {
            Command::Add { targets, comment, account } => {
                let account = find(app, &account).await?;
                let targets = parse(&targets)?;
                for asked in targets {
                    let (target, blocked) = blocks::add(app, account.as_ref(), asked.clone(), &comment, now).await?;
                    tell(&asked, &target, blocked);
                }
            }
            Command::Remove { targets, account } => {
                let account = find(app, &account).await?;
                for target in parse(&targets)? {
                    blocks::remove(app, account.as_ref(), &target, now).await?;
                    println!("{target} is blocked no more.");
                }
            }
            Command::List { account, json } => {
                let found = blocks::list(app, find(app, &account).await?.as_ref()).await?;
                if json.json {
                    return output::json(&Value::from_iter(found.iter().map(value)));
                }
                for (block, address) in &found {
                    let address = address.as_ref().map(|address| format!("  @{}", one_line(address)));
                    let comment = Some(&block.comment).filter(|comment| !comment.is_empty());
                    println!(
                        "{}  {}{}{}",
                        timestamp(block.since),
                        block.target,
                        address.unwrap_or_default(),
                        comment.map(|comment| format!("  {}", one_line(comment))).unwrap_or_default()
                    );
                }
                if found.is_empty() {
                    println!("Nothing is blocked.");
                }
            }
            Command::Import { csv, account, json } => {
                let account = find(app, &account).await?;
                let file = File::open(&csv).with_context(|| csv.display().to_string())?;
                let imported = blocks::import(app, account.as_ref(), std::io::BufReader::new(file), now).await?;
                report(&imported, json.json)?;
            }
            Command::Export { csv, accounts, account } => {
                let list = if accounts { List::Accounts } else { List::Domains };
                export(app, find(app, &account).await?.as_ref(), list, &csv).await?;
            }
        }
        Ok(())
    }
}

/// The account that is named; none means the whole server.
async fn find(app: &App, flag: &AccountFlag) -> anyhow::Result<Option<Account>> {
    if flag.account.is_none() { Ok(None) } else { Ok(Some(flag.find(app).await?)) }
}

fn parse(targets: &[String]) -> anyhow::Result<Vec<BlockTarget>> {
    targets.iter().map(|target| BlockTarget::parse(target).map_err(anyhow::Error::msg)).collect()
}

fn tell(asked: &BlockTarget, target: &BlockTarget, blocked: Blocked) {
    let Blocked { is_new, followers, reactions, deliveries, is_unknown } = blocked;
    let who = if asked == target { target.to_string() } else { format!("{asked} ({target})") };
    let mut told = if is_new { format!("Blocked {who}.") } else { format!("{who} was blocked before.") };
    if matches!(target, BlockTarget::Address(_)) {
        told.push_str(" Its server does not say who that is now, so the block holds for the address.");
    }
    if is_unknown {
        told.push_str(" No actor could be found there, so the block holds for exactly this id.");
    }
    if followers > 0 {
        told.push_str(&format!(" Followers and requests removed: {followers}."));
    }
    if reactions > 0 {
        told.push_str(&format!(" Reactions taken back: {reactions}."));
    }
    if deliveries > 0 {
        told.push_str(&format!(" Waiting deliveries dropped: {deliveries}."));
    }
    println!("{told}");
}

fn report(imported: &Imported, json: bool) -> anyhow::Result<()> {
    let Imported { added, known, by_address, by_id, followers, reactions, deliveries, left_out, reasons } = imported;
    if json {
        let reasons = reasons.iter().map(|(line, reason)| json!({ "line": line, "reason": reason }));
        return output::json(&json!({
            "added": added,
            "known": known,
            "by_address": by_address,
            "by_id": by_id,
            "followers_removed": followers,
            "reactions_taken_back": reactions,
            "deliveries_dropped": deliveries,
            "left_out": left_out,
            "reasons": reasons.collect::<Vec<_>>(),
        }));
    }
    println!("Blocked: {added}. Blocked before: {known}. Lines left out: {left_out}.");
    if *by_address > 0 {
        println!("By address, because their servers do not say who that is now: {by_address}.");
    }
    if *by_id > 0 {
        println!("For exactly an id, because no actor could be found there: {by_id}.");
    }
    if followers + reactions + deliveries > 0 {
        println!(
            "Followers and requests removed: {followers}. Reactions taken back: {reactions}. \
             Waiting deliveries dropped: {deliveries}."
        );
    }
    for (line, reason) in reasons {
        eprintln!("line {line}: {}", one_line(reason));
    }
    Ok(())
}

async fn export(app: &App, account: Option<&Account>, list: List, path: &Path) -> anyhow::Result<()> {
    let mut text = Vec::new();
    let count = blocks::export(app, account, list, &mut text).await?;
    let file = File::options().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(&text)).with_context(|| path.display().to_string())?;
    let what = if list == List::Domains { "domains" } else { "accounts" };
    println!("Wrote {} {what} to {}.", count, path.display());
    Ok(())
}

fn value((block, address): &(Block, Option<String>)) -> Value {
    let kind = match &block.target {
        BlockTarget::Domain(_) => "domain",
        BlockTarget::Actor(_) => "actor",
        BlockTarget::Address(_) => "address",
    };
    json!({
        "kind": kind,
        "target": block.target.to_string(),
        "address": address.as_ref().map(|address| format!("@{address}")),
        "comment": block.comment,
        "since": timestamp(block.since),
    })
}
