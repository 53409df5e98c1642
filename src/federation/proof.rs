//! Object integrity proofs (FEP-8b32) by `eddsa-jcs-2022`: a JSON object that shows by itself who wrote it.
//!
//! Must never know what the object says, nor fetch the key: it names the key, and its caller brings it. Start with
//! [`read`] for what comes in and with [`add`] for what goes out.

use crate::federation::signature::{Error, Kind, PublicKey};
use chrono::{DateTime, SecondsFormat, Utc};
use multibase::Base;
use openssl::pkey::{Id, PKey, Private};
use openssl::sha::sha256;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The JSON-LD context that gives `proof` its meaning.
pub const CONTEXT: &str = "https://w3id.org/security/data-integrity/v2";

const TYPE: &str = "DataIntegrityProof";
const CRYPTOSUITE: &str = "eddsa-jcs-2022";
const PURPOSE: &str = "assertionMethod";
/// Longest `proofValue`, in bytes: a signature has 89.
const LONGEST_VALUE: usize = 128;
/// Longest `verificationMethod`, in bytes: as long as a URL that others store.
const LONGEST_METHOD: usize = 2048;

/// What an object's proof claims. It lacks the key.
#[derive(Clone, Debug)]
pub struct Proof {
    verification_method: String,
    created: Option<DateTime<Utc>>,
    signature: Vec<u8>,
    /// What may have been signed: more than one where writers differ.
    hashes: Vec<Vec<u8>>,
}

/// Read the proof of an object, if it carries one.
///
/// Of several proofs the first that we can verify counts. A proof that we cannot is an error and not silence: whoever
/// takes an object with a proof has to look at it (FEP-8b32).
pub fn read(document: &Value, now: DateTime<Utc>) -> Result<Option<Proof>, Error> {
    let Some(document) = document.as_object() else { return Ok(None) };
    match document.get("proof") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(proofs)) if proofs.is_empty() => Ok(None),
        Some(Value::Array(proofs)) => {
            let mut refused = malformed("there are too many proofs");
            for proof in proofs.iter().take(4) {
                match judge(document, proof, now) {
                    Ok(proof) => return Ok(Some(proof)),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        }
        Some(proof) => judge(document, proof, now).map(Some),
    }
}

/// Sign an object with an account's Ed25519 key, in place of any proof that it has.
///
/// `verification_method` is the URL of the key in the actor's `assertionMethod`. [`CONTEXT`] is added to the object's
/// `@context`, and that to the proof: Mastodon and the specification take it from there, Fedify from the object. The same
/// input gives the same proof. Fails with [`Error::Malformed`] if the object has no `@context`, with [`Error::WrongKey`]
/// if the key is not Ed25519.
pub fn add(
    document: &mut Value,
    verification_method: &str,
    key: &PKey<Private>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if key.id() != Id::ED25519 {
        return Err(Error::WrongKey("a proof is made with Ed25519".to_owned()));
    }
    let document = document.as_object_mut().ok_or_else(|| malformed("what is signed is not an object"))?;
    let mut context = match document.get("@context") {
        Some(Value::Array(context)) => context.clone(),
        Some(Value::String(context)) => vec![json!(context)],
        _ => return Err(malformed("the object has no @context")),
    };
    if !context.contains(&json!(CONTEXT)) {
        context.push(json!(CONTEXT));
    }
    document.insert("@context".to_owned(), json!(context));
    document.remove("proof");
    let object = if document.contains_key("signature") { hash(&unsecured(document))? } else { hash(document)? };
    let mut proof = json!({
        "@context": context,
        "type": TYPE,
        "cryptosuite": CRYPTOSUITE,
        "verificationMethod": verification_method,
        "proofPurpose": PURPOSE,
        "created": now.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    let hash = [hash(&proof)?, object].concat();
    let made = openssl::sign::Signer::new_without_digest(key).and_then(|mut with| with.sign_oneshot_to_vec(&hash));
    let made = made.map_err(|_| Error::WrongKey("openssl refuses to sign with it".to_owned()))?;
    proof["proofValue"] = json!(multibase::encode(Base::Base58Btc, made));
    document.insert("proof".to_owned(), proof);
    Ok(())
}

impl Proof {
    /// The URL of the key that is said to have made it. It has to be among the `assertionMethod` of the object's author.
    pub fn verification_method(&self) -> &str {
        &self.verification_method
    }

    /// When it says that it was made. How old it may be depends on where it is met: what stands somewhere may be old, what
    /// is passed on may not.
    pub fn created(&self) -> Option<DateTime<Utc>> {
        self.created
    }

    /// What tells it from every other proof, whoever passes it on: a hash of its value.
    pub fn seal(&self) -> [u8; 32] {
        sha256(&self.signature)
    }

    /// Whether this key made it.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        if key.kind() != Kind::Ed25519 {
            return Err(Error::WrongKey("a proof is made with Ed25519".to_owned()));
        }
        let proven = self.hashes.iter().any(|hash| key.proves(key.usual(), hash, &self.signature));
        if proven { Ok(()) } else { Err(Error::Forged) }
    }
}

/// One proof of an object (Data Integrity EdDSA Cryptosuites, section 3.3.2).
fn judge(document: &Map<String, Value>, proof: &Value, now: DateTime<Utc>) -> Result<Proof, Error> {
    let proof = proof.as_object().ok_or_else(|| malformed("the proof is not an object"))?;
    let text = |name: &str| proof.get(name).and_then(Value::as_str);
    if text("type") != Some(TYPE) || text("cryptosuite") != Some(CRYPTOSUITE) {
        return Err(Error::Unsupported("a proof other than DataIntegrityProof by eddsa-jcs-2022".to_owned()));
    }
    if text("proofPurpose") != Some(PURPOSE) {
        return Err(Error::Unsupported("a proof for another purpose than assertionMethod".to_owned()));
    }
    if proof.contains_key("previousProof") {
        return Err(Error::Unsupported("a chain of proofs".to_owned()));
    }
    let method = text("verificationMethod").filter(|method| (1..=LONGEST_METHOD).contains(&method.len()));
    let method = method.ok_or_else(|| malformed("the proof names no key"))?;
    // It is looked up, and the database has no room for every character.
    if method.contains(char::is_control) || url::Url::parse(method).is_err() {
        return Err(malformed("the proof's key is not named by a URL"));
    }
    let created = time(proof, "created")?;
    if time(proof, "expires")?.is_some_and(|end| end < now) {
        return Err(Error::Outdated("the proof says that it has ended"));
    }
    let value = text("proofValue").filter(|value| value.starts_with('z') && value.len() <= LONGEST_VALUE);
    let value = value.and_then(|value| multibase::decode(value).ok());
    let Some((_, signature)) = value.filter(|(_, bytes)| bytes.len() == 64) else {
        return Err(malformed("the proof's value is not 64 bytes in base58btc"));
    };
    let (method, hashes) = (method.to_owned(), hashes(document, proof)?);
    Ok(Proof { verification_method: method, created, signature, hashes })
}

/// What was signed: the hash of the proof's own settings, and that of the object.
fn hashes(document: &Map<String, Value>, proof: &Map<String, Value>) -> Result<Vec<Vec<u8>>, Error> {
    let mut config = proof.clone();
    config.remove("proofValue");
    let mut unsecured = unsecured(document);
    let context = unsecured.get("@context").cloned();
    if let Some(own) = proof.get("@context") {
        // What stands in the object behind the proof's context was added by somebody on the way.
        if !starts_with(context.as_ref(), own) {
            return Err(malformed("the object's @context does not start with that of the proof"));
        }
        unsecured.insert("@context".to_owned(), own.clone());
        return Ok(vec![[hash(&config)?, hash(&unsecured)?].concat()]);
    }
    let object = hash(&unsecured)?;
    let mut hashes = vec![[hash(&config)?, object].concat()];
    if let Some(context) = context {
        // Fedify 2.3 judges by the object's context, whether the proof names one or not; what it takes, we take.
        config.insert("@context".to_owned(), context);
        hashes.push([hash(&config)?, object].concat());
    }
    Ok(hashes)
}

/// An object without what was added after signing: its proofs, and a Linked Data signature (FEP-8b32).
fn unsecured(document: &Map<String, Value>) -> Map<String, Value> {
    let kept = document.iter().filter(|(name, _)| !matches!(name.as_str(), "proof" | "signature"));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The SHA-256 of a value in its canonical form (RFC 8785).
fn hash(value: &impl Serialize) -> Result<[u8; 32], Error> {
    let canonical = serde_json_canonicalizer::to_vec(value);
    canonical.map(|bytes| sha256(&bytes)).map_err(|_| malformed("the object has no canonical form"))
}

fn starts_with(whole: Option<&Value>, start: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    whole.is_some_and(|whole| list(whole).starts_with(&list(start)))
}

fn time(proof: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, Error> {
    let Some(value) = proof.get(name) else { return Ok(None) };
    let read = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let read = read.ok_or_else(|| malformed("a time of the proof is none"))?;
    Ok(Some(read.to_utc()))
}

fn malformed(why: &str) -> Error {
    Error::Malformed(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key of the vectors in both specifications.
    const PUBLIC: &str = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2";
    const PRIVATE: &str = "z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq";
    const SIGNED: &str = include_str!("../../tests/fixtures/signatures/eddsa-jcs-2022-signed.json");
    const CANONICAL: &str = include_str!("../../tests/fixtures/signatures/eddsa-jcs-2022-canonical.txt");
    const HASH: &str = include_str!("../../tests/fixtures/signatures/eddsa-jcs-2022-hash.txt");
    const ACTIVITY: &str = include_str!("../../tests/fixtures/signatures/fep-8b32-signed.json");

    fn private() -> PKey<Private> {
        let (_, bytes) = multibase::decode(PRIVATE).unwrap();
        // `ed25519-priv`, 0x1300 as a varint.
        PKey::private_key_from_raw_bytes(bytes.strip_prefix(&[0x80, 0x26]).unwrap(), Id::ED25519).unwrap()
    }

    fn public() -> PublicKey {
        PublicKey::from_multikey(PUBLIC).unwrap()
    }

    fn then() -> DateTime<Utc> {
        "2023-02-24T23:36:38Z".parse().unwrap()
    }

    fn verdict(document: &Value) -> Result<(), Error> {
        read(document, then()).and_then(|proof| proof.expect("a proof").verify(&public()))
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn activity() -> Value {
        parsed(ACTIVITY)
    }

    #[test]
    fn the_published_credential_is_verified_step_by_step() {
        let signed = parsed(SIGNED);
        let unsecured = unsecured(signed.as_object().unwrap());
        assert_eq!(serde_json_canonicalizer::to_string(&unsecured).unwrap(), CANONICAL.trim());
        let proof = read(&signed, then()).unwrap().unwrap();
        let hex: String = proof.hashes[0].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, HASH.trim());
        assert_eq!(proof.verification_method(), format!("did:key:{PUBLIC}#{PUBLIC}"));
        assert_eq!(proof.verify(&public()), Ok(()));
    }

    #[test]
    fn the_published_activity_is_verified_and_signed_to_the_byte() {
        let signed = activity();
        assert_eq!(verdict(&signed), Ok(()));
        let mut made = signed.clone();
        made.as_object_mut().unwrap().remove("proof");
        add(&mut made, "https://server.example/users/alice#ed25519-key", &private(), then()).unwrap();
        assert_eq!(made, signed);
    }

    #[test]
    fn a_change_anywhere_makes_it_forged() {
        for pointer in ["/id", "/actor", "/object/content", "/object/location/latitude", "/proof/verificationMethod"] {
            let mut changed = activity();
            *changed.pointer_mut(pointer).unwrap() = json!("https://server.example/other");
            assert_eq!(verdict(&changed), Err(Error::Forged), "{pointer}");
        }
        let mut changed = activity();
        changed["proof"]["created"] = json!("2023-02-24T23:36:39Z");
        assert_eq!(verdict(&changed), Err(Error::Forged));
        let mut more = activity();
        more["to"] = json!([]);
        assert_eq!(verdict(&more), Err(Error::Forged));
        let other = PKey::generate_ed25519().unwrap().raw_public_key().unwrap();
        let other = PublicKey::new(PKey::public_key_from_raw_bytes(&other, Id::ED25519).unwrap()).unwrap();
        assert_eq!(read(&activity(), then()).unwrap().unwrap().verify(&other), Err(Error::Forged));
    }

    #[test]
    fn a_linked_data_signature_and_a_longer_context_change_nothing() {
        let mut relayed = activity();
        relayed["signature"] = json!({"type": "RsaSignature2017"});
        relayed["@context"].as_array_mut().unwrap().push(json!("https://w3id.org/security/v1"));
        assert_eq!(verdict(&relayed), Ok(()));
        relayed["@context"].as_array_mut().unwrap().remove(0);
        assert!(matches!(verdict(&relayed), Err(Error::Malformed(_))));
    }

    #[test]
    fn the_context_may_be_signed_without_standing_in_the_proof() {
        for told in [true, false] {
            let mut document =
                json!({"@context": ["https://www.w3.org/ns/activitystreams"], "id": "https://a.example/1"});
            let mut config = json!({"type": TYPE, "cryptosuite": CRYPTOSUITE, "proofPurpose": PURPOSE,
                "verificationMethod": "https://a.example/key", "created": "2023-02-24T23:36:38Z"});
            let mut proof = config.clone();
            if told {
                config["@context"] = document["@context"].clone();
            }
            let hash = [hash(&config).unwrap(), hash(&document).unwrap()].concat();
            let made =
                openssl::sign::Signer::new_without_digest(&private()).unwrap().sign_oneshot_to_vec(&hash).unwrap();
            proof["proofValue"] = json!(multibase::encode(Base::Base58Btc, made));
            document["proof"] = proof;
            assert_eq!(verdict(&document), Ok(()), "{told}");
        }
    }

    #[test]
    fn of_several_proofs_the_first_that_is_known_counts() {
        let mut several = activity();
        let proof = several["proof"].clone();
        several["proof"] = json!([{"type": "Ed25519Signature2020"}, proof]);
        assert_eq!(verdict(&several), Ok(()));
        several["proof"] = json!([{"type": "Ed25519Signature2020"}]);
        assert!(matches!(verdict(&several), Err(Error::Unsupported(_))));
    }

    #[test]
    fn an_object_without_a_proof_has_none() {
        for document in [json!({}), json!(null), json!("x"), json!([]), json!({"proof": null}), json!({"proof": []})] {
            assert!(read(&document, then()).unwrap().is_none(), "{document}");
        }
    }

    #[test]
    fn what_is_no_proof_of_ours_is_refused() {
        for (name, value, unsupported) in [
            ("type", json!("Ed25519Signature2020"), true),
            ("type", json!(["DataIntegrityProof"]), true),
            ("cryptosuite", json!("eddsa-rdfc-2022"), true),
            ("proofPurpose", json!("authentication"), true),
            ("proofPurpose", json!(null), true),
            ("previousProof", json!("urn:x"), true),
            ("verificationMethod", json!(""), false),
            ("verificationMethod", json!({"id": "x"}), false),
            ("verificationMethod", json!("ed25519-key"), false),
            ("verificationMethod", json!("https://server.example/users/alice\u{0}#key"), false),
            ("proofValue", json!("z"), false),
            ("proofValue", json!("u42ff"), false),
            ("proofValue", json!("z".repeat(9999)), false),
            ("created", json!("yesterday"), false),
            ("expires", json!(1), false),
        ] {
            let mut changed = activity();
            changed["proof"][name] = value.clone();
            match read(&changed, then()) {
                Err(Error::Unsupported(_)) => assert!(unsupported, "{name} {value}"),
                Err(Error::Malformed(_)) => assert!(!unsupported, "{name} {value}"),
                other => panic!("{name} {value}: {other:?}"),
            }
        }
        let mut ended = activity();
        ended["proof"]["expires"] = json!("2023-02-24T23:36:37Z");
        assert!(matches!(read(&ended, then()), Err(Error::Outdated(_))));
    }

    #[test]
    fn a_proof_says_when_it_was_made_and_is_told_from_every_other() {
        let (one, mut other) = (read(&activity(), then()).unwrap().unwrap(), activity());
        assert_eq!(one.created(), Some(then()));
        other["name"] = json!("another");
        add(&mut other, "https://server.example/users/alice#ed25519-key", &private(), then()).unwrap();
        assert_ne!(read(&other, then()).unwrap().unwrap().seal(), one.seal());
        let mut timeless = activity();
        timeless["proof"].as_object_mut().unwrap().remove("created");
        assert_eq!(read(&timeless, then()).unwrap().unwrap().created(), None);
    }

    #[test]
    fn only_an_ed25519_key_and_an_object_with_a_context_make_a_proof() {
        let rsa = PKey::from_rsa(openssl::rsa::Rsa::generate(1024).unwrap()).unwrap();
        assert!(matches!(add(&mut activity(), "k", &rsa, then()), Err(Error::WrongKey(_))));
        for mut document in [json!([]), json!({"id": "x"}), json!({"@context": {}})] {
            assert!(matches!(add(&mut document, "k", &private(), then()), Err(Error::Malformed(_))), "{document}");
        }
        let public = PublicKey::new(PKey::public_key_from_der(&rsa.public_key_to_der().unwrap()).unwrap()).unwrap();
        assert!(matches!(read(&activity(), then()).unwrap().unwrap().verify(&public), Err(Error::WrongKey(_))));
    }

    /// Any JSON value, with the numbers and letters at which canonical forms go wrong.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|value| json!(value)),
            any::<i64>().prop_map(|value| json!(value)),
            any::<f64>().prop_filter("JSON has no others", |value| value.is_finite()).prop_map(|value| json!(value)),
            ".*".prop_map(|value| json!(value)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|values| json!(values)),
                prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(|values| json!(values)),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_signed_is_verified_also_after_it_was_written_and_read(inner in value()) {
            let mut document = json!({"@context": "https://www.w3.org/ns/activitystreams", "object": inner});
            add(&mut document, "https://a.example/users/ann#ed25519-key", &private(), then()).unwrap();
            prop_assert_eq!(verdict(&document), Ok(()));
            prop_assert_eq!(verdict(&parsed(&document.to_string())), Ok(()));
            document["object"] = json!({"object": document["object"]});
            prop_assert_eq!(verdict(&document), Err(Error::Forged));
        }

        #[test]
        fn no_value_makes_the_reader_panic(document in value(), proof in value(), part in 0..8_usize) {
            let mut signed = activity();
            let names = ["@context", "type", "cryptosuite", "verificationMethod", "proofPurpose", "proofValue", "created"];
            match names.get(part) {
                Some(name) => signed["proof"][*name] = proof,
                None => signed["proof"] = proof,
            }
            let _ = verdict_of(&signed);
            let _ = verdict_of(&document);
        }
    }

    fn verdict_of(document: &Value) -> Result<(), Error> {
        read(document, then()).and_then(|proof| proof.map_or(Ok(()), |proof| proof.verify(&public())))
    }
}
