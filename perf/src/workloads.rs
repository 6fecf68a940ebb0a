//! What is measured. Each workload runs on any folder; those of the system itself need a mount that the run started.

pub(crate) mod contention;
pub(crate) mod metadata;
pub(crate) mod mixed;
pub(crate) mod random;
pub(crate) mod recovery;
pub(crate) mod revocation;
pub(crate) mod scale;
pub(crate) mod sequential;
pub(crate) mod sessions;
pub(crate) mod small_files;
pub(crate) mod sqlite;
pub(crate) mod tree;
pub(crate) mod validation;

use std::path::Path;

use crate::work::{Size, Work};

/// All workloads; `given` is the tree of files to handle, if not one made from the seed; `inodes` those of a large volume,
/// which no quick run has the time for.
pub(crate) fn all(size: Size, given: Option<&Path>, inodes: u64) -> Vec<Box<dyn Work>> {
    let mut all = sequential::all(size);
    all.extend(random::all(size));
    all.extend(metadata::all(size));
    all.extend(small_files::all(size));
    all.extend(tree::all(size, given));
    all.extend(sqlite::all());
    all.extend(mixed::all());
    all.extend(contention::all());
    all.extend(sessions::all(size));
    all.extend(validation::all());
    all.extend(revocation::all());
    all.extend(recovery::all());
    if size == Size::Full {
        all.extend(scale::all(inodes));
    }
    all
}
