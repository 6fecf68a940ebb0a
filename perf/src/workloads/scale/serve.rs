//! The metadata server of the volume, in a process of its own. It asks this file about its only token.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use auth::{AuthenticatorSettings, AuthorityError, TokenAuthority, VolumeToken};
use meta::{MetaServer, MetaSettings};
use proto::rest::TokenGrant;
use proto::{BlockStoreSettings, VolumeSettings};
use rustix::fs::{Advice, fadvise};
use serde::{Deserialize, Serialize};
use transport::tls::{Identity, Trust};
use uuid::Uuid;

use crate::direct::{BLOCK_SIZE, volume_id};
use crate::session::Server;
use crate::tally::Tally;
use crate::worker::Duty;

/// Cache of the database's tables, in bytes: an eighth of what a server with 8 GiB would take.
pub(super) const CACHE_MAX: u64 = 1 << 30;

/// Phase 0 starts the server, phase 1 tells its memory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Serve {}

impl Serve {
    pub(crate) fn in_folder(self, folder: &Path) -> Serving {
        Serving { folder: folder.to_owned(), server: None }
    }
}

pub(crate) struct Serving {
    folder: PathBuf,
    /// Serves until the process is killed.
    server: Option<MetaServer>,
}

impl Duty for Serving {
    fn prepare(&mut self) -> Result<()> {
        forget_pages(&self.folder)
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        if number == 0 {
            let begin = Instant::now();
            let token = VolumeToken::generate();
            let server = start(&self.folder, token.clone())?;
            let (addr, fingerprint) = (server.local_addr().to_string(), server.fingerprint().to_string());
            let there = There { addr, fingerprint, token: token.expose().to_owned() };
            let file = there_file(&self.folder);
            fs::write(&file, serde_json::to_vec(&there)?).with_context(|| format!("writing {}", file.display()))?;
            self.server = Some(server);
            tally.seconds = begin.elapsed().as_secs_f64();
        }
        tally.operations = 1;
        Ok(())
    }
}

fn start(folder: &Path, token: VolumeToken) -> Result<MetaServer> {
    let block_store = BlockStoreSettings::local(folder.join("blocks").display().to_string(), "bench");
    let volume = VolumeSettings::new(volume_id(), "scale", BLOCK_SIZE, block_store);
    let grant = TokenGrant::whole(Uuid::nil(), volume);
    let settings = MetaSettings {
        bind_addr: ([127, 0, 0, 1], 0).into(),
        db_folder: folder.join("db"),
        db_cache_max: CACHE_MAX,
        identity: Identity::load_or_create(&folder.join("cert"), &folder.join("key"))?,
        threads: None,
        sync: false,
        authenticator: AuthenticatorSettings {
            positive_ttl: Duration::from_secs(1),
            negative_ttl: Duration::from_secs(1),
            grace: Duration::from_secs(60),
            entries_max: 16,
        },
        session_grace: Duration::from_secs(60),
    };
    Ok(MetaServer::start(settings, OnlyToken { token, grant })?)
}

/// In the place of the admin server: what is measured needs none.
struct OnlyToken {
    token: VolumeToken,
    grant: TokenGrant,
}

impl TokenAuthority for OnlyToken {
    async fn validate(&self, token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        if *token == self.token { Ok(self.grant.clone()) } else { Err(AuthorityError::Rejected) }
    }
}

/// Where the server is, in a file of the run's own folder.
#[derive(Serialize, Deserialize)]
struct There {
    addr: String,
    fingerprint: String,
    token: String,
}

fn there_file(folder: &Path) -> PathBuf {
    folder.join("server")
}

/// The server that was started last, and its token.
pub(super) fn there(folder: &Path) -> Result<(Server, VolumeToken)> {
    let file = there_file(folder);
    let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    let There { addr, fingerprint, token } = serde_json::from_slice(&bytes)?;
    let server = Server { addr: addr.parse()?, trust: Trust::Pinned(fingerprint.parse()?) };
    Ok((server, VolumeToken::parse(&token)?))
}

/// Bytes of all files below `folder`.
pub(super) fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    each_file(folder, &mut |path| {
        bytes += path.metadata().with_context(|| format!("file {}", path.display()))?.len();
        Ok(())
    })?;
    Ok(bytes)
}

/// Has the kernel drop what it keeps of the files below `folder`, so that they are read from the disk.
pub(super) fn forget_pages(folder: &Path) -> Result<()> {
    each_file(folder, &mut |path| {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        file.sync_data().with_context(|| format!("flushing {}", path.display()))?;
        fadvise(file.as_fd(), 0, None, Advice::DontNeed).with_context(|| format!("dropping {}", path.display()))
    })
}

fn each_file(folder: &Path, visit: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))? {
        let path = entry.with_context(|| format!("folder {}", folder.display()))?.path();
        if path.is_dir() { each_file(&path, visit)? } else { visit(&path)? }
    }
    Ok(())
}
