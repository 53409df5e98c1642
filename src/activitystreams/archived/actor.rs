//! The `actor.json` of an archive: the profile that the account has here, by the names of its posts.

use super::Names;
use crate::activitystreams::context;
use crate::activitystreams::render::{field_html, timestamp};
use crate::domain::account::Account;
use crate::domain::post::MediaFile;
use serde_json::{Value, json};

/// Where an archive has the pictures of a profile, and the collections.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// The avatar.
    pub avatar: Option<String>,
    /// The header.
    pub header: Option<String>,
}

/// The actor of an archive: by the names of its posts, with the profile that the account has here.
pub fn actor(account: &Account, names: &Names, beside: &Beside) -> Value {
    let actor = names.actor();
    let facts = account.archived.as_ref().map(|archived| &archived.facts);
    let user = account.source.as_ref().filter(|_| !names.ours).map(|author| author.user.clone());
    let picture = |file: &MediaFile, url: &String| json!({ "type": "Image", "mediaType": file.media_type, "url": url });
    let fields = account.profile.fields.iter();
    let fields =
        fields.map(|(name, value)| json!({ "type": "PropertyValue", "name": name, "value": field_html(value) }));
    let page = account.source_page().filter(|_| !names.ours).unwrap_or_else(|| account.urls().profile());
    let mut value = json!({
        "@context": context::actor(),
        "id": actor,
        "type": "Person",
        "following": format!("{actor}/following"),
        "followers": names.followers(),
        "inbox": format!("{actor}/inbox"),
        "outbox": "outbox.json",
        "preferredUsername": user.unwrap_or_else(|| account.handle.to_string()),
        "name": account.profile.name,
        "summary": account.profile.summary.as_str(),
        "url": page,
        "manuallyApprovesFollowers": account.settings.manually_approves_followers,
        "tag": [],
        "attachment": fields.collect::<Vec<_>>(),
        "likes": "likes.json",
        "bookmarks": "bookmarks.json",
    });
    let mut set = |key: &str, found: Value| value[key] = found;
    match facts.filter(|_| !names.ours) {
        Some(facts) => {
            set("discoverable", json!(facts.discoverable));
            set("indexable", json!(facts.indexable));
            set("suspended", json!(facts.suspended));
            set("alsoKnownAs", json!(facts.also_known_as));
            facts.published.iter().for_each(|began| set("published", json!(timestamp(*began))));
            facts.handle.iter().for_each(|handle| set("webfinger", json!(handle)));
            facts.moved_to.iter().for_each(|target| set("movedTo", json!(target)));
        }
        None => {
            set("discoverable", json!(account.settings.discoverable));
            set("indexable", json!(account.settings.indexable));
            if names.ours {
                set("published", json!(timestamp(account.began())));
                set("alsoKnownAs", json!(account.also_known_as()));
                set("webfinger", json!(account.address()));
                account.moved_to.iter().for_each(|target| set("movedTo", json!(target)));
            }
        }
    }
    let pictures =
        [("icon", &account.profile.avatar, &beside.avatar), ("image", &account.profile.header, &beside.header)];
    for (key, file, url) in pictures {
        if let (Some(file), Some(url)) = (file, url) {
            set(key, picture(file, url));
        }
    }
    value
}

/// A key pair of an account as a document of an export: of Ed25519 a Multikey (FEP-521a), of RSA what servers have in actors.
/// `fragment` is that of its id, `secret` its private half as text.
pub fn key_pair(account: &Account, kind: &str, fragment: &str, public: &str, secret: &str) -> Value {
    let actor = account.urls().actor();
    let id = format!("{actor}#{fragment}");
    match kind {
        "ed25519" => json!({
            "@context": "https://w3id.org/security/multikey/v1",
            "id": id,
            "type": "Multikey",
            "controller": actor,
            "publicKeyMultibase": public,
            "secretKeyMultibase": secret,
        }),
        _ => json!({
            "@context": "https://w3id.org/security/v1",
            "id": id,
            "type": "Key",
            "owner": actor,
            "publicKeyPem": public,
            "privateKeyPem": secret,
        }),
    }
}
