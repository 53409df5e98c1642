//! What an activity does that somebody sent, and when it does nothing: a sender is answered 202 either way.

use super::server::{Job, Server};
use super::state::{Status, Visibility};
use super::statuses::visibility;
use super::{id, is_supported, same_host};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// Age from which an Update of something that is not held is of no interest.
const TOO_OLD: TimeDelta = TimeDelta::days(1);
/// What is not read in what somebody sends.
const UNREAD: [&str; 3] = ["@graph", "@included", "@reverse"];

impl Server {
    /// Do what an activity says that this sender signed.
    pub async fn process(self: &Arc<Self>, sender: &str, activity: &Value) {
        let refuse = |why| self.drop_it(activity, why);
        if !is_supported(activity) {
            return refuse("its context is not that of ActivityStreams");
        }
        if UNREAD.iter().any(|name| !activity[*name].is_null()) {
            return refuse("it holds what is not read");
        }
        if id(&activity["actor"]) != sender {
            return refuse("its actor did not sign it");
        }
        match activity["type"].as_str().unwrap_or_default() {
            "Create" => drop(self.create(sender, activity, true).await),
            "Announce" => self.announce(sender, activity).await,
            "Update" => self.update(sender, activity).await,
            "Delete" => self.delete(sender, activity).await,
            "Add" => self.add(sender, activity).await,
            "Remove" => self.unpin(sender, activity),
            "Accept" => self.accepted(sender, activity),
            "Reject" => self.rejected(sender, activity),
            "Undo" => self.undo(sender, activity),
            _ => refuse("nothing is done about this type"),
        }
    }

    /// A boost: the post is fetched silently and has the place of its own date; the boost is of now.
    async fn announce(self: &Arc<Self>, sender: &str, activity: &Value) {
        let refuse = |why| self.drop_it(activity, why);
        if self.state().is_deleted_first(id(activity), self.now()) {
            return refuse("it was taken back before it came");
        }
        let of_ours = id(&activity["object"]).starts_with(&self.base);
        if !of_ours && self.state().followers_here(sender).is_empty() {
            return refuse("nobody here follows who boosts it");
        }
        let Some(of) = self.status_of(sender, activity).await else {
            return refuse("what it boosts cannot be had");
        };
        let now = self.now();
        let mut state = self.state();
        let Some(status) = state.statuses.get(&of) else { return };
        let is_open = matches!(status.visibility, Visibility::Public | Visibility::Unlisted);
        if status.author != sender && !is_open {
            drop(state);
            return refuse("what it boosts is not for everyone");
        }
        if state.boost(sender, of).is_some() {
            drop(state);
            return refuse("it was boosted before");
        }
        let followers = state.profiles.get(sender).map_or(String::new(), |profile| profile.followers.clone());
        let published = activity["published"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let boost = Status {
            id: 0,
            uri: id(activity).to_owned(),
            author: sender.to_owned(),
            created: published.unwrap_or(now),
            edited: None,
            text: String::new(),
            visibility: visibility(activity, &followers),
            in_reply_to: None,
            parent: None,
            boost_of: Some(of),
            mentions: Vec::new(),
            walked: None,
        };
        state.keep_boost(boost, now);
    }

    /// An Update of the sender, which looks at the pins again, or of a post.
    async fn update(self: &Arc<Self>, sender: &str, activity: &Value) {
        let refuse = |why| self.drop_it(activity, why);
        let object = &activity["object"];
        if id(object) == sender {
            let mut document = object.clone();
            document["@context"] = activity["@context"].clone();
            if self.process_actor(&document, true).await.is_err() {
                refuse("it is no actor");
            }
            return;
        }
        if !same_host(id(object), sender) {
            return refuse("it is about something on another host");
        }
        let held = self.state().find(id(object)).filter(|status| status.author == sender).map(|status| status.id);
        if let Some(held) = held {
            if !self.update_status(held, object) {
                refuse("it says nothing new");
            }
            return;
        }
        let published = object["published"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        if published.is_some_and(|at| at < self.now() - TOO_OLD) {
            return refuse("it is about an old post that is not held");
        }
        let create = json!({"id": activity["id"], "type": "Create", "actor": sender, "object": object});
        self.create(sender, &create, true).await;
    }

    /// A post that is deleted leaves a Tombstone, whether it was held or not; an account goes with everything.
    async fn delete(self: &Arc<Self>, sender: &str, activity: &Value) {
        let uri = id(&activity["object"]).to_owned();
        if uri == sender {
            return self.state().remove_profile(sender);
        }
        if !same_host(&uri, sender) {
            return self.drop_it(activity, "it is about something on another host");
        }
        let _turn = self.turn(&uri).await;
        let now = self.now();
        let mut state = self.state();
        state.note_delete(&uri, now);
        state.tombstones.insert(uri.clone(), sender.to_owned());
        let held = state.find(&uri).filter(|status| status.author == sender).map(|status| status.id);
        if let Some(held) = held {
            state.remove(held);
        }
    }

    /// A pin: the post is fetched, so that it has the place of its own date and is in no feed.
    async fn add(self: &Arc<Self>, sender: &str, activity: &Value) {
        if !self.is_about_pins(sender, activity) {
            return self.drop_it(activity, "it is not about pins");
        }
        let Some(status) = self.status_of(sender, activity).await else {
            return self.drop_it(activity, "what it pins cannot be had");
        };
        let mut state = self.state();
        if state.statuses.get(&status).is_some_and(|status| status.author == sender) {
            state.pins.insert((sender.to_owned(), status));
        }
    }

    /// A pin goes; the post stays.
    fn unpin(&self, sender: &str, activity: &Value) {
        if !self.is_about_pins(sender, activity) {
            return self.drop_it(activity, "it is not about pins");
        }
        let mut state = self.state();
        let held = state.find(id(&activity["object"])).map(|status| status.id);
        let gone = held.is_some_and(|held| state.pins.remove(&(sender.to_owned(), held)));
        drop(state);
        if !gone {
            self.drop_it(activity, "it is not pinned");
        }
    }

    fn is_about_pins(&self, sender: &str, activity: &Value) -> bool {
        let featured = self.state().profiles.get(sender).and_then(|profile| profile.featured.clone());
        featured.is_some_and(|featured| id(&activity["target"]) == featured)
    }

    /// A Follow is accepted; the first one has the account looked at again, with its totals and pins.
    fn accepted(self: &Arc<Self>, sender: &str, activity: &Value) {
        let mut state = self.state();
        let first = state.followers_here(sender).is_empty();
        let follower = self.follower(activity);
        let asked = follower.as_ref().and_then(|name| state.users.get_mut(name)?.follows.get_mut(sender));
        let Some(accepted) = asked else {
            drop(state);
            return self.drop_it(activity, "nobody here asked");
        };
        if std::mem::replace(accepted, true) {
            return;
        }
        state.merge(&follower.unwrap_or_default(), sender);
        drop(state);
        if first {
            self.start(Job::Refresh(sender.to_owned()));
        }
    }

    fn rejected(&self, sender: &str, activity: &Value) {
        let mut state = self.state();
        let follower = self.follower(activity);
        if follower.and_then(|name| state.users.get_mut(&name)?.follows.remove(sender)).is_none() {
            drop(state);
            self.drop_it(activity, "nobody here asked");
        }
    }

    /// Whose Follow an answer is about: by its id, or by its actor.
    fn follower(&self, answer: &Value) -> Option<String> {
        let object = &answer["object"];
        let by_actor = self.local(id(&object["actor"]));
        by_actor.or_else(|| self.local(id(object).split('#').next().unwrap_or_default()))
    }

    fn undo(&self, sender: &str, activity: &Value) {
        let object = &activity["object"];
        let mut state = self.state();
        let by_id = state.find(id(object)).map(|status| (status.id, status.author.clone(), status.boost_of.is_some()));
        if let Some((boost, author, true)) = by_id
            && author == sender
        {
            return state.remove(boost);
        }
        let now = self.now();
        state.note_delete(id(object), now);
        drop(state);
        self.drop_it(activity, "nothing of it is held");
    }
}
