//! Public keys of others: read from what actors publish, bounded, and fast to use again.
//!
//! Keep a [`PublicKey`] once it is read: using it takes a twentieth of the time of reading it. Must never fetch one.

use super::Error;
use crate::federation::keys::ED25519_MULTICODEC;
use multibase::Base;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::{Padding, Rsa};
use openssl::sign::{RsaPssSaltlen, Verifier};

/// Multicodec prefix of an RSA public key (`rsa-pub`, 0x1205 as a varint), before a PKCS#1 structure.
const RSA_MULTICODEC: [u8; 2] = [0x85, 0x24];
/// An RSA modulus in bits. Less can be broken for little money; more makes every verification slow for us alone.
const RSA_BITS: std::ops::RangeInclusive<u32> = 1024..=8192;
/// A public exponent in bits. Everyone takes 65537; a long one costs as much as signing.
const EXPONENT_BITS: i32 = 64;
/// Longest text of a key, in bytes: an RSA key of 8192 bits has 1,500 and a margin for spaces.
const LONGEST: usize = 4096;

/// A public key that can verify.
#[derive(Clone)]
pub struct PublicKey {
    key: PKey<Public>,
    kind: Kind,
}

/// What a key can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA: what nearly every actor has.
    Rsa,
    /// RSA that its owner restricts to RSASSA-PSS.
    RsaPss,
    /// Ed25519.
    Ed25519,
}

/// A way to sign, named as in RFC 9421 section 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::federation) enum Algorithm {
    RsaV15Sha256,
    RsaPssSha512,
    Ed25519,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?})", self.kind)
    }
}

impl PublicKey {
    /// Take a key that openssl has read.
    pub fn new(key: PKey<Public>) -> Result<PublicKey, Error> {
        let kind = match key.id() {
            Id::RSA => Kind::Rsa,
            Id::RSA_PSS => Kind::RsaPss,
            Id::ED25519 => Kind::Ed25519,
            _ => return Err(Error::Unsupported("a key that is neither RSA nor Ed25519".to_owned())),
        };
        if kind != Kind::Ed25519 {
            let rsa = key.rsa().map_err(|_| unreadable("openssl refuses it"))?;
            if !RSA_BITS.contains(&key.bits()) || rsa.e().num_bits() > EXPONENT_BITS {
                return Err(Error::Unsupported(format!("an RSA key of {} bits", key.bits())));
            }
        }
        Ok(PublicKey { key, kind })
    }

    /// Read what stands in `publicKeyPem`: a `PUBLIC KEY` or an `RSA PUBLIC KEY`.
    ///
    /// The armour is taken off here: openssl would ask at the terminal for the password of an "encrypted" public key,
    /// and refuses a key whose lines came as one.
    pub fn from_pem(text: &str) -> Result<PublicKey, Error> {
        if text.len() > LONGEST {
            return Err(unreadable("it is too long"));
        }
        let spki = armoured(text, "PUBLIC KEY").map(|der| PKey::public_key_from_der(&der?).map_err(|_| refused()));
        let key = spki.or_else(|| {
            let pkcs1 = armoured(text, "RSA PUBLIC KEY")?;
            Some(pkcs1.and_then(|der| from_pkcs1(&der)))
        });
        PublicKey::new(key.ok_or_else(|| unreadable("it is not a PEM of a public key"))??)
    }

    /// Read what stands in `publicKeyMultibase`: Ed25519 or RSA (FEP-521a).
    pub fn from_multikey(text: &str) -> Result<PublicKey, Error> {
        if text.len() > LONGEST {
            return Err(unreadable("it is too long"));
        }
        let bytes = match multibase::decode(text) {
            Ok((Base::Base58Btc | Base::Base64Url, bytes)) => bytes,
            _ => return Err(unreadable("it is neither base58btc nor base64url")),
        };
        let key = if let Some(raw) = bytes.strip_prefix(ED25519_MULTICODEC.as_slice()) {
            PKey::public_key_from_raw_bytes(raw, Id::ED25519).map_err(|_| refused())?
        } else if let Some(der) = bytes.strip_prefix(RSA_MULTICODEC.as_slice()) {
            from_pkcs1(der)?
        } else {
            return Err(Error::Unsupported("a Multikey that is neither Ed25519 nor RSA".to_owned()));
        };
        PublicKey::new(key)
    }

    /// What it can be used for.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How this key signs when nobody says: the fediverse's RSA keys with PKCS#1 v1.5.
    pub(in crate::federation) fn usual(&self) -> Algorithm {
        match self.kind {
            Kind::Rsa => Algorithm::RsaV15Sha256,
            Kind::RsaPss => Algorithm::RsaPssSha512,
            Kind::Ed25519 => Algorithm::Ed25519,
        }
    }

    /// Whether this key can sign so. What a signature says of its algorithm never makes one key stand for another kind.
    pub(super) fn can(&self, algorithm: Algorithm) -> bool {
        algorithm == self.usual() || (self.kind == Kind::Rsa && algorithm == Algorithm::RsaPssSha512)
    }

    /// Whether `signature` over `base` was made with the private half. Whatever openssl dislikes is a no.
    pub(in crate::federation) fn proves(&self, algorithm: Algorithm, base: &[u8], signature: &[u8]) -> bool {
        self.try_proves(algorithm, base, signature).unwrap_or(false)
    }

    fn try_proves(
        &self,
        algorithm: Algorithm,
        base: &[u8],
        signature: &[u8],
    ) -> Result<bool, openssl::error::ErrorStack> {
        let mut verifier = match algorithm {
            Algorithm::RsaV15Sha256 => Verifier::new(MessageDigest::sha256(), &self.key)?,
            Algorithm::RsaPssSha512 => {
                let mut verifier = Verifier::new(MessageDigest::sha512(), &self.key)?;
                verifier.set_rsa_padding(Padding::PKCS1_PSS)?;
                verifier.set_rsa_mgf1_md(MessageDigest::sha512())?;
                verifier.set_rsa_pss_saltlen(RsaPssSaltlen::custom(64))?;
                verifier
            }
            Algorithm::Ed25519 => Verifier::new_without_digest(&self.key)?,
        };
        verifier.verify_oneshot(signature, base)
    }
}

/// What stands between the lines BEGIN and END of this label, decoded.
fn armoured(text: &str, label: &str) -> Option<Result<Vec<u8>, Error>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (inside, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let inside: String = inside.split_ascii_whitespace().collect();
    Some(Base::Base64Pad.decode(inside).map_err(|_| unreadable("its PEM is not base64")))
}

fn from_pkcs1(der: &[u8]) -> Result<PKey<Public>, Error> {
    Rsa::public_key_from_der_pkcs1(der).and_then(PKey::from_rsa).map_err(|_| refused())
}

fn refused() -> Error {
    unreadable("openssl refuses it")
}

fn unreadable(why: &str) -> Error {
    Error::WrongKey(format!("the public key cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::bn::BigNum;

    fn pem(bits: u32) -> String {
        let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        String::from_utf8(key.public_key_to_pem().unwrap()).unwrap()
    }

    #[test]
    fn a_pem_is_read_in_both_forms_and_however_its_lines_break() {
        let key = Rsa::generate(1024).unwrap();
        let pkcs1 = String::from_utf8(key.public_key_to_pem_pkcs1().unwrap()).unwrap();
        let spki = String::from_utf8(key.public_key_to_pem().unwrap()).unwrap();
        for text in [&pkcs1, &spki, &spki.replace('\n', "\r\n"), &spki.replace('\n', " "), &format!("\n {spki} \n")] {
            assert_eq!(PublicKey::from_pem(text).unwrap().kind(), Kind::Rsa, "{text}");
        }
        let ed25519 = PKey::generate_ed25519().unwrap().public_key_to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(std::str::from_utf8(&ed25519).unwrap()).unwrap().kind(), Kind::Ed25519);
    }

    #[test]
    fn what_is_no_public_key_is_refused_and_asks_for_no_password() {
        let encrypted = pem(1024).replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-CBC,00\n\nM");
        for text in ["", "-----BEGIN PUBLIC KEY-----", &encrypted, &"x".repeat(LONGEST + 1)] {
            assert!(matches!(PublicKey::from_pem(text), Err(Error::WrongKey(_))), "{text}");
        }
        let cut = pem(1024).replacen("MIGf", "MIGg", 1);
        assert!(PublicKey::from_pem(&cut).is_err());
    }

    #[test]
    fn a_key_that_is_too_weak_or_too_dear_is_refused() {
        assert!(matches!(PublicKey::from_pem(&pem(512)), Err(Error::Unsupported(_))));
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let ec = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
        let ec = PKey::public_key_from_der(&ec.public_key_to_der().unwrap()).unwrap();
        assert!(matches!(PublicKey::new(ec), Err(Error::Unsupported(_))));
        for bits in [8193, 16384] {
            let modulus =
                BigNum::from_slice(&[vec![if bits % 8 == 1 { 1 } else { 0xff }], vec![0xff; (bits - 1) / 8]].concat());
            let rsa = Rsa::from_public_components(modulus.unwrap(), BigNum::from_u32(65537).unwrap()).unwrap();
            assert!(PublicKey::new(PKey::from_rsa(rsa).unwrap()).is_err(), "{bits}");
        }
        let dear = Rsa::from_public_components(
            BigNum::from_slice(&[0xff; 256]).unwrap(),
            BigNum::from_slice(&[0xff; 128]).unwrap(),
        );
        assert!(PublicKey::new(PKey::from_rsa(dear.unwrap()).unwrap()).is_err(), "a long exponent");
    }

    #[test]
    fn a_multikey_is_read_and_nothing_else() {
        // The key of the test vectors of Data Integrity EdDSA Cryptosuites.
        let key = PublicKey::from_multikey("z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2").unwrap();
        assert_eq!(key.kind(), Kind::Ed25519);
        let rsa = Rsa::generate(1024).unwrap().public_key_to_der_pkcs1().unwrap();
        let rsa = multibase::encode(Base::Base58Btc, [RSA_MULTICODEC.as_slice(), &rsa].concat());
        assert_eq!(PublicKey::from_multikey(&rsa).unwrap().kind(), Kind::Rsa);
        for wrong in
            ["", "z", "z6Mk", "f00", "z0OIl", "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq", &"z".repeat(9999)]
        {
            assert!(PublicKey::from_multikey(wrong).is_err(), "{wrong}");
        }
    }
}
