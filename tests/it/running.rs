//! The server as it runs: what its log says about a request, and how it stops.

use crate::support::{Bundle, PATIENCE, Program, Serving, TestApp};
use everpost::http;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn send(address: std::net::SocketAddr, path: &str, headers: &str) -> BufReader<TcpStream> {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    BufReader::new(socket)
}

/// Holds up every request that asks for a domain, until it is dropped.
struct Jam(diesel::PgConnection);

impl Jam {
    fn new(url: &str) -> Jam {
        use diesel::connection::{Connection, SimpleConnection};
        let mut connection = diesel::PgConnection::establish(url).unwrap();
        connection.batch_execute("BEGIN; LOCK TABLE domains IN ACCESS EXCLUSIVE MODE").unwrap();
        Jam(connection)
    }

    /// Wait until somebody waits.
    fn wait_for_a_waiter(&mut self) {
        use diesel::prelude::*;
        let begun = Instant::now();
        loop {
            let waiting = diesel::dsl::sql::<diesel::sql_types::BigInt>(
                "count(*) FROM pg_locks WHERE NOT granted AND relation = 'domains'::regclass",
            );
            if diesel::select(waiting).get_result::<i64>(&mut self.0).unwrap() > 0 {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "no request waits");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_request_under_way_is_answered_before_the_server_stops() {
    let program = Program::new();
    let mut serving = Serving::start(&program);
    let mut jam = Jam::new(&program.database().url());
    let mut slow = send(serving.address, "/.well-known/nodeinfo", "");
    jam.wait_for_a_waiter();
    serving.signal(Signal::TERM);
    serving.wait_for("stopping");
    let begun = Instant::now();
    while TcpStream::connect(serving.address).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "a stopping server takes new connections");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(jam);
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('}'), "{answer}");
    assert_eq!(serving.ended(), Some(0));
}

#[test]
fn when_the_server_has_ended_its_private_database_has_stopped_cleanly() {
    let program = Program::private();
    let mut serving = Serving::start(&program);
    let postmaster = || {
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            line.contains(program.data_dir().to_str().unwrap()) && !line.contains("serve\0")
        })
    };
    assert!(postmaster(), "the database runs beside the server");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended(), Some(0));
    assert!(!postmaster(), "nothing is left over at the moment when the server ends");
}

#[test]
fn systemd_is_told_when_the_server_is_ready_lives_reloads_and_stops() {
    let mut program = Program::new();
    let path = program.scratch().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    program.set("NOTIFY_SOCKET", path.to_str().unwrap());
    program.set("WATCHDOG_USEC", "500000");
    let told = |wanted: &str| {
        let mut buffer = [0; 1024];
        loop {
            let count = socket.recv(&mut buffer).unwrap();
            let text = std::str::from_utf8(&buffer[..count]).unwrap().to_owned();
            if text.lines().any(|line| line == wanted) {
                return text;
            }
            // Signs of life come between all others.
            assert!(text.starts_with("WATCHDOG=1") || text.starts_with("READY=1"), "{text} instead of {wanted}");
        }
    };
    let mut serving = Serving::start(&program);
    told("READY=1");
    told("WATCHDOG=1");
    serving.signal(Signal::HUP);
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="), "systemd asks for the moment");
    told("READY=1");
    serving.signal(Signal::TERM);
    told("STOPPING=1");
    assert_eq!(serving.ended(), Some(0));
}

#[test]
fn each_request_is_one_line_of_json_that_says_nothing_about_the_visitor() {
    let mut program = Program::new();
    program.set("EVERPOST_LOG__FORMAT", "json");
    program.set("EVERPOST_LOG__REQUESTS", "all");
    let mut serving = Serving::start(&program);
    let headers = "X-Request-Id: chosen-by-the-visitor\r\nCookie: preview=geheim\r\nUser-Agent: Netscape\r\nX-Forwarded-For: 203.0.113.9\r\n";
    let mut line = String::new();
    send(serving.address, "/nothing/here?preview=geheim", headers).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 404"), "{line}");
    let log = serving.wait_for("/nothing/here");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let about: Vec<&Value> = lines.iter().filter(|line| line["span"]["path"] == "/nothing/here").collect();
    assert_eq!(about.len(), 1, "{log}");
    let line = about[0];
    assert_eq!(
        (&line["status"], &line["span"]["method"], &line["level"]),
        (&404.into(), &"GET".into(), &"INFO".into())
    );
    assert!(line["milliseconds"].is_u64() && line["timestamp"].is_string(), "{line}");
    assert_eq!(line["span"]["request.id"].as_str().unwrap().len(), 20, "{line}");
    for secret in ["geheim", "chosen-by-the-visitor", "Netscape", "203.0.113.9"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[test]
fn a_request_that_fails_is_logged_with_the_id_that_its_error_shows() {
    let program = Program::new();
    let mut serving = Serving::start(&program);
    send(serving.address, "/.well-known/nodeinfo", "").read_line(&mut String::new()).unwrap();
    program.database().execute("DROP TABLE domains CASCADE");
    let mut answer = String::new();
    send(serving.address, "/.well-known/nodeinfo", "").read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 500"), "{answer}");
    let id = serde_json::from_str::<Value>(body).unwrap()["request_id"].as_str().unwrap().to_owned();
    assert!(head.contains(&format!("x-request-id: {id}")), "{answer}");
    let log = serving.wait_for("status=500");
    assert_eq!(log.matches(&id).count(), 2, "the cause and the line of the request: {log}");
    assert!(!log.contains("answered"), "what went well is not logged: {log}");
}

#[tokio::test]
async fn every_error_shows_the_id_of_its_request() {
    let app = TestApp::start().await;
    let page = app.page("/nothing").await;
    let id = page.header("x-request-id");
    assert_eq!((page.status, id.len()), (404, 20));
    assert!(page.body.contains(&format!("<code>{id}</code>")), "{}", page.body);
    let object = app.get("/nothing").await;
    assert_eq!(object.json()["request_id"], object.header("x-request-id"));
    assert_ne!(object.header("x-request-id"), id, "each request has its own");
    let good = app.get("/.well-known/nodeinfo").await;
    assert_eq!((good.status, good.header("x-request-id").len()), (200, 20));
    let theirs = app.get_with("/nothing", &[("x-request-id", "abc")]).await;
    assert_ne!(theirs.header("x-request-id"), "abc", "a visitor does not choose it");
}

#[tokio::test]
async fn a_trusted_proxy_gives_the_request_its_id() {
    let archive = tempfile::tempdir().unwrap();
    Bundle::new().post("2024-01-01T10:00:00Z", "<p>One.</p>").write(archive.path());
    let settings = http::Settings { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..Default::default() };
    let app = TestApp::start_as(None, settings).await;
    app.import(archive.path()).await;
    for path in ["/nothing", "/users/ann"] {
        let answer = app.get_with(path, &[("x-request-id", "front-7.A")]).await;
        assert_eq!(answer.header("x-request-id"), "front-7.A");
        let answer = app.get_with(path, &[("x-request-id", "front 7")]).await;
        assert_eq!(answer.header("x-request-id").len(), 20, "malformed, so it gets one of ours");
    }
}
