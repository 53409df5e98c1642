//! Accounts and posts → actors, Notes, Creates, collections. Only a [`Post`] can be rendered, and a post is for everyone.

use super::context::{self, PUBLIC};
use super::vocabulary::{Actor, Collection, Create, Document, Note, Tag, Tombstone};
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::{MediaFile, Post, Visibility};
use crate::domain::settings::{Hashtags, Operator};
use crate::domain::urls::{AccountUrls, DomainUrls};
use crate::text::escape;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Age below which a post's hashtags count as fresh.
const RECENT: Duration = Duration::days(30);
/// Largest width and height that Pixelfed takes, in pixels.
const MAX_SIDE: u32 = 5000;

/// The public halves of an actor's keys.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys {
    /// Key id (a fragment) and SPKI in PEM.
    pub rsa: Option<(String, String)>,
    /// Key id (a fragment) and Multikey.
    pub ed25519: Option<(String, String)>,
}

/// How much of a Note's replies stands inside the Note.
#[derive(Clone, Copy, Debug)]
pub enum Replies<'a> {
    /// The collection's id alone: inside pages, so that documents stay flat.
    Link,
    /// The first page: the direct replies, and whether the conversation goes on below them.
    Inline {
        /// Ids of the direct replies.
        direct: &'a [PostId],
        /// Whether there is a second page.
        more: bool,
    },
}

/// RFC 3339 in UTC to the second, as Mastodon writes it.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A post as a Note.
pub fn note(post: &Post, account: &Account, replies: Replies<'_>, now: DateTime<Utc>) -> Note {
    let urls = account.urls();
    let id = urls.note(post.id);
    let content = content(post, account);
    let (to, cc) = audience(post, account, &urls);
    let count = |path: &str| json!({ "id": urls.under_note(post.id, path), "type": "Collection", "totalItems": 0 });
    let attachment = post.attachments.iter().filter_map(|attachment| {
        let file = attachment.file.as_ref()?;
        let size = size(file);
        Some(Document {
            kind: "Document",
            media_type: file.media_type.clone(),
            url: urls.domain().media(&file.file_name()),
            name: attachment.alt.clone(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            blurhash: file.picture.as_ref().and_then(|picture| picture.blurhash.clone()),
        })
    });
    let context = urls.context(post.context);
    Note {
        context_terms: None,
        kind: "Note",
        url: links(post, &urls),
        attributed_to: urls.actor(),
        published: timestamp(post.published),
        updated: post.updated.filter(|at| timestamp(*at) > timestamp(post.published)).map(timestamp),
        to,
        cc,
        summary: post.warning.clone(),
        sensitive: post.sensitive || post.warning.is_some(),
        in_reply_to: post.reply_to.map(|parent| urls.note(parent)),
        content_map: post.language.as_ref().map(|language| json!({ language: content })),
        content,
        attachment: attachment.collect(),
        tag: hashtags(post, account, urls.domain(), now),
        conversation: context.clone(),
        context,
        replies: match replies {
            Replies::Link => Value::from(urls.under_note(post.id, "replies")),
            Replies::Inline { direct, more } => embedded(&replies_root(&urls, post.id, direct, more)),
        },
        likes: count("likes"),
        shares: count("shares"),
        interaction_policy: json!({ "canQuote": { "automaticApproval": [quoters(account, &urls)] } }),
        id,
    }
}

/// When a post's Note last changed: with its account, or when its hashtags stopped being recent.
pub fn changed(post: &Post, account: &Account, now: DateTime<Utc>) -> DateTime<Utc> {
    let aged = post.published + RECENT;
    let loses_tags = account.settings.hashtags == Hashtags::Recent && !post.tags.is_empty() && aged <= now;
    if loses_tags { account.changed.max(aged) } else { account.changed }
}

/// The moment from which a post's Note looks different although nothing changed: when its hashtags are no longer recent.
pub fn holds_until(post: &Post, account: &Account, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let aged = post.published + RECENT;
    let loses_tags = account.settings.hashtags == Hashtags::Recent && !post.tags.is_empty() && aged > now;
    loses_tags.then_some(aged)
}

/// The Create that published a post.
pub fn create(post: &Post, account: &Account, now: DateTime<Utc>) -> Create {
    let note = note(post, account, Replies::Link, now);
    Create {
        context_terms: None,
        id: account.urls().under_note(post.id, "activity"),
        kind: "Create",
        actor: note.attributed_to.clone(),
        published: note.published.clone(),
        to: note.to.clone(),
        cc: note.cc.clone(),
        object: note,
    }
}

/// The replies collection of a post with its first page.
pub fn replies_root(urls: &AccountUrls, id: PostId, direct: &[PostId], more: bool) -> Collection {
    Collection {
        id: urls.under_note(id, "replies"),
        kind: "Collection",
        first: Some(embedded(&replies_page(urls, id, 1, direct, more))),
        ..Collection::default()
    }
}

/// A page of the replies collection: the first holds direct replies, the second everything below them.
pub fn replies_page(urls: &AccountUrls, id: PostId, page: u32, items: &[PostId], more: bool) -> Collection {
    let root = urls.under_note(id, "replies");
    Collection {
        id: format!("{root}?page={page}"),
        kind: "CollectionPage",
        next: more.then(|| format!("{root}?page={}", page + 1)),
        part_of: Some(root),
        items: Some(items.iter().map(|item| Value::from(urls.note(*item))).collect()),
        ..Collection::default()
    }
}

/// A collection as a value to stand inside another object.
fn embedded(collection: &Collection) -> Value {
    serde_json::to_value(collection).unwrap_or_default()
}

/// The actor of an account.
pub fn actor(account: &Account, keys: &PublicKeys) -> Actor {
    let urls = account.urls();
    let id = urls.actor();
    let third_party = account.settings.operator == Operator::ThirdParty;
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut fields: Vec<Value> = Vec::new();
    if let Some(page) = account.source_page() {
        let link = format!("<a href=\"{0}\" rel=\"me nofollow noopener\">{0}</a>", escape(&page));
        fields.push(json!({ "type": "PropertyValue", "name": "Original account", "value": link }));
    }
    for (name, value) in &account.profile.fields {
        fields.push(json!({ "type": "PropertyValue", "name": name, "value": field_html(value) }));
    }
    let picture = |file: &MediaFile| image(file, urls.domain());
    Actor {
        context_terms: context::actor(),
        kind: if third_party { "Service" } else { "Person" },
        preferred_username: account.handle.to_string(),
        webfinger: account.address(),
        name: text(account.display_name()),
        summary: text(account.profile.summary.as_str()),
        url: urls.profile(),
        published: Some(timestamp(account.began())),
        inbox: urls.under("inbox"),
        outbox: urls.under("outbox"),
        followers: Some(urls.under("followers")),
        following: Some(urls.under("following")),
        featured: Some(urls.under("collections/featured")),
        featured_tags: Some(urls.under("collections/tags")),
        endpoints: json!({ "sharedInbox": urls.domain().shared_inbox() }),
        public_key: public_key(&id, keys),
        assertion_method: multikeys(&id, keys),
        manually_approves_followers: false,
        discoverable: account.settings.discoverable,
        indexable: account.settings.indexable,
        also_known_as: account.source_actor.iter().cloned().collect(),
        attribution_domains: vec![urls.domain().host().to_owned()],
        attachment: fields,
        tag: Vec::new(),
        icon: account.profile.avatar.as_ref().map(picture),
        image: account.profile.header.as_ref().map(picture),
        id,
    }
}

/// A picture of an actor.
fn image(file: &MediaFile, domain: &DomainUrls) -> Value {
    let mut image = json!({ "type": "Image", "mediaType": file.media_type, "url": domain.media(&file.file_name()) });
    if let Some((width, height)) = size(file) {
        image["width"] = Value::from(width);
        image["height"] = Value::from(height);
    }
    image
}

/// Width and height of a picture; `None` also for one that is so large that Pixelfed would refuse the whole post.
fn size(file: &MediaFile) -> Option<(u32, u32)> {
    let picture = file.picture.as_ref()?;
    Some((picture.width, picture.height)).filter(|(width, height)| *width.max(height) <= MAX_SIDE)
}

/// The server actor, which signs what no account signs.
pub fn server_actor(domain: &DomainUrls, keys: &PublicKeys) -> Actor {
    let id = domain.server_actor();
    let host = domain.authority().to_owned();
    Actor {
        context_terms: context::actor(),
        kind: "Application",
        webfinger: format!("{host}@{host}"),
        name: Some(format!("Everpost at {host}")),
        preferred_username: host,
        summary: None,
        url: domain.path("/"),
        published: None,
        inbox: format!("{id}/inbox"),
        outbox: format!("{id}/outbox"),
        followers: None,
        following: None,
        featured: None,
        featured_tags: None,
        endpoints: json!({ "sharedInbox": domain.shared_inbox() }),
        public_key: public_key(&id, keys),
        assertion_method: multikeys(&id, keys),
        manually_approves_followers: true,
        discoverable: false,
        indexable: false,
        also_known_as: Vec::new(),
        attribution_domains: Vec::new(),
        attachment: Vec::new(),
        tag: Vec::new(),
        icon: None,
        image: None,
        id,
    }
}

/// What stands where an object was.
pub fn tombstone(id: String, former_type: &'static str, since: DateTime<Utc>) -> Tombstone {
    Tombstone { context_terms: context::plain(), id, kind: "Tombstone", former_type, deleted: timestamp(since) }
}

/// A profile field's value as HTML: a lone link becomes the exact form that Mastodon verifies.
pub fn field_html(value: &str) -> String {
    let is_link = url::Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    let escaped = escape(value);
    if is_link { format!("<a href=\"{escaped}\" rel=\"me nofollow noopener\">{escaped}</a>") } else { escaped }
}

/// The text with the visible link to where the post first stood: no server shows a canonical link by itself.
fn content(post: &Post, account: &Account) -> String {
    let mut html = post.content.as_str().to_owned();
    if let Some(url) = post.canonical_url.as_ref().filter(|_| account.settings.provenance_line) {
        let shown = url.strip_prefix("https://").unwrap_or(url);
        let (url, shown) = (escape(url), escape(shown));
        html.push_str(&format!(
            "<p>Archived from <a href=\"{url}\" rel=\"nofollow noopener\" translate=\"no\">{shown}</a></p>"
        ));
    }
    html
}

/// `to` and `cc`. A mirror run by somebody else is unlisted whatever its source was.
fn audience(post: &Post, account: &Account, urls: &AccountUrls) -> (Vec<String>, Vec<String>) {
    let (public, followers) = (vec![PUBLIC.to_owned()], vec![urls.under("followers")]);
    match (post.visibility, account.settings.operator) {
        (Visibility::Public, Operator::Owner) => (public, followers),
        (Visibility::Unlisted, _) | (_, Operator::ThirdParty) => (followers, public),
    }
}

/// Our own page, then the canonical link, then the origin's object where the source states its id.
fn links(post: &Post, urls: &AccountUrls) -> Vec<Value> {
    let mut links = vec![Value::from(urls.page(post.id))];
    if let Some(href) = &post.canonical_url {
        links.push(json!({ "type": "Link", "rel": "canonical", "mediaType": "text/html", "href": href }));
    }
    if let Some(href) = post.object_id.as_ref().filter(|_| post.object_id_stated) {
        let media_type = "application/activity+json";
        links.push(json!({ "type": "Link", "rel": "alternate", "mediaType": media_type, "href": href }));
    }
    links
}

fn hashtags(post: &Post, account: &Account, domain: &DomainUrls, now: DateTime<Utc>) -> Vec<Tag> {
    let emit = match account.settings.hashtags {
        Hashtags::Off => false,
        Hashtags::Recent => now - post.published < RECENT,
        Hashtags::On => true,
    };
    let tag = |name: &String| Tag { kind: "Hashtag", href: domain.tag(name), name: format!("#{name}") };
    if emit { post.tags.iter().map(tag).collect() } else { Vec::new() }
}

/// Who may quote: everyone an owner's posts, nobody a third party's; one's own id means nobody else, for an empty list
/// would mean nothing at all.
fn quoters(account: &Account, urls: &AccountUrls) -> String {
    match account.settings.operator {
        Operator::Owner => PUBLIC.to_owned(),
        Operator::ThirdParty => urls.actor(),
    }
}

fn public_key(actor: &str, keys: &PublicKeys) -> Value {
    match &keys.rsa {
        Some((id, pem)) => json!({ "id": format!("{actor}#{id}"), "owner": actor, "publicKeyPem": pem }),
        None => Value::Null,
    }
}

fn multikeys(actor: &str, keys: &PublicKeys) -> Vec<Value> {
    let multikey = |(id, public): &(String, String)| json!({ "id": format!("{actor}#{id}"), "type": "Multikey", "controller": actor, "publicKeyMultibase": public });
    keys.ed25519.iter().map(multikey).collect()
}
