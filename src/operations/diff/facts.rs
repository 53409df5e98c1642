//! What is compared of something, as names and values; and what is shown of two values that differ.
//!
//! One function makes the facts of a post, wherever the post comes from, so that no side can have others than the other.

use crate::domain::account::{Account, Profile};
use crate::domain::details::Details;
use crate::domain::ids::ContextId;
use crate::domain::post::{Attachment, Boost, Entry, NewPost, Post};
use crate::domain::source::{DateOrigin, web_address};
use crate::domain::told::{Poll, PollOption};
use crate::import::files::one_line;
use crate::store::compared::Compared;
use chrono::{DateTime, SecondsFormat, Utc};

/// The characters of a value that are shown.
const SHOWN: usize = 80;
/// Of these, the ones before the first that differs.
const BEFORE: usize = 20;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name, as `everpost post show --json` has it where that has it.
    pub field: String,
    /// The value on the first side, cut to where it begins to differ; `None` where it has none, or where it is not shown.
    pub a: Option<String>,
    /// The value on the second side.
    pub b: Option<String>,
}

/// Names and values, in order. What is absent has no name.
#[derive(Clone, Debug, Default)]
pub(in crate::operations) struct Facts(Vec<(String, String)>);

/// Which fields count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::operations) enum Counting {
    /// All of them.
    All,
    /// Those that the second side tells.
    Told,
}

impl Facts {
    /// Add a fact, if there is one.
    pub(in crate::operations) fn add(&mut self, name: impl Into<String>, value: Option<impl Into<String>>) {
        self.0.extend(value.map(|value| (name.into(), value.into())));
    }

    /// Add a fact that is true or not.
    pub(in crate::operations) fn flag(&mut self, name: &str, is_so: bool) {
        self.add(name, is_so.then_some("true"));
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The fields that differ, those of this side first.
    pub(in crate::operations) fn differences(&self, other: &Facts, counting: Counting) -> Vec<Difference> {
        let further = other.0.iter().filter(|(name, _)| self.value(name).is_none());
        let names = self.0.iter().chain(further).map(|(name, _)| name);
        let counts = |name: &&String| counting == Counting::All || other.value(name).is_some();
        let differ = |name: &String| {
            let (a, b) = (self.value(name), other.value(name));
            let start = a.zip(b).map_or(0, |(a, b)| beginning(a, b));
            let shown = |value: Option<&str>| value.map(|value| part(value, start));
            (a != b).then(|| Difference { field: name.clone(), a: shown(a), b: shown(b) })
        };
        names.filter(counts).filter_map(differ).collect()
    }
}

/// From which character on two texts are shown: where they begin to differ, unless both can be shown whole.
fn beginning(a: &str, b: &str) -> usize {
    let common = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let are_short = a.chars().count().max(b.chars().count()) <= SHOWN;
    if are_short { 0 } else { common.saturating_sub(BEFORE) }
}

/// A piece of a text, from a character on, on one line.
fn part(text: &str, start: usize) -> String {
    let mut rest = text.chars().skip(start);
    let piece: String = rest.by_ref().take(SHOWN).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if rest.next().is_some() { "…" } else { "" };
    format!("{before}{}{after}", one_line(&piece))
}

/// A time to the millisecond, which is how exact dates are kept.
pub(in crate::operations) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The facts of a post or a boost; of a withdrawn one there are none. Two accounts have conversations to compare; in an
/// archive they follow from what each post answers.
pub(super) fn of(compared: &Compared, with_conversation: bool) -> Facts {
    let mut facts = Facts::default();
    match &compared.entry {
        Some(Entry::Post(post)) => {
            let key = |key: &Option<crate::domain::source::SourceKey>| key.as_ref().map(|key| key.0.clone());
            of_post(&mut facts, post);
            facts.add("reply_to", key(&compared.reply_to));
            facts.add("quotes", key(&compared.refers_to));
            facts.add("conversation", key(&compared.conversation).filter(|_| with_conversation));
            of_details(&mut facts, &post.details);
            post.attachments.iter().zip(1..).for_each(|(media, at)| of_attachment(&mut facts, at, media));
        }
        Some(Entry::Boost(boost)) => of_boost(&mut facts, boost),
        None => {}
    }
    facts
}

fn of_post(facts: &mut Facts, post: &Post) {
    facts.add("is", Some("a post"));
    facts.add("source_object", post.object_id.as_deref());
    facts.add("canonical", post.canonical_url.as_deref());
    facts.add("visibility", Some(post.visibility.name()));
    facts.add("published", Some(time(post.published)));
    facts.flag("date_estimated", post.date_estimated);
    facts.add("updated", post.updated.map(time));
    facts.add("content", Some(post.content.as_str()));
    facts.add("warning", post.warning.as_deref());
    facts.flag("sensitive", post.sensitive);
    facts.add("language", post.language.as_deref());
    facts.add("tags", (!post.tags.is_empty()).then(|| post.tags.join(", ")));
}

fn of_boost(facts: &mut Facts, boost: &Boost) {
    facts.add("is", Some("a boost"));
    facts.add("boost_of", Some(boost.object.as_str()));
    facts.add("visibility", Some(boost.visibility.name()));
    facts.add("published", Some(time(boost.published)));
}

fn of_details(facts: &mut Facts, details: &Details) {
    let Details { object_type, title, languages, mentions, emoji, poll, quote, answers, totals } = details;
    facts.add("type", object_type.as_deref());
    facts.add("title", title.as_deref());
    for (language, html) in languages {
        facts.add(format!("content in {language}"), Some(html.as_str()));
    }
    let mentions: Vec<String> = mentions.iter().map(|who| format!("{} <{}>", who.name, who.href)).collect();
    facts.add("mentions", (!mentions.is_empty()).then(|| mentions.join(", ")));
    let url = |url: &Option<String>| url.as_ref().map(|url| format!(" <{url}>")).unwrap_or_default();
    let emoji: Vec<String> = emoji.iter().map(|emoji| format!("{}{}", emoji.shortcode, url(&emoji.url))).collect();
    facts.add("emoji", (!emoji.is_empty()).then(|| emoji.join(", ")));
    facts.add("poll", poll.as_ref().map(of_poll));
    facts.add("quoted object", quote.as_deref());
    facts.add("answers", answers.as_deref());
    facts.add("likes", totals.likes.map(|count| count.to_string()));
    facts.add("boosts", totals.boosts.map(|count| count.to_string()));
    facts.add("replies", totals.replies.map(|count| count.to_string()));
}

fn of_poll(poll: &Poll) -> String {
    let Poll { multiple, options, ends, closed, voters } = poll;
    let votes = |option: &PollOption| option.votes.map_or("?".to_owned(), |votes| votes.to_string());
    let options = options.iter().map(|option| format!("{:?}: {}", option.name, votes(option)));
    let mut parts: Vec<String> = options.collect();
    parts.push(if *multiple { "any of them" } else { "one of them" }.to_owned());
    parts.extend(ends.map(|at| format!("ends {}", time(at))));
    parts.extend(closed.map(|at| format!("closed {}", time(at))));
    parts.extend(voters.map(|count| format!("{count} voters")));
    parts.join(", ")
}

fn of_attachment(facts: &mut Facts, at: usize, media: &Attachment) {
    let Attachment { file, kind, alt, source_url: _, told } = media;
    let mut add = |what: &str, value: Option<String>| facts.add(format!("attachment {at} {what}"), value);
    add("file", Some(file.as_ref().map_or("missing".to_owned(), |file| file.sha256.clone())));
    add("kind", Some(kind.name().to_owned()));
    add("alt", alt.clone());
    add("media_type", told.media_type.clone());
    add("size", told.size.map(|(width, height)| format!("{width} x {height}")));
    add("focal_point", told.focal_point.map(|(x, y)| format!("{x}, {y}")));
    add("blurhash", told.blurhash.clone());
    add("duration", told.duration.clone());
    // A path in an archive is another one in each archive.
    add("icon", told.icon.clone().filter(|icon| web_address(icon).is_some()));
}

/// The facts of a profile.
pub(super) fn of_profile(profile: &Profile) -> Facts {
    let Profile { name, summary, fields, avatar, header } = profile;
    let mut facts = Facts::default();
    facts.add("name", (!name.is_empty()).then_some(name.as_str()));
    facts.add("summary", (!summary.as_str().is_empty()).then_some(summary.as_str()));
    for ((name, value), at) in fields.iter().zip(1..) {
        facts.add(format!("field {at}"), Some(format!("{name}: {value}")));
    }
    facts.add("avatar", avatar.as_ref().map(|file| file.sha256.as_str()));
    facts.add("header", header.as_ref().map(|file| file.sha256.as_str()));
    facts
}

/// What an archive's post would stand as in an account that has nothing else.
pub(super) fn of_new(new: NewPost, account: &Account) -> Compared {
    let (id, account, at) = (new.preferred_id, account.id, new.published);
    let entry = match new.boost_of {
        Some(object) => Entry::Boost(Boost {
            id,
            account,
            key: new.key.clone(),
            object,
            ours: None,
            visibility: new.visibility,
            published: at,
            listed: true,
            changed: at,
            exposed: None,
        }),
        None => Entry::Post(Box::new(Post {
            id,
            account,
            key: new.key.clone(),
            object_id: new.object_id,
            object_id_stated: new.object_id_stated,
            canonical_url: new.canonical_url,
            visibility: new.visibility,
            published: at,
            date_estimated: new.date_origin == DateOrigin::Estimated,
            updated: new.edited.filter(|edited| *edited > at),
            content: new.content,
            warning: new.warning,
            sensitive: new.sensitive,
            language: new.language,
            tags: new.tags,
            reply_to: None,
            to_others: false,
            listed: true,
            context: ContextId(id.0),
            attachments: new.attachments,
            details: new.details,
            quoted: None,
            echo: crate::domain::echo::Echo::default(),
            changed: at,
            exposed: None,
        })),
    };
    let (key, reply_to, refers_to) = (new.key, new.reply_to, new.refers_to);
    Compared { id, key, entry: Some(entry), reply_to, refers_to, conversation: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> Facts {
        Facts(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_equal_does_not_differ_and_what_one_side_lacks_does() {
        let a = facts(&[("x", "1"), ("y", "2")]);
        assert_eq!(a.differences(&a, Counting::All), []);
        let b = facts(&[("y", "3"), ("z", "4")]);
        let told: Vec<String> = a
            .differences(&b, Counting::All)
            .into_iter()
            .map(|d| format!("{} {} {}", d.field, d.a.unwrap_or_default(), d.b.unwrap_or_default()))
            .collect();
        assert_eq!(told, ["x 1 ", "y 2 3", "z  4"]);
        let told: Vec<String> = a.differences(&b, Counting::Told).into_iter().map(|d| d.field).collect();
        assert_eq!(told, ["y", "z"], "what the second side does not tell does not count");
    }

    #[test]
    fn a_long_value_is_shown_from_where_it_begins_to_differ_and_no_further_than_a_line() {
        let long = "ä".repeat(500);
        let a = facts(&[("x", &format!("{long}one\n{long}"))]);
        let b = facts(&[("x", &format!("{long}two"))]);
        let found = a.differences(&b, Counting::All).remove(0);
        let shown = found.a.unwrap();
        assert!(shown.starts_with("…ä") && shown.contains("one\\n") && shown.ends_with('…'), "{shown}");
        assert!(shown.chars().count() < SHOWN + 5, "{shown}");
        assert_eq!(found.b.unwrap(), format!("…{}two", "ä".repeat(BEFORE)));
    }
}
