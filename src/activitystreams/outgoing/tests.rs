//! What each activity looks like on the wire.

use super::*;
use crate::activitystreams::render::{self, Replies, note};
use crate::domain::account::Profile;
use crate::domain::details::Details;
use crate::domain::ids::{AccountId, ContextId};
use crate::domain::post::{Post, Visibility};
use crate::domain::source::SourceKey;
use crate::text::SafeHtml;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn account() -> Account {
    Account { profile: Profile { name: "Ann".to_owned(), ..Profile::default() }, ..Account::untouched() }
}

fn post(updated: Option<&str>) -> Post {
    Post {
        id: PostId(77),
        account: AccountId(1),
        key: SourceKey("77".to_owned()),
        object_id: None,
        object_id_stated: false,
        canonical_url: None,
        visibility: Visibility::Unlisted,
        published: at("2019-05-01T10:00:00Z"),
        date_estimated: false,
        updated: updated.map(at),
        content: SafeHtml::from_plain("The bridge is open"),
        warning: None,
        sensitive: false,
        language: None,
        tags: Vec::new(),
        reply_to: None,
        to_others: false,
        listed: true,
        context: ContextId(77),
        attachments: Vec::new(),
        details: Details::default(),
        quoted: None,
        echo: Default::default(),
        changed: at("2026-01-01T00:00:00Z"),
        exposed: None,
    }
}

fn follower() -> RemoteActor {
    RemoteActor {
        uri: "https://far.example/users/bo".to_owned(),
        inbox: "https://far.example/users/bo/inbox".to_owned(),
        shared_inbox: Some("https://far.example/inbox".to_owned()),
        ..RemoteActor::default()
    }
}

/// Its JSON, after its other parts were compared with it.
fn check(outgoing: &Outgoing, object: &str) -> Value {
    let body: Value = serde_json::from_str(&outgoing.body).unwrap();
    assert_eq!(body["id"], outgoing.uri);
    assert_eq!(body["type"], outgoing.kind);
    assert_eq!(outgoing.object, object);
    body
}

#[test]
fn an_accept_holds_the_follow_without_context_and_signatures_and_goes_to_the_followers_own_inbox() {
    let follow = r#"{"@context":["https://www.w3.org/ns/activitystreams",{"x":"https://far.example/ns#"}],"signature":{"type":"RsaSignature2017"},"proof":{"type":"DataIntegrityProof"},"id":"https://far.example/f/1","type":"Follow","actor":"https://far.example/users/bo","object":"https://keep.example/users/ann","x":[1,null,"\u00e9"]}"#;
    for (made, kind, id) in [
        (accept(&account(), follow, &follower(), "01"), "Accept", "#accepts/01"),
        (reject(&account(), follow, &follower(), "01"), "Reject", "#rejects/01"),
    ] {
        assert_eq!(
            check(&made, "https://far.example/users/bo"),
            json!({
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": format!("https://keep.example/users/ann{id}"),
                "type": kind,
                "actor": "https://keep.example/users/ann",
                "to": ["https://far.example/users/bo"],
                "object": {
                    "id": "https://far.example/f/1",
                    "type": "Follow",
                    "actor": "https://far.example/users/bo",
                    "object": "https://keep.example/users/ann",
                    "x": [1, null, "é"],
                },
            })
        );
        assert_eq!(made.to, Recipients::Inboxes(vec!["https://far.example/users/bo/inbox".to_owned()]));
    }
}

#[test]
fn an_undo_holds_what_it_takes_back_and_goes_to_whom_it_went() {
    let moved = move_to(&account(), "https://new.example/users/ann", "01");
    let undone = undo(&account(), &moved, "02");
    assert_eq!(
        check(&undone, "https://keep.example/users/ann"),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://keep.example/users/ann#undos/02",
            "type": "Undo",
            "actor": "https://keep.example/users/ann",
            "to": ["https://keep.example/users/ann/followers"],
            "object": {
                "id": "https://keep.example/users/ann#moves/01",
                "type": "Move",
                "actor": "https://keep.example/users/ann",
                "to": ["https://keep.example/users/ann/followers"],
                "object": "https://keep.example/users/ann",
                "target": "https://new.example/users/ann"
            }
        })
    );
    assert_eq!(undone.to, Recipients::Followers);
}

#[test]
fn an_update_of_the_account_holds_its_whole_actor() {
    let keys = PublicKeys { rsa: Some(("main-key".to_owned(), "PEM".to_owned())), ..PublicKeys::default() };
    let made = update_actor(&account(), &keys, "01");
    let body = check(&made, "https://keep.example/users/ann");
    assert_eq!(body["@context"], *context::actor());
    assert_eq!(body["id"], "https://keep.example/users/ann#updates/01");
    assert_eq!(body["to"], json!(["https://www.w3.org/ns/activitystreams#Public"]));
    assert_eq!(body["cc"], json!(["https://keep.example/users/ann/followers"]));
    let mut told = json!(actor(&account(), &keys));
    told.as_object_mut().unwrap().remove("@context");
    assert_eq!(body["object"], told);
    assert_eq!(body["object"]["publicKey"]["publicKeyPem"], "PEM");
    assert_eq!(made.to, Recipients::Followers);
}

#[test]
fn an_update_of_a_post_is_to_whom_the_post_is_and_says_when_it_was_edited() {
    let edited = post(Some("2026-02-03T04:05:06Z"));
    let told = note(&edited, &account(), Replies::Link, at("2026-02-03T05:00:00Z"));
    let made = update_note(&account(), told.clone(), "01").unwrap();
    let body = check(&made, "https://keep.example/users/ann/statuses/77");
    assert_eq!(
        body,
        json!({
            "@context": context::note(),
            "id": "https://keep.example/users/ann/statuses/77#updates/01",
            "type": "Update",
            "actor": "https://keep.example/users/ann",
            "to": ["https://keep.example/users/ann/followers"],
            "cc": ["https://www.w3.org/ns/activitystreams#Public"],
            "object": told,
            "published": "2026-02-03T04:05:06Z"
        })
    );
    assert_eq!(body["object"]["updated"], "2026-02-03T04:05:06Z");
    let never = note(&post(None), &account(), Replies::Link, at("2026-02-03T05:00:00Z"));
    assert_eq!(update_note(&account(), never, "01"), None);
}

#[test]
fn a_delete_of_a_post_holds_a_tombstone() {
    let made = delete_note(&account(), PostId(77), "01", at("2026-02-03T04:05:06Z"));
    assert_eq!(
        check(&made, "https://keep.example/users/ann/statuses/77"),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://keep.example/users/ann/statuses/77#deletes/01",
            "type": "Delete",
            "actor": "https://keep.example/users/ann",
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "cc": ["https://keep.example/users/ann/followers"],
            "object": {
                "id": "https://keep.example/users/ann/statuses/77",
                "type": "Tombstone",
                "deleted": "2026-02-03T04:05:06Z"
            }
        })
    );
}

#[test]
fn a_delete_of_the_account_names_its_actor() {
    assert_eq!(
        check(&delete_actor(&account()), "https://keep.example/users/ann"),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://keep.example/users/ann#delete",
            "type": "Delete",
            "actor": "https://keep.example/users/ann",
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "cc": ["https://keep.example/users/ann/followers"],
            "object": "https://keep.example/users/ann"
        })
    );
}

#[test]
fn a_move_names_both_actors_and_is_to_the_followers() {
    let made = move_to(&account(), "https://new.example/users/ann", "01");
    assert_eq!(
        check(&made, "https://keep.example/users/ann"),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://keep.example/users/ann#moves/01",
            "type": "Move",
            "actor": "https://keep.example/users/ann",
            "to": ["https://keep.example/users/ann/followers"],
            "object": "https://keep.example/users/ann",
            "target": "https://new.example/users/ann"
        })
    );
    assert_eq!(made.to, Recipients::Followers);
}

#[test]
fn a_create_is_that_of_the_outbox_and_is_news_until_it_expires() {
    let (now, expires) = (at("2019-05-01T10:01:00Z"), at("2019-05-01T16:00:00Z"));
    let of_outbox = render::create(&post(None), &account(), now);
    let made = create(of_outbox.clone(), expires);
    let mut body = check(&made, "https://keep.example/users/ann/statuses/77");
    assert_eq!(made.uri, "https://keep.example/users/ann/statuses/77/activity");
    assert_eq!((made.expires_at, &made.to), (Some(expires), &Recipients::Followers));
    assert_eq!(body.as_object_mut().unwrap().remove("@context").unwrap(), *context::note());
    assert_eq!(body, json!(of_outbox));
}

#[test]
fn an_announce_names_a_post_of_the_account_and_is_to_whom_that_is() {
    let made = announce(render::shown_again(&post(None), &account(), at("2026-05-01T08:00:00Z")));
    assert_eq!(
        check(&made, "https://keep.example/users/ann/statuses/77"),
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": "https://keep.example/users/ann/statuses/77/announces/1777622400",
            "type": "Announce",
            "actor": "https://keep.example/users/ann",
            "published": "2026-05-01T08:00:00Z",
            "to": ["https://keep.example/users/ann/followers"],
            "cc": ["https://www.w3.org/ns/activitystreams#Public"],
            "object": "https://keep.example/users/ann/statuses/77"
        })
    );
    assert_eq!((made.expires_at, &made.to), (None, &Recipients::Followers));
}

#[test]
fn a_pin_is_added_to_the_featured_collection_and_removed_from_it() {
    let to = Recipients::Inboxes(vec!["https://far.example/inbox".to_owned()]);
    for (made, kind, id) in [
        (add(&account(), PostId(77), "01", to.clone()), "Add", "#adds/01"),
        (remove(&account(), PostId(77), "01", to.clone()), "Remove", "#removes/01"),
    ] {
        assert_eq!(
            check(&made, "https://keep.example/users/ann/statuses/77"),
            json!({
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": format!("https://keep.example/users/ann{id}"),
                "type": kind,
                "actor": "https://keep.example/users/ann",
                "to": ["https://www.w3.org/ns/activitystreams#Public"],
                "cc": ["https://keep.example/users/ann/followers"],
                "object": "https://keep.example/users/ann/statuses/77",
                "target": "https://keep.example/users/ann/collections/featured"
            })
        );
        assert_eq!(made.to, to);
    }
}
