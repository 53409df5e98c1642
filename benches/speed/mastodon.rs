//! An archive as Mastodon 4.3 hands it out, unpacked, the same on every machine and in every run. It is written item by item.
//!
//! Of a hundred items about 81 are posts for everyone that stand alone or answer the account itself, 6 answer others, 4 are
//! boosts, 9 are for followers or for single people. Of the posts every fifth has a hashtag, every eighth a link, 3 in a
//! hundred a warning, 2 an edit, 1 a poll; every thousandth has a small picture. Five in a hundred do not tell their language.

use crate::archive::{Numbers, TAGS, png, sentence};
use chrono::DateTime;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

const ME: &str = "https://origin.example/users/ann";
const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// Write an archive of `posts` items by `@ann@origin.example` into `folder`; the bytes of its outbox.
pub fn write(folder: &Path, posts: u32) -> u64 {
    std::fs::create_dir_all(folder).unwrap();
    let actor = json!({
        "@context": ["https://www.w3.org/ns/activitystreams"], "id": ME, "type": "Person", "preferredUsername": "ann",
        "name": "Ann", "summary": "<p>Bees, mostly.</p>", "published": "2017-12-31T00:00:00Z", "outbox": "outbox.json",
        "url": "https://origin.example/@ann", "attachment": [], "tag": [],
    });
    std::fs::write(folder.join("actor.json"), actor.to_string()).unwrap();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join("outbox.json")).unwrap());
    write!(
        out,
        "{{\"@context\":\"https://www.w3.org/ns/activitystreams\",\"id\":\"outbox.json\",\
         \"type\":\"OrderedCollection\",\"totalItems\":{posts},\"orderedItems\":["
    )
    .unwrap();
    let mut numbers = Numbers::new();
    for n in 0..posts {
        if n > 0 {
            out.write_all(b",").unwrap();
        }
        serde_json::to_writer(&mut out, &item(folder, &mut numbers, n)).unwrap();
    }
    out.write_all(b"]}").unwrap();
    out.flush().unwrap();
    out.get_ref().metadata().unwrap().len()
}

/// Milliseconds of an item: from 2018 on, one every three minutes.
fn moment(n: u32) -> i64 {
    1_514_764_800_000 + i64::from(n) * 180_000 + i64::from(n % 997)
}

fn status(n: u32) -> i64 {
    (moment(n) << 16) | i64::from(n % 65_536)
}

fn item(folder: &Path, numbers: &mut Numbers, n: u32) -> Value {
    let published = DateTime::from_timestamp_millis(moment(n)).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let id = format!("{ME}/statuses/{}", status(n));
    let followers = format!("{ME}/followers");
    let draw = numbers.below(100);
    let (to, cc) = match draw {
        0..6 => (vec![followers.clone()], vec![]),
        6..9 => (vec!["https://other.example/users/tom".to_owned()], vec![]),
        9..15 => (vec![followers.clone()], vec![PUBLIC.to_owned(), "https://other.example/users/tom".to_owned()]),
        _ => (vec![PUBLIC.to_owned()], vec![followers.clone()]),
    };
    if (15..19).contains(&draw) {
        let of = format!("https://other.example/users/tom/statuses/{}", status(n) - 7);
        return json!({
            "id": format!("{id}/activity"), "type": "Announce", "actor": ME, "published": published,
            "to": to, "cc": ["https://other.example/users/tom", followers], "object": of,
        });
    }
    let length = 20 + numbers.below(480);
    let mut text = sentence(numbers, length);
    let mut tags = Vec::new();
    if n.is_multiple_of(5) {
        let tag = TAGS[numbers.below(TAGS.len())];
        let href = format!("https://origin.example/tags/{tag}");
        text.push_str(&format!(" <a href=\"{href}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"));
        tags.push(json!({ "type": "Hashtag", "href": href, "name": format!("#{tag}") }));
    }
    if n.is_multiple_of(8) {
        text.push_str(
            " <a href=\"https://blog.example/a/long/path\" target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\">\
             <span class=\"invisible\">https://</span><span class=\"ellipsis\">blog.example/a/long</span>\
             <span class=\"invisible\">/path</span></a>",
        );
    }
    // Some answer the item before, which may be one that is not for everyone; some answer somebody else.
    let answers = match draw {
        6..15 => Some(format!("https://other.example/users/tom/statuses/{}", status(n) - 9)),
        19..35 if n > 0 => Some(format!("{ME}/statuses/{}", status(n - 1))),
        _ => None,
    };
    if (6..15).contains(&draw) {
        let mention =
            json!({ "type": "Mention", "href": "https://other.example/users/tom", "name": "@tom@other.example" });
        tags.push(mention);
        text = format!(
            "<span class=\"h-card\" translate=\"no\"><a href=\"https://other.example/@tom\" class=\"u-url mention\">@<span>tom\
             </span></a></span> {text}"
        );
    }
    let content = format!("<p>{text}</p>");
    let warning = (n % 33 == 7).then_some("weather");
    let mut object = json!({
        "id": id, "type": "Note", "summary": warning, "inReplyTo": answers, "published": published,
        "url": format!("https://origin.example/@ann/{}", status(n)), "attributedTo": ME, "to": to, "cc": cc,
        "sensitive": warning.is_some(), "atomUri": id, "inReplyToAtomUri": answers,
        "conversation": format!("tag:origin.example,{}:objectId={n}:objectType=Conversation", &published[..10]),
        "content": content, "attachment": [], "tag": tags,
        "replies": { "id": format!("{id}/replies"), "type": "Collection", "first": {
            "type": "CollectionPage", "next": format!("{id}/replies?only_other_accounts=true&page=true"),
            "partOf": format!("{id}/replies"), "items": [] } },
        "likes": { "id": format!("{id}/likes"), "type": "Collection", "totalItems": numbers.below(40) },
        "shares": { "id": format!("{id}/shares"), "type": "Collection", "totalItems": numbers.below(9) },
    });
    if n % 20 != 3 {
        object["contentMap"] = json!({ "en": content });
    }
    if n % 50 == 11 {
        let edited = DateTime::from_timestamp_millis(moment(n) + 3_600_000).unwrap();
        object["updated"] = json!(edited.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    if n % 100 == 61 {
        object["type"] = json!("Question");
        let option = |name: &str, votes: usize| json!({ "type": "Note", "name": name, "replies": { "type": "Collection", "totalItems": votes } });
        object["oneOf"] = json!([option("honey", numbers.below(90)), option("bread", numbers.below(90))]);
        object["votersCount"] = json!(numbers.below(180));
        object["endTime"] = json!(published);
        object["closed"] = json!(published);
    }
    if n % 1000 == 500 {
        let name = format!("media_attachments/files/{:03}/{:03}/original/{n}.png", n / 1000 / 1000, n / 1000 % 1000);
        let path = folder.join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, png(n)).unwrap();
        object["attachment"] = json!([{
            "type": "Document", "mediaType": "image/png", "url": format!("/{name}"), "name": "A square of one colour",
            "blurhash": "L00000fQfQfQfQfQfQfQfQfQfQfQ", "width": 32, "height": 32,
        }]);
    }
    json!({
        "id": format!("{id}/activity"), "type": "Create", "actor": ME, "published": published, "to": object["to"],
        "cc": object["cc"], "object": object,
    })
}
