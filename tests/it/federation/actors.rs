//! Actors and keys of others: found in every form, fetched seldom, and in bounded number.

use super::{activity, actor, nothing, pem};
use crate::support::{Heard, Peer, Reply, TestApp};
use chrono::{DateTime, Duration, Utc};
use everpost::federation::actors::{Actors, Error};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::json;
use std::sync::{Arc, Condvar, Mutex};

/// A moment, and one a little over five minutes later.
fn times() -> (DateTime<Utc>, DateTime<Utc>) {
    let now = Utc::now();
    (now, now + Duration::seconds(301))
}

/// The actors of an application as after a restart: with nothing in memory.
fn restarted(app: &TestApp) -> Actors {
    Actors::new(app.app.store.clone(), app.app.courier.clone(), app.app.actors.senders().clone())
}

fn id(heard: &Heard, path: &str) -> String {
    format!("http://{}{path}", heard.header("host"))
}

/// A server with one actor, `/users/ann`, whose key is in her document.
fn usual(pem: String) -> Peer {
    Peer::start(move |heard| match heard.target.as_str() {
        "/users/ann" => {
            let ann = id(heard, "/users/ann");
            activity(&actor(&ann, &format!("{ann}#main-key"), &pem))
        }
        _ => nothing(404),
    })
}

#[tokio::test]
async fn a_key_is_fetched_once_signed_by_the_server_actor_and_then_known() {
    let (app, peer, (now, later)) = (TestApp::start().await, usual(pem()), times());
    let (ann, key_id) = (peer.url("/users/ann"), peer.url("/users/ann#main-key"));
    for _ in 0..3 {
        let (known, _) = app.app.actors.by_key(&ann, &key_id, now).await.unwrap();
        assert_eq!((known.told.uri, known.told.inbox), (ann.clone(), format!("{ann}/inbox")));
    }
    assert!(peer.heard()[0].header("signature").contains(&format!("{}/actor#main-key", app.base)));
    restarted(&app).by_key(&ann, &key_id, later).await.unwrap();
    // Old signatures are verified by what is known, however old.
    restarted(&app).by_key(&ann, &key_id, now + Duration::days(400)).await.unwrap();
    // Some name the actor instead of its only key.
    restarted(&app).by_key(&ann, &ann, now).await.unwrap();
    assert_eq!(peer.heard().len(), 1);
}

#[tokio::test]
async fn keys_that_are_documents_of_their_own_are_found() {
    let (app, now) = (TestApp::start().await, Utc::now());
    let (one, two, three) = (pem(), pem(), pem());
    let peer = Peer::start(move |heard| {
        let at = |path: &str| id(heard, path);
        let lone =
            |path: &str, owner: &str, pem: &str| json!({ "id": at(path), "owner": at(owner), "publicKeyPem": pem });
        activity(&match heard.target.as_str() {
            // As GoToSocial has it: a part of the actor stands where its key is.
            "/stub" => actor(&at("/stub"), &at("/stub/main-key"), &one),
            "/stub/main-key" => json!({
                "id": at("/stub"), "type": "Person", "preferredUsername": "stub",
                "publicKey": lone("/stub/main-key", "/stub", &one),
            }),
            // A key alone, which the actor shows too.
            "/lone" => actor(&at("/lone"), &at("/lone/key"), &two),
            "/lone/key" => lone("/lone/key", "/lone", &two),
            // A key alone, which the actor only names.
            "/link" => {
                let mut actor = actor(&at("/link"), "", "");
                actor["publicKey"] = json!(at("/link/key"));
                actor
            }
            "/link/key" => lone("/link/key", "/link", &three),
            // A key that says it is somebody's who does not know it.
            "/thief/key" => lone("/thief/key", "/lone", &three),
            // A key that says it is somebody's elsewhere.
            "/far/key" => json!({ "id": at("/far/key"), "owner": "http://localhost:1/far", "publicKeyPem": three }),
            "/nobody/key" => json!({ "id": at("/nobody/key"), "publicKeyPem": three }),
            _ => return nothing(404),
        })
    });
    for (owner, key) in [("/stub", "/stub/main-key"), ("/lone", "/lone/key"), ("/link", "/link/key")] {
        let key = peer.url(key);
        let (known, _) = app.app.actors.by_key(&key, &key, now).await.unwrap();
        assert_eq!(known.told.uri, peer.url(owner));
    }
    let count = peer.heard().len();
    for key in ["/stub/main-key", "/lone/key", "/link/key"] {
        restarted(&app).by_key(&peer.url(key), &peer.url(key), now).await.unwrap();
    }
    assert_eq!(peer.heard().len(), count, "they are in the store");
    for key in ["/thief/key", "/far/key", "/nobody/key", "/missing/key"] {
        let found = app.app.actors.by_key(&peer.url(key), &peer.url(key), now).await;
        assert!(matches!(found, Err(Error::Unknown(_))), "{key}: {found:?}");
    }
}

#[tokio::test]
async fn who_could_not_be_had_is_not_asked_again_for_five_minutes() {
    let (app, (now, later)) = (TestApp::start().await, times());
    let peer = Peer::start(|heard| nothing(heard.target[1..].parse().unwrap()));
    let of = |status: u16| peer.url(&format!("/{status}"));
    for _ in 0..3 {
        let key = |status: u16| format!("{}#main-key", of(status));
        let actors = &app.app.actors;
        assert!(matches!(actors.by_key(&of(410), &key(410), now).await, Err(Error::Gone(_))));
        assert!(matches!(actors.by_key(&of(404), &key(404), now).await, Err(Error::Unknown(_))));
        assert!(matches!(actors.resolve(&of(403), now).await, Err(Error::Unknown(_))));
        assert!(matches!(actors.resolve(&of(503), now).await, Err(Error::Later(_))));
    }
    assert_eq!(peer.heard().len(), 4);
    assert!(app.app.actors.resolve(&of(410), later).await.is_err());
    assert_eq!(peer.heard().len(), 5);
}

#[tokio::test]
async fn an_actor_is_fetched_anew_after_a_day_and_after_five_minutes_when_that_is_wanted() {
    let (app, (now, later)) = (TestApp::start().await, times());
    let keys = [pem(), pem()];
    let served = Arc::new(Mutex::new(0));
    let turn = served.clone();
    let peer = Peer::start(move |heard| match *turn.lock().unwrap() {
        2 => nothing(503),
        turn => {
            let ann = id(heard, "/users/ann");
            activity(&actor(&ann, &format!("{ann}#main-key"), &keys[turn]))
        }
    });
    let (ann, key_id) = (peer.url("/users/ann"), peer.url("/users/ann#main-key"));
    let actors = &app.app.actors;
    let text = |known: everpost::domain::remote::KnownActor| known.told.keys[0].text.clone();
    let (old, _) = actors.by_key(&ann, &key_id, now).await.unwrap();
    *served.lock().unwrap() = 1;
    assert_eq!(text(actors.refresh(&ann, now).await.unwrap()), text(old.clone()), "too soon");
    let new = actors.refresh(&ann, later).await.unwrap();
    assert_ne!(text(new.clone()), text(old));
    assert_eq!(text(actors.by_key(&ann, &key_id, later).await.unwrap().0), text(new.clone()), "memory follows");
    actors.resolve(&ann, later + Duration::hours(23)).await.unwrap();
    assert_eq!(peer.heard().len(), 2);
    *served.lock().unwrap() = 2;
    let kept = actors.resolve(&ann, later + Duration::hours(25)).await.unwrap();
    assert_eq!((text(kept), peer.heard().len()), (text(new), 3), "what is stored stands");
}

#[tokio::test]
async fn many_who_ask_for_an_actor_at_once_make_one_fetch() {
    let (app, peer, (now, _)) = (TestApp::start().await, usual(pem()), times());
    let (ann, key_id) = (peer.url("/users/ann"), peer.url("/users/ann#main-key"));
    let all = (0..20).map(|_| app.app.actors.by_key(&ann, &key_id, now));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(peer.heard().len(), 1);
}

/// Holds every request until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<(usize, bool)>, Condvar)>);

impl Gate {
    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut held = state.lock().unwrap();
        held.0 += 1;
        changed.notify_all();
        drop(changed.wait_while(held, |(_, open)| !*open).unwrap());
    }

    /// Wait until so many are there.
    fn wait_for(&self, count: usize) {
        let (state, changed) = &*self.0;
        drop(changed.wait_while(state.lock().unwrap(), |(here, _)| *here < count).unwrap());
    }

    fn open(&self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

#[tokio::test]
async fn slow_hosts_make_a_bounded_number_of_fetches_and_hold_up_nobody_else() {
    let (app, now, gate) = (TestApp::start().await, Utc::now(), Gate::default());
    let start = |gate: Option<Gate>| {
        let pem = pem();
        Peer::start(move |heard| -> Reply {
            if let Some(gate) = &gate {
                gate.pass();
            }
            let actor_id = id(heard, &heard.target);
            activity(&actor(&actor_id, &format!("{actor_id}#main-key"), &pem))
        })
    };
    let slow = [start(Some(gate.clone())), start(Some(gate.clone()))];
    let quick = start(None);
    let urls = |peer: &Peer| (0..10).map(|n| peer.url(&format!("/users/{n}"))).collect::<Vec<_>>();
    let ask = |url: String| {
        let actors = app.app.actors.clone();
        tokio::spawn(async move { actors.resolve(&url, now).await })
    };
    // Two of each slow host get through.
    let mut tasks: FuturesUnordered<_> = slow.iter().flat_map(urls).map(ask).collect();
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for(4)).await.unwrap();
    for url in urls(&quick) {
        app.app.actors.resolve(&url, now).await.unwrap();
    }
    // The others wait for a place, and not for ever.
    for _ in 0..16 {
        let found = tasks.next().await.unwrap().unwrap();
        assert!(found.as_ref().is_err_and(Error::is_ours), "{found:?}");
    }
    gate.open();
    while let Some(task) = tasks.next().await {
        task.unwrap().unwrap();
    }
    let counts: Vec<usize> = slow.iter().chain([&quick]).map(|peer| peer.heard().len()).collect();
    assert_eq!(counts, [2, 2, 10]);
    // Who found no place may ask again at once.
    let mut good = 0;
    for url in urls(&slow[0]) {
        good += usize::from(app.app.actors.resolve(&url, now).await.is_ok());
    }
    assert_eq!((good, slow[0].heard().len()), (10, 10));
}

#[tokio::test]
async fn whether_somebody_would_be_asked_is_known_before() {
    let (app, peer, (now, later)) = (TestApp::start().await, usual(pem()), times());
    let (ann, nobody) = (peer.url("/users/ann"), peer.url("/users/nobody"));
    let would = async |url: &str, at| app.app.actors.would_ask(url, at).await.unwrap();
    assert!(would(&ann, now).await && would(&nobody, now).await);
    app.app.actors.resolve(&ann, now).await.unwrap();
    assert!(app.app.actors.resolve(&nobody, now).await.is_err());
    assert!(!would(&ann, now).await && !would(&nobody, now).await);
    assert!(!restarted(&app).would_ask(&ann, now).await.unwrap(), "another process asked");
    assert!(would(&ann, later).await && would(&nobody, later).await);
    assert_eq!(peer.heard().len(), 2);
}
