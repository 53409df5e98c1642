//! Signatures by draft-cavage-http-signatures-12 as Mastodon makes and judges them (R-76 to R-78), by openssl alone.

use super::web_date;
use chrono::{DateTime, TimeDelta, Utc};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A key pair, as everybody of a test shares it: making one takes a while.
pub struct Keys {
    private: PKey<Private>,
    /// The public half, in PEM form.
    pub public: String,
}

impl Keys {
    pub fn new() -> Keys {
        let private = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let public = String::from_utf8(private.public_key_to_pem().unwrap()).unwrap();
        Keys { private, public }
    }

    pub fn shared() -> &'static Keys {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Keys::new)
    }

    /// The headers of a signed request for a URL: the request target stands last, and a body brings its digest.
    pub fn sign(&self, key_id: &str, url: &url::Url, body: Option<&[u8]>, now: DateTime<Utc>) -> Vec<(String, String)> {
        let host = url
            .port()
            .map_or_else(|| url.host_str().unwrap().to_owned(), |port| format!("{}:{port}", url.host_str().unwrap()));
        let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut headers = vec![("host".to_owned(), host), ("date".to_owned(), date)];
        if let Some(body) = body {
            headers.push(("digest".to_owned(), digest(body)));
            headers.push(("content-type".to_owned(), "application/activity+json".to_owned()));
        }
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let method = if body.is_some() { "post" } else { "get" };
        let mut lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        lines.push(format!("(request-target): {method} {target}"));
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).chain(["(request-target)"]).collect();
        let mut signer = Signer::new(MessageDigest::sha256(), &self.private).unwrap();
        signer.update(lines.join("\n").as_bytes()).unwrap();
        let signature = openssl::base64::encode_block(&signer.sign_to_vec().unwrap());
        let value =
            format!(r#"keyId="{key_id}",algorithm="rsa-sha256",headers="{}",signature="{signature}""#, names.join(" "));
        headers.push(("signature".to_owned(), value));
        headers
    }
}

/// What a request claims: whose key signed what.
pub struct Claim {
    pub key_id: String,
    base: String,
    signature: Vec<u8>,
}

impl Claim {
    /// Read what a POST claims, and judge all but the key. `headers` have names in lower case.
    pub fn read(
        target: &str,
        headers: &HashMap<String, String>,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Claim, String> {
        let header = |name: &str| headers.get(name).cloned().ok_or_else(|| format!("there is no {name}"));
        let parameters = parameters(&header("signature")?);
        let parameter = |name: &str| parameters.get(name).cloned().ok_or_else(|| format!("there is no {name}"));
        match parameters.get("algorithm").map_or("hs2019", String::as_str) {
            "rsa-sha256" | "hs2019" => {}
            other => return Err(format!("the algorithm {other} is unknown")),
        }
        let names = parameters.get("headers").map_or("date", String::as_str).to_owned();
        let covered: Vec<&str> = names.split(' ').collect();
        // A digest makes up for a request target, and a POST has to have one that is signed.
        for needed in ["date", "digest"] {
            if !covered.contains(&needed) {
                return Err(format!("{needed} is not signed"));
            }
        }
        if header("digest")? != digest(body) {
            return Err("the digest is another body's".to_owned());
        }
        let date = web_date(&header("date")?).ok_or("the date is none")?;
        if date > now + TimeDelta::hours(1) || date < now - TimeDelta::minutes(65) {
            return Err(format!("it was signed at {date}, and it is {now}"));
        }
        let mut lines = Vec::new();
        for name in covered {
            lines.push(match name {
                "(request-target)" => format!("{name}: post {target}"),
                _ => format!("{name}: {}", header(name)?),
            });
        }
        let signature = openssl::base64::decode_block(&parameter("signature")?).map_err(|error| error.to_string())?;
        Ok(Claim { key_id: parameter("keyId")?, base: lines.join("\n"), signature })
    }

    /// Whether this public key, in PEM form, signed it.
    pub fn is_by(&self, pem: &str) -> bool {
        let Ok(key) = PKey::public_key_from_pem(pem.as_bytes()) else { return false };
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        verifier.update(self.base.as_bytes()).unwrap();
        verifier.verify(&self.signature).unwrap_or(false)
    }
}

fn digest(body: &[u8]) -> String {
    let digest = openssl::hash::hash(MessageDigest::sha256(), body).unwrap();
    format!("SHA-256={}", openssl::base64::encode_block(&digest))
}

/// The parameters of a Signature header, `name="value"` with commas between them.
fn parameters(header: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = header;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some((value, next)) = after.split_once('"') else { break };
        found.insert(name.trim_matches([',', ' ']).to_owned(), value.to_owned());
        rest = next;
    }
    found
}
