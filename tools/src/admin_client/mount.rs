//! What a mount asks: `/v1/volumes/for-token/` with a volume token.

use auth::VolumeToken;
use proto::rest::MountTarget;

use super::{AdminClient, ClientError};

/// What `token` opens, and where.
pub async fn mount_target(admin: &AdminClient, token: &VolumeToken) -> Result<MountTarget, ClientError> {
    let asked = admin.send("GET", "/v1/volumes/for-token/", &[], token.expose(), None::<&()>).await;
    admin.read(&asked.map_err(|error| error.with_hint(HINT))?)
}

const HINT: &str =
    "`configure.flexfs create volume-token` makes another, `mount.flexfs init creds --force` puts it in place";
