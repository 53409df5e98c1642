//! The guarded client: nobody sends it into the network that it stands in.

use super::{ACTIVITY_JSON, courier, guarded, nothing, resolver, sender};
use crate::support::{Authority, Front, Peer, Reply};
use chrono::Utc;
use everpost::federation::client::{Client, Error, Options};
use everpost::federation::courier::Courier;
use everpost::metrics::Metrics;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};

fn is_forbidden<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Forbidden(_))), "{result:?}");
}

#[tokio::test]
async fn a_name_that_changes_its_address_after_a_look_leads_nowhere_else() {
    let [there, inside] = Peer::two_addresses();
    let good = Peer::start_on(there, |_| nothing(204));
    let port = good.address.port();
    let secret = Peer::start_on(inside, |_| Reply::new(200, "text/plain", "secret"));
    let (lookup, asked) = resolver(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let client = Client::new(&guarded(&["rebind.example"], lookup)).unwrap();
    let url = format!("http://rebind.example:{port}/");
    assert_eq!(client.get(&url, &[]).await.unwrap().status, 204);
    assert_eq!(*asked.lock().unwrap(), 1, "what was looked at is what is connected to");
    is_forbidden(client.get(&url, &[]).await);
    assert_eq!((good.heard().len(), secret.heard().len()), (1, 0));
}

#[tokio::test]
async fn of_several_addresses_only_those_that_may_be_asked_are() {
    let [there, inside] = Peer::two_addresses();
    let good = Peer::start_on(there, |_| nothing(204));
    let port = good.address.port();
    let secret = Peer::start_on(inside, |_| nothing(200));
    let (lookup, _) = resolver(&[&["127.0.0.1", "::1", "10.0.0.1", "127.0.0.2"]]);
    let client = Client::new(&guarded(&["several.example"], lookup)).unwrap();
    assert_eq!(client.get(&format!("http://several.example:{port}/"), &[]).await.unwrap().status, 204);
    assert!(secret.heard().is_empty());
    let (lookup, _) = resolver(&[&["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fd00::1"]]);
    is_forbidden(Client::new(&guarded(&["inner.example"], lookup)).unwrap().get("http://inner.example/", &[]).await);
}

#[tokio::test]
async fn a_host_that_is_an_address_is_looked_at_too_however_it_is_written() {
    let (lookup, asked) = resolver(&[&["127.0.0.2"]]);
    let options = Options { allow_http: Vec::new(), ..guarded(&[], lookup) };
    let client = Client::new(&options).unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[64:ff9b::a9fe:a9fe]",
        "[fe80::1]",
    ] {
        is_forbidden(client.get(&format!("https://{host}/"), &[]).await);
    }
    assert_eq!(*asked.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_redirect_inwards_is_refused() {
    let secret = Peer::start(|_| Reply::new(200, ACTIVITY_JSON, "{}"));
    let port = secret.address.port();
    let to_scheme = ["http://nowhere.example/", "file:///etc/passwd", "http://other.example:1/"].map(str::to_owned);
    let to_address = [
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "http://169.254.169.254:80/".to_owned(),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://inner.example:{port}/"),
    ];
    for to in to_address.iter().chain(&to_scheme) {
        let sent = to.clone();
        let front =
            Peer::start_on(TcpListener::bind("127.0.0.2:0").unwrap(), move |_| nothing(302).with("location", &sent));
        let (lookup, _) = resolver(&[&["127.0.0.2"], &["127.0.0.1"]]);
        let hosts = ["front.example", "inner.example", "localhost", "169.254.169.254", "127.0.0.1", "[::ffff:7f00:1]"];
        let courier = Courier::new(Client::new(&guarded(&hosts, lookup)).unwrap(), Metrics::default());
        let url = format!("http://front.example:{}/", front.address.port());
        let found = courier.get(&sender().0, &url, ACTIVITY_JSON, Utc::now()).await;
        match to_address.contains(to) {
            true => assert!(matches!(found, Err(Error::Forbidden(_))), "{to}: {found:?}"),
            false => assert!(matches!(found, Err(Error::Refused(_))), "{to}: {found:?}"),
        }
        assert_eq!(front.heard().len(), 1);
    }
    assert!(secret.heard().is_empty());
}

#[tokio::test]
async fn few_requests_to_a_host_are_under_way_at_once() {
    #[derive(Default)]
    struct Count {
        now: usize,
        most: usize,
        ever: usize,
    }
    let count = Arc::new((Mutex::new(Count::default()), Condvar::new()));
    let counted = count.clone();
    let peer = Peer::start(move |_| {
        let (count, changed) = &*counted;
        let mut held = count.lock().unwrap();
        held.now += 1;
        held.ever += 1;
        held.most = held.most.max(held.now);
        changed.notify_all();
        // The first eight wait for each other, so that they are there at once.
        let mut held = changed.wait_while(held, |count| count.ever < 8).unwrap();
        held.now -= 1;
        nothing(204)
    });
    let (courier, (sender, _)) = (courier(), sender());
    let url = peer.url("/inbox");
    let all = (0..30).map(|_| courier.post(&sender, &url, b"{}", Utc::now()));
    for answer in futures::future::join_all(all).await {
        assert_eq!(answer.unwrap().status, 204);
    }
    let count = count.0.lock().unwrap();
    assert_eq!((count.most, count.ever), (8, 30));
}

#[tokio::test]
async fn a_certificate_is_believed_when_a_known_authority_signed_it() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let front = Front::start(&authority.issue("peer.example"), "127.0.0.1:1".parse().unwrap(), |asked| {
        Reply::new(200, "text/plain", &asked.host)
    });
    let url = |name: &str| format!("https://{name}:{}/", front.address.port());
    let options = |extra_ca| Options {
        extra_ca,
        allow_addresses: vec!["127.0.0.1/32".parse().unwrap()],
        ..guarded(&[], resolver(&[&["127.0.0.1"]]).0)
    };
    let stranger = Client::new(&options(None)).unwrap().get(&url("peer.example"), &[]).await;
    assert!(matches!(stranger, Err(Error::Connect(_))), "{stranger:?}");
    let client = Client::new(&options(Some(authority.write(folder.path())))).unwrap();
    assert_eq!(client.get(&url("peer.example"), &[]).await.unwrap().status, 200);
    let other = client.get(&url("other.example"), &[]).await;
    assert!(matches!(other, Err(Error::Connect(_))), "{other:?}");
}
