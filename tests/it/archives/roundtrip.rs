//! What a post holds arrives: a generated post, written in Mastodon's JSON, is read back equal.

use super::{now, outbox, read_all};
use crate::support::packing::put;
use chrono::{DateTime, TimeZone, Utc};
use everpost::domain::source::{
    Author, DateOrigin, Format, MediaKind, SourceAudience, SourceKey, SourceMedia, SourcePost,
};
use everpost::domain::told::{Emoji, MediaTold, Mention, Poll, PollOption, SourceKind, Told, Totals};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const HOST: &str = "m.example";
const ACTOR: &str = "https://m.example/users/ann";
const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";
const FOLLOWERS: &str = "https://m.example/users/ann/followers";

/// Any text that is not empty and has no zero byte: every script, quotes, escapes, line ends, brackets.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![r#"[a-z "\\\\{}\[\],:\n\t]{1,30}"#, "\\PC{1,30}", Just("\u{2028}𝕏\u{202e}\u{1}".to_owned())]
}

/// A point in time to the millisecond, between the beginning of status ids and today.
fn time() -> impl Strategy<Value = DateTime<Utc>> {
    (1_507_200_000_000_i64..now().timestamp_millis()).prop_map(|ms| Utc.timestamp_millis_opt(ms).unwrap())
}

/// A time as the wire has it, to the second.
fn second() -> impl Strategy<Value = DateTime<Utc>> {
    time().prop_map(|time| Utc.timestamp_opt(time.timestamp(), 0).unwrap())
}

fn link() -> impl Strategy<Value = String> {
    "https://[a-z]{1,8}\\.example/[a-z0-9/]{1,20}"
}

fn media() -> impl Strategy<Value = SourceMedia> {
    let kind = prop_oneof![
        Just((MediaKind::Image, "image/png")),
        Just((MediaKind::Video, "video/mp4")),
        Just((MediaKind::Audio, "audio/mpeg")),
    ];
    let told = (of((1_u32.., 1_u32..)), of((-1.0..=1.0, -1.0..=1.0)), of("[0-9A-Za-z#$%*+,.:;=?@^_{|}~-]{6,40}"));
    let more = (of("PT[0-9]{1,3}\\.[0-9]S"), of("media_attachments/files/[0-9]{1,9}/small/[a-f0-9]{8}\\.png"));
    (kind, "/?[a-z]{0,5}media_attachments/files/[0-9/]{1,9}[a-f0-9]{8}\\.png", of(text()), told, more).prop_map(
        |((kind, media_type), reference, alt, (size, focal_point, blurhash), (duration, icon))| SourceMedia {
            reference,
            kind,
            alt,
            told: MediaTold { media_type: Some(media_type.to_owned()), size, focal_point, blurhash, duration, icon },
        },
    )
}

fn poll() -> impl Strategy<Value = Poll> {
    let option = (text(), of(any::<u64>())).prop_map(|(name, votes)| PollOption { name, votes });
    (any::<bool>(), vec(option, 1..5), of(second()), of(second()), of(any::<u64>()))
        .prop_map(|(multiple, options, ends, closed, voters)| Poll { multiple, options, ends, closed, voters })
}

prop_compose! {
    fn told()(
        kind in prop_oneof![
            Just(SourceKind::Note),
            Just(SourceKind::Question),
            proptest::sample::select(vec!["Article", "Page", "Video", "Audio", "Event", "Image"])
                .prop_map(|kind| SourceKind::Other(kind.to_owned())),
        ],
        title in of(text()),
        written in of((text(), Just("text/markdown".to_owned()))),
        languages in proptest::sample::subsequence(vec!["de", "en-GB", "zh-Hant", "fr"], 0..4).prop_shuffle(),
        texts in vec(text(), 4),
        mentions in vec((link(), text()).prop_map(|(href, name)| Mention { href, name }), 0..3),
        emoji in proptest::sample::subsequence(vec!["a", "b_1", "ü"], 0..3),
        emoji_url in of(link()),
        poll in of(poll()),
        quote in of(link()),
        answers in of(link()),
        conversation in of(text()),
        totals in (of(any::<u64>()), of(any::<u64>()), of(any::<u64>())),
    ) -> Told {
        let languages: Vec<(String, String)> =
            languages.into_iter().map(str::to_owned).zip(texts).collect();
        let emoji = emoji.into_iter().map(|name| Emoji { shortcode: format!(":{name}:"), url: emoji_url.clone() });
        Told {
            kind, title, summary: None, written, languages, mentions, emoji: emoji.collect(), poll, answers,
            refers_to: quote.as_deref().map(key_of), quote, conversation, totals: Totals { likes: totals.0, boosts: totals.1, replies: totals.2 },
        }
    }
}

prop_compose! {
    pub fn post()(
        mut told in told(),
        published in time(),
        tail in 0_i64..65_536,
        edit in of(1_i64..100_000_000),
        html in text(),
        warning in of(text()),
        sensitive in any::<bool>(),
        tags in proptest::sample::subsequence(vec!["Fog", "sea", "Straße", "日本"], 0..4),
        audience in proptest::sample::select(vec![SourceAudience::Public, SourceAudience::Unlisted, SourceAudience::NotPublic]),
        media in vec(media(), 0..4),
    ) -> SourcePost {
        let status = (published.timestamp_millis() << 16) | tail;
        let is_short = matches!(told.kind, SourceKind::Note | SourceKind::Question);
        let mut warning = warning;
        if !is_short && !sensitive {
            told.summary = warning.take();
        }
        let edited = edit.map(|seconds| Utc.timestamp_opt(published.timestamp() + 1 + seconds, 0).unwrap());
        // Two languages of one text cannot be told apart, and one language needs no list.
        let same = told.languages.iter().any(|(_, words)| told.languages.iter().filter(|(_, other)| other == words).count() > 1);
        let mut language = None;
        let mut html = html;
        if same {
            told.languages.clear();
        }
        if let Some((first, words)) = told.languages.first() {
            (language, html) = (Some(first.clone()), words.clone());
        }
        if told.languages.len() == 1 {
            told.languages.clear();
        }
        let id = format!("{ACTOR}/statuses/{status}");
        SourcePost {
            at: "outbox.json $.orderedItems[0]".to_owned(),
            key: SourceKey(format!("mastodon:{HOST}:{status}")),
            author: Some(Author { host: HOST.to_owned(), user: "ann".to_owned() }),
            status: Some(status),
            object_id: Some(id),
            object_id_stated: true,
            canonical_url: Some(format!("https://{HOST}/@ann/{status}")),
            audience,
            published,
            date_origin: DateOrigin::Stated,
            edited: edited.filter(|edited| *edited <= now()),
            html,
            warning,
            sensitive,
            language,
            tags: tags.into_iter().map(str::to_owned).collect(),
            reply_to: told.answers.as_deref().map(key_of),
            media,
            told,
            bytes: Vec::new(),
            format: Format::Mastodon,
            reader_version: everpost::import::mastodon::READER_VERSION,
            remarks: Vec::new(),
        }
    }
}

/// The key of the post at an address.
fn key_of(address: &str) -> SourceKey {
    everpost::domain::source::PostLink::read(&address.parse().unwrap()).key
}

/// A time as Mastodon writes it.
fn wire(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn total(count: Option<u64>) -> Value {
    count.map_or(Value::Null, |count| json!({ "type": "Collection", "totalItems": count }))
}

/// A post in Mastodon's JSON, as the activity that made it.
pub fn written(post: &SourcePost) -> Value {
    let told = &post.told;
    let (to, cc) = match post.audience {
        SourceAudience::Public => (PUBLIC, FOLLOWERS),
        SourceAudience::Unlisted => (FOLLOWERS, PUBLIC),
        SourceAudience::NotPublic => (FOLLOWERS, "https://m.example/users/bea"),
    };
    let mut languages: Map<String, Value> =
        told.languages.iter().map(|(language, words)| (language.clone(), json!(words))).collect();
    if let (Some(language), true) = (&post.language, languages.is_empty()) {
        languages.insert(language.clone(), json!(post.html));
    }
    let attachments: Vec<Value> = post
        .media
        .iter()
        .map(|media| {
            let mut value = json!({
                "type": "Document", "mediaType": media.told.media_type, "url": media.reference, "name": media.alt,
                "blurhash": media.told.blurhash, "duration": media.told.duration,
            });
            if let Some((width, height)) = media.told.size {
                (value["width"], value["height"]) = (json!(width), json!(height));
            }
            if let Some((x, y)) = media.told.focal_point {
                value["focalPoint"] = json!([x, y]);
            }
            if let Some(icon) = &media.told.icon {
                value["icon"] = json!({ "type": "Image", "mediaType": "image/png", "url": icon });
            }
            value
        })
        .collect();
    let hashtags = post.tags.iter().map(|tag| json!({ "type": "Hashtag", "name": format!("#{tag}"), "href": "x" }));
    let mentions = told.mentions.iter().map(|to| json!({ "type": "Mention", "name": to.name, "href": to.href }));
    let emoji = told.emoji.iter().map(|emoji| match &emoji.url {
        Some(url) => json!({ "type": "Emoji", "name": emoji.shortcode, "icon": { "type": "Image", "url": url } }),
        None => json!({ "type": "Emoji", "name": emoji.shortcode }),
    });
    let kind = match &told.kind {
        SourceKind::Note => "Note",
        SourceKind::Question => "Question",
        SourceKind::Other(kind) => kind,
        SourceKind::Boost(_) => unreachable!("a boost is no object"),
    };
    let mut object = json!({
        "id": post.object_id, "type": kind, "attributedTo": ACTOR, "url": post.canonical_url, "to": [to], "cc": [cc],
        "published": wire(post.published), "content": post.html, "contentMap": languages, "sensitive": post.sensitive,
        "summary": post.warning.as_ref().or(told.summary.as_ref()), "name": told.title, "inReplyTo": told.answers,
        "conversation": told.conversation, "attachment": attachments, "quote": told.quote,
        "tag": hashtags.chain(mentions).chain(emoji).collect::<Vec<_>>(),
        "likes": total(told.totals.likes), "shares": total(told.totals.boosts), "replies": total(told.totals.replies),
    });
    if let Some(edited) = post.edited {
        object["updated"] = json!(wire(edited));
    }
    if let Some((words, media_type)) = &told.written {
        object["source"] = json!({ "content": words, "mediaType": media_type });
    }
    if let Some(poll) = &told.poll {
        let options = poll.options.iter();
        let options =
            options.map(|option| json!({ "type": "Note", "name": option.name, "replies": total(option.votes) }));
        object[if poll.multiple { "anyOf" } else { "oneOf" }] = options.collect();
        object["endTime"] = json!(poll.ends.map(wire));
        object["closed"] = json!(poll.closed.map(wire));
        object["votersCount"] = json!(poll.voters);
    }
    json!({
        "id": format!("{}/activity", post.object_id.as_deref().unwrap()), "type": "Create", "actor": ACTOR,
        "published": wire(post.published), "to": [to], "cc": [cc], "object": object,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_post_written_in_mastodons_json_is_read_back_equal(post in post()) {
        let folder = tempfile::tempdir().unwrap();
        let item = written(&post);
        let path = put(folder.path(), "outbox.json", &outbox(std::slice::from_ref(&item)));
        let read = read_all(&path).remove(0).unwrap();
        prop_assert!(read.bytes == item.to_string().into_bytes(), "the bytes are the source's own");
        // The place is that of a single file, whose whole path was cut.
        let read = SourcePost { at: post.at.clone(), bytes: Vec::new(), ..read };
        prop_assert_eq!(read, post);
    }
}
