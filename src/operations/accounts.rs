//! Accounts: made, described, opened to the world, deleted.

use super::announcements::Announcer;
use super::{App, Error, blocking, domains};
use crate::domain::account::{Account, AccountState, Handle};
use crate::domain::post::MediaFile;
use crate::domain::settings::Settings;
use crate::domain::source::Author;
use crate::federation::keys;
use crate::media::MediaStore;
use crate::store;
use crate::store::accounts::NewAccount;
use crate::text::SafeHtml;
use chrono::{DateTime, Utc};
use std::io::Read;
use std::path::Path;

/// Longest display name, in characters (R-24).
pub(super) const MAX_NAME: usize = 2048;
/// Largest bio, in bytes of HTML (R-24).
pub(super) const MAX_SUMMARY: usize = 20 << 10;
/// Most rows in the profile's table, and their longest text in characters (R-24).
pub(super) const MAX_FIELDS: usize = 50;
pub(super) const MAX_FIELD: usize = 2047;
/// Largest avatar or header, in bytes (R-25).
const MAX_PICTURE: i64 = 8 << 20;

/// Make an account with its keys on the first domain. It is live at once on localhost and a draft everywhere else.
pub async fn create(
    app: &App,
    handle: &Handle,
    source: Option<Author>,
    source_actor: Option<String>,
    now: DateTime<Utc>,
) -> Result<Account, Error> {
    let domain = domains::first(app).await?;
    let urls = domain.urls();
    if handle.is_reserved(&urls) {
        return Err(Error::Refused(format!("the handle {handle} is the server's own; choose another one")));
    }
    let vault = app.vault.clone();
    let new = NewAccount {
        domain: domain.id,
        handle: handle.clone(),
        handle_domain: urls.authority().to_owned(),
        source,
        source_actor,
        settings: Settings::default(),
        live: urls.is_loopback(),
        preview_token: keys::token()?,
        keys: blocking(move || vault.make_pairs(1)).await??,
    };
    match app.store.insert_account(&new, now).await {
        Err(store::Error::Conflict(_)) => {
            Err(Error::Refused(format!("the handle {handle} is taken, or was once: a handle is never given twice")))
        }
        other => other.map_err(Error::from),
    }?;
    find(app, handle).await
}

/// The account of that handle, `NotFound` with the handles that there are.
pub async fn find(app: &App, handle: &Handle) -> Result<Account, Error> {
    let domain = domains::first(app).await?;
    match app.store.find_account(domain.id, handle).await? {
        Some(Account { state: AccountState::Gone { since }, .. }) => {
            Err(Error::NotFound(format!("the account {handle} was deleted on {}", since.format("%Y-%m-%d"))))
        }
        Some(account) => Ok(account),
        None => Err(Error::NotFound(format!("there is no account {handle}; {}", list_sentence(app).await?))),
    }
}

/// The account of that handle, or the only one there is.
pub async fn find_or_only(app: &App, handle: Option<&Handle>) -> Result<Account, Error> {
    if let Some(handle) = handle {
        return find(app, handle).await;
    }
    let mut accounts = app.store.list_accounts().await?;
    match (accounts.pop(), accounts.len()) {
        (Some(only), 0) => Ok(only),
        _ => Err(Error::NotFound(format!("say which account with --account; {}", list_sentence(app).await?))),
    }
}

/// Change one thing about an account: a setting, or `name`, `summary`, `avatar`, `header`, `handle_domain`, `field.<name>`.
///
/// `avatar` and `header` take a path; an empty value takes the picture or the field away.
/// Nothing is stored; see [`save`].
pub async fn set(app: &App, account: &mut Account, key: &str, value: &str) -> Result<(), Error> {
    let refused = |message: String| Err(Error::Refused(message));
    let too_long = |limit: usize| refused(format!("{key} is too long: at most {limit} characters"));
    match key {
        "name" if value.chars().count() > MAX_NAME => return too_long(MAX_NAME),
        "name" => account.profile.name = value.trim().to_owned(),
        "summary" => {
            let summary = match value.contains("<p") || value.contains("<a") || value.contains("<br") {
                true => SafeHtml::sanitise(value),
                false => SafeHtml::from_plain(value),
            };
            if summary.as_str().len() > MAX_SUMMARY {
                return too_long(MAX_SUMMARY);
            }
            account.profile.summary = summary;
        }
        "avatar" => account.profile.avatar = picture(app, value).await?,
        "header" => account.profile.header = picture(app, value).await?,
        "handle_domain" => {
            let plain = format!("https://{value}");
            let url = url::Url::parse(&plain);
            let same = url.as_ref().is_ok_and(|url| url.host_str() == Some(value) && url.path() == "/");
            if !same || !value.contains('.') {
                return refused(format!("handle_domain takes a host name, as example.org, not {value:?}"));
            }
            account.handle_domain = value.to_owned();
        }
        _ => match key.strip_prefix("field.") {
            Some(name) => set_field(account, name, value)?,
            None => account.settings.set(key, value).map_err(|error| {
                let profile = "name, summary, avatar, header, handle_domain, field.<name>";
                let also = if error_is_unknown(&error) { format!("; and {profile}") } else { String::new() };
                Error::Refused(format!("{error}{also}"))
            })?,
        },
    }
    Ok(())
}

fn error_is_unknown(error: &crate::domain::settings::SettingError) -> bool {
    matches!(error, crate::domain::settings::SettingError::UnknownKey(_))
}

fn set_field(account: &mut Account, name: &str, value: &str) -> Result<(), Error> {
    let fields = &mut account.profile.fields;
    if name.is_empty() || name.chars().count() > MAX_FIELD || value.chars().count() > MAX_FIELD {
        return Err(Error::Refused(format!(
            "a field takes a name, and at most {MAX_FIELD} characters in name and value"
        )));
    }
    let at = fields.iter().position(|(known, _)| known == name);
    match (at, value.is_empty()) {
        (Some(at), true) => drop(fields.remove(at)),
        (None, true) => {}
        (Some(at), false) => fields[at].1 = value.to_owned(),
        (None, false) if fields.len() >= MAX_FIELDS => {
            return Err(Error::Refused(format!("a profile has at most {MAX_FIELDS} fields")));
        }
        (None, false) => fields.push((name.to_owned(), value.to_owned())),
    }
    Ok(())
}

async fn picture(app: &App, path: &str) -> Result<Option<MediaFile>, Error> {
    if path.is_empty() {
        return Ok(None);
    }
    let (media, path) = (app.media.clone(), path.to_owned());
    let kept = blocking(move || {
        let open = || std::fs::File::open(Path::new(&path)).map_err(|e| e.to_string());
        keep_picture(&media, true, &open).map_err(|reason| Error::Refused(format!("{path}: {reason}")))
    });
    kept.await?.map(Some)
}

/// Keep an avatar or a header, or only look at it unless `keep`; the reason if it cannot be one. Blocking.
pub(super) fn keep_picture<R: Read>(
    media: &MediaStore,
    keep: bool,
    open: &dyn Fn() -> Result<R, String>,
) -> Result<MediaFile, String> {
    let found = media.inspect(&mut open()?).map_err(|e| e.to_string())?;
    let kinds = ["image/jpeg", "image/png", "image/gif", "image/webp"];
    if !kinds.contains(&found.media_type.as_str()) || found.bytes > MAX_PICTURE {
        return Err(format!("it takes a JPEG, PNG, GIF or WebP of at most {} MiB", MAX_PICTURE >> 20));
    }
    if keep { media.keep(&mut open()?).map_err(|e| e.to_string()) } else { Ok(found) }
}

/// Store what [`set`] changed. Followers are told if the actor looks different now; what changes Notes is told to nobody
/// (R-148).
pub async fn save(app: &App, account: &Account, now: DateTime<Utc>) -> Result<(), Error> {
    let announcer = Announcer::of(app, account, now).await?;
    let before = find(app, &account.handle).await?;
    let differs = announcer.actor(&before) != announcer.actor(account);
    let told = differs.then(|| announcer.update_actor(account));
    app.store.update_account(account, told.as_ref(), now).await?;
    app.forget_media().await
}

/// Open a draft to the world.
pub async fn publish(app: &App, handle: &Handle, now: DateTime<Utc>) -> Result<Account, Error> {
    let account = find(app, handle).await?;
    app.store.publish_account(account.id, now).await?;
    find(app, handle).await
}

/// Delete an account for ever: its URLs answer 410 from now on and its handle is never given again.
pub async fn delete(app: &App, handle: &Handle, now: DateTime<Utc>) -> Result<(), Error> {
    let account = find(app, handle).await?;
    let lock = app.store.lock_import(account.id).await?;
    // The files go first: should this break off, the account is still here to be deleted again.
    super::private::erase_files(app, &account).await?;
    let told = Announcer::of(app, &account, now).await?.delete_actor(&account);
    app.store.erase_account(account.id, Some(&told), now).await?;
    lock.release().await?;
    app.forget_media().await
}

async fn list_sentence(app: &App) -> Result<String, Error> {
    let accounts = app.store.list_accounts().await?;
    let handles: Vec<&str> = accounts.iter().map(|account| account.handle.as_str()).collect();
    Ok(match handles.is_empty() {
        true => {
            "there is no account yet; `everpost import PATH` makes one, or `everpost account create HANDLE`".to_owned()
        }
        false => format!("there are: {}", handles.join(", ")),
    })
}
