//! Posts of other servers: how one comes to be held here, by a delivery or by being fetched, and what it brings along.

use super::client::Fetched;
use super::server::{Job, Server};
use super::state::{Status, Visibility};
use super::{id, is_supported, items, list, same_host};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// Types that are held as posts; the others than the first two lose their text.
const TYPES: [&str; 8] = ["Note", "Question", "Article", "Audio", "Event", "Image", "Page", "Video"];
/// Replies that are fetched when a post arrives.
const REPLIES: usize = 5;
/// When a thread is opened: replies of one post, posts of a thread, pages of collections, age of its root, and how long
/// until it is walked again.
const REPLIES_OF_ONE: usize = 500;
const REPLIES_OF_THREAD: usize = 1000;
const PAGES: usize = 500;
const SETTLED: TimeDelta = TimeDelta::minutes(5);
const COOL_DOWN: TimeDelta = TimeDelta::minutes(15);

const PUBLIC: [&str; 3] = ["https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"];

impl Server {
    /// A Create, pushed to an inbox or made up around a post that was fetched. The post, if it is held now.
    pub async fn create(self: &Arc<Self>, author: &str, activity: &Value, pushed: bool) -> Option<i64> {
        let mut object = activity["object"].clone();
        if let Some(uri) = object.as_str() {
            let Fetched::Document(document) = self.fetch(uri).await else { return None };
            object = document;
        }
        let refuse = |why: &'static str| {
            self.drop_it(activity, why);
            None
        };
        let uri = id(&object).to_owned();
        if !TYPES.iter().any(|kind| object["type"] == **kind) {
            return refuse("it is no type of post");
        }
        if !same_host(&uri, author) {
            return refuse("its id is on another host than its author's");
        }
        if self.state().tombstones.contains_key(&uri) {
            return refuse("it was deleted, and its id is not taken again");
        }
        if pushed && !self.concerns_somebody(author, &object) {
            return refuse("nobody here follows its author");
        }
        let _turn = self.turn(&uri).await;
        let now = self.now();
        let mut state = self.state();
        if state.is_deleted_first(&uri, now) {
            drop(state);
            return refuse("it was deleted before it came");
        }
        // A copy may say under which id its original goes.
        let also = object["atomUri"].as_str().unwrap_or_default();
        if let Some(known) = state.find(&uri).or_else(|| state.find(also)) {
            let (held, same) = (known.id, known.author == author);
            return if same {
                Some(held)
            } else {
                drop(state);
                refuse("somebody else holds it")
            };
        }
        let status = self.read(&object, author, state.profiles.get(author).map_or("", |it| &it.followers), now);
        let status =
            Status { parent: status.in_reply_to.as_deref().and_then(|to| state.find(to)).map(|to| to.id), ..status };
        if status.text.is_empty() && list(&object["attachment"]).is_empty() {
            drop(state);
            return refuse("there is nothing in it");
        }
        let missing = status.in_reply_to.clone().filter(|_| status.parent.is_none());
        let held = state.keep(status, pushed, now);
        drop(state);
        if let Some(parent) = missing {
            self.start(Job::Parent { of: held, uri: parent });
        }
        if !object["replies"].is_null() {
            self.start(Job::Replies { of: author.to_owned(), collection: object["replies"].clone() });
        }
        Some(held)
    }

    /// Whether a post that nobody asked for is of interest: its author is followed, it is addressed to somebody here, or
    /// it answers somebody who is followed.
    fn concerns_somebody(&self, author: &str, object: &Value) -> bool {
        let state = self.state();
        let addressed =
            || ["to", "cc"].iter().flat_map(|name| list(&object[*name])).any(|to| self.local(id(to)).is_some());
        let answered = || {
            let parent = state.find(object["inReplyTo"].as_str().unwrap_or_default());
            parent.is_some_and(|parent| !state.followers_here(&parent.author).is_empty())
        };
        !state.followers_here(author).is_empty() || addressed() || answered()
    }

    /// The user here of an id.
    pub fn local(&self, uri: &str) -> Option<String> {
        uri.strip_prefix(&format!("{}/users/", self.base)).map(str::to_owned)
    }

    fn read(&self, object: &Value, author: &str, followers: &str, now: DateTime<Utc>) -> Status {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let time = |value: &Value| value.as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let created = time(&object["published"]).unwrap_or(now);
        let mentions = list(&object["tag"]).into_iter().filter(|tag| tag["type"] == "Mention");
        Status {
            id: 0,
            uri: id(object).to_owned(),
            author: author.to_owned(),
            created,
            edited: time(&object["updated"]).filter(|updated| *updated != created),
            text: text(&object["content"]),
            visibility: visibility(object, followers),
            in_reply_to: object["inReplyTo"].as_str().map(str::to_owned),
            parent: None,
            boost_of: None,
            mentions: mentions.filter_map(|tag| self.local(tag["href"].as_str()?)).collect(),
            walked: None,
        }
    }

    /// Fetch a post, which then has the place of its own date. One that is held is brought up to date; one that is
    /// held and is not there any more (404) is deleted.
    pub async fn fetch_status(self: &Arc<Self>, uri: &str, expected: Option<&str>) -> Option<i64> {
        if uri.starts_with(&self.base) {
            return None;
        }
        let document = match self.fetch(uri).await {
            Fetched::Document(document) => document,
            Fetched::Missing => {
                let mut state = self.state();
                let held = state.find(uri).map(|status| (status.id, status.visibility));
                if let Some((held, Visibility::Public | Visibility::Unlisted)) = held {
                    state.remove(held);
                }
                return None;
            }
            _ => return None,
        };
        self.dawdle().await;
        let author = id(list(&document["attributedTo"]).first()?).to_owned();
        let as_expected = expected.is_none_or(|expected| expected == author);
        if !is_supported(&document) || !same_host(uri, &author) || !as_expected {
            return None;
        }
        if !self.state().profiles.contains_key(&author) {
            self.fetch_profile(&author).await.ok()?;
        }
        let held = self.state().find(uri).filter(|status| status.author == author).map(|status| status.id);
        if let Some(held) = held {
            self.update_status(held, &document);
            return Some(held);
        }
        let activity = json!({"type": "Create", "actor": author, "object": document});
        self.create(&author, &activity, false).await
    }

    /// Bring a post up to date: its text only where it says that it was edited since.
    pub fn update_status(&self, held: i64, object: &Value) -> bool {
        let edited = object["updated"].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
        let mut state = self.state();
        let Some(status) = state.statuses.get_mut(&held) else { return false };
        let Some(edited) = edited.filter(|edited| status.edited.is_none_or(|before| *edited > before)) else {
            return false;
        };
        status.edited = Some(edited);
        status.text = object["content"].as_str().unwrap_or_default().to_owned();
        true
    }

    /// The post that an activity is about: held, embedded by its own author, or fetched; never pushed.
    pub async fn status_of(self: &Arc<Self>, author: &str, activity: &Value) -> Option<i64> {
        let object = &activity["object"];
        if let Some(held) = self.state().find(id(object)).map(|status| status.id) {
            return Some(held);
        }
        let by_author = list(&object["attributedTo"]).first().is_some_and(|by| id(by) == author);
        if by_author && TYPES.iter().any(|kind| object["type"] == **kind) {
            return self.create(author, &json!({"type": "Create", "actor": author, "object": object}), false).await;
        }
        self.fetch_status(id(object), None).await
    }

    /// The first replies of a post that arrived, those of its own host. Each brings its own.
    pub async fn fetch_replies(self: &Arc<Self>, of: &str, collection: &Value) {
        let Some(collection) = self.collection(collection, of).await else { return };
        let Some(found) = self.first_page(&collection, of).await else { return };
        let ours = found.iter().map(id).filter(|uri| same_host(uri, of)).take(REPLIES);
        ours.for_each(|uri| self.start(Job::Fetch(uri.to_owned())));
    }

    /// What a post answers, up to the root of its thread.
    pub async fn fetch_parent(self: &Arc<Self>, of: i64, uri: &str) {
        let held = self.state().find(uri).map(|status| status.id);
        let parent = match held {
            Some(held) => Some(held),
            None => self.fetch_status(uri, None).await,
        };
        if let Some(status) = self.state().statuses.get_mut(&of) {
            status.parent = parent;
        }
    }

    /// Everything below a post, as when somebody opens its thread.
    pub async fn walk_thread(self: &Arc<Self>, root: i64) {
        let now = self.now();
        let uri = {
            let mut state = self.state();
            let Some(status) = state.statuses.get_mut(&root) else { return };
            let cool = status.walked.is_none_or(|at| at + COOL_DOWN <= now);
            if !cool || status.created + SETTLED > now {
                return;
            }
            status.walked = Some(now);
            status.uri.clone()
        };
        let (mut waiting, mut pages) = (vec![uri], 0);
        let mut found: HashSet<String> = HashSet::new();
        while let Some(uri) = waiting.pop() {
            if found.len() >= REPLIES_OF_THREAD || pages >= PAGES {
                return;
            }
            let Fetched::Document(document) = self.fetch(&uri).await else { continue };
            let replies = self.all_replies(&document["replies"], &uri, &mut pages).await;
            for reply in replies {
                if found.insert(reply.clone()) {
                    self.start(Job::Fetch(reply.clone()));
                    waiting.push(reply);
                }
            }
        }
    }

    /// The ids in a collection of replies, page by page.
    async fn all_replies(&self, collection: &Value, of: &str, pages: &mut usize) -> Vec<String> {
        let mut found = Vec::new();
        let Some(collection) = self.collection(collection, of).await else { return found };
        let mut page = if collection["first"].is_null() { collection.clone() } else { collection["first"].clone() };
        while *pages < PAGES && found.len() < REPLIES_OF_ONE {
            let Some(read) = self.collection(&page, of).await else { break };
            *pages += 1;
            found.extend(items(&read).unwrap_or_default().iter().map(|item| id(item).to_owned()));
            if read["next"].is_null() {
                break;
            }
            page = read["next"].clone();
        }
        found.truncate(REPLIES_OF_ONE);
        found
    }
}

/// Who may see something.
pub fn visibility(object: &Value, followers: &str) -> Visibility {
    let has = |name: &str, wanted: &[&str]| list(&object[name]).into_iter().any(|to| wanted.contains(&id(to)));
    let to_followers = !followers.is_empty() && (has("to", &[followers]) || has("cc", &[followers]));
    match (has("to", &PUBLIC), has("cc", &PUBLIC)) {
        (true, _) => Visibility::Public,
        (_, true) => Visibility::Unlisted,
        _ if to_followers => Visibility::Private,
        _ => Visibility::Direct,
    }
}
