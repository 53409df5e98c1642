//! Private posts of two sides, compared. What is told of them is places, numbers and names of fields: no word of a post
//! leaves this file.

use super::{App, Error, Numbered, Which, keep, list, show};
use crate::domain::account::Account;
use crate::domain::private::{PrivateId, PrivateMedia, PrivatePost};
use crate::domain::source::{MediaKind, SourceKey, SourcePost};
use crate::media::MediaStore;
use crate::operations::blocking;
use crate::operations::diff::facts::{Counting, Difference, Facts, time};
use crate::operations::diff::{Kind, Of, Telling};
use crate::operations::pipeline::Reading;
use crate::operations::prepare::OpenMedia;
use std::collections::BTreeSet;

/// Posts that are opened together: memory is bounded by them.
const BATCH: i64 = 50;

/// A post, opened, with the hash of each of its files; `None` for one that is missing or does not open.
struct Opened {
    post: PrivatePost,
    files: Vec<Option<String>>,
}

/// Refuse to compare what is sealed without the key that opens it.
pub(in crate::operations) fn refuse_without_key(app: &App) -> Result<(), Error> {
    if app.vault.can_seal() {
        return Ok(());
    }
    Err(Error::Refused(
        "--include-private compares what is sealed, and there is no key that opens it: name the key file in your \
         configuration (secrets.key_file)"
            .to_owned(),
    ))
}

/// Compare the private posts of two accounts.
pub(in crate::operations) async fn accounts(a: Of<'_>, b: Of<'_>, telling: &mut Telling<'_>) -> Result<(), Error> {
    let mut before = None;
    loop {
        let page = list(a.app, a.account, before, BATCH).await?;
        let Some((last, _)) = page.last() else { break };
        before = Some(*last);
        for (id, post) in page {
            match find(b, &post.key).await? {
                Some((_, other)) => {
                    let one = opened(a.app, a.account, post).await?;
                    pair(id, &one, &opened(b.app, b.account, other).await?, telling);
                }
                None => telling.tell(named(id), Kind::OnlyA(String::new())),
            }
        }
    }
    let mut before = None;
    loop {
        let page = list(b.app, b.account, before, BATCH).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        before = Some(*last);
        for (id, post) in page {
            if find(a, &post.key).await?.is_none() {
                telling.tell(named(id), Kind::OnlyB(String::new()));
            }
        }
    }
}

/// Compare items of an archive that are not public with what the account holds sealed; `met` gets the numbers of those that
/// both have.
pub(in crate::operations) async fn items(
    a: Of<'_>,
    posts: Vec<SourcePost>,
    reading: &Reading,
    met: &mut BTreeSet<PrivateId>,
    telling: &mut Telling<'_>,
) -> Result<(), Error> {
    for post in posts {
        let at = post.at.clone();
        let Some((id, one)) = find(a, &post.key).await? else {
            telling.tell(at, Kind::OnlyB(String::new()));
            continue;
        };
        met.insert(id);
        let media = a.app.media.clone();
        let other = reading.with_media(move |open| of_source(post, open, &media)).await?;
        pair(id, &opened(a.app, a.account, one).await?, &other, telling);
    }
    Ok(())
}

/// Tell of private posts that the account alone has: all but those that were met.
pub(in crate::operations) async fn rest(
    a: Of<'_>,
    met: &BTreeSet<PrivateId>,
    telling: &mut Telling<'_>,
) -> Result<(), Error> {
    let mut before = None;
    loop {
        let page = list(a.app, a.account, before, BATCH).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        before = Some(*last);
        for (id, _) in page.iter().filter(|(id, _)| !met.contains(id)) {
            telling.tell(named(*id), Kind::OnlyA(String::new()));
        }
    }
}

fn named(id: PrivateId) -> String {
    format!("private post {id}")
}

fn pair(id: PrivateId, a: &Opened, b: &Opened, telling: &mut Telling<'_>) {
    telling.report.compared_private += 1;
    let nameless = |found: Difference| Difference { a: None, b: None, ..found };
    let differences = facts(a).differences(&facts(b), Counting::All);
    telling.differs(named(id), differences.into_iter().map(nameless).collect());
}

/// The private post of that key.
async fn find(of: Of<'_>, key: &SourceKey) -> Result<Option<Numbered>, Error> {
    match show(of.app, of.account, &Which::Key(key.clone())).await {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

/// A post with the hashes of its files.
async fn opened(app: &App, account: &Account, post: PrivatePost) -> Result<Opened, Error> {
    let (vault, files, id) = (app.vault.clone(), app.private.clone(), account.id);
    blocking(move || {
        let hash = |media: &PrivateMedia| files.open(&vault, id, media.file.as_ref()?, &mut std::io::sink()).ok();
        Opened { files: post.media.iter().map(hash).collect(), post }
    })
    .await
}

/// An item of an archive as an import would seal it. Blocking.
fn of_source(mut source: SourcePost, open: OpenMedia<'_>, store: &MediaStore) -> Opened {
    let (mut media, mut files) = (Vec::new(), Vec::new());
    for item in std::mem::take(&mut source.media) {
        let found = open(&item.reference).ok().and_then(|mut bytes| store.recognise(&mut bytes).ok());
        let kind = found.as_ref().and_then(|file| MediaKind::of_type(&file.media_type)).unwrap_or(item.kind);
        media.push(PrivateMedia { file: None, kind, alt: item.alt, source_url: item.reference });
        files.push(found.map(|file| file.sha256));
    }
    Opened { post: keep::post(source, media), files }
}

fn facts(Opened { post, files }: &Opened) -> Facts {
    let mut facts = Facts::default();
    facts.add("author", post.author.as_deref());
    facts.add("source_object", post.object_id.as_deref());
    facts.add("canonical", post.canonical_url.as_deref());
    facts.add("published", Some(time(post.published)));
    facts.flag("date_estimated", post.date_estimated);
    facts.add("updated", post.edited.map(time));
    facts.add("boost_of", post.boost_of.as_deref());
    facts.add("content", Some(post.content.as_str()));
    facts.add("warning", post.warning.as_deref());
    facts.flag("sensitive", post.sensitive);
    facts.add("language", post.language.as_deref());
    facts.add("tags", (!post.tags.is_empty()).then(|| post.tags.join(", ")));
    facts.add("mentions", (!post.mentions.is_empty()).then(|| post.mentions.join(", ")));
    facts.add("reply_to", post.reply_to.as_ref().map(|key| key.0.as_str()));
    for ((media, file), at) in post.media.iter().zip(files).zip(1..) {
        facts.add(format!("attachment {at} file"), Some(file.as_deref().unwrap_or("missing")));
        facts.add(format!("attachment {at} kind"), Some(media.kind.name()));
        facts.add(format!("attachment {at} alt"), media.alt.as_deref());
    }
    facts
}
