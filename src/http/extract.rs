//! What a request asks for: which of our domains, which representation, which page.

use super::cache::Cache;
use super::error::Error;
use super::{Data, Settings};
use crate::domain::account::{Account, Handle};
use crate::domain::feed::Outline;
use crate::operations::proofs::Prover;
use crate::store::domains::Domain;
use crate::store::listing::Listing;
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use futures::future::LocalBoxFuture;
use std::ops::Deref;
use std::sync::Arc;

/// The domain that the request is for. An unknown host is answered 421.
#[derive(Clone, Debug)]
pub struct Here {
    domain: Domain,
    cache: Option<web::Data<Cache>>,
}

impl Here {
    /// The account at exactly that handle on this domain, whatever its state: objects have one spelling of their address.
    pub async fn find_exactly(&self, data: &Data, handle: &str) -> Result<Option<Arc<Account>>, Error> {
        match Handle::parse(handle).ok().filter(|parsed| parsed.as_str() == handle) {
            Some(parsed) => self.find_account(data, &parsed).await,
            None => Ok(None),
        }
    }

    /// The account of a handle on this domain, whatever its state.
    pub async fn find_account(&self, data: &Data, handle: &Handle) -> Result<Option<Arc<Account>>, Error> {
        let place = self.cache.as_ref().and_then(|cache| Some((cache, cache.moment()?)));
        if let Some(known) = place.and_then(|(cache, moment)| cache.find_account(moment, self.id, handle.as_str())) {
            return Ok(Some(known));
        }
        let account = data.store.find_account(self.id, handle).await?.map(Arc::new);
        if let (Some((cache, moment)), Some(account)) = (place, &account) {
            cache.keep_account(moment, account);
        }
        Ok(account)
    }

    /// Who makes the proofs of an account.
    pub async fn prover(&self, data: &Data, account: &Account) -> Result<Prover, Error> {
        let place = self.cache.as_ref().and_then(|cache| Some((cache, cache.moment()?)));
        if let Some(known) = place.and_then(|(cache, moment)| cache.find_prover(moment, account)) {
            return Ok(known);
        }
        let prover = data.prover(account).await?;
        if let Some((cache, moment)) = place {
            cache.keep_prover(moment, account, &prover);
        }
        Ok(prover)
    }

    /// How the history of a feed is cut. `page` is the URL of its page.
    pub async fn outline(&self, data: &Data, listing: Listing<'_>, page: &str) -> Result<Arc<Outline>, Error> {
        let place = self.cache.as_ref().and_then(|cache| Some((cache, cache.moment()?)));
        if let Some(known) = place.and_then(|(cache, moment)| cache.find_outline(moment, page)) {
            return Ok(known);
        }
        let outline = Arc::new(data.store.outline(listing).await?);
        if let Some((cache, moment)) = place {
            cache.keep_outline(moment, page, &outline);
        }
        Ok(outline)
    }
}

impl Deref for Here {
    type Target = Domain;

    fn deref(&self) -> &Domain {
        &self.domain
    }
}

impl FromRequest for Here {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Here, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let authority = authority(request);
        let cache = request.app_data::<web::Data<Cache>>().cloned();
        let data = Data::from_request(request, payload);
        Box::pin(async move {
            let authority = authority.ok_or_else(|| Error::bad_request("The request names no host."))?;
            let place = cache.as_ref().and_then(|cache| Some((cache, cache.moment()?)));
            if let Some(domain) = place.and_then(|(cache, moment)| cache.find_domain(moment, &authority)) {
                return Ok(Here { domain, cache });
            }
            let domain = data.await?.store.find_domain(&authority).await.map_err(Error::from)?;
            let unknown = || Error::misdirected("This server does not answer for that host.");
            let domain = domain.ok_or_else(unknown)?;
            if let Some((cache, moment)) = place {
                cache.keep_domain(moment, &authority, &domain);
            }
            Ok(Here { domain, cache })
        })
    }
}

/// The host that the request is for, lower case, with its port unless it is the usual one.
pub fn authority(request: &HttpRequest) -> Option<String> {
    let authority = sent_authority(request)?.trim_end_matches('.').to_lowercase();
    let usual = authority.strip_suffix(":443").or_else(|| authority.strip_suffix(":80"));
    Some(usual.unwrap_or(&authority).to_owned())
}

/// The host that the request is for, as its sender wrote it.
///
/// `X-Forwarded-Host` counts when a trusted proxy says so, and the last of several is the one that this proxy added.
pub fn sent_authority(request: &HttpRequest) -> Option<String> {
    let trusted = from_trusted_proxy(request);
    let forwarded = trusted.then(|| request.headers().get_all("x-forwarded-host").last()).flatten();
    let forwarded = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()).map(str::trim);
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = forwarded.or(host).or_else(|| request.uri().authority().map(|authority| authority.as_str()))?;
    Some(authority.to_owned())
}

/// Whether the request was handed on by a proxy of `server.trusted_proxies`.
pub fn from_trusted_proxy(request: &HttpRequest) -> bool {
    let settings = request.app_data::<web::Data<Settings>>();
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
    let known = |(settings, peer): (&web::Data<Settings>, std::net::IpAddr)| {
        settings.trusted_proxies.iter().any(|network| network.contains(&peer))
    };
    settings.zip(peer).is_some_and(known)
}

/// The token that a request brings.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let given = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim())
}

/// Whether ActivityPub is wanted: any Accept line names it, with or without a profile, at least as dearly as HTML (R-33).
/// `*/*` and silence mean HTML.
pub fn wants_activitypub(headers: &HeaderMap) -> bool {
    let (mut activitypub, mut html) = (0.0, 0.0);
    for (name, quality) in accepted(headers) {
        let is = |names: [&str; 2]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is(["application/activity+json", "application/ld+json"]) {
            activitypub = quality.max(activitypub);
        } else if is(["text/html", "application/xhtml+xml"]) {
            html = quality.max(html);
        }
    }
    activitypub > 0.0 && activitypub >= html
}

/// Whether an error should be a page: somebody named HTML and not ActivityPub above it.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let html = accepted(headers).any(|(name, quality)| name.eq_ignore_ascii_case("text/html") && quality > 0.0);
    html && !wants_activitypub(headers)
}

/// Every media range of every Accept line with its quality, 0 to 1.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = (&str, f32)> + '_ {
    let lines = headers.get_all(header::ACCEPT).filter_map(|line| line.to_str().ok());
    lines.flat_map(ranges).map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (name, quality.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0)))
    })
}

/// The ranges of a line: commas inside quotes do not count.
fn ranges(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

/// A number in a path or a query exactly as we write it: no sign, no leading zero.
pub fn number(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number >= 0 && number.to_string() == text).then_some(number)
}

/// The parameters of a query.
pub fn query(request: &HttpRequest) -> Vec<(String, String)> {
    url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn activitypub(lines: &[&str]) -> bool {
        let request = lines.iter().fold(TestRequest::get(), |request, line| request.append_header(("accept", *line)));
        wants_activitypub(request.to_http_request().headers())
    }

    #[test]
    fn activitypub_is_answered_to_whoever_names_it() {
        let profile = r#"application/ld+json; profile="https://www.w3.org/ns/activitystreams""#;
        assert!(activitypub(&["application/activity+json"]));
        assert!(activitypub(&["application/ld+json"]), "Mastodon and Pixelfed send it bare");
        assert!(activitypub(&[profile]));
        assert!(activitypub(&["text/plain", "application/activity+json"]), "Akkoma sends two lines");
        assert!(activitypub(&[&format!("{profile}, application/activity+json, text/html;q=0.1")]), "Mastodon's search");
        assert!(activitypub(&["text/html, application/activity+json"]), "equal quality");
    }

    #[test]
    fn html_is_answered_to_everyone_else() {
        assert!(!activitypub(&[]));
        assert!(!activitypub(&["*/*"]));
        assert!(!activitypub(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
        assert!(!activitypub(&["text/html, application/activity+json;q=0.5"]));
        assert!(!activitypub(&["application/activity+json;q=0"]));
        assert!(!activitypub(&["application/json"]));
    }

    #[test]
    fn a_number_has_one_spelling() {
        assert_eq!(number("112215823989566555"), Some(112_215_823_989_566_555));
        assert_eq!(number("0"), Some(0));
        for bad in ["", "007", "+7", "-7", "7x", "99999999999999999999"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_forwarded_host_counts_from_a_trusted_proxy_alone() {
        let request = |trusted: &str| {
            let settings = Settings { trusted_proxies: vec![trusted.parse().unwrap()], ..Settings::default() };
            let request =
                TestRequest::get().peer_addr("10.0.0.7:1".parse().unwrap()).app_data(web::Data::new(settings));
            let request = request.insert_header(("host", "inner:8080"));
            request.insert_header(("x-forwarded-host", "evil.example, A.example:443")).to_http_request()
        };
        assert_eq!(authority(&request("10.0.0.0/8")).as_deref(), Some("a.example"));
        assert_eq!(authority(&request("192.168.0.0/16")).as_deref(), Some("inner:8080"));
    }
}
