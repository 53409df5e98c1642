//! What becomes of a source post, given what stands under its key. Pure.

use crate::domain::ids::{ContextId, PostId};
use crate::domain::post::NewPost;
use crate::domain::source::Format;
use chrono::{DateTime, Utc};

/// A post as it stands, as far as a decision about it goes.
#[derive(Clone, Debug)]
pub(super) struct Existing {
    pub(super) id: PostId,
    pub(super) context: ContextId,
    pub(super) to_others: bool,
    pub(super) withdrawn: Option<DateTime<Utc>>,
    pub(super) awaited: bool,
    pub(super) source: Option<(String, i32, Vec<u8>)>,
    pub(super) files: i64,
}

impl Existing {
    /// Whether it was read from another format than a new post.
    pub(super) fn is_of_other_format(&self, new: &NewPost) -> bool {
        self.source.as_ref().is_some_and(|(format, _, _)| format != new.format.name())
    }
}

/// What to do with a source post, given what stands.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Nothing stands: write it.
    Create,
    /// Write it over what stands; `edited` when its author's text changed.
    Replace { edited: bool },
    /// A poorer format: it only fills what is empty.
    Fill,
    /// Leave it.
    Keep,
    /// It was withdrawn.
    Refuse(DateTime<Utc>),
}

/// Decide about one post.
pub(super) fn decide(existing: Option<&Existing>, new: &NewPost) -> Decision {
    let Some(existing) = existing else { return Decision::Create };
    if let Some(withdrawn) = existing.withdrawn {
        return if existing.awaited { Decision::Replace { edited: false } } else { Decision::Refuse(withdrawn) };
    }
    let Some((format, version, sha256)) = &existing.source else { return Decision::Replace { edited: false } };
    if format == new.format.name() {
        let same = sha256.as_slice() == new.source_sha256;
        let files = new.attachments.iter().filter(|attachment| attachment.file.is_some()).count();
        let found = i64::try_from(files).is_ok_and(|files| files > existing.files);
        return match (same, new.reader_version > *version || found) {
            (true, false) => Decision::Keep,
            (true, true) => Decision::Replace { edited: false },
            (false, _) => Decision::Replace { edited: true },
        };
    }
    let standing = Format::named(format).map_or(0, Format::rank);
    if new.format.rank() > standing { Decision::Replace { edited: false } } else { Decision::Fill }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::details::Details;
    use crate::domain::post::Visibility;
    use crate::domain::source::{DateOrigin, SourceKey};
    use crate::text::SafeHtml;

    fn new(sha256: u8, reader_version: i32) -> NewPost {
        NewPost {
            at: "a.md:1".to_owned(),
            key: SourceKey("k".to_owned()),
            preferred_id: PostId(1),
            object_id: None,
            object_id_stated: false,
            canonical_url: None,
            visibility: Visibility::Public,
            published: "2024-04-05T00:39:47Z".parse().unwrap(),
            date_origin: DateOrigin::FrontMatter,
            edited: None,
            content: SafeHtml::default(),
            warning: None,
            sensitive: false,
            language: None,
            tags: Vec::new(),
            reply_to: None,
            attachments: Vec::new(),
            details: Details::default(),
            boost_of: None,
            refers_to: None,
            format: Format::HugoBundle,
            reader_version,
            source_sha256: [sha256; 32],
            source_bytes: Vec::new(),
            remarks: Vec::new(),
        }
    }

    fn existing(format: &str, sha256: u8) -> Existing {
        let source = Some((format.to_owned(), 1, vec![sha256; 32]));
        Existing {
            id: PostId(1),
            context: ContextId(1),
            to_others: false,
            withdrawn: None,
            awaited: false,
            source,
            files: 0,
        }
    }

    #[test]
    fn a_post_is_edited_only_when_the_same_format_tells_something_else() {
        let standing = existing("hugo-bundle", 7);
        assert_eq!(decide(None, &new(7, 1)), Decision::Create);
        assert_eq!(decide(Some(&standing), &new(7, 1)), Decision::Keep);
        assert_eq!(decide(Some(&standing), &new(8, 1)), Decision::Replace { edited: true });
        assert_eq!(decide(Some(&standing), &new(7, 2)), Decision::Replace { edited: false });
    }

    #[test]
    fn a_richer_format_replaces_silently_and_one_that_is_not_richer_only_fills() {
        assert_eq!(decide(Some(&existing("something poorer", 7)), &new(8, 1)), Decision::Replace { edited: false });
        let mut standing = existing("hugo-bundle", 7);
        standing.source = None;
        assert_eq!(decide(Some(&standing), &new(8, 1)), Decision::Replace { edited: false });
    }

    #[test]
    fn a_withdrawn_post_stays_away_until_it_is_awaited() {
        let since = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut standing = Existing { withdrawn: Some(since), ..existing("hugo-bundle", 7) };
        assert_eq!(decide(Some(&standing), &new(8, 1)), Decision::Refuse(since));
        standing.awaited = true;
        assert_eq!(decide(Some(&standing), &new(8, 1)), Decision::Replace { edited: false });
    }
}
