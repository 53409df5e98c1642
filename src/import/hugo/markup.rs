//! What is inside of a post: media are taken out of its markup, its text and hashtags are read from it.
//!
//! The HTML that is left stays as it was written, byte for byte; making it safe happens elsewhere.

use crate::domain::source::MediaKind;
use scraper::Html;
use scraper::node::{Element, Node};

/// How far the end of a tag, an element or an alternative text is looked for.
const REACH: usize = 16 * 1024;

const VIDEO: [&str; 9] = ["mp4", "m4v", "mov", "webm", "mkv", "ogv", "avi", "mpeg", "mpg"];
const AUDIO: [&str; 9] = ["mp3", "ogg", "oga", "opus", "wav", "flac", "m4a", "aac", "wma"];
const IMAGE: [&str; 12] = ["png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "heic", "heif", "bmp", "tif", "tiff"];

/// A picture, film or sound in the markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embed {
    /// What it points to, as written.
    pub target: String,
    /// What it is: by its element, or else by the ending of its target.
    pub kind: MediaKind,
    /// The alternative text.
    pub alt: Option<String>,
}

/// The text and the hashtags of some HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The text alone.
    pub text: String,
    /// The hashtags that are marked up as such, without `#`.
    pub linked: Vec<String>,
}

/// What is looked for in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// Markdown images that start a line.
    Images,
    /// The elements `img`, `video` and `audio`.
    Elements,
    /// Both.
    Everything,
}

/// Take media out of a text.
pub fn take_media(text: &str, looking: Looking) -> (String, Vec<Embed>) {
    let mut html = String::with_capacity(text.len());
    let mut media = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let starts_line = at == 0 || text.as_bytes()[at - 1] == b'\n';
        let taken = if starts_line && looking != Looking::Elements && rest.starts_with("![") {
            image(rest).map(|(embed, length)| (length, Piece::Media(embed)))
        } else if looking != Looking::Images {
            tag(rest)
        } else {
            None
        };
        let (length, piece) = taken.unwrap_or_else(|| (plain(rest), Piece::Kept));
        match piece {
            Piece::Media(embed) => media.push(embed),
            Piece::Replaced(text) => html.push_str(&text),
            Piece::Kept => html.push_str(&rest[..length]),
        }
        at += length;
    }
    (html, media)
}

/// What becomes of a piece of the markup.
enum Piece {
    Media(Embed),
    Replaced(String),
    Kept,
}

/// The length of the text up to where a tag or a line may start; at least one character.
fn plain(rest: &str) -> usize {
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with('\n') {
        return first;
    }
    match rest[first..].find(['<', '\n']) {
        Some(at) if rest[first + at..].starts_with('\n') => first + at + 1,
        Some(at) => first + at,
        None => rest.len(),
    }
}

/// A Markdown image at the start of `rest`, and its length.
///
/// The alternative text is not escaped, so it may hold brackets and whole lines: the first line that ends like an image
/// with a media file ends it; if there is none before the next image, then the first that ends like any image.
fn image(rest: &str) -> Option<(Embed, usize)> {
    let mut first = None;
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if at > 0 && (line.starts_with("![") || at > REACH) {
            break;
        }
        let closed = line.trim_end().strip_suffix(')');
        if let Some((open, line)) = closed.and_then(|line| Some((line.rfind("](")?, line))) {
            let target = target(&line[open + 2..]);
            let known = kind_of(&target);
            let alt = rest["![".len()..at + open].trim();
            let alt = (!alt.is_empty()).then(|| alt.replace("\r\n", "\n"));
            let found = (Embed { target, kind: known.unwrap_or(MediaKind::Image), alt }, at + line.len() + 1);
            if known.is_some() {
                return Some(found);
            }
            first.get_or_insert(found);
        }
        at += line.len();
    }
    first
}

/// The target of a Markdown link without its title and angle brackets.
fn target(written: &str) -> String {
    let written = written.trim();
    if let Some((target, _)) = written.strip_prefix('<').and_then(|inner| inner.split_once('>')) {
        return target.to_owned();
    }
    let title = ['"', '\''].iter().find_map(|quote| written.strip_suffix(*quote)?.find(&format!(" {quote}")));
    written[..title.unwrap_or(written.len())].trim().to_owned()
}

/// The first bytes of a text, as many as one link or shortcode takes at most: looking further for the end of each would
/// make time grow with the square of the text.
pub fn beginning(text: &str) -> &str {
    const MOST: usize = 4096;
    &text[..text.floor_char_boundary(MOST)]
}

/// What a file is by its ending.
pub fn kind_of(target: &str) -> Option<MediaKind> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    let is = |endings: &[&str]| endings.contains(&ending.as_str());
    if is(&IMAGE) {
        Some(MediaKind::Image)
    } else if is(&VIDEO) {
        Some(MediaKind::Video)
    } else {
        is(&AUDIO).then_some(MediaKind::Audio)
    }
}

/// A tag, a comment or a media element at the start of `rest`, and its length.
fn tag(rest: &str) -> Option<(usize, Piece)> {
    if rest.starts_with("<!--") {
        // A comment that never ends hides all that follows.
        return Some((rest.find("-->").map_or(rest.len(), |end| end + 3), Piece::Kept));
    }
    let length = tag_length(rest)?;
    let name: String = rest[1..length].chars().take_while(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    let length = match name.as_str() {
        "img" => length,
        "video" | "audio" => element_length(rest, length, &name),
        _ => return Some((length, Piece::Kept)),
    };
    Some((length, element(&rest[..length], &name)))
}

/// The length of the tag at the start of `rest`, from `<` to `>`; quoted values may hold a `>`.
pub fn tag_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    if bytes.first() != Some(&b'<') || !bytes.get(1)?.is_ascii_alphabetic() {
        return None;
    }
    let mut quote = None;
    for (at, &byte) in bytes.iter().enumerate().take(REACH) {
        match (byte, quote) {
            (b'"' | b'\'', None) if bytes[at - 1].is_ascii_whitespace() || bytes[at - 1] == b'=' => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            (b'>', None) => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of an element up to the end of its closing tag; of its opening tag alone if it is never closed.
fn element_length(rest: &str, opening: usize, name: &str) -> usize {
    let closing = format!("</{name}");
    let bytes = &rest.as_bytes()[..rest.len().min(opening + REACH)];
    let found = bytes[opening..]
        .windows(closing.len())
        .position(|window| window.eq_ignore_ascii_case(closing.as_bytes()))
        .and_then(|at| Some(opening + at + bytes[opening + at..].iter().position(|byte| *byte == b'>')? + 1));
    found.unwrap_or(opening)
}

/// What a media element shows. A custom emoji is no picture of the post: its name takes its place.
fn element(markup: &str, name: &str) -> Piece {
    let parsed = Html::parse_fragment(markup);
    let elements: Vec<&Element> = parsed.tree.values().filter_map(Node::as_element).collect();
    let attribute = |name: &str, from: &[&str]| {
        let inside = elements.iter().filter(|element| from.contains(&element.name()));
        inside.filter_map(|element| element.attr(name)).map(str::trim).find(|value| !value.is_empty())
    };
    if name == "img" && attribute("class", &["img"]).is_some_and(|class| class.contains("emoji")) {
        let alt = attribute("alt", &["img"]).unwrap_or_default();
        return Piece::Replaced(alt.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    }
    let Some(target) = attribute("src", &[name]).or_else(|| attribute("src", &["source"])) else {
        return Piece::Replaced(String::new());
    };
    let kind = match name {
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        _ => kind_of(target).unwrap_or(MediaKind::Image),
    };
    let texts = if name == "img" { ["alt", "title", "aria-label"] } else { ["title", "aria-label", "alt"] };
    let alt = texts.iter().find_map(|text| attribute(text, &[name])).map(str::to_owned);
    Piece::Media(Embed { target: target.to_owned(), kind, alt })
}

/// How deep the elements of some HTML stand in each other, as far as its tags tell. Those that need no end, and those
/// that have none, count for nothing.
pub fn depth(html: &str) -> usize {
    const FLAT: [&str; 16] =
        ["p", "li", "br", "hr", "img", "input", "source", "wbr", "td", "th", "tr", "dd", "dt", "col", "link", "meta"];
    let (mut open, mut deepest) = (0_usize, 0);
    for (at, _) in html.match_indices('<') {
        let rest = &html[at + 1..];
        let (ends, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        let name: String = rest.chars().take(12).take_while(char::is_ascii_alphanumeric).collect();
        if name.is_empty() || FLAT.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        open = if ends { open.saturating_sub(1) } else { open + 1 };
        deepest = deepest.max(open);
    }
    deepest
}

/// Read the text and the marked hashtags of some HTML.
pub fn words(html: &str) -> Words {
    let parsed = Html::parse_fragment(html);
    let mut words = Words::default();
    for node in parsed.tree.root().descendants() {
        match node.value() {
            Node::Text(text) => words.text.push_str(text),
            Node::Element(element) => {
                if matches!(element.name(), "p" | "br" | "div" | "li" | "blockquote" | "pre" | "ul" | "ol") {
                    words.text.push('\n');
                }
                if element.name() == "a" && element.classes().any(|class| class == "hashtag") {
                    let inside = node.descendants().filter_map(|inner| inner.value().as_text());
                    let text: String = inside.map(|text| &**text).collect();
                    let tag = text.trim().trim_start_matches(['#', '＃']);
                    words.linked.extend((!tag.is_empty()).then(|| tag.to_owned()));
                }
            }
            _ => {}
        }
    }
    words
}

impl Words {
    /// A tag as the text spells it, if it stands there as a hashtag.
    pub fn spelling_of(&self, tag: &str) -> Option<&str> {
        let wanted = tag.to_lowercase();
        self.hashtags().find(|written| written.to_lowercase() == wanted)
    }

    /// Everything in the text that reads like a hashtag.
    fn hashtags(&self) -> impl Iterator<Item = &str> {
        self.text.match_indices(['#', '＃']).filter_map(|(at, sign)| {
            let before = self.text[..at].chars().next_back();
            let tag = &self.text[at + sign.len()..];
            let tag = &tag[..tag.find(|c| !is_tag_char(c)).unwrap_or(tag.len())];
            let alone = before.is_none_or(|c| !is_tag_char(c) && !matches!(c, '/' | '&' | '#'));
            (alone && !tag.is_empty()).then_some(tag)
        })
    }
}

/// Whether a hashtag can hold that character.
pub fn is_tag_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '·' | '・' | '\u{200c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a text, and its media as `kind target alt`.
    fn check(text: &str, left: &str, media: &[&str]) {
        let (html, found) = take_media(text, Looking::Everything);
        let told =
            |embed: &Embed| format!("{} {} {}", embed.kind.name(), embed.target, embed.alt.as_deref().unwrap_or("-"));
        assert_eq!(html.trim(), left, "{text:?}");
        assert_eq!(found.iter().map(told).collect::<Vec<_>>(), media, "{text:?}");
    }

    #[test]
    fn an_alternative_text_may_hold_brackets_quotes_and_lines() {
        check("<p>a</p>\n\n![](f.png)\n", "<p>a</p>", &["image f.png -"]);
        check("![a \"b\" [c] (d)](f.png)", "", &["image f.png a \"b\" [c] (d)"]);
        check(
            "![one\r\n\r\n<p> & two](f.png)\r\n![b](g.webp)",
            "",
            &["image f.png one\n\n<p> & two", "image g.webp b"],
        );
        check(
            "![see [docs](https://a.example)\nmore](f.png)",
            "",
            &["image f.png see [docs](https://a.example)\nmore"],
        );
        check("![a](f.unknown)\n![b](g.png)", "", &["image f.unknown a", "image g.png b"]);
    }

    #[test]
    fn images_alone_or_elements_alone_can_be_looked_for() {
        let text = "![a](a.png)\n<img src=b.png>c";
        let (left, found) = take_media(text, Looking::Images);
        assert_eq!((left.trim(), found.len(), found[0].target.as_str()), ("<img src=b.png>c", 1, "a.png"));
        let (left, found) = take_media(text, Looking::Elements);
        assert_eq!((left.as_str(), found.len(), found[0].target.as_str()), ("![a](a.png)\nc", 1, "b.png"));
    }

    #[test]
    fn a_target_may_have_a_title_or_spaces() {
        check("![a](f.png \"A title\")", "", &["image f.png a"]);
        check("![a](<my file.png> 'x')", "", &["image my file.png a"]);
        check("![a](my file.png)", "", &["image my file.png a"]);
        check("![a](clip.MP4)\n![b](s.ogg?x=1)", "", &["video clip.MP4 a", "audio s.ogg?x=1 b"]);
    }

    #[test]
    fn what_only_looks_like_an_image_stays() {
        for text in ["a ![b](c.png)", "![never closed", "![a] (b.png)", "&lt;img src=\"a.png\"&gt;", "a < b <3"] {
            check(text, text, &[]);
        }
        check("<!-- <img src=a.png> --><p>b</p>", "<!-- <img src=a.png> --><p>b</p>", &[]);
        check("<!-- <img src=a.png>", "<!-- <img src=a.png>", &[]);
        check("<p title=\"<img src='a.png'>\">b</p>", "<p title=\"<img src='a.png'>\">b</p>", &[]);
    }

    #[test]
    fn video_and_audio_elements_are_media_with_their_text() {
        let video = "<video controls autoplay><source src=\"f.mp4\" type=\"video/mp4\" /></video>";
        check(video, "", &["video f.mp4 -"]);
        check("<VIDEO src=f.bin title=\"A &amp; B\"></VIDEO>b", "b", &["video f.bin A & B"]);
        check("<audio aria-label='hm'><source src=f.mp3></audio>", "", &["audio f.mp3 hm"]);
        check("<video alt=a src=f.mp4>\n![b](g.png)", "", &["video f.mp4 a", "image g.png b"]);
        check("<video></video>a", "a", &[]);
    }

    #[test]
    fn inline_images_are_taken_out_and_the_rest_stays_as_written() {
        check("<p>it&#39;s <img alt='1 > 0' src=\"f.png\"/>ok</P>", "<p>it&#39;s ok</P>", &["image f.png 1 > 0"]);
        check("<p>hi <img class=\"custom-emoji\" alt=\":a&lt;b:\" src=\"e.png\"></p>", "<p>hi :a&lt;b:</p>", &[]);
    }

    #[test]
    fn depth_counts_what_stands_in_each_other() {
        assert_eq!(depth("<div><b>a</b><i>b</i></div><p>c<p>d<br>< e"), 2);
        assert_eq!(depth(&"<p>a".repeat(1000)), 0);
        assert_eq!(depth(&"<div>".repeat(1000)), 1000);
    }

    #[test]
    fn hashtags_are_read_from_links_and_from_text() {
        let html = "<p>C#no &amp;#39; #Écrire_1, x/#path</p>\
            <p>#end<br>＃広い <a class=\"mention hashtag\" href=\"h\">#<span>TagOne</span></a></p>";
        let words = words(html);
        assert_eq!(words.linked, ["TagOne"]);
        assert_eq!(words.hashtags().collect::<Vec<_>>(), ["Écrire_1", "end", "広い", "TagOne"]);
        assert_eq!(words.spelling_of("tagone"), Some("TagOne"));
        assert_eq!(words.spelling_of("TAG"), None);
    }

    #[test]
    fn any_mess_is_taken_without_a_panic_and_in_order() {
        let pieces =
            ["![", "](", "a.png)", "\n", "<img", " src=\"", "é.png", "\">", "<video", "</video", "<!--", "-->", "🐘"];
        let mut seed = 7_usize;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            assert!(take_media(&text, Looking::Everything).0.len() <= text.len());
        }
    }
}
