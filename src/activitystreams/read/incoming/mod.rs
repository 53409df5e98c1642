//! What an inbox is sent: any JSON to a closed set of deeds.
//!
//! Lenient in form, bounded in everything, and silent about what is true: who signed it, whether what it names is
//! here, and whose it is are for the caller to judge. Hostile input is refused or unknown, and never panics.
//! Start with [`read`].

#[cfg(test)]
mod tests;

use super::audience;
use super::object::{Object, is_post};
use super::value::{is_url, list, text};
use crate::domain::source::SourceAudience;
use serde_json::Value;

/// Levels of nesting that are read: real activities have less than ten, Pixelfed reads eight.
const DEEPEST: usize = 32;
/// Longest id, in bytes: as long as a URL that others store.
const LONGEST_ID: usize = 2048;
/// Longest emoji of a reaction, in characters: a shortcode with its host.
const LONGEST_EMOJI: usize = 128;
/// Objects of a report that are read.
const MOST_REPORTED: usize = 100;
/// Characters of a report that are kept.
const LONGEST_REPORT: usize = 10_000;
/// Longest name of a type that is told, in characters.
const LONGEST_KIND: usize = 64;

/// Something that was sent to an inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// Its id, where it has one that is a web address.
    pub id: Option<String>,
    /// Who says that they did it.
    pub actor: String,
    /// What they did.
    pub deed: Deed,
}

/// What an activity does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// They want to follow this actor.
    Follow(String),
    /// They accept something that was asked of them.
    Accept,
    /// They refuse it.
    Reject,
    /// They take back what they did.
    Undo(Undone),
    /// They like this object; Misskey says with which emoji.
    Like {
        /// What they like.
        object: String,
        /// The emoji, if it is more than a like.
        emoji: Option<String>,
    },
    /// They react to this object with an emoji.
    EmojiReact {
        /// What they react to.
        object: String,
        /// The emoji.
        emoji: String,
    },
    /// They pass this object on.
    Announce(String),
    /// They made an object.
    Create(Subject),
    /// They changed an object.
    Update(Subject),
    /// They deleted the object or actor of this id.
    Delete(String),
    /// They block this actor.
    Block(String),
    /// They report something to us.
    Flag {
        /// Actors and objects that it is about.
        objects: Vec<String>,
        /// Why.
        content: String,
    },
    /// They have moved to this actor.
    Move(String),
    /// They put something into a collection of theirs, or took it out.
    Arrange,
    /// They ask whether their object may quote ours (FEP-044f).
    QuoteRequest {
        /// What they want to quote.
        object: String,
        /// The object that quotes it.
        quoting: Option<String>,
    },
    /// Something that we know nothing of, by the name of its type.
    Unknown(String),
}

impl Deed {
    /// The name of its type.
    pub fn kind(&self) -> &str {
        match self {
            Deed::Follow(_) => "Follow",
            Deed::Accept => "Accept",
            Deed::Reject => "Reject",
            Deed::Undo(_) => "Undo",
            Deed::Like { .. } => "Like",
            Deed::EmojiReact { .. } => "EmojiReact",
            Deed::Announce(_) => "Announce",
            Deed::Create(_) => "Create",
            Deed::Update(_) => "Update",
            Deed::Delete(_) => "Delete",
            Deed::Block(_) => "Block",
            Deed::Flag { .. } => "Flag",
            Deed::Move(_) => "Move",
            Deed::Arrange => "Add",
            Deed::QuoteRequest { .. } => "QuoteRequest",
            Deed::Unknown(kind) => kind,
        }
    }
}

/// What is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The id of the activity, where it has one.
    pub id: Option<String>,
    /// What it was, where that is said.
    pub kind: Option<UndoneKind>,
    /// What it was about, where that is said.
    pub object: Option<String>,
    /// Its emoji, where that is said.
    pub emoji: Option<String>,
}

/// What can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndoneKind {
    /// A Follow.
    Follow,
    /// A Like.
    Like,
    /// An Announce.
    Announce,
    /// A reaction with an emoji.
    EmojiReact,
    /// A Block.
    Block,
    /// Something that leaves nothing with us.
    Other,
}

/// What was made or changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// Only its id is told.
    Named(String),
    /// The actor of this id.
    Actor(String),
    /// A post, as it is told.
    Post(Box<Told>),
    /// Something else, which leaves nothing with us.
    Other,
}

/// A post as its server tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The post.
    pub object: Object,
    /// Who it is for, as narrow as any of its wrappings says.
    pub audience: SourceAudience,
    /// Everyone whom it is addressed to or names.
    pub addressed: Vec<String>,
    /// Whether it is a vote in a poll.
    pub is_vote: bool,
}

/// Why something is no activity. The message is fit for its sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no JSON.
    #[error("This is not JSON.")]
    NotJson,
    /// It nests deeper than anybody needs.
    #[error("This JSON nests deeper than {DEEPEST} levels.")]
    TooDeep,
    /// It is JSON and no activity.
    #[error("This is no activity: {0}.")]
    NoActivity(&'static str),
}

/// Read a body; the JSON comes back too, for its proof.
pub fn read(body: &[u8]) -> Result<(Value, Incoming), Refusal> {
    if nests_too_deep(body) {
        return Err(Refusal::TooDeep);
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
    let incoming = activity(&value)?;
    Ok((value, incoming))
}

/// Read an activity.
pub fn activity(value: &Value) -> Result<Incoming, Refusal> {
    if !value.is_object() {
        return Err(Refusal::NoActivity("it is not an object"));
    }
    let actor = named(value, "actor").ok_or(Refusal::NoActivity("it names no actor"))?;
    if !is_url(&actor) {
        return Err(Refusal::NoActivity("its actor is not a web address"));
    }
    let kinds = kinds(value);
    let kind = *kinds.first().ok_or(Refusal::NoActivity("it does not say of what type it is"))?;
    let known = kinds.iter().find_map(|kind| deed(kind, value));
    let deed = known
        .unwrap_or_else(|| Ok(Deed::Unknown(kind.chars().filter(|c| !c.is_control()).take(LONGEST_KIND).collect())))?;
    Ok(Incoming { id: own_id(value).filter(|id| is_url(id)), actor, deed })
}

/// Read a post that was fetched from where it stands.
pub fn post(value: &Value) -> Option<Told> {
    told(value, None)
}

/// The deed of a type; `None` if it is none that we know.
fn deed(kind: &str, value: &Value) -> Option<Result<Deed, Refusal>> {
    let object = || named(value, "object").ok_or(Refusal::NoActivity("it names no object"));
    Some(match kind {
        "Follow" => object().map(Deed::Follow),
        "Accept" | "TentativeAccept" => Ok(Deed::Accept),
        "Reject" | "TentativeReject" => Ok(Deed::Reject),
        "Undo" => undone(value).map(Deed::Undo),
        "Like" => object().map(|object| Deed::Like { object, emoji: emoji(value) }),
        // Without an emoji it says no more than a like.
        "EmojiReact" | "EmojiReaction" => object().map(|object| match emoji(value) {
            Some(emoji) => Deed::EmojiReact { object, emoji },
            None => Deed::Like { object, emoji: None },
        }),
        "Announce" => object().map(Deed::Announce),
        "Create" => subject(value).map(Deed::Create),
        "Update" => subject(value).map(Deed::Update),
        "Delete" => object().map(Deed::Delete),
        "Block" => object().map(Deed::Block),
        "Flag" => Ok(flag(value)),
        "Move" => named(value, "target").ok_or(Refusal::NoActivity("it names no target")).map(Deed::Move),
        "Add" | "Remove" => Ok(Deed::Arrange),
        "QuoteRequest" => object().map(|object| Deed::QuoteRequest { object, quoting: named(value, "instrument") }),
        _ => return None,
    })
}

fn undone(value: &Value) -> Result<Undone, Refusal> {
    let inner = list(field(value, "object")).first().ok_or(Refusal::NoActivity("it names no object"))?;
    if !inner.is_object() {
        let id = id_of(inner).ok_or(Refusal::NoActivity("it names no object"))?;
        return Ok(Undone { id: Some(id), kind: None, object: None, emoji: None });
    }
    let kind = kinds(inner).first().map(|kind| match *kind {
        "Follow" => UndoneKind::Follow,
        "Like" => UndoneKind::Like,
        "Announce" => UndoneKind::Announce,
        "EmojiReact" | "EmojiReaction" => UndoneKind::EmojiReact,
        "Block" => UndoneKind::Block,
        _ => UndoneKind::Other,
    });
    let undone = Undone { id: own_id(inner), kind, object: named(inner, "object"), emoji: emoji(inner) };
    match (&undone.id, &undone.kind, &undone.object) {
        (Some(_), ..) | (None, Some(_), Some(_)) => Ok(undone),
        _ => Err(Refusal::NoActivity("it does not say what it takes back")),
    }
}

fn flag(value: &Value) -> Deed {
    let objects = list(field(value, "object")).iter().take(MOST_REPORTED).filter_map(id_of);
    let content = text(field(value, "content")).unwrap_or_default();
    Deed::Flag { objects: objects.collect(), content: content.chars().take(LONGEST_REPORT).collect() }
}

fn subject(value: &Value) -> Result<Subject, Refusal> {
    let nothing = Refusal::NoActivity("it names no object");
    let Some(inner) = list(field(value, "object")).first() else { return Err(nothing) };
    if !inner.is_object() {
        return id_of(inner).map(Subject::Named).ok_or(nothing);
    }
    let actors = ["Person", "Service", "Group", "Organization", "Application"];
    if kinds(inner).iter().any(|kind| actors.contains(kind)) {
        return own_id(inner).map(Subject::Actor).ok_or(nothing);
    }
    match (told(inner, Some(value)), own_id(inner)) {
        (Some(told), _) => Ok(Subject::Post(Box::new(told))),
        // Only its address, written as an object.
        (None, Some(id)) if kinds(inner).is_empty() => Ok(Subject::Named(id)),
        (None, _) => Ok(Subject::Other),
    }
}

/// A post, and the activity around it where there is one.
fn told(value: &Value, around: Option<&Value>) -> Option<Told> {
    if !is_post(value) {
        return None;
    }
    let object = Object::read(value).ok()?;
    // Some activities leave it to their objects to say who they are for.
    let says = |value: &&Value| ["to", "cc"].iter().any(|key| field(value, key).is_some_and(|to| !to.is_null()));
    let own = audience(value);
    let audience = around.filter(says).map_or(own, |around| own.narrower(audience(around)));
    let mut addressed = Vec::new();
    for key in ["to", "cc"] {
        addressed.extend(list(field(value, key)).iter().filter_map(id_of));
    }
    addressed.extend(object.told.mentions.iter().map(|mention| mention.href.clone()));
    // What Mastodon takes for a vote: a name, and no text.
    let is_vote = object.told.title.is_some() && object.html.is_empty() && object.told.answers.is_some();
    Some(Told { object, audience, addressed, is_vote })
}

/// The emoji of a reaction: Misskey's own field first, then the text that FEP-c0e0 names.
fn emoji(value: &Value) -> Option<String> {
    let given = text(value.get("_misskey_reaction")).or_else(|| text(field(value, "content")))?;
    let given = given.trim();
    let bearable = !given.is_empty() && given.chars().count() <= LONGEST_EMOJI && !given.contains(char::is_control);
    bearable.then(|| given.to_owned())
}

/// A property, also under the prefix of its vocabulary.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| value.get(format!("as:{name}")))
}

/// The types of an object without their prefixes.
fn kinds(value: &Value) -> Vec<&str> {
    let stated = value.get("type").or_else(|| value.get("@type"));
    list(stated).iter().filter_map(Value::as_str).map(without_prefix).filter(|kind| !kind.is_empty()).collect()
}

fn without_prefix(kind: &str) -> &str {
    kind.rsplit(['#', ':']).next().unwrap_or(kind)
}

/// The id of what a property names. Of a list the first counts.
fn named(value: &Value, name: &str) -> Option<String> {
    list(field(value, name)).first().and_then(id_of)
}

/// The id of something that stands here itself, as a link or by its address.
fn id_of(value: &Value) -> Option<String> {
    text(Some(value))
        .or_else(|| text(value.get("id")))
        .or_else(|| text(value.get("@id")))
        .or_else(|| text(value.get("href")))
        .filter(|id| bearable(id))
}

/// The id of an object itself.
fn own_id(value: &Value) -> Option<String> {
    text(value.get("id")).or_else(|| text(value.get("@id"))).filter(|id| bearable(id))
}

fn bearable(id: &str) -> bool {
    id.len() <= LONGEST_ID && !id.contains(char::is_control)
}

/// Whether brackets nest too deep, told before anything is built. Those in texts do not count.
fn nests_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
