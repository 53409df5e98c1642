//! `everpost account token`: shown once, kept as a hash, good for what it was made for.

use super::{program, refused};
use crate::support::TestApp;
use chrono::{Duration, Utc};
use everpost::domain::token::Scope::{Export, Metrics, Read};
use everpost::operations::tokens;
use serde_json::json;

#[tokio::test]
async fn a_token_is_shown_once_and_nowhere_kept() {
    let (program, ..) = program().await;
    let outcome = program.run(&["account", "token", "create", "--scope", "read,export", "--name", "Backup"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let text = outcome.stdout.trim_end();
    assert!(text.starts_with("everpost_") && text.len() == 73, "{text}");
    assert_eq!(outcome.stderr, "everpost: token 1 is shown this once; keep it like a password.\n");
    let rows = program.database().texts("SELECT tokens.* FROM tokens");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert!(!row.contains(&text["everpost_".len()..]), "{row}");
    let listed = program.ok(&["account", "token", "list"]);
    assert!(listed.starts_with("1  export,read  made ") && listed.ends_with("  never used  Backup\n"), "{listed}");
    let listed = program.json(&["account", "token", "list", "--json"]);
    assert_eq!((&listed[0]["id"], &listed[0]["scopes"]), (&json!(1), &json!(["export", "read"])));
    assert_eq!(listed[0].get("token"), None);
    assert_eq!(program.ok(&["account", "token", "revoke", "1"]), "Token 1 lets nobody in any more.\n");
    assert_eq!(program.ok(&["account", "token", "list"]), "There is no token.\n");
    refused(&program, &["account", "token", "revoke", "1"], "there is no token 1");
}

#[tokio::test]
async fn scopes_are_of_the_server_or_of_an_account_and_unknown_ones_are_wrong_usage() {
    let (program, ..) = program().await;
    refused(&program, &["account", "token", "create", "--scope", "metrics"], "add --server");
    refused(&program, &["account", "token", "create", "--server", "--scope", "export"], "leave --server out");
    let made = program.json(&["account", "token", "create", "--server", "--scope", "metrics", "--json"]);
    assert!(made["token"].as_str().unwrap().starts_with("everpost_"));
    assert_eq!(program.ok(&["account", "token", "list"]), "There is no token.\n");
    assert_eq!(program.json(&["account", "token", "list", "--server", "--json"]).as_array().unwrap().len(), 1);
    for wrong in [&["--scope", "write"][..], &[], &["--scope", "read", "--server", "--account", "ann"]] {
        let outcome = program.run(&[&["account", "token", "create"], wrong].concat());
        assert_eq!(outcome.code, 64, "{wrong:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_token_lets_in_for_its_scopes_until_it_is_taken_back() {
    let app = TestApp::start().await;
    let folder = tempfile::tempdir().unwrap();
    crate::support::Bundle::new().post(super::ONE, "<p>One.</p>").write(folder.path());
    app.import(folder.path()).await;
    let (ann, now) = (app.account("ann").await, Utc::now());
    let (text, token) = tokens::create(&app.app, Some(&ann), "", &[Export, Export], now).await.unwrap();
    assert_eq!(token.scopes, [Export]);
    let found = tokens::check(&app.app, &text, Export, now).await.unwrap().unwrap();
    assert_eq!((found.id, found.account), (token.id, Some(ann.id)));
    for (text, scope) in
        [(text.as_str(), Read), (&text, Metrics), (&text[1..], Export), (&format!("{text}0"), Export), ("", Export)]
    {
        assert_eq!(tokens::check(&app.app, text, scope, now).await.unwrap(), None, "{text} {scope:?}");
    }
    let listed = app.app.store.list_tokens(Some(ann.id)).await.unwrap();
    assert!(listed[0].used.is_some());
    tokens::check(&app.app, &text, Export, now + Duration::seconds(30)).await.unwrap().unwrap();
    assert_eq!(
        app.app.store.list_tokens(Some(ann.id)).await.unwrap()[0].used,
        listed[0].used,
        "once a minute is enough"
    );
    tokens::revoke(&app.app, Some(&ann), token.id).await.unwrap();
    assert_eq!(tokens::check(&app.app, &text, Export, now).await.unwrap(), None);
}
