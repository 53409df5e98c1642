//! The only map from what went wrong to a status code. Outsiders get a plain sentence, the log gets the cause.

use crate::federation::signature;
use crate::operations;
use crate::store;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;
use std::time::Duration;

/// Seconds after which a client may try again during an outage.
const RETRY_AFTER: u32 = 30;
/// How long an error may be cached.
const ERROR_CACHE: &str = "public, max-age=180";

/// An answer that is no success.
#[derive(Clone, Debug)]
pub struct Error {
    pub(super) status: StatusCode,
    sentence: String,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
    /// By what a 401 wants to be shown who asks.
    challenge: &'static str,
    is_postponed: bool,
}

/// What an error page shows, carried in the response for [`around`](super::around).
#[derive(Clone, Debug)]
pub struct Shown {
    /// The status code.
    pub status: u16,
    /// Its name.
    pub heading: &'static str,
    /// What happened.
    pub sentence: String,
    /// Whether nothing failed here: we only want to be asked later.
    pub is_postponed: bool,
}

impl Shown {
    /// An error that a library made, as for a path that it cannot read: told in the same form as ours.
    pub fn of_library(response: &HttpResponse<actix_web::body::BoxBody>) -> Option<Shown> {
        let error = response.error()?;
        let heading = response.status().canonical_reason().unwrap_or("Error");
        if response.status().is_server_error() {
            tracing::error!(%error, "a request failed");
            return Some(Shown {
                status: response.status().as_u16(),
                heading,
                sentence: Error::internal().sentence,
                is_postponed: false,
            });
        }
        let sentence = "The server does not understand this request.".to_owned();
        Some(Shown { status: response.status().as_u16(), heading, sentence, is_postponed: false })
    }

    /// As JSON, with the id of the request.
    pub fn json(&self, request_id: &str) -> String {
        json!({ "error": self.sentence, "request_id": request_id }).to_string()
    }
}

impl Error {
    fn new(status: StatusCode, sentence: impl Into<String>) -> Error {
        let sentence = sentence.into();
        Error { status, sentence, retry_after: None, allow: None, challenge: "Signature", is_postponed: false }
    }

    /// Nothing is there (404).
    pub fn not_found(sentence: &str) -> Error {
        Error::new(StatusCode::NOT_FOUND, sentence)
    }

    /// It was there and will not come back (410).
    pub fn gone(sentence: &str) -> Error {
        Error::new(StatusCode::GONE, sentence)
    }

    /// The request makes no sense (400).
    pub fn bad_request(sentence: &str) -> Error {
        Error::new(StatusCode::BAD_REQUEST, sentence)
    }

    /// Who asks is not proven to be who they say (401).
    pub fn unauthorized(sentence: &str) -> Error {
        Error::new(StatusCode::UNAUTHORIZED, sentence)
    }

    /// Only who brings a token is let in here, and this one is none (401).
    pub fn needs_token() -> Error {
        let error = Error::new(StatusCode::UNAUTHORIZED, "This takes a token: Authorization: Bearer and the token.");
        Error { challenge: "Bearer", ..error }
    }

    /// Nothing is taken from or given to whoever asks (403).
    pub fn forbidden(sentence: &str) -> Error {
        Error::new(StatusCode::FORBIDDEN, sentence)
    }

    /// It cannot be decided now; the same request may work after so many seconds (503).
    pub fn later(sentence: &str, seconds: u32) -> Error {
        let error = Error::new(StatusCode::SERVICE_UNAVAILABLE, sentence);
        Error { retry_after: Some(seconds), is_postponed: true, ..error }
    }

    /// The request is for a host that we do not answer for (421).
    pub fn misdirected(sentence: &str) -> Error {
        Error::new(StatusCode::MISDIRECTED_REQUEST, sentence)
    }

    /// The method is not one of `allow` (405).
    pub fn method_not_allowed(allow: &'static str) -> Error {
        let error = Error::new(StatusCode::METHOD_NOT_ALLOWED, format!("This address takes {allow} only."));
        Error { allow: Some(allow), ..error }
    }

    /// We made a mistake, and the log has it (500).
    pub fn internal() -> Error {
        Error::new(StatusCode::INTERNAL_SERVER_ERROR, "The server made a mistake; it is in its log.")
    }

    /// The body did not come in time (408).
    pub fn timeout(sentence: &str) -> Error {
        Error::new(StatusCode::REQUEST_TIMEOUT, sentence)
    }

    /// The body is larger than is read (413).
    pub fn too_large(sentence: &str) -> Error {
        Error::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    }

    /// The body is of a type that is not read (415).
    pub fn unsupported(sentence: &str) -> Error {
        Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
    }

    /// More comes than is taken; `wait` is how long until there is room for one more (429).
    pub fn too_many(wait: Duration) -> Error {
        let error = Error::new(StatusCode::TOO_MANY_REQUESTS, "You send more than is taken here. Send it again later.");
        // A second more than is left of the last one.
        Error { retry_after: Some(u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX)), ..error }
    }

    /// The database cannot be reached now (503): never 404, for Mastodon would delete what it stored.
    fn unavailable() -> Error {
        let error = Error::new(StatusCode::SERVICE_UNAVAILABLE, "The server cannot reach its database at the moment.");
        Error { retry_after: Some(RETRY_AFTER), ..error }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        Error::from(&error)
    }
}

impl From<&store::Error> for Error {
    fn from(error: &store::Error) -> Error {
        match error {
            store::Error::NotFound(_) => Error::not_found("There is nothing at this address."),
            store::Error::Unavailable(cause) => {
                tracing::info!(cause, "a request found the database unreachable");
                Error::unavailable()
            }
            other => {
                tracing::error!(error = %other, "a request failed in the database");
                Error::internal()
            }
        }
    }
}

/// Broken syntax is 400, all else 401: to that, and to no other answer, senders react by trying the other scheme.
impl From<signature::Error> for Error {
    fn from(error: signature::Error) -> Error {
        match error {
            signature::Error::Malformed(_) => Error::bad_request(&error.to_string()),
            _ => Error::unauthorized(&error.to_string()),
        }
    }
}

impl From<operations::Error> for Error {
    fn from(error: operations::Error) -> Error {
        match error {
            operations::Error::Store(error) => error.into(),
            operations::Error::NotFound(_) => Error::not_found("There is nothing at this address."),
            operations::Error::Later(why) => Error::later(&why, RETRY_AFTER),
            other => {
                tracing::error!(error = %other, "a request failed");
                Error::internal()
            }
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110 wants it named; whoever signs knows it.
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static(self.challenge)));
        }
        let cacheable = matches!(self.status, StatusCode::NOT_FOUND | StatusCode::GONE);
        let cache = if cacheable { ERROR_CACHE } else { "no-store" };
        response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static(cache)));
        response.insert_header((header::VARY, HeaderValue::from_static("Accept")));
        let mut response = response.json(json!({ "error": self.sentence }));
        let heading = self.status.canonical_reason().unwrap_or("Error");
        let shown = Shown {
            status: self.status.as_u16(),
            heading,
            sentence: self.sentence.clone(),
            is_postponed: self.is_postponed,
        };
        response.extensions_mut().insert(shown);
        response
    }
}

impl actix_web::Responder for Error {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
