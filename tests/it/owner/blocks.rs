//! `everpost block`: what a block takes away, and lists that go to Mastodon and come from there.

use super::{follow, program, queue, refused, remote, waiting};
use crate::support::Program;
use chrono::Utc;
use everpost::domain::account::Account;
use everpost::domain::block::BlockTarget;
use everpost::domain::follower::FollowState::{Accepted, Requested};
use everpost::store::Store;
use serde_json::json;

/// The program with an account whom three servers follow, and one message on its way to each.
async fn followed() -> (Program, Store, Account) {
    let (program, store, ann) = program().await;
    for (name, host) in [("bo", "far.example"), ("cy", "deep.far.example"), ("di", "notfar.example")] {
        follow(&store, &ann, name, host, Accepted).await;
    }
    program.ok(&["account", "set", "ann", "name=Ann"]);
    assert_eq!(waiting(program.database()).len(), 3);
    (program, store, ann)
}

#[tokio::test]
async fn a_blocked_domain_takes_followers_and_what_waits_with_all_that_is_below_it() {
    let (program, store, ann) = followed().await;
    let told = program.ok(&["block", "add", "Far.example", "--comment", "Spam"]);
    assert_eq!(told, "Blocked far.example. Followers and requests removed: 2. Waiting deliveries dropped: 2.\n");
    assert_eq!(waiting(program.database()), [("Update".to_owned(), "https://notfar.example/inbox".to_owned())]);
    assert_eq!(store.count_followers(ann.id, Accepted).await.unwrap(), 1);
    assert!(store.is_blocked(None, "https://deep.far.example/users/cy").await.unwrap());
    assert!(!store.is_blocked(Some(ann.id), "https://notfar.example/users/di").await.unwrap());
    assert_eq!(program.ok(&["block", "add", "far.example"]), "far.example was blocked before.\n");
    let listed = program.ok(&["block", "list"]);
    assert!(listed.trim_end().ends_with("  far.example  Spam"), "{listed}");
    assert_eq!(program.json(&["block", "list", "--json"])[0]["kind"], "domain");
    assert_eq!(program.ok(&["block", "remove", "far.example"]), "far.example is blocked no more.\n");
    assert_eq!(program.ok(&["block", "list"]), "Nothing is blocked.\n");
    assert!(!store.is_blocked(None, "https://far.example/users/bo").await.unwrap());
    refused(&program, &["block", "remove", "far.example"], "far.example is not blocked");
}

#[tokio::test]
async fn a_blocked_actor_goes_alone_and_what_others_of_its_server_get_stays() {
    let (program, store, ann) = followed().await;
    follow(&store, &ann, "ed", "far.example", Requested).await;
    let told = program.ok(&["block", "add", "https://far.example/users/bo"]);
    assert_eq!(told, "Blocked https://far.example/users/bo. Followers and requests removed: 1.\n");
    assert_eq!(waiting(program.database()).len(), 3, "the shared inbox is not the actor's");
    assert!(store.is_blocked(None, "https://far.example/users/bo").await.unwrap());
    assert!(!store.is_blocked(None, "https://far.example/users/ed").await.unwrap());
    let blocked = program.json(&["block", "list", "--json"]);
    assert_eq!((&blocked[0]["kind"], &blocked[0]["address"]), (&json!("actor"), &json!("@bo@far.example")));
    let answer = program.ok(&["follower", "approve", "ed@far.example"]);
    assert_eq!(answer, "@ed@far.example follows ann now.\n");
    let told = program.ok(&["block", "add", "https://far.example/users/ed"]);
    assert!(told.contains("Waiting deliveries dropped: 1."), "{told}");
    let dropped = queue(program.database()).into_iter().filter(|(_, _, state, _)| state == "dropped");
    assert_eq!(dropped.map(|(kind, ..)| kind).collect::<Vec<_>>(), ["Accept"]);
}

#[tokio::test]
async fn an_address_that_nobody_can_look_up_is_blocked_as_it_is() {
    let (program, store, ann) = followed().await;
    let told = program.ok(&["block", "add", "@Bo@far.example"]);
    assert_eq!(
        told,
        "Blocked @bo@far.example. Its server does not say who that is now, so the block holds for the address. \
         Followers and requests removed: 1.\n"
    );
    assert!(store.is_blocked(None, "https://far.example/users/bo").await.unwrap());
    assert!(store.is_blocked(Some(ann.id), "https://far.example/users/bo").await.unwrap());
    assert!(!store.is_blocked(None, "https://deep.far.example/users/cy").await.unwrap());
    program.ok(&["block", "remove", "bo@far.example"]);
    assert!(!store.is_blocked(None, "https://far.example/users/bo").await.unwrap());
}

#[tokio::test]
async fn the_address_of_a_page_blocks_the_actor_whose_page_it_is() {
    let peer = super::moves::server();
    let (mut program, store, _) = program().await;
    program.set("EVERPOST_FEDERATION__ALLOW_ADDRESSES", "127.0.0.0/8,::1/128");
    program.set("EVERPOST_FEDERATION__ALLOW_HTTP", &peer.authority());
    let (page, id) = (peer.url("/@bo"), peer.url("/users/bo"));
    assert_eq!(program.ok(&["block", "add", &page]), format!("Blocked {page} ({id}).\n"));
    assert!(store.is_blocked(None, &id).await.unwrap());
    assert_eq!(program.ok(&["block", "remove", &page]), format!("{page} is blocked no more.\n"));
    assert!(!store.is_blocked(None, &id).await.unwrap());
    let gone = peer.url("/users/gone");
    let told = format!("Blocked {gone}. No actor could be found there, so the block holds for exactly this id.\n");
    assert_eq!(program.ok(&["block", "add", &gone]), told);
    assert!(store.is_blocked(None, &gone).await.unwrap());
}

#[tokio::test]
async fn a_list_of_whom_somebody_follows_or_mutes_blocks_nobody() {
    let (program, ..) = program().await;
    let following = "Account address,Show boosts,Notify on new posts,Languages\nbo@far.example,true,false,\n";
    let muted = "Account address,Hide notifications\nbo@far.example,true\n";
    for (text, told) in [(following, "accounts that are followed"), (muted, "accounts that are muted")] {
        std::fs::write(program.scratch().join("list.csv"), text).unwrap();
        let outcome = program.run(&["block", "import", "list.csv"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome:?}");
        assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
    }
    assert_eq!(program.ok(&["block", "list"]), "Nothing is blocked.\n");
}

#[tokio::test]
async fn a_block_of_one_account_leaves_the_others_alone() {
    let (program, store, ann) = followed().await;
    program.ok(&["account", "create", "ben"]);
    program.ok(&["account", "publish", "ben"]);
    let accounts = store.list_accounts().await.unwrap();
    let ben = accounts.iter().find(|account| account.handle.as_str() == "ben").unwrap();
    follow(&store, ben, "bo", "far.example", Accepted).await;
    program.ok(&["block", "add", "far.example", "--account", "ann"]);
    assert!(store.is_blocked(Some(ann.id), "https://far.example/users/bo").await.unwrap());
    assert!(!store.is_blocked(Some(ben.id), "https://far.example/users/bo").await.unwrap());
    assert!(!store.is_blocked(None, "https://far.example/users/bo").await.unwrap());
    assert_eq!(store.count_followers(ben.id, Accepted).await.unwrap(), 1);
    assert_eq!(program.ok(&["block", "list"]), "Nothing is blocked.\n");
    assert_eq!(program.json(&["block", "list", "--account", "ann", "--json"])[0]["target"], "far.example");
}

#[tokio::test]
async fn the_server_itself_and_what_is_no_target_are_refused() {
    let (program, ..) = program().await;
    for own in ["keep.example", "example", "ann@keep.example", "https://keep.example/users/ann"] {
        let outcome = program.run(&["block", "add", own]);
        assert_eq!(outcome.code, 1, "{own}: {outcome:?}");
    }
    refused(&program, &["block", "add", "keep.example"], "keep.example is this server itself");
    refused(&program, &["block", "add", "no domain"], "\"no domain\" is no domain (example.org)");
    assert_eq!(program.ok(&["block", "list"]), "Nothing is blocked.\n");
}

#[tokio::test]
async fn the_lists_of_mastodon_come_in_and_go_out_again_as_they_were() {
    let (program, store, ann) = followed().await;
    store.keep_remote_actor(&remote("ed", "wide.example"), Utc::now()).await.unwrap();
    let file = |name: &str, text: &str| std::fs::write(program.scratch().join(name), text).unwrap();
    file(
        "admin.csv",
        "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n\
        far.example,suspend,true,true,\"Spam, \"\"again\"\"\",false\n\
        mild.example,silence,false,false,,false\n\
        bad one.example,suspend,true,true,,false\n",
    );
    let outcome = program.run(&["block", "import", "admin.csv"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(
        outcome.stdout,
        "Blocked: 1. Blocked before: 0. Lines left out: 2.\n\
         Followers and requests removed: 2. Reactions taken back: 0. Waiting deliveries dropped: 2.\n"
    );
    assert!(outcome.stderr.starts_with("line 3: mild.example is listed as \"silence\""), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\nline 4: \"bad one.example\" is no domain"), "{}", outcome.stderr);
    file("blocked_domains.csv", "far.example\nworse.example\n");
    let again = program.ok(&["block", "import", "blocked_domains.csv"]);
    assert_eq!(again, "Blocked: 1. Blocked before: 1. Lines left out: 0.\n");
    file("blocked_accounts.csv", "Account address\ned@wide.example\nnobody@nowhere.example\n");
    let accounts = program.json(&["block", "import", "blocked_accounts.csv", "--json"]);
    assert_eq!((&accounts["added"], &accounts["by_address"], &accounts["left_out"]), (&json!(2), &json!(2), &json!(0)));
    program.ok(&["block", "add", "https://wide.example/users/ed"]);
    program.ok(&["block", "add", "https://unknown.example/users/x"]);

    assert_eq!(program.ok(&["block", "export", "out.csv"]), "Wrote 2 domains to out.csv.\n");
    let read = |name: &str| std::fs::read_to_string(program.scratch().join(name)).unwrap();
    assert_eq!(
        read("out.csv"),
        "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n\
         far.example,suspend,false,false,\"Spam, \"\"again\"\"\",false\n\
         worse.example,suspend,false,false,,false\n"
    );
    refused(&program, &["block", "export", "out.csv"], "out.csv");
    program.ok(&["block", "export", "accounts.csv", "--accounts"]);
    assert_eq!(
        read("accounts.csv"),
        "Account address\ned@wide.example\nnobody@nowhere.example\ned@wide.example\nhttps://unknown.example/users/x\n"
    );
    let targets = |blocks: Vec<everpost::domain::block::Block>| -> Vec<(BlockTarget, String)> {
        blocks.into_iter().map(|block| (block.target, block.comment)).collect()
    };
    let before = targets(store.list_blocks(None).await.unwrap());
    program.database().execute("DELETE FROM blocks");
    program.ok(&["block", "import", "out.csv"]);
    program.ok(&["block", "import", "accounts.csv"]);
    let after = targets(store.list_blocks(None).await.unwrap());
    let known_twice = BlockTarget::Actor("https://wide.example/users/ed".to_owned());
    let expected: Vec<_> = before.into_iter().filter(|(target, _)| *target != known_twice).collect();
    assert_eq!(after, expected);
    assert!(store.is_blocked(Some(ann.id), "https://wide.example/users/ed").await.unwrap());
}

#[tokio::test]
async fn a_list_that_blocks_nothing_ends_with_2() {
    let (program, ..) = program().await;
    for (text, told) in [("", "the list is empty"), ("nothing to see\n", "line 1"), ("PK\u{3}\u{4}\0\0\0", "line 1")] {
        std::fs::write(program.scratch().join("list.csv"), text).unwrap();
        let outcome = program.run(&["block", "import", "list.csv"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{text:?}: {outcome:?}");
        assert!(outcome.stderr.contains(told), "{text:?}: {}", outcome.stderr);
    }
    refused(&program, &["block", "import", "absent.csv"], "absent.csv");
}
