//! `/metrics`: the figures for Prometheus, for who knows a token.
//!
//! A server whose public name leads to its own machine alone needs none there. Every other one may have a proxy before it,
//! and whoever asks a proxy may be anybody, for not every proxy says that it is one.

use super::error::Error;
use super::extract::bearer;
use super::{Data, Settings, extract};
use crate::domain::delivery::QueueFigures;
use crate::domain::token::Scope;
use crate::domain::urls::is_loopback;
use crate::operations::tokens;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old the figures of the queue may be: counting them reads all that waits.
const AGE: Duration = Duration::from_secs(10);
/// Shortest token, in characters.
const SHORTEST: usize = 16;
/// Headers by which a proxy says that it is one.
const FORWARDED: [&str; 5] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

/// What opens the figures to other machines.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl Token {
    /// The token that a file holds, without the spaces around it.
    pub fn read(path: &Path) -> anyhow::Result<Token> {
        let fail = |reason: String| anyhow::anyhow!("server.metrics_token_file {}: {reason}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let token = text.trim();
        let graphic = token.bytes().all(|byte| byte.is_ascii_graphic());
        match token.len() >= SHORTEST && graphic {
            true => Ok(Token(token.into())),
            false => Err(fail(format!(
                "it takes at least {SHORTEST} characters without spaces; make one with: openssl rand -hex 32"
            ))),
        }
    }

    fn is(&self, given: &str) -> bool {
        let (known, given) = (self.0.as_bytes(), given.as_bytes());
        known.len() == given.len() && openssl::memcmp::eq(known, given)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// The figures of the queue as they were a moment ago.
#[derive(Debug, Default)]
pub struct Known(Mutex<Option<(Instant, QueueFigures)>>);

/// The figures, or 404 for who may not have them.
pub async fn metrics(
    request: HttpRequest,
    settings: web::Data<Settings>,
    known: web::Data<Known>,
    data: Data,
) -> Result<HttpResponse, Error> {
    let now = Utc::now();
    let known_here = may_read(&request, settings.metrics_token.as_ref(), data.domain());
    // A token that was made for an account opens nothing here: the scope is the whole server's.
    let may = match (known_here, bearer(&request)) {
        (false, Some(given)) => tokens::check(&data, given, Scope::Metrics, now).await?.is_some(),
        (may, _) => may,
    };
    if !may {
        return Err(Error::not_found("There is nothing at this address."));
    }
    let kept = known.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let figures = match kept.filter(|(at, _)| at.elapsed() < AGE) {
        Some((_, figures)) => Some(figures),
        // The others are worth having most when the database is away.
        None => data.store.count_queue(now).await.ok(),
    };
    if let Some(figures) = &figures {
        let mut known = known.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < AGE);
        if !fresh {
            *known = Some((Instant::now(), figures.clone()));
        }
    }
    let text = data.metrics.render(figures.as_ref());
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(text))
}

/// Whether a request knows the token of the configuration; or comes from this machine, to this machine, and through nobody,
/// where the server's own public name (`public`) is one of this machine.
fn may_read(request: &HttpRequest, token: Option<&Token>, public: &str) -> bool {
    if let Some(given) = bearer(request) {
        return token.is_some_and(|token| token.is(given));
    }
    let here = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let proxied = FORWARDED.iter().any(|name| request.headers().contains_key(*name));
    let named = extract::authority(request).is_some_and(|authority| is_loopback(&authority));
    let silent = !request.headers().contains_key(header::AUTHORIZATION);
    here && !proxied && named && silent && is_loopback(public)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn reads(peer: &str, headers: &[(&str, &str)], token: Option<&str>) -> bool {
        reads_at("localhost:8080", peer, headers, token)
    }

    fn reads_at(public: &str, peer: &str, headers: &[(&str, &str)], token: Option<&str>) -> bool {
        let request = TestRequest::get().peer_addr(peer.parse().unwrap());
        let request = headers.iter().fold(request, |request, (name, value)| request.insert_header((*name, *value)));
        may_read(&request.to_http_request(), token.map(|token| Token(token.into())).as_ref(), public)
    }

    #[test]
    fn figures_are_for_this_machine_or_for_the_token_and_never_for_who_asks_a_proxy() {
        let token = Some("0123456789abcdef");
        let here = ("host", "localhost:8080");
        assert!(reads("127.0.0.1:1", &[here], None) && reads("[::1]:1", &[("host", "[::1]:8080")], token));
        for headers in [
            &[("host", "kept.example")][..],
            &[here, ("x-forwarded-for", "192.0.2.1")],
            &[here, ("x-forwarded-host", "kept.example")],
            &[here, ("forwarded", "for=192.0.2.1")],
            &[here, ("via", "1.1 proxy")],
            &[here, ("authorization", "Bearer 0123456789abcdef")],
            &[],
        ] {
            assert!(!reads("127.0.0.1:1", headers, None), "{headers:?}");
        }
        assert!(!reads("192.0.2.1:1", &[here], None) && !reads("192.0.2.1:1", &[here], token));
        for (given, may) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcdeg", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer ", false),
            ("Basic 0123456789abcdef", false),
        ] {
            let headers = [("host", "kept.example"), ("x-forwarded-for", "192.0.2.1"), ("authorization", given)];
            assert_eq!(reads("192.0.2.1:1", &headers, token), may, "{given}");
        }
    }

    #[test]
    fn a_server_with_a_public_name_gives_figures_to_a_token_alone_for_not_every_proxy_says_that_it_is_one() {
        let here = ("host", "localhost");
        assert!(!reads_at("kept.example", "127.0.0.1:1", &[here], Some("0123456789abcdef")));
        assert!(!reads_at("kept.example", "127.0.0.1:1", &[here], None));
        let knows = [here, ("authorization", "Bearer 0123456789abcdef")];
        assert!(reads_at("kept.example", "127.0.0.1:1", &knows, Some("0123456789abcdef")));
    }

    #[test]
    fn a_token_is_long_enough_not_to_be_guessed_and_is_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, fits) in [("0123456789abcdef\n", true), ("short", false), ("", false), ("0123456789 abcdefg", false)]
        {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(Token::read(file.path()).is_ok(), fits, "{text:?}");
        }
        assert_eq!(format!("{:?}", Token("0123456789abcdef".into())), "Token");
    }
}
