//! Posts as the archive of their own server has them: activities of an `outbox.json`, and the actor beside it.
//!
//! What `read/` takes out of such an archive stands in it again, so that an export is read back as what it was made of.
//! Start with [`Names`], then [`create`]; `actor.rs` is the account, `withheld.rs` what is not public. What other servers are
//! served is `render.rs`.

mod actor;
mod withheld;

pub use actor::{Beside, actor, key_pair};
pub use withheld::{NotPublic, for_nobody, plain_document, readdress};

use super::context::PUBLIC;
use super::read;
use super::render::timestamp;
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::{Attachment, Boost, MediaFile, Post, Visibility};
use crate::domain::snowflake;
use crate::domain::source::{MediaKind, PostLink, web_address};
use crate::domain::told::{Poll, PollOption};
use crate::domain::urls::{AccountUrls, DomainUrls};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// By what names the account and its posts go in an archive.
#[derive(Clone, Debug)]
pub struct Names {
    ours: bool,
    urls: AccountUrls,
    actor: String,
    /// The server whose pages hashtags link to.
    server: DomainUrls,
}

/// The names of a post in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// The id of the activity that made it.
    pub activity: String,
}

impl Names {
    /// Those that account and posts had where they first stood, ours only where nothing is known.
    ///
    /// An account whose id was never told goes by the one that its server would have given it: Mastodon, GoToSocial,
    /// Pleroma and Akkoma have the same scheme.
    pub fn of_origin(account: &Account) -> Names {
        let author = account.source.as_ref();
        let usual = author.map(|author| format!("https://{}/users/{}", author.host, author.user));
        let urls = account.urls();
        let server =
            author.map_or_else(|| urls.domain().clone(), |author| DomainUrls::new(&format!("https://{}", author.host)));
        let actor = account.source_actor.clone().or(usual).unwrap_or_else(|| urls.actor());
        Names { ours: false, actor, server, urls }
    }

    /// Those that they have here.
    pub fn of_mirror(account: &Account) -> Names {
        let urls = account.urls();
        Names { ours: true, actor: urls.actor(), server: urls.domain().clone(), urls }
    }

    /// The id of the account.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// The collection of its followers.
    pub fn followers(&self) -> String {
        format!("{}/followers", self.actor)
    }

    /// What a post is called that has this number here, and had this id and page where it first stood.
    ///
    /// A post of a site, which had no id there, goes by its page: that is what tells it from others wherever it is read.
    pub fn post(&self, id: PostId, object_id: Option<&str>, canonical_url: Option<&str>) -> Named {
        match (self.ours, object_id, canonical_url) {
            (false, Some(id), _) => Named { id: id.to_owned(), activity: format!("{id}/activity") },
            (false, None, Some(page)) => Named { id: page.to_owned(), activity: format!("{page}#activity") },
            _ => Named { id: self.urls.note(id), activity: self.urls.under_note(id, "activity") },
        }
    }

    /// The id of the activity by which something was passed on.
    pub fn boost(&self, id: PostId, object_id: Option<&str>) -> String {
        let stated = object_id.filter(|_| !self.ours);
        stated.map_or_else(|| self.urls.under_note(id, "activity"), str::to_owned)
    }

    fn audience(&self, visibility: Visibility) -> (Vec<String>, Vec<String>) {
        let (public, followers) = (vec![PUBLIC.to_owned()], vec![self.followers()]);
        match visibility {
            Visibility::Public => (public, followers),
            Visibility::Unlisted => (followers, public),
        }
    }
}

/// What a post refers to, by the names that those have in the same archive.
#[derive(Clone, Debug, Default)]
pub struct Refers {
    /// The post of the same account that it answers.
    pub parent: Option<String>,
    /// The post of the same account that it quotes.
    pub quoted: Option<String>,
}

/// The Create of a post.
///
/// `source` are the bytes of the archive's item that it was read from, if it was read from one: they tell the few things
/// that are kept nowhere else. `media` says where in the archive a file is; of one that is missing stands what the source
/// called it.
pub fn create(
    post: &Post,
    refers: &Refers,
    source: Option<&[u8]>,
    names: &Names,
    media: &dyn Fn(&MediaFile) -> String,
) -> Value {
    let told = source.map(Told::read).unwrap_or_default();
    let Named { id, activity } = names.post(post.id, post.object_id.as_deref(), post.canonical_url.as_deref());
    let activity = told.activity.clone().filter(|_| !names.ours).unwrap_or(activity);
    let (to, mut cc) = names.audience(post.visibility);
    cc.extend(post.details.mentions.iter().map(|who| who.href.clone()));
    let published = published(post.published, &id);
    let object = note(post, refers, &told, names, (&id, &published), (&to, &cc), media);
    json!({
        "id": activity,
        "type": "Create",
        "actor": names.actor,
        "published": published,
        "to": to,
        "cc": cc,
        "object": object,
    })
}

/// The Announce of a boost. `object` is what it passes on.
pub fn announce(boost: &Boost, object_id: Option<&str>, object: &str, names: &Names) -> Value {
    let id = names.boost(boost.id, object_id);
    let (to, cc) = names.audience(boost.visibility);
    json!({
        "published": published(boost.published, &id),
        "id": id,
        "type": "Announce",
        "actor": names.actor,
        "to": to,
        "cc": cc,
        "object": object,
    })
}

fn note(
    post: &Post,
    refers: &Refers,
    told: &Told,
    names: &Names,
    (id, published): (&str, &str),
    (to, cc): (&[String], &[String]),
    media: &dyn Fn(&MediaFile) -> String,
) -> Value {
    let details = &post.details;
    let is_other = details.object_type.is_some();
    let kind = match (&details.object_type, &details.poll) {
        (Some(kind), _) => kind.as_str(),
        (None, Some(_)) => "Question",
        (None, None) => "Note",
    };
    // As it was written there, but where only our own ids mean anything.
    let answers =
        details.answers.as_ref().filter(|_| !names.ours || refers.parent.is_none()).or(refers.parent.as_ref());
    let quote = details.quote.as_ref().filter(|_| !names.ours || refers.quoted.is_none()).or(refers.quoted.as_ref());
    let page = match (names.ours, &post.canonical_url) {
        (true, _) => names.urls.page(post.id),
        (false, Some(page)) => page.clone(),
        (false, None) => id.to_owned(),
    };
    // Of what is no short post the summary is a warning only where it is marked as sensitive.
    let sensitive = post.sensitive || is_other && post.warning.is_some();
    let summary = post.warning.as_ref().map(|warning| json!(warning));
    let summary = summary.or_else(|| told.summary.clone().filter(|_| is_other && !sensitive));
    let mut note = json!({
        "id": id,
        "type": kind,
        "summary": summary,
        "inReplyTo": answers,
        "published": published,
        "url": page,
        "attributedTo": names.actor,
        "to": to,
        "cc": cc,
        "sensitive": sensitive,
        "atomUri": id,
        "inReplyToAtomUri": answers,
        "content": post.content.as_str(),
    });
    let mut set = |key: &str, value: Value| note[key] = value;
    if let Some(title) = &details.title {
        set("name", json!(title));
    }
    match content_map(post) {
        Some(map) => set("contentMap", map),
        None => post.language.iter().for_each(|language| set("language", json!(language))),
    }
    let updated = post.updated.filter(|at| *at > post.published);
    if let Some(updated) = updated {
        set("updated", json!(moment(updated)));
    }
    // The conversation of a post whose parent is not to be told of would tell of it.
    let hides_parent = told.is_answer && details.answers.is_none();
    if names.ours {
        let context = names.urls.context(post.context);
        set("conversation", json!(context));
        set("context", json!(context));
        if let Some(old) = post.object_id.as_ref().filter(|_| post.object_id_stated) {
            set("previously", json!([{ "id": old }]));
        }
    } else if !hides_parent {
        told.conversation.iter().for_each(|value| set("conversation", value.clone()));
        told.context.iter().for_each(|value| set("context", value.clone()));
    }
    if let Some(written) = &told.written {
        set("source", written.clone());
    }
    set("attachment", post.attachments.iter().map(|attachment| document(attachment, media)).collect());
    set("tag", tags(post, told, names));
    if let Some(quote) = quote {
        for key in ["quote", "_misskey_quote", "quoteUri"] {
            set(key, json!(quote));
        }
    }
    let totals =
        [("replies", details.totals.replies), ("likes", details.totals.likes), ("shares", details.totals.boosts)];
    for (key, total) in totals {
        if let Some(total) = total {
            set(key, json!({ "id": format!("{id}/{key}"), "type": "Collection", "totalItems": total }));
        }
    }
    if let Some(poll) = &details.poll {
        question(poll, &mut note);
    }
    note
}

/// The text by language; `None` where no language is known, or there is no text to say it of.
fn content_map(post: &Post) -> Option<Value> {
    let content = post.content.as_str();
    let others = &post.details.languages;
    if others.is_empty() {
        let language = post.language.as_ref().filter(|_| !content.is_empty())?;
        return Some(json!({ language: content }));
    }
    Some(others.iter().map(|(language, html)| (language.clone(), json!(html.as_str()))).collect::<Map<_, _>>().into())
}

fn question(poll: &Poll, note: &mut Value) {
    let option = |option: &PollOption| {
        let mut replies = json!({ "type": "Collection" });
        if let Some(votes) = option.votes {
            replies["totalItems"] = json!(votes);
        }
        json!({ "type": "Note", "name": option.name, "replies": replies })
    };
    let options: Value = poll.options.iter().map(option).collect();
    note[if poll.multiple { "anyOf" } else { "oneOf" }] = options;
    let times = [("endTime", poll.ends), ("closed", poll.closed)];
    for (key, at) in times {
        if let Some(at) = at {
            note[key] = json!(moment(at));
        }
    }
    if let Some(voters) = poll.voters {
        note["votersCount"] = json!(voters);
    }
}

/// An attachment: what the source told of it, and where that told nothing, what was found in the file.
fn document(attachment: &Attachment, media: &dyn Fn(&MediaFile) -> String) -> Value {
    let Attachment { file, kind, alt, source_url, told } = attachment;
    let picture = file.as_ref().and_then(|file| file.picture.as_ref());
    let known = told.media_type.clone().or_else(|| file.as_ref().map(|file| file.media_type.clone()));
    let class = match (&known, kind) {
        (Some(_), _) => "Document",
        (None, MediaKind::Image) => "Image",
        (None, MediaKind::Video) => "Video",
        (None, MediaKind::Audio) => "Audio",
    };
    let size = told.size.or_else(|| picture.map(|picture| (picture.width, picture.height)));
    let blurhash = told.blurhash.clone().or_else(|| picture.and_then(|picture| picture.blurhash.clone()));
    let mut document = json!({
        "type": class,
        // Archive readers take a type for granted.
        "mediaType": known.unwrap_or_else(|| "application/octet-stream".to_owned()),
        "url": file.as_ref().map_or_else(|| source_url.clone(), media),
        "name": alt,
        "blurhash": blurhash,
    });
    if let Some((x, y)) = told.focal_point {
        document["focalPoint"] = json!([x, y]);
    }
    if let Some((width, height)) = size {
        document["width"] = json!(width);
        document["height"] = json!(height);
    }
    if let Some(duration) = &told.duration {
        document["duration"] = json!(duration);
    }
    if let Some(icon) = &told.icon {
        document["icon"] = json!({ "type": "Image", "url": icon });
    }
    document
}

/// People, hashtags as its source spells them, custom emoji.
fn tags(post: &Post, told: &Told, names: &Names) -> Value {
    let mentions = post.details.mentions.iter();
    let mentions = mentions.map(|who| json!({ "type": "Mention", "href": who.href, "name": who.name }));
    let is_same = told.tags.iter().map(|tag| tag.to_lowercase()).eq(post.tags.iter().cloned());
    let spelled = if is_same { &told.tags } else { &post.tags };
    let hashtags = spelled.iter().zip(&post.tags);
    let hashtags = hashtags.map(
        |(spelled, tag)| json!({ "type": "Hashtag", "href": names.server.tag(tag), "name": format!("#{spelled}") }),
    );
    let emoji = post.details.emoji.iter().map(|emoji| match &emoji.url {
        Some(url) => json!({ "type": "Emoji", "name": emoji.shortcode, "icon": { "type": "Image", "url": url } }),
        None => json!({ "type": "Emoji", "name": emoji.shortcode }),
    });
    mentions.chain(hashtags).chain(emoji).collect()
}

/// A time, as exactly as it is known.
fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// When something was published: to the second where its id tells the rest, as Mastodon writes it.
fn published(at: DateTime<Utc>, id: &str) -> String {
    let status = web_address(id).and_then(|url| PostLink::read(&url).status);
    if status.and_then(snowflake::time_of) == Some(at) { timestamp(at) } else { moment(at) }
}

/// What an item of an archive tells of its post that is kept nowhere but in its bytes.
#[derive(Debug, Default)]
struct Told {
    activity: Option<String>,
    conversation: Option<Value>,
    context: Option<Value>,
    written: Option<Value>,
    summary: Option<Value>,
    is_answer: bool,
    /// Hashtags as spelled.
    tags: Vec<String>,
}

/// The members of an item that matter here; the others are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Members {
    id: Value,
    conversation: Value,
    context: Value,
    source: Value,
    summary: Value,
    in_reply_to: Value,
    tag: Value,
    object: Option<Box<Members>>,
}

impl Told {
    /// What an item tells; nothing if it cannot be read, which `verify` tells.
    fn read(item: &[u8]) -> Told {
        let Ok(mut outer) = serde_json::from_slice::<Members>(item) else { return Told::default() };
        let inner = outer.object.take();
        let activity = inner.is_some().then(|| outer.id.as_str().map(str::to_owned)).flatten();
        let object = inner.map_or(outer, |inner| *inner);
        let some = |value: Value| Some(value).filter(|value| !value.is_null());
        Told {
            activity,
            conversation: some(object.conversation),
            context: some(object.context),
            written: some(object.source),
            summary: some(object.summary),
            is_answer: !object.in_reply_to.is_null(),
            tags: read::spelled(Some(&object.tag)),
        }
    }
}
