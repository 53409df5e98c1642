//! What has to be fetched from one host holds up no other.

use crate::support::TestApp;
use chrono::{TimeDelta, Utc};
use everpost::domain::echo::{Errand, ErrandKind};
use everpost::domain::remote::RemoteActor;
use everpost::store::received::{Effect, Taken};

#[tokio::test]
async fn of_one_host_two_errands_are_leased_together_however_many_wait() {
    let (app, now) = (TestApp::start().await, Utc::now());
    let store = &app.app.store;
    let uri = "https://far.example/users/bob".to_owned();
    let told = RemoteActor { inbox: format!("{uri}/inbox"), kind: "Person".to_owned(), uri, ..RemoteActor::default() };
    let bob = store.keep_remote_actor(&told, now).await.unwrap();
    let slow = (0..20).map(|n| format!("https://slow.example/{n}"));
    for (at, url) in slow.chain(["https://quick.example/1".to_owned()]).enumerate() {
        let errand = Errand { kind: ErrandKind::Reply, url, cause: "far.example".to_owned() };
        let at = now + TimeDelta::milliseconds(i64::try_from(at).unwrap());
        assert_eq!(store.receive(&bob, None, &Effect::Fetch(&errand), at).await.unwrap(), Taken::Changed);
    }
    let due = now + TimeDelta::seconds(1);
    let lease = async || {
        let leased = store.lease_errands(16, due, due + TimeDelta::minutes(5)).await.unwrap();
        let mut urls: Vec<String> = leased.into_iter().map(|leased| leased.errand.url).collect();
        urls.sort();
        urls
    };
    assert_eq!(lease().await, ["https://quick.example/1", "https://slow.example/0", "https://slow.example/1"]);
    assert_eq!(lease().await, ["https://slow.example/2", "https://slow.example/3"]);
}
