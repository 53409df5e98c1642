//! Reads what other servers wrote: activities, posts and actors, in all the spellings that are about.
//!
//! Lenient in form and strict in what matters: a field of the wrong type counts as absent, an audience that is not
//! understood is not public. Whose word it is, and whether to believe it, is for the caller to judge.
//! Start with [`activity`] for archives and with `incoming` for inboxes; `object.rs` takes a post apart, `remote.rs` an actor
//! that deals with us.

pub mod actor;
mod audience;
pub mod incoming;
mod media;
pub mod nodeinfo;
mod object;
pub mod remote;
mod tags;
mod value;

pub use audience::audience;
pub use object::Object;
pub(super) use tags::spelled;

use crate::domain::source::SourceAudience;
use chrono::{DateTime, Utc};
use serde_json::Value;
use value::{id, ids, kinds, text, time};

/// An activity that made a post or passed one on.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    /// Its id.
    pub id: Option<String>,
    /// Whose it is.
    pub actor: Option<String>,
    /// When it happened.
    pub published: Option<DateTime<Utc>>,
    /// Who it is for: the narrower of what it says itself and what its object says.
    pub audience: SourceAudience,
    /// What it did.
    pub deed: Deed,
}

/// What an activity did.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// It made this post.
    Create(Box<Object>),
    /// It passed on the object of this id.
    Announce(String),
}

/// Read an activity, or a post that stands where its activity should; the error says what else it is.
pub fn activity(value: &Value) -> Result<Activity, String> {
    if !value.is_object() {
        return Err("is no activity".to_owned());
    }
    let kind = kinds(value);
    let inner = value.get("object");
    let (deed, audience) = match kind.first().copied() {
        Some("Create") => match inner {
            Some(object) if object.is_object() => {
                (Deed::Create(Box::new(Object::read(object)?)), audience(value).narrower(audience(object)))
            }
            _ => return Err("does not hold the post that it made, only its address".to_owned()),
        },
        Some("Announce") => {
            let Some(of) = id(inner) else { return Err("does not say what it passed on".to_owned()) };
            // Mastodon puts the Note itself there when somebody passes on a post of their own that is not public.
            let own = audience(value);
            let inlined = inner.filter(|inner| inner.is_object() && inner.as_object().is_some_and(|map| map.len() > 1));
            (Deed::Announce(of), inlined.map_or(own, |object| own.narrower(audience(object))))
        }
        Some(_) if object::is_post(value) => (Deed::Create(Box::new(Object::read(value)?)), audience(value)),
        Some(other) => return Err(format!("is of type {}, which is no post", value::short(other))),
        None => return Err("does not say of what type it is".to_owned()),
    };
    let actor = id(value.get("actor")).or_else(|| ids(value.get("attributedTo")).into_iter().next());
    Ok(Activity { id: text(value.get("id")), actor, published: time(value.get("published")), audience, deed })
}

/// Whether something looks like an item of an outbox, be it readable or not.
pub fn is_activity(value: &Value) -> bool {
    value.is_object() && !kinds(value).is_empty()
}
