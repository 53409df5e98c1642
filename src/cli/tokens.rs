//! `everpost account token …`.

use super::{AccountFlag, JsonFlag, output};
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::ids::TokenId;
use crate::domain::token::{Scope, Token};
use crate::operations::{App, tokens};
use crate::startup::Started;
use chrono::Utc;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a token and show it, this once
    Create {
        /// What it lets its holder do: export (take all of the account away), read (what its owner sees), metrics (the
        /// figures of the server, with --server); several with commas
        #[arg(long, required = true, value_delimiter = ',', value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)))]
        scope: Vec<String>,
        /// What you call it
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// List tokens, without themselves
    List {
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        json: JsonFlag,
    },
    /// Take tokens back
    Revoke {
        /// Their numbers in the list
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Args)]
pub struct Whose {
    #[command(flatten)]
    account: AccountFlag,
    /// For the whole server instead of an account
    #[arg(long, conflicts_with = "account")]
    server: bool,
}

impl Whose {
    async fn find(&self, app: &App) -> anyhow::Result<Option<Account>> {
        if self.server { Ok(None) } else { Ok(Some(self.account.find(app).await?)) }
    }
}

impl Command {
    /// Run it.
    pub async fn run(self, started: &Started) -> anyhow::Result<()> {
        let (app, now) = (&started.app, Utc::now());
        match self {
            Command::Create { scope, name, whose, json } => {
                let account = whose.find(app).await?;
                let scopes: Vec<Scope> = scope.iter().filter_map(|word| Scope::parse(word)).collect();
                let (text, token) = tokens::create(app, account.as_ref(), &name, &scopes, now).await?;
                if json.json {
                    let mut value = value(&token);
                    value["token"] = Value::from(text);
                    return output::json(&value);
                }
                println!("{text}");
                eprintln!("everpost: token {} is shown this once; keep it like a password.", token.id);
                Ok(())
            }
            Command::List { whose, json } => {
                let account = whose.find(app).await?;
                let found = app.store.list_tokens(account.map(|account| account.id)).await?;
                if json.json {
                    return output::json(&Value::from_iter(found.iter().map(value)));
                }
                for token in &found {
                    let used =
                        token.used.map_or_else(|| "never used".to_owned(), |at| format!("used {}", timestamp(at)));
                    let (id, scopes) = (token.id, words(token).join(","));
                    println!("{id}  {scopes}  made {}  {used}  {}", timestamp(token.created), token.name);
                }
                if found.is_empty() {
                    println!("There is no token.");
                }
                Ok(())
            }
            Command::Revoke { ids, whose } => {
                let account = whose.find(app).await?;
                for id in ids {
                    tokens::revoke(app, account.as_ref(), TokenId(id)).await?;
                    println!("Token {id} lets nobody in any more.");
                }
                Ok(())
            }
        }
    }
}

fn words(token: &Token) -> Vec<&'static str> {
    token.scopes.iter().map(|scope| scope.as_str()).collect()
}

fn value(token: &Token) -> Value {
    json!({
        "id": token.id.0,
        "name": token.name,
        "scopes": words(token),
        "created": timestamp(token.created),
        "used": token.used.map(timestamp),
    })
}
