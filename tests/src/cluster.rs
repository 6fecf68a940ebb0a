//! A whole installation: admin server, metadata server, block store, as an administrator sets them up.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;
use tempfile::TempDir;
use transport::rest::HttpsClient;
use transport::tls::Trust;

use crate::{Daemon, Mounted, Outcome, Standby, flexfs, require_fuse, secrets, wait_for};

/// Token of the root account in every test installation.
const ROOT_TOKEN: &str = "11111111-2222-4333-8444-555555555555";

/// Flags beyond those of the README.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// Of `admin start`.
    pub admin: Vec<String>,
    /// Of `meta start`.
    pub meta: Vec<String>,
    /// Of every `init creds` that names the admin server.
    pub init: Vec<String>,
    /// Of `meta init creds` alone.
    pub meta_init: Vec<String>,
}

/// An installation with servers running.
pub struct Cluster {
    /// The admin server.
    pub admin: Daemon,
    /// The metadata server.
    pub meta: Daemon,
    admin_addr: String,
    meta_addr: String,
    meta_store: String,
    block_store: String,
    flags: Flags,
    /// Goes last: the servers' logs are in it.
    folder: TempDir,
}

/// A volume that the cluster made.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The token it was made with: the whole volume, no flags.
    pub token: String,
}

impl Cluster {
    /// Sets everything up with the commands of the README.
    pub fn start() -> Self {
        Self::start_with(Flags::default())
    }

    /// As [`Cluster::start`], with servers that can be scraped: at the addresses of the admin and the metadata server.
    pub fn start_scraped() -> (Self, [String; 2]) {
        let addrs = [free_addr(), free_addr()];
        let scraped = |addr: &String| vec!["--metricsAddr".to_owned(), addr.clone()];
        let flags = Flags { admin: scraped(&addrs[0]), meta: scraped(&addrs[1]), ..Flags::default() };
        (Self::start_with(flags), addrs)
    }

    /// Sets everything up with further flags.
    pub fn start_with(flags: Flags) -> Self {
        require_fuse();
        let folder = tempfile::tempdir().expect("a folder for the test");
        let home = folder.path().to_owned();
        let (admin_addr, meta_addr) = (free_addr(), free_addr());
        Outcome::of(&mut flexfs(&home, &["admin", "init", "creds", "--token", ROOT_TOKEN])).success();
        let admin = start_admin(&home, &admin_addr, &flags.admin);
        let configure = |args: &[&str]| Outcome::of(&mut flexfs(&home, &[&["configure"], args].concat())).success();
        let init = ["init", "creds", "--adminAddr", &admin_addr];
        configure(&[&init, &["--token", ROOT_TOKEN][..], &words(&flags.init)].concat());
        let meta_store = json(&configure(&[
            "create",
            "meta-store",
            "--providerCode",
            "local",
            "--regionCode",
            "local",
            "--address",
            &meta_addr,
            "--json",
        ]));
        let blocks = home.join("blocks");
        let block_store = json(&configure(&[
            "create",
            "block-store",
            "--providerCode",
            "local",
            "--regionCode",
            "local",
            "--apiCode",
            "local",
            "--address",
            text(&blocks),
            "--bucket",
            "bucket",
            "--json",
        ]));
        let meta_token = field(&meta_store, "token");
        let token = ["--token", &meta_token];
        let init = [&["meta"], &init[..], &token, &words(&flags.init), &words(&flags.meta_init)].concat();
        Outcome::of(&mut flexfs(&home, &init)).success();
        let meta = start_meta(&home, &meta_addr, &flags.meta);
        let (meta_store, block_store) = (field(&meta_store, "id"), field(&block_store, "id"));
        let cluster = Self { admin, meta, admin_addr, meta_addr, meta_store, block_store, flags, folder };
        cluster.await_meta();
        cluster
    }

    /// The folder that stands for the user's home: everything lies below it.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Address of the admin server.
    pub fn admin_addr(&self) -> &str {
        &self.admin_addr
    }

    /// Address of the metadata server.
    pub fn meta_addr(&self) -> &str {
        &self.meta_addr
    }

    /// `flexfs ARGS` in this installation.
    pub fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(&mut flexfs(self.home(), args))
    }

    /// As [`Self::run`], where clients by hand go on meanwhile: a command that ends or restricts sessions waits for them.
    pub async fn run_beside(&self, args: &[&str]) -> Outcome {
        let mut command = flexfs(self.home(), args);
        tokio::task::spawn_blocking(move || Outcome::of(&mut command)).await.expect("the command is run")
    }

    /// `configure.flexfs ARGS --json`, as JSON.
    #[track_caller]
    pub fn configure(&self, args: &[&str]) -> Value {
        json(&self.run(&[&["configure"], args, &["--json"]].concat()).success())
    }

    /// Changes a volume token as root, and starts no process for it: the kernel flushes written files of a mount when a
    /// new process closes its copies of them.
    pub async fn change_token(&self, id: &str, changes: Value) {
        let client = HttpsClient::new(&self.admin_addr, Some(&Trust::FirstUse(Arc::default()))).expect("an address");
        let path = format!("/v1/configure/volume-tokens/{id}");
        let changed = client.request("PUT", &path, &[], ROOT_TOKEN, Some(&changes)).await;
        assert_eq!(changed.expect("the admin server answers").status, 204);
    }

    /// Makes a volume; `extra` are further flags of `create volume`.
    #[track_caller]
    pub fn create_volume(&self, name: &str, extra: &[&str]) -> Volume {
        let base = [
            "create",
            "volume",
            "--name",
            name,
            "--metaStoreID",
            &self.meta_store,
            "--blockStoreID",
            &self.block_store,
        ];
        let volume = self.configure(&[&base, extra].concat());
        Volume { id: field(&volume, "id"), name: name.to_owned(), token: field(&volume, "token") }
    }

    /// Makes another token of a volume.
    #[track_caller]
    pub fn create_token(&self, volume: &Volume, mount_path: &str, flags: &str) -> String {
        let args = ["create", "volume-token", "--volumeID", &volume.id, "--mountPath", mount_path, "--flags", flags];
        field(&self.configure(&args), "token")
    }

    /// Makes a token of the whole volume with further flags of `create volume-token`; itself and its id.
    #[track_caller]
    pub fn create_bounded_token(&self, volume: &Volume, flags: &[&str]) -> (String, String) {
        let made = self.configure(&[&["create", "volume-token", "--volumeID", &volume.id], flags].concat());
        (field(&made, "token"), field(&made, "id"))
    }

    /// Writes a credentials file for `token`, as `mount.flexfs init creds` does.
    #[track_caller]
    pub fn mount_creds(&self, volume: &str, token: &str) -> PathBuf {
        static FILES: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = FILES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = self.home().join(format!("mount-creds-{number}"));
        let args = ["mount", "init", "creds", volume, "--adminAddr", &self.admin_addr, "--token", token, "--credsFile"];
        self.run(&[&args[..], &[text(&file)], &words(&self.flags.init)].concat()).success();
        file
    }

    /// Mounts a volume on a new mount point, with further flags of `mount start`.
    #[track_caller]
    pub fn mount(&self, volume: &Volume, token: &str, flags: &[&str]) -> Mounted {
        Mounted::start(self.home(), &volume.name, &self.mount_creds(&volume.name, token), flags)
    }

    /// Starts the metadata server again after it was ended.
    pub fn restart_meta(&mut self) {
        self.meta = start_meta(self.folder.path(), &self.meta_addr, &self.flags.meta);
        self.await_meta();
    }

    /// As [`Cluster::restart_meta`], with further flags of `meta start`, and without an admin server to register with.
    pub fn restart_meta_alone(&mut self, flags: &[&str]) {
        let mut command = meta_command(self.home(), &self.meta_addr, &self.flags.meta);
        self.meta = Daemon::start(command.args(flags), &self.home().join("meta.log"));
        self.await_meta_port();
    }

    /// A metadata server that is ready to take over when the running one is ended.
    pub fn standby_meta(&self) -> Standby {
        Standby::ready(&meta_command(self.home(), &self.meta_addr, &self.flags.meta), &self.home().join("meta.log"))
    }

    /// Lets a standby serve in place of the ended metadata server. Starts no process.
    pub fn take_over(&mut self, standby: Standby) {
        self.meta = standby.go();
        self.await_meta_port();
    }

    /// Starts the admin server again after it was ended.
    pub fn restart_admin(&mut self) {
        self.admin = start_admin(self.folder.path(), &self.admin_addr, &self.flags.admin);
    }

    fn await_meta_port(&self) {
        wait_for("the metadata server listens", 20, || UdpSocket::bind(&self.meta_addr).is_err());
    }

    /// Waits until the metadata server told the admin server how it is recognised.
    fn await_meta(&self) {
        self.await_meta_port();
        wait_for("the metadata server registers with the admin server", 20, || {
            self.configure(&["show", "meta-store", &self.meta_store])["fingerprint"].is_string()
        });
    }
}

impl Drop for Cluster {
    /// Whatever the test was about: no token is in what the installation left on disk, but for credentials files.
    fn drop(&mut self) {
        secrets::none_below(self.folder.path());
    }
}

fn meta_command(home: &Path, addr: &str, flags: &[String]) -> Command {
    let folder = home.join("meta-db");
    let base = ["meta", "start", "--bindAddr", addr, "--dbFolder", text(&folder)];
    flexfs(home, &[&base, &words(flags)[..]].concat())
}

fn start_admin(home: &Path, addr: &str, flags: &[String]) -> Daemon {
    let folder = home.join("admin-db");
    let base = ["admin", "start", "--bindAddr", addr, "--dbFolder", text(&folder)];
    let daemon = Daemon::start(&mut flexfs(home, &[&base, &words(flags)[..]].concat()), &home.join("admin.log"));
    wait_for("the admin server listens", 20, || std::net::TcpStream::connect(addr).is_ok());
    daemon
}

fn start_meta(home: &Path, addr: &str, flags: &[String]) -> Daemon {
    Daemon::start(&mut meta_command(home, addr, flags), &home.join("meta.log"))
}

fn words(flags: &[String]) -> Vec<&str> {
    flags.iter().map(String::as_str).collect()
}

/// An address on loopback that nobody listens on. Its port is none that the kernel gives to sockets that ask for any:
/// such a socket of another test might take it before the server does.
pub fn free_addr() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run side by side begin at different places.
    let first = std::process::id() as u16;
    for _ in 0..PORTS {
        let port = FIRST_PORT + first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() && UdpSocket::bind(addr).is_ok() {
            return addr.to_string();
        }
    }
    panic!("no port from {FIRST_PORT} on is free on loopback");
}

/// Ports below those of `net.ipv4.ip_local_port_range`.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;

fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
}

#[track_caller]
fn field(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}
