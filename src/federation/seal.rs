//! Seals what must not be read by whoever gets at the disk or the database: bytes, files, and names.
//!
//! AES-256-GCM, HKDF and HMAC, all by openssl, under the key of `secrets.key_file`. What a thing is bound to has to be
//! said again to open it, so that nothing sealed can take another one's place. Must never know what it seals.

use super::keys::{Error, Vault};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::md::Md;
use openssl::pkey::{Id, PKey};
use openssl::pkey_ctx::PkeyCtx;
use openssl::sign::Signer;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use std::io::{Read, Write};

/// A key, or what is made from one.
type Key = [u8; 32];

const NONCE: usize = 12;
const TAG: usize = 16;
const SALT: usize = 16;
/// Plain bytes of a sealed file that are read, sealed or opened at once.
const CHUNK: usize = 64 << 10;
/// How a sealed file begins.
const MAGIC: &[u8] = b"everpost sealed file 1\n";

/// Seal bytes: nonce, ciphertext, tag. The nonce is random, which is safe for 2^32 uses of a key (NIST SP 800-38D, 8.3).
pub(super) fn seal(key: &Key, bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut nonce = [0; NONCE];
    openssl::rand::rand_bytes(&mut nonce)?;
    let mut tag = [0; TAG];
    let sealed = encrypt_aead(Cipher::aes_256_gcm(), key, Some(&nonce), bound, plain, &mut tag)?;
    Ok([nonce.as_slice(), &sealed, &tag].concat())
}

/// What [`seal`] sealed; `None` if the key or what it is bound to is another one, or a bit is.
pub(super) fn open(key: &Key, bound: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE)?;
    let (sealed, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    decrypt_aead(Cipher::aes_256_gcm(), key, Some(nonce), bound, sealed, tag).ok()
}

impl Vault {
    /// Seal bytes, bound to `bound`. `NoKey` where the owner has given no key.
    pub fn seal_bytes(&self, bound: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(seal(&self.derive("everpost bytes 1", &[])?, bound.as_bytes(), plain)?)
    }

    /// Open what [`Vault::seal_bytes`] sealed. `Closed`, naming `bound`, if it is not whole or the key is another one.
    pub fn open_bytes(&self, bound: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let opened = open(&self.derive("everpost bytes 1", &[])?, bound.as_bytes(), sealed);
        opened.ok_or_else(|| Error::Closed { what: bound.to_owned() })
    }

    /// A name for `bytes` that tells nothing to who has no key: HMAC-SHA256, another one for each `bound`.
    /// `bound` holds no U+0000.
    pub fn name_of(&self, bound: &str, bytes: &[u8]) -> Result<[u8; 32], Error> {
        let key = PKey::hmac(&self.derive("everpost names 1", &[])?)?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.update(bound.as_bytes())?;
        signer.update(&[0])?;
        signer.update(bytes)?;
        let mut name = [0; 32];
        signer.sign(&mut name)?;
        Ok(name)
    }

    /// Begin a sealed file in `sink`, bound to `bound`. Holds a piece of 64 KiB in memory at a time.
    pub fn seal_file<W: Write>(&self, bound: &str, mut sink: W) -> Result<Sealing<W>, Error> {
        let mut salt = [0; SALT];
        openssl::rand::rand_bytes(&mut salt)?;
        let key = self.derive(&format!("everpost file 1\n{bound}"), &salt)?;
        sink.write_all(MAGIC)?;
        sink.write_all(&salt)?;
        Ok(Sealing { key, sink, piece: Vec::with_capacity(CHUNK), pieces: 0 })
    }

    /// Open a sealed file into `sink`. `Closed`, naming `bound`, if it is not whole or the key is another one; then what
    /// `sink` got so far is the file's true beginning, and to be thrown away.
    pub fn open_sealed(&self, bound: &str, source: &mut dyn Read, sink: &mut dyn Write) -> Result<(), Error> {
        let closed = || Error::Closed { what: bound.to_owned() };
        let head = read_up_to(source, MAGIC.len() + SALT)?;
        let salt = head.strip_prefix(MAGIC).filter(|salt| salt.len() == SALT).ok_or_else(closed)?;
        let key = self.derive(&format!("everpost file 1\n{bound}"), salt)?;
        let mut sealed = read_up_to(source, CHUNK + TAG)?;
        let mut pieces = 0;
        loop {
            let next = read_up_to(source, CHUNK + TAG)?;
            let nonce = nonce(pieces, next.is_empty());
            let (text, tag) = sealed.len().checked_sub(TAG).map(|at| sealed.split_at(at)).ok_or_else(closed)?;
            let plain = decrypt_aead(Cipher::aes_256_gcm(), &key, Some(&nonce), &[], text, tag);
            sink.write_all(&plain.map_err(|_| closed())?)?;
            if next.is_empty() {
                return Ok(());
            }
            (sealed, pieces) = (next, pieces + 1);
        }
    }

    /// A key for one purpose, by HKDF-SHA256 (RFC 5869): no two purposes ever share one.
    fn derive(&self, purpose: &str, salt: &[u8]) -> Result<Key, Error> {
        let own = self.key.as_ref().ok_or(Error::NoKey)?;
        let mut derivation = PkeyCtx::new_id(Id::HKDF)?;
        derivation.derive_init()?;
        derivation.set_hkdf_md(Md::sha256())?;
        derivation.set_hkdf_key(own)?;
        derivation.set_hkdf_salt(salt)?;
        derivation.add_hkdf_info(purpose.as_bytes())?;
        let mut key = [0; 32];
        derivation.derive(Some(&mut key))?;
        Ok(key)
    }
}

/// A file that is being sealed, in pieces. It opens only once it was finished.
pub struct Sealing<W: Write> {
    key: Key,
    sink: W,
    piece: Vec<u8>,
    pieces: u32,
}

impl<W: Write> Sealing<W> {
    /// Take in more of the file.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            // The last piece is sealed as the last one, so a full one waits until there is more.
            if self.piece.len() == CHUNK {
                self.seal_piece(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.piece.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Seal the end, and give back where it all went.
    pub fn finish(mut self) -> Result<W, Error> {
        self.seal_piece(true)?;
        Ok(self.sink)
    }

    fn seal_piece(&mut self, last: bool) -> Result<(), Error> {
        let mut tag = [0; TAG];
        let nonce = nonce(self.pieces, last);
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), &self.key, Some(&nonce), &[], &self.piece, &mut tag)?;
        self.sink.write_all(&sealed)?;
        self.sink.write_all(&tag)?;
        self.pieces = self.pieces.checked_add(1).ok_or_else(|| Error::Crypto("the file is too long".to_owned()))?;
        self.piece.clear();
        Ok(())
    }
}

/// The nonce of a piece: its number, and whether it is the last. So pieces can be neither moved nor left out. Each file
/// has a key of its own, so that no nonce is used twice.
fn nonce(piece: u32, last: bool) -> [u8; NONCE] {
    let mut nonce = [0; NONCE];
    nonce[7..11].copy_from_slice(&piece.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce
}

/// `limit` bytes, fewer at the end.
fn read_up_to(source: &mut dyn Read, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    source.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault { key: Some([byte; 32]) }
    }

    fn sealed_file(plain: &[u8]) -> Vec<u8> {
        let mut sealing = vault(7).seal_file("file 1", Vec::new()).unwrap();
        plain.chunks(1000).for_each(|part| sealing.push(part).unwrap());
        sealing.finish().unwrap()
    }

    fn opened(vault: &Vault, bound: &str, mut sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        vault.open_sealed(bound, &mut sealed, &mut plain).map(|()| plain)
    }

    #[test]
    fn sealed_bytes_open_with_their_own_key_and_in_their_own_place_alone() {
        let sealed = vault(7).seal_bytes("post 1", b"some words").unwrap();
        assert_eq!(vault(7).open_bytes("post 1", &sealed).unwrap(), b"some words");
        for (other, bound) in [(vault(8), "post 1"), (vault(7), "post 2")] {
            assert!(matches!(other.open_bytes(bound, &sealed), Err(Error::Closed { .. })));
        }
        assert!(matches!(Vault { key: None }.open_bytes("post 1", &sealed), Err(Error::NoKey)));
        assert!(matches!(Vault { key: None }.seal_bytes("post 1", b""), Err(Error::NoKey)));
        assert_ne!(sealed, vault(7).seal_bytes("post 1", b"some words").unwrap(), "no nonce is used twice");
    }

    #[test]
    fn a_flipped_bit_or_a_lost_byte_is_found_wherever_it_is() {
        let sealed = vault(7).seal_bytes("post 1", b"some words").unwrap();
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(vault(7).open_bytes("post 1", &flipped).is_err(), "{at}");
            assert!(vault(7).open_bytes("post 1", &sealed[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_file_of_any_length_opens_to_what_it_was() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let sealed = sealed_file(&plain);
            assert_eq!(opened(&vault(7), "file 1", &sealed).unwrap(), plain, "{length}");
            assert!(opened(&vault(8), "file 1", &sealed).is_err(), "{length}");
            assert!(opened(&vault(7), "file 2", &sealed).is_err(), "{length}");
        }
    }

    #[test]
    fn a_sealed_file_cannot_be_cut_turned_round_or_added_to() {
        let plain: Vec<u8> = (0..3 * CHUNK + 17).map(|at| (at % 251) as u8).collect();
        let (sealed, head) = (sealed_file(&plain), MAGIC.len() + SALT);
        let piece = CHUNK + TAG;
        for end in [0, 5, head, head + 5, head + piece, head + 2 * piece, head + 3 * piece, sealed.len() - 1] {
            assert!(opened(&vault(7), "file 1", &sealed[..end]).is_err(), "{end}");
        }
        let swapped = [&sealed[..head], &sealed[head + piece..head + 2 * piece], &sealed[head..head + piece]].concat();
        assert!(opened(&vault(7), "file 1", &swapped).is_err());
        assert!(opened(&vault(7), "file 1", &[&sealed[..], b"x"].concat()).is_err());
        for at in (0..sealed.len()).step_by(4099) {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(opened(&vault(7), "file 1", &flipped).is_err(), "{at}");
        }
    }

    #[test]
    fn a_name_is_the_same_each_time_and_another_one_for_each_key_and_purpose() {
        let name = vault(7).name_of("post 1", b"k").unwrap();
        assert_eq!(name, vault(7).name_of("post 1", b"k").unwrap());
        for other in
            [vault(8).name_of("post 1", b"k"), vault(7).name_of("post 2", b"k"), vault(7).name_of("post 1", b"l")]
        {
            assert_ne!(name, other.unwrap());
        }
    }
}
