//! Layout (d): any post of a Hugo or Jekyll site whose front matter says where it first stood. One post a page.
//!
//! The body is a person's Markdown or HTML, with shortcodes in it. Start with [`item`].

use super::front_matter::{self, CANONICAL_KEYS, Picture};
use super::markdown::{self, Flavour};
use super::{Item, Page, TOO_DEEP, hashtags, links, markup, media_of, shortcodes, site, told, web_address};
use crate::domain::snowflake::trusted_time;
use crate::domain::source::{DateOrigin, Format, PostLink, Remark, SourcePost};
use crate::domain::told::Told;
use crate::text::escape;
use chrono::{DateTime, NaiveTime, Timelike, Utc};
use url::Url;

/// The version of this reader. A new one may read differently what has not changed.
pub const READER_VERSION: i32 = 1;

/// The longest body: what is served of it must stay below what other servers take (1 MiB at Mastodon 4.x).
const MAX_BODY: usize = 512 * 1024;

/// The one post of a page.
pub fn item(page: &Page<'_>, is_html: bool) -> Item {
    let says = &page.front_matter;
    let line = page.first_line();
    let stated = says.canonicals().next().map(|(key, value)| format!("{key} is no web address: {value}"));
    let Some((key, url)) = says.canonicals().find_map(|(key, value)| Some((key, web_address(value)?))) else {
        return Err(page.skipped(1, &format!("its {}", stated.unwrap_or_default())));
    };
    if let Some(told) = told::of(page, says.canonicals().next().map(|(_, value)| value)) {
        return told::item(page, told, line, page.body(), (Format::HugoPage, READER_VERSION));
    }
    if page.body().len() > MAX_BODY {
        return Err(page.skipped(line, "is longer than 512 KiB, which other servers would not take"));
    }
    let link = PostLink::read(&url);
    let (published, date_origin) = published(page, &link).map_err(|reason| page.skipped(line, &reason))?;
    if markdown::is_too_deep(page.body()) {
        return Err(page.skipped(line, TOO_DEEP));
    }
    let content = content(page, is_html, &url, is_own_place(key) && link.status.is_none());
    let Some(content) = content else {
        return Err(page.skipped(line, TOO_DEEP));
    };
    if content.media.is_empty() && content.text.trim().is_empty() {
        return Err(page.skipped(line, "is empty"));
    }
    let (object_id, canonical_url) = links::object_and_page(&url, &link);
    let stated = object_id.as_deref() == Some(url.as_str());
    let html = match title(page, &link, &content.text) {
        Some(title) => format!("<h1>{}</h1>\n{}", escape(&title), content.html),
        None => content.html,
    };
    Ok(SourcePost {
        at: format!("{}:{line}", page.shown),
        key: link.key,
        author: link.author,
        status: link.status,
        object_id,
        object_id_stated: stated,
        canonical_url: Some(canonical_url),
        audience: page.audience(),
        published,
        date_origin,
        edited: edited(page, published),
        html,
        warning: says.warning.clone().or_else(|| says.summary.clone()),
        sensitive: says.sensitive || says.warning.is_some(),
        language: language(page),
        tags: hashtags(
            says.tags.split().into_iter().chain(says.keywords.split()).chain(content.tags.iter().map(String::as_str)),
        ),
        reply_to: None,
        media: content.media,
        told: Told::default(),
        bytes: page.text.as_bytes().to_vec(),
        format: Format::HugoPage,
        reader_version: READER_VERSION,
        remarks: content.remarks,
    })
}

/// When the page was edited, if that was after it was published.
pub fn edited(page: &Page<'_>, published: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let edited = page.front_matter.lastmod.as_deref().and_then(front_matter::date)?;
    (edited > published && page.is_plausible(edited)).then_some(edited)
}

/// The language that the page states, or that its name carries as in `post.de.md`.
pub fn language(page: &Page<'_>) -> Option<String> {
    let stated = page.front_matter.language.as_deref().and_then(language_tag);
    stated.or_else(|| {
        let code = page.name().rsplit('.').nth(1).filter(|_| page.name().matches('.').count() > 1)?;
        isolang::Language::from_639_1(&code.to_ascii_lowercase()).map(|_| code.to_ascii_lowercase())
    })
}

/// A BCP 47 tag in its usual spelling, `None` for what is none.
fn language_tag(text: &str) -> Option<String> {
    let text = text.replace('_', "-");
    let mut parts = text.split('-');
    let language = parts.next()?.to_ascii_lowercase();
    let is_language = (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let rest: Vec<&str> = parts.collect();
    if !is_language || !rest.iter().all(|part| is_part(part)) {
        return None;
    }
    Some(std::iter::once(language.as_str()).chain(rest).collect::<Vec<_>>().join("-"))
}

/// Whether a key names the page's own address, not that of a copy elsewhere.
fn is_own_place(key: &str) -> bool {
    CANONICAL_KEYS.iter().position(|known| *known == key).is_some_and(|rank| rank < 5)
}

/// When the post was published: by its front matter, its file's name, or its status id.
fn published(page: &Page<'_>, link: &PostLink) -> Result<(DateTime<Utc>, DateOrigin), String> {
    let says = &page.front_matter;
    let texts = [&says.date, &says.published_at, &says.publish_date];
    let stated = texts.into_iter().flatten().find_map(|text| front_matter::date(text));
    let stated = stated.or_else(|| front_matter::of_file_name(page.name()));
    let by_id = |near| link.status.and_then(|status| trusted_time(status, near, page.now));
    let Some(date) = stated else {
        let reason = match texts.into_iter().flatten().next() {
            Some(date) => format!("its date is no date: {date}"),
            None => "has no date: neither its front matter nor its name nor a status id tells one".to_owned(),
        };
        return by_id(None).map(|time| (time, DateOrigin::StatusId)).ok_or(reason);
    };
    if date > page.now {
        return Err(format!("is not to be published before {}", date.format("%Y-%m-%d %H:%M UTC")));
    }
    if !page.is_plausible(date) {
        return Err("its date is before 1970 or after 9999".into());
    }
    // A status id tells the rest of a date that stops at the day or the second.
    let is_day = date.time() == NaiveTime::MIN;
    let agrees = |time: &DateTime<Utc>| {
        time.timestamp() == date.timestamp() || (is_day && time.date_naive() == date.date_naive())
    };
    let finer = by_id(Some(date)).filter(|time| date.nanosecond() == 0 && agrees(time));
    Ok((finer.unwrap_or(date), DateOrigin::FrontMatter))
}

/// A body, read.
struct Content {
    html: String,
    /// The same without markup.
    text: String,
    tags: Vec<String>,
    media: Vec<crate::domain::source::SourceMedia>,
    remarks: Vec<Remark>,
}

/// Read the body, unless it is nested too deep: shortcodes out, Markdown to HTML, shortcodes back in, media out, links mended.
fn content(page: &Page<'_>, is_html: bool, url: &Url, url_is_base: bool) -> Option<Content> {
    let text = page.body().replace("\r\n", "\n");
    let taken = shortcodes::take(&text, is_jekyll(page));
    let html = if is_html { taken.text.clone() } else { markdown::html(&taken.text, Flavour::Page) };
    let html = taken.put_back(&html);
    if markup::depth(&html) > markdown::MAX_DEPTH {
        return None;
    }
    let (html, embeds) = markup::take_media(&html, markup::Looking::Elements);
    let mended = links::mend(&html, Some(url).filter(|_| url_is_base));
    let mut remarks: Vec<Remark> = Vec::new();
    for (before, note) in taken.left_out {
        remarks.push(page.remark(page.lines + 1 + before, &note, true));
    }
    let line = page.first_line();
    if mended.lost > 0 {
        let note = format!("links to other pages of its site have lost their address: {}", mended.lost);
        remarks.push(page.remark(line, &note, true));
    }
    if !mended.foreign.is_empty() {
        let note = format!("elements that no post can hold were left out: {}", mended.foreign.join(", "));
        remarks.push(page.remark(line, &note, true));
    }
    let says = &page.front_matter;
    let framed = says.cover.iter().map(embed).chain(embeds).chain(says.images.iter().map(embed));
    let words = markup::words(&mended.html);
    Some(Content {
        text: words.text,
        tags: words.linked,
        media: media_of(framed.collect(), |target| site::reference(page.tree, page.folder(), target)),
        html: mended.html,
        remarks,
    })
}

fn embed(picture: &Picture) -> markup::Embed {
    let kind = markup::kind_of(&picture.target).unwrap_or(crate::domain::source::MediaKind::Image);
    markup::Embed { target: picture.target.clone(), kind, alt: picture.alt.clone() }
}

/// Whether Jekyll reads the page: by the folder that only Jekyll has, or by a dated name with a layout.
fn is_jekyll(page: &Page<'_>) -> bool {
    let dated = || front_matter::of_file_name(page.name()).is_some();
    page.relative.iter().any(|part| part == "_posts") || (page.front_matter.layout && dated())
}

/// The title, where the text does not begin with it. A status has none: there a site's title is made up.
fn title(page: &Page<'_>, link: &PostLink, text: &str) -> Option<String> {
    let title = page.front_matter.title.as_deref().filter(|_| link.status.is_none())?;
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let wanted = letters(title);
    (!wanted.is_empty() && !letters(text).starts_with(&wanted)).then(|| title.to_owned())
}
