//! All spellings that are about, and what nobody should send.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const ANN: &str = "https://a.example/users/ann";
const POST: &str = "https://kept.example/users/bob/statuses/1";

fn read_json(value: &Value) -> Result<Incoming, Refusal> {
    read(value.to_string().as_bytes()).map(|(_, incoming)| incoming)
}

fn deed_of(mut value: Value) -> Deed {
    value["actor"] = json!(ANN);
    read_json(&value).unwrap().deed
}

#[test]
fn each_type_is_a_deed_whatever_its_spelling() {
    let object = || POST.to_owned();
    for kind in ["Follow", "as:Follow", "https://www.w3.org/ns/activitystreams#Follow"] {
        assert_eq!(deed_of(json!({ "type": kind, "object": POST })), Deed::Follow(object()), "{kind}");
    }
    assert_eq!(
        deed_of(json!({ "type": ["Activity", "Announce"], "object": [{ "id": POST }] })),
        Deed::Announce(object())
    );
    assert_eq!(
        deed_of(json!({ "@type": "Delete", "as:object": { "@id": POST, "type": "Tombstone" } })),
        Deed::Delete(object())
    );
    assert_eq!(deed_of(json!({ "type": "Block", "object": { "type": "Link", "href": POST } })), Deed::Block(object()));
    assert_eq!(deed_of(json!({ "type": "Move", "object": ANN, "target": POST })), Deed::Move(object()));
    assert_eq!(deed_of(json!({ "type": "Remove" })), Deed::Arrange);
    assert_eq!(deed_of(json!({ "type": "Travel", "object": POST })), Deed::Unknown("Travel".to_owned()));
    assert_eq!(
        deed_of(json!({ "type": "QuoteRequest", "object": POST, "instrument": { "id": "https://a.example/q" } })),
        Deed::QuoteRequest { object: object(), quoting: Some("https://a.example/q".to_owned()) }
    );
}

#[test]
fn a_reaction_is_read_as_pleroma_and_as_misskey_write_it() {
    let like = |emoji: Option<&str>| Deed::Like { object: POST.to_owned(), emoji: emoji.map(str::to_owned) };
    assert_eq!(deed_of(json!({ "type": "Like", "object": POST })), like(None));
    assert_eq!(
        deed_of(json!({ "type": "Like", "object": POST, "_misskey_reaction": "🎉", "content": "x" })),
        like(Some("🎉"))
    );
    assert_eq!(
        deed_of(json!({ "type": "EmojiReact", "object": POST, "content": ":fox:" })),
        Deed::EmojiReact { object: POST.to_owned(), emoji: ":fox:".to_owned() }
    );
    assert_eq!(deed_of(json!({ "type": "EmojiReact", "object": POST })), like(None));
    assert_eq!(
        deed_of(json!({ "type": "Like", "object": POST, "content": "x".repeat(LONGEST_EMOJI + 1) })),
        like(None)
    );
}

#[test]
fn what_is_taken_back_is_told_whole_or_by_its_id() {
    let undone = |object: Value| match deed_of(json!({ "type": "Undo", "object": object })) {
        Deed::Undo(undone) => undone,
        other => panic!("{other:?}"),
    };
    let id = Some("https://a.example/1".to_owned());
    assert_eq!(undone(json!("https://a.example/1")), Undone { id: id.clone(), kind: None, object: None, emoji: None });
    assert_eq!(
        undone(json!({ "id": "https://a.example/1", "type": "Like", "object": { "id": POST }, "content": "👍" })),
        Undone { id, kind: Some(UndoneKind::Like), object: Some(POST.to_owned()), emoji: Some("👍".to_owned()) }
    );
    let without_id = undone(json!({ "type": "Follow", "actor": ANN, "object": POST }));
    assert_eq!((without_id.id, without_id.object.as_deref()), (None, Some(POST)));
    for bad in [json!(null), json!(7), json!({ "type": "Like" }), json!({})] {
        assert!(read_json(&json!({ "type": "Undo", "actor": ANN, "object": bad })).is_err(), "{bad}");
    }
}

#[test]
fn a_post_is_for_no_more_than_each_of_its_wrappings_says() {
    let public = "https://www.w3.org/ns/activitystreams#Public";
    let told = |activity: Value, note: Value| {
        let mut activity = activity;
        activity["type"] = json!("Create");
        activity["object"] = note;
        activity["object"]["type"] = json!("Note");
        match deed_of(activity) {
            Deed::Create(Subject::Post(told)) => *told,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told(json!({ "to": public }), json!({ "to": [public] })).audience, SourceAudience::Public);
    assert_eq!(told(json!({ "cc": public }), json!({ "to": [public] })).audience, SourceAudience::Unlisted);
    assert_eq!(told(json!({ "to": ANN }), json!({ "to": [public] })).audience, SourceAudience::NotPublic);
    assert_eq!(told(json!({}), json!({ "to": [public] })).audience, SourceAudience::Public, "the object alone says it");
    assert_eq!(told(json!({ "to": public }), json!({})).audience, SourceAudience::NotPublic);
    let mention = json!({ "cc": ANN, "tag": [{ "type": "Mention", "href": POST }] });
    assert_eq!(told(json!({}), mention).addressed, [ANN, POST]);
    assert!(told(json!({}), json!({ "name": "yes", "inReplyTo": POST })).is_vote);
    assert!(!told(json!({}), json!({ "name": "yes", "inReplyTo": POST, "content": "a" })).is_vote);
}

#[test]
fn an_object_may_be_an_actor_or_only_its_address_or_nothing_that_we_keep() {
    let updated = |object: Value| deed_of(json!({ "type": "Update", "object": object }));
    assert_eq!(updated(json!({ "type": "Person", "id": ANN })), Deed::Update(Subject::Actor(ANN.to_owned())));
    assert_eq!(updated(json!(POST)), Deed::Update(Subject::Named(POST.to_owned())));
    assert_eq!(updated(json!({ "id": POST })), Deed::Update(Subject::Named(POST.to_owned())));
    assert_eq!(updated(json!({ "id": POST, "type": "Collection" })), Deed::Update(Subject::Other));
}

#[test]
fn a_report_is_bounded() {
    let objects: Vec<String> = (0..200).map(|n| format!("{POST}{n}")).collect();
    let Deed::Flag { objects, content } =
        deed_of(json!({ "type": "Flag", "object": objects, "content": "x".repeat(20_000) }))
    else {
        panic!("no report");
    };
    assert_eq!((objects.len(), content.len()), (MOST_REPORTED, LONGEST_REPORT));
}

#[test]
fn what_is_no_activity_is_refused_with_a_sentence() {
    let refused = |body: &[u8]| read(body).unwrap_err();
    for body in [&b""[..], b"{", b"\xff\xfe", b"<html>", b"{}x"] {
        assert_eq!(refused(body), Refusal::NotJson, "{body:?}");
    }
    for body in [json!([]), json!("x"), json!(null), json!({}), json!({ "type": "Like" }), json!({ "actor": ANN })] {
        assert!(matches!(read_json(&body), Err(Refusal::NoActivity(_))), "{body}");
    }
    let spelled_oddly = [json!("hTtps://a.example/ann"), json!("https:/a.example/ann"), json!("https:a.example")];
    let none = [json!("acct:ann@a.example"), json!("urn:x"), json!(7), json!([]), json!("https://")];
    for actor in none.iter().chain(&spelled_oddly) {
        assert!(read_json(&json!({ "type": "Add", "actor": actor })).is_err(), "{actor}");
    }
    assert!(read_json(&json!({ "type": "Like", "actor": ANN, "object": "x".repeat(LONGEST_ID + 1) })).is_err());
    assert_eq!(read_json(&json!({ "type": "Add", "actor": ANN, "id": "as:transient" })).unwrap().id, None);
    let deep = |levels: usize| {
        format!("{{\"type\":\"Add\",\"actor\":\"{ANN}\",\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    assert!(read(deep(DEEPEST - 1).as_bytes()).is_ok());
    assert_eq!(refused(deep(DEEPEST).as_bytes()), Refusal::TooDeep);
    assert_eq!(refused("[".repeat(1 << 20).as_bytes()), Refusal::TooDeep);
    assert!(
        read(format!("{{\"type\":\"Add\",\"actor\":\"{ANN}\",\"x\":\"\\\"{}\"}}", "[".repeat(99)).as_bytes()).is_ok()
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&body);
    }

    #[test]
    fn no_shape_of_a_field_makes_it_panic(kind in "Undo|Create|Update|Flag|Like|Move|Delete", shape in 0_usize..8, inner in 0_usize..8) {
        let shapes = |inner: Value| [json!(null), json!(1), json!("x"), json!([]), json!([inner.clone()]), json!({ "id": inner.clone() }),
            json!({ "type": inner.clone(), "object": inner.clone() }), json!({ "type": ["Note", 1], "to": inner.clone(), "tag": inner.clone(), "content": inner })];
        let value = shapes(shapes(json!(true))[inner].clone())[shape].clone();
        let _ = read_json(&json!({ "type": kind, "actor": ANN, "id": value, "object": value, "content": value, "target": value, "to": value }));
    }
}
