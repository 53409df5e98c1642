//! `everpost imports …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::ids::ImportId;
use crate::domain::imports::{Import, UndoCounts};
use crate::operations::imports::{self, Undone};
use crate::operations::report::Report;
use crate::startup::Started;
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Protected posts that the plain report names; `--json` names more.
const SHOWN: usize = 20;
/// Posts between two lines of progress.
const LINE_EVERY: u64 = 10_000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List an account's imports, latest first
    List {
        #[command(flatten)]
        account: AccountFlag,
        /// How many
        #[arg(long, default_value = "20", value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Show an import: what it was given, what came of it, and what undoing it would do
    Show {
        /// Its number, as `imports list` shows it
        #[arg(value_name = "N")]
        id: i64,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take an import back
    ///
    /// What it made goes, if no other server has seen it, and may come in again; what was seen is withdrawn and answers
    /// 410, and followers' servers are told, a few posts an hour. What it changed becomes again what it was. Posts that a
    /// later import changed stay as they are. Broken off, it goes on where it was when it is run again.
    Undo {
        /// Its number, as `imports list` shows it
        #[arg(value_name = "N")]
        id: i64,
        #[command(flatten)]
        json: JsonFlag,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let app = &started.app;
        match self {
            Command::List { account, limit, json } => {
                let account = account.find(app).await?;
                let found = app.store.list_imports(account.id, limit).await?;
                if json.json {
                    return output::json(&Value::from_iter(found.iter().map(import)));
                }
                if found.is_empty() {
                    println!("{} has no imports yet.", account.handle);
                }
                for import in found {
                    let paths = import.paths.join(" ");
                    println!("{:<5} {}  {:<11} {paths}", import.id, timestamp(import.started), import.state().name());
                }
                Ok(())
            }
            Command::Show { id, json } => {
                let found = imports::find(app, ImportId(id)).await?;
                let would = app.store.count_undo(found.id).await?;
                if json.json {
                    let mut value = import(&found);
                    value["undo_would"] = counts(would);
                    return output::json(&value);
                }
                print(&found, would);
                Ok(())
            }
            Command::Undo { id, json } => {
                let said = AtomicU64::new(0);
                let progress = |posts: u64| {
                    let block = posts / LINE_EVERY;
                    if said.swap(block, Ordering::Relaxed) < block {
                        eprintln!("{posts} posts taken back");
                    }
                };
                let undone = imports::undo(app, ImportId(id), Utc::now(), &progress).await?;
                if json.json {
                    return output::json(&to_json(&undone));
                }
                report(&undone);
                Ok(())
            }
        }
    }
}

/// An import's fixed shape: fields may be added, never renamed.
fn import(import: &Import) -> Value {
    let numbers = import.counts.iter().map(|(name, count)| (name.clone(), Value::from(*count)));
    json!({
        "import": import.id.0,
        "account": import.handle,
        "state": import.state().name(),
        "paths": import.paths,
        "format": import.format.map(|format| format.name()),
        "started": timestamp(import.started),
        "finished": import.finished.map(timestamp),
        "undone": import.undone.map(timestamp),
        "counts": Map::from_iter(numbers),
        "undo": import.undoing.map(counts),
    })
}

fn counts(counts: UndoCounts) -> Value {
    Value::Object(counts.entries().into_iter().map(|(name, count)| (name.to_owned(), Value::from(count))).collect())
}

fn to_json(undone: &Undone) -> Value {
    let protected = undone.protected.iter();
    json!({
        "import": undone.import.id.0,
        "account": undone.import.handle,
        "before": undone.before,
        "undone": undone.import.undone.map(timestamp),
        "done": counts(undone.counts),
        "undo": undone.import.undoing.map(counts),
        "protected": protected.map(|(post, by)| json!({ "id": post.to_string(), "by": by.0 })).collect::<Vec<_>>(),
    })
}

fn print(found: &Import, would: UndoCounts) {
    println!("Import {} into {}  ({})", found.id, found.handle, found.state().name());
    println!("  began            {}", timestamp(found.started));
    match found.finished {
        Some(finished) => println!("  ended            {}", timestamp(finished)),
        None => println!("  ended            not yet: it runs, or it was broken off"),
    }
    println!("  format           {}", found.format.map_or("unknown", |format| format.name()));
    for path in &found.paths {
        println!("  path             {path}");
    }
    // In the order of the report, which the database does not keep.
    let order: Vec<&str> = Report::default().counts().into_iter().map(|(name, _)| name).collect();
    let mut counts = found.counts.clone();
    counts.sort_by_key(|(name, _)| order.iter().position(|known| known == name));
    for (name, count) in counts {
        println!("  {:<20} {count:>7}", name.replace('_', " "));
    }
    if let Some(undone) = found.undone {
        println!("  undone           {}", timestamp(undone));
        lines(found.undoing.unwrap_or_default());
        return;
    }
    println!("`everpost imports undo {}` would come to:", found.id);
    lines(would);
}

fn lines(counts: UndoCounts) {
    println!("  deleted          {:>7}  no other server has seen them; they may come in again", counts.deleted);
    println!("  withdrawn        {:>7}  others have seen them; they answer 410 and stay away", counts.withdrawn);
    println!("  as before        {:>7}  changed by the import, and again what they were", counts.restored);
    println!("  left alone       {:>7}  a later import changed them", counts.protected);
}

fn report(undone: &Undone) {
    let import = &undone.import;
    if undone.before {
        let when = import.undone.map(timestamp).unwrap_or_default();
        println!("Import {} was undone before, on {when}. Nothing was changed.", import.id);
        return;
    }
    println!("Import {} into {} is undone.", import.id, import.handle);
    let all = import.undoing.unwrap_or_default();
    lines(all);
    for (post, by) in undone.protected.iter().take(SHOWN) {
        println!("  left alone: {post} was changed by import {by}");
    }
    let named = undone.protected.len().min(SHOWN) as u64;
    if undone.counts.protected > named {
        println!("  … and {} more", undone.counts.protected - named);
    }
    if all.withdrawn > 0 {
        println!("Followers' servers, if there are any, are told of withdrawn posts over the next hours.");
        println!("`everpost post restore ID` lets the next import bring a withdrawn post back.");
    }
}
