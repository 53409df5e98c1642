#![no_main]
//! Heads of requests, and all that signs them: by draft-cavage and by RFC 9421. Nothing here is signed by the keys.

use everpost::federation::signature::{Head, PublicKey, read};
use std::sync::OnceLock;

/// The public keys of both kinds; nobody has signed with their other halves.
pub fn keys() -> &'static [PublicKey; 2] {
    static KEYS: OnceLock<[PublicKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        let pem = include_str!("../../tests/fixtures/signatures/rfc9421-test-key-rsa.pem");
        let multikey = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
        [PublicKey::from_pem(pem).expect("a key"), PublicKey::from_multikey(multikey).expect("a key")]
    })
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let now = chrono::DateTime::from_timestamp(1_795_521_600, 0).expect("a time");
    let split = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = split.map_or((bytes, &bytes[..0]), |at| (&bytes[..at], &bytes[at + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    // The first line is: method, target, authority.
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.splitn(3, ' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let authority = words.next().unwrap_or("kept.example");
    let names: Vec<(String, &[u8])> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            Some((String::from_utf8_lossy(&line[..at]).into_owned(), line[at + 1..].trim_ascii()))
        })
        .collect();
    let headers = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let head = Head { method, scheme: "https", authority, target, headers };
    let claims = match read(&head, now) {
        Ok(claims) => claims,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    assert!(!claims.is_empty() && claims.len() <= 8, "{} claims", claims.len());
    for claim in &claims {
        assert!(!claim.key_id().is_empty() && claim.key_id().len() <= 2048);
        assert!(!claim.key_document().contains('#'));
        let Ok(bound) = claim.bind(body) else { continue };
        for key in keys() {
            assert!(bound.verify(key).is_err(), "nobody signed this");
        }
    }
});
