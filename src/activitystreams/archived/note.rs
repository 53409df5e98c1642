//! A post as the object of its Create, with the members and in the order that Mastodon gives them.
//!
//! It borrows what it is made of: an export writes millions.

use super::told::Told;
use super::{Manner, Refers, moment};
use crate::domain::post::{Attachment, MediaFile, Post};
use crate::domain::source::MediaKind;
use crate::domain::told::{Poll, PollOption};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The type of a file of which nobody knows one. Archive readers take a type for granted.
const UNKNOWN: &str = "application/octet-stream";

/// A Note, a Question, an Article and the like.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Note<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    summary: Option<Text<'a>>,
    in_reply_to: Option<&'a str>,
    published: &'a str,
    url: String,
    attributed_to: &'a str,
    to: &'a [&'a str],
    cc: &'a [&'a str],
    sensitive: bool,
    atom_uri: &'a str,
    in_reply_to_atom_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Text<'a>>,
    content: &'a str,
    #[serde(skip_serializing_if = "Languages::is_empty")]
    content_map: Languages<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previously: Option<[Id<'a>; 1]>,
    attachment: Vec<Document<'a>>,
    tag: Vec<Tag<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote: Option<&'a str>,
    #[serde(rename = "_misskey_quote", skip_serializing_if = "Option::is_none")]
    misskey_quote: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quote_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replies: Option<Total>,
    #[serde(skip_serializing_if = "Option::is_none")]
    likes: Option<Total>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<Total>,
    #[serde(flatten)]
    poll: Option<Question<'a>>,
}

/// Words of ours, or what the source has there, whatever it is.
#[derive(Serialize)]
#[serde(untagged)]
enum Text<'a> {
    Words(&'a str),
    Owned(String),
    Told(&'a Value),
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

/// A text by language.
#[derive(Default)]
struct Languages<'a>(Vec<(&'a str, &'a str)>);

impl Languages<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Languages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// A collection of which the number of items is known.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_items: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    one_of: Option<Vec<Choice<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any_of: Option<Vec<Choice<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voters_count: Option<u64>,
}

#[derive(Serialize)]
struct Choice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    replies: Total,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    media_type: &'a str,
    url: Text<'a>,
    name: Option<&'a str>,
    blurhash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    focal_point: Option<(f64, f64)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<Icon<'a>>,
}

#[derive(Serialize)]
struct Icon<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
struct Tag<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<Text<'a>>,
    name: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<Icon<'a>>,
}

impl<'a> Note<'a> {
    /// A post's, by this id and date, for these.
    pub(super) fn new(
        post: &'a Post,
        refers: &'a Refers,
        told: &'a Told,
        manner: Manner<'a>,
        (id, published): (&'a str, &'a str),
        (to, cc): (&'a [&'a str], &'a [&'a str]),
    ) -> Note<'a> {
        let (details, names) = (&post.details, manner.names);
        let is_other = details.object_type.is_some();
        let kind = match (&details.object_type, &details.poll) {
            (Some(kind), _) => kind.as_str(),
            (None, Some(_)) => "Question",
            (None, None) => "Note",
        };
        // As it was written there, but where only our own ids mean anything.
        let named = |stated: &'a Option<String>, ours: &'a Option<String>| {
            let stated = stated.as_deref().filter(|_| !names.ours || ours.is_none());
            stated.or(ours.as_deref())
        };
        let (answers, quote) = (named(&details.answers, &refers.parent), named(&details.quote, &refers.quoted));
        // Of what is no short post the summary is a warning only where it is marked as sensitive.
        let sensitive = post.sensitive || is_other && post.warning.is_some();
        let summary = told.summary.as_ref().filter(|_| is_other && !sensitive).map(Text::Told);
        let total = |key: &str, total: Option<u64>| {
            total.map(|_| Total { id: Some(format!("{id}/{key}")), kind: "Collection", total_items: total })
        };
        // The conversation of a post whose parent is not to be told of would tell of it.
        let hides_parent = told.is_answer && details.answers.is_none();
        let conversation = |told: &'a Option<Value>| match names.ours {
            true => Some(Text::Owned(names.urls.context(post.context))),
            false => told.as_ref().filter(|_| !hides_parent).map(Text::Told),
        };
        let old = post.object_id.as_deref().filter(|_| names.ours && post.object_id_stated);
        let content_map = languages(post);
        Note {
            id,
            kind,
            summary: post.warning.as_deref().map(Text::Words).or(summary),
            in_reply_to: answers,
            published,
            url: match (names.ours, &post.canonical_url) {
                (true, _) => names.urls.page(post.id),
                (false, Some(page)) => page.clone(),
                (false, None) => id.to_owned(),
            },
            attributed_to: &names.actor,
            to,
            cc,
            sensitive,
            atom_uri: id,
            in_reply_to_atom_uri: answers,
            conversation: conversation(&told.conversation),
            context: conversation(&told.context),
            content: post.content.as_str(),
            language: post.language.as_deref().filter(|_| content_map.is_empty()),
            content_map,
            name: details.title.as_deref(),
            updated: post.updated.filter(|at| *at > post.published).map(moment),
            source: told.written.as_ref(),
            previously: old.map(|id| [Id { id }]),
            attachment: post.attachments.iter().map(|attachment| document(attachment, manner.media)).collect(),
            tag: tags(post, told, manner),
            quote,
            misskey_quote: quote,
            quote_uri: quote,
            replies: total("replies", details.totals.replies),
            likes: total("likes", details.totals.likes),
            shares: total("shares", details.totals.boosts),
            poll: details.poll.as_ref().map(question),
        }
    }
}

/// The text by language; nothing where no language is known, or there is no text to say it of.
fn languages(post: &Post) -> Languages<'_> {
    let content = post.content.as_str();
    let others = &post.details.languages;
    if others.is_empty() {
        let language = post.language.as_deref().filter(|_| !content.is_empty());
        return Languages(language.map(|language| (language, content)).into_iter().collect());
    }
    Languages(others.iter().map(|(language, html)| (language.as_str(), html.as_str())).collect())
}

fn question(poll: &Poll) -> Question<'_> {
    let choice = |option: &'_ PollOption| Total { id: None, kind: "Collection", total_items: option.votes };
    let choices = poll.options.iter();
    let choices = choices.map(|option| Choice { kind: "Note", name: &option.name, replies: choice(option) }).collect();
    let (one_of, any_of) = if poll.multiple { (None, Some(choices)) } else { (Some(choices), None) };
    Question {
        one_of,
        any_of,
        end_time: poll.ends.map(moment),
        closed: poll.closed.map(moment),
        voters_count: poll.voters,
    }
}

/// An attachment: what the source told of it, and where that told nothing, what was found in the file.
fn document<'a>(attachment: &'a Attachment, media: &dyn Fn(&MediaFile) -> String) -> Document<'a> {
    let Attachment { file, kind, alt, source_url, told } = attachment;
    let picture = file.as_ref().and_then(|file| file.picture.as_ref());
    let known = told.media_type.as_deref().or_else(|| file.as_ref().map(|file| file.media_type.as_str()));
    let size = told.size.or_else(|| picture.map(|picture| (picture.width, picture.height)));
    Document {
        kind: match (known, kind) {
            (Some(_), _) => "Document",
            (None, MediaKind::Image) => "Image",
            (None, MediaKind::Video) => "Video",
            (None, MediaKind::Audio) => "Audio",
        },
        media_type: known.unwrap_or(UNKNOWN),
        url: file.as_ref().map_or(Text::Words(source_url), |file| Text::Owned(media(file))),
        name: alt.as_deref(),
        blurhash: told.blurhash.as_deref().or_else(|| picture.and_then(|picture| picture.blurhash.as_deref())),
        focal_point: told.focal_point,
        width: size.map(|(width, _)| width),
        height: size.map(|(_, height)| height),
        duration: told.duration.as_deref(),
        icon: told.icon.as_deref().map(|url| Icon { kind: "Image", url }),
    }
}

/// People, hashtags as its source spells them, custom emoji.
fn tags<'a>(post: &'a Post, told: &'a Told, manner: Manner<'a>) -> Vec<Tag<'a>> {
    let mentions = post.details.mentions.iter().map(|who| Tag {
        kind: "Mention",
        href: Some(Text::Words(&who.href)),
        name: Text::Words(&who.name),
        icon: None,
    });
    let is_same = told.tags.iter().map(|tag| tag.to_lowercase()).eq(post.tags.iter().cloned());
    let spelled = if is_same { &told.tags } else { &post.tags };
    let hashtags = spelled.iter().zip(&post.tags).map(|(spelled, tag)| Tag {
        kind: "Hashtag",
        href: Some(Text::Owned(manner.names.server.tag(tag))),
        name: Text::Owned(format!("#{spelled}")),
        icon: None,
    });
    let emoji = post.details.emoji.iter().map(|emoji| Tag {
        kind: "Emoji",
        href: None,
        name: Text::Words(&emoji.shortcode),
        icon: emoji.url.as_deref().map(|url| Icon { kind: "Image", url }),
    });
    mentions.chain(hashtags).chain(emoji).collect()
}
