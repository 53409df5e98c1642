//! activitypub_federation's own sending, for comparison: its `SendActivityTask`s, so many under way at once.
//!
//! It keeps no queue on disk, leases nothing and writes down nothing; it signs by the crate `rsa` in place of openssl.

use activitypub_federation::activity_sending::SendActivityTask;
use activitypub_federation::config::{Data, FederationConfig};
use activitypub_federation::traits::{Activity, Actor, Object};
use async_trait::async_trait;
use futures::StreamExt;
use serde::Serialize;
use serde_json::Value;
use std::time::{Duration, Instant};
use url::Url;

/// An activity as it is sent.
#[derive(Clone, Debug)]
pub struct Said {
    id: Url,
    actor: Url,
    json: Value,
}

impl Said {
    pub fn new(body: &str) -> Said {
        let json: Value = serde_json::from_str(body).unwrap();
        let url = |name: &str| json[name].as_str().unwrap().parse().unwrap();
        Said { id: url("id"), actor: url("actor"), json }
    }
}

impl Serialize for Said {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

#[async_trait]
impl Activity for Said {
    type DataType = ();
    type Error = anyhow::Error;

    fn id(&self) -> &Url {
        &self.id
    }

    fn actor(&self) -> &Url {
        &self.actor
    }

    async fn verify(&self, _: &Data<()>) -> anyhow::Result<()> {
        Ok(())
    }

    async fn receive(self, _: &Data<()>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Who says it.
#[derive(Clone, Debug)]
struct Speaker {
    id: Url,
    private: String,
}

#[async_trait]
impl Object for Speaker {
    type DataType = ();
    type Kind = Value;
    type Error = anyhow::Error;

    fn id(&self) -> &Url {
        &self.id
    }

    async fn read_from_id(_: Url, _: &Data<()>) -> anyhow::Result<Option<Speaker>> {
        Ok(None)
    }

    async fn into_json(self, _: &Data<()>) -> anyhow::Result<Value> {
        Ok(Value::Null)
    }

    async fn verify(_: &Value, _: &Url, _: &Data<()>) -> anyhow::Result<()> {
        Ok(())
    }

    async fn from_json(_: Value, _: &Data<()>) -> anyhow::Result<Speaker> {
        anyhow::bail!("nobody is read")
    }
}

impl Actor for Speaker {
    fn public_key_pem(&self) -> &str {
        ""
    }

    fn private_key_pem(&self) -> Option<String> {
        Some(self.private.clone())
    }

    fn inbox(&self) -> Url {
        self.id.clone()
    }
}

/// A sender with a key of its own.
pub struct Peer {
    config: FederationConfig<()>,
    private: String,
}

impl Peer {
    /// `private` is the key in PKCS #8. It signs as [`everpost::federation::courier::Courier`] does: by draft-cavage.
    pub async fn new(private: String) -> Peer {
        // As the crate's own client, without the resolver that leads to no address of this machine.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let client = client.timeout(Duration::from_secs(10)).build().unwrap();
        let config = FederationConfig::builder()
            .domain("kept.example")
            .app_data(())
            .client(reqwest_middleware::ClientWithMiddleware::from(client))
            // For http, and for ports.
            .debug(true)
            .http_signature_compat(true)
            .build()
            .await
            .unwrap();
        Peer { config, private }
    }

    /// Send each activity to each inbox, so many at once; how long that took.
    pub async fn send(&self, said: &[Said], inboxes: &[Url], at_once: usize) -> Duration {
        let data = self.config.to_request_data();
        let speaker = Speaker { id: said[0].actor.clone(), private: self.private.clone() };
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for one in said {
            tasks.extend(SendActivityTask::prepare(one, &speaker, inboxes.to_vec(), &data).await.unwrap());
        }
        let sent = |task: SendActivityTask| {
            let data = data.clone();
            tokio::spawn(async move { task.sign_and_send(&data).await.unwrap() })
        };
        let mut sending = futures::stream::iter(tasks).map(sent).buffer_unordered(at_once);
        while let Some(sent) = sending.next().await {
            sent.unwrap();
        }
        begun.elapsed()
    }
}
