//! What a metadata server says and asks, with a metadata token.

use std::time::Duration;

use auth::{AuthorityError, ServerToken, TokenAuthority, VolumeToken};
use proto::Redacted;
use proto::feed::FeedPosition;
use proto::rest::{MetaRegistration, SessionReport, TokenGrant, TokenUse, ValidateRequest, VolumeUse};
use tokio::runtime::Handle;

use super::{AdminClient, ClientError, Feed};

/// The admin server as one metadata server sees it.
///
/// A kept connection is served by the runtime that made it. Serving threads, each with a runtime of its own, therefore
/// leave their questions to the runtime that this client was made in, which must go on until they have all ended.
#[derive(Clone, Debug)]
pub struct ServerClient {
    admin: AdminClient,
    token: ServerToken,
    home: Handle,
}

impl ServerClient {
    /// Speaks to `admin` as the metadata server of `token`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(admin: AdminClient, token: ServerToken) -> Self {
        Self { admin, token, home: Handle::current() }
    }

    /// As [`AdminClient::renew`].
    pub async fn renew(&self) {
        self.admin.renew().await;
    }

    /// Tells mounts, through the admin server, how this server is recognised.
    pub async fn register(&self, registration: &MetaRegistration) -> Result<(), ClientError> {
        let path = "/v1/meta-stores/self";
        let registered = self.admin.send("PUT", path, &[], self.token.expose(), Some(registration)).await;
        registered.map(drop).map_err(|error| error.with_hint(HINT))
    }

    /// Reports what the volumes hold.
    pub async fn report(&self, volumes: &[VolumeUse]) -> Result<(), ClientError> {
        self.admin.send("PUT", "/v1/volumes/stats", &[], self.token.expose(), Some(&volumes)).await.map(drop)
    }

    /// Reports what became of sessions.
    pub async fn report_sessions(&self, report: &SessionReport) -> Result<(), ClientError> {
        self.admin.send("POST", "/v1/sessions/report", &[], self.token.expose(), Some(report)).await.map(drop)
    }

    /// Listens for what changes, from `after` on.
    pub async fn feed(&self, after: Option<FeedPosition>) -> Result<Feed, ClientError> {
        self.admin.feed(self.token.expose(), after).await.map_err(|error| error.with_hint(HINT))
    }

    /// Says up to which change this server acts by what it heard.
    pub async fn report_acts(&self, place: FeedPosition) -> Result<(), ClientError> {
        self.admin.send("PUT", "/v1/meta-stores/self/acts", &[], self.token.expose(), Some(&place)).await.map(drop)
    }

    /// Reports which volume tokens are in use.
    pub async fn report_tokens(&self, uses: &[TokenUse]) -> Result<(), ClientError> {
        self.admin.send("PUT", "/v1/volume-tokens/use", &[], self.token.expose(), Some(&uses)).await.map(drop)
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
        let asked = self.admin.send("POST", path, &[], self.token.expose(), Some(&question)).await;
        self.admin.read(&asked.map_err(|error| error.with_hint(HINT))?)
    }
}

const HINT: &str =
    "`configure.flexfs show meta-store ID` shows the right one, `meta.flexfs init creds --force` puts it in place";

/// Longer than any exchange takes: only where the runtime of the questions stands still is it reached.
const ANSWER_MAX: Duration = Duration::from_secs(30);

impl TokenAuthority for ServerClient {
    async fn validate(&self, token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        let (asking, token) = (self.clone(), token.clone());
        let answer = self.home.spawn(async move { asking.ask(&token).await });
        match tokio::time::timeout(ANSWER_MAX, answer).await {
            Ok(Ok(Ok(grant))) => Ok(grant),
            Ok(Ok(Err(ClientError::NotFound { .. }))) => Err(AuthorityError::Rejected),
            // A refusal of the metadata token says nothing about the volume token.
            Ok(Ok(Err(error))) => Err(AuthorityError::Unavailable(error.to_string())),
            Ok(Err(_)) | Err(_) => Err(AuthorityError::Unavailable("this server is stopping".to_owned())),
        }
    }
}
