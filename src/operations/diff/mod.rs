//! Whether two accounts hold the same, or an account and an archive, and what differs, item by item.
//!
//! Nothing is written. Two accounts are walked page by page, each post looked up on the other side by its key; `archive.rs`
//! reads an archive as an import would. `facts.rs` says what is compared. Start with [`diff`].

mod archive;
pub(in crate::operations) mod facts;

pub use facts::Difference;

use super::private::compare as sealed;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use crate::domain::post::Entry;
use crate::domain::source::SourceKey;
use crate::import::files::one_line;
use crate::import::limits::Limits;
use crate::store::compared::Compared;
use chrono::{DateTime, Utc};
use facts::Counting;
use std::collections::HashMap;
use std::path::PathBuf;

/// Posts that are compared together: memory is bounded by them.
const BATCH: i64 = 200;
/// The characters of a post that are shown.
const WORDS: usize = 60;

/// An account, in the instance that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The instance.
    pub app: &'a App,
    /// The account.
    pub account: &'a Account,
}

/// What an account is compared with.
#[derive(Clone, Copy, Debug)]
pub enum Other<'a> {
    /// Another account, of the same instance or of another one.
    Account(Of<'a>),
    /// An archive, as an import into an account that has nothing else would read it.
    Archive(&'a Archive),
}

/// An archive to be compared with.
#[derive(Clone, Debug)]
pub struct Archive {
    /// A file or a folder.
    pub path: PathBuf,
    /// How much of it is believed.
    pub limits: Limits,
}

/// Something that is not the same on both sides, or that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: a key, `profile`, the number of a private post, or a place in the archive.
    pub what: String,
    /// What is found.
    pub kind: Kind,
}

/// What is found about an item. The first account is A; the other account, or the archive, is B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A alone has it; its date and how it begins, but nothing of what is not public.
    OnlyA(String),
    /// B alone has it.
    OnlyB(String),
    /// It was withdrawn from A and stands in B.
    WithdrawnA,
    /// It was withdrawn from B and stands in A.
    WithdrawnB,
    /// Both have it, and these fields differ.
    Differs(Vec<Difference>),
    /// It stands in A for everyone, and in the archive it is not for everyone.
    HiddenB,
    /// An import would skip or refuse this item of the archive, for this reason.
    Unusable(String),
    /// The archive holds it more than once, and an import takes the first. Not a difference.
    Repeated,
}

impl Kind {
    /// The word for `--json`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::OnlyA(_) => "only_a",
            Kind::OnlyB(_) => "only_b",
            Kind::WithdrawnA => "withdrawn_a",
            Kind::WithdrawnB => "withdrawn_b",
            Kind::Differs(_) => "differs",
            Kind::HiddenB => "hidden_b",
            Kind::Unusable(_) => "unusable",
            Kind::Repeated => "repeated",
        }
    }
}

/// What was compared, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Posts and boosts that both sides have.
    pub compared: u64,
    /// Private posts that both sides have.
    pub compared_private: u64,
    /// Whether both sides told a profile, so that it was compared.
    pub profile: bool,
    /// Items of the archive that are not public and were left out, because nobody asked for them.
    pub left_out: u64,
    /// Further copies in poorer layouts, of posts that were compared in their richest.
    pub poorer: u64,
    /// Findings that are differences. None means equal.
    pub differences: u64,
}

/// Counts what is found and passes it on.
pub(super) struct Telling<'a> {
    pub(super) report: Report,
    watch: &'a (dyn Fn(Finding) + Sync),
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Telling<'_> {
    pub(super) fn tell(&mut self, what: impl Into<String>, kind: Kind) {
        self.report.differences += u64::from(kind != Kind::Repeated);
        (self.watch)(Finding { what: what.into(), kind });
    }

    /// Tell of what both sides have, where it differs.
    pub(super) fn differs(&mut self, what: impl Into<String>, differences: Vec<Difference>) {
        if !differences.is_empty() {
            self.tell(what, Kind::Differs(differences));
        }
    }

    /// Compare what A has under a key, or had, with what B has there.
    fn pair(&mut self, a: Option<&Compared>, b: Option<&Compared>, with_conversation: bool, counting: Counting) {
        let Some(key) = a.or(b).map(|one| one.key.0.clone()) else { return };
        let stands = |one: Option<&Compared>| one.and_then(|one| one.entry.as_ref()).is_some();
        match (a, b) {
            (Some(one), Some(other)) if stands(a) && stands(b) => {
                self.report.compared += 1;
                let (one, other) = (facts::of(one, with_conversation), facts::of(other, with_conversation));
                self.differs(key, one.differences(&other, counting));
            }
            (Some(one), None) if stands(a) => self.tell(key, Kind::OnlyA(shown(one))),
            (None, Some(other)) if stands(b) => self.tell(key, Kind::OnlyB(shown(other))),
            (_, Some(_)) if stands(a) => self.tell(key, Kind::WithdrawnB),
            (Some(_), _) if stands(b) => self.tell(key, Kind::WithdrawnA),
            _ => {}
        }
    }
}

/// Compare an account with another one, or with an archive.
///
/// Compared: what has the same key on both sides, in everything that a post keeps of its source; what one side alone has; the
/// profile, where both tell one. Not compared: numbers, when rows came and changed, formats, what others did with a post, and
/// what its owner set for an account. A withdrawn post is as good as none, unless it stands on the other side.
/// With `include_private` what is not public is compared too, if the keys of both sides open it; no word of it is told.
///
/// An archive is read as an import into an account that has nothing else would: of a post in several layouts the richest is
/// compared, in what that tells. `watch` is given each finding at once, `progress` how many posts were looked at so far.
/// What changes meanwhile may be told either way.
pub async fn diff(
    a: Of<'_>,
    b: Other<'_>,
    include_private: bool,
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64) + Sync),
    watch: &(dyn Fn(Finding) + Sync),
) -> Result<Report, Error> {
    if include_private {
        sealed::refuse_without_key(a.app)?;
    }
    let mut telling = Telling { report: Report::default(), watch, progress };
    match b {
        Other::Account(b) => {
            let differences = facts::of_profile(&a.account.profile)
                .differences(&facts::of_profile(&b.account.profile), Counting::All);
            telling.report.profile = true;
            telling.differs("profile", differences);
            accounts(a, b, &mut telling).await?;
            if include_private {
                sealed::refuse_without_key(b.app)?;
                sealed::accounts(a, b, &mut telling).await?;
            }
        }
        Other::Archive(b) => archive::compare(a, b, include_private, now, &mut telling).await?,
    }
    Ok(telling.report)
}

async fn accounts(a: Of<'_>, b: Of<'_>, telling: &mut Telling<'_>) -> Result<(), Error> {
    let (mut after, mut seen) = (PostId(0), 0);
    loop {
        let page = a.app.store.page_compared(a.account.id, after, BATCH).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        let there = find(b, page.iter().map(|one| &one.key)).await?;
        for one in &page {
            telling.pair(Some(one), there.get(&one.key), true, Counting::All);
        }
        seen += page.len() as u64;
        (telling.progress)(seen);
    }
    let mut after = PostId(0);
    loop {
        let page = b.app.store.page_compared(b.account.id, after, BATCH).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let keys: Vec<&str> = page.iter().map(|one| one.key.0.as_str()).collect();
        let there = a.app.store.list_public(a.account.id, &keys).await?;
        for one in page.iter().filter(|one| !there.contains_key(&one.key.0)) {
            telling.pair(None, Some(one), true, Counting::All);
        }
        seen += page.len() as u64;
        (telling.progress)(seen);
    }
}

/// What an account has, or had, under these keys.
async fn find(of: Of<'_>, keys: impl Iterator<Item = &SourceKey>) -> Result<HashMap<SourceKey, Compared>, Error> {
    let keys: Vec<&str> = keys.map(|key| key.0.as_str()).collect();
    let found = of.app.store.find_compared(of.account.id, &keys).await?;
    Ok(found.into_iter().map(|one| (one.key.clone(), one)).collect())
}

/// The date of a post, and how it begins.
fn shown(one: &Compared) -> String {
    let (published, words) = match &one.entry {
        Some(Entry::Post(post)) => (Some(post.published), post.content.excerpt(WORDS)),
        Some(Entry::Boost(boost)) => (Some(boost.published), format!("boost of {}", boost.object)),
        None => (None, String::new()),
    };
    one_line(&format!("{}  {words}", published.map(facts::time).unwrap_or_default()))
}
