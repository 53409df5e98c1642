//! What is sent to inboxes: who is believed, what is kept, what is shown of it.

mod answered;
mod believed;
pub mod far;
mod followed;
mod kept;
mod reacted;

use crate::activitypub::{account, post, store};
use crate::support::{TestApp, status_id};
use everpost::http;

/// When the posts of these tests were written.
pub const FIRST: &str = "2024-01-01T00:00:00Z";
pub const SECOND: &str = "2024-01-02T00:00:00Z";

/// An account `ann` with two posts.
pub async fn app_with_posts() -> TestApp {
    app_with(http::Settings::default()).await
}

pub async fn app_with(settings: http::Settings) -> TestApp {
    let app = TestApp::start_as(None, settings).await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(FIRST), post(SECOND)]).await;
    app
}

/// The id of the Note that was written then.
pub fn note(app: &TestApp, at: &str) -> String {
    format!("{}/users/ann/statuses/{}", app.base, status_id(at))
}

/// The id of the account.
pub fn ann(app: &TestApp) -> String {
    format!("{}/users/ann", app.base)
}

/// How many rows a table has.
pub fn rows(app: &TestApp, table: &str) -> i64 {
    app.database.number(&format!("SELECT count(*) FROM {table}"))
}
