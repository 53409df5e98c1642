//! HTML that is safe to serve, and the way from it to plain text.
//!
//! Sanitised once, at the edge; the type [`SafeHtml`] says so from then on.
//! Knows nothing of posts, accounts or where text comes from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// HTML in which nothing can run, load or impersonate: the tags that Mastodon keeps and no others (R-49).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SafeHtml(String);

impl SafeHtml {
    /// Sanitise raw HTML.
    ///
    /// Keeps what Mastodon 4.x keeps (`lib/sanitize_ext/sanitize_config.rb`, R-49), turns headings into bold paragraphs,
    /// unwraps everything else, drops scripts with their text, and wraps bare text in a paragraph (R-50).
    /// Every link gets `rel="nofollow noopener"`, so that an old `rel=me` can verify nobody (R-154).
    pub fn sanitise(raw: &str) -> SafeHtml {
        let clean = |html: &str| SANITISER.clean(html).to_string();
        let mut html = clean(raw);
        let mut changed = false;
        if html.contains("<h") {
            changed = true;
            for level in 1..=6 {
                let bold = html.replace(&format!("<h{level}>"), "<p><strong>");
                html = bold.replace(&format!("</h{level}>"), "</strong></p>");
            }
        }
        if !["<p", "<ul", "<ol", "<blockquote", "<pre"].iter().any(|tag| html.trim_start().starts_with(tag)) {
            changed = true;
            html = format!("<p>{}</p>", html.trim());
        }
        // A second pass sets right what the changes above nested. Without them there is nothing to set right.
        if changed {
            html = clean(&html);
        }
        SafeHtml(html.replace("<p></p>", "").trim().to_owned())
    }

    /// HTML for plain text: escaped, a paragraph for each run of lines, a break for each single line end.
    pub fn from_plain(text: &str) -> SafeHtml {
        let paragraphs = text.replace("\r\n", "\n");
        let html = paragraphs
            .split("\n\n")
            .map(str::trim)
            .filter(|paragraph| !paragraph.is_empty())
            .map(|paragraph| format!("<p>{}</p>", escape(paragraph).replace('\n', "<br>")))
            .collect();
        SafeHtml(html)
    }

    /// HTML that was sanitised before it was stored.
    pub fn stored(html: String) -> SafeHtml {
        SafeHtml(html)
    }

    /// The HTML itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text without markup: paragraphs apart by an empty line, Mastodon's hidden parts of links included.
    pub fn to_plain(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        let mut rest = self.0.as_str();
        while let Some(start) = rest.find('<') {
            text.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('>') else { break };
            let tag = &rest[start + 1..start + length];
            match tag.split([' ', '>']).next().unwrap_or_default() {
                "br" => text.push('\n'),
                tag if BLOCKS.contains(&tag.trim_start_matches('/')) => text.push_str("\n\n"),
                _ => {}
            }
            rest = &rest[start + length + 1..];
        }
        text.push_str(rest);
        let text = unescape(&text);
        let mut lines: Vec<&str> = Vec::new();
        for line in text.lines().map(str::trim) {
            if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(line);
            }
        }
        lines.join("\n").trim().to_owned()
    }

    /// The addresses of its links, in order.
    pub fn links(&self) -> Vec<String> {
        let address = |link: &str| {
            let (before, rest) = link.split_once("href=\"")?;
            rest.split('"').next().filter(|_| !before.contains('>')).map(unescape)
        };
        self.0.split("<a ").skip(1).filter_map(address).collect()
    }

    /// The address of a link beside which there is nothing, as Mastodon writes the profile fields that it can verify (R-29).
    pub fn lone_link(&self) -> Option<String> {
        let (start, end) = (self.0.find("<a ")?, self.0.rfind("</a>")? + "</a>".len());
        let beside = SafeHtml(format!("{}{}", self.0.get(..start)?, self.0.get(end..)?)).to_plain();
        let mut links = self.links();
        links.pop().filter(|_| links.is_empty() && beside.is_empty() && self.0.matches("<a ").count() == 1)
    }

    /// The same without the paragraph by which Mastodon links a quoted post since 4.5.
    pub fn without_quote(&self) -> SafeHtml {
        let Some((before, rest)) = self.0.split_once("<p class=\"quote-inline\">") else { return self.clone() };
        let after = rest.split_once("</p>").map_or("", |(_, after)| after);
        SafeHtml(format!("{before}{after}"))
    }

    /// The beginning as one line of at most `limit` characters, cut at a word, with an ellipsis where something is missing.
    pub fn excerpt(&self, limit: usize) -> String {
        let plain = self.to_plain();
        let words: Vec<&str> = plain.split_whitespace().collect();
        let line = words.join(" ");
        if line.chars().count() <= limit {
            return line;
        }
        let cut: String = line.chars().take(limit.saturating_sub(1)).collect();
        let at_word = cut.rfind(' ').filter(|at| *at > cut.len() / 2).map_or(cut.as_str(), |at| &cut[..at]);
        format!("{}…", at_word.trim_end_matches([',', '.', ';', ':', ' ']))
    }
}

/// Escape text for HTML content and attribute values.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn unescape(html: &str) -> String {
    html.replace("&nbsp;", "\u{a0}")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// Elements that begin and end a paragraph of plain text.
const BLOCKS: [&str; 6] = ["p", "li", "blockquote", "pre", "ul", "ol"];

/// The classes that Mastodon keeps; its microformat prefixes are checked apart.
const CLASSES: [&str; 5] = ["mention", "hashtag", "ellipsis", "invisible", "quote-inline"];

static SANITISER: LazyLock<ammonia::Builder<'static>> = LazyLock::new(|| {
    let tags = [
        "p",
        "br",
        "span",
        "a",
        "del",
        "s",
        "pre",
        "blockquote",
        "code",
        "b",
        "strong",
        "u",
        "i",
        "em",
        "ul",
        "ol",
        "li",
        "ruby",
        "rt",
        "rp",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    ];
    let attributes = HashMap::from([
        ("a", HashSet::from(["href", "class", "translate", "lang"])),
        ("span", HashSet::from(["class", "translate", "lang"])),
        ("p", HashSet::from(["class", "lang"])),
        ("ol", HashSet::from(["start", "reversed"])),
        ("li", HashSet::from(["value"])),
    ]);
    let mut builder = ammonia::Builder::default();
    builder
        .tags(tags.into())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::new())
        .url_schemes(HashSet::from(["http", "https", "mailto", "gemini", "gopher", "xmpp", "magnet", "dat", "ipfs"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("nofollow noopener"))
        .attribute_filter(
            |_, attribute, value| if attribute == "class" { kept_classes(value) } else { Some(value.into()) },
        );
    builder
});

fn kept_classes(value: &str) -> Option<Cow<'_, str>> {
    let microformat = |class: &str| ["h-", "p-", "u-", "dt-", "e-"].iter().any(|prefix| class.starts_with(prefix));
    let kept: Vec<&str> =
        value.split_whitespace().filter(|class| CLASSES.contains(class) || microformat(class)).collect();
    (!kept.is_empty()).then(|| kept.join(" ").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(raw: &str, safe: &str) {
        assert_eq!(SafeHtml::sanitise(raw).as_str(), safe);
    }

    #[test]
    fn mastodon_markup_comes_through() {
        check(
            r#"<p>Hi <a href="https://a.example/x" class="u-url mention" rel="me">@<span>ann</span></a><br>there</p>"#,
            r#"<p>Hi <a href="https://a.example/x" class="u-url mention" rel="nofollow noopener">@<span>ann</span></a><br>there</p>"#,
        );
    }

    #[test]
    fn rel_me_never_survives() {
        assert!(
            !SafeHtml::sanitise(r#"<a rel="me nofollow" href="https://a.example/">me</a>"#)
                .as_str()
                .contains("me nofollow")
        );
    }

    #[test]
    fn nothing_that_runs_or_loads_survives() {
        check("<p onclick=x>a<script>alert(1)</script><style>p{}</style></p>", "<p>a</p>");
        check(r#"<a href="javascript:alert(1)">x</a>"#, r#"<p><a rel="nofollow noopener">x</a></p>"#);
        check("<img src=x onerror=y>text<iframe src=z></iframe>", "<p>text</p>");
        check(r#"<a href="/relative">x</a>"#, r#"<p><a rel="nofollow noopener">x</a></p>"#);
    }

    #[test]
    fn headings_become_bold_paragraphs_and_bare_text_gets_one() {
        check("<h2 class=big>Title</h2><p>Text</p>", "<p><strong>Title</strong></p><p>Text</p>");
        check("just text", "<p>just text</p>");
        check("text<h1>Title</h1>more", "<p>text</p><p><strong>Title</strong></p>more");
        check("  ", "");
    }

    #[test]
    fn only_known_classes_stay() {
        check(
            r#"<p><span class="invisible evil">a</span><span class="fa fa-x">b</span></p>"#,
            r#"<p><span class="invisible">a</span><span>b</span></p>"#,
        );
        // Mastodon hides such a paragraph where it shows the quoted post itself.
        check(r#"<p class="quote-inline x">RE: b</p>"#, r#"<p class="quote-inline">RE: b</p>"#);
        let quoting =
            SafeHtml::sanitise(r#"<p>a</p><p class="quote-inline">RE: <a href="https://b.example">b</a></p><p>c</p>"#);
        assert_eq!(quoting.without_quote().as_str(), "<p>a</p><p>c</p>");
        assert_eq!(SafeHtml::sanitise("<p>a</p>").without_quote().as_str(), "<p>a</p>");
    }

    #[test]
    fn plain_text_keeps_paragraphs_and_characters() {
        let html = SafeHtml::sanitise("<p>a &amp; b &lt;c&gt;<br>d</p><p>e &quot;f&quot;</p>");
        assert_eq!(html.to_plain(), "a & b <c>\nd\n\ne \"f\"");
        assert_eq!(SafeHtml::from_plain("a <b>\nc\n\nd").as_str(), "<p>a &lt;b&gt;<br>c</p><p>d</p>");
    }

    #[test]
    fn a_link_is_alone_when_nothing_stands_beside_it() {
        let lone = |raw: &str| SafeHtml::sanitise(raw).lone_link();
        let address = Some("https://ann.example/?a=1&b".to_owned());
        assert_eq!(lone(r#"<a href="https://ann.example/?a=1&amp;b" rel="me">ann.example</a>"#), address);
        let parts = r#"<a href="https://ann.example/?a=1&amp;b" translate="no"><span class="invisible">https://</span><span>ann.example</span></a>"#;
        assert_eq!(lone(&format!("<p> <span>{parts}</span><br></p>")), address);
        assert_eq!(lone(&format!("see {parts}")), None);
        assert_eq!(lone(&format!("{parts} {parts}")), None);
        assert_eq!(lone(r#"<a href="javascript:x">href="https://evil.example"</a>"#), None);
        assert_eq!(lone("https://ann.example"), None);
        assert_eq!(SafeHtml::sanitise(&format!("a {parts} b {parts}")).links().len(), 2);
    }

    #[test]
    fn an_excerpt_ends_at_a_word() {
        let html = SafeHtml::sanitise("<p>The quick brown fox, jumps over</p>");
        assert_eq!(html.excerpt(22), "The quick brown fox…");
        assert_eq!(html.excerpt(100), "The quick brown fox, jumps over");
    }

    proptest! {
        #[test]
        fn sanitising_twice_changes_nothing_more(raw in "[a-z<>/\"= &;]{0,60}|(<(p|a|b|h1|li|script)( href=\"https://x\")?>|</(p|a|b|h1|li|script)>|[a-z ]){0,20}") {
            let once = SafeHtml::sanitise(&raw);
            let twice = SafeHtml::sanitise(once.as_str());
            prop_assert_eq!(once.to_plain(), twice.to_plain());
            prop_assert!(!twice.as_str().contains("<script"));
        }
    }
}
