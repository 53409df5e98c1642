//! How others find us: WebFinger's answers (RFC 7033), host-meta (RFC 6415) and NodeInfo.

use crate::domain::account::Account;
use crate::domain::urls::DomainUrls;
use serde_json::{Value, json};

/// The `type` of a `self` link, which Mastodon compares byte for byte.
const ACTIVITY_JSON: &str = "application/activity+json";

/// The Fediverse Enhancement Proposals that FEDERATION.md names.
const FEPS: [&str; 14] =
    ["67ff", "f1d5", "2677", "2c59", "521a", "5feb", "6fcd", "7458", "7888", "8b32", "9091", "d556", "f228", "fffd"];

/// What a WebFinger `resource` asks for on a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An account by the local part of its handle; the domain part as given, if it was.
    Account {
        /// The local part, lower case.
        handle: String,
        /// The domain part, lower case.
        domain: Option<String>,
    },
    /// The server itself: `https://host/`, its server actor, or `acct:host@host`.
    Server,
    /// Something on another host, or of another shape.
    Elsewhere,
}

/// Read a `resource`: `acct:u@h`, `@u@h`, `u@h`, `u`, an actor's or a page's URL, or the server's own.
/// `None` when it is malformed.
pub fn read_resource(resource: &str, domain: &DomainUrls) -> Option<Resource> {
    let resource = resource.trim();
    if resource.is_empty() {
        return None;
    }
    if resource.starts_with("http://") || resource.starts_with("https://") {
        let url = url::Url::parse(resource).ok()?;
        let authority = url.port().map_or_else(
            || url.host_str().unwrap_or_default().to_lowercase(),
            |port| format!("{}:{port}", url.host_str().unwrap_or_default().to_lowercase()),
        );
        if authority != domain.authority() {
            return Some(Resource::Elsewhere);
        }
        let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        return Some(match segments.as_slice() {
            [] | ["actor"] => Resource::Server,
            ["users", handle] => account(handle, None),
            [handle] if handle.starts_with('@') && handle.len() > 1 => account(&handle[1..], None),
            _ => Resource::Elsewhere,
        });
    }
    let address = resource.strip_prefix("acct:").unwrap_or(resource);
    let address = address.strip_prefix('@').unwrap_or(address);
    match address.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && !host.contains('@') => {
            let same = user.eq_ignore_ascii_case(host) && host.eq_ignore_ascii_case(domain.authority());
            Some(if same { Resource::Server } else { account(user, Some(host)) })
        }
        None if !address.is_empty() && !resource.contains(':') => Some(account(address, None)),
        _ => None,
    }
}

fn account(handle: &str, domain: Option<&str>) -> Resource {
    Resource::Account { handle: handle.to_lowercase(), domain: domain.map(str::to_lowercase) }
}

/// The JRD of an account. `rels`, when not empty, filters the links and nothing else.
pub fn account_jrd(account: &Account, rels: &[String]) -> Value {
    let urls = account.urls();
    let mut links = vec![
        json!({ "rel": "http://webfinger.net/rel/profile-page", "type": "text/html", "href": urls.profile() }),
        json!({ "rel": "self", "type": ACTIVITY_JSON, "href": urls.actor() }),
    ];
    if let Some(avatar) = &account.profile.avatar {
        let href = urls.domain().media(&avatar.file_name());
        links.push(json!({ "rel": "http://webfinger.net/rel/avatar", "type": avatar.media_type, "href": href }));
    }
    json!({
        "subject": format!("acct:{}", account.address()),
        "aliases": [urls.profile(), urls.actor()],
        "links": filtered(links, rels),
    })
}

/// The JRD of the server itself (FEP-d556, R-137).
pub fn server_jrd(domain: &DomainUrls, resource: &str, rels: &[String]) -> Value {
    let href = domain.server_actor();
    let subject =
        if resource.starts_with("http") { resource.to_owned() } else { format!("acct:{0}@{0}", domain.authority()) };
    let links = vec![
        json!({ "rel": "self", "type": ACTIVITY_JSON, "href": href }),
        json!({ "rel": "https://www.w3.org/ns/activitystreams#Service", "type": ACTIVITY_JSON, "href": href }),
    ];
    json!({ "subject": subject, "aliases": [href], "links": filtered(links, rels) })
}

fn filtered(links: Vec<Value>, rels: &[String]) -> Vec<Value> {
    let wanted = |link: &Value| rels.is_empty() || rels.iter().any(|rel| link["rel"] == rel.as_str());
    links.into_iter().filter(wanted).collect()
}

/// The template by which WebFinger is found.
fn template(domain: &DomainUrls) -> String {
    domain.path("/.well-known/webfinger?resource={uri}")
}

/// host-meta as XRD.
pub fn host_meta_xrd(domain: &DomainUrls) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <XRD xmlns=\"http://docs.oasis-open.org/ns/xri/xrd-1.0\">\n  \
         <Link rel=\"lrdd\" template=\"{}\"/>\n</XRD>\n",
        template(domain)
    )
}

/// host-meta as JSON.
pub fn host_meta_json(domain: &DomainUrls) -> Value {
    json!({ "links": [{ "rel": "lrdd", "template": template(domain) }] })
}

/// Where NodeInfo is.
pub fn nodeinfo_links(domain: &DomainUrls) -> Value {
    let schema = |version: &str| format!("http://nodeinfo.diaspora.software/ns/schema/{version}");
    json!({ "links": [
        { "rel": schema("2.1"), "href": domain.path("/nodeinfo/2.1") },
        { "rel": schema("2.0"), "href": domain.path("/nodeinfo/2.0") },
        { "rel": "https://www.w3.org/ns/activitystreams#Application", "href": domain.server_actor() },
    ] })
}

/// What NodeInfo counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Live accounts.
    pub users: i64,
    /// Posts that their outboxes show.
    pub posts: i64,
}

/// A NodeInfo document of version `2.0` or `2.1`.
pub fn nodeinfo(version: &str, usage: Usage, contact: &str) -> Value {
    let software = json!({ "name": "everpost", "version": env!("CARGO_PKG_VERSION") });
    let mut metadata = json!({ "nodeName": "Everpost", "archive": true, "feps": FEPS });
    if !contact.is_empty() {
        metadata["contact"] = Value::from(contact);
    }
    json!({
        "version": version,
        "software": software,
        "protocols": ["activitypub"],
        "services": { "inbound": [], "outbound": ["atom1.0", "rss2.0"] },
        "openRegistrations": false,
        "usage": { "users": { "total": usage.users }, "localPosts": usage.posts },
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource: &str, expected: Option<Resource>) {
        assert_eq!(read_resource(resource, &DomainUrls::new("https://m.example")), expected, "{resource}");
    }

    #[test]
    fn every_spelling_of_an_account_is_understood() {
        let with_domain = |domain: &str| Some(account("ann", Some(domain)));
        check("acct:ann@m.example", with_domain("m.example"));
        check("acct:Ann@M.Example", with_domain("m.example"));
        check("ann@m.example", with_domain("m.example"));
        check("@ann@m.example", with_domain("m.example"));
        check("ann", Some(account("ann", None)));
        check("https://m.example/users/ann", Some(account("ann", None)));
        check("https://m.example/@ann", Some(account("ann", None)));
        check("https://m.example/@ann/", Some(account("ann", None)));
    }

    #[test]
    fn the_server_itself_can_be_asked_for() {
        for resource in
            ["https://m.example/", "https://m.example", "https://m.example/actor", "acct:m.example@m.example"]
        {
            check(resource, Some(Resource::Server));
        }
    }

    #[test]
    fn what_is_malformed_or_elsewhere_is_told_apart() {
        for malformed in ["", " ", "acct:", "acct:@", "acct:ann@", "a@b@c", "mailto:ann", "https://"] {
            check(malformed, None);
        }
        check("https://other.example/@ann", Some(Resource::Elsewhere));
        check("https://m.example/@ann/1", Some(Resource::Elsewhere));
    }
}
