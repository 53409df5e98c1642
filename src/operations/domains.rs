//! The domains that we answer for: the first one comes from the configuration, once.

use super::{App, Error, blocking};
use crate::store::domains::Domain;
use crate::store::keys::KeyOwner;
use chrono::{DateTime, Utc};

/// Make sure that the first domain is the one that `public_url` names, and that its server actor has keys.
///
/// Another name than before is refused once anything was served under a name that is for ever; before that, the domain
/// simply follows the configuration.
pub async fn ensure_first(app: &App, public_url: &str, now: DateTime<Utc>) -> Result<Domain, Error> {
    app.store.insert_first_domain(public_url, now).await?;
    let mut domain = first(app).await?;
    if domain.base_url != public_url {
        if domain.exposed.is_some() {
            return Err(Error::Refused(format!(
                "server.public_url is {public_url}, but this database serves {old} and other servers have seen it. \
                 Set server.public_url back to {old}, or run: everpost domain rename {old} {public_url}",
                old = domain.base_url
            )));
        }
        app.store.rename_domain(domain.id, public_url, now).await?;
        tracing::warn!(from = domain.base_url, to = public_url, "the domain was renamed, as server.public_url says");
        domain = first(app).await?;
    }
    ensure_server_actor(app, &domain, now).await?;
    if app.vault.can_seal() {
        let sealed = app.store.seal_keys(|row| app.vault.seal(row).map_err(|e| e.to_string())).await?;
        if sealed > 0 {
            tracing::info!(keys = sealed, "private keys that lay open in the database are sealed now");
        }
    }
    Ok(domain)
}

/// Rename a domain; whether other servers had seen the old name, under which its addresses stop answering.
pub async fn rename(app: &App, old: &str, new: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let domains = app.store.list_domains().await?;
    let Some(domain) = domains.iter().find(|domain| domain.base_url == old) else {
        let known: Vec<&str> = domains.iter().map(|domain| domain.base_url.as_str()).collect();
        return Err(Error::NotFound(format!("there is no domain {old}; there is {}", known.join(", "))));
    };
    if domains.iter().any(|domain| domain.base_url == new) {
        return Err(Error::Refused(format!("there is a domain {new} already")));
    }
    app.store.rename_domain(domain.id, new, now).await?;
    Ok(domain.exposed.is_some())
}

/// The first domain.
pub async fn first(app: &App) -> Result<Domain, Error> {
    let domains = app.store.list_domains().await?;
    domains
        .into_iter()
        .find(|domain| domain.first)
        .ok_or_else(|| Error::NotFound("this database has no domain yet; start the server once".to_owned()))
}

/// The server actor signs what no account signs; an existing key must open with the configured key file.
async fn ensure_server_actor(app: &App, domain: &Domain, now: DateTime<Utc>) -> Result<(), Error> {
    let owner = KeyOwner::ServerActor(domain.id);
    let keys = app.store.list_keys(owner).await?;
    if let Some(row) = keys.first() {
        app.vault.private_key(row)?;
        return Ok(());
    }
    let vault = app.vault.clone();
    let pairs = blocking(move || vault.make_pairs(1)).await??;
    Ok(app.store.insert_keys(owner, &pairs, now).await?)
}
