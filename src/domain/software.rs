//! What a server runs, and by which way old posts reach it.
//!
//! The table holds what was read in the source of each software, and nothing that was guessed: whoever is not in it is
//! offered nothing. Start with [`Software::channel`].

use std::str::FromStr;

/// What a server says that it runs (NodeInfo).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Software {
    /// Its name, in lower case.
    pub name: String,
    /// Its version, as it stands there.
    pub version: String,
}

/// How old posts come to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// It fetches what an Add to the pins names, at its own date and out of every feed.
    Add,
    /// It reads outboxes, replies or conversations by itself; nothing is sent.
    Collections,
    /// It is not known to take old posts in any way that harms nobody.
    Nothing,
}

impl Channel {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Add => "add",
            Channel::Collections => "collections",
            Channel::Nothing => "nothing",
        }
    }
}

/// A release: major, minor, patch.
type Release = (u32, u32, u32);

/// By name: the first release for which it is known, the first for which it is not known any more, and the way.
///
/// Mastodon: an Add has fetched a post that is not known since 2.4.1 (2018), and a fetched post has its own date and stays out
/// of the feeds once it is older than six hours; both were read in 3.4.0, 4.0.2 and on the way to 4.7. What a fifth
/// generation does nobody has read. glitch-soc and most other forks call themselves Mastodon, with their own name after the
/// version; Hometown did so until it took its own name, and has the same code. Forks that count their versions in a way of
/// their own are not listed.
///
/// GoToSocial walks whole threads by `replies`; Iceshrimp.NET, NodeBB, Mitra, PieFed, Discourse and WordPress conversations
/// by `context`; Nextcloud Social and Pixelfed outboxes (findings 2). Mastodon's Add means nothing to them.
const KNOWN: [(&str, Release, Release, Channel); 13] = [
    ("mastodon", (3, 4, 0), (5, 0, 0), Channel::Add),
    ("hometown", (3, 4, 0), (5, 0, 0), Channel::Add),
    ("gotosocial", FIRST, LAST, Channel::Collections),
    ("iceshrimp", FIRST, LAST, Channel::Collections),
    ("iceshrimp.net", FIRST, LAST, Channel::Collections),
    ("nextcloud social", FIRST, LAST, Channel::Collections),
    ("nextcloud-social", FIRST, LAST, Channel::Collections),
    ("pixelfed", FIRST, LAST, Channel::Collections),
    ("nodebb", FIRST, LAST, Channel::Collections),
    ("mitra", FIRST, LAST, Channel::Collections),
    ("piefed", FIRST, LAST, Channel::Collections),
    ("discourse", FIRST, LAST, Channel::Collections),
    ("wordpress", FIRST, LAST, Channel::Collections),
];

const FIRST: Release = (0, 0, 0);
const LAST: Release = (u32::MAX, 0, 0);

impl Software {
    /// By which way old posts reach it.
    pub fn channel(&self) -> Channel {
        let known = KNOWN.iter().find(|(name, ..)| *name == self.name);
        let Some((_, first, end, channel)) = known else { return Channel::Nothing };
        match channel {
            Channel::Add => match release(&self.version) {
                Some(release) if (first..end).contains(&&release) => Channel::Add,
                _ => Channel::Nothing,
            },
            other => *other,
        }
    }
}

/// The release that a version begins with: `4.3.0-beta.1+glitch` is 4.3.0. `None` where it begins in another way.
fn release(version: &str) -> Option<Release> {
    if !version.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut parts = version.splitn(3, '.');
    let whole = |part: Option<&str>| u32::from_str(part?).ok();
    let (major, minor) = (whole(parts.next())?, whole(parts.next())?);
    let patch = parts.next()?;
    let digits = patch.find(|c: char| !c.is_ascii_digit()).unwrap_or(patch.len());
    Some((major, minor, patch.get(..digits)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_software_is_reached_as_its_source_says_and_the_others_not_at_all() {
        for (name, version, channel) in [
            ("mastodon", "4.6.5", Channel::Add),
            ("mastodon", "3.4.0", Channel::Add),
            ("mastodon", "4.0.0rc1", Channel::Add),
            ("mastodon", "4.7.0-alpha.2", Channel::Add),
            ("mastodon", "4.3.0-beta.1+glitch", Channel::Add),
            ("mastodon", "4.4.0-nightly.2025-03-01-security", Channel::Add),
            ("mastodon", "3.4.1+hometown-1.0.6", Channel::Add),
            ("hometown", "4.2.9+hometown-1.1.1", Channel::Add),
            ("hometown", "1.1.1", Channel::Nothing),
            ("mastodon", "3.3.9", Channel::Nothing),
            ("mastodon", "2.9.3", Channel::Nothing),
            ("mastodon", "5.0.0", Channel::Nothing),
            ("mastodon", "40.0.0", Channel::Nothing),
            ("mastodon", "4.", Channel::Nothing),
            ("mastodon", "4.6", Channel::Nothing),
            ("mastodon", "", Channel::Nothing),
            ("mastodon", "nightly", Channel::Nothing),
            ("mastodon", "+4.6.5", Channel::Nothing),
            ("gotosocial", "0.20.0", Channel::Collections),
            ("gotosocial", "", Channel::Collections),
            ("iceshrimp.net", "2025.1-beta5", Channel::Collections),
            ("nextcloud social", "0.8.0", Channel::Collections),
            ("pixelfed", "0.12.5", Channel::Collections),
            ("misskey", "2025.1.0", Channel::Nothing),
            ("akkoma", "3.16.0", Channel::Nothing),
            ("pleroma", "2.9.0", Channel::Nothing),
            ("fedibird", "0.1", Channel::Nothing),
            ("kmyblue", "17.2", Channel::Nothing),
            ("lemmy", "0.19.8", Channel::Nothing),
            ("everpost", "0.1.0", Channel::Nothing),
            ("", "4.6.5", Channel::Nothing),
        ] {
            let software = Software { name: name.to_owned(), version: version.to_owned() };
            assert_eq!(software.channel(), channel, "{name} {version}");
        }
    }
}
