//! Accounts of other servers: found by handle, fetched whole, with their totals and pins.

use super::client::Fetched;
use super::server::{Job, Server};
use super::state::Profile;
use super::{authority, id, is_supported, list, same_host};
use serde_json::Value;
use std::sync::Arc;

/// Types of actors.
const ACTORS: [&str; 5] = ["Application", "Group", "Organization", "Person", "Service"];

/// What WebFinger says of a handle.
enum Finger {
    Is { subject: String, actor: String },
    Gone,
    Nothing(String),
}

impl Server {
    /// The account of a handle, `user@domain`, as a user who looks for it gets it.
    pub async fn resolve(self: &Arc<Self>, handle: &str) -> Result<Profile, String> {
        let (subject, actor) = match self.finger(handle).await {
            Finger::Is { subject, actor } => (subject, actor),
            Finger::Gone => {
                // Who is gone by WebFinger is deleted here.
                let known = self.state().profiles.values().find(|one| one.handle == handle).map(|one| one.uri.clone());
                known.into_iter().for_each(|actor| self.state().remove_profile(&actor));
                return Err(format!("{handle} is gone"));
            }
            Finger::Nothing(why) => return Err(why),
        };
        // A handle may be another one's second name; then that has to agree.
        if !subject.eq_ignore_ascii_case(handle) {
            match self.finger(&subject).await {
                Finger::Is { subject: same, actor: last } if same.eq_ignore_ascii_case(&subject) && last == actor => {}
                _ => return Err(format!("{subject} does not loop back")),
            }
        }
        let profile = self.fetch_profile(&actor).await?;
        match profile.uri == actor && profile.handle.eq_ignore_ascii_case(&subject) {
            true => Ok(profile),
            false => Err(format!("{actor} is {}, and {subject} was asked for", profile.handle)),
        }
    }

    async fn finger(&self, handle: &str) -> Finger {
        let Some((_, domain)) = handle.split_once('@') else {
            return Finger::Nothing(format!("{handle} is no handle"));
        };
        let scheme = if domain.starts_with("localhost") { "http" } else { "https" };
        let url = format!("{scheme}://{domain}/.well-known/webfinger?resource=acct:{handle}");
        let answer = self.client.get(&url, "application/jrd+json, application/json").await;
        let (status, body) = match answer {
            Ok((status, _, body)) => (status, body),
            Err(why) => return Finger::Nothing(why),
        };
        match status {
            410 => return Finger::Gone,
            200 => {}
            other => return Finger::Nothing(format!("{url} answers {other}")),
        }
        let Ok(jrd) = serde_json::from_slice::<Value>(&body) else {
            return Finger::Nothing(format!("{url} is no JSON"));
        };
        let is_self = |link: &&Value| {
            let types =
                ["application/activity+json", "application/ld+json; profile=\"https://www.w3.org/ns/activitystreams\""];
            link["rel"] == "self" && types.iter().any(|kind| link["type"] == **kind)
        };
        let link = list(&jrd["links"]).into_iter().find(is_self);
        match (jrd["subject"].as_str(), link.and_then(|link| link["href"].as_str())) {
            (Some(subject), Some(actor)) => {
                Finger::Is { subject: subject.trim_start_matches("acct:").to_owned(), actor: actor.to_owned() }
            }
            _ => Finger::Nothing(format!("{url} names no actor")),
        }
    }

    /// Fetch an actor and keep it. One that is gone (410) is deleted here with all that is its; 404 and an outage change
    /// nothing.
    pub async fn fetch_profile(self: &Arc<Self>, actor: &str) -> Result<Profile, String> {
        match self.fetch(actor).await {
            Fetched::Document(document) => self.process_actor(&document, false).await,
            Fetched::Gone => {
                self.state().remove_profile(actor);
                Err(format!("{actor} is gone"))
            }
            Fetched::Missing => Err(format!("{actor} is not there")),
            Fetched::Failed(why) => Err(why),
        }
    }

    /// Keep what an actor says of itself, look at its totals, and at its pins whenever that happens.
    pub async fn process_actor(self: &Arc<Self>, document: &Value, by_known_key: bool) -> Result<Profile, String> {
        let text = |value: &Value| value.as_str().map(str::to_owned).filter(|text| !text.is_empty());
        let uri = text(&document["id"]).ok_or("an actor has no id")?;
        let wrong = |what: &str| format!("{uri} {what}");
        if !is_supported(document) || !ACTORS.iter().any(|kind| document["type"] == **kind) {
            return Err(wrong("is no actor"));
        }
        let key = &document["publicKey"];
        let owned = key["owner"] == uri.as_str() && key["id"].as_str().is_some_and(|id| same_host(id, &uri));
        let domain =
            text(&document["webfinger"]).and_then(|handle| handle.split_once('@').map(|(_, it)| it.to_owned()));
        let name = text(&document["preferredUsername"]).ok_or_else(|| wrong("has no name"))?;
        let mut profile = Profile {
            handle: format!("{name}@{}", domain.unwrap_or_else(|| authority(&uri))),
            inbox: text(&document["inbox"])
                .filter(|inbox| same_host(inbox, &uri))
                .ok_or_else(|| wrong("has no inbox"))?,
            featured: text(&document["featured"]).filter(|featured| same_host(featured, &uri)),
            followers: text(&document["followers"]).unwrap_or_default(),
            key: text(&key["publicKeyPem"]).filter(|_| owned).ok_or_else(|| wrong("has no key of its own"))?,
            uri,
            ..Profile::default()
        };
        let total = |collection: &Option<Value>| collection.as_ref().and_then(|it| it["totalItems"].as_u64());
        let outbox = self.collection(&document["outbox"], &profile.uri).await;
        let followers = self.collection(&document["followers"], &profile.uri).await;
        let following = self.collection(&document["following"], &profile.uri).await;
        profile.statuses_count = total(&outbox);
        profile.followers_count = total(&followers);
        let is_private = |collection: &Option<Value>| collection.as_ref().is_none_or(|it| it["first"].is_null());
        profile.hides_collections = is_private(&followers) || is_private(&following);
        {
            let mut state = self.state();
            let before = state.profiles.insert(profile.uri.clone(), profile.clone());
            // Whoever comes back with other keys, and not by the word of the old ones, is somebody new.
            if before.is_some_and(|before| before.key != profile.key) && !by_known_key {
                state.tombstones.retain(|_, owner| *owner != profile.uri);
            }
        }
        if profile.featured.is_some() {
            self.start(Job::Featured(profile.uri.clone()));
        }
        Ok(profile)
    }

    /// Bring the pins of an account up to what its collection says: of that the first page, without a bound. Each
    /// is fetched by its id, whatever stands in the collection; what is embedded as something else than a Note is passed over.
    pub async fn synchronise_pins(self: &Arc<Self>, actor: &str) {
        let Some(featured) = self.state().profiles.get(actor).and_then(|profile| profile.featured.clone()) else {
            return;
        };
        let Fetched::Document(collection) = self.fetch(&featured).await else { return };
        if !is_supported(&collection) {
            return;
        }
        let Some(items) = self.first_page(&collection, &featured).await else { return };
        let mut found = Vec::new();
        for item in items {
            if !(item.is_string() || item["type"] == "Note") || !same_host(id(&item), actor) {
                continue;
            }
            let status = self.fetch_status(id(&item), Some(actor)).await;
            found
                .extend(status.filter(|status| self.state().statuses.get(status).is_some_and(|it| it.author == actor)));
        }
        let mut state = self.state();
        state.pins.retain(|(of, status)| of != actor || found.contains(status));
        let pins = found.into_iter().map(|status| (actor.to_owned(), status));
        state.pins.extend(pins);
    }

    /// The items of a collection's first page, or of itself where it has none.
    pub async fn first_page(&self, collection: &Value, origin: &str) -> Option<Vec<Value>> {
        let page = match &collection["first"] {
            Value::Null => collection.clone(),
            first => self.collection(first, origin).await?,
        };
        super::items(&page)
    }
}
