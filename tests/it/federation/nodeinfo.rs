//! What another server runs: two documents of its own host, and nothing that it says about others.

use super::{courier, nothing, sender};
use crate::support::{Heard, Peer, Reply};
use chrono::Utc;
use everpost::domain::software::Software;
use everpost::federation::fetch::Error;
use everpost::federation::nodeinfo;
use serde_json::{Value, json};
use std::sync::Arc;

const SCHEMA: &str = "http://nodeinfo.diaspora.software/ns/schema/2.0";

fn document(value: &Value) -> Reply {
    Reply::new(200, "application/json; charset=utf-8", &value.to_string())
}

/// A server whose links lead there, by a path or a whole URL.
fn peer(href: &str, told: Value) -> Peer {
    let (href, told) = (href.to_owned(), Arc::new(told));
    Peer::start(move |heard: &Heard| match heard.target.as_str() {
        "/.well-known/nodeinfo" => {
            let href =
                if href.starts_with('/') { format!("http://{}{href}", heard.header("host")) } else { href.clone() };
            document(&json!({ "links": [{ "rel": SCHEMA, "href": href }] }))
        }
        "/nodeinfo/2.0" => document(&told),
        "/away" => nothing(302).with("location", "http://other.example/x"),
        _ => nothing(404),
    })
}

async fn ask(peer: &Peer) -> Result<Software, Error> {
    nodeinfo::software(&courier(), &sender().0, &peer.authority(), Utc::now()).await
}

#[tokio::test]
async fn a_server_says_at_its_own_address_what_it_runs() {
    let peer = peer("/nodeinfo/2.0", json!({ "software": { "name": "Mastodon", "version": "4.6.5+glitch" } }));
    let told = Software { name: "mastodon".to_owned(), version: "4.6.5+glitch".to_owned() };
    assert_eq!(ask(&peer).await.unwrap(), told);
    let heard = peer.heard();
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|heard| !heard.header("signature").is_empty()), "it is asked as everything is: signed");
}

#[tokio::test]
async fn nobody_says_for_another_host_what_runs_there() {
    let other = peer("/nodeinfo/2.0", json!({ "software": { "name": "mastodon", "version": "4.6.5" } }));
    let for_a_terminal = "/\u{1b}]0;x\u{7}\u{1b}[2J".to_owned();
    let long = format!("/{}", "x".repeat(5000));
    for href in [other.url("/nodeinfo/2.0"), "/away".to_owned(), "not a url".to_owned(), for_a_terminal, long] {
        let peer = peer(&href, json!({}));
        let error = ask(&peer).await.unwrap_err();
        assert!(matches!(error, Error::Wrong { .. }), "{href}: {error}");
        let told = error.to_string();
        assert!(!told.contains(char::is_control) && told.len() < 3000, "{told:?}");
    }
    assert!(other.heard().is_empty(), "and it is not even asked there");
}

#[tokio::test]
async fn a_server_that_tells_nothing_is_told_from_one_that_cannot_be_had() {
    assert!(matches!(ask(&peer("/nodeinfo/2.0", json!({ "software": [] }))).await, Err(Error::Wrong { .. })));
    assert!(matches!(ask(&peer("/nodeinfo/9", json!({}))).await, Err(Error::NotFound(_))));
    let busy = Peer::start(|_: &Heard| nothing(503));
    assert!(matches!(ask(&busy).await, Err(Error::Later { .. })));
    let page = Peer::start(|_: &Heard| Reply { body: b"<html>".to_vec(), ..nothing(200) });
    assert!(matches!(ask(&page).await, Err(Error::Wrong { .. })));
}
