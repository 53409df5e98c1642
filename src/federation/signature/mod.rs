//! Proof that a request comes from whom it says: HTTP signatures by draft-cavage-12 and by RFC 9421.
//!
//! Knows no transport, fetches nothing and reads no clock: it judges a [`Head`], and its caller brings the body, the key
//! and the time. Must never know what a request is about. Start with [`read`] for what comes in and with [`Signer`] for
//! what goes out.

mod cavage;
mod digest;
mod fields;
mod head;
mod key;
mod rfc9421;
#[cfg(test)]
mod tests;
mod window;

pub use head::Head;
pub use key::{Kind, PublicKey};

use chrono::{DateTime, Utc};
use digest::Digests;
use key::Algorithm;
use openssl::pkey::{PKey, Private};

/// Longest key id that is looked at, in bytes: as long as a URL that others store.
const LONGEST_KEY_ID: usize = 2048;

/// Why a request or an object is not proven to come from whom it says. The message is fit for its sender.
///
/// [`Error::Malformed`] is 400. All others are 401: to these, and to no other answer, senders react by trying the other
/// scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no signature.
    #[error("There is no signature. Sign by draft-cavage-http-signatures-12 or by RFC 9421.")]
    Missing,
    /// What is there breaks its syntax.
    #[error("The signature cannot be read: {0}.")]
    Malformed(String),
    /// It uses something that we do not know, or that nobody should use.
    #[error("This is not supported: {0}. Use rsa-v1_5-sha256 (rsa-sha256, hs2019), rsa-pss-sha512 or ed25519.")]
    Unsupported(String),
    /// It does not cover what it has to.
    #[error("The signature does not cover {0}.")]
    Uncovered(&'static str),
    /// Its time has passed or is yet to come.
    #[error("The signature does not hold now: {0}. Look at the clock.")]
    Outdated(&'static str),
    /// It is about another body.
    #[error("The digest is not that of the body.")]
    WrongBody,
    /// The key is not one that could have made it. Another look at the key may help.
    #[error("The key does not go with the signature: {0}.")]
    WrongKey(String),
    /// The key did not make it. Another look at the key may help.
    #[error("The signature was not made by this key over this content.")]
    Forged,
}

impl Error {
    /// Whether a key that was renewed meanwhile could be the reason, so that fetching it again is worth the cost.
    pub fn may_be_an_old_key(&self) -> bool {
        matches!(self, Error::WrongKey(_) | Error::Forged)
    }
}

/// A way to sign a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// draft-cavage-http-signatures-12: what everyone understands.
    Cavage,
    /// RFC 9421.
    Rfc9421,
}

/// What a request's signature claims. It covers what it has to and is of our time; nothing is proven yet.
#[derive(Clone, Debug)]
pub struct Claim {
    scheme: Scheme,
    key_id: String,
    algorithm: Option<Algorithm>,
    signature: Vec<u8>,
    /// What may have been signed: more than one where senders differ.
    bases: Vec<Vec<u8>>,
    digests: Option<Digests>,
}

/// A claim whose digest is that of the body. It lacks the key.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    claim: &'a Claim,
}

/// Read the signatures of a request: at least one claim, or why there is none.
///
/// Everything is judged that needs neither body nor key, so that hostile traffic costs little. Several claims come in the
/// order in which they stand, at most eight; one that is proven is enough.
pub fn read(head: &Head<'_>, now: DateTime<Utc>) -> Result<Vec<Claim>, Error> {
    head.check()?;
    // Mastodon chooses in the same way.
    if head.lines("signature-input").next().is_some() {
        rfc9421::read(head, now.timestamp())
    } else {
        Ok(vec![cavage::read(head, now.timestamp())?])
    }
}

impl Claim {
    /// By which scheme it is made.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Which key it names, as it stands there: a URL with `#main-key`, one with `/main-key`, or anything else.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// What to fetch for the key: its id without the fragment.
    pub fn key_document(&self) -> &str {
        self.key_id.split_once('#').map_or(self.key_id.as_str(), |(document, _)| document)
    }

    /// What tells the request from every other that is not a copy of it, the same activity sent again included: a hash of
    /// the signature.
    pub fn seal(&self) -> [u8; 32] {
        openssl::sha::sha256(&self.signature)
    }

    /// Join it with the body, as it was sent. A body without a covered digest is refused, whatever the method.
    pub fn bind(&self, body: &[u8]) -> Result<Bound<'_>, Error> {
        match &self.digests {
            Some(digests) => digests.check(body)?,
            None if body.is_empty() => {}
            None => return Err(Error::Uncovered("a digest of the body")),
        }
        Ok(Bound { claim: self })
    }
}

impl Bound<'_> {
    /// Whether this key made it. Takes some twenty microseconds with RSA.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        let Claim { algorithm, bases, signature, .. } = self.claim;
        let algorithm = algorithm.unwrap_or_else(|| key.usual());
        if !key.can(algorithm) {
            return Err(Error::WrongKey(format!("it is of the kind {:?}", key.kind())));
        }
        let proven = bases.iter().any(|base| key.proves(algorithm, base, signature));
        if proven { Ok(()) } else { Err(Error::Forged) }
    }
}

/// A private key with the id under which its public half is found.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The URL of the key.
    pub key_id: &'a str,
    /// RSA, or Ed25519 for RFC 9421.
    pub key: &'a PKey<Private>,
}

impl Signer<'_> {
    /// The headers to set on a request, each in place of any of its name. The same input gives the same headers.
    ///
    /// `head` must hold what will really be sent; its content type is signed too by draft-cavage. Fails with
    /// [`Error::WrongKey`] if the key cannot sign so, and with [`Error::Malformed`] if the id or the head are no HTTP.
    pub fn sign(
        &self,
        scheme: Scheme,
        head: &Head<'_>,
        body: Option<&[u8]>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(&'static str, String)>, Error> {
        head.check()?;
        if !self.key_id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
            return Err(Error::Malformed("the key id is not a URL".to_owned()));
        }
        match scheme {
            Scheme::Cavage => cavage::sign(self, head, body, now),
            Scheme::Rfc9421 => rfc9421::sign(self, head, body, now),
        }
    }
}

impl std::fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key_id)
    }
}

/// Something that a stranger wrote, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// A key id of bearable length.
fn checked_key_id(key_id: &str) -> Result<String, Error> {
    if key_id.is_empty() || key_id.len() > LONGEST_KEY_ID {
        return Err(Error::Malformed("the key id is empty or too long".to_owned()));
    }
    Ok(key_id.to_owned())
}
