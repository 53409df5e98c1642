//! The server speaks https itself: its certificate can be replaced while it runs, and a broken one cannot.

use crate::support::{Authority, Issued, PATIENCE, Program, Serving};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const HOST: &str = "kept.example";

/// A server with a certificate of its own, for `kept.example`.
struct Setting {
    program: Program,
    authority: Authority,
    serving: Serving,
}

impl Setting {
    fn start() -> Setting {
        let (mut program, authority) = (Program::new(), Authority::new());
        let (cert, key) = authority.issue(HOST).write(program.scratch(), "own");
        program.set("EVERPOST_SERVER__TLS_CERT", cert.to_str().unwrap());
        program.set("EVERPOST_SERVER__TLS_KEY", key.to_str().unwrap());
        program.set("EVERPOST_SERVER__PUBLIC_URL", &format!("https://{HOST}"));
        let serving = Serving::start(&program);
        Setting { program, authority, serving }
    }

    fn replace(&self, with: &Issued) {
        with.write(self.program.scratch(), "own");
    }

    /// A connection of a client that believes the authority; it names the server in the handshake or not.
    fn connect(&self, named: bool, offered: &[u8]) -> SslStream<TcpStream> {
        let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
        context.cert_store_mut().add_cert(self.authority.certificate().clone()).unwrap();
        context.set_verify(SslVerifyMode::PEER);
        if !offered.is_empty() {
            context.set_alpn_protos(offered).unwrap();
        }
        let mut ssl = Ssl::new(&context.build()).unwrap();
        if named {
            ssl.set_hostname(HOST).unwrap();
        }
        ssl.param_mut().set_host(HOST).unwrap();
        let socket = TcpStream::connect(self.serving.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = SslStream::new(ssl, socket).unwrap();
        stream.connect().unwrap();
        stream
    }

    /// The serial number of the certificate that a new connection is shown.
    fn shown(&self) -> String {
        let stream = self.connect(true, b"");
        let certificate = stream.ssl().peer_certificate().unwrap();
        certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string()
    }

    /// Wait until new connections are shown another certificate than `old`.
    fn wait_for_another(&self, old: &str) {
        let begun = Instant::now();
        while self.shown() == old {
            assert!(begun.elapsed() < PATIENCE, "the old certificate is still shown: {}", self.serving.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The status line that a request on an open connection is answered with.
fn status(stream: &mut SslStream<TcpStream>) -> String {
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    let mut buffer = [0; 4096];
    while !answer.ends_with("ok\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the connection was closed: {answer}");
        answer.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
    }
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn a_new_certificate_is_used_once_its_files_are_there_and_no_connection_is_lost() {
    let setting = Setting::start();
    let mut early = setting.connect(true, b"");
    assert_eq!(status(&mut early), "HTTP/1.1 200 OK");
    let old = setting.shown();
    setting.replace(&setting.authority.issue(HOST));
    setting.wait_for_another(&old);
    assert_eq!(status(&mut early), "HTTP/1.1 200 OK", "an open connection goes on");
    assert_eq!(status(&mut setting.connect(false, b"")), "HTTP/1.1 200 OK", "a client that names no host");
    assert!(setting.serving.log().contains("read again"));
}

#[test]
fn sighup_reads_the_certificate_at_once_and_stops_nothing() {
    let mut setting = Setting::start();
    setting.serving.signal(Signal::HUP);
    setting.serving.wait_for("read again");
    assert_eq!(status(&mut setting.connect(true, b"")), "HTTP/1.1 200 OK");
    setting.serving.signal(Signal::TERM);
    assert_eq!(setting.serving.ended(), Some(0));
}

#[test]
fn a_broken_new_certificate_is_logged_and_the_old_one_stays_in_use() {
    let mut setting = Setting::start();
    let old = setting.shown();
    let good = setting.authority.issue(HOST);
    let broken = [
        (b"not a certificate".to_vec(), good.key.clone(), "holds no certificate"),
        (good.cert.clone(), b"not a key".to_vec(), "holds no private key"),
        (good.cert.clone(), setting.authority.issue(HOST).key, "is not the key of the certificate"),
    ];
    for (cert, key, told) in broken {
        setting.replace(&Issued { cert, key });
        let log = setting.serving.wait_for(told);
        assert!(log.contains("the old one stays in use"), "{log}");
        assert_eq!(setting.shown(), old);
        assert_eq!(status(&mut setting.connect(true, b"")), "HTTP/1.1 200 OK");
    }
    setting.replace(&good);
    setting.wait_for_another(&old);
}

#[test]
fn http_2_is_spoken_to_who_offers_it_before_and_after_a_new_certificate() {
    let setting = Setting::start();
    let chosen = |offered: &[u8]| {
        let stream = setting.connect(true, offered);
        stream.ssl().selected_alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap())
    };
    let port = setting.serving.address.port();
    let authority = setting.authority.write(setting.program.scratch());
    for _ in 0..2 {
        assert_eq!(chosen(b"\x02h2\x08http/1.1").as_deref(), Some("h2"));
        assert_eq!(chosen(b"\x08http/1.1").as_deref(), Some("http/1.1"));
        assert_eq!(chosen(b""), None);
        let asked = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--http2", "--write-out", "\n%{http_version} %{http_code}"])
            .args(["--resolve", &format!("{HOST}:{port}:127.0.0.1"), "--cacert", authority.to_str().unwrap()])
            .args(["--header", &format!("Host: {HOST}"), &format!("https://{HOST}:{port}/.well-known/nodeinfo")])
            .output()
            .unwrap();
        let said = String::from_utf8(asked.stdout).unwrap();
        assert!(said.ends_with("\n2 200"), "{said} {}", String::from_utf8_lossy(&asked.stderr));
        let old = setting.shown();
        setting.replace(&setting.authority.issue(HOST));
        setting.wait_for_another(&old);
    }
}

#[test]
fn a_start_with_a_certificate_that_cannot_be_used_is_refused_with_the_name_of_the_file() {
    let mut program = Program::new();
    let authority = Authority::new();
    let (cert, _) = authority.issue(HOST).write(program.scratch(), "own");
    let (_, other) = authority.issue(HOST).write(program.scratch(), "other");
    program.set("EVERPOST_SERVER__TLS_CERT", cert.to_str().unwrap());
    let nowhere = program.scratch().join("nowhere.key");
    for (file, told) in [(&nowhere, "nowhere.key"), (&other, "is not the key"), (&cert, "own.pem")] {
        let set = format!("server.tls_key={}", file.display());
        let outcome = program.run(&["serve", "--set", "server.bind=127.0.0.1:0", "--set", &set]);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(outcome.stderr.contains("server.tls_key") && outcome.stderr.contains(told), "{told}: {outcome:?}");
    }
}
