//! The courier: what it signs others verify, and it finds out by which scheme.

use super::{ACTIVITY_JSON, courier, nothing, sender};
use crate::support::{Heard, Peer, Reply};
use chrono::Utc;
use everpost::federation::client::Error;
use everpost::federation::signature::Scheme;

const BODY: &[u8] = br#"{"type":"Accept"}"#;

#[tokio::test]
async fn a_delivery_is_signed_by_draft_cavage_first() {
    let (peer, (sender, key)) = (Peer::start(|_| nothing(202)), sender());
    let answer = courier().post(&sender, &peer.url("/inbox?x=1"), BODY, Utc::now()).await.unwrap();
    let heard = &peer.heard()[0];
    assert_eq!((answer.status, heard.method.as_str(), heard.target.as_str()), (202, "POST", "/inbox?x=1"));
    assert_eq!((heard.body.as_slice(), heard.header("content-type")), (BODY, ACTIVITY_JSON));
    assert_eq!(heard.verify(&key), Ok(Scheme::Cavage));
    assert!(heard.header("signature").contains(r#"headers="(request-target) host date digest content-type""#));
    assert!(heard.header("signature").contains(&sender.key_id));
    assert!(heard.header("user-agent").starts_with("Everpost/"));
    let mut other = heard.clone();
    other.body.push(b' ');
    assert!(other.verify(&key).is_err());
}

#[tokio::test]
async fn what_is_fetched_is_asked_for_signed_and_uncompressed() {
    let (peer, (sender, key)) = (Peer::start(|_| nothing(200)), sender());
    courier().get(&sender, &peer.url("/users/ann?x=%20y"), ACTIVITY_JSON, Utc::now()).await.unwrap();
    let heard = &peer.heard()[0];
    assert_eq!((heard.method.as_str(), heard.header("accept")), ("GET", ACTIVITY_JSON));
    assert_eq!(heard.header("accept-encoding"), "identity");
    assert_eq!(heard.verify(&key), Ok(Scheme::Cavage));
    assert!(heard.header("signature").contains(r#"headers="(request-target) host date""#));
}

/// What is answered to who signs by anything but this scheme.
fn takes(scheme: Scheme, refusal: u16) -> impl Fn(&Heard) -> Reply {
    move |heard| nothing(if heard.scheme() == scheme { 202 } else { refusal })
}

#[tokio::test]
async fn who_refuses_one_scheme_is_asked_by_the_other_and_that_is_remembered() {
    for refusal in [400, 401] {
        let (peer, courier, (sender, key)) = (Peer::start(takes(Scheme::Rfc9421, refusal)), courier(), sender());
        for _ in 0..2 {
            assert_eq!(courier.post(&sender, &peer.url("/inbox"), BODY, Utc::now()).await.unwrap().status, 202);
        }
        let schemes: Vec<_> = peer.heard().iter().map(|heard| heard.verify(&key).unwrap()).collect();
        assert_eq!(schemes, [Scheme::Cavage, Scheme::Rfc9421, Scheme::Rfc9421]);
    }
}

#[tokio::test]
async fn a_host_that_changes_its_mind_is_understood() {
    let wants_new = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = wants_new.clone();
    let peer = Peer::start(move |heard| {
        let wanted = if asked.load(std::sync::atomic::Ordering::SeqCst) { Scheme::Rfc9421 } else { Scheme::Cavage };
        takes(wanted, 401)(heard)
    });
    let (courier, (sender, _)) = (courier(), sender());
    for _ in 0..2 {
        assert_eq!(courier.post(&sender, &peer.url("/inbox"), BODY, Utc::now()).await.unwrap().status, 202);
        wants_new.store(false, std::sync::atomic::Ordering::SeqCst);
    }
    assert_eq!(courier.post(&sender, &peer.url("/inbox"), BODY, Utc::now()).await.unwrap().status, 202);
    let schemes: Vec<_> = peer.heard().iter().map(Heard::scheme).collect();
    use Scheme::{Cavage, Rfc9421};
    assert_eq!(schemes, [Cavage, Rfc9421, Rfc9421, Cavage, Cavage]);
}

#[tokio::test]
async fn who_refuses_both_is_asked_twice_and_who_refuses_otherwise_once() {
    for (status, count) in [(401, 2), (400, 2), (403, 1), (404, 1), (500, 1), (202, 1)] {
        let (peer, courier, (sender, _)) = (Peer::start(move |_| nothing(status)), courier(), sender());
        let answer = courier.post(&sender, &peer.url("/inbox"), BODY, Utc::now()).await.unwrap();
        assert_eq!((answer.status, peer.heard().len()), (status, count));
    }
}

#[tokio::test]
async fn a_redirect_is_followed_with_a_new_signature_and_a_delivery_is_not() {
    let peer = Peer::start(|heard| match heard.target.as_str() {
        "/a" => nothing(301).with("location", "/b?x=1"),
        "/b?x=1" => nothing(307).with("location", "c"),
        "/c" => nothing(200),
        _ => nothing(404),
    });
    let (courier, (sender, key)) = (courier(), sender());
    let answer = courier.get(&sender, &peer.url("/a"), ACTIVITY_JSON, Utc::now()).await.unwrap();
    assert_eq!((answer.status, answer.url), (200, peer.url("/c")));
    let heard = peer.heard();
    assert_eq!(heard.iter().map(|heard| heard.target.as_str()).collect::<Vec<_>>(), ["/a", "/b?x=1", "/c"]);
    assert!(heard.iter().all(|heard| heard.verify(&key).is_ok()));
    let answer = courier.post(&sender, &peer.url("/a"), BODY, Utc::now()).await.unwrap();
    assert_eq!((answer.status, peer.heard().len()), (301, 4));
}

#[tokio::test]
async fn a_redirect_without_end_ends() {
    let (peer, (sender, _)) = (Peer::start(|_| nothing(302).with("location", "/")), sender());
    let found = courier().get(&sender, &peer.url("/"), ACTIVITY_JSON, Utc::now()).await;
    assert!(matches!(found, Err(Error::Redirects)), "{found:?}");
    assert_eq!(peer.heard().len(), 4);
}
