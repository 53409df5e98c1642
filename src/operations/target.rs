//! Which account an archive goes into: told by the request, else by whose posts they are, else a new one.

use super::audiences::Audiences;
use super::ingest::Request;
use super::{App, Error, accounts, domains};
use crate::domain::account::{Account, AccountState, Handle};
use crate::domain::ids::AccountId;
use crate::domain::source::{Author, Format, Skipped, SourcePost};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Handles that are tried before the user has to choose one.
const MOST_NAMES: u32 = 999;
/// Unreadable items that are named when there is nothing else.
const SHOWN: usize = 3;

/// What an archive holds, found by reading it once.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) posts: u64,
    /// Of the first post.
    pub(super) format: Option<Format>,
    skipped: u64,
    /// The first items that could not be read.
    pub(super) wrong: Vec<Skipped>,
    authors: BTreeMap<Author, u64>,
    anonymous: u64,
    actor: Option<String>,
    /// Which posts are not public.
    pub(super) audiences: Audiences,
}

impl Survey {
    /// Take in what one post tells.
    pub(super) fn note(&mut self, post: SourcePost) {
        self.posts += 1;
        self.format = self.format.or(Some(post.format));
        self.audiences.note(&post);
        if self.actor.is_none() {
            let stated = post.object_id.as_deref().filter(|_| post.object_id_stated && post.author.is_some());
            self.actor = stated.and_then(actor_of);
        }
        match post.author {
            Some(author) => *self.authors.entry(one_spelling(&self.authors, author)).or_default() += 1,
            None => self.anonymous += 1,
        }
    }

    /// Take in that an item could not be read.
    pub(super) fn note_wrong(&mut self, item: Skipped) {
        self.skipped += 1;
        if self.wrong.len() < SHOWN {
            self.wrong.push(item);
        }
    }

    /// Everything found, readable or not.
    pub(super) fn items(&self) -> u64 {
        self.posts + self.skipped
    }
}

/// Where the posts go: a dry run makes no account.
pub(super) enum Target {
    Account(Box<Account>),
    WouldBe(Handle),
}

/// The handle of the account, also of one that a dry run would make.
pub(super) fn handle_of(target: &Target) -> &str {
    match target {
        Target::Account(account) => account.handle.as_str(),
        Target::WouldBe(handle) => handle.as_str(),
    }
}

/// The account, where it is there already.
pub(super) fn account_of(target: &Target) -> Option<AccountId> {
    match target {
        Target::Account(account) => Some(account.id),
        Target::WouldBe(_) => None,
    }
}

/// A name that was seen before in another case is the same name.
fn one_spelling(known: &BTreeMap<Author, u64>, author: Author) -> Author {
    known.keys().find(|known| same_author(known, &author)).cloned().unwrap_or(author)
}

/// Names at a source are compared without regard to case.
pub(super) fn same_author(a: &Author, b: &Author) -> bool {
    a.host == b.host && a.user.to_lowercase() == b.user.to_lowercase()
}

/// `https://host/users/u` from `https://host/users/u/statuses/N`.
fn actor_of(object_id: &str) -> Option<String> {
    let (actor, _) = object_id.split_once("/statuses/")?;
    actor.contains("/users/").then(|| actor.to_owned())
}

/// The account that the posts go into.
pub(super) async fn choose(app: &App, request: &Request, survey: &Survey, now: DateTime<Utc>) -> Result<Target, Error> {
    if let Some(handle) = &request.account {
        return Ok(Target::Account(Box::new(accounts::find(app, handle).await?)));
    }
    let author = match (survey.authors.len(), survey.anonymous) {
        (1, 0) => survey.authors.keys().next(),
        _ => None,
    };
    let Some(author) = author else {
        let most = survey.authors.iter().max_by_key(|(_, count)| **count).map_or("archive", |(author, _)| &author.user);
        let handle = free_handle(app, most).await?;
        let create = format!("everpost account create {handle}\n  ");
        return Err(several_authors(request, survey, &create, &handle));
    };
    let known = app.store.list_accounts().await?;
    let mine = known.into_iter().find(|account| account.source.as_ref().is_some_and(|s| same_author(s, author)));
    if let Some(account) = mine {
        return Ok(Target::Account(Box::new(account)));
    }
    let handle = Handle::near(&author.user);
    if let Some(why) = refusal(app, handle.as_ref()).await? {
        let other = free_handle(app, &author.user).await?;
        return Err(Error::Refused(format!(
            "the posts are by {author}, and {why}. Make an account under another name and import into it:\n  \
             everpost account create {other}\n  {}",
            command(request, &other, false)
        )));
    }
    match handle {
        Some(handle) if request.dry_run => Ok(Target::WouldBe(handle)),
        Some(handle) => {
            let account = accounts::create(app, &handle, Some(author.clone()), survey.actor.clone(), now).await?;
            Ok(Target::Account(Box::new(account)))
        }
        None => Err(Error::Refused(format!("the posts are by {author}, and that name cannot be a handle here"))),
    }
}

/// Let an account that keeps nobody's posts yet keep those of the archive's author from now on.
/// Called while no other import into the account runs.
pub(super) async fn claim(
    app: &App,
    request: &Request,
    survey: &Survey,
    account: Account,
    now: DateTime<Utc>,
) -> Result<Account, Error> {
    let mut account = accounts::find(app, &account.handle).await?;
    if account.source.is_some() || request.adopt {
        return Ok(account);
    }
    if survey.authors.len() > 1 {
        return Err(several_authors(request, survey, "", &account.handle));
    }
    if let Some(author) = survey.authors.keys().next() {
        account.source = Some(author.clone());
        account.source_actor = survey.actor.clone();
        if !request.dry_run {
            app.store.claim_source(account.id, author, account.source_actor.as_deref(), now).await?;
        }
    }
    Ok(account)
}

/// Why a new account cannot have that handle.
async fn refusal(app: &App, handle: Option<&Handle>) -> Result<Option<String>, Error> {
    let Some(handle) = handle else { return Ok(Some("that name cannot be a handle here".to_owned())) };
    let domain = domains::first(app).await?;
    if handle.is_reserved(&domain.urls()) {
        return Ok(Some(format!("the handle {handle} is the server's own")));
    }
    let other = app.store.find_account(domain.id, handle).await?;
    Ok(other.map(|other| match (&other.state, &other.source) {
        (AccountState::Gone { .. }, _) => format!("the handle {handle} belonged to an account that was deleted"),
        (_, Some(source)) => format!("the handle {handle} already belongs to an account that keeps {source}"),
        (_, None) => format!("the handle {handle} already belongs to another account"),
    }))
}

/// A handle near `name` that a new account can have: the name itself, else with the first number that makes it free.
async fn free_handle(app: &App, name: &str) -> Result<Handle, Error> {
    let near = Handle::near(name).map_or_else(|| "archive".to_owned(), |handle| handle.to_string());
    for number in 1..=MOST_NAMES {
        let suffix = if number == 1 { String::new() } else { number.to_string() };
        let stem: String = near.chars().take(Handle::MAX - suffix.len()).collect();
        let handle = Handle::parse(&format!("{stem}{suffix}")).map_err(Error::Refused)?;
        if refusal(app, Some(&handle)).await?.is_none() {
            return Ok(handle);
        }
    }
    Err(Error::Refused(format!("every handle near {near} is taken; name one with --account")))
}

/// Paths as messages show them.
pub(super) fn shown(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| path.display().to_string()).collect()
}

/// Nothing came out of the archive at all: what Everpost reads, and what was wrong with the first items.
pub(super) fn nothing_readable(paths: &[PathBuf], survey: &Survey) -> Error {
    let paths = shown(paths);
    let wrong = survey.wrong.iter().map(|item| format!("\n  {}: {}", item.at, item.reason)).collect::<String>();
    Error::NothingReadable(format!(
        "nothing readable was found in {}. Everpost reads the archives that Mastodon, Pleroma and Akkoma hand out: a zip or \
         tar, unpacked or not, with an outbox.json; and pages of Hugo and Jekyll sites that say where a post first stood: \
         an index.md with `canonical` in its front matter and a \"Mastodon Source\" link below each post, a page for each \
         day with such links, a page for each status with `post_uri` and `post_id`, or any page with `canonicalURL`, \
         `original_url`, `syndication` or the like. docs/importing.md has the whole list.{wrong}",
        paths.join(" ")
    ))
}

fn several_authors(request: &Request, survey: &Survey, create: &str, handle: &Handle) -> Error {
    let posts = |count: u64| if count == 1 { "1 post".to_owned() } else { format!("{count} posts") };
    let mut found: Vec<String> =
        survey.authors.iter().map(|(author, count)| format!("{author} ({})", posts(*count))).collect();
    if survey.anonymous > 0 {
        found.push(format!("nobody ({})", posts(survey.anonymous)));
    }
    let several = survey.authors.len() > 1;
    let (whose, adopt) = match several {
        true => ("the links name several authors", "; --adopt takes in posts of every author"),
        false if survey.authors.is_empty() => ("the links name no author", ""),
        false => ("not all of the links name an author", ""),
    };
    Error::Refused(format!(
        "{whose}: {}. Say into which account they go{adopt}:\n  {create}{}",
        found.join(", "),
        command(request, handle, several)
    ))
}

/// The same import into another account, to be pasted into a shell.
fn command(request: &Request, handle: &Handle, adopt: bool) -> String {
    let paths: Vec<String> = request.paths.iter().map(|path| quoted(&path.display().to_string())).collect();
    let adopt = if adopt || request.adopt { " --adopt" } else { "" };
    format!("everpost import {} --account {handle}{adopt}", paths.join(" "))
}

/// A text as one word of a shell command.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_in_a_shell() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("my archive"), "'my archive'");
        assert_eq!(quoted("ann's"), r"'ann'\''s'");
        assert_eq!(quoted("$(x)"), "'$(x)'");
    }
}
