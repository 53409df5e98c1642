//! How an import tells what became of the profile in an archive, and what it offers to its owner.

use super::output;
use crate::activitystreams::render::timestamp;
use crate::domain::account::Account;
use crate::domain::post::MediaFile;
use crate::domain::profile::Part;
use crate::domain::settings::Operator;
use crate::import::files::one_line;
use crate::operations::profile::Outcome;
use serde_json::{Value, json};

/// Characters of a bio that are shown.
const WORDS: usize = 60;

/// The profile in the report's JSON: what the account shows now, what came from the archive, what its server said.
pub fn to_json(outcome: &Outcome) -> Value {
    let names = |parts: &[Part]| parts.iter().map(|part| part.name()).collect::<Vec<_>>();
    let (facts, profile) = (&outcome.facts, &outcome.profile);
    let (likes, bookmarks) = outcome.private_lists;
    json!({
        "set": names(&outcome.set),
        "left": names(&outcome.left),
        "older": outcome.older,
        "name": profile.name,
        "summary": profile.summary.as_str(),
        "fields": output::fields(&profile.fields),
        "avatar": profile.avatar.as_ref().map(|file| file.file_name()),
        "header": profile.header.as_ref().map(|file| file.file_name()),
        "source": {
            "actor": outcome.actor,
            "handle": facts.handle.as_ref().map(|handle| format!("@{handle}")),
            "published": facts.published.map(timestamp),
            "also_known_as": facts.also_known_as,
            "moved_to": facts.moved_to,
            "discoverable": facts.discoverable,
            "indexable": facts.indexable,
            "suspended": facts.suspended,
        },
        "not_stored": { "likes": likes, "bookmarks": bookmarks },
    })
}

/// The lines of the report; a dry run shows what would be in them.
pub fn print(outcome: &Outcome, dry_run: bool) {
    let names = |parts: &[Part]| parts.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ");
    let changes = match (outcome.older, outcome.set.is_empty()) {
        (true, _) => "unchanged: an earlier import was of a newer archive".to_owned(),
        (_, true) => "unchanged".to_owned(),
        (_, false) => format!("{} from the archive", names(&outcome.set)),
    };
    println!("  profile          {changes}");
    if !outcome.left.is_empty() {
        println!("                   {} as you set it, not as the archive has it", names(&outcome.left));
    }
    if dry_run {
        for part in &outcome.set {
            println!("                   {}", shown(outcome, *part));
        }
    }
    let facts = &outcome.facts;
    if facts.suspended {
        println!("  suspended        at its server, says the archive; nothing here depends on it");
    }
    if let Some(target) = &facts.moved_to {
        println!("  moved            to {}, says the archive; this account does not", one_line(target));
    }
    let (likes, bookmarks) = outcome.private_lists;
    if likes + bookmarks > 0 {
        println!("  not stored       likes: {likes}, bookmarks: {bookmarks}; those lists are private");
    }
}

/// What a part would be.
fn shown(outcome: &Outcome, part: Part) -> String {
    let profile = &outcome.profile;
    let file = |file: &Option<MediaFile>| match file {
        Some(file) => format!("{}, {} bytes", file.media_type, file.bytes),
        None => "none".to_owned(),
    };
    let text = match part {
        Part::Name => one_line(&profile.name),
        Part::Summary => one_line(&profile.summary.excerpt(WORDS)),
        Part::Fields => {
            let rows = profile.fields.iter().map(|(name, value)| one_line(&format!("{name}: {value}")));
            rows.collect::<Vec<_>>().join("; ")
        }
        Part::Avatar => file(&profile.avatar),
        Part::Header => file(&profile.header),
    };
    format!("{}: {text}", part.name())
}

/// What the source allowed and this account does not: its owner's to decide, so here is the command.
pub fn offer(account: &Account) {
    let Some(archived) = &account.archived else { return };
    if account.settings.operator == Operator::ThirdParty {
        return;
    }
    let (source, here) = (&archived.facts, &account.settings);
    let mut keys = Vec::new();
    if source.discoverable && !here.discoverable {
        keys.push("discoverable=true");
    }
    if source.indexable && !here.indexable {
        keys.push("indexable=true");
    }
    if !keys.is_empty() {
        println!();
        println!("The account allowed more at its source than it does here. To allow the same:");
        println!("  everpost account set {} {}", account.handle, keys.join(" "));
    }
}
