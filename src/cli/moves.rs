//! `everpost account move` and `everpost account alias …`.

use super::{AccountFlag, JsonFlag, output};
use crate::domain::follower::FollowState;
use crate::import::files::one_line;
use crate::operations::moves;
use crate::startup::Started;
use chrono::Utc;
use clap::{Args, Subcommand};
use serde_json::json;

/// Move an account to another one: followers are taken along, and all of it stays where it is
#[derive(Debug, Args)]
pub struct Move {
    /// Where to: acct:user@example.org, user@example.org, or the id of the actor
    #[arg(long, required_unless_present = "undo", value_name = "WHOM")]
    to: Option<String>,
    /// Take the last move back: the account takes follows again, who was taken along stays away
    #[arg(long, conflicts_with = "to")]
    undo: bool,
    #[command(flatten)]
    account: AccountFlag,
}

impl Move {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        let account = self.account.find(app).await?;
        let Some(whom) = self.to else {
            let target = moves::undo(app, &account, now).await?;
            println!("@{} takes follows again. Followers who went to {target} stay there.", account.address());
            return Ok(());
        };
        let followers = app.store.count_followers(account.id, FollowState::Accepted).await?;
        let target = moves::move_to(app, &account, &whom, now).await?;
        println!("@{} has moved to {}.", account.address(), one_line(&target.uri));
        println!(
            "Followers to be told: {followers}. Nobody can follow it here any more; its posts stay where they are."
        );
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub enum Alias {
    /// Say that other accounts are yours too, so that they can move here
    Add {
        /// user@example.org, or the id of the actor
        #[arg(required = true, value_name = "WHOM")]
        whom: Vec<String>,
        /// Take ids as they are, without asking their servers
        #[arg(long)]
        unchecked: bool,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// Say so no longer
    Remove {
        #[arg(required = true, value_name = "WHOM")]
        whom: Vec<String>,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// List the aliases of an account
    List {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
}

impl Alias {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        match self {
            Alias::Add { whom, unchecked, account } => {
                for whom in whom {
                    let account = account.find(app).await?;
                    let id = moves::add_alias(app, &account, &whom, unchecked, now).await?;
                    println!("@{} says that it is {} too.", account.address(), one_line(&id));
                }
            }
            Alias::Remove { whom, account } => {
                for whom in whom {
                    let account = account.find(app).await?;
                    let id = moves::remove_alias(app, &account, &whom, now).await?;
                    println!("@{} says no longer that it is {}.", account.address(), one_line(&id));
                }
            }
            Alias::List { account, json } => {
                let account = account.find(app).await?;
                if json.json {
                    return output::json(&json!(account.also_known_as()));
                }
                for id in account.also_known_as() {
                    let source =
                        if account.source_actor.as_ref() == Some(&id) { "  (its posts are kept here)" } else { "" };
                    println!("{}{source}", one_line(&id));
                }
            }
        }
        Ok(())
    }
}
