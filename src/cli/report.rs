//! How the report of an import is shown: a table for people, an object for scripts.
//!
//! A further number is a line in `rows` and a field in [`to_json`].

use super::profile;
use crate::domain::source::Skipped;
use crate::operations::fields::Fate;
use crate::operations::report::Report;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Lines of one sort that the plain report names; `--json` names more.
const SHOWN: usize = 20;
/// Reasons that the plain report counts.
const REASONS: usize = 12;

/// The report's fixed shape: fields may be added, never renamed.
pub fn to_json(report: &Report, took: Duration) -> Value {
    let by_reason = report.skipped_by_reason.list().into_iter();
    let by_reason =
        by_reason.map(|(kind, reason)| json!({ "reason": kind, "count": reason.count, "first": reason.first }));
    let notes = report.notes.iter().map(|item| json!({ "at": item.at, "note": item.note, "loss": item.loss }));
    let fields = report.fields.list().into_iter();
    let fields = fields.map(|field| (field.name.to_owned(), json!({ "kept": field.kept, "lost": field.lost })));
    json!({
        "format": match report.format {
            Some(format) if format.is_activities() => format.name(),
            _ => "hugo",
        },
        "account": report.account,
        "read": report.read,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "skipped": items(&report.skipped),
        "notes": notes.collect::<Vec<_>>(),
        "published": report.published,
        "media": { "stored": report.media_stored, "missing": report.media_missing, "found": report.media_found },
        "estimated_dates": report.estimated_dates,
        "private": {
            "stored": report.private.stored,
            "unchanged": report.private.unchanged,
            "left_out": report.private.left_out,
            "made_public": report.private.made_public,
            "still_public": items(&report.private.still_public),
        },
        "profile": report.profile.as_ref().map(profile::to_json),
        "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0,
        "import": report.import.map(|import| import.0),
        "skipped_total": report.skipped_total,
        "skipped_by_reason": by_reason.collect::<Vec<_>>(),
        "notes_total": report.notes_total,
        "losses": report.losses,
        "fields": Map::from_iter(fields),
        "unpublished": { "boosts": report.unpublished_boosts, "replies": report.unpublished_replies },
    })
}

fn items(items: &[Skipped]) -> Value {
    Value::from_iter(items.iter().map(|item| json!({ "at": item.at, "reason": item.reason })))
}

/// The numbers of the table: a name, a number, and what there is to say about it. What is not there in most archives has
/// a row only where it is there.
fn rows(report: &Report, took: Duration) -> Vec<(&'static str, u64, String)> {
    let plain = |name, count| Some((name, count, String::new()));
    let told =
        |name, count: u64, text: &str| Some((name, count, if count > 0 { text.to_owned() } else { String::new() }));
    let some = |name, count: u64, text: &str| (count > 0).then(|| (name, count, text.to_owned()));
    let private = &report.private;
    let rows = [
        Some(("posts read", report.read, format!("in {:.1} s", took.as_secs_f64()))),
        plain("new", report.created),
        plain("changed", report.updated),
        plain("unchanged", report.unchanged),
        told("skipped", report.skipped_total, "for these reasons:"),
        told("media found", report.media_found, &format!("{} new files", report.media_stored)),
        plain("media missing", report.media_missing),
        plain("estimated dates", report.estimated_dates),
        plain("published", report.published),
        some("replies kept", report.unpublished_replies, "to others, not published: publish.replies is off"),
        some("boosts kept", report.unpublished_boosts, "not published: publish.boosts is off"),
        some("private left out", private.left_out, "--include-private keeps them, sealed"),
        some("private stored", private.stored + private.unchanged, "sealed"),
        some("now public", private.made_public, "that were sealed here"),
        told("notes", report.notes_total, &format!("{} of them tell of a loss", report.losses)),
    ];
    rows.into_iter().flatten().collect()
}

/// Print the table.
pub fn print(report: &Report, dry_run: bool, took: Duration) {
    println!("{}", if dry_run { "A dry run: nothing was written." } else { "Imported." });
    println!("  account          {}", report.account);
    for (name, count, text) in rows(report, took) {
        println!("{}", format!("  {name:<16} {count:>7}  {text}").trim_end());
        if name == "skipped" {
            print_reasons(report);
        }
    }
    if let Some(import) = report.import {
        println!("  import           {import:>7}  everpost imports undo {import} takes it back");
    }
    if let Some(outcome) = &report.profile {
        profile::print(outcome, dry_run);
    }
    print_fields(report);
    let still_public = &report.private.still_public;
    name_some("still public", still_public.iter().map(|item| (&item.at, &item.reason)), still_public.len() as u64);
    let skipped = report.skipped.iter().map(|item| (&item.at, &item.reason));
    name_some("skipped", skipped, report.skipped_total);
    name_some("note", report.notes.iter().map(|item| (&item.at, &item.note)), report.notes_total);
}

/// Why things were skipped, each with the place of the first.
fn print_reasons(report: &Report) {
    let reasons = report.skipped_by_reason.list();
    for (kind, reason) in reasons.iter().take(REASONS) {
        let first = reason.first.first().map(|at| format!(" (first: {at})")).unwrap_or_default();
        println!("    {:>7}  {kind}{first}", reason.count);
    }
    if reasons.len() > REASONS {
        let rest: u64 = reasons[REASONS..].iter().map(|(_, reason)| reason.count).sum();
        println!("    {rest:>7}  for {} more reasons", reasons.len() - REASONS);
    }
}

/// What the sources told, and what became of it.
fn print_fields(report: &Report) {
    let fields = report.fields.list();
    if fields.is_empty() {
        return;
    }
    println!("  {:<34} {:>7} {:>7}", "what the source tells", "kept", "lost");
    for field in fields {
        let how = match field.fate {
            Fate::Kept => "",
            Fate::AsText => "as text",
            Fate::InSource => "only in the bytes of the source, which are kept",
            Fate::Lost => "cannot be had",
        };
        println!("{}", format!("    {:<32} {:>7} {:>7}  {how}", field.label, field.kept, field.lost).trim_end());
    }
}

/// The first of a list, each with its place, and how many more there are.
fn name_some<'a>(word: &str, items: impl Iterator<Item = (&'a String, &'a String)>, total: u64) {
    let mut named = 0;
    for (at, text) in items.take(SHOWN) {
        println!("  {word} {at}: {text}");
        named += 1;
    }
    if total > named {
        println!("  … and {} more; --json names the first {}", total - named, crate::operations::report::TOLD);
    }
}
