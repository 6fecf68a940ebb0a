//! Certificates of one's own: CAs, what is wrong with certificates, replacing them while servers run.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tests::{Authority, Cluster, Daemon, Flags, Outcome, flexfs, wait_for};
use transport::tls::Identity;

/// Names of a server on this host.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

fn words(flags: &[&str]) -> Vec<String> {
    flags.iter().map(|flag| (*flag).to_owned()).collect()
}

/// An installation whose admin server has a certificate of `authority`.
fn cluster_of(authority: &Authority) -> Cluster {
    let (certificate, key) = authority.issue("admin", &HERE, 2100);
    Cluster::start_with(Flags {
        admin: words(&["--sslCert", &certificate, "--sslKey", &key]),
        init: words(&["--caCert", &authority.file()]),
        ..Flags::default()
    })
}

/// The one line of `configure init creds` that fails.
#[track_caller]
fn refusal(cluster: &Cluster, addr: &str, trust: &[&str]) -> String {
    let file = cluster.home().join("creds-refused").to_str().unwrap().to_owned();
    let token = "11111111-2222-4333-8444-555555555555";
    let args = ["configure", "--credsFile", &file, "init", "creds", "--adminAddr", addr, "--token", token];
    let line = cluster.run(&[&args, trust].concat()).failure(1);
    assert!(!fs::exists(&file).unwrap());
    assert!(line.contains(addr) && !line.contains("adminAddr"), "{line}");
    line
}

#[test]
fn ca_of_ones_own_stands_in_for_pins_and_its_certificates_are_replaced_at_any_time() {
    let authority = Authority::new("one");
    let cluster = cluster_of(&authority);
    let volume = cluster.create_volume("volume", &[]);
    let mounted = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mounted.path("file"), "before").unwrap();
    let creds = fs::read_to_string(cluster.home().join(".flexfs/configure/creds")).unwrap();
    assert!(creds.contains("adminCA") && !creds.contains("adminFingerprint"), "{creds}");

    authority.issue("admin", &HERE, 2101);
    wait_for("the new certificate is taken up", 20, || cluster.admin.log().contains("the certificate was replaced"));
    cluster.configure(&["list", "volume"]);
    let lines = cluster.configure(&["list", "audit", "--action", "admin.renew"]);
    assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
    fs::write(mounted.path("file"), "after").unwrap();
    assert_eq!(mounted.stop(), 0);
}

#[test]
fn certificate_that_cannot_be_accepted_is_explained_in_a_line() {
    let (authority, other) = (Authority::new("one"), Authority::new("two"));
    let cluster = cluster_of(&authority);
    let addr = cluster.admin_addr().to_owned();
    let line = refusal(&cluster, &addr, &["--caCert", &other.file()]);
    assert!(line.contains("was not issued by the CA in") && line.contains(&other.file()), "{line}");

    let show = |names: &[&str], last_year: i32| {
        let before = cluster.admin.log().matches("was replaced").count();
        authority.issue("admin", names, last_year);
        wait_for("the certificate is shown", 20, || cluster.admin.log().matches("was replaced").count() > before);
    };
    show(&["admin.example.com"], 2100);
    let line = refusal(&cluster, &addr, &["--caCert", &authority.file()]);
    assert!(line.contains("is for admin.example.com, not for 127.0.0.1"), "{line}");
    show(&HERE, 2001);
    let line = refusal(&cluster, &addr, &["--caCert", &authority.file()]);
    assert!(line.contains("certificate expired") && line.contains("days ago"), "{line}");
    // A pin asks for no date and no name.
    let file = cluster.home().join("creds-pinned").to_str().unwrap().to_owned();
    let token = "11111111-2222-4333-8444-555555555555";
    let args = ["configure", "--credsFile", &file, "init", "creds", "--adminAddr", &addr, "--token", token];
    cluster.run(&args).success();
    // What is pinned beside it before it comes is accepted when it comes.
    let pinned = fs::read_to_string(&file).unwrap();
    let (next, next_key) = authority.issue("next", &HERE, 2100);
    let next_print = Identity::load(Path::new(&next), Path::new(&next_key)).unwrap().fingerprint();
    let both = cluster.home().join("creds-both").to_str().unwrap().to_owned();
    let now = pinned.lines().find_map(|line| line.strip_prefix("adminFingerprint = \"")).unwrap();
    let fingerprints = format!("{},{next_print}", now.trim_end_matches('"'));
    let args = ["configure", "--credsFile", &both, "init", "creds", "--adminAddr", &addr, "--token", token];
    cluster.run(&[&args[..], &["--adminFingerprint", &fingerprints]].concat()).success();
    let shown = next.replace("next.cert", "admin.cert");
    let before = cluster.admin.log().matches("was replaced").count();
    fs::rename(&next_key, shown.replace("admin.cert", "admin.key")).unwrap();
    fs::rename(&next, &shown).unwrap();
    wait_for("the certificate is shown", 20, || cluster.admin.log().matches("was replaced").count() > before);
    cluster.run(&["configure", "--credsFile", &both, "list", "volume"]).success();
    let line = cluster.run(&["configure", "--credsFile", &file, "list", "volume"]).failure(1);
    assert!(line.contains("pinned is") && line.contains("init creds --force"), "{line}");

    for (trust, word) in [("/does/not/exist", "No such file"), ("/etc/hostname", "no certificate")] {
        let line = cluster
            .run(&["mount", "init", "creds", "volume", "--adminAddr", &addr, "--token", token, "--caCert", trust])
            .failure(1);
        assert!(line.contains(trust) && line.contains(word), "{line}");
    }
    let both = ["--caCert", &authority.file(), "--adminFingerprint", &"00".repeat(32)];
    let args = ["mount", "init", "creds", "volume", "--adminAddr", &addr, "--token", token];
    assert!(cluster.run(&[&args[..], &both].concat()).failure(2).contains("cannot be used with"));
}

#[test]
fn mount_follows_the_certificate_of_its_metadata_server() {
    let authority = Authority::new("one");
    let (certificate, key) = authority.issue("meta", &HERE, 2100);
    let flags = Flags { meta: words(&["--sslCert", &certificate, "--sslKey", &key]), ..Flags::default() };
    let mut cluster = Cluster::start_with(flags);
    let volume = cluster.create_volume("volume", &[]);
    let mounted = cluster.mount(&volume, &volume.token, &["--attrValid", "0", "--entryValid", "0"]);
    fs::write(mounted.path("file"), "before").unwrap();

    authority.issue("meta", &HERE, 2101);
    wait_for("mounts are told of it", 20, || {
        cluster.meta.log().matches("registered with the admin server").count() == 2
    });
    assert_eq!(fs::read_to_string(mounted.path("file")).unwrap(), "before", "what is connected stays connected");
    let second = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(fs::read_to_string(second.path("file")).unwrap(), "before");

    cluster.meta.kill();
    cluster.restart_meta();
    fs::write(mounted.path("file"), "after").unwrap();
    wait_for("the mount says so", 5, || mounted.daemon.log().contains("has a new certificate"));
    assert_eq!((mounted.stop(), second.stop()), (0, 0));
}

#[test]
fn files_that_do_not_fit_leave_the_old_certificate_in_place() {
    let authority = Authority::new("one");
    let cluster = cluster_of(&authority);
    let (certificate, key) = authority.issue("other", &HERE, 2100);
    let shown = certificate.replace("other.cert", "admin.cert");
    fs::copy(&certificate, &shown).unwrap();
    wait_for("the fault is told", 20, || cluster.admin.log().contains("is not the key of the certificate"));
    cluster.configure(&["list", "volume"]);
    assert_eq!(cluster.admin.log().matches("the old one stays").count(), 1, "once, not at every look");
    let admin_key = shown.replace("admin.cert", "admin.key");
    let args = ["admin", "start", "--bindAddr", "127.0.0.1:0", "--sslCert", &shown, "--sslKey", &admin_key];
    let line = cluster.run(&args).failure(1);
    assert!(line.contains(&admin_key) && line.contains("is not the key of the certificate"), "{line}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let args = ["admin", "start", "--bindAddr", "127.0.0.1:0", "--sslCert", &certificate, "--sslKey", &key];
    let line = cluster.run(&args).failure(1);
    assert!(line.contains("0640") && line.contains("chmod 600") && line.contains(&key), "{line}");
}

#[test]
fn metadata_servers_show_certificates_where_the_admin_server_wants_them() {
    let (authority, other) = (Authority::new("one"), Authority::new("two"));
    let (certificate, key) = authority.issue("meta-client", &["meta"], 2100);
    let cluster = Cluster::start_with(Flags {
        admin: words(&["--metaCA", &authority.file()]),
        meta_init: words(&["--clientCert", &certificate, "--clientKey", &key]),
        ..Flags::default()
    });
    // Mounts and administrators need none.
    let volume = cluster.create_volume("volume", &[]);
    let mounted = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mounted.path("file"), "x").unwrap();
    assert_eq!(mounted.stop(), 0);
    authority.issue("meta-client", &["meta"], 2101);
    wait_for("the new one is taken up", 20, || cluster.meta.log().contains("the certificate was replaced"));

    let stores = cluster.configure(&["list", "meta-store"]);
    let store = stores[0]["id"].as_str().unwrap();
    let shown = cluster.configure(&["show", "meta-store", store]);
    let token = shown["token"].as_str().unwrap();
    let file = cluster.home().join("meta-creds").to_str().unwrap().to_owned();
    let base = ["meta", "--credsFile", &file, "init", "creds", "--adminAddr", cluster.admin_addr(), "--token", token];
    let line = cluster.run(&base).failure(1);
    assert!(line.contains("shows no certificate") && line.contains("--clientCert"), "{line}");
    let (foreign, foreign_key) = other.issue("meta-client", &["meta"], 2100);
    let shown = ["--clientCert", &foreign, "--clientKey", &foreign_key];
    let line = cluster.run(&[&base[..], &shown].concat()).failure(1);
    assert!(line.contains("refuses the certificate that this host shows"), "{line}");
    let (expired, expired_key) = authority.issue("expired", &["meta"], 2001);
    let line = cluster.run(&[&base[..], &["--clientCert", &expired, "--clientKey", &expired_key]].concat()).failure(1);
    assert!(line.contains("refuses the certificate that this host shows") && line.contains("xpired"), "{line}");
    assert_eq!(cluster.run(&[&base[..], &["--clientCert", &certificate]].concat()).status, 2);
    let lines = cluster.configure(&["list", "audit", "--action", "request.refuse"]);
    assert!(lines.to_string().contains("shows no certificate"), "{lines}");
}

#[test]
fn plain_http_is_for_loopback_unless_it_is_forced() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let token = "11111111-2222-4333-8444-555555555555";
    Outcome::of(&mut flexfs(home, &["admin", "init", "creds", "--token", token])).success();
    let start =
        |addr: &str, more: &[&str]| flexfs(home, &[&["admin", "start", "--noSSL", "--bindAddr", addr], more].concat());
    let line = Outcome::of(&mut start("0.0.0.0:0", &[])).failure(2);
    assert!(line.contains("0.0.0.0:0") && line.contains("--insecure"), "{line}");
    for (addr, more) in [("127.0.0.1:0", &[][..]), ("[::1]:0", &[]), ("0.0.0.0:0", &["--insecure"])] {
        let log = home.join("log");
        let _ = fs::remove_file(&log);
        let mut daemon = Daemon::start(&mut start(addr, more), &log);
        wait_for("it serves", 20, || {
            assert!(daemon.is_running(), "{}", daemon.log());
            daemon.log().contains("http://")
        });
        assert_eq!(daemon.terminate(), 0);
    }
}
