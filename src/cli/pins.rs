//! `everpost pin …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::ids::PostId;
use crate::domain::pins::{Change, MOST};
use crate::operations::pins;
use crate::startup::Started;
use chrono::Utc;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a post before all others, after those that are pinned already; five at most
    Add {
        /// The post's number
        id: i64,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// Show it at its date alone
    Remove {
        /// The post's number
        id: i64,
        #[command(flatten)]
        account: AccountFlag,
    },
    /// List the pinned posts in their order
    List {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Put pinned posts first, in this order; the others follow as they stand
    Order {
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
            Command::Add { id, account } => {
                let account = account.find(app).await?;
                let (pins, new) = pins::change(app, &account, &Change::Add(PostId(id)), Utc::now()).await?;
                match new {
                    true => println!("Pinned: {id}, as number {} of at most {MOST}.", pins.len()),
                    false => println!("{id} was pinned before."),
                }
            }
            Command::Remove { id, account } => {
                let account = account.find(app).await?;
                match pins::change(app, &account, &Change::Remove(PostId(id)), Utc::now()).await? {
                    (_, true) => println!("Unpinned: {id}. It stands at its date as before."),
                    (_, false) => println!("{id} was not pinned."),
                }
            }
            Command::List { account, json } => {
                let account = account.find(app).await?;
                let pins = app.store.list_pins(account.id).await?;
                if json.json {
                    return output::json(&Value::from_iter(pins.iter().map(|post| output::post(post, &account))));
                }
                if pins.is_empty() {
                    println!("Nothing is pinned: `everpost pin add ID` pins a post.");
                }
                for (place, post) in (1..).zip(pins) {
                    println!("{place}  {}  {}  {}", post.id, timestamp(post.published), post.content.excerpt(60));
                }
            }
            Command::Order { ids, account } => {
                let account = account.find(app).await?;
                let change = Change::Order(ids.into_iter().map(PostId).collect());
                let (pins, new) = pins::change(app, &account, &change, Utc::now()).await?;
                let order = pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                println!("{}: {order}.", if new { "The order is now" } else { "The order was this before" });
            }
        }
        Ok(())
    }
}
