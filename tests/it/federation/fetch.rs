//! Objects come from their own hosts or not at all, and handles stand for actors.

use super::{ACTIVITY_JSON, activity, courier, nothing, sender};
use crate::support::{Heard, Peer, Reply};
use chrono::Utc;
use everpost::federation::fetch::{self, Error};
use serde_json::{Value, json};

async fn object(url: &str) -> Result<Value, Error> {
    fetch::object(&courier(), &sender().0, url, Utc::now()).await
}

async fn webfinger(acct: &str) -> Result<String, Error> {
    fetch::webfinger(&courier(), &sender().0, acct, Utc::now()).await
}

/// The URL that was asked for, by what the request itself says.
fn url(heard: &Heard) -> String {
    format!("http://{}{}", heard.header("host"), heard.target)
}

#[tokio::test]
async fn an_object_is_taken_from_the_url_that_is_its_id() {
    let peer = Peer::start(|heard| activity(&json!({ "id": url(heard), "type": "Note" })));
    assert_eq!(object(&peer.url("/notes/1?x=1")).await.unwrap()["id"], peer.url("/notes/1?x=1"));
}

#[tokio::test]
async fn an_object_under_another_address_of_its_host_is_fetched_from_its_id() {
    let peer = Peer::start(|heard| match heard.target.as_str() {
        "/lying" => activity(&json!({ "id": format!("http://{}/lying/2", heard.header("host")) })),
        "/lying/2" => activity(&json!({ "id": format!("http://{}/lying/3", heard.header("host")) })),
        _ => activity(&json!({ "id": format!("http://{}/notes/1", heard.header("host")) })),
    });
    assert_eq!(object(&peer.url("/@ann/1")).await.unwrap()["id"], peer.url("/notes/1"));
    assert_eq!(peer.heard().len(), 2);
    assert!(matches!(object(&peer.url("/lying")).await, Err(Error::Wrong { .. })));
}

#[tokio::test]
async fn nobody_speaks_for_another_host() {
    let victim = Peer::start(|heard| activity(&json!({ "id": url(heard) })));
    let (id, moved) = (victim.url("/notes/1"), victim.url("/notes/2"));
    let peer = Peer::start(move |heard| match heard.target.as_str() {
        "/moved" => nothing(302).with("location", &moved),
        _ => activity(&json!({ "id": id })),
    });
    for path in ["/notes/1", "/moved"] {
        let found = object(&peer.url(path)).await;
        assert!(matches!(found, Err(Error::Wrong { .. })), "{path}: {found:?}");
    }
    assert!(victim.heard().iter().all(|heard| heard.target != "/notes/1"));
}

#[tokio::test]
async fn what_is_not_activitypub_is_not_taken() {
    let peer = Peer::start(|heard| {
        let good = json!({ "id": url(heard) }).to_string();
        match heard.target.as_str() {
            "/upload" => Reply::new(200, "application/json", &good),
            "/page" => Reply::new(200, "text/html", &good),
            "/list" => Reply::new(200, ACTIVITY_JSON, "[]"),
            "/broken" => Reply::new(200, ACTIVITY_JSON, &good[1..]),
            "/nameless" => Reply::new(200, ACTIVITY_JSON, "{}"),
            "/packed" => Reply::new(200, ACTIVITY_JSON, &good).with("content-encoding", "gzip"),
            "/large" => {
                Reply::new(200, ACTIVITY_JSON, &good.replace('}', &format!(",\"x\":\"{}\"}}", "x".repeat(1 << 20))))
            }
            _ => Reply::new(200, "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\"", &good),
        }
    });
    for path in ["/upload", "/page", "/list", "/broken", "/nameless", "/packed", "/large", "/x#fragment"] {
        let found = object(&peer.url(path)).await;
        assert!(matches!(found, Err(Error::Wrong { .. })), "{path}: {found:?}");
    }
    assert!(object(&peer.url("/good")).await.is_ok());
}

#[tokio::test]
async fn what_cannot_be_had_says_what_can_be_done_about_it() {
    let peer = Peer::start(|heard| nothing(heard.target[1..].parse().unwrap()));
    let at = |status: u16| peer.url(&format!("/{status}"));
    assert!(matches!(object(&at(410)).await, Err(Error::Gone(_))));
    assert!(matches!(object(&at(404)).await, Err(Error::NotFound(_))));
    for status in [401, 403, 406, 418] {
        assert!(matches!(object(&at(status)).await, Err(Error::Refused { status: found, .. }) if found == status));
    }
    for status in [429, 500, 503] {
        assert!(matches!(object(&at(status)).await, Err(Error::Later { .. })));
    }
    let gone = peer.url("/200");
    drop(peer);
    assert!(matches!(object(&gone).await, Err(Error::Later { .. })));
    for nowhere in ["https://10.0.0.1/x", "http://plain.example/x", "ftp://a.example/x", "x"] {
        assert!(matches!(object(nowhere).await, Err(Error::Wrong { .. })), "{nowhere}");
    }
}

#[tokio::test]
async fn a_handle_stands_for_an_actor() {
    let peer = Peer::start(|heard| {
        let host = heard.header("host").to_owned();
        let resource = heard.target.strip_prefix("/.well-known/webfinger?resource=acct:").unwrap_or_default();
        let (user, _) = resource.split_once('@').unwrap_or_default();
        let jrd = |subject: &str, actor: &str| {
            let link = json!({ "rel": "self", "type": ACTIVITY_JSON, "href": format!("http://{host}/users/{actor}") });
            let jrd = json!({ "subject": format!("acct:{subject}@{host}"), "links": [link] });
            Reply::new(200, "application/jrd+json", &jrd.to_string())
        };
        assert!(heard.header("accept").contains("application/jrd+json"));
        match user {
            "ann" => jrd("ann", "ann"),
            "Ann" => jrd("ann", "ann"),
            "old" => jrd("ann", "ann"),
            "thief" => jrd("ann", "thief"),
            "page" => Reply::new(200, "application/jrd+json", "{\"subject\":\"acct:page@x\",\"links\":[]}"),
            // A file that somebody put there.
            "upload" => Reply { headers: Vec::new(), ..jrd("upload", "upload") },
            _ => nothing(404),
        }
    });
    let handle = |user: &str| format!("{user}@{}", peer.authority());
    let ann = peer.url("/users/ann");
    for asked in [handle("ann"), format!("acct:{}", handle("ann")), format!("@{}", handle("Ann")), handle("old")] {
        assert_eq!(webfinger(&asked).await.unwrap(), ann, "{asked}");
    }
    assert!(matches!(webfinger(&handle("thief")).await, Err(Error::Wrong { .. })));
    assert!(matches!(webfinger(&handle("page")).await, Err(Error::Wrong { .. })));
    assert!(matches!(webfinger(&handle("upload")).await, Err(Error::Wrong { .. })));
    assert!(matches!(webfinger(&handle("nobody")).await, Err(Error::NotFound(_))));
    for wrong in ["ann", "@a.example", "ann@", "ann@a.example/path", "ann@u:p@a.example", "ann@a.example?x"] {
        assert!(matches!(webfinger(wrong).await, Err(Error::Wrong { .. })), "{wrong}");
    }
}
