//! `everpost follower …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::follower::{FollowState, Follower};
use crate::domain::ids::RemoteActorId;
use crate::import::files::one_line;
use crate::operations::followers;
use crate::startup::Started;
use crate::store::Store;
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

/// Followers that are read at once.
const PAGE: usize = 500;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List who follows an account, and who asks to
    List {
        #[command(flatten)]
        account: AccountFlag,
        /// Only those who ask to
        #[arg(long)]
        requests: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Let somebody follow no more; their server is told
    Remove(Whom),
    /// Accept somebody who asks to follow (with manually_approves_followers)
    Approve(Whom),
    /// Refuse somebody who asks to follow
    Reject(Whom),
}

#[derive(Debug, clap::Args)]
pub struct Whom {
    /// user@domain, or the id of the actor
    #[arg(required = true, value_name = "WHO")]
    who: Vec<String>,
    #[command(flatten)]
    account: AccountFlag,
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        match self {
            Command::List { account, requests, json } => {
                list(&app.store, &account.find(app).await?, requests, json.json).await?;
            }
            Command::Remove(Whom { who, account }) => {
                let account = account.find(app).await?;
                for who in who {
                    let follower = followers::remove(app, &account, &who, now).await?;
                    println!("{} follows {} no more.", shown(&follower), account.handle);
                }
            }
            Command::Approve(Whom { who, account }) => {
                let account = account.find(app).await?;
                for who in who {
                    let follower = followers::approve(app, &account, &who, now).await?;
                    println!("{} follows {} now.", shown(&follower), account.handle);
                }
            }
            Command::Reject(Whom { who, account }) => {
                let account = account.find(app).await?;
                for who in who {
                    let follower = followers::reject(app, &account, &who, now).await?;
                    println!("{} was refused.", shown(&follower));
                }
            }
        }
        Ok(())
    }
}

async fn list(store: &Store, account: &Account, requests: bool, json: bool) -> anyhow::Result<()> {
    let states =
        if requests { &[FollowState::Requested][..] } else { &[FollowState::Accepted, FollowState::Requested] };
    let mut values = Vec::new();
    let mut counts = Vec::new();
    for state in states {
        let (mut after, mut count): (Option<RemoteActorId>, u64) = (None, 0);
        loop {
            let page = store.list_followers(account.id, *state, after, PAGE).await?;
            after = page.last().map(|follower| follower.actor.id);
            count += page.len() as u64;
            for follower in &page {
                if json {
                    values.push(value(follower));
                } else {
                    let (name, since) = (shown(follower), timestamp(follower.since));
                    println!("{name:<32} {:<9} {since}  {}", state.as_str(), one_line(&follower.actor.told.uri));
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        counts.push(count);
    }
    match counts[..] {
        _ if json => output::json(&Value::from(values))?,
        [accepted, requested] => println!("Followers: {accepted}. Requests: {requested}."),
        _ => println!("Requests: {}.", counts.iter().sum::<u64>()),
    }
    Ok(())
}

fn shown(follower: &Follower) -> String {
    one_line(&followers::name(follower))
}

fn value(follower: &Follower) -> Value {
    let told = &follower.actor.told;
    json!({
        "actor": told.uri,
        "address": told.handle.as_ref().map(|handle| format!("@{handle}")),
        "name": told.name,
        "state": follower.state.as_str(),
        "since": timestamp(follower.since),
        "inbox": told.inbox,
        "shared_inbox": told.shared_inbox,
    })
}
