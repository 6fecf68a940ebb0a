//! A server's certificate and key: from files, made at the first start.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use transport::tls::Identity;

use crate::paths;

/// Which files.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TlsFiles {
    /// Certificate in PEM form, made if neither it nor the key exists [default: ~/.flexfs/ssl/cert]
    #[arg(long = "sslCert", value_name = "FILE")]
    ssl_cert: Option<PathBuf>,
    /// Its key in PEM form [default: ~/.flexfs/ssl/key]
    #[arg(long = "sslKey", value_name = "FILE")]
    ssl_key: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads or makes them.
    pub(super) fn identity(&self) -> Result<Identity> {
        let path = |given: &Option<PathBuf>, name| given.clone().map_or_else(|| paths::flexfs_folder(name), Ok);
        Ok(Identity::load_or_create(&path(&self.ssl_cert, "ssl/cert")?, &path(&self.ssl_key, "ssl/key")?)?)
    }
}
