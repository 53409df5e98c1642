//! Talking to other servers: keys and signatures, the outbound client and the courier that signs what goes through it,
//! objects, actors and keys of others, a look at certificates.
//!
//! May read actors and keys from the store; must never know archive formats, pages, or what to do about a message.
//! No private key leaves [`keys`]; [`seal`] seals for others what is not public.

pub mod actors;
pub mod addresses;
pub mod certificate;
pub mod client;
pub mod courier;
pub mod fetch;
pub mod keys;
pub mod nodeinfo;
pub mod proof;
pub mod seal;
pub mod senders;
pub mod signature;

use activitypub_federation::config::{FederationConfig, FederationConfigBuilderError};

/// The AP library's configuration around our application data.
///
/// Its own queue and signer are never used (decision 0002); plain http is refused, as everywhere outside tests.
pub async fn configure<T: Clone + Send + Sync + 'static>(
    app: T,
    authority: &str,
) -> Result<FederationConfig<T>, FederationConfigBuilderError> {
    FederationConfig::builder().domain(authority).app_data(app).queue_worker_count(0).queue_retry_count(0).build().await
}
