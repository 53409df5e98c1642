//! A server in front of Everpost that speaks https, as Caddy or nginx would; a test tells it what to do wrong.

use super::{Issued, PATIENCE};
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A request as it came to the front.
pub struct Asked {
    pub path: String,
    pub host: String,
    pub accept: String,
    upstream: SocketAddr,
}

/// An answer on its way out.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The front; it ends with this value.
pub struct Front {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Asked {
    /// Pass it on as a good proxy does.
    pub fn pass_on(&self) -> Reply {
        self.send(&self.host, &self.accept)
    }

    /// Pass it on with another Host.
    pub fn pass_on_as(&self, host: &str) -> Reply {
        self.send(host, &self.accept)
    }

    /// Pass it on with another Accept.
    pub fn pass_on_to(&self, accept: &str) -> Reply {
        self.send(&self.host, accept)
    }

    fn send(&self, host: &str, accept: &str) -> Reply {
        let Ok(mut socket) = TcpStream::connect(self.upstream) else {
            return Reply::new(502, "text/html", "<h1>Bad gateway</h1>");
        };
        let path = &self.path;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(socket);
        let lines = read_head(&mut reader);
        let status = lines[0].split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let mut body = Vec::new();
        reader.read_to_end(&mut body).unwrap();
        Reply { status, headers, body }
    }

    /// Whether a server asks, and not a browser.
    pub fn wants_activitypub(&self) -> bool {
        self.accept.contains("activity+json")
    }
}

impl Reply {
    pub fn new(status: u16, content_type: &str, body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Reply { status, headers, body: body.as_bytes().to_vec() }
    }

    /// The same with another value of a header.
    pub fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Reply {
        self.headers.retain(|(known, _)| known != name);
        self
    }
}

impl Front {
    /// A front with this certificate, that does this with each request for the server at `upstream`.
    pub fn start(issued: &Issued, upstream: SocketAddr, act: impl Fn(Asked) -> Reply + Send + 'static) -> Front {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&X509::from_pem(&issued.cert).unwrap()).unwrap();
        acceptor.set_private_key(&PKey::private_key_from_pem(&issued.key).unwrap()).unwrap();
        let acceptor = acceptor.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                // Who does not like the certificate, or only looks at it, goes away again.
                let Ok(stream) = acceptor.accept(socket) else { continue };
                let mut reader = BufReader::new(stream);
                let lines = read_head(&mut reader);
                let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { continue };
                let header = |wanted: &str| {
                    let mut headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
                    headers
                        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                        .map_or("", |(_, value)| value)
                        .to_owned()
                };
                let reply =
                    act(Asked { path: path.to_owned(), host: header("host"), accept: header("accept"), upstream });
                let mut out = format!("HTTP/1.1 {} Whatever\r\nConnection: close\r\n", reply.status);
                for (name, value) in
                    reply.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "connection" | "content-length"))
                {
                    out.push_str(&format!("{name}: {value}\r\n"));
                }
                out.push_str(&format!("content-length: {}\r\n\r\n", reply.body.len()));
                let _ = reader.get_mut().write_all(&[out.as_bytes(), &reply.body].concat());
                let _ = reader.get_mut().shutdown();
            }
        });
        Front { address, stop, thread: Some(thread) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking(), "the front panicked");
        }
    }
}

/// The lines of a head; none where the other side went away.
fn read_head(reader: &mut impl BufRead) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(count) if count > 0 && !line.trim_end().is_empty() => lines.push(line.trim_end().to_owned()),
            _ => return lines,
        }
    }
}
