//! Accounts and posts → actors, Notes, Creates, collections. Only a [`Post`] can be rendered, and a post is for everyone.

use super::context::{self, PUBLIC};
use super::vocabulary::{
    Actor, Announce, Collection, Create, Document, Note, Question, Quote, QuoteAuthorization, Tag, Tombstone,
};
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::{Boost, MediaFile, Post, Visibility};
use crate::domain::settings::{Hashtags, Operator};
use crate::domain::source::web_address;
use crate::domain::told::{Poll, PollOption, Totals};
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
    /// The same of Ed25519 keys that are retired, for proofs that were made with them.
    pub earlier: Vec<(String, String)>,
}

/// How much of a Note's replies stands inside the Note.
#[derive(Clone, Copy, Debug)]
pub enum Replies<'a> {
    /// The collection's id alone: inside pages, so that documents stay flat.
    Link,
    /// The first page: the direct replies, and whether the conversation goes on below them.
    Inline {
        /// Ids of the direct replies: ours first, for on import others are not taken.
        direct: &'a [String],
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
    let (to, cc) = audience(post.visibility, account, &urls);
    let (likes, shares) = reactions(post, account);
    let count =
        |path: &str, total| json!({ "id": urls.under_note(post.id, path), "type": "Collection", "totalItems": total });
    let attachment = post.attachments.iter().filter_map(|attachment| {
        let file = attachment.file.as_ref()?;
        let told = &attachment.told;
        let size = size(file).or(told.size.filter(|_| file.picture.is_none()).filter(fits));
        Some(Document {
            kind: "Document",
            media_type: file.media_type.clone(),
            url: urls.domain().media(&file.file_name()),
            name: attachment.alt.clone(),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            blurhash: file.picture.as_ref().and_then(|picture| picture.blurhash.clone()).or(told.blurhash.clone()),
            focal_point: told.focal_point,
            duration: told.duration.clone(),
        })
    });
    let context = urls.context(post.context);
    Note {
        context_terms: None,
        kind: if post.details.poll.is_some() { "Question" } else { "Note" },
        url: links(post, &urls),
        previously: previously(post, account),
        attributed_to: urls.actor(),
        published: timestamp(post.published),
        updated: post.updated.filter(|at| timestamp(*at) > timestamp(post.published)).map(timestamp),
        to,
        cc,
        summary: post.warning.clone(),
        sensitive: post.sensitive || post.warning.is_some(),
        in_reply_to: post.reply_to.map(|parent| urls.note(parent)),
        content_map: content_map(post, &content),
        content,
        attachment: attachment.collect(),
        tag: hashtags(post, account, urls.domain(), now),
        conversation: context.clone(),
        context,
        replies: match replies {
            Replies::Link => Value::from(urls.under_note(post.id, "replies")),
            Replies::Inline { direct, more } => embedded(&replies_root(&urls, post.id, direct, more)),
        },
        likes: count("likes", likes),
        shares: count("shares", shares),
        poll: post.details.poll.as_ref().map(question),
        quote: post.quoted.map(|quoted| quote(&urls, post.id, quoted)),
        interaction_policy: json!({ "canQuote": { "automaticApproval": [quoters(account, &urls)] } }),
        id,
    }
}

/// When a post's Note last changed: with its account, with what others did, or when its hashtags stopped being recent.
pub fn changed(post: &Post, account: &Account, now: DateTime<Utc>) -> DateTime<Utc> {
    let aged = post.published + RECENT;
    let loses_tags = account.settings.hashtags == Hashtags::Recent && !post.tags.is_empty() && aged <= now;
    let changed = post.echo.changed.map_or(account.changed, |echo| account.changed.max(echo));
    if loses_tags { changed.max(aged) } else { changed }
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

/// Where a post was before and where it is now, as a Move of it (FEP-1580); `None` where its source does not say.
pub fn moved(post: &Post, account: &Account) -> Option<Value> {
    let old = post.object_id.as_ref().filter(|_| post.object_id_stated)?;
    let mut moved = json!({ "type": "Move" });
    if let Some(actor) = &account.source_actor {
        moved["actor"] = json!(actor);
    }
    moved["origin"] = json!(old);
    moved["target"] = json!(account.urls().note(post.id));
    Some(moved)
}

/// A boost as an Announce.
pub fn announce(boost: &Boost, account: &Account) -> Announce {
    let urls = account.urls();
    let (to, cc) = audience(boost.visibility, account, &urls);
    Announce {
        context_terms: None,
        id: urls.under_note(boost.id, "activity"),
        kind: "Announce",
        actor: urls.actor(),
        published: timestamp(boost.published),
        to,
        cc,
        object: match boost.ours {
            Some(post) => urls.note(post),
            None => boost.object.clone(),
        },
    }
}

/// One of an account's own posts, shown again at some moment, as an Announce. It is for whom the post is.
pub fn shown_again(post: &Post, account: &Account, at: DateTime<Utc>) -> Announce {
    let urls = account.urls();
    let (to, cc) = audience(post.visibility, account, &urls);
    Announce {
        context_terms: None,
        id: urls.announce(post.id, at),
        kind: "Announce",
        actor: urls.actor(),
        published: timestamp(at),
        to,
        cc,
        object: urls.note(post.id),
    }
}

/// Our word that one of our posts may quote another one (FEP-044f, R-62).
pub fn quote_authorization(account: &Account, id: PostId, quoted: PostId) -> QuoteAuthorization {
    let urls = account.urls();
    QuoteAuthorization {
        context_terms: context::quote_authorization(),
        id: urls.under_note(id, "quote_authorization"),
        kind: "QuoteAuthorization",
        attributed_to: urls.actor(),
        interacting_object: urls.note(id),
        interaction_target: urls.note(quoted),
    }
}

/// Likes and boosts that a post shows other servers: those that came here, and the archived ones where the owner wants
/// that.
pub fn reactions(post: &Post, account: &Account) -> (u64, u64) {
    let archived = |total: Option<u64>| total.filter(|_| account.settings.archived_counts).unwrap_or(0);
    let Totals { likes, boosts, .. } = post.details.totals;
    (post.echo.likes.saturating_add(archived(likes)), post.echo.boosts.saturating_add(archived(boosts)))
}

/// The replies collection of a post with its first page.
pub fn replies_root(urls: &AccountUrls, id: PostId, direct: &[String], more: bool) -> Collection {
    Collection {
        id: urls.under_note(id, "replies"),
        kind: "Collection",
        first: Some(embedded(&replies_page(urls, id, 1, direct, more))),
        ..Collection::default()
    }
}

/// A page of the replies collection: the first holds direct replies, the second everything below them.
pub fn replies_page(urls: &AccountUrls, id: PostId, page: u32, items: &[String], more: bool) -> Collection {
    let root = urls.under_note(id, "replies");
    Collection {
        id: format!("{root}?page={page}"),
        kind: "CollectionPage",
        next: more.then(|| format!("{root}?page={}", page + 1)),
        part_of: Some(root),
        items: Some(items.iter().map(|item| Value::from(item.as_str())).collect()),
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
        featured: Some(urls.featured()),
        featured_tags: Some(urls.under("collections/tags")),
        endpoints: json!({ "sharedInbox": urls.domain().shared_inbox() }),
        public_key: public_key(&id, keys),
        assertion_method: multikeys(&id, keys),
        manually_approves_followers: account.settings.manually_approves_followers,
        discoverable: account.settings.discoverable,
        indexable: account.settings.indexable,
        also_known_as: account.also_known_as(),
        moved_to: account.moved_to.clone(),
        attribution_domains: vec![urls.domain().host().to_owned()],
        service: vec![json!({
            "id": format!("{id}#export"),
            "type": "https://w3id.org/fep/9091#Export",
            "serviceEndpoint": urls.under("export"),
        })],
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
    Some((picture.width, picture.height)).filter(fits)
}

fn fits((width, height): &(u32, u32)) -> bool {
    *width.max(height) <= MAX_SIDE
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
        moved_to: None,
        attribution_domains: Vec::new(),
        service: Vec::new(),
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
    let is_link = is_web_address(value);
    let escaped = escape(value);
    if is_link { format!("<a href=\"{escaped}\" rel=\"me nofollow noopener\">{escaped}</a>") } else { escaped }
}

/// The text with what no field of a Note carries: before it the title; after it links to what it answers and
/// quotes, where that is not ours, and the visible link to where it first stood.
fn content(post: &Post, account: &Account) -> String {
    let mut html = String::new();
    if let Some(title) = &post.details.title {
        html.push_str(&format!("<p><strong>{}</strong></p>", escape(title)));
    }
    html.push_str(post.content.as_str());
    let link = |url: &str| {
        let shown = url.strip_prefix("https://").unwrap_or(url);
        format!("<a href=\"{}\" rel=\"nofollow noopener\" translate=\"no\">{}</a>", escape(url), escape(shown))
    };
    let elsewhere = |url: &&String| is_web_address(url) && !html.contains(&*escape(url));
    let answers = post.details.answers.as_ref().filter(|_| post.reply_to.is_none()).filter(elsewhere);
    // Mastodon writes the link into the text by itself since 4.5.
    let quotes = post.details.quote.as_ref().filter(|_| post.quoted.is_none() && !html.contains("quote-inline"));
    let quotes = quotes.filter(elsewhere);
    let answers = answers.map(|url| format!("<p>In reply to {}</p>", link(url)));
    let quotes = quotes.map(|url| format!("<p class=\"quote-inline\">RE: {}</p>", link(url)));
    html.extend(answers.into_iter().chain(quotes));
    if let Some(url) = post.canonical_url.as_ref().filter(|_| account.settings.provenance_line) {
        html.push_str(&format!("<p>Archived from {}</p>", link(url)));
    }
    html
}

/// Whether a text is an address that a browser may be sent to.
pub fn is_web_address(text: &str) -> bool {
    web_address(text).is_some()
}

/// The text under its language, then under the others that the source has.
fn content_map(post: &Post, content: &str) -> Option<Value> {
    let mut map = serde_json::Map::new();
    let main = post.details.languages.first().map(|(language, _)| language).or(post.language.as_ref())?;
    map.insert(main.clone(), content.into());
    for (language, html) in post.details.languages.iter().skip(1) {
        map.insert(language.clone(), html.as_str().into());
    }
    Some(map.into())
}

/// A poll that takes no more votes.
fn question(poll: &Poll) -> Question {
    let option = |option: &PollOption| {
        json!({
            "type": "Note",
            "name": option.name,
            "replies": { "type": "Collection", "totalItems": option.votes.unwrap_or(0) }
        })
    };
    let options: Vec<Value> = poll.options.iter().map(option).collect();
    let (one_of, any_of) = if poll.multiple { (Vec::new(), options) } else { (options, Vec::new()) };
    Question {
        one_of,
        any_of,
        end_time: poll.closed.or(poll.ends).map(timestamp),
        closed: poll.closed.map(timestamp),
        voters_count: poll.voters,
    }
}

/// A quote of our own Note with our own stamp.
fn quote(urls: &AccountUrls, id: PostId, quoted: PostId) -> Quote {
    let quoted = urls.note(quoted);
    Quote {
        quote: quoted.clone(),
        quote_uri: quoted.clone(),
        misskey_quote: quoted,
        quote_authorization: urls.under_note(id, "quote_authorization"),
    }
}

/// `to` and `cc`. A mirror run by somebody else is unlisted whatever its source was.
fn audience(visibility: Visibility, account: &Account, urls: &AccountUrls) -> (Vec<String>, Vec<String>) {
    let (public, followers) = (vec![PUBLIC.to_owned()], vec![urls.under("followers")]);
    match (visibility, account.settings.operator) {
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

/// The id at the origin, where the source states it, and whose it was there.
fn previously(post: &Post, account: &Account) -> Vec<Value> {
    let stated = post.object_id.as_ref().filter(|_| post.object_id_stated);
    let place = |id: &String| match &account.source_actor {
        Some(actor) => json!({ "actor": actor, "id": id }),
        None => json!({ "id": id }),
    };
    stated.map(place).into_iter().collect()
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
    keys.ed25519.iter().chain(&keys.earlier).map(multikey).collect()
}
