//! `everpost account …`.

use super::{JsonFlag, keys, moves, output, parse_handle, tokens};
use crate::domain::account::Account;
use crate::import::files::one_line;
use crate::operations::accounts;
use crate::startup::Started;
use chrono::Utc;
use clap::Subcommand;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account with its keys
    Create {
        /// Its handle: 1 to 30 of a-z, 0-9 and _
        handle: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// List the accounts
    List(JsonFlag),
    /// Show an account with its settings
    Show {
        handle: String,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Change settings or the profile: KEY=VALUE…
    ///
    /// Profile: name, summary, avatar (a path), header (a path), handle_domain, field.NAME.
    /// Settings: operator, discoverable, indexable, links, provenance_line, hashtags, publish.replies,
    /// publish.boosts, archived_counts, show_followers, manually_approves_followers, backfill.posts. An empty value takes a picture or a field away.
    Set {
        handle: String,
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Tokens that let programs in
    #[command(subcommand)]
    Token(tokens::Command),
    /// New keys for an account
    #[command(subcommand)]
    Keys(keys::Command),
    /// Other accounts that are yours too
    #[command(subcommand)]
    Alias(moves::Alias),
    Move(moves::Move),
    /// Open a draft to the world
    Publish {
        handle: String,
    },
    /// Delete an account: its addresses answer 410 from then on, its handle is never given again
    Delete {
        handle: String,
        /// Needed, for it cannot be undone: other servers forget the account for ever
        #[arg(long)]
        forever: bool,
    },
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        match self {
            Command::Create { handle, json } => {
                let account = accounts::create(app, &parse_handle(&handle)?, None, None, now).await?;
                show(started, &account, json.json).await
            }
            Command::List(flag) => list(started, flag.json).await,
            Command::Show { handle, json } => {
                let account = accounts::find(app, &parse_handle(&handle)?).await?;
                show(started, &account, json.json).await
            }
            Command::Set { handle, changes } => {
                let mut account = accounts::find(app, &parse_handle(&handle)?).await?;
                for change in &changes {
                    let Some((key, value)) = change.split_once('=') else {
                        anyhow::bail!("{change:?} is not KEY=VALUE; nothing was changed");
                    };
                    accounts::set(app, &mut account, key, value).await?;
                }
                accounts::save(app, &account, now).await?;
                println!("Changed {}.", account.handle);
                Ok(())
            }
            Command::Token(command) => command.run(started).await,
            Command::Keys(command) => command.run(started).await,
            Command::Alias(command) => command.run(started).await,
            Command::Move(command) => command.run(started).await,
            Command::Publish { handle } => {
                let account = accounts::publish(app, &parse_handle(&handle)?, now).await?;
                println!("@{} is live: {}", account.address(), account.urls().profile());
                Ok(())
            }
            Command::Delete { handle, forever: false } => anyhow::bail!(
                "deleting {handle} cannot be undone: its posts and keys go, its addresses answer 410, other servers forget it, \
                 and the handle is never given again. If that is what you want, add --forever. \
                 To take back single posts, use `everpost post withdraw`."
            ),
            Command::Delete { handle, forever: true } => {
                let handle = parse_handle(&handle)?;
                accounts::delete(app, &handle, now).await?;
                println!("Deleted {handle} for ever.");
                Ok(())
            }
        }
    }
}

async fn list(started: &Started, json: bool) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for account in started.app.store.list_accounts().await? {
        let posts = started.app.store.count_listed(account.id).await?;
        found.push((account, posts));
    }
    if json {
        return output::json(&Value::from_iter(found.iter().map(|(account, posts)| output::account(account, *posts))));
    }
    if found.is_empty() {
        println!("There is no account yet: `everpost import PATH` makes one.");
    }
    for (account, posts) in found {
        let source = account.source.as_ref().map(|source| format!("  keeps {source}")).unwrap_or_default();
        println!("{:<24} {:<6} {posts:>8} posts{source}", format!("@{}", account.address()), output::state(&account));
    }
    Ok(())
}

/// Whether others know the source under another name than the one by its id.
fn keeps_other(account: &Account, handle: &str) -> bool {
    account.source.as_ref().is_none_or(|source| !source.to_string().eq_ignore_ascii_case(&format!("@{handle}")))
}

async fn show(started: &Started, account: &Account, json: bool) -> anyhow::Result<()> {
    let posts = started.app.store.count_listed(account.id).await?;
    if json {
        return output::json(&output::account(account, posts));
    }
    let urls = account.urls();
    println!("@{}  ({}, {posts} posts)", account.address(), output::state(account));
    println!("  page      {}", urls.profile());
    println!("  actor     {}", urls.actor());
    if let Some(preview) = output::preview_url(account) {
        println!("  preview   {preview}");
    }
    if let Some(target) = &account.moved_to {
        println!("  moved to  {}", one_line(target));
    }
    for alias in &account.aliases {
        println!("  alias     {}", one_line(alias));
    }
    if let Some(source) = &account.source {
        println!("  keeps     {source}");
    }
    if let Some(archived) = &account.archived {
        let facts = &archived.facts;
        if let Some(handle) = facts.handle.as_ref().filter(|handle| keeps_other(account, handle)) {
            println!("  known as  @{}", one_line(handle));
        }
        if let Some(published) = facts.published {
            println!("  since     {}", published.format("%Y-%m-%d"));
        }
        if let Some(target) = &facts.moved_to {
            println!("  moved to  {} (at its source)", one_line(target));
        }
        for other in &facts.also_known_as {
            println!("  also      {} (said there, not proven)", one_line(other));
        }
    }
    println!("  name      {}", account.profile.name);
    println!("  summary   {}", account.profile.summary.to_plain());
    for (name, value) in &account.profile.fields {
        println!("  field     {name}: {value}");
    }
    for (key, value) in account.settings.entries() {
        println!("  {key} = {value}");
    }
    println!("To prove that this account is yours, put this into the head of your own page:");
    println!("  <link rel=\"me\" href=\"{}\">", urls.profile());
    Ok(())
}
