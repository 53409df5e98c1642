//! Activities that our accounts send to inboxes: Accept, Reject, Undo, Create, Update, Delete, Announce, Add, Remove, Move.
//!
//! Each is an [`Outgoing`], ready for the queue; what is read at an id of its own too (Creates and Announces) is made in
//! `render.rs`. Other ids are minted by the caller, under the account, and need not answer. Must never know keys or inboxes
//! of followers.

use super::context::{self, PUBLIC};
use super::render::{PublicKeys, actor, timestamp};
use super::vocabulary::{Announce, Create, Note};
use crate::domain::account::Account;
use crate::domain::delivery::{Outgoing, Recipients};
use crate::domain::ids::PostId;
use crate::domain::remote::RemoteActor;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// What only a whole document has. Inside of another one a context would define protected terms a second time, which
/// JSON-LD forbids and Fedify answers with 400, and signatures are over something else.
const OF_DOCUMENTS: [&str; 3] = ["@context", "proof", "signature"];

/// The answer to a Follow that was accepted, for the follower's own inbox.
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

/// Tells followers of a post that is new. It is the Create of the outbox, under the same id.
///
/// Nobody is told who has not been by `expires_at`, for servers take whatever is pushed for new and show it on top of
/// everything.
pub fn create(mut create: Create, expires_at: DateTime<Utc>) -> Outgoing {
    create.context_terms = Some(context::note());
    let made = outgoing("Create", &create.object.id, &json!(create), Recipients::Followers);
    Outgoing { expires_at: Some(expires_at), ..made }
}

/// Shows followers a post of the account's own again: their servers fetch it, which leaves it its date.
pub fn announce(mut announce: Announce) -> Outgoing {
    announce.context_terms = Some(context::plain());
    outgoing("Announce", &announce.object, &json!(announce), Recipients::Followers)
}

/// Says that a post is pinned to the profile from now on: servers fetch it, which leaves it its date.
pub fn add(account: &Account, post: PostId, id: &str, to: Recipients) -> Outgoing {
    pinned("Add", "adds", account, post, id, to)
}

/// Says that a post is pinned no longer. Servers that have it keep it.
pub fn remove(account: &Account, post: PostId, id: &str, to: Recipients) -> Outgoing {
    pinned("Remove", "removes", account, post, id, to)
}

/// Tells followers that the text of a post was changed. A Note's `updated` is what makes it an edit: `None` for one
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

/// Tells followers that a post is gone: servers that have it delete it, and never take its id again.
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

/// Tells followers that the account has moved to the actor `target`, whom their servers make them follow.
pub fn move_to(account: &Account, target: &str, id: &str) -> Outgoing {
    let about = account.urls().actor();
    let id = under_actor(account, "moves", id);
    let mut body = body(account, "Move", &id, followers(account), Vec::new(), json!(about));
    body["target"] = json!(target);
    outgoing("Move", &about, &body, Recipients::Followers)
}

fn pinned(kind: &'static str, path: &str, account: &Account, post: PostId, id: &str, to: Recipients) -> Outgoing {
    let urls = account.urls();
    let (about, id) = (urls.note(post), under_actor(account, path, id));
    let mut body = body(account, kind, &id, public(), followers(account), json!(about));
    body["target"] = json!(urls.featured());
    outgoing(kind, &about, &body, to)
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
    Outgoing { uri, kind, object: object.to_owned(), body: body.to_string(), to, expires_at: None }
}

#[cfg(test)]
mod tests;
