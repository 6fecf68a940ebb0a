//! What an administrator does: `/v1/configure/...` with an account token.

use auth::AccountToken;
use serde::Serialize;
use serde_json::Value;
use transport::rest::Response;

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
        let response = self.send("GET", &format!("/v1/configure/{table}"), filters, None::<&()>).await?;
        self.admin.read(&response)
    }

    /// Makes an object. Returns it as made, with any token it got.
    pub async fn create(&self, table: &str, object: &impl Serialize) -> Result<Value, ClientError> {
        let response = self.send("POST", &format!("/v1/configure/{table}"), &[], Some(object)).await?;
        self.admin.read(&response)
    }

    /// The object with this key (of one or two parts), its token in full.
    pub async fn show(&self, table: &str, key: &[String]) -> Result<Value, ClientError> {
        let response = self.send("GET", &object_path(table, key)?, &[], None::<&()>).await?;
        self.admin.read(&response)
    }

    /// Changes the fields that `changes` has.
    pub async fn update(&self, table: &str, key: &[String], changes: &impl Serialize) -> Result<(), ClientError> {
        self.send("PUT", &object_path(table, key)?, &[], Some(changes)).await.map(drop)
    }

    /// Deletes the object; of a volume only its use.
    pub async fn delete(&self, table: &str, key: &[String]) -> Result<(), ClientError> {
        self.send("DELETE", &object_path(table, key)?, &[], None::<&()>).await.map(drop)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
    ) -> Result<Response, ClientError> {
        let sent = self.admin.send(method, path, query, self.token.expose(), body).await;
        sent.map_err(|error| error.with_hint(HINT))
    }
}

const HINT: &str = "`configure.flexfs init creds --force` puts another in place; the root account's is what \
                    `admin.flexfs init creds` was given";

fn object_path(table: &str, key: &[String]) -> Result<String, ClientError> {
    // URLs know no way to write these two as names.
    if let Some(part) = key.iter().find(|part| matches!(part.as_str(), "" | "." | "..")) {
        return Err(ClientError::Refused { line: format!("key {part:?}: an id or a name is needed") });
    }
    Ok(key.iter().fold(format!("/v1/configure/{table}"), |path, part| format!("{path}/{}", segment(part))))
}
