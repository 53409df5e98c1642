#![no_main]
//! HTML: whatever goes in, nothing that runs comes out, and what is clean stays as it is.

use everpost::text::SafeHtml;

libfuzzer_sys::fuzz_target!(|html: &str| {
    let once = SafeHtml::sanitise(html);
    let lower = once.as_str().to_ascii_lowercase();
    for tag in ["<script", "<style", "<iframe", "<img", "<svg", "<form", "<object"] {
        assert!(!lower.contains(tag), "{tag} came through: {once:?}");
    }
    // In a text `<` is escaped, so what begins like a link is one.
    for (at, _) in lower.match_indices("<a ") {
        let tag = lower[at..].split('>').next().unwrap_or_default();
        assert!(!tag.contains("href=\"javascript:"), "a script came through: {once:?}");
    }
    assert_eq!(SafeHtml::sanitise(once.as_str()), once, "what is clean is changed");
    let _ = (once.to_plain(), once.excerpt(80));
});
