//! What a header says of a body: `Digest` (RFC 3230) beside draft-cavage, `Content-Digest` (RFC 9530) beside RFC 9421.
//!
//! A body is the bytes as they were sent, before any content encoding is undone.

use super::{Error, fields};
use multibase::Base;
use openssl::sha::{sha256, sha512};
use sfv::{BareItem, ListEntry};

/// The sums that a body must have. All that are there must be right.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests {
    sha256: Vec<Vec<u8>>,
    sha512: Vec<Vec<u8>>,
}

impl Digests {
    /// Read a `Digest` header. Only its SHA-256 counts, as for Mastodon; other sums may stand beside it.
    pub fn read(header: &str) -> Result<Digests, Error> {
        let mut found = Digests::default();
        for part in header.split(',') {
            let Some((name, sum)) = part.trim().split_once('=') else { continue };
            if name.trim().eq_ignore_ascii_case("sha-256") {
                let sum = Base::Base64Pad.decode(sum.trim());
                found.sha256.push(sum.map_err(|_| Error::Malformed("the header Digest is not base64".to_owned()))?);
            }
        }
        found.complete("Digest")
    }

    /// Read a `Content-Digest` header, or the one member of it that a signature covers.
    pub fn read_content(header: &[u8], only: Option<&str>) -> Result<Digests, Error> {
        let mut found = Digests::default();
        for (name, entry) in fields::dictionary(header, "Content-Digest")? {
            if only.is_some_and(|only| only != name.as_str()) {
                continue;
            }
            let sums = match name.as_str() {
                "sha-256" => &mut found.sha256,
                "sha-512" => &mut found.sha512,
                _ => continue,
            };
            match entry {
                ListEntry::Item(item) => match item.bare_item {
                    BareItem::ByteSequence(sum) => sums.push(sum),
                    _ => return Err(Error::Malformed("a sum in Content-Digest is not a byte sequence".to_owned())),
                },
                ListEntry::InnerList(_) => return Err(Error::Malformed("Content-Digest holds a list".to_owned())),
            }
        }
        found.complete("Content-Digest")
    }

    /// Whether `body` has these sums.
    pub fn check(&self, body: &[u8]) -> Result<(), Error> {
        let right = |sums: &[Vec<u8>], of: &dyn Fn() -> Vec<u8>| {
            sums.is_empty() || {
                let sum = of();
                sums.iter().all(|other| *other == sum)
            }
        };
        let both = right(&self.sha256, &|| sha256(body).to_vec()) && right(&self.sha512, &|| sha512(body).to_vec());
        if both { Ok(()) } else { Err(Error::WrongBody) }
    }

    fn complete(self, header: &str) -> Result<Digests, Error> {
        if self.sha256.is_empty() && self.sha512.is_empty() {
            return Err(Error::Unsupported(format!("{header} without a SHA-256 sum")));
        }
        Ok(self)
    }
}

/// A `Digest` header for a body. Only SHA-256, in capitals: Lemmy takes every part for one (R-83).
pub(super) fn digest(body: &[u8]) -> String {
    format!("SHA-256={}", Base::Base64Pad.encode(sha256(body)))
}

/// A `Content-Digest` header for a body. Only SHA-256: Mastodon takes no other (R-79).
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", Base::Base64Pad.encode(sha256(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of RFC 9530's and RFC 9421's examples, and its sums as printed there.
    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const SHA256: &str = "X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=";
    const SHA512: &str = "WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==";

    fn content(header: &str) -> Result<(), Error> {
        Digests::read_content(header.as_bytes(), None)?.check(BODY)
    }

    #[test]
    fn the_published_sums_of_a_body_are_right() {
        assert_eq!(Digests::read(&format!("SHA-256={SHA256}")).unwrap().check(BODY), Ok(()));
        assert_eq!(content(&format!("sha-256=:{SHA256}:")), Ok(()));
        assert_eq!(content(&format!("sha-512=:{SHA512}:")), Ok(()));
        assert_eq!(content(&format!("sha-256=:{SHA256}:, sha-512=:{SHA512}:")), Ok(()));
        assert_eq!(digest(BODY), format!("SHA-256={SHA256}"));
        assert_eq!(content_digest(BODY), format!("sha-256=:{SHA256}:"));
    }

    #[test]
    fn sha_256_is_picked_from_several() {
        for header in [format!("SHA-512={SHA512},SHA-256={SHA256}"), format!("md5=abc, sha-256={SHA256} ")] {
            assert_eq!(Digests::read(&header).unwrap().check(BODY), Ok(()), "{header}");
        }
        assert_eq!(content(&format!("md5=:AAAA:, sha-256=:{SHA256}:")), Ok(()));
    }

    #[test]
    fn every_sum_that_is_known_must_be_right() {
        let other = digest(b"another body");
        assert_eq!(Digests::read(&format!("{other},SHA-256={SHA256}")).unwrap().check(BODY), Err(Error::WrongBody));
        assert_eq!(content(&format!("sha-256=:{SHA256}:, sha-512=:AAAA:")), Err(Error::WrongBody));
        assert_eq!(content("sha-256=::"), Err(Error::WrongBody));
    }

    #[test]
    fn a_header_without_a_usable_sum_is_no_proof() {
        for header in ["", "SHA-512=abc", "SHA-256", "SHA-256=not base64", "SHA-256=X48E9q"] {
            assert!(Digests::read(header).is_err(), "{header}");
        }
        for header in
            ["", "sha-1=:AAAA:", "sha-256", "sha-256=abc", "sha-256=(:AAAA:)", "sha-256=:AAAA:, sha-256=:AAAA:"]
        {
            assert!(content(header).is_err(), "{header}");
        }
    }
}
