//! The profile that an archive tells: made ready, and kept as far as its owner did not decide otherwise.
//!
//! The edge where a bio and a table are cleaned, once. What becomes of each part says `domain::profile::merge`.

use super::accounts::{MAX_FIELD, MAX_FIELDS, MAX_NAME, MAX_SUMMARY, keep_picture};
use super::announcements::Announcer;
use super::audiences::is_public;
use super::pipeline::Item;
use super::target::{Target, same_author};
use super::{App, Error};
use crate::domain::account::{Account, Profile};
use crate::domain::post::MediaFile;
use crate::domain::profile::{Brought, Merged, NewProfile, Part, SourceFacts, merge};
use crate::domain::source::{Author, Remark};
use crate::domain::told::SourceProfile;
use crate::import;
use crate::media::MediaStore;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use std::io::Read;

/// Opens a file of an archive by what its profile calls it.
type Open<'a> = &'a dyn Fn(&str) -> Result<Box<dyn Read + Send>, import::Error>;

/// The profile of an archive, ready to be kept.
#[derive(Debug)]
pub(super) struct Ready {
    author: Author,
    new: NewProfile,
    private_lists: (u64, u64),
    missing: u64,
    remarks: Vec<Remark>,
}

impl Ready {
    /// What it would make of an account that shows nothing of itself yet; `None` if it is somebody else's.
    pub(super) fn of(self, account: &Account) -> Option<Profile> {
        let is_own = account.source.as_ref().is_some_and(|own| same_author(own, &self.author));
        is_own.then(|| merge(&Profile::default(), None, &self.new).profile)
    }
}

/// What became of the profile that an archive tells, or would.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The id of the account at its source.
    pub actor: Option<String>,
    /// What that account is or was.
    pub facts: SourceFacts,
    /// What ours shows of itself now.
    pub profile: Profile,
    /// The parts that the archive changed.
    pub set: Vec<Part>,
    /// The parts that the archive tells otherwise and that stay as their owner set them.
    pub left: Vec<Part>,
    /// Whether an earlier import was of a newer archive, so that nothing of this one counts.
    pub older: bool,
    /// How many liked and bookmarked posts the archive lists. They are private: counted, and not stored.
    pub private_lists: (u64, u64),
    /// Pictures that the archive does not hold, or that cannot be kept.
    pub missing: u64,
    /// What is not quite as it was.
    pub remarks: Vec<Remark>,
}

impl Outcome {
    /// The pictures that the archive brought and our account shows.
    pub(super) fn stored(&self) -> impl Iterator<Item = &MediaFile> {
        let pictures = [(Part::Avatar, &self.profile.avatar), (Part::Header, &self.profile.header)];
        pictures.into_iter().filter(|(part, _)| self.set.contains(part)).filter_map(|(_, file)| file.as_ref())
    }
}

/// The date of the newest of these posts that is for everyone.
pub(super) fn newest(items: &[Item]) -> Option<DateTime<Utc>> {
    let public = items.iter().flatten().filter(|post| is_public(post));
    public.map(|post| post.published).max()
}

/// Make a profile ready: clean, within the sizes that others read, its pictures in the store, or looked at unless `keep`.
/// `None` for one that does not say whose it is. `at` names the archive. Blocking.
pub(super) fn make_ready(
    told: SourceProfile,
    at: &str,
    open: Open<'_>,
    media: &MediaStore,
    keep: bool,
    up_to: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<Ready> {
    let author = told.author?;
    let (mut remarks, mut missing) = (Vec::new(), 0);
    let mut remark = |note: String, loss: bool| remarks.push(Remark { at: at.to_owned(), note, loss });
    let mut picture = |reference: Option<&String>, part: Part| {
        let Some(reference) = reference else { return Brought::None };
        let read = || open(reference).map_err(|e| e.to_string());
        match keep_picture(media, keep, &read) {
            Ok(file) => Brought::File(file),
            Err(reason) => {
                missing += 1;
                // It is counted as missing, which is how a loss of media is told.
                remark(format!("the {} of the profile is missing: {reason}", part.name()), false);
                Brought::Missing
            }
        }
    };
    let (avatar, header) = (picture(told.avatar.as_ref(), Part::Avatar), picture(told.header.as_ref(), Part::Header));
    let (name, cut) = limited(without_breaks(&told.name).trim(), MAX_NAME);
    if cut {
        remark(format!("the name of the profile was cut after {MAX_NAME} characters"), true);
    }
    let mut summary = SafeHtml::sanitise(&told.summary_html);
    if summary.as_str().len() > MAX_SUMMARY {
        // Escaping makes a character six bytes at most.
        summary = SafeHtml::from_plain(&limited(&summary.to_plain(), MAX_SUMMARY / 6).0);
        remark(
            format!("the bio is longer than {} KiB and was cut, and its links are text now", MAX_SUMMARY >> 10),
            true,
        );
    }
    if told.fields.len() > MAX_FIELDS {
        remark(format!("the profile has more than {MAX_FIELDS} fields; the others were left out"), true);
    }
    let mut fields = Vec::new();
    for (name, value) in told.fields.iter().take(MAX_FIELDS) {
        let (name, name_cut) = limited(without_breaks(name).trim(), MAX_FIELD);
        let (value, value_cut) = limited(&field_value(value), MAX_FIELD);
        if name_cut || value_cut {
            remark(format!("a field of the profile was cut after {MAX_FIELD} characters"), true);
        }
        fields.push((name, value));
    }
    let is_plausible = |at: &DateTime<Utc>| *at > DateTime::UNIX_EPOCH && *at <= now;
    let new = NewProfile {
        actor: told.actor,
        facts: SourceFacts {
            handle: told.handle,
            published: told.published.filter(is_plausible),
            also_known_as: told.also_known_as,
            moved_to: told.moved_to,
            discoverable: told.discoverable,
            indexable: told.indexable,
            suspended: told.suspended,
        },
        name,
        summary,
        fields,
        avatar,
        header,
        up_to,
    };
    Some(Ready { author, new, private_lists: told.private_lists, missing, remarks })
}

/// Keep the newest of these profiles that is the account's own; for a dry run, what would become of it.
pub(super) async fn keep(
    app: &App,
    target: &Target,
    ready: Vec<Ready>,
    dry_run: bool,
    now: DateTime<Utc>,
) -> Result<Option<Outcome>, Error> {
    let is_own = |ready: &Ready| match target {
        Target::Account(account) => account.source.as_ref().is_some_and(|own| same_author(own, &ready.author)),
        Target::WouldBe(_) => true,
    };
    let Some(Ready { new, private_lists, missing, remarks, .. }) =
        ready.into_iter().filter(is_own).max_by_key(|ready| ready.new.up_to)
    else {
        return Ok(None);
    };
    let Merged { profile, set, left, older, .. } = match target {
        Target::Account(account) if dry_run => merge(&account.profile, account.archived.as_ref(), &new),
        Target::Account(account) => {
            let announcer = Announcer::of(app, account, now).await?;
            app.store.take_profile(account.id, &new, &|account| Some(announcer.update_actor(account)), now).await?
        }
        Target::WouldBe(_) => merge(&Profile::default(), None, &new),
    };
    let NewProfile { actor, facts, .. } = new;
    Ok(Some(Outcome { actor, facts, profile, set, left, older, private_lists, missing, remarks }))
}

/// A field's value as plain text: the address of a lone link, which is shown as one again; else the text, with the
/// addresses that it hides.
fn field_value(html: &str) -> String {
    let safe = SafeHtml::sanitise(html);
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    if let Some(url) = safe.lone_link().filter(is_web) {
        return url;
    }
    let mut plain = without_breaks(&safe.to_plain()).trim().to_owned();
    for url in safe.links().iter().filter(|url| is_web(url)) {
        let bare = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        if !plain.contains(bare.trim_end_matches('/')) {
            plain.push_str(&format!(" ({url})"));
        }
    }
    plain
}

/// The same without what breaks a line.
fn without_breaks(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The first characters, and whether there were more.
fn limited(text: &str, most: usize) -> (String, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (text[..end].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(html: &str, plain: &str) {
        assert_eq!(field_value(html), plain);
    }

    #[test]
    fn a_lone_link_becomes_its_address_and_anything_else_text_that_hides_none() {
        check(r#"<a href="https://ilse.example" rel="me nofollow">ilse.example</a>"#, "https://ilse.example");
        check(
            r#"<a href="https://a.example/long/path" translate="no"><span class="invisible">https://</span><span class="ellipsis">a.example/long</span><span class="invisible">/path</span></a>"#,
            "https://a.example/long/path",
        );
        check("North mole", "North mole");
        check("https://plain.example", "https://plain.example");
        check("a &amp; b &lt;i&gt;", "a & b <i>");
        check(r#"my <a href="https://a.example/x">site</a> &amp; boat"#, "my site & boat (https://a.example/x)");
        check(r#"at <a href="https://a.example/">https://a.example</a>, mostly"#, "at https://a.example, mostly");
        check(r#"<a href="mailto:ann@a.example">write</a>"#, "write");
    }

    #[test]
    fn a_field_that_tries_to_script_is_text_or_nothing() {
        check(r#"<a href="javascript:alert(1)">me</a>"#, "me");
        check("<script>alert(1)</script><img src=x onerror=alert(2)>", "");
        check("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>");
        check("one<br>two", "one two");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(limited("añb", 2), ("añ".to_owned(), true));
        assert_eq!(limited("añb", 3), ("añb".to_owned(), false));
    }
}
