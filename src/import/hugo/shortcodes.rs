//! Hugo's shortcodes and Jekyll's tags: taken out of a text before it is read as Markdown, and put back as plain HTML.
//!
//! Those that every site has become links, pictures or code. Of the others the text between their ends stays, and the
//! report says what was left out. Start with [`take`]; `rendered` is the list of those that are known.

use super::markup::beginning;
use crate::text::escape;
use std::collections::HashMap;

/// What marks a place where HTML is put back: characters for private use, which are taken out of the text itself.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// A text without shortcodes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The text, with a mark where a piece goes.
    pub text: String,
    /// The HTML of each mark.
    pieces: Vec<String>,
    /// What was left out: the number of lines before it, and a note.
    pub left_out: Vec<(usize, String)>,
}

/// A shortcode or tag, taken apart.
struct Call<'a> {
    name: &'a str,
    /// What has no name, in order.
    plain: Vec<&'a str>,
    named: HashMap<&'a str, &'a str>,
    /// The length of the whole.
    length: usize,
}

/// What becomes of a shortcode.
enum Rendered {
    /// HTML in its place.
    Html(String),
    /// It goes, and that is no loss.
    Nothing,
    /// It goes, and the report says so.
    LeftOut,
}

/// Take the shortcodes out of a text; with `liquid` Jekyll's tags too.
pub fn take(text: &str, liquid: bool) -> Taken {
    let mut taken = Taken { text: String::with_capacity(text.len()), ..Taken::default() };
    let ends = Ends::of(text, liquid);
    let mut rest = text;
    let mut lines = 0;
    while let Some(at) = rest.find(['{', OPEN, CLOSE]) {
        taken.text.push_str(&rest[..at]);
        lines += rest[..at].matches('\n').count();
        rest = &rest[at..];
        let offset = text.len() - rest.len();
        let length = if let Some((literal, length)) = escaped(rest) {
            taken.put(escape(&literal));
            Some(length)
        } else if let Some(call) = shortcode(rest) {
            Some(taken.call(&call, text, offset, Close::Shortcode, &ends, lines))
        } else if let Some(call) = if liquid { tag(rest) } else { None } {
            Some(taken.call(&call, text, offset, Close::Tag, &ends, lines))
        } else if let Some((output, length)) = if liquid { output(rest) } else { None } {
            // Where the site stands: what follows is a path on it.
            if !matches!(output, "site.url" | "site.baseurl") {
                taken.left_out.push((lines, format!("{{{{ {output} }}}} was left out")));
            }
            Some(length)
        } else {
            None
        };
        let plain = rest.chars().next().map_or(0, char::len_utf8);
        if length.is_none() && rest.starts_with('{') {
            taken.text.push('{');
        }
        let length = length.unwrap_or(plain);
        lines += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    taken.text.push_str(rest);
    taken
}

/// How the end of something paired is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Close {
    Shortcode,
    Tag,
}

impl Taken {
    /// Put the HTML of all shortcodes where their marks stand.
    pub fn put_back(&self, html: &str) -> String {
        if self.pieces.is_empty() {
            return html.to_owned();
        }
        let mut whole = String::with_capacity(html.len());
        let mut rest = html;
        while let Some((before, mark)) = rest.split_once(OPEN) {
            whole.push_str(before);
            let (number, after) = mark.split_once(CLOSE).unwrap_or(("", mark));
            whole.extend(number.parse::<usize>().ok().and_then(|number| self.pieces.get(number)).map(String::as_str));
            rest = after;
        }
        whole + rest
    }

    fn put(&mut self, html: String) {
        self.text.push_str(&format!("{OPEN}{}{CLOSE}", self.pieces.len()));
        self.pieces.push(html);
    }

    /// Begin a paragraph, if nothing stands on the line yet.
    fn part(&mut self) {
        if self.text.rsplit('\n').next().is_none_or(|line| line.trim().is_empty()) {
            self.text.push_str("\n\n");
        }
    }

    /// Take in the shortcode at an offset; its length, with what belongs to it.
    fn call(
        &mut self,
        call: &Call<'_>,
        text: &str,
        offset: usize,
        close: Close,
        ends: &Ends<'_>,
        lines: usize,
    ) -> usize {
        let opened = offset + call.length;
        if call.name.starts_with('/') || (matches!(close, Close::Tag) && call.name.starts_with("end")) {
            self.part();
            return call.length;
        }
        let end = ends.after(close, call.name, opened);
        match (call.name, end) {
            ("highlight" | "raw" | "comment", Some((end, whole))) => {
                let inner = &text[opened..end];
                match call.name {
                    "highlight" => self.put(format!("<pre><code>{}</code></pre>", escape(inner.trim_matches('\n')))),
                    "raw" => self.text.push_str(inner),
                    _ => {}
                }
                whole - offset
            }
            ("details", Some(_)) => {
                let summary = call.argument(&["summary", "title"], 0).unwrap_or_default();
                self.text.push_str("\n\n");
                if !summary.is_empty() {
                    self.put(format!("<p><strong>{}</strong></p>", escape(summary)));
                    self.text.push_str("\n\n");
                }
                call.length
            }
            (name, end) => {
                match (rendered(call), end) {
                    (Rendered::Html(html), _) => self.put(html),
                    (Rendered::Nothing, _) => {}
                    // What stands between its two ends is text like any other.
                    (Rendered::LeftOut, Some(_)) => self.part(),
                    (Rendered::LeftOut, None) => {
                        self.left_out.push((lines, format!("the shortcode {name} was left out")));
                    }
                }
                call.length
            }
        }
    }
}

/// What a shortcode shows that takes no text between its ends.
fn rendered(call: &Call<'_>) -> Rendered {
    let link = |url: String| Rendered::Html(format!("<a href=\"{0}\">{0}</a>", escape(&url)));
    let with_id = |names: &[&str], url: &dyn Fn(&str) -> String| match call.argument(names, 0) {
        Some(id) => link(url(id)),
        None => Rendered::LeftOut,
    };
    match call.name {
        "figure" | "img" | "image" | "video" | "audio" => call.figure(),
        "include" if call.named.keys().any(|key| SOURCES.contains(key)) => call.figure(),
        "include" if call.plain.first().is_some_and(|file| file.starts_with("youtube")) => {
            let id = call.named.get("id").or_else(|| call.plain.get(1));
            id.map_or(Rendered::LeftOut, |id| link(format!("https://www.youtube.com/watch?v={id}")))
        }
        "youtube" => with_id(&["id"], &|id| format!("https://www.youtube.com/watch?v={id}")),
        "vimeo" => with_id(&["id"], &|id| format!("https://vimeo.com/{id}")),
        "instagram" => with_id(&["id"], &|id| format!("https://www.instagram.com/p/{id}/")),
        "tweet" | "twitter" | "x" => {
            let (user, id) = (call.argument(&["user"], usize::MAX), call.argument(&["id"], 0));
            let user = user.unwrap_or("i");
            id.map_or(Rendered::LeftOut, |id| link(format!("https://x.com/{user}/status/{id}")))
        }
        "gist" => match call.plain.as_slice() {
            [user, id, ..] => link(format!("https://gist.github.com/{user}/{id}")),
            [path] => link(format!("https://gist.github.com/{path}")),
            [] => Rendered::LeftOut,
        },
        "toc" | "more" | "clear" | "br" => Rendered::Nothing,
        _ => Rendered::LeftOut,
    }
}

/// The names under which shortcodes take the file that they show.
const SOURCES: [&str; 6] = ["src", "image_path", "image", "path", "file", "url"];

impl<'a> Call<'a> {
    /// An argument by one of its names, or by its place.
    fn argument(&self, names: &[&str], place: usize) -> Option<&'a str> {
        names.iter().find_map(|name| self.named.get(name)).or_else(|| self.plain.get(place)).copied()
    }

    /// A picture or film with its caption.
    fn figure(&self) -> Rendered {
        let place = if self.name == "include" { usize::MAX } else { 0 };
        let Some(source) = self.argument(&SOURCES, place).filter(|source| !source.is_empty()) else {
            return Rendered::LeftOut;
        };
        let alt = self.argument(&["alt"], usize::MAX).map_or(String::new(), |alt| format!(" alt=\"{}\"", escape(alt)));
        let source = escape(source);
        let media = match self.name {
            "video" | "audio" => format!("<{0} src=\"{source}\"{alt}></{0}>", self.name),
            _ => format!("<img src=\"{source}\"{alt}>"),
        };
        let words = [self.argument(&["title"], usize::MAX), self.argument(&["caption"], usize::MAX)];
        let caption: Vec<String> = words.into_iter().flatten().filter(|text| !text.is_empty()).map(escape).collect();
        let caption = if caption.is_empty() { String::new() } else { format!("<p>{}</p>", caption.join(" ")) };
        Rendered::Html(media + &caption)
    }
}

/// Where the ends of all that is paired stand, found in one walk: a text may have many shortcodes.
#[derive(Default)]
struct Ends<'a>(HashMap<(Close, &'a str), Vec<(usize, usize)>>);

impl<'a> Ends<'a> {
    fn of(text: &'a str, liquid: bool) -> Ends<'a> {
        let mut ends = Ends::default();
        for (at, _) in text.match_indices('{') {
            let rest = &text[at..];
            let shortcode = ["{{<", "{{%"].iter().find_map(|opening| rest.strip_prefix(opening));
            let (close, end, name) = match (shortcode, rest.strip_prefix("{%")) {
                (Some(inside), _) => (Close::Shortcode, "}}", inside.trim_start().strip_prefix('/')),
                (None, Some(inside)) if liquid => {
                    (Close::Tag, "%}", inside.trim_start_matches('-').trim_start().strip_prefix("end"))
                }
                _ => continue,
            };
            let Some(name) = name else { continue };
            let name = &name[..name.find(|c| !is_name_char(c)).unwrap_or(name.len())];
            let name = name.trim_end_matches('-');
            if let Some(length) = beginning(rest).find(end) {
                ends.0.entry((close, name)).or_default().push((at, at + length + end.len()));
            }
        }
        ends
    }

    /// The first end of a name at or after an offset: where it begins and ends.
    fn after(&self, close: Close, name: &str, offset: usize) -> Option<(usize, usize)> {
        let places = self.0.get(&(close, name))?;
        places.get(places.partition_point(|(start, _)| *start < offset)).copied()
    }
}

/// A shortcode that is only shown, as Hugo's manual writes them: `{{</* name */>}}`.
fn escaped(rest: &str) -> Option<(String, usize)> {
    for (opening, closing, open, close) in [("{{</*", "*/>}}", "{{<", ">}}"), ("{{%/*", "*/%}}", "{{%", "%}}")] {
        if let Some(inside) = rest.strip_prefix(opening) {
            let end = beginning(inside).find(closing)?;
            return Some((format!("{open}{}{close}", &inside[..end]), opening.len() + end + closing.len()));
        }
    }
    None
}

/// `{{< name … >}}` or `{{% name … %}}`.
fn shortcode(rest: &str) -> Option<Call<'_>> {
    let close = if rest.starts_with("{{<") {
        ">}}"
    } else if rest.starts_with("{{%") {
        "%}}"
    } else {
        return None;
    };
    let end = end_outside_quotes(&rest[3..], close)?;
    let inside = rest[3..3 + end].trim().trim_end_matches('/').trim_end();
    call(inside, 3 + end + close.len())
}

/// `{% name … %}`.
fn tag(rest: &str) -> Option<Call<'_>> {
    let inside = rest.strip_prefix("{%")?;
    let end = end_outside_quotes(inside, "%}")?;
    call(inside[..end].trim_matches('-').trim(), 2 + end + 2)
}

/// `{{ value }}`.
fn output(rest: &str) -> Option<(&str, usize)> {
    let inside = rest.strip_prefix("{{")?;
    let end = beginning(inside).find("}}")?;
    Some((inside[..end].trim_matches('-').trim(), 2 + end + 2))
}

fn end_outside_quotes(text: &str, end: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in beginning(text).char_indices() {
        match (c, quote) {
            (_, None) if text[at..].starts_with(end) => return Some(at),
            ('"' | '`', None) => quote = Some(c),
            (c, Some(open)) if c == open && !text[..at].ends_with('\\') => quote = None,
            _ => {}
        }
    }
    None
}

fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || "-_./".contains(c)
}

fn call(inside: &str, length: usize) -> Option<Call<'_>> {
    let (name, mut rest) = match inside.strip_prefix('/') {
        Some(_) => return Some(Call { name: inside, plain: vec![], named: HashMap::new(), length }),
        None => inside.split_once(char::is_whitespace).unwrap_or((inside, "")),
    };
    let is_name = |name: &str| name.chars().all(is_name_char);
    if name.is_empty() || !is_name(name) {
        return None;
    }
    let mut call = Call { name, plain: Vec::new(), named: HashMap::new(), length };
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let key = rest.find('=').filter(|at| *at > 0 && is_name(&rest[..*at]));
        let written = key.map_or(rest, |at| &rest[at + 1..]);
        let quote = written.chars().next().filter(|quote| ['"', '\'', '`'].contains(quote));
        let (value, after) = match quote {
            Some(quote) => written[1..].split_once(quote).unwrap_or((&written[1..], "")),
            None => written.split_once(char::is_whitespace).unwrap_or((written, "")),
        };
        match key {
            Some(at) => drop(call.named.insert(&rest[..at], value)),
            None => call.plain.push(value),
        }
        rest = after;
    }
    Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text becomes, and the lines and notes of what was left out.
    fn check(text: &str, expected: &str, left_out: &[(usize, &str)]) {
        let taken = take(text, false);
        assert_eq!(taken.put_back(&taken.text), expected, "{text:?}");
        let told: Vec<_> = taken.left_out.iter().map(|(line, note)| (*line, note.as_str())).collect();
        assert_eq!(told, left_out, "{text:?}");
    }

    #[test]
    fn what_every_site_has_becomes_links_and_pictures() {
        let video = "https://www.youtube.com/watch?v=a-B_1";
        check("x {{< youtube a-B_1 >}} y", &format!("x <a href=\"{video}\">{video}</a> y"), &[]);
        check("{{< youtube id=\"a-B_1\" autoplay=\"true\" >}}", &format!("<a href=\"{video}\">{video}</a>"), &[]);
        check("{{< vimeo 12 >}}", "<a href=\"https://vimeo.com/12\">https://vimeo.com/12</a>", &[]);
        check(
            "{{< gist ann 5f >}}",
            "<a href=\"https://gist.github.com/ann/5f\">https://gist.github.com/ann/5f</a>",
            &[],
        );
        for call in ["{{< x user=\"ann\" id=\"9\" >}}", "{{< tweet id=9 user=ann >}}"] {
            check(call, "<a href=\"https://x.com/ann/status/9\">https://x.com/ann/status/9</a>", &[]);
        }
        let figure = "{{< figure src=\"/i/a.png\" alt=\"A \u{201c}b\u{201d} [c]\" caption=\"Hm\" >}}";
        check(figure, "<img src=\"/i/a.png\" alt=\"A “b” [c]\"><p>Hm</p>", &[]);
        check("{{< video src=\"a.mp4\" >}}", "<video src=\"a.mp4\"></video>", &[]);
    }

    #[test]
    fn code_is_kept_as_it_is() {
        let text = "a\n{{< highlight go \"linenos=table\" >}}\nif a < b {}\n{{< /highlight >}}\nb";
        check(text, "a\n<pre><code>if a &lt; b {}</code></pre>\nb", &[]);
        check("{{</* youtube x */>}} {{%/* y */%}}", "{{&lt; youtube x &gt;}} {{% y %}}", &[]);
        check("{ {{ x }} {% y %} }} {{< ", "{ {{ x }} {% y %} }} {{< ", &[]);
    }

    #[test]
    fn what_is_not_known_is_left_out_and_said() {
        check(
            "a\nb {{< chart 1 >}} c\n{{% param \"x\" %}}",
            "a\nb  c\n",
            &[(1, "the shortcode chart was left out"), (2, "the shortcode param was left out")],
        );
        check("[t]({{< ref \"a.md\" >}})", "[t]()", &[(0, "the shortcode ref was left out")]);
    }

    #[test]
    fn the_text_between_two_ends_stays() {
        check("{{% notice tip %}}\n**a**\n{{% /notice %}}\nb", "\n\n\n**a**\n\n\n\nb", &[]);
        check("a {{< hl >}}b{{< /hl >}} c", "a b c", &[]);
        check(
            "{{< details summary=\"More\" >}}\na\n{{< /details >}}",
            "\n\n<p><strong>More</strong></p>\n\n\na\n\n\n",
            &[],
        );
    }

    #[test]
    fn jekylls_tags_are_read_where_a_page_is_jekylls() {
        let check = |text: &str, expected: &str, left_out: usize| {
            let taken = take(text, true);
            assert_eq!((taken.put_back(&taken.text).as_str(), taken.left_out.len()), (expected, left_out), "{text:?}");
        };
        check("![a]({{ site.baseurl }}/i/a.png)", "![a](/i/a.png)", 0);
        check("{% highlight ruby %}\na < b\n{% endhighlight %}", "<pre><code>a &lt; b</code></pre>", 0);
        check("{% raw %}{{ x }}{% endraw %}{% comment %}c{% endcomment %}", "{{ x }}", 0);
        check("{% include figure.html src=\"/a.png\" alt=\"A\" %}", "<img src=\"/a.png\" alt=\"A\">", 0);
        check("[a]({% post_url 2020-01-01-b %}) {{ page.title }} {% include nav.html %}", "[a]()  ", 3);
        check("{% if a %}b{% endif %}", "\n\nb", 0);
    }

    #[test]
    fn any_mess_is_taken_without_a_panic() {
        let pieces = [
            "{{<", ">}}", "{{%", "%}}", "{%", "%}", "{{", "}}", " a", "\"", "=", "/", "é", "\u{e000}", "1", "\u{e001}",
            "\n", "*",
        ];
        let mut seed = 11_usize;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) % pieces.len()]);
            }
            for liquid in [false, true] {
                let taken = take(&text, liquid);
                let _ = taken.put_back(&taken.text);
            }
        }
    }
}
