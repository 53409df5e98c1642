//! What is sent to inboxes: who is believed, what is kept, what is shown of it.

mod kept;

use crate::activitypub::{account, post, store};
use crate::support::TestApp;

/// When the posts of these tests were written.
pub const FIRST: &str = "2024-01-01T00:00:00Z";
pub const SECOND: &str = "2024-01-02T00:00:00Z";

/// An account `ann` with two posts.
pub async fn app_with_posts() -> TestApp {
    let app = TestApp::start().await;
    account(&app, "ann").await;
    store(&app, "ann", &[post(FIRST), post(SECOND)]).await;
    app
}
