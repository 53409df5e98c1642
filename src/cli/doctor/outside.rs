//! The looks from outside: what a stranger's server gets when it asks under the public name.
//!
//! Asks for nothing that fixes a name or a date: actors and WebFinger only when an account is live, or when others have seen
//! the name already.

use super::inside::{self, Inside};
use super::{Finding, Severity, advice, front};
use crate::activitystreams::discovery;
use crate::config::Settings;
use crate::domain::account::{Account, AccountState};
use crate::domain::urls::DomainUrls;
use crate::federation::client::{self, Answer, Client, Error, Options};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::net::SocketAddr;

const ACTIVITY_JSON: &str = "application/activity+json";
/// What a browser sends.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// The longest that a document of ours says it may be kept is three days; in seconds.
const LONGEST_AGE: u64 = 259_200;

/// Whom a stranger looks for.
struct Sought {
    /// `user@host`.
    acct: String,
    actor: String,
    page: Option<String>,
    /// Whether the handle is under another domain than the server.
    split: bool,
}

/// The public name, and how to ask for it.
struct Door<'a> {
    settings: &'a Settings,
    urls: DomainUrls,
    client: Client,
}

/// Look at everything from outside, as far as one can get.
pub(super) async fn look(
    settings: &Settings,
    connect: Option<SocketAddr>,
    inside: Inside,
    findings: &mut Vec<Finding>,
) {
    let urls = DomainUrls::new(&settings.server.public_url);
    if urls.is_loopback() && !inside.running {
        return;
    }
    let Some(door) = reach(settings, urls, connect, findings).await else { return };
    if !door.is_everpost(findings).await {
        return;
    }
    let live = inside.accounts.iter().find(|account| account.state == AccountState::Live);
    let seen = inside.domain.as_ref().is_some_and(|domain| domain.exposed.is_some()) || door.urls.is_loopback();
    let sought = match live {
        Some(account) => Some(Sought::account(account)),
        None if seen => Some(Sought::server(&door.urls)),
        None => None,
    };
    let Some(sought) = sought else {
        let seen = "No account is live yet; WebFinger and actors are looked at once one is published.";
        findings.push(Finding::note("webfinger", seen));
        return;
    };
    door.webfinger(&sought, findings).await;
    door.actor(&sought, findings).await;
    if let Some(plain) = plain_address(&door.urls, connect) {
        plain_http(&door, &plain, findings).await;
    }
}

/// Go to the front door: name, certificate, client. `None` where nobody gets further.
async fn reach<'a>(
    settings: &'a Settings,
    urls: DomainUrls,
    connect: Option<SocketAddr>,
    findings: &mut Vec<Finding>,
) -> Option<Door<'a>> {
    let host = urls.host().to_owned();
    let extra_ca = settings.federation.extra_ca.as_ref();
    if !urls.is_loopback() {
        let addresses = match connect {
            Some(address) => vec![address],
            None => front::resolve(&host, findings).await.into_iter().map(|ip| SocketAddr::new(ip, 443)).collect(),
        };
        if addresses.is_empty() || !front::certificates(&host, &addresses, extra_ca, Utc::now(), findings).await {
            return None;
        }
    }
    let options = Options {
        contact: settings.server.public_url.clone(),
        extra_ca: extra_ca.cloned(),
        // It asks the owner's own names from the owner's own machine, and those may lead to inner addresses.
        allow_addresses: client::everywhere(),
        allow_http: urls.base().starts_with("http://").then(|| urls.authority().to_owned()).into_iter().collect(),
        connect: connect.map(|address| (host, address)),
        ..Options::default()
    };
    match Client::new(&options) {
        Ok(client) => Some(Door { settings, urls, client }),
        Err(error) => {
            findings.push(Finding::problem("https", format!("{error}."), advice::CONFIGURATION));
            None
        }
    }
}

impl Sought {
    fn account(account: &Account) -> Sought {
        let urls = account.urls();
        let split = account.handle_domain != urls.domain().authority();
        Sought { acct: account.address(), actor: urls.actor(), page: Some(urls.profile()), split }
    }

    fn server(urls: &DomainUrls) -> Sought {
        let acct = format!("{0}@{0}", urls.authority());
        Sought { acct, actor: urls.server_actor(), page: None, split: false }
    }
}

impl Door<'_> {
    async fn get(&self, url: &str, accept: &str) -> Result<Answer, Error> {
        self.client.get(url, &[("accept", accept)]).await
    }

    /// Whether it is this Everpost that answers under the public name; also what its answer tells about clocks.
    async fn is_everpost(&self, findings: &mut Vec<Finding>) -> bool {
        const CHECK: &str = "host";
        let url = self.urls.path("/.well-known/nodeinfo");
        let answer = match self.get(&url, "application/json").await {
            Ok(answer) => answer,
            Err(error) => {
                findings.push(Finding::problem(CHECK, format!("{url}: {error}."), advice::UNREACHABLE));
                return false;
            }
        };
        let base = self.urls.base();
        let expected = discovery::nodeinfo_links(&self.urls);
        let finding = match answer.status {
            200 if json(&answer).as_ref() == Some(&expected) => {
                Finding::ok(CHECK, format!("Everpost answers under {base}."))
            }
            421 => Finding::problem(
                CHECK,
                format!("Everpost is reached under {base}, but asked for another host (421)."),
                advice::HOST,
            ),
            502..=504 => {
                Finding::problem(CHECK, format!("{base} answers {} for Everpost.", answer.status), advice::BEHIND)
            }
            500..=599 => Finding::problem(
                CHECK,
                format!("{url} answers {}.", answer.status),
                "See the log of the server; it names the cause.",
            ),
            300..=399 => redirected(CHECK, &url, &answer),
            status => Finding::problem(
                CHECK,
                format!("{url} answers {status}, and not with what Everpost says there."),
                advice::SOMEBODY_ELSE,
            ),
        };
        let good = finding.severity == Severity::Ok;
        findings.push(finding);
        if let Ok(date) = DateTime::parse_from_rfc2822(&answer.header("date")) {
            inside::skew(date.to_utc() - Utc::now(), base, findings);
        }
        good
    }

    /// WebFinger under the handle's own domain, as whoever types the handle into a search box asks it.
    async fn webfinger(&self, sought: &Sought, findings: &mut Vec<Finding>) {
        const CHECK: &str = "webfinger";
        let domain = sought.acct.rsplit_once('@').map_or(self.urls.authority(), |(_, domain)| domain);
        let base = match sought.split {
            true => format!("https://{domain}"),
            false => self.urls.base().to_owned(),
        };
        let query = format!("/.well-known/webfinger?resource=acct:{}", sought.acct);
        let url = format!("{base}{query}");
        let mut found = self.get(&url, "application/jrd+json, application/json").await;
        if sought.split
            && let Ok(answer) = &found
            && (300..400).contains(&answer.status)
        {
            // The person's own domain may send askers here, and nowhere else.
            let there = url::Url::parse(&url).ok().and_then(|from| from.join(&answer.header("location")).ok());
            let here = there.filter(|there| there.as_str().starts_with(&format!("{}/", self.urls.base())));
            found = match here {
                Some(here) => self.get(here.as_str(), "application/jrd+json, application/json").await,
                None => found,
            };
        }
        let remedy = match sought.split {
            true => format!(
                "{domain} must send /.well-known/webfinger on to {}/.well-known/webfinger with the same query, as a redirect (302) or through its proxy.",
                self.urls.base()
            ),
            false => advice::WEBFINGER.to_owned(),
        };
        let answer = match found {
            Ok(answer) => answer,
            Err(error) => return findings.push(Finding::problem(CHECK, format!("{url}: {error}."), remedy)),
        };
        let content_type = answer.header("content-type");
        let problem = |seen: String| Finding::problem(CHECK, seen, remedy.clone());
        let value = json(&answer);
        let subject = value.as_ref().and_then(|value| value["subject"].as_str()).unwrap_or_default();
        let links = value.as_ref().and_then(|value| value["links"].as_array()).cloned().unwrap_or_default();
        let to_actor = links.iter().any(|link| {
            link["rel"] == "self" && link["type"] == ACTIVITY_JSON && link["href"] == sought.actor.as_str()
        });
        findings.push(match answer.status {
            200 if value.is_none() => problem(format!("{url} answers {} instead of JSON.", named(&content_type))),
            200 if !subject.eq_ignore_ascii_case(&format!("acct:{}", sought.acct)) => {
                problem(format!("{url} answers for {subject:?}."))
            }
            200 if !to_actor => problem(format!("{url} does not lead to {}.", sought.actor)),
            200 if !["application/jrd+json", "application/json"].contains(&media_type(&content_type)) => {
                problem(format!("{url} answers as {}.", named(&content_type)))
            }
            200 if answer.header("access-control-allow-origin") != "*" => Finding::warning(
                CHECK,
                format!("{url} lacks Access-Control-Allow-Origin: *."),
                "The proxy takes a header away that programs in browsers need; let it pass.",
            ),
            200 => Finding::ok(CHECK, format!("@{} is found, and leads to {}.", sought.acct, sought.actor)),
            status => problem(format!("{url} answers {status}.")),
        });
    }

    /// The actor as a server reads it, after a person looked at the same address.
    async fn actor(&self, sought: &Sought, findings: &mut Vec<Finding>) {
        const CHECK: &str = "actor";
        let url = &sought.actor;
        // A person first, then a server: a cache that keeps one copy for both gives itself away.
        let person = match sought.page {
            Some(_) => self.get(url, BROWSER).await.ok(),
            None => None,
        };
        let answer = match self.get(url, ACTIVITY_JSON).await {
            Ok(answer) => answer,
            Err(error) => {
                return findings.push(Finding::problem(CHECK, format!("{url}: {error}."), advice::UNREACHABLE));
            }
        };
        let content_type = answer.header("content-type");
        let is_actor = json(&answer).is_some_and(|value| value["id"] == url.as_str());
        let finding = match answer.status {
            200..=399 if person.as_ref().is_some_and(|person| same(person, &answer)) => one_copy(url, &answer),
            300..=399 => redirected(CHECK, url, &answer),
            200 if !is_actor => {
                let seen = format!("{url} answers something else than the actor, as {}.", named(&content_type));
                Finding::problem(CHECK, seen, advice::SOMEBODY_ELSE)
            }
            200 if media_type(&content_type) != ACTIVITY_JSON => {
                let seen = format!("{url} answers as {}, not as {ACTIVITY_JSON}.", named(&content_type));
                Finding::problem(CHECK, seen, advice::CONTENT_TYPE)
            }
            200 => Finding::ok(CHECK, format!("{url} answers as {ACTIVITY_JSON}.")),
            status => Finding::problem(CHECK, format!("{url} answers {status} to servers."), advice::SOMEBODY_ELSE),
        };
        let good = finding.severity == Severity::Ok;
        findings.push(finding);
        if good {
            if let Some(page) = &sought.page {
                self.caching(page, &answer, findings).await;
            }
            self.compression(url, findings).await;
        }
    }

    /// Whether the profile, one address for people and for servers, stays two things; and what a proxy did to the headers of
    /// the actor that caches live by.
    async fn caching(&self, page: &str, actor: &Answer, findings: &mut Vec<Finding>) {
        const CHECK: &str = "caching";
        let person = self.get(page, BROWSER).await;
        let server = self.get(page, ACTIVITY_JSON).await;
        let again = self.get(page, BROWSER).await;
        let vary = actor.header("vary").to_lowercase();
        let cache = actor.header("cache-control").to_lowercase();
        let age = cache.split(',').find_map(|part| part.trim().strip_prefix("max-age=")?.parse::<u64>().ok());
        let passes = "The proxy takes the header away; caches behind it will mix pages and objects. Let it pass.";
        let longer = "The proxy sets another Cache-Control than Everpost; changes would reach others late. Remove rules such as \
                      `expires` for this name.";
        let mixed = server.as_ref().is_ok_and(|server| {
            [&person, &again].iter().any(|person| person.as_ref().is_ok_and(|person| same(person, server)))
        });
        findings.push(match server {
            Ok(server) if mixed => one_copy(page, &server),
            _ if !vary.split(',').any(|name| matches!(name.trim(), "accept" | "*")) => {
                Finding::warning(CHECK, "The actor comes without `Vary: Accept`.", passes)
            }
            _ if age.is_some_and(|age| age > LONGEST_AGE) => {
                Finding::warning(CHECK, format!("The actor may be kept by others for too long: {cache}."), longer)
            }
            _ if actor.header("etag").is_empty() || cache.is_empty() => Finding::note(
                CHECK,
                "The proxy takes ETag or Cache-Control away: others ask more often than they have to.",
            ),
            _ => Finding::ok(CHECK, "Pages and objects are kept apart, and the headers for caches come through."),
        });
    }

    /// Compression that nobody asked for cannot be read, and a wrong label neither.
    async fn compression(&self, url: &str, findings: &mut Vec<Finding>) {
        const CHECK: &str = "compression";
        let plain = self.client.get(url, &[("accept", ACTIVITY_JSON), ("accept-encoding", "identity")]).await;
        let packed = self.client.get(url, &[("accept", ACTIVITY_JSON), ("accept-encoding", "gzip")]).await;
        let (Ok(plain), Ok(packed)) = (plain, packed) else { return };
        let (unasked, label) = (plain.header("content-encoding"), packed.header("content-encoding"));
        let is_gzip = packed.body.starts_with(&[0x1f, 0x8b]);
        let advice = "Let the proxy compress only what the asker accepts, and only once (nginx: gzip on; and no gzip_static for this name), or not at all.";
        findings.push(match label.as_str() {
            _ if !matches!(unasked.as_str(), "" | "identity") => {
                Finding::problem(CHECK, format!("{url} is compressed ({unasked}) for who cannot read that."), advice)
            }
            "gzip" if !is_gzip => Finding::problem(CHECK, format!("{url} says that it is gzip, and is not."), advice),
            "" | "identity" if is_gzip => {
                Finding::problem(CHECK, format!("{url} is gzip, and does not say so."), advice)
            }
            "" | "identity" => Finding::ok(CHECK, "Nothing is compressed on the way."),
            "gzip" => Finding::ok(CHECK, "The proxy compresses for who asks for it, and says so."),
            other => Finding::problem(CHECK, format!("{url} comes as {other} to who takes gzip only."), advice),
        });
    }
}

/// Where plain http answers, if the server belongs to the world and nothing was told about how to reach it.
fn plain_address(urls: &DomainUrls, connect: Option<SocketAddr>) -> Option<String> {
    (!urls.is_loopback() && connect.is_none()).then(|| format!("http://{}/", urls.authority()))
}

/// People type a name without https; they should end up at the same name with it.
async fn plain_http(door: &Door<'_>, plain: &str, findings: &mut Vec<Finding>) {
    const CHECK: &str = "redirects";
    let options = Options {
        contact: door.settings.server.public_url.clone(),
        allow_addresses: client::everywhere(),
        allow_http: vec![door.urls.authority().to_owned()],
        ..Options::default()
    };
    let Ok(client) = Client::new(&options) else { return };
    let advice = "Let the proxy answer http with a redirect (301 or 308) to the same address with https; Caddy does so by itself.";
    findings.push(match client.get(plain, &[("accept", BROWSER)]).await {
        Err(error) => {
            Finding::note(CHECK, format!("{plain}: {error}. People who type the name alone may not get here."))
        }
        Ok(answer) if matches!(answer.status, 301 | 302 | 307 | 308) => {
            let to = answer.header("location");
            match to.starts_with(&format!("{}/", door.urls.base())) {
                true => Finding::ok(CHECK, "http leads to https."),
                false => Finding::warning(CHECK, format!("{plain} leads to {to}."), advice),
            }
        }
        Ok(answer) => Finding::warning(CHECK, format!("{plain} answers {} without https.", answer.status), advice),
    });
}

/// Whether two askers were given the same.
fn same(one: &Answer, other: &Answer) -> bool {
    (one.status, &one.body, one.header("location")) == (other.status, &other.body, other.header("location"))
}

fn one_copy(url: &str, answer: &Answer) -> Finding {
    let what = match answer.status {
        300..=399 => format!("a redirect to {}", answer.header("location")),
        _ => named(&answer.header("content-type")).to_owned(),
    };
    Finding::problem("caching", format!("{url} gives browsers and servers the same, {what}."), advice::CACHE)
}

fn redirected(check: &'static str, url: &str, answer: &Answer) -> Finding {
    let to = answer.header("location");
    Finding::problem(check, format!("{url} answers {}, a redirect to {to}.", answer.status), advice::REDIRECT)
}

fn json(answer: &Answer) -> Option<Value> {
    serde_json::from_slice(&answer.body).ok().filter(Value::is_object)
}

/// A content type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn named(content_type: &str) -> &str {
    if content_type.is_empty() { "nothing in particular" } else { content_type }
}
