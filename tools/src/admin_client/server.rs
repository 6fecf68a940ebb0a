//! What a metadata server says and asks, with a metadata token.

use auth::{AuthorityError, ServerToken, TokenAuthority, VolumeToken};
use proto::Redacted;
use proto::rest::{MetaRegistration, TokenGrant, ValidateRequest, VolumeUse};

use super::{AdminClient, ClientError};

/// The admin server as one metadata server sees it.
#[derive(Clone, Debug)]
pub struct ServerClient {
    admin: AdminClient,
    token: ServerToken,
}

impl ServerClient {
    /// Speaks to `admin` as the metadata server of `token`.
    #[must_use]
    pub fn new(admin: AdminClient, token: ServerToken) -> Self {
        Self { admin, token }
    }

    /// Tells mounts, through the admin server, how this server is recognised.
    pub async fn register(&self, registration: &MetaRegistration) -> Result<(), ClientError> {
        self.admin.send("PUT", "/v1/meta-stores/self", &[], self.token.expose(), Some(registration)).await.map(drop)
    }

    /// Reports what the volumes hold.
    pub async fn report(&self, volumes: &[VolumeUse]) -> Result<(), ClientError> {
        self.admin.send("PUT", "/v1/volumes/stats", &[], self.token.expose(), Some(&volumes)).await.map(drop)
    }

    /// Whether the admin server knows the metadata token. Asks about a volume token that nobody has.
    pub async fn check(&self) -> Result<(), ClientError> {
        match self.ask(&VolumeToken::generate()).await {
            Ok(_) | Err(ClientError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, token: &VolumeToken) -> Result<TokenGrant, ClientError> {
        let question = ValidateRequest { token: Redacted(token.expose().to_owned()) };
        let path = "/v1/volume-tokens/validate";
        let response = self.admin.send("POST", path, &[], self.token.expose(), Some(&question)).await?;
        self.admin.read(&response)
    }
}

impl TokenAuthority for ServerClient {
    async fn validate(&self, token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        self.ask(token).await.map_err(|error| match error {
            ClientError::NotFound { .. } => AuthorityError::Rejected,
            // A refusal of the metadata token says nothing about the volume token.
            other => AuthorityError::Unavailable(other.to_string()),
        })
    }
}
