//! `everpost backfill …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::backfill::{Fetched, Progress};
use crate::domain::software::Channel;
use crate::startup::Started;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows that are read at once.
const STEP: i64 = 1000;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Host by host: what runs there, what it was offered, what it has fetched, what waits
    Status {
        #[command(flatten)]
        account: AccountFlag,
        /// List the posts that each server has fetched
        #[arg(long)]
        posts: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let Command::Status { account, posts, json } = self;
        let store = &started.app.store;
        let accounts = match account.account {
            Some(_) => vec![account.find(&started.app).await?],
            None => store.list_accounts().await?,
        };
        let mut told = Vec::new();
        for account in accounts {
            let progress = store.list_progress(account.id).await?;
            let fetched = if posts { fetched(started, &account).await? } else { BTreeMap::new() };
            match json.json {
                true => told.push(value(&account, &progress, posts.then_some(&fetched))),
                false => print(&account, &progress, &fetched, Utc::now()),
            }
        }
        if json.json { output::json(&Value::Array(told)) } else { Ok(()) }
    }
}

/// Which posts of an account each host has fetched.
async fn fetched(started: &Started, account: &Account) -> anyhow::Result<BTreeMap<String, Vec<Fetched>>> {
    let mut hosts: BTreeMap<String, Vec<Fetched>> = BTreeMap::new();
    let mut after = None;
    loop {
        let place = after.as_ref().map(|(host, post): &(String, _)| (host.as_str(), *post));
        let page = started.app.store.list_fetches(account.id, place, STEP).await?;
        let Some(last) = page.last() else { return Ok(hosts) };
        after = Some((last.host.clone(), last.post));
        for fetched in page {
            hosts.entry(fetched.host.clone()).or_default().push(fetched);
        }
    }
}

/// An account's fixed shape: fields may be added, never renamed.
fn value(account: &Account, progress: &[Progress], fetched: Option<&BTreeMap<String, Vec<Fetched>>>) -> Value {
    let host = |progress: &Progress| {
        let server = &progress.server;
        let mut value = json!({
            "host": server.host,
            "software": server.software.as_ref().map(|software| &software.name),
            "version": server.software.as_ref().map(|software| &software.version),
            "told": server.told.map(timestamp),
            "failure": server.failure,
            "channel": server.channel().as_str(),
            "followers": progress.followers,
            "stopped": progress.stopped,
            "offered": progress.offered,
            "open": progress.open,
            "fetched": progress.fetched,
            "not_fetched": progress.unfetched,
            "failed": progress.failed,
            "known": progress.known,
            "waiting": waiting(progress),
            "has": progress.has,
            "last_offered": server.offered.map(timestamp),
            "paused_until": server.paused.as_ref().map(|(until, _)| timestamp(*until)),
            "reason": server.paused.as_ref().map(|(_, reason)| reason),
        });
        if let Some(fetched) = fetched {
            let posts = fetched.get(&server.host).map(Vec::as_slice).unwrap_or_default();
            let post = |fetched: &Fetched| {
                json!({
                    "id": account.urls().note(fetched.post),
                    "first": timestamp(fetched.first),
                    "last": timestamp(fetched.last),
                    "times": fetched.times,
                })
            };
            value["posts"] = posts.iter().map(post).collect();
        }
        value
    };
    json!({
        "account": account.handle.as_str(),
        "posts": account.settings.backfill_posts,
        "hosts": progress.iter().map(host).collect::<Vec<_>>(),
    })
}

/// What is still to be offered: nothing where nothing ever will be.
fn waiting(progress: &Progress) -> u64 {
    if !progress.stopped && progress.server.channel() == Channel::Add { progress.waiting } else { 0 }
}

fn print(account: &Account, progress: &[Progress], fetched: &BTreeMap<String, Vec<Fetched>>, now: DateTime<Utc>) {
    match account.settings.backfill_posts {
        0 => println!("{} offers no old posts (backfill.posts = 0).", account.handle),
        most => println!("{} offers the newest {most} of its posts to servers that take them.", account.handle),
    }
    if progress.is_empty() {
        println!("  No server with a follower was looked at yet.");
    }
    for host in progress {
        let server = &host.server;
        let software = match &server.software {
            Some(software) => format!("{} {}", software.name, software.version),
            None => "unknown software".to_owned(),
        };
        let way = match server.channel() {
            Channel::Add => "takes what it is offered",
            Channel::Collections => "reads outboxes and threads by itself",
            Channel::Nothing => "is not known to take old posts, and is offered none",
        };
        println!("  {}  {software}: {way}", server.host);
        println!(
            "    offered {}, of these fetched {}, not fetched {}, failed {}, under way {}; had before {}; waiting {}",
            host.offered,
            host.fetched,
            host.unfetched,
            host.failed,
            host.open,
            host.known,
            waiting(host)
        );
        println!("    it has fetched {} of the account's posts; followers there: {}", host.has, host.followers);
        if host.stopped {
            println!("    stopped for good: it was blocked");
        }
        if let Some((until, reason)) = server.paused.as_ref().filter(|(until, _)| *until > now) {
            println!("    paused until {}: {reason}", timestamp(*until));
        }
        if let Some(failure) = &server.failure {
            println!("    did not say what it runs: {failure}");
        }
        for post in fetched.get(&server.host).map(Vec::as_slice).unwrap_or_default() {
            let url = account.urls().note(post.post);
            println!("    {url}  first {}, last {}, {} times", timestamp(post.first), timestamp(post.last), post.times);
        }
    }
}
