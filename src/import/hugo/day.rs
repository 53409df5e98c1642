//! Layout (b): a page for each day, as later Mastodon-to-Hugo converters write it.
//!
//! Its text is plain: the converter escaped nothing, so nothing in it is Markdown but the links, pictures and lines that
//! the converter made itself. Threads stand newest first, the posts of a thread oldest first. Start with [`items`].

use super::body::{Body, Section};
use super::{Item, MAX_POST, Page, front_matter, hashtags, links, markup, media_of, seconds, site, told, web_address};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{DateOrigin, Format, PostLink, Remark, SourceKey, SourceMedia, SourcePost};
use crate::domain::told::Told;
use crate::text::escape;
use chrono::{DateTime, Duration, Utc};
use std::path::Path;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 1;

/// The number of signs before a source line of this layout.
pub const LEVEL: usize = 5;

/// The alternative text that the converter gives to what has none.
const NO_ALT: &str = "attachment";

/// How far back from its end a post's content warning is looked for, in bytes.
const REACH: usize = 4096;

/// Whether all that is not UTF-8 in a page stands in headings: the converter cuts them at 97 bytes, also inside of a
/// character. They only repeat what the text says.
pub fn only_headings_are_cut(page: &[u8]) -> bool {
    page.split(|byte| *byte == b'\n').all(|line| line.starts_with(b"## ") || std::str::from_utf8(line).is_ok())
}

/// All posts of a day, each with what is wrong in its place.
pub fn items(page: &Page<'_>, body: &Body<'_>) -> Vec<Item> {
    let parts: Vec<Parts> = body.sections.iter().enumerate().map(|(at, section)| Parts::of(at == 0, section)).collect();
    let order = order(&parts);
    let date = page.front_matter.date.as_deref().or(page.front_matter.published_at.as_deref());
    let day = date.and_then(front_matter::date).filter(|day| page.is_plausible(*day));
    let mut last: Option<(SourceKey, Option<SourceKey>)> = None;
    let mut items = Vec::with_capacity(parts.len() + 1);
    for ((section, parts), position) in body.sections.iter().zip(parts).zip(order) {
        if parts.opens {
            last = None;
        }
        let item = match told::of(page, section.link) {
            Some(told) => told::item(page, told, section.line, section.text, (Format::HugoDay, READER_VERSION)),
            None => post(page, section, parts, day, position, last.clone()),
        };
        if let Ok(post) = &item {
            last = Some((post.key.clone(), post.reply_to.clone()));
        }
        items.push(item);
    }
    if let Some(line) = body.rest {
        items.push(Err(page.skipped(line, "is text without a source line, so it is not known which post it is")));
    }
    items
}

/// A section taken apart.
struct Parts {
    /// Whether a thread begins with it.
    opens: bool,
    /// A heading that is no beginning of the text.
    heading: Option<String>,
    /// The paragraphs.
    text: String,
    media: Vec<markup::Embed>,
    warning: Option<String>,
    tags: Vec<String>,
}

impl Parts {
    fn of(is_first: bool, section: &Section<'_>) -> Parts {
        let text = if section.text.len() > MAX_POST { "" } else { section.text };
        let text = text.replace("\r\n", "\n");
        let mut rest = text.trim();
        let (title, below) = rest.split_once('\n').unwrap_or((rest, ""));
        if is_first && title.starts_with("# ") {
            rest = below.trim();
        }
        let (heading, rest) = match rest.split_once('\n').unwrap_or((rest, "")) {
            (line, below) if line == "##" || line.starts_with("## ") => (Some(line[2..].trim()), below.trim()),
            _ => (None, rest),
        };
        let (rest, tags) = take_tags(rest);
        let (rest, warning) = take_warning(rest);
        let (rest, mut media) = markup::take_media(rest, markup::Looking::Images);
        let (rest, films) = take_linked_files(rest.trim());
        media.extend(films);
        for embed in &mut media {
            embed.alt = embed.alt.take().filter(|alt| alt != NO_ALT);
        }
        let repeats = heading.is_none_or(|heading| repeats(heading, rest));
        let apart = is_first || section.after_break;
        Parts {
            opens: apart || (heading.is_some() && repeats),
            // A heading that is far from any thread's start is text of the post.
            text: match heading {
                Some(heading) if !apart && !repeats => format!("## {heading}\n\n{rest}"),
                _ => rest.to_owned(),
            },
            heading: heading.filter(|_| apart && !repeats).map(str::to_owned),
            media,
            warning,
            tags,
        }
    }
}

/// The place of each section in the order of time: threads stand newest first.
fn order(parts: &[Parts]) -> Vec<usize> {
    let mut order = vec![0; parts.len()];
    let mut next = 0;
    let mut end = parts.len();
    for start in (0..parts.len()).rev().filter(|at| parts[*at].opens) {
        for place in &mut order[start..end] {
            *place = next;
            next += 1;
        }
        end = start;
    }
    order
}

/// One post.
fn post(
    page: &Page<'_>,
    section: &Section<'_>,
    parts: Parts,
    day: Option<DateTime<Utc>>,
    position: usize,
    last: Option<(SourceKey, Option<SourceKey>)>,
) -> Item {
    let skipped = |reason: &str| Err(page.skipped(section.line, reason));
    let Some(url) = section.link.and_then(web_address) else {
        return skipped("its source line does not link to a post");
    };
    if section.text.len() > MAX_POST {
        return skipped("is longer than 128 KiB, which no post is");
    }
    if parts.text.is_empty() && parts.media.is_empty() && parts.tags.is_empty() {
        return skipped("is empty");
    }
    let link = PostLink::read(&url);
    // A thread may go on for days after the day of its page, so that bounds only the beginning of a thread.
    let near = day.filter(|_| parts.opens);
    let trusted =
        link.status.and_then(|status| trusted_time(status, near.map(|day| day + Duration::hours(12)), page.now));
    let trusted = trusted.filter(|time| day.is_none_or(|day| *time >= day - Duration::days(1)));
    let estimated = || day.and_then(|day| day.checked_add_signed(seconds(position)));
    let dated = trusted.map(|time| (time, DateOrigin::StatusId));
    let Some((published, date_origin)) = dated.or_else(|| Some((estimated()?, DateOrigin::Estimated))) else {
        return skipped("has no date: neither its page nor its status id tells one");
    };
    let reply_to = last.and_then(|(last, parent)| if last == link.key { parent } else { Some(last) });
    let mut remarks: Vec<Remark> = Vec::new();
    if let Some(heading) = &parts.heading {
        let note = format!("its heading is not the beginning of its text and was left out: {heading}");
        remarks.push(page.remark(section.line, &note, true));
    }
    let (object_id, canonical_url) = links::object_and_page(&url, &link);
    let html = match parts.text.is_empty() {
        // All that such a post said were its hashtags, which the converter takes out of the text.
        true => escape(&parts.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" ")),
        false => html(&parts.text),
    };
    Ok(SourcePost {
        at: format!("{}:{}", page.shown, section.line),
        key: link.key,
        author: link.author,
        status: link.status,
        object_id,
        object_id_stated: false,
        canonical_url: Some(canonical_url),
        audience: page.audience(),
        published,
        date_origin,
        edited: None,
        html: if html.is_empty() || html.starts_with("<p>") { html } else { format!("<p>{html}</p>") },
        // A post with a warning has sensitive media at Mastodon, whatever its author chose.
        sensitive: parts.warning.is_some(),
        warning: parts.warning,
        language: None,
        tags: hashtags(parts.tags.iter().map(String::as_str)),
        reply_to,
        media: media(page, parts.media),
        told: Told::default(),
        bytes: page.text.as_bytes()[section.start..section.end].to_vec(),
        format: Format::HugoDay,
        reader_version: READER_VERSION,
        remarks,
    })
}

/// Where the media are. The converter puts them into a folder beside the years, and links to where the site serves it.
fn media(page: &Page<'_>, embeds: Vec<markup::Embed>) -> Vec<SourceMedia> {
    let beside_years = page.folder().parent().unwrap_or(Path::new("")).join("media");
    media_of(embeds, |target| {
        let found = site::reference(page.tree, page.folder(), target)?;
        let name = found.rsplit('/').next().unwrap_or_default();
        let beside = site::joined(&beside_years, name);
        let is_lost = found.starts_with('/') && target.contains("/media/");
        Some(if is_lost && page.tree.holds(&beside) { beside } else { found })
    })
}

/// Whether a heading, which may be cut, is how a text begins.
fn repeats(heading: &str, text: &str) -> bool {
    let cut = heading.strip_suffix("...").unwrap_or(heading).trim_end_matches('\u{fffd}');
    let mut text = text.chars().filter(|c| !c.is_whitespace());
    cut.chars().filter(|c| !c.is_whitespace()).all(|c| text.next() == Some(c))
}

/// The line with the hashtags below a post, and what stands above it.
fn take_tags(text: &str) -> (&str, Vec<String>) {
    let (above, line) = text.trim_end().rsplit_once('\n').unwrap_or(("", text.trim_end()));
    let Some(list) = line.strip_prefix("<small><b>Tags:</b>").and_then(|line| line.strip_suffix("</small>")) else {
        return (text, Vec::new());
    };
    let names = list.split(',').map(|tag| tag.trim().trim_matches('`').trim_start_matches(['#', '＃']).to_owned());
    (above.trim_end(), names.filter(|tag| !tag.is_empty()).collect())
}

/// The content warning below a post, which may have several lines, and what stands above it.
fn take_warning(text: &str) -> (&str, Option<String>) {
    const OPENING: &str = "*Content Warning: ";
    let text = text.trim_end();
    let mut from = text.len().saturating_sub(REACH);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let found = text[from..].rfind(OPENING).map(|at| from + at);
    let at_line_start = found.filter(|at| *at == 0 || text[..*at].ends_with('\n'));
    match at_line_start.and_then(|at| Some((at, text[at..].strip_prefix(OPENING)?.strip_suffix('*')?.trim()))) {
        Some((at, warning)) if !warning.is_empty() => (text[..at].trim_end(), Some(warning.to_owned())),
        _ => (text, None),
    }
}

/// The films and sounds below a post, each a link on a line of its own, and what stands above them.
fn take_linked_files(text: &str) -> (&str, Vec<markup::Embed>) {
    let mut rest = text;
    let mut files = Vec::new();
    while let Some((above, embed)) = last_linked_file(rest) {
        files.insert(0, embed);
        rest = above.trim_end();
    }
    (rest, files)
}

fn last_linked_file(text: &str) -> Option<(&str, markup::Embed)> {
    let text = text.strip_suffix(')')?;
    let open = text.rfind("](")?;
    let target = &text[open + 2..];
    let start =
        if text[..open].starts_with('[') && !text[..open].contains("\n[") { 0 } else { text[..open].rfind("\n[")? + 1 };
    let name = &text[start + 1..open];
    let attached = name.strip_prefix("Attachment: ");
    let kind = match attached {
        Some(media_type) => crate::domain::source::MediaKind::of_type(media_type)?,
        None => markup::kind_of(target).filter(|_| target.starts_with('/'))?,
    };
    let is_name = attached.is_some() || target.rsplit('/').next() == Some(name);
    let alt = (!is_name).then(|| name.trim().to_owned()).filter(|alt| !alt.is_empty());
    Some((&text[..start], markup::Embed { target: target.to_owned(), kind, alt }))
}

/// The plain text of a post as HTML: paragraphs, with the two kinds of links that the converter writes.
fn html(text: &str) -> String {
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("<p>{}</p>", inline(paragraph).replace('\n', "<br>"))).collect()
}

fn inline(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '[']) {
        html.push_str(&escape(&rest[..at]));
        rest = &rest[at..];
        let (piece, length) = bare_link(markup::beginning(rest))
            .or_else(|| mention(markup::beginning(rest)))
            .unwrap_or_else(|| (escape(&rest[..1]), 1));
        html.push_str(&piece);
        rest = &rest[length..];
    }
    html + &escape(rest)
}

/// `<https://…>`. The converter also puts a whole line into the brackets if it begins with a link.
fn bare_link(rest: &str) -> Option<(String, usize)> {
    let inside = &rest[1..rest.lines().next()?.find('>')?];
    let (link, more) = inside.split_at(inside.find(char::is_whitespace).unwrap_or(inside.len()));
    rest.starts_with('<').then_some(())?;
    web_address(link)?;
    let link = escape(link);
    Some((format!("<a href=\"{link}\">{link}</a>{}", escape(more)), inside.len() + 2))
}

/// `[@ann](https://…)`.
fn mention(rest: &str) -> Option<(String, usize)> {
    let (name, target) = rest.strip_prefix('[')?.split_once("](")?;
    let (link, _) = target.split_once(')')?;
    if !name.starts_with('@') || name.contains(['\n', '[']) {
        return None;
    }
    web_address(link)?;
    let length = name.len() + link.len() + "[]()".len();
    Some((format!("<a href=\"{}\" class=\"u-url mention\">{}</a>", escape(link), escape(name)), length))
}
