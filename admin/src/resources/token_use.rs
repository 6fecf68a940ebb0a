//! What metadata servers say of the use of volume tokens.

use proto::rest::TokenUse;
use uuid::Uuid;

use crate::api::ApiError;
use crate::db::Tx;

/// Notes which tokens have mounts at the metadata server `store`: those that are not named have none there. A token was
/// used last when it was named last, or when its last mount went.
pub(crate) fn record(tx: &Tx<'_>, store: Uuid, uses: &[TokenUse]) -> Result<(), ApiError> {
    let store = store.to_string();
    tx.sql.prepare_cached(LEFT)?.execute([&store])?;
    let mut used = tx.sql.prepare_cached(USED)?;
    for TokenUse { token_id, mounts } in uses {
        used.execute((mounts, token_id.to_string(), &store))?;
    }
    Ok(())
}

const LEFT: &str = "UPDATE volume_tokens SET mounts = 0, last_used_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') \
                    WHERE mounts > 0 AND volume_id IN (SELECT id FROM volumes WHERE meta_store_id = ?)";
const USED: &str = "UPDATE volume_tokens SET mounts = ?, last_used_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') \
                    WHERE id = ? AND volume_id IN (SELECT id FROM volumes WHERE meta_store_id = ?)";
