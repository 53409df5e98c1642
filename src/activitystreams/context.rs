//! The JSON-LD contexts of what we emit: the terms that Mastodon emits and reads, and no context of our own.

use serde_json::{Value, json};
use std::sync::LazyLock;

/// The ActivityStreams context, which every document needs.
pub const ACTIVITYSTREAMS: &str = "https://www.w3.org/ns/activitystreams";

/// Public addressing, spelled out because Pixelfed compares the literal.
pub const PUBLIC: &str = "https://www.w3.org/ns/activitystreams#Public";

/// Context of Notes and of everything that holds one.
pub fn note() -> &'static Value {
    &NOTE
}

/// Context of actors.
pub fn actor() -> &'static Value {
    &ACTOR
}

/// Context of quote stamps (FEP-044f).
pub fn quote_authorization() -> &'static Value {
    &QUOTE_AUTHORIZATION
}

/// Context of an archive's outbox: what its items hold, as Mastodon writes it.
pub fn archived() -> &'static Value {
    &ARCHIVED
}

/// Context of plain collections and tombstones.
pub fn plain() -> &'static Value {
    &PLAIN
}

static NOTE: LazyLock<Value> = LazyLock::new(|| {
    json!([
        ACTIVITYSTREAMS,
        {
            "ostatus": "http://ostatus.org#",
            "conversation": "ostatus:conversation",
            "sensitive": "as:sensitive",
            "toot": "http://joinmastodon.org/ns#",
            "gts": "https://gotosocial.org/ns#",
            "interactionPolicy": { "@id": "gts:interactionPolicy", "@type": "@id" },
            "canQuote": { "@id": "gts:canQuote", "@type": "@id" },
            "automaticApproval": { "@id": "gts:automaticApproval", "@type": "@id" },
            "votersCount": "toot:votersCount",
            "quote": { "@id": "https://w3id.org/fep/044f#quote", "@type": "@id" },
            "quoteUri": "http://fedibird.com/ns#quoteUri",
            "_misskey_quote": "https://misskey-hub.net/ns#_misskey_quote",
            "quoteAuthorization": { "@id": "https://w3id.org/fep/044f#quoteAuthorization", "@type": "@id" },
            "Hashtag": "as:Hashtag",
            "blurhash": "toot:blurhash",
            "focalPoint": { "@container": "@list", "@id": "toot:focalPoint" }
        }
    ])
});

static ARCHIVED: LazyLock<Value> = LazyLock::new(|| {
    json!([
        ACTIVITYSTREAMS,
        {
            "ostatus": "http://ostatus.org#",
            "atomUri": "ostatus:atomUri",
            "inReplyToAtomUri": "ostatus:inReplyToAtomUri",
            "conversation": "ostatus:conversation",
            "sensitive": "as:sensitive",
            "toot": "http://joinmastodon.org/ns#",
            "votersCount": "toot:votersCount",
            "Hashtag": "as:Hashtag",
            "Emoji": "toot:Emoji",
            "blurhash": "toot:blurhash",
            "focalPoint": { "@container": "@list", "@id": "toot:focalPoint" },
            "quote": { "@id": "https://w3id.org/fep/044f#quote", "@type": "@id" },
            "quoteUri": "http://fedibird.com/ns#quoteUri",
            "_misskey_quote": "https://misskey-hub.net/ns#_misskey_quote"
        }
    ])
});

static QUOTE_AUTHORIZATION: LazyLock<Value> = LazyLock::new(|| {
    let term = |name: &str| json!({ "@id": format!("https://gotosocial.org/ns#{name}"), "@type": "@id" });
    json!([
        ACTIVITYSTREAMS,
        {
            "QuoteAuthorization": "https://w3id.org/fep/044f#QuoteAuthorization",
            "interactingObject": term("interactingObject"),
            "interactionTarget": term("interactionTarget")
        }
    ])
});

static ACTOR: LazyLock<Value> = LazyLock::new(|| {
    json!([
        ACTIVITYSTREAMS,
        "https://w3id.org/security/v1",
        "https://purl.archive.org/socialweb/webfinger",
        "https://www.w3.org/ns/cid/v1",
        {
            "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
            "toot": "http://joinmastodon.org/ns#",
            "featured": { "@id": "toot:featured", "@type": "@id" },
            "featuredTags": { "@id": "toot:featuredTags", "@type": "@id" },
            "alsoKnownAs": { "@id": "as:alsoKnownAs", "@type": "@id" },
            "movedTo": { "@id": "as:movedTo", "@type": "@id" },
            "schema": "http://schema.org#",
            "PropertyValue": "schema:PropertyValue",
            "value": "schema:value",
            "discoverable": "toot:discoverable",
            "indexable": "toot:indexable",
            "attributionDomains": { "@id": "toot:attributionDomains", "@container": "@set" }
        }
    ])
});

static PLAIN: LazyLock<Value> = LazyLock::new(|| Value::from(ACTIVITYSTREAMS));
