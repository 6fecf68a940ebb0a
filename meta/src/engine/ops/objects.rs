//! Granting object ids.

use proto::{Errno, ObjectId, Reply};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::grants::{Grant, OUTSTANDING_MAX};
use crate::engine::tx::Tx;
use crate::store::MetaKv;

/// Grants ids that were never used. `EAGAIN` where the session holds too many that it has not committed.
pub(super) fn grant<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, count: u32) -> Outcome<Reply> {
    let session = ask.session.id;
    if tx.outstanding(session) + u64::from(count) > OUTSTANDING_MAX {
        return Err(Errno::EAGAIN.into());
    }
    let first = ObjectId(tx.counters.next_object);
    tx.counters.next_object += u64::from(count);
    tx.set_grant((first, Some(Grant { count, session })));
    Ok(Reply::Granted { first, count })
}
