//! The links of a post: where it stands at its origin, and what becomes of those inside of its text.

use super::markup::{is_tag_char, tag_length};
use crate::domain::source::PostLink;
use crate::text::escape;
use url::Url;

/// Elements that show something which a post cannot hold.
const FOREIGN: [&str; 8] = ["script", "style", "object", "embed", "form", "svg", "canvas", "math"];

/// A text whose links were mended.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mended {
    /// The HTML.
    pub html: String,
    /// How many links lead to somewhere on a site that is not known.
    pub lost: usize,
    /// The names of elements that cannot be kept, each once.
    pub foreign: Vec<&'static str>,
}

/// The object id and the page of a post, from either. Only Mastodon's two shapes tell the one from the other.
pub fn object_and_page(url: &Url, link: &PostLink) -> (Option<String>, String) {
    let at = |path: String| {
        let mut other = url.clone();
        other.set_path(&path);
        other.set_query(None);
        other.set_fragment(None);
        other.to_string()
    };
    match (&link.author, link.status) {
        (Some(author), Some(status)) => {
            let user = &author.user;
            (Some(at(format!("/users/{user}/statuses/{status}"))), at(format!("/@{user}/{status}")))
        }
        (None, Some(_)) => (Some(url.to_string()), url.to_string()),
        _ => (None, url.to_string()),
    }
}

/// Make the links of some HTML lead where they led: paths become URLs on `base`, the page's own place, where that is
/// known. Links to hashtags and people are marked as Mastodon marks them; framed pages become links; comments go.
pub fn mend(html: &str, base: Option<&Url>) -> Mended {
    let mut mended = Mended { html: String::with_capacity(html.len()), ..Mended::default() };
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        mended.html.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            rest = rest.find("-->").map_or("", |end| &rest[end + 3..]);
            continue;
        }
        let Some(length) = tag_length(rest) else {
            mended.html.push('<');
            rest = &rest[1..];
            continue;
        };
        let (tag, after) = rest.split_at(length);
        rest = after;
        let name: String = tag[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        match name.to_ascii_lowercase().as_str() {
            "a" => mended.anchor(tag, after, base),
            "iframe" => {
                let source = value_of(tag, "src").map(|at| unescaped(&tag[at])).filter(|src| src.starts_with("http"));
                let source = source.map(|source| escape(&source));
                mended.html.extend(source.map(|source| format!("<p><a href=\"{source}\">{source}</a></p>")));
                rest = after.find("</iframe>").map_or(after, |end| &after[end + "</iframe>".len()..]);
            }
            name => {
                let foreign = FOREIGN.iter().find(|foreign| **foreign == name);
                let is_new = foreign.filter(|foreign| !mended.foreign.contains(foreign));
                mended.foreign.extend(is_new);
                mended.html.push_str(tag);
            }
        }
    }
    mended.html.push_str(rest);
    mended
}

impl Mended {
    fn anchor(&mut self, tag: &str, after: &str, base: Option<&Url>) {
        let marked = value_of(tag, "class").is_none().then(|| class_of(after)).flatten();
        let class = marked.map_or(String::new(), |class| format!(" class=\"{class}\""));
        let Some(at) = value_of(tag, "href") else {
            self.html.push_str(tag);
            return;
        };
        let target = unescaped(&tag[at.clone()]);
        let is_local =
            matches!(Url::parse(&target), Err(url::ParseError::RelativeUrlWithoutBase)) && !target.starts_with('#');
        let is_local = is_local && !target.is_empty();
        let whole = base.filter(|_| is_local).and_then(|base| base.join(&target).ok());
        self.lost += usize::from(is_local && whole.is_none());
        let (before, behind) = (&tag[..at.start], &tag[at.end..tag.len() - 1]);
        match whole {
            Some(whole) => self.html.extend([before, &escape(whole.as_str()), behind, &class, ">"]),
            None => self.html.extend([before, &tag[at], behind, &class, ">"]),
        }
    }
}

/// The class of a link by its text: a hashtag, or somebody.
fn class_of(text: &str) -> Option<&'static str> {
    let mut chars = text.chars();
    let class = match chars.next()? {
        '#' | '＃' => "mention hashtag",
        '@' => "u-url mention",
        _ => return None,
    };
    chars.next().filter(|c| is_tag_char(*c)).map(|_| class)
}

/// Where in a tag the value of an attribute stands, without its quotes. Only quoted values are looked at.
fn value_of(tag: &str, name: &str) -> Option<std::ops::Range<usize>> {
    let lower = tag.to_ascii_lowercase();
    let found = lower.match_indices(name).find_map(|(at, _)| {
        let before = lower.as_bytes().get(at.checked_sub(1)?)?;
        let rest = lower[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        before.is_ascii_whitespace().then_some(lower.len() - rest.len())
    })?;
    let quote = tag[found..].chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let end = tag[found + 1..].find(quote)?;
    Some(found + 1..found + 1 + end)
}

fn unescaped(value: &str) -> String {
    value.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, base: Option<&str>, mended: &str, lost: usize) {
        let base = base.map(|base| base.parse().unwrap());
        let told = mend(html, base.as_ref());
        assert_eq!((told.html.as_str(), told.lost), (mended, lost), "{html}");
    }

    #[test]
    fn a_path_becomes_a_url_where_the_site_is_known() {
        let base = Some("https://blog.example/posts/one/");
        check(
            "<a href=\"/two/?a=1&amp;b=2\">x</a>",
            base,
            "<a href=\"https://blog.example/two/?a=1&amp;b=2\">x</a>",
            0,
        );
        check(
            "<a title='t' href='../two/'>x</a>",
            base,
            "<a title='t' href='https://blog.example/posts/two/'>x</a>",
            0,
        );
        check("<A HREF=\"https://a.example/\">x</A>", base, "<A HREF=\"https://a.example/\">x</A>", 0);
        check("<a href=\"\">x</a> <a href=\"#n\">y</a>", base, "<a href=\"\">x</a> <a href=\"#n\">y</a>", 0);
        check("<a href=\"/two/\">x</a>", None, "<a href=\"/two/\">x</a>", 1);
        check("<a name=top>x</a> a < b <b", base, "<a name=top>x</a> a < b <b", 0);
    }

    #[test]
    fn hashtags_and_people_are_marked() {
        check(
            "<a href=\"https://a.example/tags/x\">#x</a>",
            None,
            "<a href=\"https://a.example/tags/x\" class=\"mention hashtag\">#x</a>",
            0,
        );
        check(
            "<a href=\"https://a.example/@b\">@b</a>",
            None,
            "<a href=\"https://a.example/@b\" class=\"u-url mention\">@b</a>",
            0,
        );
        check(
            "<a class=\"c\" href=\"https://a.example/\">#x</a>",
            None,
            "<a class=\"c\" href=\"https://a.example/\">#x</a>",
            0,
        );
        check("<a href=\"https://a.example/\"># 1</a>", None, "<a href=\"https://a.example/\"># 1</a>", 0);
    }

    #[test]
    fn framed_pages_become_links_and_what_runs_is_named() {
        check(
            "a<iframe src=\"https://v.example/1?a&amp;b\" width=\"1\"></iframe>b<!-- c <a href='/x'> -->",
            None,
            "a<p><a href=\"https://v.example/1?a&amp;b\">https://v.example/1?a&amp;b</a></p>b",
            0,
        );
        assert_eq!(mend("<script>x</script><script></script><svg></svg>", None).foreign, ["script", "svg"]);
    }

    #[test]
    fn a_status_has_an_object_and_a_page() {
        let told = |url: &str| {
            let url: Url = url.parse().unwrap();
            object_and_page(&url, &PostLink::read(&url))
        };
        let both = (Some("https://a.example/users/ann/statuses/7".to_owned()), "https://a.example/@ann/7".to_owned());
        assert_eq!(told("https://a.example/@ann/7"), both);
        assert_eq!(told("https://a.example/users/ann/statuses/7?x#y"), both);
        let numeric = "https://a.example/ap/users/1/statuses/7";
        assert_eq!(told(numeric), (Some(numeric.to_owned()), numeric.to_owned()));
        assert_eq!(told("https://b.example/p/1"), (None, "https://b.example/p/1".to_owned()));
    }
}
