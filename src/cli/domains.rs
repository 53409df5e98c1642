//! `everpost domain …`.

use super::{JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::config::{Settings, read_public_url};
use crate::operations::domains;
use crate::startup;
use chrono::Utc;
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the domains
    List(JsonFlag),
    /// Give a domain another name; needed when server.public_url changes after other servers have seen the old one
    Rename {
        /// The base URL until now, as https://old.example
        old: String,
        /// The base URL from now on, as https://new.example
        new: String,
    },
}

impl Command {
    /// Run it. Does not insist that `server.public_url` names the first domain: renaming is the way to get there.
    pub async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let (app, _database) = startup::open_unchecked(settings).await?;
        match self {
            Command::List(flag) => {
                let found = app.store.list_domains().await?;
                if flag.json {
                    return output::json(&Value::from_iter(found.iter().map(|domain| {
                        let exposed = domain.exposed.map(timestamp);
                        json!({ "base_url": domain.base_url, "first": domain.first, "exposed": exposed })
                    })));
                }
                for domain in found {
                    let exposed = domain.exposed.map(|at| format!("  seen by other servers since {}", timestamp(at)));
                    println!(
                        "{}{}{}",
                        domain.base_url,
                        if domain.first { "  first" } else { "" },
                        exposed.unwrap_or_default()
                    );
                }
                Ok(())
            }
            Command::Rename { old, new } => {
                let new = read_public_url(&new).map_err(|allowed| anyhow::anyhow!("{new}: {allowed}"))?;
                let was_seen = domains::rename(&app, &old, &new, Utc::now()).await?;
                println!("Renamed {old} to {new}. Set server.public_url to {new} before the next start.");
                if was_seen {
                    println!(
                        "Other servers know the accounts under the old name. They no longer find them there; \
                         keep {old} as a redirect for people, and tell followers the new handle."
                    );
                }
                Ok(())
            }
        }
    }
}
