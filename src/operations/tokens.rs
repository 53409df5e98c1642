//! Tokens that let programs in: made, listed, taken back, judged.

use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::ids::TokenId;
use crate::domain::token::{Scope, Token};
use crate::federation::keys;
use chrono::{DateTime, Utc};

/// What every token begins with, so that one that lies about is known for what it is.
const PREFIX: &str = "everpost_";
/// Longest name of a token, in characters.
const MAX_NAME: usize = 100;

/// Make a token for an account, or for the whole server, and give its text: it is not kept, and shown this once.
pub async fn create(
    app: &App,
    account: Option<&Account>,
    name: &str,
    scopes: &[Scope],
    now: DateTime<Utc>,
) -> Result<(String, Token), Error> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::Refused(format!("the name of a token takes one line of at most {MAX_NAME} characters")));
    }
    if let Some(scope) = scopes.iter().find(|scope| scope.is_of_server() != account.is_none()) {
        return Err(Error::Refused(match account {
            Some(_) => format!("the scope {} is about the whole server: add --server", scope.as_str()),
            None => format!("the scope {} is about one account: leave --server out", scope.as_str()),
        }));
    }
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let text = format!("{PREFIX}{}{}", keys::token()?, keys::token()?);
    let account = account.map(|account| account.id);
    let token = app.store.insert_token(account, name, &scopes, &hash(&text), now).await?;
    Ok((text, token))
}

/// Take a token of an account, or of the whole server, back.
pub async fn revoke(app: &App, account: Option<&Account>, id: TokenId) -> Result<(), Error> {
    match app.store.delete_token(account.map(|account| account.id), id).await? {
        true => Ok(()),
        false => Err(Error::NotFound(format!("there is no token {id}; `everpost account token list` shows them"))),
    }
}

/// The token with that text, whatever it is for.
pub async fn find(app: &App, text: &str, now: DateTime<Utc>) -> Result<Option<Token>, Error> {
    if !text.starts_with(PREFIX) {
        return Ok(None);
    }
    Ok(app.store.use_token(&hash(text), now).await?)
}

/// The token with that text, if it has this scope. It says itself which account it is for.
pub async fn check(app: &App, text: &str, scope: Scope, now: DateTime<Utc>) -> Result<Option<Token>, Error> {
    Ok(find(app, text, now).await?.filter(|token| token.scopes.contains(&scope)))
}

fn hash(text: &str) -> [u8; 32] {
    openssl::sha::sha256(text.as_bytes())
}
