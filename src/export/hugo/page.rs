//! What a page looks like: front matter, then post after post, each on one line of HTML with its media below it.
//!
//! On one line no text can be taken for a line of the layout: not for the end of a post, nor for a picture, nor for a
//! break. What Hugo or Jekyll would run is written so that it is text to them.

use super::front_matter::block;
use super::{Audience, Error, Layout};
use crate::domain::post::{Attachment, Visibility};
use crate::domain::source::MediaKind;
use crate::text::escape;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::PathBuf;

/// A post on its page.
pub(super) struct Section<'a> {
    /// What is known of it beside its text, by [`trimmed`].
    pub(super) activity: Value,
    pub(super) html: &'a str,
    pub(super) warning: Option<&'a str>,
    pub(super) tags: &'a [String],
    pub(super) published: DateTime<Utc>,
    pub(super) updated: Option<DateTime<Utc>>,
    pub(super) media: Vec<Shown>,
}

/// A picture, film or sound on a page.
pub(super) struct Shown {
    /// Where it is: a name beside the page, or a path on the site.
    pub(super) target: String,
    pub(super) kind: MediaKind,
    pub(super) alt: Option<String>,
}

/// A page that is being filled.
pub(super) struct Page {
    pub(super) folder: PathBuf,
    file: String,
    layout: Layout,
    audience: Audience,
    body: String,
    activities: Vec<Value>,
    /// About how many bytes those take.
    told: usize,
    tags: Vec<String>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

impl Page {
    pub(super) fn new(folder: PathBuf, file: String, layout: Layout, audience: Audience) -> Page {
        Page {
            folder,
            file,
            layout,
            audience,
            body: String::new(),
            activities: Vec::new(),
            told: 0,
            tags: Vec::new(),
            first: None,
            last: None,
        }
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.body.len() + self.told
    }

    pub(super) fn add(&mut self, section: Section<'_>) {
        let mut text = String::new();
        if let Some(warning) = section.warning {
            text.push_str(&format!("*Content Warning: {}*\n\n", on_one_line(&escape(warning))));
        }
        text.push_str(&on_one_line(section.html));
        text.push('\n');
        for media in &section.media {
            text.push_str(&format!("\n{}\n", markup(media)));
        }
        let level = match self.layout {
            Layout::Bundle => "######",
            Layout::Daily => "#####",
            Layout::Post => "",
        };
        self.body.push_str(&format!("\n{text}"));
        if !level.is_empty() {
            let page = page_of(&section.activity);
            self.body.push_str(&format!("\n{level} [Mastodon Source 🐘]({page})\n\n___\n"));
        }
        for tag in section.tags.iter().filter(|tag| !self.tags.contains(tag)).cloned().collect::<Vec<_>>() {
            self.tags.push(tag);
        }
        self.told += section.activity.to_string().len();
        self.activities.push(section.activity);
        self.first = self.first.or(Some(section.published));
        self.last = self.last.max(section.updated).max(Some(section.published));
    }

    /// Write it, if there is anything on it.
    pub(super) fn write(self) -> Result<(), Error> {
        let Some(first) = self.first else { return Ok(()) };
        let path = self.folder.join(&self.file);
        let second = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let day = first.format("%Y-%m-%d").to_string();
        let mut lines: Vec<(&str, Value)> = Vec::new();
        match self.layout {
            Layout::Daily => {
                lines.push(("title", json!(format!("Toots from {day}"))));
                lines.push(("date", json!(format!("{day}T00:00:00Z"))));
            }
            Layout::Bundle => {
                lines.push(("title", json!(format!("Mastodon - {}", second(first)))));
                lines.push(("canonical", json!(self.activities.first().map(id_of))));
                lines.push(("date", json!(second(first))));
            }
            Layout::Post => {
                lines.push(("title", json!(format!("Mastodon - {}", second(first)))));
                lines.push(("canonicalURL", json!(self.activities.first().map(page_of))));
                lines.push(("date", json!(second(first))));
            }
        }
        lines.push(("lastmod", json!(second(self.last.unwrap_or(first)))));
        let tags = self.tags.iter().map(String::as_str).chain(["Social Media"]);
        lines.push(("tags", tags.collect()));
        lines.push(("categories", json!(["mastodon"])));
        match self.audience {
            Audience::Everyone(Visibility::Public) => {}
            Audience::Everyone(Visibility::Unlisted) => {
                lines.push(("visibility", json!("unlisted")));
                // It has its address, and no list shows it.
                lines.push(("build", json!({ "list": "never" })));
            }
            Audience::Nobody => {
                // Either of them keeps it away from everyone.
                lines.push(("draft", json!(true)));
                lines.push(("visibility", json!("private")));
            }
        }
        lines.push(("activities", Value::Array(self.activities)));
        let mut text = block(&lines)?;
        if self.layout == Layout::Daily {
            text.push_str(&format!("\n# Toots from {day}\n"));
        }
        text.push_str(&self.body);
        fs::write(&path, text).map_err(|cause| Error::Io { path, cause })
    }
}

/// Text that is one line and no template: line ends and opening braces are written as references, which are the same in
/// HTML.
fn on_one_line(html: &str) -> String {
    let line = html.replace('\r', "&#13;").replace('\n', "&#10;");
    line.replace("{{", "&#123;&#123;").replace("{%", "&#123;%")
}

/// A medium as a line of the page.
fn markup(media: &Shown) -> String {
    let alt = media.alt.as_deref().unwrap_or_default();
    let element = |name: &str| {
        let title = if alt.is_empty() { String::new() } else { format!(" title=\"{}\"", on_one_line(&escape(alt))) };
        format!("<{name} controls{title}><source src=\"{}\" /></{name}>", media.target)
    };
    match media.kind {
        MediaKind::Video => element("video"),
        MediaKind::Audio => element("audio"),
        MediaKind::Image => {
            let mut text = String::with_capacity(alt.len());
            for c in alt.chars() {
                match c {
                    '\\' | '[' | ']' | '`' | '*' | '_' | '<' | '&' | '{' => text.extend(['\\', c]),
                    c if c.is_control() => text.push(' '),
                    c => text.push(c),
                }
            }
            format!("![{}]({})", text.trim(), media.target)
        }
    }
}

/// The object of an activity, or what stands in its place.
fn object(activity: &Value) -> &Value {
    activity.get("object").filter(|object| object.is_object()).unwrap_or(activity)
}

fn member(activity: &Value, key: &str) -> Option<String> {
    object(activity).get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The id of a post; its page where it has none.
fn id_of(activity: &Value) -> String {
    member(activity, "id").or_else(|| member(activity, "url")).unwrap_or_default()
}

/// The page of a post; its id where it has none.
fn page_of(activity: &Value) -> String {
    member(activity, "url").or_else(|| member(activity, "id")).unwrap_or_default()
}

/// An activity without what the page itself says, and without what says nothing: the text, and empty members.
///
/// A post that never had an id gets none, and one of nobody known no author. That its date is an estimate is said in a
/// member of our own.
pub(super) fn trimmed(activity: Value, has_id: bool, date_estimated: bool, anonymous: bool) -> Value {
    let Value::Object(mut outer) = activity else { return activity };
    outer.remove("@context");
    if date_estimated {
        outer.insert("dateEstimated".to_owned(), json!(true));
    }
    let trim = |members: &mut Map<String, Value>| {
        members.retain(|_, value| !value.is_null() && *value != json!([]));
        if !has_id {
            members.remove("id");
        }
        if anonymous {
            members.remove("actor");
            members.remove("attributedTo");
        }
    };
    trim(&mut outer);
    match outer.get_mut("object") {
        Some(Value::Object(inner)) => {
            trim(inner);
            without_text(inner);
        }
        _ => without_text(&mut outer),
    }
    Value::Object(outer)
}

/// Take the text out of a Note, and what it says twice; of one language the name stays.
fn without_text(note: &mut Map<String, Value>) {
    let quotes: &[&str] = if note.contains_key("quote") { &["_misskey_quote", "quoteUri", "quoteUrl"] } else { &[] };
    for key in ["content", "atomUri", "inReplyToAtomUri"].iter().chain(quotes) {
        note.remove(*key);
    }
    if let Some(Value::Object(languages)) = note.get("contentMap")
        && languages.len() < 2
    {
        let language = languages.keys().next().cloned();
        note.remove("contentMap");
        note.extend(language.map(|language| ("language".to_owned(), json!(language))));
    }
}

/// Say that it answers something which nobody knows the address of: what is only kept as a reply to others stays one.
pub(super) fn answers_others(activity: &mut Value) {
    if activity["object"]["inReplyTo"].is_null() {
        activity["toOthers"] = json!(true);
    }
}

/// Leave to attachments what the source told of them: what else is known of a file is found in it again.
pub(super) fn as_told(activity: &mut Value, attachments: &[Attachment]) {
    let documents = activity.pointer_mut("/object/attachment").and_then(Value::as_array_mut);
    for (document, Attachment { told, .. }) in documents.into_iter().flatten().zip(attachments) {
        let Some(members) = document.as_object_mut() else { continue };
        members.retain(|key, value| match key.as_str() {
            "mediaType" => told.media_type.is_some(),
            "width" | "height" => told.size.is_some(),
            "blurhash" => told.blurhash.is_some(),
            _ => !value.is_null(),
        });
    }
}

/// Have attachments beside the page instead of below `folder`.
pub(super) fn beside(activity: &mut Value, folder: &str) {
    let short = |url: &str| Some(url.strip_prefix(folder)?.trim_start_matches('/').to_owned());
    crate::activitystreams::archived::readdress(activity, &short);
}
