//! What bounds a token: how many mounts, from where; who guesses; and what holds while the admin server is away.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use auth::VolumeToken;
use proto::{Greeting, InodeId, SessionRefusal};
use rustix::mount::{UnmountFlags, unmount};
use tests::{Cluster, Mounted, Outcome, Volume, WireClient, flexfs, is_mounted, wait_for};

/// The one line of a mount that is refused.
fn refused_mount(cluster: &Cluster, volume: &Volume, token: &str) -> String {
    let point = tempfile::tempdir_in(cluster.home()).unwrap();
    let creds = cluster.mount_creds(&volume.name, token);
    let args = ["mount", "start", &volume.name, text(point.path()), "--credsFile", text(&creds), "--foreground"];
    let line = Outcome::of(&mut flexfs(cluster.home(), &args)).failure(1);
    assert!(!is_mounted(point.path()));
    line
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn refusal(greeting: &Greeting) -> (SessionRefusal, String) {
    match greeting {
        Greeting::Sorry(refusal, reason) => (*refusal, reason.clone()),
        Greeting::Welcome(_) => panic!("a session was opened"),
    }
}

#[test]
fn token_has_no_more_mounts_than_it_may() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("few", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &["--maxMounts", "2"]);
    let one = cluster.mount(&volume, &token, &[]);
    let mut two = cluster.mount(&volume, &token, &[]);
    wait_for("both are counted", 10, || cluster.configure(&["show", "volume-token", &id])["mounts"] == 2);
    assert!(cluster.configure(&["show", "volume-token", &id])["last_used_at"].is_string());
    let line = refused_mount(&cluster, &volume, &token);
    assert!(line.contains("(2)") && line.contains("--maxMounts"), "{line}");
    let unbounded = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(unbounded.stop(), 0);
    // Who unmounts makes room.
    assert_eq!(one.stop(), 0);
    let three = cluster.mount(&volume, &token, &[]);
    fs::write(three.path("file"), "x").unwrap();
    // So does who died, once the server knows it, for the mount that follows in the same place.
    let point = two.point().to_owned();
    let creds = cluster.mount_creds(&volume.name, &token);
    two.daemon.kill();
    unmount(&point, UnmountFlags::DETACH).unwrap();
    let args = ["mount", "start", &volume.name, text(&point), "--credsFile", text(&creds)];
    wait_for("the place of the dead mount is free", 60, || cluster.run(&args).status == 0);
    assert_eq!(fs::read_to_string(point.join("file")).unwrap(), "x");
    unmount(&point, UnmountFlags::empty()).unwrap();
    // More are allowed from now on.
    cluster.run(&["configure", "update", "volume-token", &id, "--maxMounts", "0"]).success();
    let more = [(); 3].map(|()| cluster.mount(&volume, &token, &[]));
    for mount in &more {
        assert_eq!(fs::read_to_string(mount.path("file")).unwrap(), "x");
    }
}

fn tokio_test<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn mount_comes_from_where_its_token_may_be_used() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("near", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &["--allowedNetworks", "10.99.0.0/16,2001:db8::/32"]);
    let line = refused_mount(&cluster, &volume, &token);
    assert!(line.contains("10.99.0.0/16") && line.contains("127.0.0.1"), "{line}");
    cluster.run(&["configure", "update", "volume-token", &id, "--allowedNetworks", "127.0.0.0/8"]).success();
    let mount = cluster.mount(&volume, &token, &[]);
    fs::write(mount.path("file"), "x").unwrap();
    // A running mount that is outside from now on is cut.
    cluster.run(&["configure", "update", "volume-token", &id, "--allowedNetworks", "10.99.0.0/16"]).success();
    wait_for("the mount is cut", 2, || {
        fs::read_dir(mount.point()).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    });
    wait_for("the daemon says why", 5, || mount.daemon.log().contains("network"));
}

#[tokio::test]
async fn guesser_waits_longer_and_longer_and_known_tokens_do_not() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("guessed", &[]);
    let mut known = WireClient::open(&cluster, &volume.token).await;
    let unknown_yet = cluster.create_token(&volume, "/", "");
    let mut held_up = None;
    for guess in 0..40 {
        let (_, greeting) = WireClient::greet(&cluster, VolumeToken::generate().expose()).await;
        match refusal(&greeting) {
            (SessionRefusal::TokenRejected, _) => {}
            (SessionRefusal::Unavailable, reason) => {
                assert!(reason.contains("too many wrong") && reason.contains("127.0.0.1"), "{reason}");
                held_up = Some(guess);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(held_up.is_some_and(|guess| guess >= 10), "{held_up:?}");
    known.lookup(InodeId::ROOT, "nothing").await.unwrap_err();
    WireClient::open(&cluster, &volume.token).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match WireClient::greet(&cluster, &unknown_yet).await.1 {
            Greeting::Welcome(_) => break,
            Greeting::Sorry(refusal, reason) => assert_eq!(refusal, SessionRefusal::Unavailable, "{reason}"),
        }
        assert!(Instant::now() < deadline, "who shares the guesser's address waits for ever");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn known_token_mounts_while_the_admin_server_is_away_also_after_a_restart() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("grace", &[]);
    let known = cluster.create_token(&volume, "/", "");
    let strange = cluster.create_token(&volume, "/", "");
    let creds = [&known, &strange].map(|token| cluster.mount_creds(&volume.name, token));
    let running = cluster.mount(&volume, &known, &[]);
    fs::write(running.path("file"), "before").unwrap();
    // The token is written down within a second or two.
    std::thread::sleep(Duration::from_secs(3));
    let known_tokens = cluster.home().join("meta-db/known-tokens");
    let bytes = fs::read(&known_tokens).unwrap();
    assert!(!bytes.windows(known.len()).any(|window| window == known.as_bytes()));
    assert_eq!(cluster.admin.terminate(), 0);

    for round in 0..2 {
        fs::write(running.path("file"), format!("round {round}")).unwrap();
        let (_, greeting) = tokio_test(WireClient::greet(&cluster, &known));
        assert!(matches!(greeting, Greeting::Welcome(_)), "round {round}: {greeting:?}");
        let (_, greeting) = tokio_test(WireClient::greet(&cluster, &strange));
        assert_eq!(refusal(&greeting).0, SessionRefusal::Unavailable, "round {round}");
        if round == 0 {
            cluster.meta.kill();
            cluster.restart_meta_alone(&[]);
        }
    }
    // A grace that is over by now lets nobody in; running sessions go on.
    cluster.meta.terminate();
    cluster.restart_meta_alone(&["--authGrace", "0s", "--authTTL", "1s"]);
    let (_, greeting) = tokio_test(WireClient::greet(&cluster, &known));
    assert_eq!(refusal(&greeting).0, SessionRefusal::Unavailable);
    cluster.restart_admin();
    fs::write(running.path("file"), "after").unwrap();
    let again = [
        Mounted::start(cluster.home(), &volume.name, &creds[0], &[]),
        Mounted::start(cluster.home(), &volume.name, &creds[1], &[]),
    ];
    for mount in &again {
        assert_eq!(fs::read_to_string(mount.path("file")).unwrap(), "after");
    }
}

#[test]
fn token_that_was_deleted_while_the_way_to_the_metadata_server_was_cut_ends_when_it_is_open_again() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("missed", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let (mount, kept) = (cluster.mount(&volume, &token, &[]), cluster.mount(&volume, &volume.token, &[]));
    // The metadata server hears nothing while it stands still, and neither does the admin server of the loss.
    cluster.meta.signal(rustix::process::Signal::STOP);
    cluster.run(&["configure", "delete", "volume-token", &id, "--force"]).success();
    cluster.admin.kill();
    cluster.restart_admin();
    cluster.meta.signal(rustix::process::Signal::CONT);
    wait_for("the mount is cut", 5, || fs::read_dir(mount.point()).is_err());
    fs::write(kept.path("file"), "x").unwrap();
}

#[test]
fn bad_bounds_get_one_clear_line() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("bad", &[]);
    for (flag, value, word) in [
        ("--expires", "soon", "RFC 3339"),
        ("--expires", "2020-01-01T00:00:00Z", "past"),
        ("--allowedNetworks", "10.0.0.0/64", "CIDR"),
        ("--maxMounts", "many", "many"),
    ] {
        let args = ["configure", "create", "volume-token", "--volumeID", &volume.id, flag, value];
        let outcome = cluster.run(&args);
        assert_eq!(outcome.status, 2, "{outcome:?}");
        assert!(outcome.stderr.contains(flag) && outcome.stderr.contains(word), "{outcome:?}");
    }
    for (flag, value) in
        [("--authTTL", "0s"), ("--authGrace", "2d"), ("--authNegativeTTL", "1h"), ("--sessionGrace", "1s")]
    {
        let outcome = cluster.run(&["meta", "start", flag, value]);
        assert_eq!(outcome.status, 2, "{outcome:?}");
        assert!(outcome.stderr.contains(flag) && outcome.stderr.contains(value), "{outcome:?}");
    }
}
