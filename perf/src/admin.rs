//! The admin server of a system of this run: tokens made and deleted, as an administrator does.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use auth::VolumeToken;
use auth::creds::{ConfigureCreds, MountCreds};
use proto::rest::MountTarget;
use serde_json::{Value, json};
use transport::rest::{HttpsClient, Response};
use transport::tls::{Fingerprint, Trust};

/// Speaks as the root account.
pub(crate) struct Admin {
    client: HttpsClient,
    creds: ConfigureCreds,
}

impl Admin {
    /// The admin server of the `up` whose data lies in `data`.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let creds = ConfigureCreds::load(&data.join("creds/configure"))?;
        let pinned: Option<Fingerprint> = creds.admin_fingerprint.as_deref().map(str::parse).transpose()?;
        let pinned = pinned.context("`up` pins its own certificate")?;
        let client = HttpsClient::new(&creds.admin_addr, Some(&Trust::Pinned(pinned)))?;
        Ok(Self { client, creds })
    }

    /// Makes a token that opens the whole volume `default`, as credentials for a mount.
    pub(crate) async fn create_token(&self) -> Result<MountCreds> {
        let token = self.creds.token.expose();
        let volumes: Vec<Value> = self.send("GET", "/v1/configure/volumes", token, None).await?.json()?;
        let volume =
            volumes.iter().find(|volume| volume["name"] == "default").context("`up` has a volume `default`")?;
        let wanted = json!({"volume_id": volume["id"], "notes": "made by flexfs bench"});
        let made: Value = self.send("POST", "/v1/configure/volume-tokens", token, Some(&wanted)).await?.json()?;
        let token = VolumeToken::parse(made["token"].as_str().context("a token was made")?)?;
        let (admin_addr, admin_fingerprint) = (self.creds.admin_addr.clone(), self.creds.admin_fingerprint.clone());
        Ok(MountCreds { admin_addr, token, admin_fingerprint, admin_ca: None, secret: None })
    }

    /// Deletes a token: its mounts are cut.
    pub(crate) async fn delete_token(&self, token: &VolumeToken) -> Result<()> {
        // Tokens consist of hexadecimal digits and hyphens.
        let path = format!("/v1/configure/volume-tokens/{}", token.expose());
        self.send("DELETE", &path, self.creds.token.expose(), None).await.context("deleting a token").map(drop)
    }

    /// What `token` opens, and where.
    pub(crate) async fn target(&self, token: &VolumeToken) -> Result<MountTarget> {
        Ok(self.send("GET", "/v1/volumes/for-token/", token.expose(), None).await?.json()?)
    }

    async fn send(&self, method: &str, path: &str, bearer: &str, body: Option<&Value>) -> Result<Response> {
        let response = self.client.request(method, path, &[], bearer, body).await?;
        // Its body may tell more, but also a path with a token in it.
        ensure!((200..300).contains(&response.status), "the admin server answered {method} with {}", response.status);
        Ok(response)
    }
}
