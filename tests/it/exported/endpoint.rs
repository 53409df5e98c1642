//! The export over the web (FEP-9091): for a token of scope `export` of this account, and for nobody and nothing else.

use super::{json_of, kept, portable, untarred};
use crate::archives::packed;
use crate::support::TestApp;
use chrono::Utc;
use everpost::domain::token::Scope;
use everpost::operations::tokens;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};

async fn token(app: &TestApp, handle: &str, scope: Scope) -> String {
    let account = app.account(handle).await;
    tokens::create(&app.app, Some(&account), "", &[scope], Utc::now()).await.unwrap().0
}

#[tokio::test]
async fn the_actor_names_its_export_and_who_has_the_token_gets_it_as_a_tar_that_reads_back() {
    let (app, back) = (TestApp::start().await, TestApp::start().await);
    let folder = tempfile::tempdir().unwrap();
    app.import(&packed("mastodon-4.3", folder.path())).await;
    let actor = app.get("/users/nadia").await.json();
    let service = actor["service"].as_array().unwrap();
    assert_eq!((service.len(), &service[0]["type"]), (1, &"https://w3id.org/fep/9091#Export".into()));
    let endpoint = service[0]["serviceEndpoint"].as_str().unwrap();
    assert_eq!(endpoint, app.account("nadia").await.urls().under("export"));
    let bearer = format!("Bearer {}", token(&app, "nadia", Scope::Export).await);
    let answer = app.client.post(endpoint).header(AUTHORIZATION, bearer).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[CONTENT_TYPE]),
        (200, &"application/x-tar".parse().unwrap())
    );
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    let path = folder.path().join("out.tar");
    std::fs::write(&path, answer.bytes().await.unwrap()).unwrap();
    let files = untarred(&path);
    let manifest = String::from_utf8(files[0].1.clone()).unwrap();
    assert!(files[0].0 == "manifest.yml" && manifest.starts_with("ubc-version: 0.1\n"), "{manifest}");
    assert!(!files.iter().any(|(name, _)| name.starts_with("key/")), "nobody asked for keys");
    // Three are public of five: the other two are for fewer people.
    assert_eq!(json_of(&files, "activitypub/outbox.json")["totalItems"], 3);
    back.import(&path).await;
    let (before, after) = (app.account("nadia").await, back.account("nadia").await);
    assert_eq!(portable(kept(&app, &before).await).len(), portable(kept(&back, &after).await).len());
}

#[tokio::test]
async fn nobody_else_gets_an_export() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    for name in ["mastodon-4.1", "mastodon-4.3"] {
        app.import(&packed(name, folder.path())).await;
    }
    let endpoint = app.account("nadia").await.urls().under("export");
    let ask = |header: Option<String>| {
        let request = app.client.post(&endpoint);
        header.map_or_else(|| app.client.post(&endpoint), |header| request.header(AUTHORIZATION, header)).send()
    };
    for wrong in [None, Some("Bearer everpost_0123".to_owned()), Some("Basic YW5uOmFubg==".to_owned())] {
        let answer = ask(wrong.clone()).await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{wrong:?}");
        assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Bearer");
    }
    for (handle, scope) in [("nadia", Scope::Read), ("tomas", Scope::Export)] {
        let answer = ask(Some(format!("Bearer {}", token(&app, handle, scope).await))).await.unwrap();
        assert_eq!(answer.status().as_u16(), 403, "{handle} {scope:?}");
    }
    assert_eq!(app.client.get(&endpoint).send().await.unwrap().status().as_u16(), 405);
    let account = app.account("nadia").await;
    let held = app.app.store.lock_import(account.id).await.unwrap();
    let bearer = format!("Bearer {}", token(&app, "nadia", Scope::Export).await);
    let answer = ask(Some(bearer)).await.unwrap();
    assert_eq!(answer.status().as_u16(), 503, "an import is running");
    assert!(answer.headers().contains_key("retry-after"));
    held.release().await.unwrap();
}

#[tokio::test]
async fn keys_are_in_a_container_only_when_they_were_asked_for_and_are_the_accounts_own() {
    use crate::support::Program;
    let program = Program::new();
    let archive = packed("mastodon-4.3", program.scratch());
    program.ok(&["import", archive.to_str().unwrap()]);
    let path = program.scratch().join("keys.tar");
    let arguments = ["export", "--format", "fep-6fcd", "--include-keys", "--output", path.to_str().unwrap()];
    let told = program.ok(&arguments);
    assert!(told.contains("private keys"), "{told}");
    let files = untarred(&path);
    let multikey = json_of(&files, "key/ed25519-key.json");
    assert_eq!(multikey["type"], "Multikey");
    assert!(multikey["secretKeyMultibase"].as_str().unwrap().starts_with("z3u2"), "ed25519-priv in base58btc");
    assert!(json_of(&files, "key/main-key.json")["privateKeyPem"].as_str().unwrap().contains("PRIVATE KEY"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    let zip = program.scratch().join("keys.zip");
    let refused = program.run(&["export", "--format", "mastodon", "--include-keys", "--output", zip.to_str().unwrap()]);
    assert!(refused.code == 1 && !zip.exists(), "{refused:?}");
}
