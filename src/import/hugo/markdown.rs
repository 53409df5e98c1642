//! Markdown → HTML, with comrak. What HTML is safe is decided elsewhere.

use comrak::Options;

/// How deep quotes, lists and elements may stand in each other.
pub const MAX_DEPTH: usize = 100;

/// Whose Markdown it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// A person's, for a site: HTML inside of it is meant, and a single line end is none.
    Page,
    /// A converter's, from a post's HTML: what looks like HTML was text, and a line end was one.
    Status,
}

/// Whether a line opens more quotes and lists inside of each other than any text needs: time grows with their square.
pub fn is_too_deep(text: &str) -> bool {
    text.lines().any(|line| {
        let markers = line.trim_start_matches([
            ' ', '\t', '>', '-', '+', '*', '.', ')', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
        ]);
        let opening = &line[..line.len() - markers.len()];
        opening.len() > MAX_DEPTH && opening.matches('>').count() + opening.split_whitespace().count() > MAX_DEPTH
    })
}

/// The HTML of some Markdown.
pub fn html(text: &str, flavour: Flavour) -> String {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.table = flavour == Flavour::Page;
    options.extension.tasklist = flavour == Flavour::Page;
    options.extension.footnotes = flavour == Flavour::Page;
    options.render.r#unsafe = flavour == Flavour::Page;
    options.render.escape = flavour == Flavour::Status;
    options.render.hardbreaks = flavour == Flavour::Status;
    comrak::markdown_to_html(text, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_hold_html_and_a_status_may_not() {
        assert_eq!(html("a <b>b</b>\nc ~~d~~", Flavour::Page), "<p>a <b>b</b>\nc <del>d</del></p>\n");
        assert_eq!(html("a <b>b\nc", Flavour::Status), "<p>a &lt;b&gt;b<br />\nc</p>\n");
    }

    #[test]
    fn a_text_that_nests_without_end_is_known_before_it_is_parsed() {
        assert!(is_too_deep(&"> ".repeat(200)) && is_too_deep(&">".repeat(200)) && is_too_deep(&"1. ".repeat(200)));
        assert!(!is_too_deep(&"-".repeat(200)) && !is_too_deep("> > - 1. a") && !is_too_deep(&" ".repeat(200)));
    }

    #[test]
    fn quotes_stay_as_they_are_written() {
        assert_eq!(html("“a” ‘b’ \"c\" -- ...", Flavour::Page), "<p>“a” ‘b’ &quot;c&quot; -- ...</p>\n");
    }
}
