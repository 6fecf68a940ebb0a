//! Granting object ids, and taking back those that were written in vain.

use proto::{Errno, ObjectId, Reply};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::grants::{Grant, OUTSTANDING_MAX};
use crate::engine::tx::Tx;
use crate::store::MetaKv;

/// Grants ids that were never used. `EAGAIN` where the session holds too many that it has not committed. Objects of ids
/// that it gives back may have been written: they are dead.
pub(super) fn grant<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    count: u32,
    given_back: &[ObjectId],
) -> Outcome<Reply> {
    let session = ask.session.id;
    let dead = tx.granted(session, given_back);
    let outstanding = tx.outstanding(session) - dead.len() as u64;
    tx.take_objects(session, dead.clone())?;
    tx.bury(dead, ask.now);
    if outstanding + u64::from(count) > OUTSTANDING_MAX {
        return Err(Errno::EAGAIN.into());
    }
    let first = ObjectId(tx.counters.next_object);
    tx.counters.next_object += u64::from(count);
    tx.set_grant((first, Some(Grant { count, session })));
    Ok(Reply::Granted { first, count })
}
