//! Another server, as far as a test needs one: it answers over plain http what it is told to, and remembers who asked what.

use super::{PATIENCE, Reply};
use everpost::federation::signature::{Error, Head, PublicKey, Scheme, read};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Heard {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The server; it ends with this value. Each request is answered on a thread of its own.
pub struct Peer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
}

impl Heard {
    /// A header's value; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// By which scheme it is signed.
    pub fn scheme(&self) -> Scheme {
        if self.header("signature-input").is_empty() { Scheme::Cavage } else { Scheme::Rfc9421 }
    }

    /// Whether it is signed with this key, and by which scheme.
    pub fn verify(&self, key: &PublicKey) -> Result<Scheme, Error> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let (method, target) = (self.method.as_str(), self.target.as_str());
        let head = Head { method, scheme: "http", authority: self.header("host"), target, headers };
        let claims = read(&head, chrono::Utc::now())?;
        claims[0].bind(&self.body)?.verify(key)?;
        Ok(claims[0].scheme())
    }
}

impl Peer {
    pub fn start(act: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Peer {
        Peer::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), act)
    }

    /// Listeners at two addresses with one port. A port that is free at the one may be in use at the other.
    pub fn two_addresses() -> [TcpListener; 2] {
        let both = || {
            let one = TcpListener::bind("127.0.0.2:0").unwrap();
            let other = TcpListener::bind(("127.0.0.1", one.local_addr().unwrap().port())).ok()?;
            Some([one, other])
        };
        std::iter::repeat_with(both).take(100).flatten().next().expect("no port is free at both")
    }

    pub fn start_on(listener: TcpListener, act: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Peer {
        let address = listener.local_addr().unwrap();
        let (heard, stop, act) = (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::new(act));
        let (noted, stopped): (Arc<Mutex<Vec<Heard>>>, _) = (Arc::clone(&heard), stop.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (noted, act) = (noted.clone(), act.clone());
                std::thread::spawn(move || answer(socket, &noted, &*act));
            }
        });
        Peer { address, heard, stop }
    }

    /// `localhost:PORT`.
    pub fn authority(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// A path as a whole URL under the name `localhost`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }

    /// Every request until now.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn answer(mut socket: TcpStream, noted: &Mutex<Vec<Heard>>, act: &dyn Fn(&Heard) -> Reply) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(count) if count > 0 && !line.trim_end().is_empty() => lines.push(line.trim_end().to_owned()),
            _ => break,
        }
    }
    let Some((method, rest)) = lines.first().and_then(|line| line.split_once(' ')) else { return };
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let mut heard = Heard {
        method: method.to_owned(),
        target: rest.split(' ').next().unwrap_or_default().to_owned(),
        headers: lines[1..].iter().filter_map(header).collect(),
        body: Vec::new(),
    };
    heard.body.resize(heard.header("content-length").parse().unwrap_or(0), 0);
    if reader.read_exact(&mut heard.body).is_err() {
        return;
    }
    noted.lock().unwrap().push(heard.clone());
    let reply = act(&heard);
    let mut out = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
    // Who asked may have gone away.
    let _ = socket.write_all(&[out.as_bytes(), &reply.body].concat());
}
