//! Discovery: WebFinger, host-meta, NodeInfo; and whether the server is well.

use super::error::Error;
use super::extract::{Here, query};
use super::respond::{DISCOVERY_AGE, Document, NODEINFO_AGE};
use super::{Data, Settings};
use crate::activitystreams::discovery::{self, Resource, Usage};
use crate::domain::account::{AccountState, Handle};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;

const JRD: &str = "application/jrd+json; charset=utf-8";

/// WebFinger (RFC 7033): 400 without a resource, 404 for an unknown one, never 410.
pub async fn webfinger(data: Data, here: Here, request: HttpRequest) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let parameters = query(&request);
    let resource = parameters.iter().find(|(name, _)| name == "resource").map(|(_, value)| value.as_str());
    let resource = resource.ok_or_else(|| Error::bad_request("WebFinger needs a resource, as acct:name@host."))?;
    let rels: Vec<String> = parameters.iter().filter(|(name, _)| name == "rel").map(|(_, rel)| rel.clone()).collect();
    let urls = here.urls();
    let read = discovery::read_resource(resource, &urls);
    let (handle, domain) = match read.ok_or_else(|| Error::bad_request("That resource is malformed."))? {
        Resource::Server => {
            if !urls.is_loopback() && here.exposed.is_none() {
                data.store.expose_domain(here.id, now).await?;
            }
            return Ok(jrd(&discovery::server_jrd(&urls, resource, &rels)).respond(&request, now));
        }
        Resource::Elsewhere => return Err(Error::not_found("That is not on this server.")),
        Resource::Account { handle, domain } => (handle, domain),
    };
    let nobody = || Error::not_found("There is no such account here.");
    let handle = Handle::parse(&handle).map_err(|_| nobody())?;
    let account = here.find_account(&data, &handle).await?.ok_or_else(nobody)?;
    let known = [urls.authority(), account.handle_domain.as_str()];
    let asked_here = domain.is_none_or(|domain| known.contains(&domain.as_str()));
    if account.state != AccountState::Live || !asked_here {
        return Err(nobody());
    }
    super::activitypub::expose(&data, &here, &account, &[], now).await?;
    Ok(jrd(&discovery::account_jrd(&account, &rels)).changed(account.changed).respond(&request, now))
}

fn jrd(value: &serde_json::Value) -> Document {
    Document::json(JRD, value, DISCOVERY_AGE).any_origin()
}

/// host-meta as XRD, or as JSON to who asks for it.
pub async fn host_meta(here: Here, request: HttpRequest) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let document = match accept.contains("json") {
        true => {
            Document::json("application/json; charset=utf-8", &discovery::host_meta_json(&here.urls()), DISCOVERY_AGE)
        }
        false => {
            Document::new("application/xrd+xml; charset=utf-8", discovery::host_meta_xrd(&here.urls()), DISCOVERY_AGE)
        }
    };
    document.negotiated().any_origin().respond(&request, Utc::now())
}

/// host-meta as JSON.
pub async fn host_meta_json(here: Here, request: HttpRequest) -> HttpResponse {
    let value = discovery::host_meta_json(&here.urls());
    Document::json("application/json; charset=utf-8", &value, DISCOVERY_AGE).any_origin().respond(&request, Utc::now())
}

/// Where NodeInfo is.
pub async fn nodeinfo_links(here: Here, request: HttpRequest) -> HttpResponse {
    let value = discovery::nodeinfo_links(&here.urls());
    Document::json("application/json; charset=utf-8", &value, DISCOVERY_AGE).any_origin().respond(&request, Utc::now())
}

/// NodeInfo 2.0 and 2.1.
pub async fn nodeinfo(
    data: Data,
    settings: web::Data<Settings>,
    _here: Here,
    version: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Error> {
    let content_type = match version.as_str() {
        "2.0" => "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/2.0#\"",
        "2.1" => "application/json; profile=\"http://nodeinfo.diaspora.software/ns/schema/2.1#\"",
        _ => return Err(Error::not_found("NodeInfo is answered in versions 2.0 and 2.1.")),
    };
    let (users, posts) = data.store.usage().await?;
    let value = discovery::nodeinfo(&version, Usage { users, posts }, &settings.contact);
    Ok(Document::json(content_type, &value, NODEINFO_AGE).any_origin().respond(&request, Utc::now()))
}

/// Whether the process runs. Needs neither host nor database.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).content_type("text/plain").body("ok\n")
}

/// Whether requests can be served: the database answers and has its tables.
pub async fn readyz(data: Data) -> Result<HttpResponse, Error> {
    data.store.ready().await?;
    Ok(healthz().await)
}
