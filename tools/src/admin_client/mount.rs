//! What a mount asks: `/v1/volumes/for-token/` with a volume token.

use auth::VolumeToken;
use proto::rest::MountTarget;

use super::{AdminClient, ClientError};

/// What `token` opens, and where.
pub async fn mount_target(admin: &AdminClient, token: &VolumeToken) -> Result<MountTarget, ClientError> {
    let response = admin.send("GET", "/v1/volumes/for-token/", &[], token.expose(), None::<&()>).await?;
    admin.read(&response)
}
