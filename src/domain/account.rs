//! An account of ours: the actor that republishes an archive.

use super::ids::{AccountId, DomainId};
use super::post::MediaFile;
use super::profile::ArchivedProfile;
use super::settings::Settings;
use super::source::Author;
use super::urls::{AccountUrls, DomainUrls};
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};

/// An account's local name: `[a-z0-9_]{1,30}`, the narrowest that every server accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handle(String);

impl Handle {
    /// Names that no account may have, for they are the server's own; the domain's host is the fourth.
    const RESERVED: [&'static str; 2] = ["actor", "media"];

    /// Longest handle, in characters.
    pub const MAX: usize = 30;

    /// Read a handle as a person types it: `@Ann` and `ann` are the same. Anything but a valid handle is refused.
    pub fn parse(text: &str) -> Result<Handle, String> {
        let name = text.trim().trim_start_matches('@').to_ascii_lowercase();
        let valid = !name.is_empty()
            && name.len() <= Handle::MAX
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        match valid {
            true => Ok(Handle(name)),
            false => Err(format!("{text:?} is not a handle: it takes 1 to 30 of the characters a-z, 0-9 and _")),
        }
    }

    /// The handle nearest to a name at a source: other characters become `_`, what is too long is cut.
    pub fn near(name: &str) -> Option<Handle> {
        let mapped: String = name
            .trim_start_matches('@')
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
            .take(Handle::MAX)
            .collect();
        Handle::parse(&mapped).ok()
    }

    /// Whether the server needs this name itself on `domain`.
    pub fn is_reserved(&self, domain: &DomainUrls) -> bool {
        Handle::RESERVED.contains(&self.0.as_str()) || domain.host() == self.0
    }

    /// The handle itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an account shows of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// The display name.
    pub name: String,
    /// The bio.
    pub summary: SafeHtml,
    /// Name and value of the profile's table rows, plain text.
    pub fields: Vec<(String, String)>,
    /// The avatar.
    pub avatar: Option<MediaFile>,
    /// The header picture.
    pub header: Option<MediaFile>,
}

/// Whether the world may see an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// Only who has the preview token sees its pages; for other servers it does not exist.
    Draft,
    /// It is there.
    Live,
    /// Deleted for ever: its URLs answer 410, its handle is never given again.
    Gone {
        /// Since when.
        since: DateTime<Utc>,
    },
}

/// An account of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Its number, used inside only.
    pub id: AccountId,
    /// The domain it is on.
    pub domain: DomainId,
    /// That domain's base URL.
    pub base_url: String,
    /// Its local name.
    pub handle: Handle,
    /// The domain in its handle; differs from the domain's host for a split handle.
    pub handle_domain: String,
    /// The account elsewhere whose posts it keeps.
    pub source: Option<Author>,
    /// That account's actor id, where known.
    pub source_actor: Option<String>,
    /// What it shows of itself.
    pub profile: Profile,
    /// What archives told of the account elsewhere.
    pub archived: Option<ArchivedProfile>,
    /// What its owner decided.
    pub settings: Settings,
    /// Whether the world may see it.
    pub state: AccountState,
    /// What opens its pages while it is a draft.
    pub preview_token: String,
    /// When it was made here.
    pub created: DateTime<Utc>,
    /// When it or any of its posts last changed.
    pub changed: DateTime<Utc>,
    /// When it first answered under a name that is for ever.
    pub exposed: Option<DateTime<Utc>>,
    /// Ids of actors that its owner says are theirs too, besides the one at the source.
    pub aliases: Vec<String>,
    /// The id of the actor that it has moved to.
    pub moved_to: Option<String>,
    /// When it moved last, also if that was taken back.
    pub last_move: Option<DateTime<Utc>>,
}

impl Account {
    /// Its URLs.
    pub fn urls(&self) -> AccountUrls {
        DomainUrls::new(&self.base_url).account(&self.handle)
    }

    /// `handle@domain`, as other servers know it.
    pub fn address(&self) -> String {
        format!("{}@{}", self.handle, self.handle_domain)
    }

    /// The source account's page, where a source is known.
    pub fn source_page(&self) -> Option<String> {
        self.source.as_ref().map(|author| format!("https://{}/@{}", author.host, author.user))
    }

    /// The actors that it says it is too: the one at its source first. GoToSocial reads 20 at most.
    pub fn also_known_as(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.source_actor.iter().cloned().collect();
        ids.extend(self.aliases.iter().filter(|alias| Some(*alias) != self.source_actor.as_ref()).cloned());
        ids
    }

    /// When the account began: at its source where that is known, as its posts keep their dates; else here.
    pub fn began(&self) -> DateTime<Utc> {
        self.archived.as_ref().and_then(|archived| archived.facts.published).unwrap_or(self.created)
    }

    /// The display name, or the handle where there is none.
    pub fn display_name(&self) -> &str {
        if self.profile.name.is_empty() { self.handle.as_str() } else { &self.profile.name }
    }
}

#[cfg(test)]
impl Account {
    /// A live account that nothing was ever done with, `ann@keep.example`.
    pub(crate) fn untouched() -> Account {
        let began = "2026-01-01T00:00:00Z".parse().unwrap();
        Account {
            id: AccountId(1),
            domain: DomainId(1),
            base_url: "https://keep.example".to_owned(),
            handle: Handle::parse("ann").unwrap(),
            handle_domain: "keep.example".to_owned(),
            source: None,
            source_actor: None,
            profile: Profile::default(),
            archived: None,
            settings: Settings::default(),
            state: AccountState::Live,
            preview_token: String::new(),
            created: began,
            changed: began,
            exposed: None,
            aliases: Vec::new(),
            moved_to: None,
            last_move: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_lower_case_and_narrow() {
        assert_eq!(Handle::parse("@MWeagle").unwrap().as_str(), "mweagle");
        for bad in ["", "@", "a b", "ann@x.example", "é", &"a".repeat(31), "a.b", "a-b"] {
            assert!(Handle::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_at_a_source_becomes_the_nearest_handle() {
        assert_eq!(Handle::near("Ann.O'Neill-9").unwrap().as_str(), "ann_o_neill_9");
        assert_eq!(Handle::near(&"x".repeat(40)).unwrap().as_str().len(), 30);
        assert!(Handle::near("").is_none());
    }

    #[test]
    fn the_servers_own_names_are_reserved() {
        let domain = DomainUrls::new("http://localhost:8080");
        for name in ["actor", "media", "localhost"] {
            assert!(Handle::parse(name).unwrap().is_reserved(&domain), "{name}");
        }
        assert!(!Handle::parse("ann").unwrap().is_reserved(&domain));
    }
}
