//! The programs. Each module: its words, and the few lines that turn them into calls of the libraries.

pub(crate) mod admin;
pub(crate) mod bench;
pub(crate) mod configure;
pub(crate) mod explain;
pub(crate) mod install;
pub(crate) mod meta;
pub(crate) mod mount;
pub(crate) mod up;

mod creds;
mod systemd;
mod tls_files;
