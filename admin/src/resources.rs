//! The tables: what their rows are, who may see and change them, what is accepted. One file each.

pub(crate) mod accounts;
pub(crate) mod block_apis;
pub(crate) mod block_stores;
mod checks;
pub(crate) mod meta_stores;
pub(crate) mod providers;
pub(crate) mod regions;
pub(crate) mod sessions;
pub(crate) mod token_use;
pub(crate) mod volume_tokens;
pub(crate) mod volumes;
