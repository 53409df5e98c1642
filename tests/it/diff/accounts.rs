//! An account against another one, of the same instance and of another.

use super::{archive, at, compare, empty, key, post, with_account};
use crate::support::{TestApp, fixture, status_id};
use chrono::Utc;
use everpost::domain::ids::PostId;
use everpost::import::limits::Limits;
use everpost::operations::diff::{Of, Other};
use everpost::operations::{Error, posts};
use serde_json::{Value, json};

#[tokio::test]
async fn two_instances_that_imported_the_same_hold_the_same_in_whatever_order() {
    let (one, two) = (TestApp::start().await, TestApp::start_at("https://keep.example").await);
    let folder = tempfile::tempdir().unwrap();
    // More than are looked at together, and threads across all of them.
    let answer = |number: i64| match number {
        0..10 => json!({}),
        _ => json!({ "inReplyTo": format!("https://m.example/users/ann/statuses/{}", status_id(&at(number % 10))) }),
    };
    let mut items: Vec<Value> = (0..450).map(|number| post(number, answer(number))).collect();
    one.import(&archive(folder.path(), &items)).await;
    items.reverse();
    two.import(&archive(folder.path(), &items)).await;
    for (a, b) in [(&one, &two), (&two, &one)] {
        let (report, found) = with_account((a, "ann"), (b, "ann")).await;
        assert_eq!((report.compared, found), (450, vec![]));
    }
    two.import(&archive(folder.path(), &[post(451, json!({}))])).await;
    let late = PostId(status_id(&at(449)));
    posts::withdraw(&two.app, &two.account("ann").await, late, Utc::now()).await.unwrap();
    let (_, found) = with_account((&one, "ann"), (&two, "ann")).await;
    assert_eq!(found, [format!("{} withdrawn_b", key(449)), format!("{} only_b", key(451))]);
    let (_, found) = with_account((&two, "ann"), (&one, "ann")).await;
    assert_eq!(found, [format!("{} withdrawn_a", key(449)), format!("{} only_a", key(451))]);
}

#[tokio::test]
async fn accounts_of_one_instance_are_compared_with_their_profiles_and_conversations() {
    let app = TestApp::start().await;
    empty(&app, "one").await;
    empty(&app, "two").await;
    app.try_import(&fixture("mastodon-4.3"), Some("one")).await.unwrap();
    app.try_import(&fixture("mastodon-4.3"), Some("two")).await.unwrap();
    assert_eq!(with_account((&app, "one"), (&app, "two")).await.1, Vec::<String>::new());
    app.set("two", &["name=Other"]).await;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (post(1, json!({})), post(2, json!({})));
    let answer = |to: &Value| post(3, json!({ "inReplyTo": to["object"]["id"] }));
    empty(&app, "three").await;
    empty(&app, "four").await;
    let path = archive(folder.path(), &[first.clone(), second.clone(), answer(&first)]);
    app.try_import(&path, Some("three")).await.unwrap();
    let path = archive(folder.path(), &[first.clone(), second.clone(), answer(&second)]);
    app.try_import(&path, Some("four")).await.unwrap();
    let (_, found) = with_account((&app, "three"), (&app, "four")).await;
    let told = format!("{} differs reply_to: {} | {}; conversation: {} | {};", key(3), key(1), key(2), key(1), key(2));
    assert!(found.len() == 1 && found[0].starts_with(&told), "{found:?}");
    let (_, found) = with_account((&app, "one"), (&app, "two")).await;
    assert!(found.len() == 1 && found[0].starts_with("profile differs name: "), "{found:?}");
}

#[tokio::test]
async fn what_is_not_public_is_compared_by_who_has_the_keys_and_no_word_of_it_is_told() {
    const MARK: &str = "Wendehals";
    let (one, two, none) = (TestApp::start_sealed(7).await, TestApp::start_sealed(8).await, TestApp::start().await);
    let folder = tempfile::tempdir().unwrap();
    let hidden = |number: i64, words: &str| {
        let to = json!(["https://m.example/users/ann/followers"]);
        post(number, json!({ "to": to, "cc": [], "content": format!("<p>{MARK} {words}</p>"), "summary": MARK }))
    };
    let keep = async |app: &TestApp, items: &[Value]| {
        let request = everpost::operations::ingest::Request {
            include_private: true,
            ..crate::import::request(&archive(folder.path(), items))
        };
        everpost::operations::ingest::ingest(&app.app, &request, Utc::now(), &|_, _| {}).await.unwrap();
    };
    keep(&one, &[post(1, json!({})), hidden(2, "same"), hidden(3, "here"), hidden(4, "only here")]).await;
    keep(&two, &[post(1, json!({})), hidden(2, "same"), hidden(3, "there"), hidden(5, "only there")]).await;
    let (report, found) = with_account((&one, "ann"), (&two, "ann")).await;
    assert_eq!((report.compared, report.compared_private, found), (1, 0, vec![]), "nobody asked for them");
    let other = two.account("ann").await;
    let b = Other::Account(Of { app: &two.app, account: &other });
    let (report, found) = compare(&one, "ann", b, true).await.unwrap();
    assert_eq!((report.compared, report.compared_private, found.len()), (1, 2, 3), "{found:?}");
    let has = |end: &str| found.iter().any(|line| line.starts_with("private post ") && line.ends_with(end));
    assert!(has(" differs content: - | -") && has(" only_a") && has(" only_b"), "{found:?}");
    assert!(!found.concat().contains(MARK), "{found:?}");
    let path =
        archive(folder.path(), &[post(1, json!({})), hidden(2, "same"), hidden(3, "there"), hidden(5, "only there")]);
    let b = everpost::operations::diff::Archive { path, limits: Limits::default() };
    let (report, found) = compare(&one, "ann", Other::Archive(&b), true).await.unwrap();
    assert_eq!((report.compared, report.compared_private, found.len()), (1, 2, 3), "{found:?}");
    assert!(!found.concat().contains(MARK) && found.iter().any(|line| line.ends_with("[3] only_b")), "{found:?}");
    let equal = compare(&two, "ann", Other::Archive(&b), true).await.unwrap();
    assert_eq!((equal.0.compared_private, equal.1), (3, vec![]));
    none.import(&archive(folder.path(), &[post(1, json!({}))])).await;
    let refused = compare(&none, "ann", Other::Archive(&b), true).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused(why) if why.contains("secrets.key_file")), "{refused}");
}
