//! What another server runs, in its own words (NodeInfo).

use super::value::{is_url, list, text};
use crate::domain::software::Software;
use serde_json::Value;

/// What stands before the version of a schema in a link.
const SCHEMA: &str = "http://nodeinfo.diaspora.software/ns/schema/";
/// The versions whose documents tell software alike, the best first.
const VERSIONS: [&str; 4] = ["2.1", "2.0", "1.1", "1.0"];
/// Longest name or version that is believed, in characters.
const LONGEST: usize = 100;

/// The address of the best document that a server's well-known links name.
pub fn document(links: &Value) -> Option<String> {
    let find = |version: &&str| {
        let schema = format!("{SCHEMA}{version}");
        let of = |link: &&Value| text(link.get("rel")).is_some_and(|rel| rel == schema);
        list(links.get("links")).iter().find(of).and_then(|link| text(link.get("href"))).filter(|url| is_url(url))
    };
    VERSIONS.iter().find_map(find)
}

/// What a document says that runs there; `None` where it says nothing, or something that is no name.
pub fn software(document: &Value) -> Option<Software> {
    let told = document.get("software")?;
    let plain = |name: &str| {
        let value = text(told.get(name)).unwrap_or_default();
        let value = value.trim();
        (value.chars().count() <= LONGEST && !value.chars().any(char::is_control)).then(|| value.to_owned())
    };
    let (name, version) = (plain("name")?.to_lowercase(), plain("version")?);
    (!name.is_empty()).then_some(Software { name, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_best_document_is_chosen_and_others_are_left_alone() {
        let link = |version: &str| json!({ "rel": format!("{SCHEMA}{version}"), "href": format!("https://a.example/{version}") });
        let service =
            json!({ "rel": "https://www.w3.org/ns/activitystreams#Application", "href": "https://a.example/x" });
        let all = json!({ "links": [service, link("3.0"), link("2.0"), link("2.1"), link("1.0")] });
        assert_eq!(document(&all).as_deref(), Some("https://a.example/2.1"));
        // One link need not stand in a list.
        assert_eq!(document(&json!({ "links": link("2.0") })).as_deref(), Some("https://a.example/2.0"));
        for nothing in [json!({}), json!({ "links": [service, link("3.0")] }), json!([]), json!({ "links": [1, null] })]
        {
            assert_eq!(document(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn software_is_told_by_name_and_version_and_nonsense_is_nothing() {
        let told = software(&json!({ "software": { "name": " Mastodon", "version": "4.6.5" } }));
        assert_eq!(told, Some(Software { name: "mastodon".to_owned(), version: "4.6.5".to_owned() }));
        let bare = software(&json!({ "software": { "name": "gotosocial" } })).map(|told| told.version);
        assert_eq!(bare.as_deref(), Some(""));
        for nothing in [
            json!({}),
            json!({ "software": "mastodon" }),
            json!({ "software": { "name": "" } }),
            json!({ "software": { "name": 4 } }),
            json!({ "software": { "name": "a\nb" } }),
            json!({ "software": { "name": "m", "version": "x".repeat(101) } }),
        ] {
            assert_eq!(software(&nothing), None, "{nothing}");
        }
    }
}
