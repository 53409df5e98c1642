//! draft-cavage-http-signatures-12, as the fediverse speaks it (R-76 to R-78).
//!
//! Where servers differ from the draft, Mastodon's acceptance is the measure, but for two things: host and request
//! target have to be signed always, and a time counts only if it is signed.

use super::{Algorithm, Claim, Digests, Error, Head, Scheme, Signer, checked_key_id, digest, shown, window};
use chrono::{DateTime, Utc};
use multibase::Base;
use openssl::hash::MessageDigest;
use openssl::pkey::Id;

/// Most headers that a signature may cover. Mastodon covers about ten.
const MOST_HEADERS: usize = 64;
const REQUEST_TARGET: &str = "(request-target)";
const CREATED: &str = "(created)";
const EXPIRES: &str = "(expires)";

/// The parameters of a `Signature` header.
#[derive(Debug, Default)]
struct Parameters {
    all: Vec<(String, String)>,
}

/// Read the signature of a request and judge what it covers and when it was made.
pub(super) fn read(head: &Head<'_>, now: i64) -> Result<Claim, Error> {
    let parameters = match head.lines("signature").count() {
        0 => return Err(Error::Missing),
        1 => Parameters::read(&head.text("signature")?.unwrap_or_default())?,
        _ => return Err(Error::Malformed("there are several headers Signature".to_owned())),
    };
    let names = parameters.headers()?;
    let covered = |name: &str| names.iter().any(|other| other == name);
    for (name, needed) in [
        (REQUEST_TARGET, true),
        ("host", true),
        ("digest", head.has_body()),
        ("date or (created)", !covered(CREATED) && !covered("date")),
    ] {
        if needed && !covered(name) {
            return Err(Error::Uncovered(name));
        }
    }
    let expires = if covered(EXPIRES) { Some(parameters.seconds("expires")?) } else { None };
    if covered(CREATED) {
        window::judge(parameters.seconds("created")?, expires, now)?;
    }
    if covered("date") {
        window::judge(window::read_date(&head.text("date")?.unwrap_or_default())?, expires, now)?;
    }
    parameters.claim(head, &names)
}

/// The headers that sign a request: Date, Digest where there is a body, Signature.
pub(super) fn sign(
    signer: &Signer<'_>,
    head: &Head<'_>,
    body: Option<&[u8]>,
    now: DateTime<Utc>,
) -> Result<Vec<(&'static str, String)>, Error> {
    if signer.key.id() != Id::RSA {
        return Err(Error::WrongKey("draft-cavage is signed with RSA, which is all that others verify".to_owned()));
    }
    let mut headers = vec![("date", now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())];
    headers.extend(body.map(|body| ("digest", digest::digest(body))));
    let mut names = vec![REQUEST_TARGET, "host", "date"];
    if body.is_some() {
        names.push("digest");
        names.extend(head.lines("content-type").next().map(|_| "content-type"));
    }
    let mut signed = head.clone();
    signed.headers.retain(|(name, _)| !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
    signed.headers.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let base = Parameters::default().base(&signed, &names, head.target)?;
    let made = openssl::sign::Signer::new(MessageDigest::sha256(), signer.key)
        .and_then(|mut with| with.sign_oneshot_to_vec(&base))
        .map_err(|_| Error::WrongKey("openssl refuses to sign with it".to_owned()))?;
    let (key_id, names, made) = (signer.key_id, names.join(" "), Base::Base64Pad.encode(made));
    let header = format!(r#"keyId="{key_id}",algorithm="rsa-sha256",headers="{names}",signature="{made}""#);
    headers.push(("signature", header));
    Ok(headers)
}

impl Parameters {
    /// Read a header: names and values in any order, quoted or not, parted by commas with or without spaces.
    fn read(header: &str) -> Result<Parameters, Error> {
        // Old versions of node-http-signature repeat the scheme of Authorization here.
        let mut rest = header.trim();
        rest = rest.strip_prefix("Signature ").unwrap_or(rest);
        let mut all: Vec<(String, String)> = Vec::new();
        loop {
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return Ok(Parameters { all });
            }
            let malformed = || Error::Malformed("the header Signature is not a list of parameters".to_owned());
            let (name, value) = rest.split_once('=').ok_or_else(malformed)?;
            let name = name.trim_end();
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
                return Err(malformed());
            }
            let (value, behind) = read_value(value.trim_start()).ok_or_else(malformed)?;
            rest = behind.trim_start_matches([' ', '\t']);
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(malformed());
            }
            if all.iter().any(|(other, _)| other == name) {
                return Err(Error::Malformed(format!("the parameter {} stands twice", shown(name))));
            }
            all.push((name.to_owned(), value));
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn need(&self, name: &str) -> Result<&str, Error> {
        self.get(name).ok_or_else(|| Error::Malformed(format!("the parameter {name} is missing")))
    }

    /// A time in whole seconds; the draft allows decimals in `expires`.
    fn seconds(&self, name: &str) -> Result<i64, Error> {
        let whole = self.need(name)?.split('.').next().unwrap_or_default();
        whole.parse().map_err(|_| Error::Malformed(format!("the parameter {name} is not a number of seconds")))
    }

    /// How it is signed: what RSA keys always do under `rsa-sha256`, what the key says under `hs2019`.
    fn algorithm(&self) -> Result<Option<Algorithm>, Error> {
        match self.get("algorithm").unwrap_or("hs2019").to_ascii_lowercase().as_str() {
            "hs2019" => Ok(None),
            "rsa-sha256" => Ok(Some(Algorithm::RsaV15Sha256)),
            other => Err(Error::Unsupported(format!("the algorithm {}", shown(other)))),
        }
    }

    /// What is covered, in lower case and in order.
    fn headers(&self) -> Result<Vec<String>, Error> {
        let default = if self.algorithm()?.is_none() { CREATED } else { "date" };
        let names = self.get("headers").unwrap_or(default).to_ascii_lowercase();
        let names: Vec<String> = names.split_ascii_whitespace().map(str::to_owned).collect();
        let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
        if names.len() > MOST_HEADERS || twice {
            return Err(Error::Malformed("the list of headers is too long or names one twice".to_owned()));
        }
        Ok(names)
    }

    /// The claim, whatever it covers.
    fn claim(&self, head: &Head<'_>, names: &[String]) -> Result<Claim, Error> {
        // Servers of old signed the path alone, and Fedify still does: both count (R-77).
        let mut bases = vec![self.base(head, names, head.target)?];
        if head.query().is_some() && names.iter().any(|name| name == REQUEST_TARGET) {
            bases.push(self.base(head, names, head.path())?);
        }
        let signature = Base::Base64Pad.decode(self.need("signature")?);
        let digests = match names.iter().any(|name| name == "digest") {
            true => Some(Digests::read(&head.text("digest")?.unwrap_or_default())?),
            false => None,
        };
        Ok(Claim {
            scheme: Scheme::Cavage,
            key_id: checked_key_id(self.need("keyId")?)?,
            algorithm: self.algorithm()?,
            signature: signature.map_err(|_| Error::Malformed("the parameter signature is not base64".to_owned()))?,
            bases,
            digests,
        })
    }

    /// The signing string of section 2.3.
    fn base(&self, head: &Head<'_>, names: &[String], target: &str) -> Result<Vec<u8>, Error> {
        let mut lines = Vec::with_capacity(names.len());
        for name in names {
            let value = match name.as_str() {
                REQUEST_TARGET => format!("{} {target}", head.method.to_ascii_lowercase()).into_bytes(),
                CREATED | EXPIRES if self.algorithm()?.is_some() => {
                    return Err(Error::Malformed(format!("{name} goes with hs2019 only")));
                }
                CREATED => self.need("created")?.into(),
                EXPIRES => self.need("expires")?.into(),
                _ => head.field(name).ok_or_else(|| {
                    Error::Malformed(format!("the signature covers the header {}, which is not there", shown(name)))
                })?,
            };
            lines.push([name.as_bytes(), b": ", &value].concat());
        }
        Ok(lines.join(b"\n".as_slice()))
    }
}

/// A quoted string or a bare word at the start of `text`, and what follows it.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t', '"']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::PublicKey;
    use super::*;

    /// The request and the keys of the draft's appendix C, and its three signatures.
    const KEY: &str = include_str!("../../../tests/fixtures/signatures/cavage-12-test.pem");
    const ALL: &str = include_str!("../../../tests/fixtures/signatures/cavage-12-all-headers.txt");
    const BASIC: &str = include_str!("../../../tests/fixtures/signatures/cavage-12-basic.txt");
    const DEFAULT: &str = include_str!("../../../tests/fixtures/signatures/cavage-12-default.txt");
    const BODY: &[u8] = br#"{"hello": "world"}"#;
    /// Sun, 05 Jan 2014 21:31:40 GMT
    const THEN: i64 = 1_388_957_500;

    fn head<'a>(signature: &'a str, headers: &[(&'a str, &'a str)]) -> Head<'a> {
        let own = [("Signature", signature)];
        let headers = headers.iter().chain(&own).map(|(name, value)| (*name, value.as_bytes())).collect();
        Head { method: "POST", scheme: "https", authority: "example.com", target: "/foo?param=value&pet=dog", headers }
    }

    fn appendix_c(signature: &str) -> Head<'_> {
        let headers = [
            ("Date", "Sun, 05 Jan 2014 21:31:40 GMT"),
            ("Content-Type", "application/json"),
            ("Digest", "SHA-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE="),
            ("Content-Length", "18"),
        ];
        head(signature, &headers)
    }

    #[test]
    fn the_published_signatures_of_the_draft_are_verified() {
        let key = PublicKey::from_pem(KEY).unwrap();
        for (signature, covered) in [(DEFAULT, 1), (BASIC, 3), (ALL, 6)] {
            let head = appendix_c(signature.trim());
            let parameters = Parameters::read(signature).unwrap();
            let names = parameters.headers().unwrap();
            assert_eq!((names.len(), parameters.get("keyId")), (covered, Some("Test")));
            let claim = parameters.claim(&head, &names).unwrap();
            let bound = Ok(super::super::Bound { claim: &claim });
            let bound = if covered == 6 { claim.bind(BODY) } else { bound };
            assert_eq!(bound.unwrap().verify(&key), Ok(()), "{names:?}");
            let other = Head { authority: "example.org", target: "/bar", ..head };
            let claim = parameters.claim(&other, &names).unwrap();
            let verdict = super::super::Bound { claim: &claim }.verify(&key);
            assert_eq!(verdict.is_ok(), covered == 1, "only the default test does not cover host and target");
        }
    }

    #[test]
    fn only_the_published_signature_over_everything_covers_enough() {
        let judge = |signature: &str| read(&appendix_c(signature.trim()), THEN).map(|claim| claim.key_id);
        assert_eq!(judge(ALL), Ok("Test".to_owned()));
        assert_eq!(judge(BASIC), Err(Error::Uncovered("digest")));
        assert_eq!(judge(DEFAULT), Err(Error::Uncovered(REQUEST_TARGET)));
    }

    #[test]
    fn parameters_come_in_any_order_and_spelling() {
        for header in [
            r#"keyId="k",algorithm="hs2019",created=12,signature="AA==""#,
            r#"signature="AA==", created="12" ,	keyId="k""#,
            r#"Signature keyId = "k", signature=AA==, created=12, opaque="x, y=z""#,
            r#", keyId="\k",signature="AA==",created=12,"#,
        ] {
            let parameters = Parameters::read(header).unwrap();
            let seen = (parameters.get("keyId"), parameters.get("signature"), parameters.seconds("created"));
            assert_eq!(seen, (Some("k"), Some("AA=="), Ok(12)), "{header}");
            assert_eq!(parameters.algorithm(), Ok(None));
        }
    }

    #[test]
    fn what_is_no_list_of_parameters_is_malformed() {
        for header in [
            "keyId",
            "keyId=\"k",
            r#"keyId="k" signature="AA==""#,
            r#"keyId="k",keyId="l""#,
            r#"="k""#,
            r#"key id="k""#,
            r#"keyId="k\"#,
            "Bearer abc",
        ] {
            assert!(matches!(Parameters::read(header), Err(Error::Malformed(_))), "{header}");
        }
    }

    /// A request that covers what it has to, with one thing changed.
    fn judge(method: &str, parameters: &str, headers: &[(&str, &str)]) -> Result<Claim, Error> {
        let signature = format!(r#"keyId="k",signature="AA==",{parameters}"#);
        let all = [&[("digest", "SHA-256=AAAA"), ("Date", "Sun, 05 Jan 2014 21:31:40 GMT")], headers].concat();
        read(&Head { method, ..head(&signature, &all) }, THEN)
    }

    #[test]
    fn a_post_covers_target_host_time_and_digest() {
        for (covered, missing) in [
            ("host date digest", REQUEST_TARGET),
            ("(request-target) date digest", "host"),
            ("(request-target) host date", "digest"),
            ("(request-target) host digest", "date or (created)"),
        ] {
            let verdict = judge("POST", &format!(r#"headers="{covered}""#), &[]);
            assert_eq!(verdict.map(drop), Err(Error::Uncovered(missing)), "{covered}");
        }
        assert!(judge("POST", r#"headers="Digest (Request-Target) date Host""#, &[]).is_ok());
    }

    #[test]
    fn a_get_needs_no_digest_unless_it_has_a_body() {
        let claim = judge("GET", r#"headers="(request-target) host date""#, &[]).unwrap();
        assert!(claim.bind(b"").is_ok());
        assert_eq!(claim.bind(b"x").map(drop), Err(Error::Uncovered("a digest of the body")));
    }

    #[test]
    fn a_time_counts_only_where_it_is_signed() {
        let covered = r#"headers="(request-target) host digest date""#;
        let old = [("Date", "Sun, 05 Jan 2014 10:00:00 GMT")];
        assert!(judge("POST", covered, &[]).is_ok());
        let late = read(&Head { method: "POST", ..appendix_c(ALL.trim()) }, THEN + 65 * 60 + 1);
        assert_eq!(late.map(drop), Err(Error::Outdated("it is too old")));
        let early = read(&appendix_c(ALL.trim()), THEN - 3601);
        assert_eq!(early.map(drop), Err(Error::Outdated("it was made in the future")));
        // An unsigned `created` or `expires` says nothing; a second Date is no date.
        assert!(judge("POST", &format!("created=1,expires=1,{covered}"), &[]).is_ok());
        assert!(matches!(judge("POST", covered, &old), Err(Error::Malformed(_))));
    }

    #[test]
    fn created_and_expires_are_signed_with_hs2019_alone() {
        let covered = r#"headers="(request-target) host digest (created) (expires)""#;
        let good = format!("created={},expires={}.5,{covered}", THEN - 7200, THEN);
        assert!(judge("POST", &good, &[]).is_ok());
        let claim = judge("POST", &format!(r#"algorithm="hs2019",{good}"#), &[]).unwrap();
        let base = String::from_utf8(claim.bases[0].clone()).unwrap();
        assert!(base.ends_with(&format!("\n(created): {}\n(expires): {}.5", THEN - 7200, THEN)), "{base}");
        assert!(matches!(judge("POST", &format!(r#"algorithm="rsa-sha256",{good}"#), &[]), Err(Error::Malformed(_))));
        assert!(matches!(judge("POST", covered, &[]), Err(Error::Malformed(_))), "no created");
        assert!(judge("POST", &format!("created={},expires={THEN},{covered}", THEN - 14 * 3600), &[]).is_err());
        assert!(judge("POST", &format!("created={},expires={},{covered}", THEN - 7300, THEN - 3601), &[]).is_err());
    }

    #[test]
    fn other_algorithms_are_not_supported() {
        for algorithm in ["rsa-sha1", "hmac-sha256", "ecdsa-sha256", "rsa-sha512", ""] {
            let verdict = judge("POST", &format!(r#"algorithm="{algorithm}",headers="host""#), &[]);
            assert!(matches!(verdict, Err(Error::Unsupported(_))), "{algorithm}");
        }
    }

    #[test]
    fn two_signatures_and_a_header_that_is_not_there_are_malformed() {
        let covered = r#"headers="(request-target) host digest date x-absent""#;
        assert!(matches!(judge("POST", covered, &[]), Err(Error::Malformed(_))));
        let twice = r#"headers="(request-target) host digest date date""#;
        assert!(matches!(judge("POST", twice, &[]), Err(Error::Malformed(_))));
        let again = r#"headers="(request-target) host digest date""#;
        assert!(matches!(judge("POST", again, &[("signature", "keyId=\"l\"")]), Err(Error::Malformed(_))));
    }
}
