//! `everpost account keys …`.

use super::{AccountFlag, JsonFlag, output};
use crate::operations::keys;
use crate::startup::Started;
use crate::store::keys::{KeyOwner, KeyRow};
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys that an account shows: public halves only
    List {
        #[command(flatten)]
        account: AccountFlag,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Give an account new keys; its followers' servers are told with the old one
    Rotate {
        #[command(flatten)]
        account: AccountFlag,
        /// Somebody else has the old keys: show none of them any more, at the price of all proofs that were made with them
        #[arg(long)]
        compromised: bool,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let app = &started.app;
        match self {
            Command::List { account, json } => {
                let account = account.find(app).await?;
                let owner = KeyOwner::Account(account.id);
                let in_force = app.store.list_keys(owner).await?;
                let earlier = app.store.list_earlier_keys(owner).await?;
                let actor = account.urls().actor();
                let rows =
                    in_force.iter().map(|row| (row, "in force")).chain(earlier.iter().map(|row| (row, "earlier")));
                let value = |(row, state): (&KeyRow, &str)| {
                    let id = format!("{actor}#{}", row.key_id);
                    json!({ "id": id, "kind": row.kind, "state": state, "public": row.public_key })
                };
                if json.json {
                    return output::json(&Value::from_iter(rows.map(value)));
                }
                for (row, state) in rows {
                    println!("{actor}#{}  {}  {state}", row.key_id, row.kind);
                }
            }
            Command::Rotate { account, compromised } => {
                let account = account.find(app).await?;
                let new = keys::rotate(app, &account, compromised, Utc::now()).await?;
                for row in new {
                    println!("New {} key: {}#{}", row.kind, account.urls().actor(), row.key_id);
                }
                println!("Followers' servers are told; others find the new keys when they look at the account next.");
            }
        }
        Ok(())
    }
}
