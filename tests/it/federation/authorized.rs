//! Authorized fetch: who asks has to say who they are, and what has to stay open stays open.

use super::{activity, actor, nothing, sender};
use crate::activitypub::{account, post, store};
use crate::support::{Answer, Heard, Peer, TestApp, status_id};
use chrono::{DateTime, Utc};
use everpost::domain::block::BlockTarget;
use everpost::federation::courier::Sender;
use everpost::federation::signature::{Head, Scheme, Signer};
use everpost::http::Settings;

const AT: &str = "2024-01-01T00:00:00Z";
const ACTIVITY: &str = "application/activity+json";

/// A server that wants to know who asks, with a post.
async fn app() -> TestApp {
    app_with(Settings::default()).await
}

async fn app_with(settings: Settings) -> TestApp {
    let settings = Settings { authorized_fetch: true, cache_bytes: 1 << 20, ..settings };
    let app = TestApp::start_as(None, settings).await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(AT)]).await;
    app
}

fn note() -> String {
    format!("/users/ann/statuses/{}", status_id(AT))
}

/// Somebody with a server and a key.
struct Bob {
    peer: Peer,
    sender: Sender,
}

impl Bob {
    fn start() -> Bob {
        let (mut sender, _) = sender();
        let pem = String::from_utf8(sender.key.public_key_to_pem().unwrap()).unwrap();
        let peer = Peer::start(move |heard: &Heard| {
            let id = format!("http://{}{}", heard.header("host"), heard.target);
            match heard.target.as_str() {
                "/users/bob" => activity(&actor(&id, &format!("{id}#main-key"), &pem)),
                _ => nothing(404),
            }
        });
        sender.key_id = format!("{}#main-key", peer.url("/users/bob"));
        Bob { peer, sender }
    }

    /// GET, signed.
    async fn get(&self, app: &TestApp, path: &str, scheme: Scheme, now: DateTime<Utc>) -> Answer {
        self.get_from(app, None, path, scheme, now).await
    }

    /// The same, as a proxy says from that address.
    async fn get_from(
        &self,
        app: &TestApp,
        address: Option<&str>,
        path: &str,
        scheme: Scheme,
        now: DateTime<Utc>,
    ) -> Answer {
        let (_, authority) = app.base.split_once("://").unwrap();
        let headers = vec![("accept", ACTIVITY.as_bytes())];
        let head = Head { method: "GET", scheme: "http", authority, target: path, headers };
        let signer = Signer { key_id: &self.sender.key_id, key: &self.sender.key };
        let made = signer.sign(scheme, &head, None, now).unwrap();
        let mut headers: Vec<(&str, &str)> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(address.map(|address| ("x-forwarded-for", address)));
        app.get_with(path, &[&[("accept", ACTIVITY)], headers.as_slice()].concat()).await
    }

    async fn status(&self, app: &TestApp) -> u16 {
        self.get(app, &note(), Scheme::Cavage, Utc::now()).await.status
    }
}

fn is_private(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "private, no-store");
    assert_eq!(answer.header("vary"), "Accept, Signature, Signature-Input");
}

#[tokio::test]
async fn posts_and_collections_are_given_to_who_signs_and_to_nobody_else() {
    let (app, bob) = (app().await, Bob::start());
    let under = ["", "/activity", "/replies", "/likes", "/shares"].map(|below| format!("{}{below}", note()));
    let mut paths = under.to_vec();
    paths.push(format!("/@ann/{}", status_id(AT)));
    let context = bob.get(&app, &note(), Scheme::Cavage, Utc::now()).await.json()["context"].clone();
    paths.push(context.as_str().unwrap().strip_prefix(&app.base).unwrap().to_owned());
    for path in ["outbox", "outbox?page=true", "followers", "following", "collections/featured", "collections/tags"] {
        paths.push(format!("/users/ann/{path}"));
    }
    for path in &paths {
        for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
            let answer = bob.get(&app, path, scheme, Utc::now()).await;
            assert_eq!(
                (answer.status, answer.header("content-type")),
                (200, "application/activity+json; charset=utf-8")
            );
            is_private(&answer);
        }
        // What somebody was given is not kept for others.
        let unsigned = app.get(path).await;
        assert_eq!(unsigned.status, 401, "{path}");
        is_private(&unsigned);
    }
    assert_eq!(app.page("/users/ann/outbox").await.status, 401, "a browser's Accept is no way around");
    assert_eq!(app.get("/users/ann/%6Futbox").await.status, 401, "nor is another spelling");
    let nothing = bob.get(&app, "/users/ann/statuses/1", Scheme::Cavage, Utc::now()).await;
    assert_eq!(nothing.status, 404);
    assert_eq!(app.get("/users/ann/statuses/1").await.status, 401, "nobody else learns what is not there");
    assert_eq!(bob.peer.heard().len(), 1);
}

#[tokio::test]
async fn actors_discovery_and_pages_stay_open() {
    let app = app().await;
    let (_, authority) = app.base.split_once("://").unwrap();
    let webfinger = format!("/.well-known/webfinger?resource=acct:ann@{authority}");
    for path in ["/users/ann", "/@ann", "/actor", &webfinger, "/.well-known/nodeinfo", "/nodeinfo/2.1"] {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.header("cache-control").starts_with("public")), (200, true), "{path}");
    }
    for path in ["/", "/@ann", &format!("/@ann/{}", status_id(AT))] {
        assert_eq!(app.page(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_signature_that_proves_nothing_is_401() {
    let (app, bob, eve) = (app().await, Bob::start(), Bob::start());
    let thief = Bob {
        peer: Peer::start(|_| nothing(404)),
        sender: Sender { key_id: bob.sender.key_id.clone(), ..eve.sender.clone() },
    };
    assert_eq!(thief.status(&app).await, 401, "another key");
    let old = Utc::now() - chrono::Duration::hours(3);
    assert_eq!(bob.get(&app, &note(), Scheme::Cavage, old).await.status, 401, "an old one");
    let nobody =
        Bob { sender: Sender { key_id: bob.peer.url("/users/nobody#main-key"), ..bob.sender.clone() }, peer: eve.peer };
    assert_eq!(nobody.status(&app).await, 401, "no such key");
    let broken = app.get_with(&note(), &[("accept", ACTIVITY), ("signature", "x")]).await;
    assert_eq!(broken.status, 400);
    assert_eq!(bob.status(&app).await, 200);
}

#[tokio::test]
async fn nobody_here_signs_what_comes_here_and_our_own_actors_are_not_fetched() {
    let (app, mut bob) = (app().await, Bob::start());
    bob.sender.key_id = format!("{}/users/ann#main-key", app.base);
    assert_eq!(bob.status(&app).await, 401);
    assert_eq!(app.database.number("SELECT count(*) FROM remote_actors"), 0);
}

#[tokio::test]
async fn strangers_make_a_bounded_number_of_fetches_and_are_told_to_wait() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let (app, mut bob) = (app_with(Settings { trusted_proxies, ..Settings::default() }).await, Bob::start());
    let (began, mut refused) = (std::time::Instant::now(), 0);
    for n in 0..150 {
        bob.sender.key_id = bob.peer.url(&format!("/users/x{n}#main-key"));
        let answer = bob.get_from(&app, Some("203.0.113.9"), &note(), Scheme::Cavage, Utc::now()).await;
        match answer.status {
            401 => {}
            429 => refused += 1,
            other => panic!("{other}"),
        }
    }
    // Each counts for twenty-one, of two thousand and a hundred a second.
    let most = 96 + 5 * usize::try_from(began.elapsed().as_secs() + 1).unwrap();
    assert!(bob.peer.heard().len() <= most && refused >= 150_usize.saturating_sub(most), "{refused} of 150");
    bob.sender.key_id = bob.peer.url("/users/bob#main-key");
    let other = bob.get_from(&app, Some("203.0.113.10"), &note(), Scheme::Cavage, Utc::now()).await;
    assert_eq!(other.status, 200, "{}", other.body);
}

#[tokio::test]
async fn who_is_blocked_gets_403_and_is_not_asked_for_a_key() {
    let (app, bob) = (app().await, Bob::start());
    let (now, ann) = (Utc::now(), app.account("ann").await.id);
    let domain = BlockTarget::Domain("localhost".to_owned());
    let actor = BlockTarget::Actor(bob.peer.url("/users/bob"));
    app.app.store.insert_block(None, &domain, "", now).await.unwrap();
    assert_eq!((bob.status(&app).await, bob.peer.heard().len()), (403, 0));
    app.app.store.delete_block(None, &domain).await.unwrap();
    assert_eq!(bob.status(&app).await, 200);
    for of in [None, Some(ann)] {
        app.app.store.insert_block(of, &actor, "", now).await.unwrap();
        assert_eq!(bob.status(&app).await, 403);
        app.app.store.delete_block(of, &actor).await.unwrap();
    }
    assert_eq!(bob.status(&app).await, 200);
}

#[tokio::test]
async fn without_authorized_fetch_nobody_has_to_sign() {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(AT)]).await;
    let answer = app.get(&note()).await;
    assert_eq!(
        (answer.status, answer.header("cache-control"), answer.header("vary")),
        (200, "public, max-age=180", "Accept")
    );
}
