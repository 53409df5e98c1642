//! `everpost post …`.

use super::{AccountFlag, JsonFlag, output, private};
use crate::activitystreams::render::timestamp;
use crate::domain::ids::PostId;
use crate::domain::post::{Entry, Stored};
use crate::operations::posts;
use crate::startup::Started;
use crate::store::listing::{Cursor, Listing};
use chrono::Utc;
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;

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
        /// Instead what is kept and not published: replies to others and boosts, as the account's settings say
        #[arg(long, conflicts_with = "withdrawn")]
        unpublished: bool,
        /// Instead those that were not public; opens them with secrets.key_file
        #[arg(long, conflicts_with_all = ["withdrawn", "unpublished"])]
        private: bool,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Show a post
    Show {
        /// Its number; of a private post its number in the list of those, or its key
        id: String,
        #[command(flatten)]
        account: AccountFlag,
        /// One that was not public; opens it with secrets.key_file
        #[arg(long)]
        private: bool,
        /// Open its media into this folder too
        #[arg(long, requires = "private", value_name = "FOLDER")]
        media: Option<PathBuf>,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take posts back: their addresses answer 410, their content goes
    Withdraw {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        account: AccountFlag,
        /// Posts that were not public: nothing of them stays
        #[arg(long)]
        private: bool,
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
    /// Whether its posts are named as posts of their sort are: a public one by its number alone.
    pub fn check(&self) -> Result<(), clap::Error> {
        let ids = match self {
            Command::Show { id, private: false, .. } => std::slice::from_ref(id),
            Command::Withdraw { ids, private: false, .. } => ids,
            _ => &[],
        };
        ids.iter().try_for_each(|id| number(id).map(drop))
    }

    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let app = &started.app;
        match self {
            Command::List { account, limit, before, private: true, json, .. } => {
                private::list(app, &account.find(app).await?, before, limit, json.json).await
            }
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
            Command::List { account, limit, before, unpublished, json, .. } => {
                let account = account.find(app).await?;
                let cursor = before.map_or(Cursor::Newest, |id| Cursor::Before(PostId(id)));
                let listing = if unpublished { Listing::Kept(account.id) } else { Listing::Account(account.id) };
                let page = app.store.page_posts(listing, cursor, limit).await?;
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
            Command::Show { id, account, private: true, media, json } => {
                private::show(app, &account.find(app).await?, &id, media.as_deref(), json.json).await
            }
            Command::Show { id, account, json, .. } => {
                let (id, account) = (number(&id)?, account.find(app).await?);
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
            Command::Withdraw { ids, account, private: true } => {
                private::withdraw(app, &account.find(app).await?, &ids).await
            }
            Command::Withdraw { ids, account, .. } => {
                let account = account.find(app).await?;
                let ids: Vec<i64> = ids.iter().map(|id| number(id)).collect::<Result<_, _>>()?;
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

/// The number of a public post, which is all that names one here.
fn number(id: &str) -> Result<i64, clap::Error> {
    id.parse().map_err(|_| {
        let message = format!("{id:?} is not a post's number; `everpost post list` shows the numbers\n");
        clap::Error::raw(clap::error::ErrorKind::ValueValidation, message)
    })
}
