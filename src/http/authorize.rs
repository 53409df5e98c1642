//! Authorized fetch (`federation.authorized_fetch`): who wants posts has to say who they are, and blocked servers get none.
//!
//! Actors, discovery and pages stay open: without them nobody could verify or be verified. Wraps the routes
//! themselves, so that no spelling of an address gets around it. Start with [`objects`].

use super::error::Error;
use super::extract::{self, Here, wants_activitypub};
use super::fetches::Proven;
use super::limits::{self, Limits};
use super::respond::Keep;
use super::{Data, Settings, inbox};
use crate::domain::account::Handle;
use crate::domain::ids::AccountId;
use crate::domain::remote::host_of;
use crate::federation::signature::{self, Claim, Head};
use crate::operations::receive::authenticate::{self, MOST_CLAIMS, MayFetch};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};
use chrono::{DateTime, Utc};

/// Around a resource that is ActivityPub whatever the request says.
pub async fn objects(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    around(request, next, true).await
}

/// Around a resource that people are shown as a page.
pub async fn negotiated(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let object = wants_activitypub(request.headers());
    around(request, next, object).await
}

async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    object: bool,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let on = request.app_data::<web::Data<Settings>>().is_some_and(|settings| settings.authorized_fetch);
    if !(on && object) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let (data, here) = (request.extract::<Data>().await?, request.extract::<Here>().await);
    let judged = match &here {
        Ok(here) => judge(&data, here, request.request(), Utc::now()).await.map(Some),
        // The route has the words for it.
        Err(_) => Ok(None),
    };
    let mut response = match judged {
        Ok(proven) => {
            let mut response = next.call(request).await?.map_into_boxed_body();
            if let Some(proven) = proven {
                response.response_mut().extensions_mut().insert(proven);
            }
            response
        }
        Err(error) => request.into_response(error.error_response()),
    };
    // It was given to who asked, and to nobody else. So it is not kept here either: what is kept is found before
    // anybody is asked who they are.
    response.response_mut().extensions_mut().remove::<Keep>();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Signature, Signature-Input"));
    Ok(response)
}

/// Whose server a request is signed by, if they are not blocked.
async fn judge(data: &Data, here: &Here, request: &HttpRequest, now: DateTime<Utc>) -> Result<Proven, Error> {
    let handle = request.match_info().get("handle").and_then(|handle| Handle::parse(handle).ok());
    let account = match handle {
        Some(handle) => here.find_account(data, &handle).await?.map(|account| account.id),
        None => None,
    };
    let authority = extract::authority(request).unwrap_or_default();
    let scheme = here.base_url.split_once("://").map_or("https", |(scheme, _)| scheme);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let head = Head { method: request.method().as_str(), scheme, authority: &authority, target, headers };
    let limits = request.app_data::<web::Data<Limits>>().ok_or_else(Error::internal)?;
    let address = limits::address(request);
    limits.request(address).map_err(Error::too_many)?;
    let may_fetch = |host: &str| limits.may_fetch(address, host);
    let mut refused = Error::from(signature::Error::Missing);
    for claim in signature::read(&head, now)?.iter().take(MOST_CLAIMS) {
        match proven(data, here, account, claim, &may_fetch, now).await {
            Ok(proven) => return Ok(proven),
            Err(error) => refused = error,
        }
    }
    if refused.status == StatusCode::UNAUTHORIZED {
        limits.worthless(address);
    }
    Err(refused)
}

/// Whose server a claim is proven to come from, if they are not blocked. Nothing is fetched from a host that is.
async fn proven(
    data: &Data,
    here: &Here,
    account: Option<AccountId>,
    claim: &Claim,
    may_fetch: MayFetch<'_>,
    now: DateTime<Utc>,
) -> Result<Proven, Error> {
    let blocked = || Error::forbidden("What is here is not for your server.");
    authenticate::check(claim, &here.base_url).map_err(|refusal| inbox::refused(&refusal))?;
    if data.store.is_blocked(account, claim.key_id()).await? {
        return Err(blocked());
    }
    let bound = claim.bind(b"")?;
    let judged = authenticate::signer(data, claim, &bound, None, may_fetch, now).await?;
    let (actor, _) = judged.map_err(|refusal| inbox::refused(&refusal))?;
    match data.store.is_blocked(account, &actor.told.uri).await? {
        true => Err(blocked()),
        false => Ok(Proven(host_of(&actor.told.uri).unwrap_or_default())),
    }
}
