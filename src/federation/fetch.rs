//! Objects of other servers, each from its own host, and what a handle stands for (WebFinger).
//!
//! Must never believe what an object says about another host. Start with [`object`].

use super::client::{self, Answer};
use super::courier::{Courier, Sender};
use crate::activitystreams::context::ACTIVITYSTREAMS;
use crate::activitystreams::read::remote;
use crate::domain::remote::{host_of, same_host};
use chrono::{DateTime, Utc};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::Value;

/// What an object is asked for as; Mastodon, GoToSocial and WordPress all take this.
const ACCEPT: &str =
    "application/activity+json, application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"";
/// What a handle is asked for as; GoToSocial answers 406 to ActivityPub's type.
const ACCEPT_JRD: &str = "application/jrd+json, application/json";
/// What is encoded in a handle.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b'@').remove(b':');
/// Longest URL that is asked, in bytes.
const LONGEST_URL: usize = 2048;

/// Why something could not be fetched, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was there and is no more (410).
    #[error("{0} is gone")]
    Gone(String),
    /// It is not there (404).
    #[error("{0} is not there")]
    NotFound(String),
    /// Its host does not give it to us (401, 403 and any other refusal).
    #[error("{url} is refused: {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The answer.
        status: u16,
    },
    /// Its host cannot be reached or is busy; trying again later may help.
    #[error("{url} cannot be had now: {cause}")]
    Later {
        /// What was asked for.
        url: String,
        /// Why.
        cause: String,
    },
    /// What came is not what was asked for, or may not be asked for at all.
    #[error("{url} is of no use: {cause}")]
    Wrong {
        /// What was asked for.
        url: String,
        /// Why.
        cause: String,
    },
}

/// An ActivityPub object, from its own host.
///
/// Its id is `url`, or another one on the same host from which it was fetched once more; so it is the host's own word.
/// A fragment is an error: what it names stands inside another document.
pub async fn object(courier: &Courier, sender: &Sender, url: &str, now: DateTime<Utc>) -> Result<Value, Error> {
    let value = document(courier, sender, url, now).await?;
    let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if id == url {
        return Ok(value);
    }
    if !same_host(&id, url) {
        return Err(wrong(url, "its id is not on the host that was asked"));
    }
    let value = document(courier, sender, &id, now).await?;
    match value.get("id").and_then(Value::as_str) == Some(id.as_str()) {
        true => Ok(value),
        false => Err(wrong(url, "its id is not the URL at which it stands")),
    }
}

/// An ActivityPub document as it came from a URL, whatever its id: a key has none of its own at some servers.
pub(super) async fn document(
    courier: &Courier,
    sender: &Sender,
    url: &str,
    now: DateTime<Utc>,
) -> Result<Value, Error> {
    if url.len() > LONGEST_URL || url.contains('#') {
        return Err(wrong(url, "no such URL is asked"));
    }
    let answer = courier.get(sender, url, ACCEPT, now).await.map_err(|error| unanswered(url, error))?;
    let answer = accepted(url, answer)?;
    if !same_host(&answer.url, url) {
        return Err(wrong(url, "it redirects to another host"));
    }
    if !is_activitypub(&answer.header("content-type")) {
        return Err(wrong(url, "its content type is not that of ActivityPub"));
    }
    json(url, &answer)
}

/// The id of the actor that a handle (`user@domain`, with or without `acct:` or a leading `@`) stands for.
///
/// The domain may name another handle as the right one; then that one is asked, once, and has to agree.
pub async fn webfinger(courier: &Courier, sender: &Sender, acct: &str, now: DateTime<Utc>) -> Result<String, Error> {
    let asked = acct.trim().trim_start_matches("acct:").trim_start_matches('@');
    let (subject, actor) = ask_webfinger(courier, sender, asked, now).await?;
    if subject.eq_ignore_ascii_case(asked) {
        return Ok(actor);
    }
    let (last, same) = ask_webfinger(courier, sender, &subject, now).await?;
    match last.eq_ignore_ascii_case(&subject) && same == actor {
        true => Ok(actor),
        false => Err(wrong(acct, "its domain names another handle, which does not agree")),
    }
}

/// What one domain says of a handle: the handle that it goes by, and the actor's id.
async fn ask_webfinger(
    courier: &Courier,
    sender: &Sender,
    acct: &str,
    now: DateTime<Utc>,
) -> Result<(String, String), Error> {
    let is_host =
        |domain: &str| host_of(&format!("https://{domain}")).is_some_and(|host| domain.eq_ignore_ascii_case(&host));
    let parts = acct.split_once('@').filter(|(user, domain)| !user.is_empty() && is_host(domain));
    let (_, domain) = parts.ok_or_else(|| wrong(acct, "it is no handle, as user@example.org"))?;
    let resource = percent_encoding::utf8_percent_encode(acct, ENCODED);
    let scheme = courier.client().scheme(domain);
    let url = format!("{scheme}://{domain}/.well-known/webfinger?resource=acct:{resource}");
    let answer = courier.get(sender, &url, ACCEPT_JRD, now).await.map_err(|error| unanswered(&url, error))?;
    let answer = accepted(&url, answer)?;
    if !is_jrd(&answer.header("content-type")) {
        return Err(wrong(&url, "its content type is not that of WebFinger"));
    }
    let said = remote::webfinger(&json(&url, &answer)?);
    said.ok_or_else(|| wrong(acct, "its domain names no actor of ActivityPub"))
}

/// An answer with content, or what it says instead.
pub(super) fn accepted(url: &str, answer: Answer) -> Result<Answer, Error> {
    let asked = url.to_owned();
    match answer.status {
        200..=299 => {
            let encoding = answer.header("content-encoding");
            match encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
                true => Ok(answer),
                false => Err(wrong(url, "it is compressed, which was not asked for")),
            }
        }
        404 => Err(Error::NotFound(asked)),
        410 => Err(Error::Gone(asked)),
        408 | 425 | 429 | 500..=599 => {
            Err(Error::Later { url: asked, cause: format!("its host answers {}", answer.status) })
        }
        300..=399 => Err(wrong(url, "it redirects to nowhere")),
        status => Err(Error::Refused { url: asked, status }),
    }
}

pub(super) fn unanswered(url: &str, error: client::Error) -> Error {
    use client::Error::{Forbidden, Redirects, Refused, TooLarge};
    match error {
        Refused(_) | Forbidden(_) | TooLarge | Redirects => wrong(url, &error.to_string()),
        _ => Error::Later { url: url.to_owned(), cause: error.to_string() },
    }
}

/// Whether a content type is one of ActivityPub's: nothing that a user of another server may have uploaded there.
fn is_activitypub(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "application/activity+json" => true,
        "application/ld+json" => parts.any(|parameter| {
            let profile = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("profile"));
            profile.is_some_and(|(_, value)| value.trim_matches('"').split(' ').any(|named| named == ACTIVITYSTREAMS))
        }),
        _ => false,
    }
}

/// Whether a content type is WebFinger's, or that of any JSON, which many servers give for it.
fn is_jrd(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    ["application/jrd+json", "application/json"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}

pub(super) fn json(url: &str, answer: &Answer) -> Result<Value, Error> {
    let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
    value.filter(Value::is_object).ok_or_else(|| wrong(url, "it is no JSON object"))
}

pub(super) fn wrong(url: &str, cause: &str) -> Error {
    Error::Wrong { url: url.chars().take(LONGEST_URL).collect(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_told_as_json_and_as_nothing_else() {
        for good in ["application/jrd+json", "Application/JSON; charset=utf-8"] {
            assert!(is_jrd(good), "{good}");
        }
        for bad in ["", "text/plain", "text/html", "application/activity+json", "application/jsonp"] {
            assert!(!is_jrd(bad), "{bad}");
        }
    }

    #[test]
    fn only_the_types_of_activitypub_are_taken() {
        for good in [
            "application/activity+json",
            "Application/Activity+JSON; charset=utf-8",
            "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"",
            "application/ld+json;charset=utf-8;Profile=\"https://x.example https://www.w3.org/ns/activitystreams\"",
        ] {
            assert!(is_activitypub(good), "{good}");
        }
        for bad in [
            "",
            "application/json",
            "application/ld+json",
            "text/html",
            "application/ld+json; profile=\"x\"",
            "image/png",
        ] {
            assert!(!is_activitypub(bad), "{bad}");
        }
    }
}
