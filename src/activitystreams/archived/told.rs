//! What an item of an archive tells of its post that is kept nowhere but in its bytes.

use crate::activitystreams::read;
use serde::Deserialize;
use serde_json::Value;

/// What an item tells.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) activity: Option<String>,
    pub(super) conversation: Option<Value>,
    pub(super) context: Option<Value>,
    pub(super) written: Option<Value>,
    pub(super) summary: Option<Value>,
    pub(super) is_answer: bool,
    /// Hashtags as spelled.
    pub(super) tags: Vec<String>,
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
    pub(super) fn read(item: &[u8]) -> Told {
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
