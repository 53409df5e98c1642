//! `everpost follower`: who is listed, and what each answer does here and says there.

use super::{follow, follow_json, program, queue, refused};
use everpost::domain::follower::FollowState::{Accepted, Requested};
use serde_json::{Value, json};

#[tokio::test]
async fn followers_and_requests_are_listed() {
    let (program, store, ann) = program().await;
    assert_eq!(program.ok(&["follower", "list"]), "Followers: 0. Requests: 0.\n");
    follow(&store, &ann, "bo", "far.example", Accepted).await;
    follow(&store, &ann, "cy", "wide.example", Requested).await;
    let listed = program.ok(&["follower", "list", "--account", "ann"]);
    let lines: Vec<&str> = listed.lines().collect();
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (words[0][0], words[0][1], words[0][3]),
        ("@bo@far.example", "accepted", "https://far.example/users/bo")
    );
    assert_eq!((words[1][0], words[1][1]), ("@cy@wide.example", "requested"));
    assert_eq!(lines[2], "Followers: 1. Requests: 1.");
    assert!(!program.ok(&["follower", "list", "--requests"]).contains("bo@far.example"));
    let values = program.json(&["follower", "list", "--json"]);
    assert_eq!(values[0]["address"], "@bo@far.example");
    assert_eq!(
        (&values[1]["state"], &values[1]["actor"]),
        (&json!("requested"), &json!("https://wide.example/users/cy"))
    );
}

#[tokio::test]
async fn more_followers_than_are_read_at_once_are_all_listed() {
    let (program, store, ann) = program().await;
    let bo = follow(&store, &ann, "bo", "far.example", Accepted).await;
    program.database().execute(&format!(
        "INSERT INTO remote_actors (uri, host, kind, name, inbox, keys, also_known_as, fetched_at, created_at) \
         SELECT 'https://many.example/' || n, 'many.example', 'Person', '', 'https://many.example/' || n || '/inbox', '[]', '{{}}', now(), now() \
         FROM generate_series(1, 1234) AS n; \
         INSERT INTO followers (account_id, actor_id, state, follow_uri, follow, created_at, accepted_at) \
         SELECT {}, id, 'accepted', uri, '{{}}', now(), now() FROM remote_actors WHERE id <> {bo}",
        ann.id
    ));
    let listed = program.ok(&["follower", "list"]);
    assert_eq!(listed.lines().count(), 1236);
    assert!(listed.ends_with("Followers: 1235. Requests: 0.\n"));
}

/// The one message in the queue, answering the Follow of an actor.
fn answer(queue: &[(String, String, String, Value)], kind: &str, name: &str, follow: &Value) {
    let [(found, inbox, state, body)] = queue else { panic!("{queue:?}") };
    assert_eq!((found.as_str(), state.as_str()), (kind, "waiting"));
    assert_eq!(inbox, &format!("https://far.example/users/{name}/inbox"), "the follower's own inbox");
    let mut inside = follow.clone();
    inside.as_object_mut().unwrap().remove("@context");
    assert_eq!(body["object"], inside, "the Follow as it came, without what only a whole document has");
    assert_eq!(body["to"], json!([format!("https://far.example/users/{name}")]));
    assert_eq!(body["actor"], "https://keep.example/users/ann");
    assert!(body["proof"].is_object());
}

#[tokio::test]
async fn a_request_that_is_approved_is_accepted_there_and_counts_here() {
    let (program, store, ann) = program().await;
    follow(&store, &ann, "bo", "far.example", Requested).await;
    assert_eq!(program.ok(&["follower", "approve", "@Bo@far.example"]), "@bo@far.example follows ann now.\n");
    answer(&queue(program.database()), "Accept", "bo", &follow_json("https://far.example/users/bo", &ann));
    assert_eq!(store.count_followers(ann.id, Accepted).await.unwrap(), 1);
    refused(&program, &["follower", "approve", "bo@far.example"], "@bo@far.example follows already");
}

#[tokio::test]
async fn a_request_that_is_rejected_is_refused_there_and_forgotten_here() {
    let (program, store, ann) = program().await;
    follow(&store, &ann, "bo", "far.example", Requested).await;
    assert_eq!(program.ok(&["follower", "reject", "bo@far.example"]), "@bo@far.example was refused.\n");
    answer(&queue(program.database()), "Reject", "bo", &follow_json("https://far.example/users/bo", &ann));
    assert_eq!(store.count_followers(ann.id, Requested).await.unwrap(), 0);
    refused(&program, &["follower", "reject", "bo@far.example"], "neither follows ann nor asks to");
}

#[tokio::test]
async fn a_follower_is_removed_by_id_too_and_their_server_drops_them() {
    let (program, store, ann) = program().await;
    follow(&store, &ann, "bo", "far.example", Accepted).await;
    refused(&program, &["follower", "reject", "bo@far.example"], "everpost follower remove @bo@far.example");
    let removed = program.ok(&["follower", "remove", "https://far.example/users/bo"]);
    assert_eq!(removed, "@bo@far.example follows ann no more.\n");
    answer(&queue(program.database()), "Reject", "bo", &follow_json("https://far.example/users/bo", &ann));
    assert_eq!(store.count_followers(ann.id, Accepted).await.unwrap(), 0);
}

#[tokio::test]
async fn where_several_go_by_one_address_the_id_has_to_say_which() {
    let (program, store, ann) = program().await;
    for name in ["bo", "cy"] {
        follow(&store, &ann, name, "far.example", Accepted).await;
    }
    program.database().execute("UPDATE remote_actors SET handle = 'bo@far.example'");
    refused(&program, &["follower", "remove", "bo@far.example"], "https://far.example/users/cy");
    assert_eq!(store.count_followers(ann.id, Accepted).await.unwrap(), 2);
}
