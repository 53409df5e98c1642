//! One request from outside: its id, its span in the log, and its line when it ended.
//!
//! The id is in the answer's `X-Request-Id`, in every error, and in every log line of the request, so that a visitor can name
//! what went wrong. Must never log an address of a visitor, a query (previews carry a token there), a header or a body.

use super::error::Shown;
use super::{Settings, extract};
use crate::metrics::Metrics;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};
use std::time::Instant;
use tracing::Instrument;

/// The header that carries the id.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a proxy, in bytes.
const LONGEST: usize = 64;

/// What a request is called in the log and in errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// The id of a request that came through [`around`].
    pub fn of(request: &HttpRequest) -> Option<String> {
        request.extensions().get::<RequestId>().map(|id| id.0.clone())
    }
}

/// Around everything: give the request its id and its span, and write its line.
pub async fn around(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let all = request.app_data::<web::Data<Settings>>().is_some_and(|settings| settings.log_all_requests);
    let id = from_proxy(request.request()).unwrap_or_else(random);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, path) = (request.method().clone(), request.path().to_owned());
    // As grave as an error, so that the span is there for whatever line is written inside.
    let span = tracing::error_span!("request", request.id = id, method = method.as_str(), path);
    let mut response = next.call(request).instrument(span.clone()).await?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    let status = response.status();
    if let Some(metrics) = response.request().app_data::<web::Data<Metrics>>() {
        metrics.answered(status.as_u16(), begun.elapsed());
    }
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    // A flood that is put off would else be a flood of lines.
    let is_postponed = response.response().extensions().get::<Shown>().is_some_and(|shown| shown.is_postponed);
    if status.is_server_error() && !is_postponed {
        span.in_scope(|| tracing::warn!(status = status.as_u16(), milliseconds, "a request failed"));
    } else if all {
        span.in_scope(|| tracing::info!(status = status.as_u16(), milliseconds, "answered"));
    }
    Ok(response)
}

/// The id that a trusted proxy gave the request, if it is one that may stand in a log.
fn from_proxy(request: &HttpRequest) -> Option<String> {
    let mut values = request.headers().get_all(HEADER);
    let id = values.next()?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let well_formed = (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain) && values.next().is_none();
    (well_formed && extract::from_trusted_proxy(request)).then(|| id.to_owned())
}

/// 80 random bits in hexadecimal digits.
fn random() -> String {
    let mut bytes = [0; 10];
    // It names a request and protects nothing: without randomness it is zeros, and the request goes on.
    let _ = openssl::rand::rand_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn taken(peer: &str, ids: &[&str]) -> Option<String> {
        let settings = Settings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Settings::default() };
        let request = TestRequest::get().peer_addr(peer.parse().unwrap()).app_data(web::Data::new(settings));
        let request = ids.iter().fold(request, |request, id| request.append_header(("x-request-id", *id)));
        from_proxy(&request.to_http_request())
    }

    #[test]
    fn an_id_is_taken_from_a_trusted_proxy_and_only_when_well_formed() {
        assert_eq!(taken("10.0.0.7:1", &["7b3c-A_b.9"]).as_deref(), Some("7b3c-A_b.9"));
        assert_eq!(taken("192.168.0.7:1", &["7b3c"]), None, "anybody can send one");
        let long = "a".repeat(LONGEST + 1);
        for ids in [&[""][..], &["a b"], &["a\tb"], &["<b>"], &[&long], &["a", "b"], &[]] {
            assert_eq!(taken("10.0.0.7:1", ids), None, "{ids:?}");
        }
        assert_eq!(taken("10.0.0.7:1", &[&long[1..]]).map(|id| id.len()), Some(LONGEST));
    }

    #[test]
    fn ids_differ() {
        assert_eq!(random().len(), 20);
        assert_ne!(random(), random());
    }
}
