//! Who something is for, judged from its addresses. What is not understood is not public.

use super::value::ids;
use crate::activitystreams::context::PUBLIC;
use crate::domain::source::SourceAudience;
use serde_json::Value;

/// The audience that one activity or object states for itself. Only `to` and `cc` count.
///
/// Public in `to` is public, public in `cc` is unlisted. A follower collection alone, somebody's name, a
/// collection of one server only, or nothing at all is not public; so is what Pleroma marks as a direct message.
pub fn audience(value: &Value) -> SourceAudience {
    let direct = value.get("directMessage").is_some_and(|flag| !matches!(flag, Value::Bool(false) | Value::Null));
    let holds = |key: &str| ids(value.get(key)).iter().any(|id| is_public(id));
    match (direct, holds("to"), holds("cc")) {
        (true, _, _) | (_, false, false) => SourceAudience::NotPublic,
        (_, true, _) => SourceAudience::Public,
        (_, false, true) => SourceAudience::Unlisted,
    }
}

/// The three spellings that JSON-LD gives the collection of everyone.
fn is_public(id: &str) -> bool {
    id == PUBLIC || id == "as:Public" || id == "Public"
}
