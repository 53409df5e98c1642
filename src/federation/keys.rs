//! Key pairs of accounts and server actors: made with openssl, sealed at rest, never shown.

use super::seal;
use crate::store::keys::KeyRow;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use std::path::{Path, PathBuf};

/// Fragment of the first RSA key's URL, as Mastodon names it; later ones have a number behind it, as `main-key-2`; some servers look for it by name.
pub const RSA_KEY_ID: &str = "main-key";
/// Fragment of the first Ed25519 key's URL.
pub const ED25519_KEY_ID: &str = "ed25519-key";

/// RSA modulus in bits: what Mastodon makes, and the most that every server verifies.
const RSA_BITS: u32 = 2048;
/// Multicodec prefix of an Ed25519 public key (`ed25519-pub`, 0xed as a varint).
pub(super) const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];
/// Multicodec prefix of an Ed25519 private key (`ed25519-priv`, 0x1300 as a varint).
const ED25519_SECRET_MULTICODEC: [u8; 2] = [0x80, 0x26];

/// Why a key cannot be made or used. Never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key file cannot be read or holds no key.
    #[error("secrets.key_file {path}: {reason}. Make one with: openssl rand -hex 32 > {path} && chmod 600 {path}")]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A private key is sealed and the configuration names no key file, or another one.
    #[error(
        "a private key in the database is sealed, and {reason}. Set secrets.key_file to the file with which it was sealed."
    )]
    Sealed {
        /// What is wrong.
        reason: &'static str,
    },
    /// Something has to be sealed or opened, and the owner has given no key.
    #[error(
        "private posts are sealed with a key, and secrets.key_file is not set. Set it to the file with which they were sealed."
    )]
    NoKey,
    /// Something was sealed with another key.
    #[error("{what} was sealed with another key. Set secrets.key_file to the file with which it was sealed.")]
    OtherKey {
        /// What it is.
        what: String,
    },
    /// Something sealed does not open.
    #[error("{what} does not open: secrets.key_file is not the one that sealed it, or it is damaged.")]
    Closed {
        /// What it is bound to, which is its place and never its content.
        what: String,
    },
    /// A sealed file cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// openssl refused.
    #[error("openssl refused: {0}")]
    Crypto(String),
}

impl From<openssl::error::ErrorStack> for Error {
    fn from(error: openssl::error::ErrorStack) -> Error {
        Error::Crypto(error.to_string())
    }
}

/// Seals private keys at rest, when the owner has given a key for it; and in `seal.rs` other things.
#[derive(Clone)]
pub struct Vault {
    pub(super) key: Option<[u8; 32]>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Read the key file, if one is configured: 32 bytes, or 64 hexadecimal digits.
    pub fn open(key_file: Option<&Path>) -> Result<Vault, Error> {
        let Some(path) = key_file else { return Ok(Vault { key: None }) };
        let fail = |reason: String| Error::KeyFile { path: path.to_owned(), reason };
        let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().or_else(|| from_hex(&bytes));
        let key =
            key.ok_or_else(|| fail(format!("it holds {} bytes, not 32 (or 64 hexadecimal digits)", bytes.len())))?;
        Ok(Vault { key: Some(key) })
    }

    /// Make the RSA and the Ed25519 key pair of that number of an owner, from 1: no id ever means another key. Takes some
    /// hundred milliseconds; call it off the request path.
    pub fn make_pairs(&self, number: u32) -> Result<Vec<KeyRow>, Error> {
        let named = |id: &str| if number == 1 { id.to_owned() } else { format!("{id}-{number}") };
        let rsa = PKey::from_rsa(Rsa::generate(RSA_BITS)?)?;
        let rsa_public = String::from_utf8(rsa.public_key_to_pem()?).map_err(|e| Error::Crypto(e.to_string()))?;
        let ed25519 = PKey::generate_ed25519()?;
        let ed25519_public = multikey(&ed25519.raw_public_key()?);
        Ok(vec![
            self.row("rsa", &named(RSA_KEY_ID), rsa_public, &rsa)?,
            self.row("ed25519", &named(ED25519_KEY_ID), ed25519_public, &ed25519)?,
        ])
    }

    /// Open the private half of a stored pair.
    pub fn private_key(&self, row: &KeyRow) -> Result<PKey<Private>, Error> {
        if !row.sealed {
            return Ok(PKey::private_key_from_der(&row.private_key)?);
        }
        let key = self.key.ok_or(Error::Sealed { reason: "secrets.key_file is not set" })?;
        let damaged = Error::Sealed { reason: "secrets.key_file is not the one that sealed it, or the row is damaged" };
        let bound = bound_data(&row.kind, &row.key_id, &row.public_key);
        let der = seal::open(&key, &bound, &row.private_key).ok_or(damaged)?;
        let key = PKey::private_key_from_der(&der)?;
        debug_assert!(matches!(key.id(), Id::RSA | Id::ED25519));
        Ok(key)
    }

    /// The private half of a stored pair as text, for an export that its owner asked it into, and for nothing else: PKCS #8 in
    /// PEM for RSA, for Ed25519 the seed in multibase, as Multikeys have it.
    pub fn disclose(&self, row: &KeyRow) -> Result<String, Error> {
        let key = self.private_key(row)?;
        if key.id() == Id::ED25519 {
            let seed = [ED25519_SECRET_MULTICODEC.as_slice(), &key.raw_private_key()?].concat();
            return Ok(multibase::encode(multibase::Base::Base58Btc, seed));
        }
        String::from_utf8(key.private_key_to_pem_pkcs8()?).map_err(|_| Error::Crypto("its PEM is no text".to_owned()))
    }

    /// Whether the owner has given a key, so that nothing needs to lie open.
    pub fn can_seal(&self) -> bool {
        self.key.is_some()
    }

    /// The private half of an open pair as it should be stored: sealed, where there is a key for it.
    pub fn seal(&self, row: &KeyRow) -> Result<Vec<u8>, Error> {
        let Some(key) = &self.key else { return Ok(row.private_key.clone()) };
        Ok(seal::seal(key, &bound_data(&row.kind, &row.key_id, &row.public_key), &row.private_key)?)
    }

    fn row(&self, kind: &str, key_id: &str, public_key: String, private: &PKey<Private>) -> Result<KeyRow, Error> {
        let private_key = private.private_key_to_pkcs8()?;
        let row = KeyRow { kind: kind.to_owned(), key_id: key_id.to_owned(), public_key, private_key, sealed: false };
        Ok(KeyRow { private_key: self.seal(&row)?, sealed: self.can_seal(), ..row })
    }
}

/// A random token of 128 bits in hexadecimal digits.
pub fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a sealed key is bound to, so that rows cannot be swapped.
fn bound_data(kind: &str, key_id: &str, public_key: &str) -> Vec<u8> {
    format!("everpost key 1\n{kind}\n{key_id}\n{public_key}").into_bytes()
}

/// FEP-521a: an Ed25519 public key as a Multikey, base58btc with its multicodec prefix (`z6Mk…`).
fn multikey(public: &[u8]) -> String {
    multibase::encode(multibase::Base::Base58Btc, [ED25519_MULTICODEC.as_slice(), public].concat())
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(text: &[u8]) -> Result<Vault, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Vault::open(Some(file.path()))
    }

    #[test]
    fn an_account_gets_an_rsa_and_an_ed25519_pair() {
        let rows = Vault::open(None).unwrap().make_pairs(1).unwrap();
        assert!(rows[0].public_key.starts_with("-----BEGIN PUBLIC KEY-----"));
        assert!(rows[1].public_key.starts_with("z6Mk"));
        let key = Vault { key: None }.private_key(&rows[0]).unwrap();
        assert_eq!(key.bits(), 2048);
        assert_eq!((rows[0].key_id.as_str(), rows[1].key_id.as_str()), ("main-key", "ed25519-key"));
        let third = Vault::open(None).unwrap().make_pairs(3).unwrap();
        assert_eq!((third[0].key_id.as_str(), third[1].key_id.as_str()), ("main-key-3", "ed25519-key-3"));
    }

    #[test]
    fn a_sealed_key_opens_with_its_own_file_alone() {
        let own = vault(&[7; 32]).unwrap();
        let rows = own.make_pairs(1).unwrap();
        assert!(own.private_key(&rows[0]).is_ok() && own.private_key(&rows[1]).is_ok());
        assert!(matches!(Vault { key: None }.private_key(&rows[0]), Err(Error::Sealed { .. })));
        assert!(matches!(vault(&[8; 32]).unwrap().private_key(&rows[0]), Err(Error::Sealed { .. })));
        let mut swapped = rows[0].clone();
        swapped.public_key = rows[1].public_key.clone();
        assert!(own.private_key(&swapped).is_err(), "a sealed key is bound to its public half");
    }

    #[test]
    fn a_disclosed_key_is_the_one_that_its_public_half_belongs_to() {
        let rows = vault(&[7; 32]).unwrap().make_pairs(1).unwrap();
        let vault = vault(&[7; 32]).unwrap();
        let rsa = PKey::private_key_from_pem(vault.disclose(&rows[0]).unwrap().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(rsa.public_key_to_pem().unwrap()).unwrap(), rows[0].public_key);
        let (_, seed) = multibase::decode(vault.disclose(&rows[1]).unwrap()).unwrap();
        let seed = seed.strip_prefix(ED25519_SECRET_MULTICODEC.as_slice()).unwrap();
        let ed25519 = PKey::private_key_from_raw_bytes(seed, Id::ED25519).unwrap();
        assert_eq!(multikey(&ed25519.raw_public_key().unwrap()), rows[1].public_key);
    }

    #[test]
    fn a_key_file_holds_32_bytes_or_64_digits() {
        assert!(vault(format!("{}\n", "ab".repeat(32)).as_bytes()).is_ok());
        for bad in ["", "short", &"zz".repeat(32)] {
            assert!(matches!(vault(bad.as_bytes()), Err(Error::KeyFile { .. })), "{bad}");
        }
    }

    #[test]
    fn nothing_shows_a_private_key() {
        let rows = vault(&[7; 32]).unwrap().make_pairs(1).unwrap();
        assert!(!format!("{rows:?}").contains("private_key"));
        assert_eq!(format!("{:?}", vault(&[7; 32]).unwrap()), "Vault");
    }
}
