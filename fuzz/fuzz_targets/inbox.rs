#![no_main]
//! What inboxes are sent: any bytes to a deed or a refusal.

use everpost::activitystreams::read::incoming::{Deed, post, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (value, incoming) = match read(bytes) {
        Ok(read) => read,
        Err(refusal) => {
            assert!(!refusal.to_string().contains('\n'), "{refusal:?}");
            return;
        }
    };
    let ids = incoming.id.iter().chain([&incoming.actor]);
    for id in ids {
        assert!(id.len() <= 2048 && !id.contains(char::is_control), "{id:?}");
        assert!(id.starts_with("https://") || id.starts_with("http://"), "{id:?}");
    }
    match &incoming.deed {
        Deed::Like { emoji: Some(emoji), .. } | Deed::EmojiReact { emoji, .. } => {
            assert!(!emoji.is_empty() && emoji.chars().count() <= 128, "{emoji:?}");
        }
        Deed::Flag { objects, content } => assert!(objects.len() <= 100 && content.chars().count() <= 10_000),
        Deed::Unknown(kind) => assert!(!kind.is_empty() && kind.chars().count() <= 64, "{kind:?}"),
        _ => {}
    }
    // The same JSON as it would be fetched.
    let _ = post(&value);
    assert_eq!(read(bytes).map(|(_, again)| again), Ok(incoming), "reading is a function");
});
