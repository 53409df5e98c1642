//! Signed Follows and Likes to the inbox, against a bare handler that parses the same JSON and inserts one row; and good
//! traffic beside a flood of bad signatures.
//!
//! 1,000 actors on 50 hosts, stored beforehand. Each round sends every request once: a Follow and nine Likes of each actor.
//! Both servers get the same bytes on the same connections. The senders and the hosts are threads of the bench.

use crate::Wanted;
use crate::figure::{Figure, Limit};
use crate::place::{Place, Server, free_port};
use crate::sender::{self, Actor, Request};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const HOSTS: usize = 50;
const ACTORS: usize = 1000;
/// Likes of each actor in a round, beside its Follow.
const LIKES: usize = 9;
/// Connections that the requests come over.
const CONNECTIONS: usize = 16;
/// Badly signed requests in the flood, and the connections and addresses that they come from.
const FLOOD: usize = 10_000;
const FLOOD_CONNECTIONS: usize = 4;
const FLOOD_ADDRESSES: usize = 200;
/// Good requests a second beside the flood, and how many of them are measured without it first.
const GOOD_A_SECOND: u64 = 100;
const GOOD: usize = 1000;

pub fn run(place: &Place, wanted: &Wanted) -> Vec<Figure> {
    println!(
        "\n== inbox: {ACTORS} actors on {HOSTS} hosts; a Follow and {LIKES} Likes of each a round, over {CONNECTIONS} connections"
    );
    let sinks = Sinks::start();
    let actors = actors(&sinks);
    let (server, notes) = serve(place, &sinks, &actors);
    let bare = bare(place);
    println!("RSA-2048 verifications by openssl on one thread: {:.0} a second", verifications(&actors[0].key));
    let mut ratios = Vec::new();
    for round in 0..=wanted.rounds {
        let requests = round_of(&actors, &notes, server.port, round);
        let theirs = sender::send(&bare, &requests, CONNECTIONS);
        let ours = sender::send(&server, &requests, CONNECTIONS);
        assert!(theirs.all_are(202) && ours.all_are(202), "bare {:?}, everpost {:?}", theirs.statuses, ours.statuses);
        if round > 0 {
            println!(
                "everpost {:.0} a second, p50 {:.1} ms, p99 {:.1} ms; bare {:.0} a second, p50 {:.1} ms, p99 {:.1} ms: {:.3}",
                ours.rate(),
                ours.percentile(0.5),
                ours.percentile(0.99),
                theirs.rate(),
                theirs.percentile(0.5),
                theirs.percentile(0.99),
                ours.rate() / theirs.rate()
            );
            ratios.push(ours.rate() / theirs.rate());
        }
    }
    let mut figures =
        vec![Figure::new("signed Follows and Likes / bare handler with an insert", "", ratios, Limit::AtLeast(0.5))];
    figures.extend(flood(&sinks, &actors, &server, &notes, wanted));
    figures
}

/// The actors: each host has a key of its own, which all of its actors share, for making a thousand would take minutes.
fn actors(sinks: &Sinks) -> Vec<Actor> {
    let keys: Vec<PKey<Private>> = (0..HOSTS).map(|_| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()).collect();
    let actor = |number: usize| {
        let host = number % HOSTS;
        let uri = format!("http://localhost:{}/users/a{number}", sinks.ports[host]);
        Actor { uri, key: keys[host].clone(), address: format!("10.1.0.{host}") }
    };
    (0..ACTORS).map(actor).collect()
}

/// The program with an account of a few thousand posts and every actor stored; the ids of its Notes.
fn serve(place: &Place, sinks: &Sinks, actors: &[Actor]) -> (Server, Vec<String>) {
    let (url, data, archive) = (place.create("inbox"), place.path("inbox"), place.path("inbox-archive"));
    crate::archive::write(&archive, 5_000);
    let settings = [("DATABASE_URL", url.as_str()), ("EVERPOST_STORAGE__DATA_DIR", data.to_str().unwrap())];
    let status = place.command(&settings).arg("import").arg(&archive).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "the import failed");
    for actor in actors {
        let pem = String::from_utf8(actor.key.public_key_to_pem().unwrap()).unwrap();
        let keys = serde_json::json!([[format!("{}#main-key", actor.uri), pem]]);
        let host = actor.uri.split('/').nth(2).unwrap();
        place.sql(
            "inbox",
            &format!(
                "INSERT INTO remote_actors (uri, host, kind, name, inbox, shared_inbox, keys, also_known_as, fetched_at, created_at)
                 VALUES ('{uri}', '{host}', 'Person', 'A', '{uri}/inbox', 'http://{host}/inbox', '{keys}', '{{}}', now(), now())",
                uri = actor.uri
            ),
        );
    }
    place.sql("inbox", "VACUUM ANALYZE");
    let hosts: Vec<String> = sinks.ports.iter().map(|port| format!("localhost:{port}")).collect();
    let hosts = hosts.join(",");
    let mut all = settings.to_vec();
    all.extend([
        ("EVERPOST_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
        ("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128"),
        ("EVERPOST_FEDERATION__ALLOW_HTTP", hosts.as_str()),
    ]);
    let server = place.serve(&all).0;
    let base = format!("http://localhost:{}", server.port);
    let paths = place.texts("inbox", "SELECT '/users/ann/statuses/' || id FROM posts ORDER BY id");
    (server, paths.iter().map(|path| format!("{base}{path}")).collect())
}

/// The bare handler with a table of its own in the same Postgres.
fn bare(place: &Place) -> Server {
    place.sql("postgres", "DROP DATABASE IF EXISTS bare WITH (FORCE)");
    place.sql("postgres", "CREATE DATABASE bare TEMPLATE template0");
    place.sql(
        "bare",
        "CREATE TABLE received (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, uri text NOT NULL UNIQUE,
         actor text NOT NULL, kind text NOT NULL, object text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
    );
    let port = free_port();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["bare-inbox", &port.to_string(), &place.url("bare")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let bare = Server::of(child, port);
    let begun = Instant::now();
    while bare.get("/readyz").is_none() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the bare handler does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    bare
}

/// The requests of a round, signed, in an order that mixes actors and hosts.
fn round_of(actors: &[Actor], notes: &[String], port: u16, round: usize) -> Vec<Request> {
    let account = format!("http://localhost:{port}/users/ann");
    let wanted: Vec<(usize, usize)> =
        (0..=LIKES).flat_map(|turn| (0..actors.len()).map(move |number| (turn, number))).collect();
    sender::sign_all(&wanted, |(turn, number)| {
        let actor = &actors[*number];
        let (kind, object) = match turn {
            0 => ("Follow", account.as_str()),
            // Nobody likes a post twice: each round has posts of its own for each actor.
            turn => ("Like", notes[(number + (round * LIKES + turn) * 17) % notes.len()].as_str()),
        };
        let id = format!("{}#{}-{round}-{turn}", actor.uri, kind.to_lowercase());
        let body = format!(
            r#"{{"@context":"https://www.w3.org/ns/activitystreams","id":"{id}","type":"{kind}","actor":"{}","object":"{object}"}}"#,
            actor.uri
        );
        Request::signed(actor, port, &body)
    })
}

/// Good traffic at a steady pace, alone and then beside a flood of bad signatures.
fn flood(sinks: &Sinks, actors: &[Actor], server: &Server, notes: &[String], wanted: &Wanted) -> Vec<Figure> {
    let round = wanted.rounds + 1;
    let good: Vec<Request> = round_of(actors, notes, server.port, round).into_iter().rev().collect();
    let pause = Duration::from_micros(1_000_000 / GOOD_A_SECOND);
    let usual = sender::pace(server, &good[..GOOD], pause, &|| true);
    let bad = bad_requests(sinks, actors, server.port);
    sinks.gets.store(0, Ordering::SeqCst);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let (flooded, beside) = std::thread::scope(|scope| {
        let beside = scope.spawn(|| sender::pace(server, &good[GOOD..], pause, &|| !ended.load(Ordering::SeqCst)));
        let flooded = sender::send(server, &bad, FLOOD_CONNECTIONS);
        ended.store(true, Ordering::SeqCst);
        (flooded, beside.join().unwrap())
    });
    assert!(usual.all_are(202) && beside.all_are(202), "usual {:?}, beside {:?}", usual.statuses, beside.statuses);
    let fetches = sinks.gets.load(Ordering::SeqCst);
    println!(
        "{FLOOD} badly signed requests from {FLOOD_ADDRESSES} addresses in {:.1} s, answered {:?}; good traffic of {GOOD_A_SECOND} a second: \
         p99 {:.2} ms alone ({} requests), {:.2} ms beside them ({} requests); {fetches} documents were fetched",
        flooded.seconds,
        flooded.statuses,
        usual.percentile(0.99),
        usual.times.len(),
        beside.percentile(0.99),
        beside.times.len()
    );
    let slower = beside.percentile(0.99) / usual.percentile(0.99);
    vec![
        Figure::new("p99 of good traffic beside a flood / alone", "", vec![slower], Limit::AtMost(2.0)),
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        Figure::new("documents fetched for 10,000 bad signatures", "", vec![fetches as f64], Limit::AtMost(1000.0)),
    ]
}

/// The flood: known actors with signatures by another key, actors that nobody has heard of, and hosts that do not answer.
fn bad_requests(sinks: &Sinks, actors: &[Actor], port: u16) -> Vec<Request> {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let numbers: Vec<usize> = (0..FLOOD).collect();
    sender::sign_all(&numbers, |number| {
        let uri = match number % 3 {
            0 => actors[number % actors.len()].uri.clone(),
            1 => format!("http://localhost:{}/users/unknown{number}", sinks.ports[number % HOSTS]),
            // A port at which nobody listens: a name that does not exist takes as long as the resolver here likes.
            _ => format!("https://localhost:{}/users/x", number / 3 + 1),
        };
        let address = format!("10.2.{}.{}", number % FLOOD_ADDRESSES / 100, number % 100);
        let actor = Actor { uri, key: key.clone(), address };
        let body = format!(
            r#"{{"@context":"https://www.w3.org/ns/activitystreams","id":"{0}#{number}","type":"Follow","actor":"{0}","object":"http://localhost:{port}/users/ann"}}"#,
            actor.uri
        );
        Request::signed(&actor, port, &body)
    })
}

/// How often openssl verifies a signature of this key in a second, on one thread.
fn verifications(key: &PKey<Private>) -> f64 {
    let text =
        b"(request-target): post /inbox\nhost: kept.example\ndate: Tue, 24 Nov 2026 12:00:00 GMT\ndigest: SHA-256=";
    let digest = openssl::hash::MessageDigest::sha256();
    let signature = openssl::sign::Signer::new(digest, key).unwrap().sign_oneshot_to_vec(text).unwrap();
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(openssl::sign::Verifier::new(digest, key).unwrap().verify_oneshot(&signature, text).unwrap());
        count += 1;
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

/// The hosts of the actors: each takes what is delivered to it and serves no document. GETs are counted.
struct Sinks {
    ports: Vec<u16>,
    gets: Arc<AtomicUsize>,
}

impl Sinks {
    fn start() -> Sinks {
        let gets = Arc::new(AtomicUsize::new(0));
        let start = |_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let (port, gets) = (listener.local_addr().unwrap().port(), gets.clone());
            std::thread::spawn(move || {
                for socket in listener.incoming().map_while(Result::ok) {
                    let gets = gets.clone();
                    std::thread::spawn(move || drop(answer(socket, &gets)));
                }
            });
            port
        };
        let ports = (0..HOSTS).map(start).collect();
        Sinks { ports, gets }
    }
}

/// Answer what comes over a connection: a POST 202, everything else 404.
fn answer(socket: TcpStream, gets: &AtomicUsize) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let is_post = line.starts_with("POST");
        let mut length = 0;
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            if line.trim_end().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink())?;
        let status = if is_post { "202 Accepted" } else { "404 Not Found" };
        gets.fetch_add(usize::from(!is_post), Ordering::SeqCst);
        reader.get_mut().write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    }
}
