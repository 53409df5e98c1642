//! Activities that our accounts send to inboxes: Accept, Reject, Undo, Update, Delete, Move.
//!
//! Each is an [`Outgoing`], ready for the queue; what is only read (the Creates of an outbox) is made in `render.rs`.
//! Ids are minted by the caller, under the account, and need not answer. Must never know keys or inboxes of followers.

use super::context::{self, PUBLIC};
use super::render::{PublicKeys, actor, timestamp};
use super::vocabulary::Note;
use crate::domain::account::Account;
use crate::domain::delivery::{Outgoing, Recipients};
use crate::domain::ids::PostId;
use crate::domain::remote::RemoteActor;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What only a whole document has. Inside of another one a context would define protected terms a second time, which
/// JSON-LD forbids and Fedify answers with 400, and signatures are over something else.
const OF_DOCUMENTS: [&str; 3] = ["@context", "proof", "signature"];

/// The answer to a Follow that was accepted, for the follower's own inbox (R-72).
///
/// The Follow as it came, but for its context and signatures, stands inside. `id` is what tells it from every other Accept
/// of this account.
pub fn accept(account: &Account, follow_json: &str, follower: &RemoteActor, id: &str) -> Outgoing {
    answer("Accept", "accepts", account, follow_json, follower, id)
}

/// The answer to a Follow that was refused, or that is taken back later: the other server drops it. As [`accept`].
pub fn reject(account: &Account, follow_json: &str, follower: &RemoteActor, id: &str) -> Outgoing {
    answer("Reject", "rejects", account, follow_json, follower, id)
}

/// Takes back an activity of ours that was sent: the activity stands inside, without what only a whole document has, and goes
/// to whom it went.
pub fn undo(account: &Account, undone: &Outgoing, id: &str) -> Outgoing {
    let mut object: Value = serde_json::from_str(&undone.body).unwrap_or_else(|_| json!({ "id": undone.uri }));
    let (to, cc) = (list(&object["to"]), list(&object["cc"]));
    if let Some(object) = object.as_object_mut() {
        object.retain(|name, _| !OF_DOCUMENTS.contains(&name.as_str()));
    }
    let body = body(account, "Undo", &under_actor(account, "undos", id), to, cc, object);
    outgoing("Undo", &undone.object, &body, undone.to.clone())
}

/// Tells followers what the account says of itself now. `keys` are those that its actor shows from now on.
pub fn update_actor(account: &Account, keys: &PublicKeys, id: &str) -> Outgoing {
    let mut told = json!(actor(account, keys));
    if let Some(told) = told.as_object_mut() {
        told.remove("@context");
    }
    let id = under_actor(account, "updates", id);
    let mut body = body(account, "Update", &id, public(), followers(account), told);
    body["@context"] = context::actor().clone();
    outgoing("Update", &account.urls().actor(), &body, Recipients::Followers)
}

/// Tells followers that the text of a post was changed. A Note's `updated` is what makes it an edit (R-47): `None` for one
/// that was not.
pub fn update_note(account: &Account, mut note: Note, id: &str) -> Option<Outgoing> {
    note.context_terms = None;
    let (about, updated) = (note.id.clone(), note.updated.clone()?);
    let id = format!("{about}#updates/{id}");
    let mut body = body(account, "Update", &id, note.to.clone(), note.cc.clone(), json!(note));
    body["@context"] = context::note().clone();
    body["published"] = json!(updated);
    Some(outgoing("Update", &about, &body, Recipients::Followers))
}

/// Tells followers that a post is gone: servers that have it delete it, and never take its id again (R-41).
pub fn delete_note(account: &Account, post: PostId, id: &str, now: DateTime<Utc>) -> Outgoing {
    let about = account.urls().note(post);
    let tombstone = json!({ "id": about, "type": "Tombstone", "deleted": timestamp(now) });
    let id = format!("{about}#deletes/{id}");
    let body = body(account, "Delete", &id, public(), followers(account), tombstone);
    outgoing("Delete", &about, &body, Recipients::Followers)
}

/// Tells followers that the account is gone for ever, with all that is its. There is one such activity, so it needs no
/// number.
pub fn delete_actor(account: &Account) -> Outgoing {
    let about = account.urls().actor();
    let body = body(account, "Delete", &format!("{about}#delete"), public(), followers(account), json!(about));
    outgoing("Delete", &about, &body, Recipients::Followers)
}

/// Tells followers that the account has moved to the actor `target`, whom their servers make them follow (R-94).
pub fn move_to(account: &Account, target: &str, id: &str) -> Outgoing {
    let about = account.urls().actor();
    let id = under_actor(account, "moves", id);
    let mut body = body(account, "Move", &id, followers(account), Vec::new(), json!(about));
    body["target"] = json!(target);
    outgoing("Move", &about, &body, Recipients::Followers)
}

fn answer(
    kind: &'static str,
    path: &str,
    account: &Account,
    follow_json: &str,
    follower: &RemoteActor,
    id: &str,
) -> Outgoing {
    // What is stored was read as JSON before. Mastodon takes a Follow without an id by actor and object.
    let mut follow: Value = serde_json::from_str(follow_json)
        .unwrap_or_else(|_| json!({ "type": "Follow", "actor": follower.uri, "object": account.urls().actor() }));
    if let Some(follow) = follow.as_object_mut() {
        follow.retain(|name, _| !OF_DOCUMENTS.contains(&name.as_str()));
    }
    let id = under_actor(account, path, id);
    let body = body(account, kind, &id, vec![follower.uri.clone()], Vec::new(), follow);
    // All that is said to a follower about following keeps its order, whichever Follow it answers.
    outgoing(kind, &follower.uri, &body, Recipients::Inboxes(vec![follower.inbox.clone()]))
}

/// An id that answers with the actor: its fragment tells the activity.
fn under_actor(account: &Account, path: &str, id: &str) -> String {
    format!("{}#{path}/{id}", account.urls().actor())
}

fn public() -> Vec<String> {
    vec![PUBLIC.to_owned()]
}

fn followers(account: &Account) -> Vec<String> {
    vec![account.urls().under("followers")]
}

fn list(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn body(account: &Account, kind: &str, id: &str, to: Vec<String>, cc: Vec<String>, object: Value) -> Value {
    let mut body =
        json!({ "@context": context::plain(), "id": id, "type": kind, "actor": account.urls().actor(), "to": to });
    if !cc.is_empty() {
        body["cc"] = json!(cc);
    }
    body["object"] = object;
    body
}

fn outgoing(kind: &'static str, object: &str, body: &Value, to: Recipients) -> Outgoing {
    let uri = body["id"].as_str().unwrap_or_default().to_owned();
    Outgoing { uri, kind, object: object.to_owned(), body: body.to_string(), to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activitystreams::render::{Replies, note};
    use crate::domain::account::{AccountState, Handle, Profile};
    use crate::domain::details::Details;
    use crate::domain::ids::{AccountId, ContextId, DomainId};
    use crate::domain::post::{Post, Visibility};
    use crate::domain::settings::Settings;
    use crate::domain::source::SourceKey;
    use crate::text::SafeHtml;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn account() -> Account {
        Account {
            id: AccountId(1),
            domain: DomainId(1),
            base_url: "https://keep.example".to_owned(),
            handle: Handle::parse("ann").unwrap(),
            handle_domain: "keep.example".to_owned(),
            source: None,
            source_actor: None,
            profile: Profile { name: "Ann".to_owned(), ..Profile::default() },
            archived: None,
            settings: Settings::default(),
            state: AccountState::Live,
            preview_token: String::new(),
            created: at("2026-01-01T00:00:00Z"),
            changed: at("2026-01-01T00:00:00Z"),
            exposed: None,
            aliases: Vec::new(),
            moved_to: None,
            last_move: None,
        }
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
}
