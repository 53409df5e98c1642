//! What a backup says of itself: what it holds, in which form, and by what its wholeness is known.
//!
//! A backup is a tar, compressed with zstd and, where a passphrase was given, encrypted with age; all three can be undone
//! without this program. Its first member is the [`Manifest`], its last the [`End`]; docs/backup.md describes the others.

use crate::domain::ids::AccountId;
use crate::store::snapshot::Table;
use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// The form that this version writes, and the highest that it reads.
pub(super) const FORMAT: u32 = 1;
/// The first member.
pub(super) const FIRST: &str = "manifest.json";
/// The last member.
pub(super) const LAST: &str = "end.json";
/// The member that holds the key file.
pub(super) const KEY: &str = "everpost.key";
/// The member that holds the configuration.
pub(super) const CONFIGURATION: &str = "everpost.toml";

/// What a backup says at its start. Fields may be added, each with a default; a change of meaning is another format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the file.
    pub format: u32,
    /// The version of the program that wrote it.
    pub everpost: String,
    /// Tells this backup from every other one.
    pub id: String,
    /// The moment that it shows, as RFC 3339 writes it.
    pub created: String,
    /// The address under which the instance is known; none before its first start.
    pub domain: Option<String>,
    /// The versions of the migrations that had run, in order.
    pub migrations: Vec<String>,
    /// The tables.
    pub tables: Vec<Table>,
    /// Posts that stand.
    pub posts: u64,
    /// Whether private keys lie open in it, once it is decrypted.
    pub open_keys: bool,
}

/// What a backup says at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How many members come before this one.
    pub members: u64,
    /// How many bytes they hold.
    pub bytes: u64,
    /// SHA-256 over each of them in order: its name, a line break, its length, a line break, its bytes. In hexadecimal digits.
    pub sha256: String,
    /// Media files that were missing or damaged when the backup was made, each with the reason; a thousand are named.
    pub troubles: Vec<String>,
    /// How many there were.
    pub troubles_total: u64,
}

/// Members and their bytes, summed up as they pass.
#[derive(Default)]
pub(super) struct Sum {
    hash: Sha256,
    members: u64,
    bytes: u64,
}

impl Sum {
    pub(super) fn begin(&mut self, name: &str, length: u64) {
        self.members += 1;
        self.bytes += length;
        self.hash.update(format!("{name}\n{length}\n").as_bytes());
    }

    /// Whatever is read through this is summed up.
    pub(super) fn reading<'a>(&'a mut self, source: &'a mut dyn Read) -> Passing<'a> {
        Passing { source, sum: self, passed: 0 }
    }

    /// What the end says of everything so far.
    pub(super) fn end(&self) -> End {
        let digest = self.hash.clone().finish();
        let sha256 = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        End { members: self.members, bytes: self.bytes, sha256, ..End::default() }
    }
}

/// Sums up the bytes of a member while it is read.
pub(super) struct Passing<'a> {
    source: &'a mut dyn Read,
    sum: &'a mut Sum,
    passed: u64,
}

impl Passing<'_> {
    /// How many there were so far.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }
}

impl Read for Passing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.sum.hash.update(&buffer[..count]);
        self.passed += count as u64;
        Ok(count)
    }
}

/// What a member between the first and the last is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// The next bytes of a table's rows.
    Table(String),
    /// A media file or a thumbnail, by its name.
    Media(String),
    /// A sealed file of an account.
    Sealed(AccountId, String),
    /// The key file.
    Key,
    /// The configuration.
    Configuration,
}

impl Member {
    /// What a name stands for; `None` for every name that no backup has. Nothing of a name becomes a path unless it is
    /// made of hexadecimal digits.
    pub(super) fn named(name: &str) -> Option<Member> {
        let parts: Vec<&str> = name.split('/').collect();
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        match parts[..] {
            [KEY] => Some(Member::Key),
            [CONFIGURATION] => Some(Member::Configuration),
            ["database", table, number] if number.parse::<u64>().is_ok() => Some(Member::Table(table.to_owned())),
            ["media", first, second, file] => {
                let (hash, rest) = file.split_once('.')?;
                let fits = is_hash(hash) && file.get(..2) == Some(first) && file.get(2..4) == Some(second);
                let rest = rest.split('.').all(|part| !part.is_empty() && part.len() <= 8 && plain(part));
                (fits && rest).then(|| Member::Media(file.to_owned()))
            }
            ["sealed", account, first, file] => {
                let account = account.parse().ok().filter(|account: &i64| *account > 0)?;
                let fits = is_hash(file) && file.get(..2) == Some(first);
                fits.then(|| Member::Sealed(AccountId(account), file.to_owned()))
            }
            _ => None,
        }
    }
}

/// The name of a piece of a table; the first has the number 1.
pub(super) fn piece(table: &str, number: u64) -> String {
    format!("database/{table}/{number:06}")
}

/// The name of a media file or a thumbnail.
pub(super) fn media(file: &str) -> String {
    format!("media/{}/{}/{file}", file.get(..2).unwrap_or("00"), file.get(2..4).unwrap_or("00"))
}

/// The name of a sealed file.
pub(super) fn sealed(account: AccountId, file: &str) -> String {
    format!("sealed/{account}/{}/{file}", file.get(..2).unwrap_or("00"))
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_known_again() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(Member::named(&piece("posts", 12)), Some(Member::Table("posts".to_owned())));
        for file in [format!("{hash}.png"), format!("{hash}.400.webp")] {
            assert_eq!(Member::named(&media(&file)), Some(Member::Media(file)));
        }
        let known = Member::named(&sealed(AccountId(7), &hash));
        assert_eq!(known, Some(Member::Sealed(AccountId(7), hash)));
        assert_eq!(
            (Member::named(KEY), Member::named(CONFIGURATION)),
            (Some(Member::Key), Some(Member::Configuration))
        );
    }

    #[test]
    fn no_other_name_becomes_a_path() {
        let hash = "0123456789abcdef".repeat(4);
        for name in [
            "media/01/23/../../../etc/passwd".to_owned(),
            format!("media/01/23/{hash}"),
            format!("media/01/23/{hash}.png/x"),
            format!("media/01/24/{hash}.png"),
            format!("media/01/23/{hash}..png"),
            format!("media/01/23/{hash}.p/ng"),
            format!("/media/01/23/{hash}.png"),
            format!("sealed/0/01/{hash}"),
            format!("sealed/../01/{hash}"),
            format!("sealed/1/01/{}", hash.to_uppercase()),
            "database/posts/x".to_owned(),
            "database/posts".to_owned(),
            "../everpost.key".to_owned(),
            String::new(),
        ] {
            assert_eq!(Member::named(&name), None, "{name}");
        }
    }
}
