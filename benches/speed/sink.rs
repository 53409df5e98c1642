//! The hosts that deliveries go to: one process with a port for each, which takes everything, counts, and verifies one
//! signature of a hundred. It is a part of what the machine has to do, so it does as little as a host can.

use everpost::federation::signature::{Head, PublicKey, read};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::place::{Client, Server};

/// Of so many messages the signature of one is verified.
const ONE_OF: usize = 100;

/// What came so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    pub all: usize,
    /// To the inbox that got the least and to the one that got the most.
    pub least: usize,
    pub most: usize,
    pub verified: usize,
    pub forged: usize,
}

/// A running sink. Ends with this value.
pub struct Sink {
    _process: Server,
    pub ports: Vec<u16>,
    control: Client,
}

impl Sink {
    /// A sink of so many hosts, for messages that are signed with one of the keys in these files.
    pub fn start(hosts: usize, keys: &[&Path]) -> Sink {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("sink").arg(hosts.to_string()).args(keys).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();
        let control = Client::open(ports[0]).unwrap();
        Sink { _process: Server::of(child, ports[0]), ports, control }
    }

    pub fn inboxes(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("http://localhost:{port}/inbox")).collect()
    }

    pub fn came(&mut self) -> Came {
        let (_, _, body) = self.control.get("/").expect("the sink does not answer");
        let numbers: Vec<usize> =
            String::from_utf8(body).unwrap().split(' ').map(|number| number.parse().unwrap()).collect();
        let [all, least, most, verified, forged] = numbers[..] else { panic!("{numbers:?}") };
        Came { all, least, most, verified, forged }
    }

    /// Seconds of processor time that it took so far.
    pub fn processor(&self) -> f64 {
        self._process.processor()
    }
}

/// What all hosts of the process share.
struct Shared {
    keys: Vec<PublicKey>,
    counts: Vec<AtomicUsize>,
    verified: AtomicUsize,
    forged: AtomicUsize,
}

/// Serve so many hosts, for messages that are signed with one of the keys in these files. The first line of the output
/// names their ports.
pub fn serve(arguments: &[String]) {
    let [hosts, keys @ ..] = arguments else { panic!("sink HOSTS KEY…") };
    let key = |path: &String| PublicKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap();
    let hosts: usize = hosts.parse().unwrap();
    let shared = Arc::new(Shared {
        keys: keys.iter().map(key).collect(),
        counts: (0..hosts).map(|_| AtomicUsize::new(0)).collect(),
        verified: AtomicUsize::new(0),
        forged: AtomicUsize::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut ports = Vec::new();
        for host in 0..hosts {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port().to_string());
            let shared = shared.clone();
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let shared = shared.clone();
                    tokio::spawn(async move { drop(answer(socket, host, &shared).await) });
                }
            });
        }
        std::io::stdout().write_all(format!("{}\n", ports.join(" ")).as_bytes()).unwrap();
        std::future::pending::<()>().await;
    });
}

/// Answer what comes over a connection: a POST with 202, a GET with the counts.
async fn answer(socket: TcpStream, host: usize, shared: &Shared) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    let (mut head, mut body) = (String::new(), Vec::new());
    loop {
        head.clear();
        while !head.ends_with("\r\n\r\n") {
            if socket.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        if head.starts_with("GET") {
            let text = shared.said();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            socket.get_mut().write_all(answer.as_bytes()).await?;
            continue;
        }
        let length = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        };
        body.resize(head.lines().find_map(length).unwrap_or(0), 0);
        socket.read_exact(&mut body).await?;
        socket.get_mut().write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await?;
        let count = shared.counts[host].fetch_add(1, Ordering::Relaxed);
        // Each host verifies at another time.
        if count % ONE_OF == host % ONE_OF {
            let outcome = if shared.is_signed(&head, &body) { &shared.verified } else { &shared.forged };
            outcome.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    fn said(&self) -> String {
        let counts: Vec<usize> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let (least, most) = (counts.iter().min().unwrap_or(&0), counts.iter().max().unwrap_or(&0));
        let (verified, forged) = (self.verified.load(Ordering::Relaxed), self.forged.load(Ordering::Relaxed));
        format!("{} {least} {most} {verified} {forged}", counts.iter().sum::<usize>())
    }

    /// Whether one of the keys signed it.
    fn is_signed(&self, head: &str, body: &[u8]) -> bool {
        let mut lines = head.lines();
        let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
        let lower: Vec<(String, &str)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .collect();
        let headers: Vec<(&str, &[u8])> = lower.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let authority = lower.iter().find(|(name, _)| name == "host").map_or("", |(_, value)| value);
        let head = Head { method: "POST", scheme: "http", authority, target, headers };
        let Ok(claims) = read(&head, chrono::Utc::now()) else { return false };
        let proven = |key: &PublicKey| claims[0].bind(body).is_ok_and(|bound| bound.verify(key).is_ok());
        self.keys.iter().any(proven)
    }
}
