//! Which server has fetched which post: counted by the key that signed, also when the cache answers.

use super::{at, id};
use crate::activitypub::{account, post, store};
use crate::delivery::office::until;
use crate::support::{Answer, Heard, Peer, Reply, TestApp};
use chrono::Utc;
use everpost::domain::ids::PostId;
use everpost::federation::courier::Sender;
use everpost::federation::signature::{Head, Scheme, Signer};
use everpost::http::Settings;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::json;

const ACTIVITY: &str = "application/activity+json";

/// A server with somebody on it who signs.
struct Far {
    peer: Peer,
    sender: Sender,
}

impl Far {
    fn start() -> Far {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let pem = String::from_utf8(key.public_key_to_pem().unwrap()).unwrap();
        let peer = Peer::start(move |heard: &Heard| {
            let id = format!("http://{}{}", heard.header("host"), heard.target);
            let actor = json!({
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": id,
                "type": "Application",
                "preferredUsername": "far",
                "inbox": format!("{id}/inbox"),
                "publicKey": { "id": format!("{id}#main-key"), "owner": id, "publicKeyPem": pem },
            });
            Reply::new(200, ACTIVITY, &actor.to_string())
        });
        let key_id = format!("{}#main-key", peer.url("/actor"));
        Far { peer, sender: Sender { key_id, key } }
    }

    /// GET, signed, with a key of this id.
    async fn get_as(&self, key_id: &str, app: &TestApp, path: &str, scheme: Scheme) -> Answer {
        let (_, authority) = app.base.split_once("://").unwrap();
        let head = Head {
            method: "GET",
            scheme: "http",
            authority,
            target: path,
            headers: vec![("accept", ACTIVITY.as_bytes())],
        };
        let made = Signer { key_id, key: &self.sender.key }.sign(scheme, &head, None, Utc::now()).unwrap();
        let made: Vec<(&str, &str)> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
        app.get_with(path, &[&[("accept", ACTIVITY)], made.as_slice()].concat()).await
    }

    async fn get(&self, app: &TestApp, path: &str) -> u16 {
        self.get_as(&self.sender.key_id, app, path, Scheme::Cavage).await.status
    }

    /// Let somebody there follow.
    fn follows(&self, app: &TestApp) {
        let (uri, host) = (self.peer.url("/users/bo"), self.peer.authority());
        app.database.execute(&format!(
            "WITH actor AS (INSERT INTO remote_actors (uri, host, kind, name, inbox, keys, also_known_as, fetched_at, created_at) \
                 VALUES ('{uri}', '{host}', 'Person', '', '{uri}/inbox', '[]', '{{}}', now(), now()) RETURNING id) \
             INSERT INTO followers (account_id, actor_id, state, follow_uri, follow, created_at, accepted_at) \
             SELECT (SELECT min(id) FROM accounts), id, 'accepted', '{uri}#f', '{{}}', now(), now() FROM actor"
        ));
    }
}

async fn app(authorized_fetch: bool) -> TestApp {
    let settings = Settings { authorized_fetch, cache_bytes: 1 << 20, ..Settings::default() };
    let app = TestApp::start_as(None, settings).await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(&at(0)), post(&at(1))]).await;
    app
}

fn note(n: i64) -> String {
    format!("/users/ann/statuses/{}", id(n))
}

fn times(app: &TestApp, n: i64) -> i64 {
    app.database.number(&format!("SELECT coalesce(sum(times), 0)::bigint FROM fetches WHERE post_id = {}", id(n)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fetch_of_a_post_by_a_followers_server_is_counted_also_out_of_the_cache() {
    let (app, far) = (app(false).await, Far::start());
    far.follows(&app);
    for round in 1..=3 {
        assert_eq!(far.get(&app, &note(0)).await, 200);
        until("it is counted", || times(&app, 0) == round).await;
    }
    let page = format!("/@ann/{}", id(0));
    assert_eq!(far.get_as(&far.sender.key_id, &app, &page, Scheme::Rfc9421).await.status, 200);
    until("the object in place of its page is counted too, by the other scheme", || times(&app, 0) == 4).await;
    let found = app.app.store.list_fetches(app.account("ann").await.id, None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].post, &found[0].host, found[0].times), (PostId(id(0)), &far.peer.authority(), 4));
    assert!(found[0].first < found[0].last);
    assert_eq!(far.peer.heard().len(), 1, "its key was asked for once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_counted_that_is_not_proven_and_no_strangers_key_is_looked_at() {
    let (app, far, stranger, liar) = (app(false).await, Far::start(), Far::start(), Far::start());
    far.follows(&app);
    assert_eq!(stranger.get(&app, &note(0)).await, 200, "everybody is given it");
    assert_eq!(liar.get_as(&far.sender.key_id, &app, &note(0), Scheme::Cavage).await.status, 200);
    assert_eq!(app.get(&note(0)).await.status, 200);
    for other in ["/users/ann", "/users/ann/outbox?page=true", &format!("{}/replies", note(0))] {
        assert_eq!(far.get(&app, other).await, 200);
    }
    assert_eq!(far.get(&app, "/users/ann/statuses/1").await, 404);
    // What comes last is counted last.
    assert_eq!(far.get(&app, &note(1)).await, 200);
    until("what is proven is counted", || times(&app, 1) == 1).await;
    assert_eq!(times(&app, 0), 0);
    assert_eq!((stranger.peer.heard().len(), liar.peer.heard().len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_authorized_fetch_what_was_proven_is_counted() {
    let (app, far, stranger) = (app(true).await, Far::start(), Far::start());
    far.follows(&app);
    assert_eq!(app.get(&note(0)).await.status, 401);
    assert_eq!(stranger.get(&app, &note(0)).await, 200);
    assert_eq!(far.get(&app, &note(0)).await, 200);
    until("it is counted", || times(&app, 0) == 1).await;
    assert_eq!(app.database.texts("SELECT host FROM fetches"), [far.peer.authority()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_last_is_written_down_when_the_server_stops() {
    let (mut app, far) = (app(false).await, Far::start());
    far.follows(&app);
    for n in [0, 1] {
        assert_eq!(far.get(&app, &note(n)).await, 200);
    }
    app.stop();
    assert_eq!(app.database.number("SELECT count(*) FROM fetches"), 2);
}
