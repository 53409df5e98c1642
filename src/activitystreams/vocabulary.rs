//! The objects, actors, activities and collections that we emit, field by field as they go over the wire.
//!
//! Fields that the rules want "always" have no `skip_serializing_if`: strict readers need arrays to be arrays.

use serde::Serialize;
use serde_json::Value;

/// A post on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// Present at the top of a document only.
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    pub context_terms: Option<&'static Value>,
    /// The Note's id, which is the URL that answers with it.
    pub id: String,
    /// `Question` for a poll, else `Note`, long posts too.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Our own page first, a plain string; then the links to the origin.
    pub url: Vec<Value>,
    /// Where it was before, for whom the old id leads nowhere (LOLA, R-111).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub previously: Vec<Value>,
    /// The actor's id.
    pub attributed_to: String,
    /// Publish time, to the second, in UTC.
    pub published: String,
    /// Time of the last edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// Who it is to.
    pub to: Vec<String>,
    /// Who else.
    pub cc: Vec<String>,
    /// The content warning, plain text.
    pub summary: Option<String>,
    /// Whether media are hidden at first.
    pub sensitive: bool,
    /// The id of the Note that it answers: ours, a string, or null.
    pub in_reply_to: Option<String>,
    /// HTML.
    pub content: String,
    /// The same HTML under its language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_map: Option<Value>,
    /// Media.
    pub attachment: Vec<Document>,
    /// Hashtags; never mentions.
    pub tag: Vec<Tag>,
    /// The conversation's URL.
    pub context: String,
    /// The same, by which Mastodon groups.
    pub conversation: String,
    /// The replies collection: its id, or with its first page.
    pub replies: Value,
    /// The likes collection.
    pub likes: Value,
    /// The shares collection.
    pub shares: Value,
    /// Who may quote it.
    pub interaction_policy: Value,
    /// The poll, if it is a Question.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Question>,
    /// The post of ours that it quotes.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
}

/// What makes a Note a Question: a poll that takes no more votes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The options of a poll with one choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// The options of a poll with several choices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Value>,
    /// When voting ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<String>,
    /// The same: an archived poll is always closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
    /// How many people voted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voters_count: Option<u64>,
}

/// A quote of one of our own Notes, in every spelling that is read.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// The quoted Note's id (FEP-044f).
    pub quote: String,
    /// The same, as Fedibird and others spell it.
    pub quote_uri: String,
    /// The same, as Misskey spells it.
    #[serde(rename = "_misskey_quote")]
    pub misskey_quote: String,
    /// The id of our stamp that says that we may.
    pub quote_authorization: String,
}

/// Our word that a quote of our Note is permitted (FEP-044f).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteAuthorization {
    /// The terms.
    #[serde(rename = "@context")]
    pub context_terms: &'static Value,
    /// Its id, below that of the Note that quotes.
    pub id: String,
    /// `QuoteAuthorization`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The actor whose Note is quoted.
    pub attributed_to: String,
    /// The Note that quotes.
    pub interacting_object: String,
    /// The Note that is quoted.
    pub interaction_target: String,
}

/// A boost: somebody's object passed on.
#[derive(Clone, Debug, Serialize)]
pub struct Announce {
    /// Present at the top of a document only.
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    pub context_terms: Option<&'static Value>,
    /// Below the number of the boost.
    pub id: String,
    /// `Announce`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The actor's id.
    pub actor: String,
    /// When it was boosted.
    pub published: String,
    /// Who it is to (R-65: required).
    pub to: Vec<String>,
    /// Who else.
    pub cc: Vec<String>,
    /// The id of the object that is passed on; it is fetched from its own server.
    pub object: String,
}

/// A media file of a Note.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// `Document`, which every server accepts.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Media type.
    pub media_type: String,
    /// Where the file is, on our host.
    pub url: String,
    /// Alternative text.
    pub name: Option<String>,
    /// Width of a picture in pixels, 1 to 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of a picture in pixels, 1 to 5000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// What a picture looks like before it is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blurhash: Option<String>,
    /// The point to keep in view: x and y from -1 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub focal_point: Option<(f64, f64)>,
    /// How long it plays, an ISO 8601 duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
}

/// A hashtag of a Note.
#[derive(Clone, Debug, Serialize)]
pub struct Tag {
    /// `Hashtag`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its page here.
    pub href: String,
    /// With `#`.
    pub name: String,
}

/// The activity that announced a Note.
#[derive(Clone, Debug, Serialize)]
pub struct Create {
    /// Present at the top of a document only.
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    pub context_terms: Option<&'static Value>,
    /// The Note's id and `/activity`.
    pub id: String,
    /// `Create`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The actor's id.
    pub actor: String,
    /// The Note's own publish time.
    pub published: String,
    /// As the Note.
    pub to: Vec<String>,
    /// As the Note.
    pub cc: Vec<String>,
    /// The Note.
    pub object: Note,
}

/// An account on the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// The terms.
    #[serde(rename = "@context")]
    pub context_terms: &'static Value,
    /// The actor's id.
    pub id: String,
    /// `Person`, `Service` or `Application`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The handle's local part.
    pub preferred_username: String,
    /// `user@domain` (FEP-2c59, R-14).
    pub webfinger: String,
    /// Display name; absent rather than empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bio; absent rather than empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Its page, on the same host.
    pub url: String,
    /// When it began: at the origin where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// Where activities are sent.
    pub inbox: String,
    /// What it published.
    pub outbox: String,
    /// Who follows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followers: Option<String>,
    /// Whom it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub following: Option<String>,
    /// Its pins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub featured: Option<String>,
    /// Its featured hashtags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub featured_tags: Option<String>,
    /// The server's shared inbox.
    pub endpoints: Value,
    /// One RSA key, an object.
    pub public_key: Value,
    /// The Ed25519 key as a Multikey (FEP-521a, R-23).
    pub assertion_method: Vec<Value>,
    /// Whether follows wait for approval; explicit for Pixelfed.
    pub manually_approves_followers: bool,
    /// Whether servers may suggest it.
    pub discoverable: bool,
    /// Whether servers may index its posts.
    pub indexable: bool,
    /// The account at the origin, and others of the same person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_known_as: Vec<String>,
    /// The actor that took its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Hosts whose pages may name it as their author.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attribution_domains: Vec<String>,
    /// What its owner can ask for with a token (FEP-9091).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service: Vec<Value>,
    /// Rows of the profile's table.
    pub attachment: Vec<Value>,
    /// No custom emoji yet; an array, because strict readers need one.
    pub tag: Vec<Value>,
    /// Avatar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon: Option<Value>,
    /// Header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Value>,
}

/// A collection or one of its pages.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// Present at the top of a document only.
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    pub context_terms: Option<&'static Value>,
    /// The URL that answers with it.
    pub id: String,
    /// `Collection`, `OrderedCollection` or one of their pages.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributed_to: Option<String>,
    /// The collection that a page belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// How many items there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_items: Option<i64>,
    /// The first page, or its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Value>,
    /// The last page's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev: Option<String>,
    /// The page after; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Items of an unordered collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Value>>,
    /// Items of an ordered collection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered_items: Option<Vec<Value>>,
}

/// What stands where an object was.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tombstone {
    /// The terms.
    #[serde(rename = "@context")]
    pub context_terms: &'static Value,
    /// The id of what was there.
    pub id: String,
    /// `Tombstone`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What was there.
    pub former_type: &'static str,
    /// Since when it is gone.
    pub deleted: String,
}
