//! Answers that can be cached: strong ETag, Last-Modified, 304, Vary, and the content types that other servers compare.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue, HttpDate};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What a page may load: our own styles, pictures and films, and nothing that runs.
pub const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; \
                               base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Content type of ActivityPub, letter by letter as Lemmy and Pixelfed compare it.
pub const ACTIVITY_JSON: &str = "application/activity+json; charset=utf-8";
/// Content type of pages.
pub const HTML: &str = "text/html; charset=utf-8";

/// Seconds for which objects, actors and pages may be cached.
pub const OBJECT_AGE: u32 = 180;
/// Seconds for which a page of a collection may be cached.
pub const PAGE_AGE: u32 = 60;
/// Seconds for which discovery may be cached: three days.
pub const DISCOVERY_AGE: u32 = 259_200;
/// Seconds for which NodeInfo may be cached.
pub const NODEINFO_AGE: u32 = 1800;

/// A document to be answered with.
#[derive(Debug)]
pub struct Document {
    status: StatusCode,
    content_type: &'static str,
    body: String,
    cache: String,
    changed: Option<DateTime<Utc>>,
    vary: bool,
    any_origin: bool,
    links: Vec<String>,
    kept: Option<Until>,
}

/// The moment from which an answer is no longer true although nothing changed; `None`: it stays true.
type Until = Option<DateTime<Utc>>;

/// An answer made ready, which can be given any number of times.
#[derive(Debug)]
pub struct Finished {
    status: StatusCode,
    body: Bytes,
    etag: HeaderValue,
    cache: HeaderValue,
    content_type: HeaderValue,
    changed: Option<DateTime<Utc>>,
    last_modified: Option<HeaderValue>,
    vary: bool,
    any_origin: bool,
    links: Vec<HeaderValue>,
}

/// In a response: the answer that it was made from may be kept, and how long.
#[derive(Clone, Debug)]
pub struct Keep(pub Arc<Finished>, pub Until);

impl Document {
    /// A body of some type that may be cached for `age` seconds.
    pub fn new(content_type: &'static str, body: String, age: u32) -> Document {
        let cache = format!("public, max-age={age}");
        let (changed, links) = (None, Vec::new());
        let (vary, any_origin, kept) = (false, false, None);
        Document { status: StatusCode::OK, content_type, body, cache, changed, vary, any_origin, links, kept }
    }

    /// A value as JSON.
    pub fn json(content_type: &'static str, value: &impl Serialize, age: u32) -> Document {
        Document::new(content_type, serde_json::to_string(value).unwrap_or_default(), age)
    }

    /// When what it shows last changed.
    pub fn changed(self, at: DateTime<Utc>) -> Document {
        Document { changed: Some(at), ..self }
    }

    /// It depends on the Accept header.
    pub fn negotiated(self) -> Document {
        Document { vary: true, ..self }
    }

    /// Scripts of any origin may read it.
    pub fn any_origin(self) -> Document {
        Document { any_origin: true, ..self }
    }

    /// Another status than 200.
    pub fn status(self, status: StatusCode) -> Document {
        Document { status, ..self }
    }

    /// A `Link` header.
    pub fn link(mut self, link: String) -> Document {
        self.links.push(link);
        self
    }

    /// Only who asked may keep it, and not even they; nor do we.
    pub fn private(self) -> Document {
        Document { cache: "private, no-store".to_owned(), kept: None, ..self }
    }

    /// It depends on what is stored, on the authority, the path with its query, and the representation, and on nothing
    /// else but the time: it is true until `until`. So it may be kept and given to others.
    pub fn kept(self, until: Option<DateTime<Utc>>) -> Document {
        Document { kept: Some(until), ..self }
    }

    /// Make it ready to be given.
    pub fn finish(self) -> Finished {
        let hash = openssl::sha::sha256(self.body.as_bytes());
        let etag: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
        let changed = self.changed.map(|at| at.trunc_subsecs(0));
        Finished {
            status: self.status,
            etag: value(&format!("\"{etag}\"")),
            cache: value(&self.cache),
            content_type: HeaderValue::from_static(self.content_type),
            last_modified: changed.map(|at| value(&HttpDate::from(system_time(at)).to_string())),
            changed,
            vary: self.vary,
            any_origin: self.any_origin,
            links: self.links.iter().map(|link| value(link)).collect(),
            body: Bytes::from(self.body),
        }
    }

    /// The response, which is 304 when the client has it already.
    pub fn respond(self, request: &HttpRequest, now: DateTime<Utc>) -> HttpResponse {
        let kept = self.kept.filter(|_| self.status == StatusCode::OK);
        let finished = Arc::new(self.finish());
        let mut response = finished.respond(request, now);
        if let Some(until) = kept {
            response.extensions_mut().insert(Keep(finished, until));
        }
        response
    }
}

impl Finished {
    /// How much memory it takes, in bytes, about.
    pub fn bytes(&self) -> u64 {
        let links: usize = self.links.iter().map(|link| link.len()).sum();
        u64::try_from(self.body.len() + links + size_of::<Finished>()).unwrap_or(u64::MAX)
    }

    /// The response, which is 304 when the client has it already.
    pub fn respond(&self, request: &HttpRequest, now: DateTime<Utc>) -> HttpResponse {
        // A time in the running second could cover a second change in the same second, so it is not given yet.
        let changed = self.changed.filter(|at| *at < now.trunc_subsecs(0));
        let fresh = self.status == StatusCode::OK && has_it(request, self.etag.as_bytes(), changed);
        let mut response = HttpResponse::new(if fresh { StatusCode::NOT_MODIFIED } else { self.status });
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, self.cache.clone());
        if let (Some(_), Some(last_modified)) = (changed, &self.last_modified) {
            headers.insert(header::LAST_MODIFIED, last_modified.clone());
        }
        if self.vary {
            headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        }
        if self.any_origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        for link in &self.links {
            headers.append(header::LINK, link.clone());
        }
        if fresh {
            return response;
        }
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        response.set_body(BoxBody::new(self.body.clone()))
    }
}

/// A header's value. All of ours are visible ASCII, for URLs are percent-encoded.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether the client's copy is the current one; `If-None-Match` goes before `If-Modified-Since` (RFC 9110, 13.2.2).
pub(super) fn has_it(request: &HttpRequest, etag: &[u8], changed: Option<DateTime<Utc>>) -> bool {
    if request.headers().contains_key(header::IF_NONE_MATCH) {
        let lines = request.headers().get_all(header::IF_NONE_MATCH).filter_map(|line| line.to_str().ok());
        let mut tags = lines.flat_map(|line| line.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
        return tags.any(|tag| tag.as_bytes() == etag || tag == "*");
    }
    let since = request.headers().get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let since = since.and_then(|value| value.parse::<HttpDate>().ok()).map(SystemTime::from);
    since.zip(changed).is_some_and(|(since, changed)| system_time(changed) <= since)
}

fn system_time(at: DateTime<Utc>) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.timestamp()).unwrap_or_default())
}
