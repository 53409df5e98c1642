//! An actor of another server, as it tells of itself.

use super::ids::RemoteActorId;
use chrono::{DateTime, Utc};

/// An actor of another server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RemoteActor {
    /// Its id.
    pub uri: String,
    /// Person, Service, Group, Organization or Application.
    pub kind: String,
    /// `user@domain` as it is shown; the domain is the host of its id. Nobody verified it by WebFinger, so a domain that only
    /// the actor names is not shown.
    pub handle: Option<String>,
    /// The display name as plain text, without what turns the direction of writing; may be empty.
    pub name: String,
    /// Its page, on its own host.
    pub page: Option<String>,
    /// Where what is for it alone is sent.
    pub inbox: String,
    /// Where what is for several actors of its server is sent.
    pub shared_inbox: Option<String>,
    /// Its followers collection, by which a post for its followers is told.
    pub followers: Option<String>,
    /// Its public keys.
    pub keys: Vec<RemoteKey>,
    /// Ids of actors that it says it is too.
    pub also_known_as: Vec<String>,
    /// Where it has moved.
    pub moved_to: Option<String>,
}

/// A public key of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKey {
    /// Its id, which signatures name.
    pub id: String,
    /// A PEM or a Multikey, as it came.
    pub text: String,
}

/// An actor that is stored here.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownActor {
    /// Its number.
    pub id: RemoteActorId,
    /// What it told.
    pub told: RemoteActor,
    /// When it told it.
    pub fetched: DateTime<Utc>,
}

impl RemoteActor {
    /// Where something is sent to it that others of its server may get too.
    pub fn best_inbox(&self) -> &str {
        self.shared_inbox.as_deref().unwrap_or(&self.inbox)
    }
}

/// Host of a URL in lower case, with its port unless that is the scheme's own; `None` if it has none.
pub fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?.to_ascii_lowercase();
    Some(url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// Whether two URLs stand on the same host (FEP-fe34).
pub fn same_host(one: &str, other: &str) -> bool {
    host_of(one).is_some_and(|host| host_of(other) == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_without_case_and_with_ports() {
        assert!(same_host("https://A.example/x", "https://a.example:443/y"));
        for (one, other) in [
            ("https://a.example/x", "https://b.example/x"),
            ("https://a.example/x", "https://x.a.example/x"),
            ("https://a.example/x", "https://a.example:8443/x"),
            ("acct:ann@a.example", "acct:ann@a.example"),
            ("", ""),
        ] {
            assert!(!same_host(one, other), "{one} {other}");
        }
    }
}
