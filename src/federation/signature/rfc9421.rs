//! RFC 9421, HTTP Message Signatures, of requests: what Mastodon and Fedify send, and what the RFC allows beside it.
//!
//! What has to be covered follows Mastodon (R-79); the parts themselves are `fields`.

use super::{Algorithm, Claim, Digests, Error, Head, Scheme, Signer, checked_key_id, digest, fields, shown, window};
use chrono::{DateTime, Utc};
use openssl::hash::MessageDigest;
use openssl::pkey::Id;
use sfv::{BareItem, FieldType, InnerList, Item, ListEntry, Parameters};

/// Most signatures that are looked at. A request has one, and one more for each proxy that signs.
const MOST_SIGNATURES: usize = 8;
/// Most components that a signature may cover.
const MOST_COMPONENTS: usize = 64;
/// The name under which we sign.
const LABEL: &str = "sig1";

/// Read all signatures of a request; those that cover enough and are of our time, or why none is.
pub(super) fn read(head: &Head<'_>, now: i64) -> Result<Vec<Claim>, Error> {
    let inputs = fields::dictionary(&head.field("signature-input").unwrap_or_default(), "Signature-Input")?;
    let signatures = fields::dictionary(&head.field("signature").ok_or(Error::Missing)?, "Signature")?;
    if inputs.len() > MOST_SIGNATURES {
        return Err(Error::Malformed(format!("there are more than {MOST_SIGNATURES} signatures")));
    }
    let mut claims = Vec::new();
    let mut refused = Error::Missing;
    for (label, input) in inputs {
        let signature = signatures.iter().find(|(other, _)| **other == label).map(|(_, signature)| signature);
        match judge(head, input, signature, now) {
            Ok(claim) => claims.push(claim),
            Err(error) => refused = error,
        }
    }
    if claims.is_empty() { Err(refused) } else { Ok(claims) }
}

/// One signature as a claim, if it covers what it has to and its time is right.
fn judge(head: &Head<'_>, input: ListEntry, signature: Option<&ListEntry>, now: i64) -> Result<Claim, Error> {
    let ListEntry::InnerList(covered) = input else {
        return Err(Error::Malformed("a member of Signature-Input is not a list".to_owned()));
    };
    let created = seconds(&covered.params, "created")?;
    let created = created.ok_or_else(|| Error::Malformed("the parameter created is missing".to_owned()))?;
    window::judge(created, seconds(&covered.params, "expires")?, now)?;
    covers_enough(head, &covered)?;
    claim(head, &covered, signature)
}

/// Whether the signature is bound to method, URL and, where there is one, body.
fn covers_enough(head: &Head<'_>, covered: &InnerList) -> Result<(), Error> {
    // A parameter that changes what is covered does not count here, but for a digest (which is then read in the same way).
    let plain = |name: &str| {
        covered.items.iter().any(|item| item.params.is_empty() && fields::name(item).is_ok_and(|other| other == name))
    };
    let host = plain("@authority") || plain("host");
    let path = plain("@request-target") || (plain("@path") && (plain("@query") || head.query().is_none()));
    if !plain("@method") {
        return Err(Error::Uncovered("@method"));
    }
    if !(plain("@target-uri") || (host && path)) {
        return Err(Error::Uncovered("@target-uri"));
    }
    if head.has_body() && !covered.items.iter().any(is_digest) {
        return Err(Error::Uncovered("content-digest"));
    }
    Ok(())
}

fn is_digest(item: &Item) -> bool {
    fields::name(item).is_ok_and(|name| name == "content-digest")
}

/// The claim, whatever it covers.
fn claim(head: &Head<'_>, covered: &InnerList, signature: Option<&ListEntry>) -> Result<Claim, Error> {
    let signature = match signature {
        Some(ListEntry::Item(Item { bare_item: BareItem::ByteSequence(bytes), .. })) => bytes.clone(),
        Some(_) => return Err(Error::Malformed("a member of Signature is not a byte sequence".to_owned())),
        None => return Err(Error::Malformed("a member of Signature-Input is missing in Signature".to_owned())),
    };
    let key_id = text(&covered.params, "keyid")?;
    let key_id = key_id.ok_or_else(|| Error::Malformed("the parameter keyid is missing".to_owned()))?;
    let algorithm = match text(&covered.params, "alg")? {
        None => None,
        Some("rsa-v1_5-sha256") => Some(Algorithm::RsaV15Sha256),
        Some("rsa-pss-sha512") => Some(Algorithm::RsaPssSha512),
        Some("ed25519") => Some(Algorithm::Ed25519),
        Some(other) => return Err(Error::Unsupported(format!("the algorithm {}", shown(other)))),
    };
    let digests = match covered.items.iter().find(|item| is_digest(item)) {
        None => None,
        Some(item) => {
            let header = head.field("content-digest").unwrap_or_default();
            Some(Digests::read_content(&header, fields::parameter(item, "key"))?)
        }
    };
    let (key_id, bases) = (checked_key_id(key_id)?, vec![base(head, covered)?]);
    Ok(Claim { scheme: Scheme::Rfc9421, key_id, algorithm, signature, bases, digests })
}

/// The signature base of section 2.5.
fn base(head: &Head<'_>, covered: &InnerList) -> Result<Vec<u8>, Error> {
    if covered.items.len() > MOST_COMPONENTS {
        return Err(Error::Malformed(format!("more than {MOST_COMPONENTS} components are covered")));
    }
    let mut lines: Vec<Vec<u8>> = Vec::with_capacity(covered.items.len() + 1);
    let mut seen: Vec<String> = Vec::with_capacity(covered.items.len());
    for component in &covered.items {
        let identifier = fields::identifier(component);
        if seen.contains(&identifier) {
            return Err(Error::Malformed("a component is covered twice".to_owned()));
        }
        lines.push([identifier.as_bytes(), b": ", &fields::value(head, component)?].concat());
        seen.push(identifier);
    }
    lines.push(format!("\"@signature-params\": {}", serialize(covered)).into_bytes());
    Ok(lines.join(b"\n".as_slice()))
}

/// A list of components with its parameters, as the RFC wants it written.
fn serialize(covered: &InnerList) -> String {
    // A list with one member is never empty, so it always has a form.
    vec![ListEntry::InnerList(covered.clone())].serialize().unwrap_or_default()
}

fn parameter<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a BareItem> {
    parameters.iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value)
}

fn text<'a>(parameters: &'a Parameters, name: &str) -> Result<Option<&'a str>, Error> {
    match parameter(parameters, name) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Error::Malformed(format!("the parameter {name} is not a string"))),
    }
}

fn seconds(parameters: &Parameters, name: &str) -> Result<Option<i64>, Error> {
    match parameter(parameters, name) {
        None => Ok(None),
        Some(BareItem::Integer(number)) => Ok(Some(i64::from(*number))),
        Some(_) => Err(Error::Malformed(format!("the parameter {name} is not a whole number"))),
    }
}

/// The headers that sign a request: Content-Digest where there is a body, Signature-Input, Signature.
///
/// Method, URL and digest are covered, which Mastodon asks for, and nothing that a proxy between might touch.
pub(super) fn sign(
    signer: &Signer<'_>,
    head: &Head<'_>,
    body: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<Vec<(&'static str, String)>, Error> {
    let algorithm = match signer.key.id() {
        Id::RSA => "rsa-v1_5-sha256",
        Id::ED25519 => "ed25519",
        _ => return Err(Error::WrongKey("only RSA and Ed25519 keys sign".to_owned())),
    };
    let mut headers: Vec<_> = body.map(|body| ("content-digest", digest::content_digest(body))).into_iter().collect();
    let digest = if body.is_some() { r#" "content-digest""# } else { "" };
    let key_id = signer.key_id;
    let input = format!(
        r#"{LABEL}=("@method" "@target-uri"{digest});created={};keyid="{key_id}";alg="{algorithm}""#,
        now.timestamp()
    );
    let mut signed = head.clone();
    signed.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-digest"));
    signed.headers.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let Some((_, ListEntry::InnerList(covered))) = fields::dictionary(input.as_bytes(), "Signature-Input")?.pop()
    else {
        return Err(Error::Malformed("the key id is not a URL".to_owned()));
    };
    let base = base(&signed, &covered)?;
    let made = match signer.key.id() {
        Id::RSA => openssl::sign::Signer::new(MessageDigest::sha256(), signer.key),
        _ => openssl::sign::Signer::new_without_digest(signer.key),
    };
    let made = made.and_then(|mut with| with.sign_oneshot_to_vec(&base));
    let made = made.map_err(|_| Error::WrongKey("openssl refuses to sign with it".to_owned()))?;
    headers.push(("signature-input", input));
    headers.push(("signature", format!("{LABEL}=:{}:", multibase::Base::Base64Pad.encode(made))));
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::super::{Bound, Kind, PublicKey};
    use super::*;
    use openssl::pkey::PKey;

    /// The keys of the RFC's appendix B.1.
    const RSA_PSS: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-test-key-rsa-pss.pem");
    const RSA: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-test-key-rsa.pem");
    const ED25519: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-test-key-ed25519.pem");
    const ED25519_PRIVATE: &str =
        include_str!("../../../tests/fixtures/signatures/rfc9421-test-key-ed25519-private.pem");
    /// The signatures of its appendix B.2: Signature-Input, Signature and the signature base, parted by empty lines.
    const B_2_1: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-b-2-1.txt");
    const B_2_2: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-b-2-2.txt");
    const B_2_3: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-b-2-3.txt");
    const B_2_6: &str = include_str!("../../../tests/fixtures/signatures/rfc9421-b-2-6.txt");
    const BODY: &[u8] = br#"{"hello": "world"}"#;
    const DIGEST: &str =
        "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
    const THEN: i64 = 1_618_884_473;

    fn request<'a>(input: &'a str, signature: &'a str) -> Head<'a> {
        let headers = [
            ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("Content-Type", "application/json"),
            ("Content-Digest", DIGEST),
            ("Content-Length", "18"),
            ("Signature-Input", input),
            ("Signature", signature),
        ];
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        Head { method: "POST", scheme: "https", authority: "example.com", target: "/foo?param=Value&Pet=dog", headers }
    }

    /// The only claim of a request, whatever it covers.
    fn only(head: &Head<'_>) -> Result<Claim, Error> {
        let inputs = fields::dictionary(&head.field("signature-input").unwrap(), "Signature-Input")?;
        let signatures = fields::dictionary(&head.field("signature").unwrap(), "Signature")?;
        let (label, ListEntry::InnerList(covered)) = inputs.first().unwrap() else { panic!("no list") };
        claim(head, covered, signatures.get(label))
    }

    fn published(vector: &str, key: &str) {
        let [input, signature, base] = vector.split("\n\n").map(str::trim).collect::<Vec<_>>().try_into().unwrap();
        let key = PublicKey::from_pem(key).unwrap();
        let claim = only(&request(input, signature)).unwrap();
        assert_eq!(String::from_utf8(claim.bases[0].clone()).unwrap(), base);
        if claim.digests.is_some() {
            assert_eq!(claim.bind(BODY).map(drop), Ok(()));
            assert_eq!(claim.bind(b"{}").map(drop), Err(Error::WrongBody));
        }
        let algorithm = if key.kind() == Kind::Rsa { Some(Algorithm::RsaPssSha512) } else { None };
        let claim = Claim { algorithm, ..claim };
        assert_eq!(Bound { claim: &claim }.verify(&key), Ok(()), "{input}");
        let mut bases = claim.bases.clone();
        bases[0].push(b' ');
        assert_eq!(Bound { claim: &Claim { bases, ..claim } }.verify(&key), Err(Error::Forged));
    }

    #[test]
    fn the_published_signatures_of_the_specification_are_verified() {
        published(B_2_1, RSA_PSS);
        published(B_2_2, RSA_PSS);
        published(B_2_3, RSA_PSS);
        published(B_2_6, ED25519);
    }

    #[test]
    fn the_published_ed25519_signature_is_made_again_to_the_byte() {
        let [input, signature, _] = B_2_6.split("\n\n").map(str::trim).collect::<Vec<_>>().try_into().unwrap();
        let claim = only(&request(input, signature)).unwrap();
        let key = PKey::private_key_from_pem(ED25519_PRIVATE.as_bytes()).unwrap();
        let made =
            openssl::sign::Signer::new_without_digest(&key).unwrap().sign_oneshot_to_vec(&claim.bases[0]).unwrap();
        assert_eq!(made, claim.signature);
    }

    #[test]
    fn of_the_published_signatures_one_covers_enough_for_an_inbox() {
        for (vector, missing) in
            [(B_2_1, Some("@method")), (B_2_2, Some("@method")), (B_2_3, None), (B_2_6, Some("@target-uri"))]
        {
            let [input, signature, _] = vector.split("\n\n").map(str::trim).collect::<Vec<_>>().try_into().unwrap();
            let verdict = read(&request(input, signature), THEN).map(drop);
            assert_eq!(verdict, missing.map_or(Ok(()), |missing| Err(Error::Uncovered(missing))), "{input}");
        }
    }

    fn judged(method: &str, input: &str) -> Result<Vec<Claim>, Error> {
        read(&Head { method, ..request(input, "a=:AAAA:, b=:AAAA:") }, THEN)
    }

    const PARAMETERS: &str = r#"created=1618884473;keyid="k""#;

    #[test]
    fn method_url_and_digest_have_to_be_covered() {
        for (covered, missing) in [
            (r#""@method" "@target-uri" "content-digest""#, None),
            (r#""@method" "@authority" "@path" "@query" "content-digest";sf"#, None),
            (r#""@method" "host" "@request-target" "content-digest";key="sha-512""#, None),
            (r#""@target-uri" "content-digest""#, Some("@method")),
            (r#""@method" "@authority" "content-digest""#, Some("@target-uri")),
            (r#""@method" "@authority" "@path" "content-digest""#, Some("@target-uri")),
            (r#""@method" "@path" "@query" "content-digest""#, Some("@target-uri")),
            (r#""@method" "@target-uri""#, Some("content-digest")),
        ] {
            let verdict = judged("POST", &format!("a=({covered});{PARAMETERS}")).map(drop);
            assert_eq!(verdict, missing.map_or(Ok(()), |missing| Err(Error::Uncovered(missing))), "{covered}");
        }
        let claims = judged("GET", &format!(r#"a=("@method" "@target-uri");{PARAMETERS}"#)).unwrap();
        assert_eq!(claims[0].bind(b"x").map(drop), Err(Error::Uncovered("a digest of the body")));
    }

    #[test]
    fn a_digest_that_is_covered_in_part_is_judged_by_that_part() {
        let input = format!(r#"a=("@method" "@target-uri" "content-digest";key="sha-256");{PARAMETERS}"#);
        assert!(matches!(judged("POST", &input), Err(Error::Unsupported(_))), "there is no such member");
    }

    #[test]
    fn created_and_keyid_are_needed_and_the_window_is_mastodons() {
        let covered = r#"a=("@method" "@target-uri" "content-digest")"#;
        for (parameters, good) in [
            (format!(r#"created={};keyid="k""#, THEN - 3900), true),
            (format!(r#"created={};keyid="k""#, THEN - 3901), false),
            (format!(r#"created={};keyid="k""#, THEN + 3601), false),
            (format!(r#"created={};expires={THEN};keyid="k""#, THEN - 13 * 3600), true),
            (format!(r#"created={};expires={THEN};keyid="k""#, THEN - 13 * 3600 - 1), false),
            (format!(r#"created={THEN};expires={};keyid="k""#, THEN - 3601), false),
            (format!(r#"created={THEN};keyid="k";nonce="n";tag="t""#), true),
            (r#"keyid="k""#.to_owned(), false),
            (format!("created={THEN}"), false),
            (format!(r#"created="{THEN}";keyid="k""#), false),
            (format!(r#"created={THEN}.5;keyid="k""#), false),
            (format!("created={THEN};keyid=k"), false),
            (format!(r#"created={THEN};keyid="""#), false),
        ] {
            assert_eq!(judged("POST", &format!("{covered};{parameters}")).is_ok(), good, "{parameters}");
        }
    }

    #[test]
    fn any_of_several_signatures_may_be_the_one() {
        let good = format!(r#"("@method" "@target-uri" "content-digest");{PARAMETERS}"#);
        let other = r#"("@authority");created=1618884473;keyid="proxy""#;
        let key_ids = |input: &str| {
            judged("POST", input).map(|claims| claims.into_iter().map(|claim| claim.key_id).collect::<Vec<_>>())
        };
        assert_eq!(key_ids(&format!("b={other}, a={good}")), Ok(vec!["k".to_owned()]));
        assert_eq!(key_ids(&format!("b={good}, a={good}")).unwrap().len(), 2);
        assert!(key_ids(&format!("a={good}, a={good}")).is_err(), "a label that stands twice");
        assert!(key_ids(&format!("c={good}")).is_err(), "no such signature");
        let many: Vec<String> = (0..9).map(|at| format!("a{at}={good}")).collect();
        assert!(key_ids(&many.join(", ")).is_err());
    }

    #[test]
    fn what_is_covered_twice_or_unknown_is_refused() {
        for covered in [
            r#""@method" "@target-uri" "content-digest" "@method""#,
            r#""@method" "@target-uri" "content-digest" "@status""#,
            r#""@method" "@target-uri" "content-digest" "@signature-params""#,
            r#""@method" "@target-uri" "content-digest" "x-absent""#,
            r#""@method" "@target-uri" "content-digest" date"#,
            r#""@method";req "@target-uri" "content-digest""#,
        ] {
            assert!(judged("POST", &format!("a=({covered});{PARAMETERS}")).is_err(), "{covered}");
        }
        for input in ["a", "a=1", "a=(", "", "a=();created=1;keyid=\"k\", b"] {
            assert!(judged("POST", input).is_err(), "{input}");
        }
    }

    #[test]
    fn the_algorithm_must_be_one_of_the_keys_kind() {
        let covered = r#"a=("@method" "@target-uri" "content-digest")"#;
        for other in ["hmac-sha256", "ecdsa-p256-sha256", "none", "RSA-PSS-SHA512", ""] {
            let verdict = judged("POST", &format!(r#"{covered};{PARAMETERS};alg="{other}""#));
            assert!(matches!(verdict, Err(Error::Unsupported(_))), "{other}");
        }
        let keys = [RSA, ED25519].map(|key| PublicKey::from_pem(key).unwrap());
        for (algorithm, wrong) in [("ed25519", 0), ("rsa-v1_5-sha256", 1), ("rsa-pss-sha512", 1)] {
            let claims = judged("POST", &format!(r#"{covered};{PARAMETERS};alg="{algorithm}""#)).unwrap();
            let verdicts = [0, 1].map(|key| claims[0].bind(BODY).unwrap().verify(&keys[key]).unwrap_err());
            assert!(matches!(verdicts[wrong], Error::WrongKey(_)), "{verdicts:?}");
            assert_eq!(verdicts[1 - wrong], Error::Forged);
        }
    }
}
