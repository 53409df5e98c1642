//! An actor of another server, as far as we deal with it: where it is written to, and by which keys it is known.
//!
//! Lenient in form, strict in whose word it is: nothing counts that an actor says about another host.
//! Start with [`remote_actor`].

use super::value::{id, ids, is_url, kinds, list, text};
use crate::domain::remote::{RemoteActor, RemoteKey, host_of, same_host};
use serde_json::Value;

/// The types of actors.
const KINDS: [&str; 5] = ["Person", "Service", "Group", "Organization", "Application"];
/// Longest text of a key, in bytes: an RSA key of 8192 bits and its armour fit.
const LONGEST_KEY: usize = 4096;
/// Longest name, in characters: what Mastodon takes.
const LONGEST_NAME: usize = 2048;
/// Longest user name, in characters. A longer one is none: cut off, it would be another's.
const LONGEST_USER: usize = 256;
/// Most keys that are kept.
const MOST_KEYS: usize = 10;
/// Most keys of `publicKey` among them, so that there is room for the others.
const MOST_OLD_KEYS: usize = 5;
/// Most other ids of an actor that are kept; Mastodon keeps more, and hardly anybody has several.
const MOST_ALIASES: usize = 32;

/// An actor, and the URLs of keys that it names without showing them.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// What it tells.
    pub actor: RemoteActor,
    /// Keys that are documents of their own, on its host.
    pub linked_keys: Vec<String>,
}

/// Read an actor; the error says what it lacks.
///
/// Whether it stood at its id is for the caller to judge.
pub fn remote_actor(value: &Value) -> Result<Read, String> {
    let kind = kinds(value).into_iter().find(|kind| KINDS.contains(kind)).ok_or("it is no actor")?;
    let uri = url(value.get("id")).ok_or("it has no id that is a URL")?;
    let ours = |found: &String| same_host(found, &uri);
    let inbox = url(value.get("inbox")).ok_or("it has no inbox")?;
    if !ours(&inbox) {
        return Err("its inbox is on another host".to_owned());
    }
    let shared_inbox = value.get("endpoints").and_then(|endpoints| url(endpoints.get("sharedInbox"))).filter(ours);
    let (mut keys, mut linked_keys) = (Vec::new(), Vec::new());
    let shown = list(value.get("publicKey")).iter().take(MOST_OLD_KEYS);
    for key in shown.chain(list(value.get("assertionMethod")).iter().take(MOST_KEYS)) {
        match (key_of(key, &uri), key.as_str()) {
            (Some(key), _) if keys.len() < MOST_KEYS && !keys.contains(&key) => keys.push(key),
            (None, Some(_)) => linked_keys.extend(url(Some(key)).filter(ours)),
            _ => {}
        }
    }
    let actor = RemoteActor {
        kind: kind.to_owned(),
        handle: handle(value, &uri),
        name: plain(&text(value.get("name")).unwrap_or_default(), LONGEST_NAME),
        page: page(value.get("url")).filter(ours),
        inbox,
        shared_inbox,
        followers: url(value.get("followers")).filter(ours),
        keys,
        also_known_as: ids(value.get("alsoKnownAs"))
            .into_iter()
            .filter(|alias| is_url(alias))
            .take(MOST_ALIASES)
            .collect(),
        moved_to: url(value.get("movedTo")),
        uri,
    };
    Ok(Read { actor, linked_keys })
}

/// Whose key a document at `key` is; `None` if it holds no such key, or that of somebody on another host.
///
/// It may be a key alone, an actor, or the part of an actor that GoToSocial shows to everybody.
pub fn key_owner(value: &Value, key: &str) -> Option<String> {
    let is_actor = kinds(value).iter().any(|kind| KINDS.contains(kind));
    let shown = list(value.get("publicKey")).iter().chain(list(value.get("assertionMethod")));
    let named = std::iter::once(value).chain(shown).find(|part| text(part.get("id")).as_deref() == Some(key));
    let owner = named.and_then(owner_of).or_else(|| url(value.get("id")).filter(|_| is_actor));
    owner.filter(|owner| same_host(owner, key))
}

/// The key at `key` that stands alone in a document, if it belongs to that actor.
pub fn lone_key(value: &Value, key: &str, actor: &str) -> Option<RemoteKey> {
    key_of(value, actor).filter(|found| found.id == key && owner_of(value).is_some())
}

/// The handle and the actor's id that a WebFinger answer names; `None` if it names no actor.
pub fn webfinger(value: &Value) -> Option<(String, String)> {
    let subject = text(value.get("subject"))?;
    let ours = |link: &&Value| {
        let kind = text(link.get("type")).unwrap_or_default();
        let activity = kind.starts_with("application/activity+json") || kind.starts_with("application/ld+json");
        text(link.get("rel")).as_deref() == Some("self") && activity
    };
    let actor = list(value.get("links")).iter().filter(ours).find_map(|link| url(link.get("href")))?;
    Some((subject.trim_start_matches("acct:").to_owned(), actor))
}

/// A key with its text, if nobody else claims it. Inside an actor it need not say whose it is.
fn key_of(value: &Value, actor: &str) -> Option<RemoteKey> {
    if owner_of(value).is_some_and(|owner| owner != actor) {
        return None;
    }
    let key = text(value.get("publicKeyPem")).or_else(|| text(value.get("publicKeyMultibase")))?;
    let id = url(value.get("id")).filter(|id| same_host(id, actor))?;
    (key.len() <= LONGEST_KEY).then_some(RemoteKey { id, text: key })
}

fn owner_of(value: &Value) -> Option<String> {
    id(value.get("owner")).or_else(|| id(value.get("controller")))
}

/// What an actor is called: its user name at the host of its id. A handle on another domain would be its word about another
/// host, and counts once WebFinger confirms it, for which nobody asks yet; so it is not shown.
fn handle(value: &Value, uri: &str) -> Option<String> {
    let host = host_of(uri)?;
    let named = text(value.get("webfinger")).and_then(|said| {
        let (user, domain) = said.trim_start_matches("acct:").split_once('@')?;
        domain.eq_ignore_ascii_case(&host).then(|| user.to_owned())
    });
    let user = named.filter(|user| is_user(user)).or_else(|| text(value.get("preferredUsername")))?;
    is_user(&user).then(|| format!("{user}@{host}"))
}

/// Whether a user name can be taken for nothing else.
fn is_user(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && name.chars().all(fits) && name.chars().count() <= LONGEST_USER
}

/// The first address of a page among links and lists.
fn page(value: Option<&Value>) -> Option<String> {
    list(value).iter().find_map(|link| url(Some(link)).or_else(|| url(link.get("href"))))
}

/// An address that something can stand at.
fn url(value: Option<&Value>) -> Option<String> {
    id(value).filter(|found| is_url(found))
}

/// Text on one line, without what only controls a terminal or turns the direction of writing.
fn plain(text: &str, longest: usize) -> String {
    let turns =
        |c: &char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = text.chars().filter(|c| !turns(c));
    let spaced: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::super::value::LONGEST_URL;
    use super::*;
    use serde_json::json;

    const ANN: &str = "https://a.example/users/ann";

    fn ann() -> Value {
        json!({
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": ANN,
            "type": "Person",
            "preferredUsername": "ann",
            "name": " Ann\u{7}\nO'Neill ",
            "inbox": format!("{ANN}/inbox"),
            "followers": format!("{ANN}/followers"),
            "url": [{ "type": "Link", "href": "https://a.example/@ann" }],
            "endpoints": { "sharedInbox": "https://a.example/inbox" },
            "publicKey": { "id": format!("{ANN}#main-key"), "owner": ANN, "publicKeyPem": "PEM" },
            "assertionMethod": [
                { "id": format!("{ANN}#ed"), "type": "Multikey", "controller": ANN, "publicKeyMultibase": "z6Mk" }
            ],
            "alsoKnownAs": ["https://old.example/@ann", "acct:ann@old.example"],
            "movedTo": "https://new.example/users/ann",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut actor = ann();
        actor[name] = value;
        actor
    }

    fn read(value: &Value) -> RemoteActor {
        remote_actor(value).unwrap().actor
    }

    fn key_ids(value: &Value) -> Vec<String> {
        read(value).keys.into_iter().map(|key| key.id).collect()
    }

    #[test]
    fn an_actor_tells_where_it_is_written_to_and_by_which_keys_it_is_known() {
        let actor = read(&ann());
        assert_eq!((actor.uri.as_str(), actor.kind.as_str(), actor.name.as_str()), (ANN, "Person", "Ann O'Neill"));
        assert_eq!(actor.handle.as_deref(), Some("ann@a.example"));
        assert_eq!(actor.best_inbox(), "https://a.example/inbox");
        assert_eq!(actor.page.as_deref(), Some("https://a.example/@ann"));
        assert_eq!(actor.also_known_as, ["https://old.example/@ann"]);
        assert_eq!(actor.moved_to.as_deref(), Some("https://new.example/users/ann"));
        assert_eq!(actor.keys.iter().map(|key| key.text.as_str()).collect::<Vec<_>>(), ["PEM", "z6Mk"]);
    }

    #[test]
    fn nobody_goes_by_a_handle_or_a_page_of_another_host() {
        let handle = |name: &str, value: &str| read(&with(name, json!(value))).handle;
        for (webfinger, expected) in [
            ("acct:anna@A.example", "anna@a.example"),
            ("acct:ann@own.example", "ann@a.example"),
            ("boss@bank.example", "ann@a.example"),
            ("boss@bank.example@a.example", "ann@a.example"),
            ("@a.example", "ann@a.example"),
        ] {
            assert_eq!(handle("webfinger", webfinger).as_deref(), Some(expected), "{webfinger}");
        }
        for name in ["Ann.O-N_1", "änne", "アン"] {
            assert_eq!(handle("preferredUsername", name), Some(format!("{name}@a.example")));
        }
        let long = "x".repeat(LONGEST_USER + 1);
        for name in ["boss@bank.example", "a/b", "a b", "ann\u{202e}", "a\u{200f}", "<b>", "", &long] {
            assert_eq!(handle("preferredUsername", name), None, "{name}");
        }
        for page in [json!("https://b.example/@ann"), json!([{ "type": "Link", "href": "https://b.example/@ann" }])] {
            assert_eq!(read(&with("url", page.clone())).page, None, "{page}");
        }
        let turned = read(&with("name", json!("\u{202e}ssob\u{202c} \u{2066}Ann\u{2069} \u{200f}x\u{61c}")));
        assert_eq!(turned.name, "ssob Ann x");
    }

    #[test]
    fn of_other_ids_and_keys_a_bounded_number_is_kept() {
        let aliases: Vec<String> = (0..100).map(|n| format!("https://old.example/{n}")).collect();
        assert_eq!(read(&with("alsoKnownAs", json!(aliases))).also_known_as, aliases[..MOST_ALIASES].to_vec());
        let key = |name: String| json!({ "id": format!("{ANN}#{name}"), "publicKeyPem": name });
        let keys = |start: char| (0..30).map(|n| key(format!("{start}{n}"))).collect::<Vec<_>>();
        let mut many = with("publicKey", json!(keys('r')));
        many["assertionMethod"] = json!(keys('e'));
        let kept = key_ids(&many);
        assert_eq!((kept.len(), &kept[4], &kept[5]), (MOST_KEYS, &format!("{ANN}#r4"), &format!("{ANN}#e0")));
    }

    #[test]
    fn keys_come_alone_in_lists_and_as_addresses() {
        let key = |name: &str| json!({ "id": format!("{ANN}#{name}"), "owner": ANN, "publicKeyPem": name });
        let mut several = with("publicKey", json!([key("one"), key("two"), key("one")]));
        several.as_object_mut().unwrap().remove("assertionMethod");
        assert_eq!(key_ids(&several), [format!("{ANN}#one"), format!("{ANN}#two")]);
        let named = with("publicKey", json!([format!("{ANN}/key"), "https://b.example/key", "main-key"]));
        assert_eq!(remote_actor(&named).unwrap().linked_keys, [format!("{ANN}/key")]);
    }

    #[test]
    fn a_key_of_somebody_else_is_not_the_actors() {
        let key = |id: &str, owner: Value| json!({ "id": id, "owner": owner, "publicKeyPem": "PEM" });
        let own = format!("{ANN}#main-key");
        for foreign in [
            key(&own, json!("https://a.example/users/bob")),
            key(&own, json!("https://b.example/users/ann")),
            key("https://b.example/users/ann#main-key", json!(ANN)),
            key("#main-key", json!(ANN)),
            json!({ "id": own, "owner": ANN, "publicKeyPem": "x".repeat(LONGEST_KEY + 1) }),
        ] {
            let actor = with("publicKey", foreign.clone());
            assert_eq!(key_ids(&actor), [format!("{ANN}#ed")], "{foreign}");
        }
        assert_eq!(key_ids(&with("publicKey", json!({ "id": own, "publicKeyPem": "PEM" }))).len(), 2);
    }

    #[test]
    fn what_an_actor_says_about_another_host_does_not_count() {
        let elsewhere = read(&with("endpoints", json!({ "sharedInbox": "https://b.example/inbox" })));
        assert_eq!(elsewhere.shared_inbox, None);
        assert_eq!(elsewhere.best_inbox(), format!("{ANN}/inbox"));
        assert_eq!(read(&with("followers", json!("https://b.example/f"))).followers, None);
        assert!(remote_actor(&with("inbox", json!("https://b.example/inbox"))).is_err());
    }

    #[test]
    fn what_is_no_actor_is_refused() {
        for (name, value) in [
            ("type", json!("Note")),
            ("id", json!("ann")),
            ("id", json!(null)),
            ("id", json!(format!("https://a.example/{}", "x".repeat(LONGEST_URL)))),
            ("inbox", json!(null)),
            ("inbox", json!({})),
        ] {
            assert!(remote_actor(&with(name, value.clone())).is_err(), "{name} {value}");
        }
        for value in [json!(null), json!([]), json!("x"), json!({})] {
            assert!(remote_actor(&value).is_err());
        }
    }

    #[test]
    fn the_owner_of_a_key_is_found_wherever_it_is_told() {
        let own = format!("{ANN}/main-key");
        let lone = json!({ "id": own, "owner": ANN, "publicKeyPem": "PEM" });
        let stub = json!({ "id": ANN, "type": "Person", "publicKey": lone });
        let multikey = json!({ "id": own, "type": "Multikey", "controller": ANN, "publicKeyMultibase": "z6Mk" });
        for document in [&lone, &stub, &multikey] {
            assert_eq!(key_owner(document, &own).as_deref(), Some(ANN), "{document}");
        }
        assert_eq!(key_owner(&ann(), &format!("{ANN}#main-key")).as_deref(), Some(ANN));
        assert_eq!(key_owner(&lone, "https://b.example/key"), None);
        assert_eq!(key_owner(&json!({ "id": own, "owner": "https://b.example/ann" }), &own), None);
        assert_eq!(lone_key(&lone, &own, ANN).unwrap().text, "PEM");
        assert_eq!(lone_key(&lone, &own, "https://a.example/users/bob"), None);
        assert_eq!(lone_key(&lone, &format!("{ANN}/other-key"), ANN), None);
        assert_eq!(lone_key(&json!({ "id": own, "publicKeyPem": "PEM" }), &own, ANN), None);
    }

    #[test]
    fn webfinger_names_an_actor_or_nothing() {
        let jrd = |links: Value| json!({ "subject": "acct:ann@a.example", "links": links });
        let link = |rel: &str, kind: &str| json!({ "rel": rel, "type": kind, "href": ANN });
        let page = link("http://webfinger.net/rel/profile-page", "text/html");
        let found = webfinger(&jrd(json!([page, link("self", "application/activity+json")])));
        assert_eq!(found, Some(("ann@a.example".to_owned(), ANN.to_owned())));
        for none in [json!([]), json!([page]), json!([link("self", "text/html")]), json!(null)] {
            assert_eq!(webfinger(&jrd(none.clone())), None, "{none}");
        }
    }
}
