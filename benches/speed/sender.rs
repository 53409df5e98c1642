//! Sends signed requests over kept connections and takes the time of each.

use crate::place::Server;
use openssl::base64::encode_block;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::sign::Signer;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Somebody who sends.
#[derive(Clone)]
pub struct Actor {
    pub uri: String,
    pub key: PKey<Private>,
    /// The address that a proxy says it comes from.
    pub address: String,
}

/// A request as it goes over the wire.
pub struct Request(Vec<u8>);

/// How a run went.
pub struct Run {
    /// Of each request, in milliseconds.
    pub times: Vec<f64>,
    pub statuses: BTreeMap<u16, usize>,
    pub seconds: f64,
}

impl Request {
    /// A POST to the shared inbox by draft-cavage, as most servers send it.
    pub fn signed(actor: &Actor, port: u16, body: &str) -> Request {
        let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let digest = format!("SHA-256={}", encode_block(&sha256(body.as_bytes())));
        let base = format!(
            "(request-target): post /inbox\nhost: localhost:{port}\ndate: {date}\ndigest: {digest}\ncontent-type: application/activity+json"
        );
        let made = Signer::new(MessageDigest::sha256(), &actor.key).unwrap().sign_oneshot_to_vec(base.as_bytes());
        let signature = encode_block(&made.unwrap());
        let head = format!(
            "POST /inbox HTTP/1.1\r\nHost: localhost:{port}\r\nDate: {date}\r\nDigest: {digest}\r\n\
             Content-Type: application/activity+json\r\nContent-Length: {}\r\nUser-Agent: bench/1.0\r\n\
             X-Forwarded-For: {}\r\nSignature: keyId=\"{}#main-key\",algorithm=\"rsa-sha256\",\
             headers=\"(request-target) host date digest content-type\",signature=\"{signature}\"\r\n\r\n",
            body.len(),
            actor.address,
            actor.uri
        );
        Request([head.as_bytes(), body.as_bytes()].concat())
    }
}

/// Make a request of each item, on every core: signing takes longer than verifying.
pub fn sign_all<T: Sync>(items: &[T], make: impl Fn(&T) -> Request + Sync) -> Vec<Request> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let size = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let make = &make;
        let parts: Vec<_> =
            items.chunks(size).map(|part| scope.spawn(move || part.iter().map(make).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

/// Send all requests as fast as they are answered, over so many connections.
pub fn send(server: &Server, requests: &[Request], connections: usize) -> Run {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let parts = std::thread::scope(|scope| {
        let sender = || {
            let mut connection = Connection::open(server.port);
            let mut done = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(connection.ask(request));
            }
            done
        };
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(sender)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Run::of(parts, begun.elapsed())
}

/// Send requests one after the other, one each `pause`, as long as they last and `goes_on`. The time of each begins when it
/// was due: who has to wait for an earlier one has waited.
pub fn pace(server: &Server, requests: &[Request], pause: Duration, goes_on: &dyn Fn() -> bool) -> Run {
    let mut connection = Connection::open(server.port);
    let begun = Instant::now();
    let mut due = begun;
    let mut done = Vec::new();
    for request in requests {
        if !goes_on() {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let (_, status) = connection.ask(request);
        done.push((due.elapsed(), status));
        due += pause;
    }
    Run::of(done, begun.elapsed())
}

/// A connection that is opened again when the other side has closed it.
struct Connection {
    stream: BufReader<TcpStream>,
    port: u16,
}

impl Connection {
    fn open(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream: BufReader::new(stream), port }
    }

    fn ask(&mut self, request: &Request) -> (Duration, u16) {
        let begun = Instant::now();
        let status = self.exchange(request).unwrap_or_else(|| {
            *self = Connection::open(self.port);
            self.exchange(request).expect("the server does not answer")
        });
        (begun.elapsed(), status)
    }

    fn exchange(&mut self, request: &Request) -> Option<u16> {
        self.stream.get_mut().write_all(&request.0).ok()?;
        let mut line = String::new();
        self.stream.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let (mut length, mut closes) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().ok()?,
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        if closes {
            *self = Connection::open(self.port);
        }
        Some(status)
    }
}

impl Run {
    fn of(parts: Vec<(Duration, u16)>, whole: Duration) -> Run {
        let mut statuses = BTreeMap::new();
        for (_, status) in &parts {
            *statuses.entry(*status).or_default() += 1;
        }
        let times = parts.iter().map(|(time, _)| time.as_secs_f64() * 1e3).collect();
        Run { times, statuses, seconds: whole.as_secs_f64() }
    }

    pub fn all_are(&self, status: u16) -> bool {
        self.statuses.keys().all(|known| *known == status)
    }

    /// Requests a second.
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// The time that this part of the requests did not exceed, in milliseconds.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    pub fn percentile(&self, part: f64) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
            .get(((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1)))
            .copied()
            .unwrap_or(f64::NAN)
    }
}
