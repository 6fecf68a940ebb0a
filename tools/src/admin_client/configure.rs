//! What an administrator does: `/v1/configure/...` with an account token.

use auth::AccountToken;
use serde::Serialize;
use serde_json::Value;

use super::exchange::segment;
use super::{AdminClient, ClientError};

/// The configuration as one account sees it. Objects are JSON as the server has them.
#[derive(Clone, Debug)]
pub struct ConfigureClient {
    admin: AdminClient,
    token: AccountToken,
}

impl ConfigureClient {
    /// Speaks to `admin` as the account of `token`.
    #[must_use]
    pub fn new(admin: AdminClient, token: AccountToken) -> Self {
        Self { admin, token }
    }

    /// The objects of `table` whose columns have the values in `filters`.
    pub async fn list(&self, table: &str, filters: &[(&str, &str)]) -> Result<Vec<Value>, ClientError> {
        let path = format!("/v1/configure/{table}");
        let response = self.admin.send("GET", &path, filters, self.token.expose(), None::<&()>).await?;
        self.admin.read(&response)
    }

    /// Makes an object. Returns it as made, with any token it got.
    pub async fn create(&self, table: &str, object: &impl Serialize) -> Result<Value, ClientError> {
        let path = format!("/v1/configure/{table}");
        let response = self.admin.send("POST", &path, &[], self.token.expose(), Some(object)).await?;
        self.admin.read(&response)
    }

    /// The object with this key (of one or two parts), its token in full.
    pub async fn show(&self, table: &str, key: &[String]) -> Result<Value, ClientError> {
        let response = self.admin.send("GET", &object_path(table, key)?, &[], self.token.expose(), None::<&()>).await?;
        self.admin.read(&response)
    }

    /// Changes the fields that `changes` has.
    pub async fn update(&self, table: &str, key: &[String], changes: &impl Serialize) -> Result<(), ClientError> {
        self.admin.send("PUT", &object_path(table, key)?, &[], self.token.expose(), Some(changes)).await.map(drop)
    }

    /// Deletes the object; of a volume only its use.
    pub async fn delete(&self, table: &str, key: &[String]) -> Result<(), ClientError> {
        self.admin.send("DELETE", &object_path(table, key)?, &[], self.token.expose(), None::<&()>).await.map(drop)
    }
}

fn object_path(table: &str, key: &[String]) -> Result<String, ClientError> {
    // URLs know no way to write these two as names.
    if let Some(part) = key.iter().find(|part| matches!(part.as_str(), "" | "." | "..")) {
        return Err(ClientError::Refused { line: format!("key {part:?}: an id or a name is needed") });
    }
    Ok(key.iter().fold(format!("/v1/configure/{table}"), |path, part| format!("{path}/{}", segment(part))))
}
