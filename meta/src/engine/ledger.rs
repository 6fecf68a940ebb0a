//! The ledger: which operations of a session were applied, so that one sent again is answered and not applied twice.
//!
//! A mount has at most [`OPERATIONS_IN_FLIGHT_MAX`] unanswered mutations, so the replies of as many suffice: a ring of
//! records, written in the batch of the mutation itself. Refusals change nothing and are not kept, and of block maps only
//! the version is: they can be read again. In memory there is only which ids the ring holds; the replies are read when an
//! operation is repeated.

use proto::limits::OPERATIONS_IN_FLIGHT_MAX;
use proto::{Layout, OperationId, Reply};

use super::error::EngineError;
use super::inode::{decode_record, encode_record};

const WORDS: usize = (OPERATIONS_IN_FLIGHT_MAX / 64) as usize;

/// Which of a session's newest operations were applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    applied: [u64; WORDS],
    /// Applied by an earlier process: what that process knew in memory only (open files) is lost.
    inherited: [u64; WORDS],
}

/// What is known of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not applied yet.
    New,
    /// Applied; `inherited` by an earlier process and asked for the first time since.
    Applied {
        /// See above.
        inherited: bool,
    },
    /// No id that a mount within its window could send.
    Outside,
}

impl Window {
    pub(super) fn standing(&self, operation: OperationId) -> Standing {
        let oldest = self.highest.saturating_sub(OPERATIONS_IN_FLIGHT_MAX - 1);
        if operation.0 == 0 || operation.0 < oldest {
            return Standing::Outside;
        }
        let (word, bit) = place(operation.0);
        if operation.0 > self.highest || self.applied[word] & bit == 0 {
            return Standing::New;
        }
        Standing::Applied { inherited: self.inherited[word] & bit != 0 }
    }

    /// Notes that an operation was applied by this process.
    pub(super) fn note(&mut self, operation: OperationId) {
        let first = self.highest.saturating_add(1).max(operation.0.saturating_sub(OPERATIONS_IN_FLIGHT_MAX - 1));
        for skipped in first..=operation.0 {
            let (word, bit) = place(skipped);
            self.applied[word] &= !bit;
            self.inherited[word] &= !bit;
        }
        self.highest = self.highest.max(operation.0);
        let (word, bit) = place(operation.0);
        self.applied[word] |= bit;
        self.inherited[word] &= !bit;
    }

    /// The window of a session that an earlier process served, from the operations in its ring.
    pub(super) fn inherit(operations: &[OperationId]) -> Self {
        let highest = operations.iter().map(|operation| operation.0).max().unwrap_or(0);
        let mut window = Self { highest, ..Self::default() };
        let oldest = highest.saturating_sub(OPERATIONS_IN_FLIGHT_MAX - 1);
        for operation in operations.iter().filter(|operation| operation.0 >= oldest) {
            let (word, bit) = place(operation.0);
            window.applied[word] |= bit;
            window.inherited[word] |= bit;
        }
        window
    }
}

/// Slot of an operation in the ring.
pub(super) fn slot(operation: OperationId) -> u16 {
    (operation.0 % OPERATIONS_IN_FLIGHT_MAX) as u16
}

pub(super) fn encode(operation: OperationId, reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Opened(attr, layout) => encode_record(&(operation, Reply::Opened(*attr, silent(layout)))),
        other => encode_record(&(operation, other)),
    }
}

/// A map that speaks of no block: whoever gets it asks for more.
fn silent(layout: &Layout) -> Layout {
    let first = layout.first;
    Layout { version: layout.version, inline: None, first, behind: first, blocks: Vec::new() }
}

pub(super) fn decode(value: &[u8]) -> Result<(OperationId, Reply), EngineError> {
    decode_record("ledger", value)
}

fn place(operation: u64) -> (usize, u64) {
    let slot = operation % OPERATIONS_IN_FLIGHT_MAX;
    ((slot / 64) as usize, 1 << (slot % 64))
}

#[cfg(test)]
mod tests;
