//! Signatures between us and implementations that are not ours: Fedify, and openssl's own command.

use crate::outside_readers::outside;
use chrono::Utc;
use everpost::federation::proof;
use everpost::federation::signature::{Error, Head, PublicKey, Scheme, Signer, read};
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use serde_json::{Value, json};
use std::process::Command;

/// A request as one program hands it to another: JSON with method, url, headers and body.
struct Request {
    method: String,
    url: url::Url,
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn from_json(json: &Value) -> Request {
        let headers: Vec<(String, String)> = serde_json::from_value(json["headers"].clone()).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Request { method: text("method"), url: text("url").parse().unwrap(), headers, body: text("body") }
    }

    fn to_json(&self, name: &str) -> Value {
        let Request { method, url, headers, body } = self;
        json!({"kind": "request", "name": name, "method": method, "url": url, "headers": headers, "body": body})
    }

    fn judge(&self, head: impl Fn(Head<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        head(Head { method: &self.method, scheme: self.url.scheme(), authority, target, headers })
    }

    fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        self.judge(|head| read(&head, Utc::now())?[0].bind(self.body.as_bytes())?.verify(key))
    }
}

/// A new request of ours, signed.
fn signed(scheme: Scheme, method: &str, url: &str, key_id: &str, key: &PKey<Private>) -> Request {
    let body = if method == "POST" { r#"{"type":"Follow","content":"Grüße"}"# } else { "" };
    let headers = vec![("Content-Type".to_owned(), "application/activity+json".to_owned())];
    let mut request = Request { method: method.to_owned(), url: url.parse().unwrap(), headers, body: body.to_owned() };
    let made = std::cell::RefCell::new(Vec::new());
    let body = (method == "POST").then_some(request.body.as_bytes());
    request
        .judge(|head| {
            *made.borrow_mut() = Signer { key_id, key }.sign(scheme, &head, body, Utc::now())?;
            Ok(())
        })
        .unwrap();
    let host = ("host".to_owned(), request.url.host_str().unwrap().to_owned());
    request.headers.push(host);
    request.headers.extend(made.into_inner().into_iter().map(|(name, value)| (name.to_owned(), value)));
    request
}

#[tokio::test]
async fn what_fedify_signs_is_verified() {
    let lines = outside(&["signatures.mjs", "sign"]).await;
    let actor = &lines[0]["actor"];
    let key = PublicKey::from_pem(actor["publicKey"]["publicKeyPem"].as_str().unwrap()).unwrap();
    let multikey = actor["assertionMethod"]["publicKeyMultibase"].as_str().unwrap();
    let multikey = PublicKey::from_multikey(multikey).unwrap();
    let (mut requests, mut objects) = (0, 0);
    for line in &lines[1..] {
        if line["kind"] == "request" {
            let mut request = Request::from_json(line);
            assert_eq!(request.verify(&key), Ok(()), "{line}");
            request
                .judge(|head| {
                    let claims = read(&head, Utc::now())?;
                    assert_eq!(claims[0].key_document(), "https://fedify.example/users/ann");
                    Ok(())
                })
                .unwrap();
            request.url.set_path("/elsewhere");
            assert_eq!(request.verify(&key), Err(Error::Forged), "{line}");
            requests += 1;
        } else {
            let mut object = line["object"].clone();
            let judged = |object: &Value| proof::read(object, Utc::now())?.expect("a proof").verify(&multikey);
            assert_eq!(judged(&object), Ok(()), "{object}");
            object["content"] = json!("Something else.");
            assert_eq!(judged(&object), Err(Error::Forged));
            objects += 1;
        }
    }
    assert_eq!((requests, objects), (8, 2));
}

#[tokio::test]
async fn what_we_sign_fedify_verifies() {
    let id = "https://everpost.example/users/bob";
    let (rsa, ed25519) = (PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), PKey::generate_ed25519().unwrap());
    let other = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let (key_id, multikey_id) = (format!("{id}#main-key"), format!("{id}#ed25519-key"));
    let multikey = [[0xed, 0x01].as_slice(), &ed25519.raw_public_key().unwrap()].concat();
    let actor = json!({
        "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1",
            "https://w3id.org/security/multikey/v1", "https://www.w3.org/ns/did/v1"],
        "id": id, "type": "Person", "inbox": format!("{id}/inbox"),
        "publicKey": {"id": key_id, "type": "Key", "owner": id,
            "publicKeyPem": String::from_utf8(rsa.public_key_to_pem().unwrap()).unwrap()},
        "assertionMethod": [{"id": multikey_id, "type": "Multikey", "controller": id,
            "publicKeyMultibase": multibase::encode(multibase::Base::Base58Btc, multikey)}],
    });
    let mut lines = vec![json!({"kind": "actor", "actor": actor})];
    let inbox = "https://fedify.example/inbox";
    for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
        for (method, url) in [("POST", inbox), ("GET", "https://fedify.example/users/ann")] {
            lines.push(signed(scheme, method, url, &key_id, &rsa).to_json("good"));
        }
        lines.push(signed(scheme, "POST", inbox, &key_id, &other).to_json("another key"));
        let mut body = signed(scheme, "POST", inbox, &key_id, &rsa);
        body.body.push(' ');
        lines.push(body.to_json("another body"));
        let mut elsewhere = signed(scheme, "POST", inbox, &key_id, &rsa);
        elsewhere.url.set_path("/users/ann/inbox");
        lines.push(elsewhere.to_json("another address"));
    }
    // Fedify signs no query by draft-cavage and finds none in what it verifies, so that goes by RFC 9421 alone.
    let query = "https://fedify.example/users/ann/outbox?page=1&x=%20y";
    lines.push(signed(Scheme::Rfc9421, "GET", query, &key_id, &rsa).to_json("good"));
    let mut note = json!({
        "@context": ["https://www.w3.org/ns/activitystreams", {"sensitive": "as:sensitive"}],
        "id": format!("{id}/statuses/1"), "type": "Note", "attributedTo": id, "content": "<p>Grüße, 🐘</p>",
        "published": "2019-03-02T10:00:00Z", "to": ["https://www.w3.org/ns/activitystreams#Public"], "sensitive": false,
    });
    proof::add(&mut note, &multikey_id, &ed25519, Utc::now()).unwrap();
    lines.push(json!({"kind": "object", "name": "good", "object": note}));
    note["content"] = json!("<p>Something else.</p>");
    lines.push(json!({"kind": "object", "name": "another content", "object": note}));

    let file = tempfile::NamedTempFile::new().unwrap();
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(file.path(), text.join("\n")).unwrap();
    let verdicts = outside(&["signatures.mjs", "verify", file.path().to_str().unwrap()]).await;
    assert_eq!(verdicts.len(), lines.len() - 1);
    for (verdict, line) in verdicts.iter().zip(&lines[1..]) {
        assert_eq!(verdict["proven"], verdict["name"] == "good", "{line}");
    }
}

#[tokio::test]
async fn what_we_serve_fedify_verifies() {
    let app = crate::support::TestApp::start().await;
    let at = "2024-01-01T00:00:00Z";
    let mut post = crate::activitypub::post(at);
    post.content = everpost::text::SafeHtml::sanitise("<p>Grüße, 🐘 &amp; \"Anführung\"</p>");
    post.tags = vec!["Uhren".to_owned()];
    crate::activitypub::account(&app, "ann").await;
    crate::activitypub::store(&app, "ann", &[post]).await;
    let note = format!("/users/ann/statuses/{}", crate::support::status_id(at));
    let item = app.object("/users/ann/outbox?page=true").await["orderedItems"][0].take();
    let mut lines = vec![json!({"kind": "actor", "actor": app.object("/users/ann").await})];
    for object in [app.object(&note).await, app.object(&format!("{note}/activity")).await, item] {
        let mut changed = object.clone();
        lines.push(json!({"kind": "object", "name": "good", "object": object}));
        changed["published"] = json!("2024-01-01T00:00:01Z");
        lines.push(json!({"kind": "object", "name": "another time", "object": changed}));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(file.path(), text.join("\n")).unwrap();
    let verdicts = outside(&["signatures.mjs", "verify", file.path().to_str().unwrap()]).await;
    assert_eq!(verdicts.len(), 6);
    for (verdict, line) in verdicts.iter().zip(&lines[1..]) {
        assert_eq!(verdict["proven"], verdict["name"] == "good", "{line}");
    }
}

/// A file of `folder`, written.
fn file(folder: &std::path::Path, name: &str, bytes: &[u8]) -> String {
    std::fs::write(folder.join(name), bytes).unwrap();
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn openssls_own_command_verifies_what_we_sign() {
    let folder = tempfile::tempdir().unwrap();
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let request = signed(Scheme::Cavage, "POST", "https://a.example/inbox?x=1", "https://b.example/k", &key);
    let header = |name: &str| request.headers.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let (_, signature) =
        header("signature").rsplit_once("signature=\"").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let signature = openssl::base64::decode_block(signature.trim_end_matches('"')).unwrap();
    // The signing string, written here by hand from section 2.3 of the draft.
    let base = format!(
        "(request-target): post /inbox?x=1\nhost: a.example\ndate: {}\ndigest: {}\ncontent-type: application/activity+json",
        header("date"),
        header("digest")
    );
    let public = file(folder.path(), "public.pem", &key.public_key_to_pem().unwrap());
    let signature = file(folder.path(), "signature", &signature);
    let base = file(folder.path(), "base", base.as_bytes());
    let run = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", &public, "-signature", &signature, &base])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}
