//! What an owner may decide about one account: a closed list of typed keys.

/// Who runs an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The author of the posts: a Person, public posts, quotable.
    Owner,
    /// Somebody else: a Service, unlisted posts, quotes denied, never suggested to anyone.
    ThirdParty,
}

/// Where a person who opens a post's page is led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They read it here.
    Here,
    /// They are sent to the original page, while it is alive.
    Origin,
}

/// Which posts carry hashtags that other servers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashtags {
    /// None.
    Off,
    /// Those of the last 30 days: an older one would count as trending now.
    Recent,
    /// All.
    On,
}

/// One account's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who runs the account.
    pub operator: Operator,
    /// Whether servers may suggest the account.
    pub discoverable: bool,
    /// Whether servers may index its posts for search.
    pub indexable: bool,
    /// Where people are led.
    pub links: Links,
    /// Whether a Note's text ends with a visible link to the original.
    pub provenance_line: bool,
    /// Which posts carry hashtags.
    pub hashtags: Hashtags,
    /// Whether replies to other people are published.
    pub publish_replies: bool,
    /// Whether boosts are published.
    pub publish_boosts: bool,
    /// Whether the origin's like and boost totals are added to ours.
    pub archived_counts: bool,
    /// Whether followers are listed.
    pub show_followers: bool,
    /// Whether the owner decides about each follow.
    pub manually_approves_followers: bool,
    /// How many of the newest posts the servers of followers are offered for the profile there; 0 for none, at most
    /// [`MOST_OFFERED`] (decision 0026).
    pub backfill_posts: u16,
}

/// Most posts that a server is offered. At fifteen an hour that takes more than half a day.
pub const MOST_OFFERED: u16 = 200;

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            operator: Operator::Owner,
            discoverable: false,
            indexable: false,
            links: Links::Here,
            provenance_line: true,
            hashtags: Hashtags::Recent,
            publish_replies: false,
            publish_boosts: false,
            archived_counts: false,
            show_followers: false,
            manually_approves_followers: false,
            backfill_posts: 0,
        }
    }
}

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingError {
    /// There is no such key.
    UnknownKey(String),
    /// The key does not take that value.
    BadValue {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// What it takes.
        allowed: &'static str,
    },
    /// A rule forbids that value for now.
    Locked {
        /// The key.
        key: String,
        /// The rule, as a sentence.
        reason: &'static str,
    },
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SettingError::UnknownKey(key) => {
                write!(f, "{key} is not a setting of an account; allowed are {}", Settings::KEYS.join(", "))
            }
            SettingError::BadValue { key, value, allowed } => {
                write!(f, "{key} cannot be {value:?}; allowed: {allowed}")
            }
            SettingError::Locked { key, reason } => write!(f, "{key} cannot be turned on: {reason}"),
        }
    }
}

impl std::error::Error for SettingError {}

impl Settings {
    /// Every key, in the order in which they are shown.
    pub const KEYS: [&'static str; 12] = [
        "operator",
        "discoverable",
        "indexable",
        "links",
        "provenance_line",
        "hashtags",
        "publish.replies",
        "publish.boosts",
        "archived_counts",
        "show_followers",
        "manually_approves_followers",
        "backfill.posts",
    ];

    /// Every key with its value as text.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        let flag = |on: bool| if on { "true" } else { "false" };
        let words = [
            match self.operator {
                Operator::Owner => "owner",
                Operator::ThirdParty => "third-party",
            },
            flag(self.discoverable),
            flag(self.indexable),
            match self.links {
                Links::Here => "here",
                Links::Origin => "origin",
            },
            flag(self.provenance_line),
            match self.hashtags {
                Hashtags::Off => "off",
                Hashtags::Recent => "recent",
                Hashtags::On => "on",
            },
            flag(self.publish_replies),
            flag(self.publish_boosts),
            flag(self.archived_counts),
            flag(self.show_followers),
            flag(self.manually_approves_followers),
        ];
        let values = words.into_iter().map(str::to_owned).chain([self.backfill_posts.to_string()]);
        Settings::KEYS.into_iter().zip(values).collect()
    }

    /// Set one key from text. Nothing changes when it is refused.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
        let bad = |allowed| SettingError::BadValue { key: key.to_owned(), value: value.to_owned(), allowed };
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(bad("true, false")),
        };
        match key {
            "operator" => {
                self.operator = match value {
                    "owner" => Operator::Owner,
                    "third-party" => Operator::ThirdParty,
                    _ => return Err(bad("owner, third-party")),
                };
                if self.operator == Operator::ThirdParty {
                    (self.discoverable, self.indexable, self.backfill_posts) = (false, false, 0);
                }
            }
            "discoverable" => self.discoverable = self.unlocked(key, flag()?)?,
            "indexable" => self.indexable = self.unlocked(key, flag()?)?,
            "links" => {
                self.links = match value {
                    "here" => Links::Here,
                    "origin" => Links::Origin,
                    _ => return Err(bad("here, origin")),
                }
            }
            "provenance_line" => self.provenance_line = flag()?,
            "hashtags" => {
                self.hashtags = match value {
                    "off" => Hashtags::Off,
                    "recent" => Hashtags::Recent,
                    "on" => Hashtags::On,
                    _ => return Err(bad("off, recent, on")),
                }
            }
            "publish.replies" => self.publish_replies = flag()?,
            "publish.boosts" => self.publish_boosts = flag()?,
            "archived_counts" => self.archived_counts = flag()?,
            "show_followers" => self.show_followers = flag()?,
            "manually_approves_followers" => self.manually_approves_followers = flag()?,
            "backfill.posts" => {
                let number = value.parse().ok().filter(|number| *number <= MOST_OFFERED && !value.starts_with('+'));
                let number = number.ok_or_else(|| bad("a number from 0 to 200"))?;
                if number > 0 && self.operator == Operator::ThirdParty {
                    let reason = "the account is run by a third party, and what others wrote is carried to nobody";
                    return Err(SettingError::Locked { key: key.to_owned(), reason });
                }
                self.backfill_posts = number;
            }
            _ => return Err(SettingError::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    /// Somebody else's mirror may not be suggested or indexed before its author's page links back.
    fn unlocked(&self, key: &str, on: bool) -> Result<bool, SettingError> {
        if on && self.operator == Operator::ThirdParty {
            let reason = "the account is run by a third party, and no link back from its author is verified";
            return Err(SettingError::Locked { key: key.to_owned(), reason });
        }
        Ok(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back_what_it_shows() {
        let mut settings = Settings::default();
        for (key, value) in Settings::default().entries() {
            settings.set(key, &value).unwrap();
        }
        assert_eq!(settings, Settings::default());
        settings.set("hashtags", "off").unwrap();
        settings.set("backfill.posts", "50").unwrap();
        for (key, value) in [("hashtags", "off"), ("backfill.posts", "50")] {
            assert!(settings.entries().contains(&(key, value.to_owned())), "{key}");
        }
    }

    #[test]
    fn at_most_two_hundred_posts_are_offered_and_none_unless_the_owner_says_so() {
        let mut settings = Settings::default();
        assert_eq!(settings.backfill_posts, 0);
        for bad in ["201", "-1", "+5", "many", "", "1.5", "99999"] {
            let message = settings.set("backfill.posts", bad).unwrap_err().to_string();
            assert!(message.contains("0 to 200"), "{message}");
        }
        settings.set("backfill.posts", "200").unwrap();
        assert_eq!(settings.backfill_posts, MOST_OFFERED);
    }

    #[test]
    fn what_others_wrote_is_offered_to_nobody() {
        let mut settings = Settings::default();
        settings.set("backfill.posts", "5").unwrap();
        settings.set("operator", "third-party").unwrap();
        assert_eq!(settings.backfill_posts, 0);
        assert!(matches!(settings.set("backfill.posts", "5"), Err(SettingError::Locked { .. })));
        settings.set("backfill.posts", "0").unwrap();
    }

    #[test]
    fn an_unknown_key_or_value_names_what_is_allowed() {
        let mut settings = Settings::default();
        let message = settings.set("colour", "red").unwrap_err().to_string();
        assert!(message.contains("colour") && message.contains("provenance_line"), "{message}");
        let message = settings.set("links", "away").unwrap_err().to_string();
        assert!(message.contains("here, origin"), "{message}");
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn a_third_party_mirror_is_not_discoverable() {
        let mut settings = Settings::default();
        settings.set("indexable", "true").unwrap();
        settings.set("operator", "third-party").unwrap();
        assert!(!settings.indexable);
        assert!(matches!(settings.set("discoverable", "true"), Err(SettingError::Locked { .. })));
    }
}
