//! Outboxes whose JSON is broken, or sets a trap: one item is left out, with its path and the reason, and the rest goes in.

use super::{create, note, now, open, outbox, read_all, skipped};
use crate::support::packing::put;
use everpost::domain::source::{DateOrigin, SourceAudience};
use everpost::import::Only;
use everpost::import::limits::Limits;
use serde_json::{Value, json};

/// An outbox of these texts as its items, read: what was skipped, and the numbers of the posts that came in.
fn read(items: &[String]) -> (Vec<String>, Vec<i64>) {
    read_bytes(format!("{{\"type\":\"OrderedCollection\",\"orderedItems\":[{}]}}", items.join(",")).as_bytes())
}

fn read_bytes(bytes: &[u8]) -> (Vec<String>, Vec<i64>) {
    let folder = tempfile::tempdir().unwrap();
    let items = read_all(&put(folder.path(), "outbox.json", bytes));
    let numbers = items.iter().flatten().filter_map(|post| post.status).collect();
    (skipped(&items), numbers)
}

fn good(number: i64) -> String {
    create(note(number, json!({}))).to_string()
}

/// A note with these changes between two good ones: the reason why it is left out.
fn reason(change: Value) -> String {
    let (skipped, numbers) = read(&[good(1), create(note(2, change)).to_string(), good(3)]);
    assert_eq!(numbers, [1, 3]);
    assert_eq!(skipped.len(), 1);
    skipped[0].strip_prefix("$.orderedItems[1]: ").unwrap_or_else(|| panic!("{skipped:?}")).to_owned()
}

#[test]
fn a_broken_item_is_left_out_with_its_path_and_the_rest_goes_in() {
    let broken = ["{\"type\" \"Create\"}", "{]", "[1,2", "tru", "1e", "{\"a\":[}", "\"\\q\"", "{\"a\":\"\u{1}\"}"];
    for text in &broken[..2] {
        let (skipped, numbers) = read(&[good(1), (*text).to_owned(), good(3)]);
        assert_eq!((skipped.len(), numbers), (1, vec![1, 3]), "{text}: {skipped:?}");
        assert!(skipped[0].starts_with("$.orderedItems[1]: is not JSON: "), "{skipped:?}");
    }
    for text in &broken[3..] {
        let (skipped, numbers) = read(&[good(1), (*text).to_owned(), good(3)]);
        assert!(skipped[0].starts_with("$.orderedItems[1]: "), "{text}: {skipped:?}");
        assert!(numbers.starts_with(&[1]), "{text}: what came before stays");
    }
}

#[test]
fn bytes_that_are_not_utf_8_cost_one_item() {
    let mut bytes = format!("{{\"type\":\"OrderedCollection\",\"orderedItems\":[{},", good(1)).into_bytes();
    bytes
        .extend(good(2).replace("Number 2", "Num\u{7f}ber").bytes().map(|byte| if byte == 0x7f { 0xff } else { byte }));
    bytes.extend(format!(",{}]}}", good(3)).bytes());
    let (skipped, numbers) = read_bytes(&bytes);
    assert_eq!(numbers, [1, 3]);
    assert!(skipped[0].starts_with("$.orderedItems[1]: is not JSON: invalid unicode"), "{skipped:?}");
}

#[test]
fn a_file_that_is_cut_short_gives_every_item_before_its_end() {
    let whole = outbox(&(1..=3).map(|number| create(note(number, json!({})))).collect::<Vec<_>>());
    let text = String::from_utf8(whole.clone()).unwrap();
    let third = text.find("statuses/3").unwrap();
    for length in (third..whole.len() - 2).step_by(11) {
        let (skipped, numbers) = read_bytes(&whole[..length]);
        assert_eq!((numbers, skipped.len()), (vec![1, 2], 1), "{length}: {skipped:?}");
        assert!(skipped[0].starts_with("$.orderedItems[2]: ends in the middle: the file is cut short."), "{skipped:?}");
    }
    let (skipped, numbers) = read_bytes(&whole[..whole.len() - 2]);
    assert_eq!((numbers, skipped.len()), (vec![1, 2, 3], 1));
    assert!(skipped[0].contains("cut short"), "{skipped:?}");
}

#[test]
fn json_a_hundred_thousand_levels_deep_is_left_out() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        let deep = format!("{}{inner}{}", open.repeat(100_000), close.repeat(100_000));
        let (skipped, numbers) =
            read(&[good(1), deep.clone(), create(note(2, json!({ "tag": 0 }))).to_string(), good(3)]);
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(skipped, ["$.orderedItems[1]: is nested more than 100 levels deep, which no post is"]);
        let beside = format!("{{\"x\":{deep},\"orderedItems\":[{}]}}", good(7));
        assert_eq!(read_bytes(beside.as_bytes()), (vec![], vec![7]), "beside the items it does not matter at all");
    }
}

#[test]
fn an_item_that_is_too_long_is_left_out() {
    let long = create(note(2, json!({ "content": "x".repeat(1 << 20) }))).to_string();
    let (skipped, numbers) = read(&[good(1), long, good(3)]);
    assert_eq!(numbers, [1, 3]);
    assert_eq!(skipped, ["$.orderedItems[1]: is longer than 1024 KiB, which no post is (import.max_post_kib)"]);
}

#[test]
fn unusable_items_beyond_a_thousand_are_counted_instead_of_told() {
    let items: Vec<String> = [good(3)].into_iter().chain(std::iter::repeat_n("1".to_owned(), 250_000)).collect();
    let (skipped, numbers) = read(&items);
    assert_eq!((skipped.len(), numbers), (1_001, vec![3]));
    assert_eq!(skipped[1_000], ": 249000 more items are no posts either");
}

#[test]
fn a_second_list_of_items_is_not_read() {
    let text = format!("{{\"orderedItems\":[{}],\"orderedItems\":[{}]}}", good(1), good(2));
    let (skipped, numbers) = read_bytes(text.as_bytes());
    assert_eq!(numbers, [1]);
    assert_eq!(skipped, ["$.orderedItems: stands there twice; the first one is read"]);
}

#[test]
fn what_is_no_post_says_what_it_is() {
    let like = json!({ "type": "Like", "object": "https://m.example/1" }).to_string();
    let bare = json!({ "type": "Create", "object": "https://m.example/1" }).to_string();
    let other = create(note(1, json!({ "type": "Person" }))).to_string();
    let nothing = create(note(1, json!({ "type": null }))).to_string();
    let endless = json!({ "type": "x".repeat(1000), "object": {} }).to_string();
    let (skipped, numbers) =
        read(&[good(9), like, bare, other, nothing, endless, "\"https://m.example/1\"".to_owned()]);
    assert_eq!(numbers, [9]);
    let expected = [
        "$.orderedItems[1]: is of type Like, which is no post".to_owned(),
        "$.orderedItems[2]: does not hold the post that it made, only its address".to_owned(),
        "$.orderedItems[3]: holds something of type Person, which is no post".to_owned(),
        "$.orderedItems[4]: holds something that does not say of what type it is".to_owned(),
        format!("$.orderedItems[5]: is of type {}, which is no post", "x".repeat(40)),
        "$.orderedItems[6]: is no activity".to_owned(),
    ];
    assert_eq!(skipped, expected);
}

#[test]
fn a_post_without_an_id_or_by_another_is_left_out() {
    assert_eq!(reason(json!({ "id": null })), "has no id");
    assert_eq!(reason(json!({ "id": "file:///etc/passwd" })), "has an id that is no web address");
    assert_eq!(reason(json!({ "id": ["x"] })), "has no id");
    let stranger = json!({ "attributedTo": "https://m.example/users/eve" });
    assert_eq!(reason(stranger), "holds a post by another than the one whose activity it is");
}

#[test]
fn a_date_that_cannot_be_is_not_believed() {
    let none = "has no date between 1970 and today, and its id tells none";
    for date in
        ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-12-24T00:00:00Z", "1969-12-31T23:59:59Z", "soon", ""]
    {
        assert_eq!(reason(json!({ "published": date })), none, "{date}");
    }
    assert_eq!(reason(json!({ "published": { "@value": [] } })), none);
    assert_eq!(reason(json!({ "published": null })), none);
}

#[test]
fn a_status_id_tells_the_date_that_the_source_does_not() {
    let folder = tempfile::tempdir().unwrap();
    for date in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", ""] {
        let item = create(note(112_215_823_989_566_555, json!({ "published": date, "updated": date })));
        let post = read_all(&put(folder.path(), "outbox.json", &outbox(&[item]))).remove(0).unwrap();
        assert_eq!((post.date_origin, post.edited), (DateOrigin::StatusId, None));
        assert_eq!(post.published.to_rfc3339(), "2024-04-05T00:39:47.731+00:00");
    }
}

#[test]
fn fields_of_the_wrong_type_count_as_absent() {
    let wrong = [json!(null), json!(7), json!("x"), json!(["x", 7, null, {}]), json!({ "x": [] }), json!(true)];
    for value in wrong {
        let mut change = json!({});
        for key in [
            "summary",
            "contentMap",
            "summaryMap",
            "nameMap",
            "attachment",
            "tag",
            "inReplyTo",
            "conversation",
            "context",
            "likes",
            "shares",
            "replies",
            "oneOf",
            "anyOf",
            "endTime",
            "closed",
            "votersCount",
            "quote",
            "quoteUrl",
            "updated",
            "sensitive",
            "source",
            "emoji",
            "icon",
            "image",
            "mediaType",
            "url",
            "language",
        ] {
            change[key] = value.clone();
        }
        let (skipped, numbers) = read(&[good(1), create(note(2, change)).to_string()]);
        assert_eq!((skipped, numbers), (vec![], vec![1, 2]), "{value}");
    }
    let (_, numbers) = read(&[create(note(2, json!({ "content": [1, 2] }))).to_string()]);
    assert_eq!(numbers, [2]);
}

#[test]
fn a_zero_byte_in_a_text_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let item = create(note(
        1,
        json!({ "content": "<p>a\0b</p>", "summary": "c\0d", "tag": [{ "type": "Hashtag", "name": "#e\0f" }] }),
    ));
    let post = read_all(&put(folder.path(), "outbox.json", &outbox(&[item]))).remove(0).unwrap();
    assert_eq!((post.html.as_str(), post.warning.as_deref(), post.tags[0].as_str()), ("<p>ab</p>", Some("cd"), "ef"));
}

#[test]
fn a_broken_profile_costs_the_profile_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "outbox.json", &outbox(&[create(note(1, json!({})))]));
    for (actor, reason) in [
        ("{", "is not JSON, so the account's profile is not read: EOF while parsing an object at line 1 column 1"),
        ("{\"type\":\"Note\"}", "is no actor, so the account's profile is not read"),
    ] {
        put(folder.path(), "actor.json", actor.as_bytes());
        let items = read_all(folder.path());
        assert_eq!(skipped(&items), [format!("actor.json: {reason}")]);
        let post = items[1].as_ref().unwrap();
        assert_eq!(post.author.as_ref().unwrap().to_string(), "@ann@m.example");
        assert_eq!(open(folder.path()).profile(), None);
    }
    std::fs::File::create(folder.path().join("actor.json")).unwrap().set_len(1 << 32).unwrap();
    assert_eq!(skipped(&read_all(folder.path())), ["actor.json: has more than 1.0 MiB, which no such file has"]);
}

#[test]
fn a_post_is_as_public_as_the_narrower_of_what_activity_and_object_say() {
    let everyone = "https://www.w3.org/ns/activitystreams#Public";
    let followers = "https://m.example/users/ann/followers";
    let folder = tempfile::tempdir().unwrap();
    let audience = |activity: Value, object: Value| {
        let mut item = create(note(1, json!({})));
        for (of, addresses) in [("activity", activity), ("object", object)] {
            let target = if of == "object" { &mut item["object"] } else { &mut item };
            let target = target.as_object_mut().unwrap();
            target.remove("to");
            target.remove("cc");
            target.extend(addresses.as_object().unwrap().clone());
        }
        read_all(&put(folder.path(), "outbox.json", &outbox(&[item]))).remove(0).unwrap().audience
    };
    use SourceAudience::{NotPublic, Public, Unlisted};
    let public = json!({ "to": [everyone], "cc": [followers] });
    let unlisted = json!({ "to": [followers], "cc": [everyone] });
    let cases = [
        (json!({ "to": everyone }), Public),
        (json!({ "to": "as:Public" }), Public),
        (json!({ "to": [{ "id": "Public" }] }), Public),
        (json!({ "to": [everyone], "directMessage": false }), Public),
        (unlisted.clone(), Unlisted),
        (json!({ "cc": "Public" }), Unlisted),
        (json!({ "to": [followers], "cc": [] }), NotPublic),
        (json!({ "to": [], "cc": [] }), NotPublic),
        (json!({}), NotPublic),
        (json!({ "to": null, "cc": null }), NotPublic),
        (json!({ "to": ["https://m.example/#Public"] }), NotPublic),
        (json!({ "to": ["public"] }), NotPublic),
        (json!({ "to": [format!("{everyone} ")] }), NotPublic),
        (json!({ "bto": [everyone], "audience": [everyone] }), NotPublic),
        (json!({ "to": [everyone], "directMessage": true }), NotPublic),
        (json!({ "to": [everyone], "directMessage": "yes" }), NotPublic),
        (json!({ "to": { "a": everyone } }), NotPublic),
    ];
    for (addresses, expected) in cases {
        assert_eq!(audience(addresses.clone(), addresses.clone()), expected, "{addresses}");
        assert_eq!(audience(public.clone(), addresses.clone()), expected, "object {addresses}");
        assert_eq!(audience(addresses.clone(), public.clone()), expected, "activity {addresses}");
    }
    assert_eq!(audience(unlisted.clone(), public), Unlisted);
}

#[test]
fn a_boost_is_no_more_public_than_the_post_that_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let everyone = json!(["https://www.w3.org/ns/activitystreams#Public"]);
    let boost = |object: Value| {
        json!({
            "id": "https://m.example/users/ann/statuses/5/activity", "type": "Announce", "actor": "https://m.example/users/ann",
            "published": "2024-04-05T00:39:47Z", "to": everyone, "cc": [], "object": object,
        })
    };
    let audience = |object: Value| {
        read_all(&put(folder.path(), "outbox.json", &outbox(&[boost(object)]))).remove(0).unwrap().audience
    };
    assert_eq!(audience(json!("https://m.example/users/ann/statuses/1")), SourceAudience::Public);
    assert_eq!(audience(json!({ "id": "https://m.example/users/ann/statuses/1" })), SourceAudience::Public);
    assert_eq!(audience(note(1, json!({}))), SourceAudience::Public);
    assert_eq!(
        audience(note(1, json!({ "to": ["https://m.example/users/ann/followers"] }))),
        SourceAudience::NotPublic
    );
    assert_eq!(
        audience(json!({ "type": "Note", "id": "https://m.example/1", "content": "x" })),
        SourceAudience::NotPublic
    );
}

#[test]
fn a_string_of_a_gibibyte_passes_by_without_being_kept() {
    use std::io::{Seek, Write};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.json");
    let mut file = std::fs::File::create(&path).unwrap();
    write!(file, "{{\"type\":\"OrderedCollection\",\"orderedItems\":[{},{{\"content\":\"", good(1)).unwrap();
    // A hole in the file: zero bytes that are in no memory and on no disk.
    file.seek_relative(1 << 30).unwrap();
    write!(file, "\"}},{}]}}", good(3)).unwrap();
    let mut reader = everpost::import::open(&path, Only::Everything, &Limits::default(), now()).unwrap();
    let before = most_memory();
    let (mut skipped, mut numbers) = (Vec::new(), Vec::new());
    while let Some(item) = reader.next() {
        match item {
            Ok(post) => numbers.push(post.status),
            Err(item) => skipped.push(item.reason),
        }
    }
    assert_eq!(numbers, [Some(1), Some(3)]);
    assert_eq!(skipped, ["is longer than 1024 KiB, which no post is (import.max_post_kib)"]);
    let grown = most_memory() - before;
    assert!(grown < 512 * 1024, "memory grew by {grown} KiB, which is half the string");
}

/// The most memory that this process ever had, in KiB.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
