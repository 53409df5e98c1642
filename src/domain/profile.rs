//! What an archive tells of the account at its source, and what of our account's profile follows from it. Pure rules.
//!
//! An import fills what is empty, and changes what an earlier archive filled and nobody touched since. What an owner
//! set, or took away, stays as it is. Start with [`merge`].

use super::account::Profile;
use super::post::MediaFile;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};

/// What the account at the source is or was, by its last archive. Told, not checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFacts {
    /// What others call it: `ann@host.example`.
    pub handle: Option<String>,
    /// When it was made at its server.
    pub published: Option<DateTime<Utc>>,
    /// Other ids that it names as its own. Kept, and claimed nowhere: who they are is not proven.
    pub also_known_as: Vec<String>,
    /// Where it moved to, if it did. Never said of ours, which did not move.
    pub moved_to: Option<String>,
    /// Whether its server could suggest it to others.
    pub discoverable: bool,
    /// Whether its posts could be indexed.
    pub indexable: bool,
    /// Whether its server had suspended it.
    pub suspended: bool,
}

/// What archives filled in of a profile: each part as it was when it was filled, empty for what never was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// The display name.
    pub name: String,
    /// The bio.
    pub summary: SafeHtml,
    /// The rows of the table.
    pub fields: Vec<(String, String)>,
    /// The avatar, by its hash.
    pub avatar: Option<String>,
    /// The header, by its hash.
    pub header: Option<String>,
}

/// What is kept of archives' profiles beside our own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchivedProfile {
    /// What the last archive told.
    pub facts: SourceFacts,
    /// What came from archives.
    pub given: Given,
    /// Date of the newest public post in that archive, which tells a later archive from an earlier one.
    pub up_to: Option<DateTime<Utc>>,
}

/// A picture of a profile, as an archive brings it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Brought {
    /// The account had none.
    #[default]
    None,
    /// It had one, and the archive does not hold it.
    Missing,
    /// It is in the media store.
    File(MediaFile),
}

/// The profile of an archive, made ready: clean, within the sizes that others read, its pictures in the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewProfile {
    /// The id of the account at its source.
    pub actor: Option<String>,
    /// What it is or was.
    pub facts: SourceFacts,
    /// The display name.
    pub name: String,
    /// The bio.
    pub summary: SafeHtml,
    /// The rows of the table.
    pub fields: Vec<(String, String)>,
    /// The avatar.
    pub avatar: Brought,
    /// The header.
    pub header: Brought,
    /// Date of the newest public post in the archive.
    pub up_to: Option<DateTime<Utc>>,
}

/// A part of a profile that is filled, or left alone, by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The display name.
    Name,
    /// The bio.
    Summary,
    /// The rows of the table, all together.
    Fields,
    /// The avatar.
    Avatar,
    /// The header.
    Header,
}

impl Part {
    /// The word for reports: the key of `account set`, where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Part::Name => "name",
            Part::Summary => "summary",
            Part::Fields => "fields",
            Part::Avatar => "avatar",
            Part::Header => "header",
        }
    }
}

/// What becomes of a profile by an archive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// What our account shows of itself.
    pub profile: Profile,
    /// What is kept beside it.
    pub archived: ArchivedProfile,
    /// The parts that changed.
    pub set: Vec<Part>,
    /// The parts that the archive tells otherwise and that stay, because the owner set them.
    pub left: Vec<Part>,
    /// Whether the archive is older than the last one, so that nothing changed.
    pub older: bool,
}

/// Let an archive fill and refresh a profile. An archive that is older than the last one changes nothing.
pub fn merge(present: &Profile, before: Option<&ArchivedProfile>, new: &NewProfile) -> Merged {
    let archived = before.cloned().unwrap_or_default();
    let mut merged = Merged { profile: present.clone(), archived, ..Merged::default() };
    if before.is_some_and(|before| before.up_to > new.up_to) {
        return Merged { older: true, ..merged };
    }
    merged.archived.facts = new.facts.clone();
    merged.archived.up_to = new.up_to;
    let Merged { profile, archived: ArchivedProfile { given, .. }, set, left, .. } = &mut merged;
    let mut note = |part: Part, outcome: Outcome| match outcome {
        Outcome::Set => set.push(part),
        Outcome::Left => left.push(part),
        Outcome::Same => {}
    };
    note(Part::Name, take(&mut profile.name, &mut given.name, &new.name));
    note(Part::Summary, take(&mut profile.summary, &mut given.summary, &new.summary));
    note(Part::Fields, take(&mut profile.fields, &mut given.fields, &new.fields));
    note(Part::Avatar, take_picture(&mut profile.avatar, &mut given.avatar, &new.avatar));
    note(Part::Header, take_picture(&mut profile.header, &mut given.header, &new.header));
    merged
}

enum Outcome {
    Set,
    Left,
    Same,
}

/// One part: it follows the archive as long as it is what archives made of it.
fn take<T: Clone + PartialEq>(present: &mut T, given: &mut T, new: &T) -> Outcome {
    if present != given {
        return if present == new { Outcome::Same } else { Outcome::Left };
    }
    if present == new {
        return Outcome::Same;
    }
    *present = new.clone();
    *given = new.clone();
    Outcome::Set
}

/// The same for a picture. One that the archive has lost is no picture that the account gave up.
fn take_picture(present: &mut Option<MediaFile>, given: &mut Option<String>, new: &Brought) -> Outcome {
    let new = match new {
        Brought::Missing => return Outcome::Same,
        Brought::None => None,
        Brought::File(file) => Some(file),
    };
    let hash = |file: Option<&MediaFile>| file.map(|file| file.sha256.clone());
    let mut shown = hash(present.as_ref());
    let outcome = take(&mut shown, given, &hash(new));
    if matches!(outcome, Outcome::Set) {
        *present = new.cloned();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str, up_to: i64) -> NewProfile {
        let up_to = DateTime::from_timestamp(up_to, 0);
        NewProfile { name: name.to_owned(), up_to, ..NewProfile::default() }
    }

    fn named(name: &str) -> Profile {
        Profile { name: name.to_owned(), ..Profile::default() }
    }

    fn file(sha256: &str) -> MediaFile {
        MediaFile {
            sha256: sha256.to_owned(),
            extension: "png".to_owned(),
            media_type: "image/png".to_owned(),
            bytes: 1,
            picture: None,
        }
    }

    #[test]
    fn an_archive_fills_what_is_empty_and_a_later_one_changes_what_it_filled() {
        let first = merge(&Profile::default(), None, &new("Ann", 1));
        assert_eq!((first.profile.name.as_str(), first.set.as_slice()), ("Ann", [Part::Name].as_slice()));
        let again = merge(&first.profile, Some(&first.archived), &new("Ann", 1));
        assert_eq!((&again.profile, &again.archived), (&first.profile, &first.archived));
        assert_eq!((again.set, again.left), (vec![], vec![]));
        let later = merge(&first.profile, Some(&first.archived), &new("Anna", 2));
        assert_eq!((later.profile.name.as_str(), later.set), ("Anna", vec![Part::Name]));
        let emptied = merge(&later.profile, Some(&later.archived), &new("", 3));
        assert_eq!(emptied.profile.name, "", "the account gave it up");
    }

    #[test]
    fn what_the_owner_set_or_took_away_stays() {
        let before_any = merge(&named("Mine"), None, &new("Ann", 1));
        assert_eq!((before_any.profile.name.as_str(), before_any.left.as_slice()), ("Mine", [Part::Name].as_slice()));
        let set_alike = merge(&named("Ann"), None, &new("Ann", 1));
        assert_eq!(set_alike.left, vec![], "there is nothing to tell");
        let later = merge(&set_alike.profile, Some(&set_alike.archived), &new("Anna", 2));
        assert_eq!((later.profile.name.as_str(), later.left), ("Ann", vec![Part::Name]));
        let filled = merge(&Profile::default(), None, &new("Ann", 1));
        for own in ["Mine", ""] {
            let kept = merge(&named(own), Some(&filled.archived), &new("Anna", 2));
            assert_eq!((kept.profile.name.as_str(), kept.left), (own, vec![Part::Name]));
        }
    }

    #[test]
    fn an_older_archive_takes_nothing_back() {
        let first = merge(&Profile::default(), None, &new("Ann", 2));
        let older = merge(&first.profile, Some(&first.archived), &new("Annie", 1));
        assert_eq!((older.profile, older.archived), (first.profile, first.archived));
        assert_eq!(merge(&Profile::default(), None, &new("Ann", 1)).profile.name, "Ann", "the first one always counts");
    }

    #[test]
    fn a_picture_that_is_missing_in_an_archive_stays_and_one_that_was_given_up_goes() {
        let brings = |avatar| NewProfile { avatar, ..NewProfile::default() };
        let first = merge(&Profile::default(), None, &brings(Brought::File(file("aa"))));
        assert_eq!((first.profile.avatar.clone(), first.set.as_slice()), (Some(file("aa")), [Part::Avatar].as_slice()));
        let missing = merge(&first.profile, Some(&first.archived), &brings(Brought::Missing));
        assert_eq!((missing.profile.avatar.clone(), missing.set, missing.left), (Some(file("aa")), vec![], vec![]));
        let given_up = merge(&missing.profile, Some(&missing.archived), &brings(Brought::None));
        assert_eq!((given_up.profile.avatar, given_up.archived.given.avatar), (None, None));
        let own = Profile { avatar: Some(file("bb")), ..Profile::default() };
        let kept = merge(&own, Some(&first.archived), &brings(Brought::File(file("cc"))));
        assert_eq!((kept.profile.avatar, kept.left), (Some(file("bb")), vec![Part::Avatar]));
    }
}
