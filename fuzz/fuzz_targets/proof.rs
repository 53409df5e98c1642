#![no_main]
//! Integrity proofs of objects. Nothing here is signed by the key.

use everpost::federation::proof;
use everpost::federation::signature::PublicKey;
use std::sync::OnceLock;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static KEY: OnceLock<PublicKey> = OnceLock::new();
    // A key of nobody: 32 bytes that no seed was signed with.
    let key = KEY.get_or_init(|| {
        let key = openssl::pkey::PKey::generate_ed25519().expect("a key");
        let raw = [[0xed, 0x01].as_slice(), &key.raw_public_key().expect("its bytes")].concat();
        PublicKey::from_multikey(&multibase::encode(multibase::Base::Base58Btc, raw)).expect("a key")
    });
    let now = chrono::DateTime::from_timestamp(1_795_521_600, 0).expect("a time");
    let Ok(document) = serde_json::from_slice(bytes) else { return };
    match proof::read(&document, now) {
        Ok(Some(proof)) => {
            assert!(!proof.verification_method().is_empty() && proof.verification_method().len() <= 2048);
            assert!(proof.verify(key).is_err(), "nobody signed this");
        }
        Ok(None) => {}
        Err(error) => drop(error.to_string()),
    }
});
