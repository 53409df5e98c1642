//! `everpost post …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::ids::PostId;
use crate::domain::post::{Entry, Stored};
use crate::operations::posts;
use crate::startup::Started;
use crate::store::listing::{Cursor, Listing};
use chrono::Utc;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List an account's posts, newest first
    List {
        #[command(flatten)]
        account: AccountFlag,
        /// How many
        #[arg(long, default_value = "20", value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
        /// Only posts older than this one
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// Withdrawn posts instead
        #[arg(long)]
        withdrawn: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Show a post
    Show {
        id: i64,
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take posts back: their addresses answer 410, their content goes
    Withdraw {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// Let the next import bring withdrawn posts back
    Restore {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        #[command(flatten)]
        account: AccountFlag,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let app = &started.app;
        match self {
            Command::List { account, limit, withdrawn: true, json, .. } => {
                let account = account.find(app).await?;
                let found = app.store.list_withdrawn(account.id, limit).await?;
                if json.json {
                    return output::json(&Value::from_iter(found.iter().map(output::tombstone)));
                }
                for tombstone in found {
                    let awaited = if tombstone.awaited { "  waits for its next import" } else { "" };
                    println!(
                        "{}  withdrawn {}  {}{awaited}",
                        tombstone.id,
                        timestamp(tombstone.withdrawn),
                        tombstone.key
                    );
                }
                Ok(())
            }
            Command::List { account, limit, before, json, .. } => {
                let account = account.find(app).await?;
                let cursor = before.map_or(Cursor::Newest, |id| Cursor::Before(PostId(id)));
                let page = app.store.page_posts(Listing::Account(account.id), cursor, limit).await?;
                if json.json {
                    return output::json(&Value::from_iter(
                        page.entries.iter().map(|entry| output::entry(entry, &account)),
                    ));
                }
                for entry in page.entries {
                    match entry {
                        Entry::Post(post) => {
                            println!("{}  {}  {}", post.id, timestamp(post.published), post.content.excerpt(60));
                        }
                        Entry::Boost(boost) => {
                            println!("{}  {}  boost of {}", boost.id, timestamp(boost.published), boost.object);
                        }
                    }
                }
                Ok(())
            }
            Command::Show { id, account, json } => {
                let account = account.find(app).await?;
                let found = app.store.find_post(account.id, PostId(id)).await?;
                let found = found.ok_or_else(|| anyhow::anyhow!("{} has no post {id}", account.handle))?;
                let value = match &found {
                    Stored::Live(post) => output::post(post, &account),
                    Stored::Boost(boost) => output::boost(boost, &account),
                    Stored::Withdrawn(tombstone) => output::tombstone(tombstone),
                };
                if json.json {
                    return output::json(&value);
                }
                for (key, value) in value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
                    println!("{key:<15} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                }
                Ok(())
            }
            Command::Withdraw { ids, account } => {
                let account = account.find(app).await?;
                for id in ids {
                    match posts::withdraw(app, &account, PostId(id), Utc::now()).await? {
                        true => println!("Withdrawn: {id}. It answers 410 from now on."),
                        false => println!("{id} was withdrawn before."),
                    }
                }
                Ok(())
            }
            Command::Restore { ids, account } => {
                let account = account.find(app).await?;
                for id in ids {
                    posts::restore(app, &account, PostId(id)).await?;
                    println!(
                        "{id} comes back when the archive that holds it is imported again; until then it answers 410."
                    );
                }
                Ok(())
            }
        }
    }
}
