//! Taking posts back, and letting them come again.

use super::announcements::Announcer;
use super::{App, Error};
use crate::domain::account::Account;
use crate::domain::ids::PostId;
use chrono::{DateTime, Utc};

/// Withdraw a post: its URLs answer 410 from now on, and followers are told if any other server has seen it. Whether it
/// stood until now.
pub async fn withdraw(app: &App, account: &Account, id: PostId, now: DateTime<Utc>) -> Result<bool, Error> {
    let told = Announcer::of(app, account, now).await?.delete_note(account, id);
    let stood = app.store.withdraw_post(account.id, id, Some(&told), now).await?;
    app.forget_media().await?;
    Ok(stood)
}

/// Let the next import bring a withdrawn post back under its old number and date. Its content is gone from here, so the
/// archive that holds it has to be imported again.
pub async fn restore(app: &App, account: &Account, id: PostId) -> Result<(), Error> {
    app.store.await_post(account.id, id).await.map_err(|error| match error {
        crate::store::Error::Conflict(_) => Error::Refused(format!("post {id} stands: there is nothing to restore")),
        other => other.into(),
    })
}
