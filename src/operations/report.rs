//! What an import came to, for whoever ran it: exact in its numbers, and small however much there was to tell.

use super::fields::Tally;
use super::{private, profile};
use crate::domain::ids::ImportId;
use crate::domain::source::{Format, Remark, Skipped};
use std::collections::HashMap;

/// Skipped items that are told in full, and as many notes; the others are counted by their reasons.
pub const TOLD: usize = 1000;
/// Reasons that are told apart. There are some dozens; a hostile archive can make more.
const REASONS: usize = 200;
/// Places that are named for each reason.
const EXAMPLES: usize = 3;

/// What an import came to. `read` = created + updated + unchanged + `skipped_total` + private stored, unchanged and
/// left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The number by which it can be undone, noted on every post that it writes; `None` for a dry run.
    pub import: Option<ImportId>,
    /// The format of the first post that was read.
    pub format: Option<Format>,
    /// The account's handle.
    pub account: String,
    /// Items found.
    pub read: u64,
    /// Posts that are new.
    pub created: u64,
    /// Posts that were there and changed.
    pub updated: u64,
    /// Posts that were there already.
    pub unchanged: u64,
    /// Items left out.
    pub skipped_total: u64,
    /// The first [`TOLD`] of them, each with place and reason.
    pub skipped: Vec<Skipped>,
    /// All of them by reason.
    pub skipped_by_reason: Reasons,
    /// Notes on what came in and is not quite as it was.
    pub notes_total: u64,
    /// The first [`TOLD`] of them.
    pub notes: Vec<Remark>,
    /// Notes that tell of a loss.
    pub losses: u64,
    /// What the sources told of what came in, field by field, and whether it is kept.
    pub fields: Tally,
    /// Posts and boosts that the outbox shows now.
    pub published: u64,
    /// Boosts that the account keeps and does not show, as its settings say.
    pub unpublished_boosts: u64,
    /// Replies to others, and what answers those, that the account keeps and does not show.
    pub unpublished_replies: u64,
    /// Media files stored for what was created or updated, each counted once.
    pub media_stored: u64,
    /// Media that posts refer to and that are here, counted for each post.
    pub media_found: u64,
    /// Media files that posts refer to and that could not be had.
    pub media_missing: u64,
    /// Posts whose date is an estimate.
    pub estimated_dates: u64,
    /// Posts that are not public. `skipped` has those alone that were asked for and could not be kept.
    pub private: private::Tally,
    /// What became of the profile that the archive tells; `None` where it tells none of this account.
    pub profile: Option<profile::Outcome>,
}

impl Report {
    /// Its numbers by name.
    pub fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("read", self.read),
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("skipped", self.skipped_total),
            ("media_stored", self.media_stored),
            ("media_found", self.media_found),
            ("media_missing", self.media_missing),
            ("estimated_dates", self.estimated_dates),
            ("published", self.published),
            ("unpublished_boosts", self.unpublished_boosts),
            ("unpublished_replies", self.unpublished_replies),
            ("private_stored", self.private.stored),
            ("private_left_out", self.private.left_out),
            ("notes", self.notes_total),
            ("losses", self.losses),
            ("fields_lost", self.fields.lost()),
        ]
    }

    /// Whether everything came in whole: what `--strict` asks.
    pub fn is_lossless(&self) -> bool {
        self.skipped_total == 0 && self.media_missing == 0 && self.losses == 0 && self.fields.lost() == 0
    }

    /// Take in that an item was left out.
    pub(super) fn skip(&mut self, item: Skipped) {
        self.skipped_total += 1;
        self.skipped_by_reason.count(&item);
        if self.skipped.len() < TOLD {
            self.skipped.push(item);
        }
    }

    /// Take in notes on what came in.
    pub(super) fn note(&mut self, notes: impl IntoIterator<Item = Remark>) {
        for note in notes {
            self.notes_total += 1;
            self.losses += u64::from(note.loss);
            if self.notes.len() < TOLD {
                self.notes.push(note);
            }
        }
    }
}

/// Skipped items by reason. What differs from item to item is cut from the reasons.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasons {
    known: HashMap<String, Reason>,
    /// Items for further reasons.
    others: Reason,
}

/// How often something was skipped for one reason, and the first places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    /// How many items.
    pub count: u64,
    /// Where the first of them stand.
    pub first: Vec<String>,
}

impl Reasons {
    /// Each reason with its items, the most frequent first.
    pub fn list(&self) -> Vec<(&str, &Reason)> {
        let mut list: Vec<(&str, &Reason)> = self.known.iter().map(|(kind, reason)| (kind.as_str(), reason)).collect();
        list.sort_by(|a, b| b.1.count.cmp(&a.1.count).then(a.0.cmp(b.0)));
        list.extend((self.others.count > 0).then_some(("other reasons", &self.others)));
        list
    }

    fn count(&mut self, item: &Skipped) {
        let kind = kind(&item.reason);
        let room = self.known.len() < REASONS || self.known.contains_key(&kind);
        let reason = if room { self.known.entry(kind).or_default() } else { &mut self.others };
        reason.count += 1;
        if reason.first.len() < EXAMPLES {
            reason.first.push(item.at.clone());
        }
    }
}

/// A reason without what is of one item alone: addresses, names, numbers, quoted words, types, and what comes after a
/// colon.
fn kind(reason: &str) -> String {
    let head = reason.split_once(": ").map_or(reason, |(head, _)| head);
    let mut words: Vec<String> = Vec::new();
    let mut after_type = false;
    for word in head.split_whitespace() {
        let core = word.trim_end_matches([',', ';', '.', ')']);
        let end = &word[core.len()..];
        let special = |c: char| c.is_ascii_digit() || matches!(c, '@' | '`' | '"' | '/' | '\\' | '=');
        let varies = after_type || core.contains(special) && !matches!(core, "and/or");
        after_type = core == "type" && words.last().is_some_and(|last| last == "of");
        let is_gap = words.last().is_some_and(|last| last == "…") && core != "…";
        match varies {
            true if is_gap => words.last_mut().into_iter().for_each(|last| last.push_str(end)),
            true => words.push(format!("…{end}")),
            false => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(at: usize, reason: &str) -> Skipped {
        Skipped { at: format!("outbox.json $.orderedItems[{at}]"), reason: reason.to_owned() }
    }

    #[test]
    fn reasons_are_the_same_when_only_the_item_differs() {
        let check = |reason: &str, expected: &str| assert_eq!(kind(reason), expected);
        check("it is not public", "it is not public");
        check(
            "it is a boost of https://a.example/users/b/statuses/1, and boosts are not kept yet",
            "it is a boost of …, and boosts are not kept yet",
        );
        check("it is in this import already, as mastodon:a.example:1", "it is in this import already, as …");
        check(
            "it is by @ann@a.example, not by @bob@b.example; --adopt takes it in",
            "it is by …, not by …; --adopt takes it in",
        );
        check(
            "it was withdrawn on 2026-01-02, and servers; `everpost post restore 7` lets",
            "it was withdrawn on …, and servers; … post restore … lets",
        );
        check("is not JSON: expected value at line 1 column 2", "is not JSON");
        check("is of type Follow, which is no post", "is of type …, which is no post");
        check("249000 more items are no posts either", "… more items are no posts either");
        check("is longer than 1024 KiB, which no post is", "is longer than … KiB, which no post is");
        check("", "");
    }

    #[test]
    fn numbers_are_exact_and_lines_are_few_however_many_items_are_skipped() {
        let mut report = Report::default();
        for at in 0..50_000 {
            report.skip(skipped(at, if at % 5 == 0 { "it is not public" } else { "is not JSON: x" }));
            // A hostile archive makes up a reason for each item.
            report
                .skip(skipped(at, &format!("is of a kind like {}", char::from_u32(0x4e00 + at as u32).unwrap_or('x'))));
        }
        assert_eq!((report.skipped_total, report.skipped.len()), (100_000, TOLD));
        let list = report.skipped_by_reason.list();
        assert_eq!((list[0].0, list[0].1.count), ("is not JSON", 40_000));
        assert_eq!((list[1].0, list[1].1.count), ("it is not public", 10_000));
        assert_eq!(list[1].1.first, [0, 5, 10].map(|at| format!("outbox.json $.orderedItems[{at}]")));
        assert_eq!(list.len(), REASONS + 1);
        assert_eq!(list.iter().map(|(_, reason)| reason.count).sum::<u64>(), 100_000, "nothing is lost in the count");
        assert_eq!(list[REASONS].0, "other reasons");
        let note = |loss| Remark { at: "a.md:1".to_owned(), note: "a frame became a link".to_owned(), loss };
        report.note((0..3000).map(|n| note(n % 3 == 0)));
        assert_eq!((report.notes_total, report.notes.len(), report.losses), (3000, TOLD, 1000));
    }
}
