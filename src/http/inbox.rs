//! Inboxes: whoever posts to one is judged before they are answered.
//!
//! In this order: how much comes, whether there is such an inbox, the form of the request, its signature, whose key that
//! is, and only then what it says. Must never know what an activity does. Start with [`shared`].

use super::error::Error;
use super::extract::{self, Here};
use super::limits::{self, Limits, Room};
use super::{Data, requests};
use crate::domain::account::AccountState;
use crate::domain::remote::host_of;
use crate::federation::signature::{self, Head};
use crate::operations::receive::authenticate::{Refusal, Sent, authenticate};
use crate::operations::receive::{Outcome, receive};
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Payload};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use futures::StreamExt;
use std::time::Duration;

/// Largest body, in bytes: that of Mastodon.
const MAX_BODY: usize = 1 << 20;
/// Longest time in which a body may come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Seconds after which somebody may try again whose key could not be had.
const RETRY_AFTER: u32 = 60;
/// Seconds after which there may be room again for a body.
const ROOM_AFTER: u32 = 30;
/// Content types of ActivityPub.
const TYPES: [&str; 2] = ["application/activity+json", "application/ld+json"];

/// `/inbox` and `/actor/inbox`: what is for anybody here.
pub async fn shared(
    data: Data,
    here: Here,
    limits: web::Data<Limits>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    take(&data, &here, &limits, &request, payload).await
}

/// `/users/H/inbox`: the same, under the name of an account. A draft's is not there, and one that is gone is gone.
pub async fn of_account(
    data: Data,
    here: Here,
    limits: web::Data<Limits>,
    handle: web::Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let nobody = || Error::not_found("There is no such account here.");
    match here.find_exactly(&data, &handle).await?.ok_or_else(nobody)?.state {
        AccountState::Live => take(&data, &here, &limits, &request, payload).await,
        AccountState::Draft => Err(nobody()),
        AccountState::Gone { .. } => Err(Error::gone("This account was deleted.")),
    }
}

/// Take a message in, or not, and count it.
async fn take(
    data: &Data,
    here: &Here,
    limits: &Limits,
    request: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    match judge(data, here, limits, request, payload).await {
        Ok(kind) => {
            data.metrics.received(&kind);
            Ok(HttpResponse::Accepted().finish())
        }
        Err(error) => {
            data.metrics.refused(match error.status.as_u16() {
                401 => "unproven",
                403 => "blocked",
                413 => "too_large",
                429 => "too_many",
                503 => "later",
                400..=499 => "malformed",
                _ => "failed",
            });
            Err(error)
        }
    }
}

/// Judge a message and do what it says; its type.
async fn judge(
    data: &Data,
    here: &Here,
    limits: &Limits,
    request: &HttpRequest,
    payload: Payload,
) -> Result<String, Error> {
    let now = Utc::now();
    let address = limits::address(request);
    limits.request(address).map_err(Error::too_many)?;
    check_type(request)?;
    let authority = extract::sent_authority(request).unwrap_or_default();
    let head = head(request, here, &authority);
    // What nothing can make good is told before the body is read.
    let worthless = |error: Error| {
        limits.worthless(address);
        error
    };
    let claims = signature::read(&head, now).map_err(|error| worthless(refused(&Refusal::Unproven(error))))?;
    // The room is given back when all is done about the body.
    let (body, _room) = read(request, payload, limits.room()).await?;
    let may_fetch = |host: &str| limits.may_fetch(address, host);
    let message = match authenticate(data, &here.base_url, &claims, &body, &may_fetch, now).await? {
        Ok(Sent::By(message)) => message,
        Ok(Sent::Gone) => return Ok("Delete".to_owned()),
        Err(refusal @ Refusal::Crowded) => return Err(refused(&refusal)),
        // That includes a host that lets us wait: each such request costs us seconds.
        Err(refusal) => return Err(worthless(refused(&refusal))),
    };
    let host = host_of(&message.actor.told.uri).unwrap_or_default();
    limits.proven(&host).map_err(Error::too_many)?;
    let outcome = receive(data, &message, now).await?;
    if limits.is_heard_anew(&host) {
        // Whatever was to be sent there and could not be is tried again.
        if let Err(error) = data.store.host_is_back(&host, now).await {
            tracing::info!(%error, host, "that a host is there again could not be noted");
        }
    }
    tracing::debug!(request = requests::RequestId::of(request), host, ?outcome, "an activity was taken in");
    match outcome {
        Outcome::Foreign => Err(Error::bad_request("The activity's id is not on the host of its actor.")),
        _ => Ok(message.incoming.deed.kind().to_owned()),
    }
}

/// A refusal as an answer.
pub(super) fn refused(refusal: &Refusal) -> Error {
    let sentence = refusal.to_string();
    match refusal {
        Refusal::Blocked => Error::forbidden(&sentence),
        Refusal::Unproven(signature::Error::Malformed(_)) | Refusal::NoActivity(_) => Error::bad_request(&sentence),
        Refusal::Unproven(_) | Refusal::NoKey(_) => Error::unauthorized(&sentence),
        Refusal::Crowded | Refusal::Later(_) => Error::later(&sentence, RETRY_AFTER),
    }
}

/// The request as its sender signed it: under the name that they used, whatever a proxy then used.
fn head<'a>(request: &'a HttpRequest, here: &'a Here, authority: &'a str) -> Head<'a> {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Head {
        method: request.method().as_str(),
        scheme: here.base_url.split_once("://").map_or("https", |(scheme, _)| scheme),
        authority,
        target: request.uri().path_and_query().map_or("/", |target| target.as_str()),
        headers: headers.collect(),
    }
}

fn check_type(request: &HttpRequest) -> Result<(), Error> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !TYPES.iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        return Err(Error::unsupported("An inbox takes application/activity+json or application/ld+json."));
    }
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(Error::unsupported("An inbox takes no compressed body."));
    }
    Ok(())
}

/// The body, as long as anybody needs it to be, and the room that it takes.
///
/// The room is taken as the body comes and not by what its length is said to be: nobody gets all of it for a promise.
async fn read(request: &HttpRequest, mut payload: Payload, mut room: Room) -> Result<(Bytes, Room), Error> {
    let too_large = || Error::too_large("An inbox takes 1 MiB at most.");
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let reading = async {
        let mut body = BytesMut::new();
        while let Some(part) = payload.next().await {
            let part = part.map_err(|_| Error::bad_request("The body broke off."))?;
            if body.len() + part.len() > MAX_BODY {
                return Err(too_large());
            }
            if !room.reserve(body.len() + part.len()) {
                return Err(Error::later("Too much comes in at the moment. Send it again later.", ROOM_AFTER));
            }
            body.extend_from_slice(&part);
        }
        Ok((body.freeze(), room))
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    read.map_err(|_| Error::timeout("The body did not come in time."))?
}
