//! Deliveries of Updates to 500 hosts, against what the machine could sign if it did nothing else; and the same work by the
//! library activitypub_federation.
//!
//! `everpost serve` sends, a process of its own takes; in between stand Postgres and the queue, from the transaction that
//! enqueues to the row that says delivered. `lease.rs` measures the queue alone.

use crate::Wanted;
use crate::figure::{Figure, Limit};
use crate::peer::{Peer, Said};
use crate::place::{Place, Server};
use crate::sink::{Came, Sink};
use chrono::Utc;
use everpost::domain::delivery::{Outgoing, Recipients};
use everpost::domain::ids::AccountId;
use everpost::store::Store;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Hosts, each with one inbox.
const INBOXES: usize = 500;
/// Activities of a round; each goes to every inbox.
const ACTIVITIES: usize = 20;
/// Deliveries under way at once, as in `everpost::delivery::Options`.
const AT_ONCE: usize = 128;
const DATABASE: &str = "delivery";

pub fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!("\n== delivery: {ACTIVITIES} Updates to {INBOXES} followers on as many hosts a round");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut figures = runtime.block_on(compare(place, wanted));
    figures.extend(runtime.block_on(crate::lease::run(place, wanted)));
    figures
}

async fn compare(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    let (url, data, archive) = (place.create(DATABASE), place.path(DATABASE), place.path("delivery-archive"));
    crate::archive::write(&archive, 100);
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap()),
        ("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", "localhost:0"),
    ];
    let status = place.command(&settings).arg("import").arg(&archive).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "the import failed");
    let server = place.serve(&settings).0;
    let notes = notes(place, &server);
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let (ours, theirs) = (place.path("ours.pem"), place.path("theirs.pem"));
    let query = "SELECT public_key FROM keys WHERE kind = 'rsa' AND account_id IS NOT NULL";
    std::fs::write(&ours, &place.texts(DATABASE, query)[0]).unwrap();
    std::fs::write(&theirs, key.public_key_to_pem().unwrap()).unwrap();
    let mut sink = Sink::start(INBOXES, &[&ours, &theirs]);
    let inboxes: Vec<_> = sink.inboxes().iter().map(|inbox| inbox.parse().unwrap()).collect();
    follow(place, &sink);
    let peer = Peer::new(String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap()).await;
    let office = Office::open(place, &url, server);

    let (mut ratios, mut beside) = (Vec::new(), Vec::new());
    for round in 0..=wanted.rounds {
        let signs = signatures();
        let cores = f64::from(u32::try_from(std::thread::available_parallelism().unwrap().get()).unwrap());
        let updates: Vec<Outgoing> = notes[..ACTIVITIES].iter().map(|note| update(note, round)).collect();
        let before = sink.came();
        let theirs = rate(peer.send(&said(&updates), &inboxes, AT_ONCE).await);
        check(before, sink.came());
        let before = sink.came();
        let (ours, used) = office.send(place, &updates, &mut sink).await;
        check(before, sink.came());
        let ours = rate(ours);
        if round > 0 {
            println!(
                "everpost {ours:.0} a second ({used}); activitypub_federation {theirs:.0}: {:.2}; \
                 openssl signs {signs:.0} a second on one of {cores} cores: {:.3}",
                ours / theirs,
                ours / (signs * cores)
            );
            ratios.push(ours / (signs * cores));
            beside.push(ours / theirs);
        }
    }
    vec![
        Figure::new("deliveries / RSA-2048 signatures of all cores", "", ratios, Limit::AtLeast(0.5)),
        Figure::new("deliveries / those of activitypub_federation", "", beside, Limit::None),
    ]
}

/// Every message came once to every inbox, and each signature that was looked at was right.
fn check(before: Came, after: Came) {
    let came = (after.all - before.all, after.least - before.least, after.most - before.most);
    assert_eq!(came, (INBOXES * ACTIVITIES, ACTIVITIES, ACTIVITIES), "{after:?}");
    assert!(after.forged == 0 && after.verified > before.verified, "{after:?}");
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn rate(took: Duration) -> f64 {
    (INBOXES * ACTIVITIES) as f64 / took.as_secs_f64()
}

/// RSA-2048 signatures a second on one core, as openssl's own program measures them.
fn signatures() -> f64 {
    let output = Command::new("openssl").args(["speed", "-mr", "-seconds", "2", "rsa2048"]).output();
    let output = String::from_utf8(output.expect("openssl is not installed").stdout).unwrap();
    // +F2:<number>:<bits>:<signatures a second>:<verifications a second>
    let line = output.lines().find_map(|line| line.strip_prefix("+F2:")).unwrap_or_default();
    line.split(':').nth(2).and_then(|number| number.parse().ok()).expect("openssl speed says no figure")
}

/// The Notes that are edited, as the server shows them.
fn notes(place: &Place, server: &Server) -> Vec<Value> {
    let paths = place.texts(DATABASE, "SELECT '/users/ann/statuses/' || id FROM posts WHERE listed ORDER BY id");
    let get = |path: &String| serde_json::from_slice(&server.get(path).unwrap().2).unwrap();
    paths.iter().take(ACTIVITIES).map(get).collect()
}

/// An edit of a Note, as followers are told of it.
fn update(note: &Value, round: usize) -> Outgoing {
    let object = note["id"].as_str().unwrap().to_owned();
    let uri = format!("{object}#updates/bench-{round}");
    let body = json!({
        "@context": note["@context"], "id": uri, "type": "Update", "actor": note["attributedTo"],
        "published": note["published"], "to": note["to"], "cc": note["cc"], "object": note,
    });
    Outgoing { uri, kind: "Update", object, body: body.to_string(), to: Recipients::Followers, expires_at: None }
}

fn said(updates: &[Outgoing]) -> Vec<Said> {
    updates.iter().map(|update| Said::new(&update.body)).collect()
}

/// A follower at each host.
fn follow(place: &Place, sink: &Sink) {
    let ports = sink.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    place.sql(
        DATABASE,
        &format!(
            "WITH found AS (INSERT INTO remote_actors (uri, host, kind, name, inbox, keys, also_known_as, fetched_at, created_at)
                 SELECT 'http://localhost:' || port || '/a', 'localhost:' || port, 'Person', 'A',
                     'http://localhost:' || port || '/inbox', '[]', '{{}}', now(), now()
                 FROM unnest(ARRAY[{ports}]) AS port RETURNING id, uri)
             INSERT INTO followers (account_id, actor_id, state, follow_uri, follow, created_at, accepted_at)
             SELECT accounts.id, found.id, 'accepted', uri || '#follow', '{{}}', now(), now() FROM found, accounts"
        ),
    );
    place.sql(DATABASE, "VACUUM ANALYZE");
}

/// The queue and the server that sends what is in it.
struct Office {
    store: Store,
    account: AccountId,
    server: Server,
}

impl Office {
    fn open(place: &Place, url: &str, server: Server) -> Office {
        let account = place.texts(DATABASE, "SELECT id FROM accounts")[0].parse().unwrap();
        Office { store: Store::connect(url, 2).unwrap(), account: AccountId(account), server }
    }

    /// Enqueue these and wait until every delivery is written down as delivered; how long that took, and what used how
    /// much of the processor for one delivery.
    async fn send(&self, place: &Place, updates: &[Outgoing], sink: &mut Sink) -> (Duration, String) {
        let all = INBOXES * ACTIVITIES;
        let wanted = sink.came().all + all;
        let used = |sink: &Sink| [self.server.processor(), place.backends(DATABASE), sink.processor()];
        let before = used(sink);
        let begun = Instant::now();
        for update in updates {
            assert!(self.store.enqueue(self.account, update, Utc::now()).await.unwrap());
        }
        let patience = Duration::from_secs(120);
        while sink.came().all < wanted {
            assert!(begun.elapsed() < patience, "{:?} of {wanted} came", sink.came());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while self.store.count_queue(Utc::now()).await.unwrap().waiting > 0 {
            assert!(begun.elapsed() < patience, "not everything was written down");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let took = begun.elapsed();
        let after = used(sink);
        #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
        let each = |number: usize| (after[number] - before[number]) * 1e6 / all as f64;
        let used = format!("µs a delivery: server {:.0}, Postgres {:.0}, sink {:.0}", each(0), each(1), each(2));
        (took, used)
    }
}
