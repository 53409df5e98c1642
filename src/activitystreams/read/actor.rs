//! An account as another server describes it.

use super::tags;
use super::value::{flag, id, ids, is_kind, list, text, time};
use crate::domain::source::Author;
use crate::domain::told::SourceProfile;
use serde_json::Value;
use url::Url;

/// An actor: what it tells of itself, and whether Pleroma or Akkoma wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Actor {
    /// What it tells.
    pub profile: SourceProfile,
    /// Whether its context names Pleroma's vocabulary.
    pub is_litepub: bool,
}

/// Read an actor; `None` if it is none.
pub fn actor(value: &Value) -> Option<Actor> {
    let kinds = ["Person", "Service", "Group", "Organization", "Application"];
    if !kinds.iter().any(|kind| is_kind(value, kind)) {
        return None;
    }
    let own_id = text(value.get("id"));
    let user = text(value.get("preferredUsername"));
    let url = own_id.as_deref().and_then(|id| Url::parse(id).ok());
    let named = url.as_ref().and_then(Author::of_actor);
    let host = url.as_ref().and_then(Author::host_of);
    // The number in the ids of 2026 is no name, and the spelling of the name is the account's own.
    let author = match (host, user, named) {
        (Some(host), Some(user), _) => Some(Author { host, user }),
        (_, _, named) => named,
    };
    let handle =
        text(value.get("webfinger")).map(|name| name.trim_start_matches("acct:").trim_start_matches('@').to_owned());
    let handle = handle.or_else(|| author.as_ref().map(|author| format!("{}@{}", author.user, author.host)));
    let litepub = |context: &Value| context.as_str().is_some_and(|context| context.contains("litepub"));
    let profile = SourceProfile {
        author,
        handle,
        actor: own_id,
        name: text(value.get("name")).unwrap_or_default(),
        summary_html: text(value.get("summary")).unwrap_or_default(),
        fields: fields(value),
        avatar: picture(value.get("icon")),
        header: picture(value.get("image")),
        published: time(value.get("published")),
        also_known_as: ids(value.get("alsoKnownAs")),
        moved_to: id(value.get("movedTo")),
        discoverable: flag(value.get("discoverable")),
        indexable: flag(value.get("indexable")),
        suspended: flag(value.get("suspended")),
        emoji: tags::emoji(value),
        private_lists: (0, 0),
    };
    Some(Actor { profile, is_litepub: list(value.get("@context")).iter().any(litepub) })
}

/// The rows of the profile's table.
fn fields(value: &Value) -> Vec<(String, String)> {
    let rows = list(value.get("attachment")).iter().filter(|row| is_kind(row, "PropertyValue"));
    rows.filter_map(|row| Some((text(row.get("name"))?, text(row.get("value")).unwrap_or_default()))).collect()
}

/// Where a picture is.
fn picture(value: Option<&Value>) -> Option<String> {
    let first = list(value).first()?;
    let link = |value: &Value| text(Some(value)).or_else(|| text(value.get("href")));
    list(first.get("url")).iter().find_map(link).or_else(|| link(first))
}
