//! Cuts the body of a page into its posts: each ends with a line `###### [Mastodon Source …](url)`.
//!
//! Two layouts do that: bundles, and day files with a sign less.

/// What marks a line as the end of a post.
const SOURCE: &str = "[Mastodon Source";

/// How the image ends that stands on top of every page.
const DECORATION: &str = "](/images/mastodon.png)";

/// One post of a page, as it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// The line of the page where it starts, counted from 1.
    pub line: usize,
    /// The offset of its first byte.
    pub start: usize,
    /// The offset after the last byte of its source line, without the line end.
    pub end: usize,
    /// All before its source line.
    pub text: &'a str,
    /// What its source line links to; `None` if that line is malformed.
    pub link: Option<&'a str>,
    /// The number of signs before its source line.
    pub level: usize,
    /// Whether a thematic break keeps it apart from the post before.
    pub after_break: bool,
}

/// A body in pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body<'a> {
    /// Its posts in order.
    pub sections: Vec<Section<'a>>,
    /// The line of text that stands after the last source line, if any does.
    pub rest: Option<usize>,
}

/// Whether a page can hold posts at all: cheap, for the many pages of a site that hold none.
pub fn may_hold_posts(page: &[u8]) -> bool {
    page.windows(SOURCE.len()).any(|window| window == SOURCE.as_bytes())
}

/// Cut a page from `offset` on; `lines` is the number of lines before it.
pub fn split(page: &str, offset: usize, lines: usize) -> Body<'_> {
    let mut body = Body::default();
    let mut at = offset;
    // Where the post under way starts: its line and offset.
    let mut open: Option<(usize, usize)> = None;
    let mut after_break = false;
    for (index, line) in page[offset..].split_inclusive('\n').enumerate() {
        let number = lines + index + 1;
        if let Some((level, link)) = source_link(line) {
            let (first, start) = open.take().unwrap_or((number, at));
            let end = at + line.trim_end_matches(['\r', '\n']).len();
            body.sections.push(Section { line: first, start, end, text: &page[start..at], link, level, after_break });
            after_break = false;
        } else if open.is_none() {
            if is_separator(line) {
                after_break |= !line.trim().is_empty();
            } else if !body.sections.is_empty() || !is_decoration(line) {
                open = Some((number, at));
            }
        }
        at += line.len();
    }
    body.rest = open.map(|(line, _)| line);
    body
}

/// Whether a line only keeps posts apart: blank, or a thematic break.
pub fn is_separator(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || (line.len() >= 3 && ['_', '-', '*'].iter().any(|mark| line.chars().all(|c| c == *mark)))
}

/// A text without the separator lines at both of its ends.
pub fn without_separators(text: &str) -> &str {
    let mut text = text.trim();
    while let Some(line) = text.lines().next().filter(|line| is_separator(line)) {
        text = text[line.len()..].trim();
    }
    while let Some(line) = text.lines().next_back().filter(|line| is_separator(line)) {
        text = text[..text.len() - line.len()].trim();
    }
    text
}

fn is_decoration(line: &str) -> bool {
    line.starts_with("![") && line.trim_end().ends_with(DECORATION)
}

/// `None` if a line is no source line, else its level and what it links to, if anything.
fn source_link(line: &str) -> Option<(usize, Option<&str>)> {
    let line = line.trim();
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    if !(1..=6).contains(&level) || !title.trim_start().starts_with(SOURCE) {
        return None;
    }
    let link = title.split_once("](").and_then(|(_, link)| link.strip_suffix(')')).map(str::trim);
    Some((level, link.filter(|link| !link.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_line_ends_a_post() {
        let page = "HEAD\n\n<p>a</p>\n\n###### [Mastodon Source 🐘](https://a.example/1)\n\n\
            ___\n\n<p>b</p>\r\n# [Mastodon Source](u)\r\n\r\n___\r\n";
        let body = split(page, 5, 1);
        let told: Vec<_> = body.sections.iter().map(|s| (s.line, s.text.trim(), s.link)).collect();
        assert_eq!(told, [(3, "<p>a</p>", Some("https://a.example/1")), (9, "<p>b</p>", Some("u"))]);
        assert_eq!(&page[body.sections[1].start..body.sections[1].end], "<p>b</p>\r\n# [Mastodon Source](u)");
        assert_eq!(body.rest, None);
    }

    #[test]
    fn a_source_line_without_a_link_still_ends_a_post() {
        for line in
            ["###### [Mastodon Source 🐘]()", "## [Mastodon Source", "# [Mastodon Source](x", "# [Mastodon Source] (x)"]
        {
            assert!(matches!(source_link(line), Some((_, None))), "{line}");
        }
        for line in
            ["[Mastodon Source](x)", "####### [Mastodon Source](x)", "# Mastodon Source", "text # [Mastodon Source](x)"]
        {
            assert_eq!(source_link(line), None, "{line}");
        }
    }

    #[test]
    fn text_after_the_last_source_line_is_told_by_its_line() {
        assert_eq!(split("a\n# [Mastodon Source](x)\n___\n\nmore\n", 0, 10).rest, Some(15));
    }

    #[test]
    fn the_image_on_top_of_the_page_is_no_part_of_a_post() {
        let image = "![Mastodon](/images/mastodon.png)";
        let page = format!("{image}\n\na\n# [Mastodon Source](x)\n{image}\n# [Mastodon Source](y)\n");
        let body = split(&page, 0, 0);
        assert_eq!((body.sections[0].line, body.sections[0].text), (3, "a\n"));
        assert_eq!(body.sections[1].text.trim(), image, "further down it is a picture like any other");
    }

    #[test]
    fn a_break_before_a_post_is_noted_and_one_inside_is_text() {
        let body = split(
            "a\n##### [Mastodon Source](x)\n\n---\n\nb\n---\nc\n##### [Mastodon Source](y)\n\nd\n##### [Mastodon Source](z)\n",
            0,
            0,
        );
        let told: Vec<_> = body.sections.iter().map(|s| (s.after_break, s.level, s.text)).collect();
        assert_eq!(told, [(false, 5, "a\n"), (true, 5, "b\n---\nc\n"), (false, 5, "d\n")]);
    }

    #[test]
    fn a_post_without_anything_starts_at_its_source_line() {
        let body = split("\n___\n\n# [Mastodon Source](x)", 0, 0);
        assert_eq!((body.sections[0].line, body.sections[0].text), (4, ""));
    }

    #[test]
    fn separators_go_from_both_ends_only() {
        assert_eq!(without_separators("___\n\n---\na\n___\nb\n\n***\n"), "a\n___\nb");
        assert_eq!(without_separators("\n___\n"), "");
    }

    #[test]
    fn a_page_that_never_names_a_source_is_told_apart_cheaply() {
        assert!(may_hold_posts("x\n###### [Mastodon Source 🐘](y)".as_bytes()));
        assert!(!may_hold_posts(b"Mastodon"));
    }
}
