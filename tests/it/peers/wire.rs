//! Requests byte by byte, signed by hand with openssl: nothing here is Everpost's own code.

use chrono::Utc;
use openssl::base64::encode_block;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::sha::sha256;
use openssl::sign::Signer;
use serde::Deserialize;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// How a software signs and what it sends along.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    pub scheme: Scheme,
    /// The id of its key.
    pub key: String,
    /// The header Signature by draft-cavage, with KEY, HEADERS and SIGNATURE; the parameters by RFC 9421, with KEY and CREATED.
    pub signature: String,
    /// What is signed, in this order.
    pub covers: Vec<String>,
    /// The headers in their order; those without a value get the one that they need.
    pub headers: Vec<(String, String)>,
    /// Whether it asks everybody for a signature who asks for a document.
    #[serde(default)]
    pub signed_gets: bool,
    /// Documents that it gives to everybody all the same.
    #[serde(default)]
    pub open: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Cavage,
    Rfc9421,
}

/// A POST to `host` and `path`, signed as `head` says.
pub fn signed(head: &Head, key: &PKey<Private>, host: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let now = Utc::now();
    let digest = encode_block(&sha256(body));
    let mut headers: Vec<(String, String)> = head.headers.clone();
    for (name, value) in &mut headers {
        match name.to_ascii_lowercase().as_str() {
            "host" => host.clone_into(value),
            "date" => *value = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
            "digest" => *value = format!("SHA-256={digest}"),
            "content-digest" => *value = format!("sha-256=:{digest}:"),
            "content-length" => *value = body.len().to_string(),
            _ => {}
        }
    }
    let value = |wanted: &str| {
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.unwrap_or_else(|| panic!("{wanted} is signed and not sent")).1.clone()
    };
    let made = |base: &str| {
        let mut signer = Signer::new(MessageDigest::sha256(), key).unwrap();
        encode_block(&signer.sign_oneshot_to_vec(base.as_bytes()).unwrap())
    };
    let (signature, input) = match head.scheme {
        Scheme::Cavage => {
            let line = |name: &String| match name.as_str() {
                "(request-target)" => format!("(request-target): post {path}"),
                name => format!("{name}: {}", value(name)),
            };
            let base = head.covers.iter().map(line).collect::<Vec<_>>().join("\n");
            let signature = head.signature.replace("KEY", &head.key).replace("HEADERS", &head.covers.join(" "));
            (signature.replace("SIGNATURE", &made(&base)), String::new())
        }
        Scheme::Rfc9421 => {
            let line = |name: &String| {
                let value = match name.as_str() {
                    "@method" => "POST".to_owned(),
                    "@target-uri" => format!("https://{host}{path}"),
                    "@authority" => host.to_owned(),
                    name => value(name),
                };
                format!("\"{name}\": {value}")
            };
            let names: Vec<String> = head.covers.iter().map(|name| format!("\"{name}\"")).collect();
            let given = head.signature.replace("KEY", &head.key).replace("CREATED", &now.timestamp().to_string());
            let parameters = format!("({}){given}", names.join(" "));
            let lines: Vec<String> = head.covers.iter().map(line).collect();
            let base = format!("{}\n\"@signature-params\": {parameters}", lines.join("\n"));
            (format!("sig1=:{}:", made(&base)), format!("sig1={parameters}"))
        }
    };
    for (name, value) in &mut headers {
        match name.to_ascii_lowercase().as_str() {
            "signature" => signature.clone_into(value),
            "signature-input" => input.clone_into(value),
            _ => {}
        }
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        headers.push(("Content-Length".to_owned(), body.len().to_string()));
    }
    let mut request = format!("POST {path} HTTP/1.1\r\n");
    for (name, value) in &headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    [request.as_bytes(), b"\r\n", body].concat()
}

/// Send bytes as they are on a connection of their own; the status of the answer, and the answer itself.
pub fn send(address: SocketAddr, request: &[u8]) -> (u16, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(crate::support::PATIENCE)).unwrap();
    socket.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut more = [0; 8192];
    while !is_whole(&answer) {
        let count = socket.read(&mut more).unwrap();
        answer.extend_from_slice(&more[..count]);
        if count == 0 {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), answer)
}

/// Whether an answer has come to its end; one without a length ends with its connection.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).find_map(|(_, n)| n.parse().ok());
    length.is_some_and(|length: usize| answer.len() >= head.len() + 4 + length)
}
