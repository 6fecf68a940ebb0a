//! Every kind of request, aimed at files that the session must not see or change.

use proto::{BlockIndex, Errno, Greeting, Hello, NewNode, Refused, Reply, Request, SessionRefusal, flag_bits};
use tests::WireClient;

use super::stage::{BOTH, Hands, READ, Stage, commit_of, name, nobody};
use super::table::{Attack, End, aimed_at, kinds, of_a_stranger, out_of_scope, read_only};

/// Tries all attacks of a table and returns how many there were of each kind.
async fn try_all(attacker: &mut WireClient, attacks: impl Fn(&str) -> Vec<Attack>) -> Vec<(&'static str, usize)> {
    let mut tried = Vec::new();
    for kind in kinds() {
        let attacks = attacks(kind);
        tried.push((*kind, attacks.len()));
        for Attack { request, end } in attacks {
            let shown = format!("{request:?}");
            assert!(shown.starts_with(kind), "{shown} is no {kind}");
            let answer = attacker.ask(request).await;
            match end {
                End::Refused(refused) => assert_eq!(answer, Err(refused), "{shown}"),
                End::InVain(is_vain) => assert!(answer.as_ref().is_ok_and(is_vain), "{shown}: {answer:?}"),
            }
        }
    }
    tried
}

#[tokio::test]
async fn session_of_a_subtree_reaches_nothing_beyond_with_any_request() {
    let mut stage = Stage::set().await;
    let before = stage.picture().await;
    let things = stage.things.clone();
    let tried = try_all(&mut stage.scoped, |kind| out_of_scope(kind, &things)).await;
    assert!(tried.iter().all(|(_, count)| *count > 0), "{tried:?}");
    assert_eq!(stage.picture().await, before);
    // What the honest session was granted is still its to commit.
    stage.honest.done(commit_of(things.secret, &[things.honest_object])).await;
}

#[tokio::test]
async fn read_only_session_changes_nothing_with_any_request() {
    let mut stage = Stage::set().await;
    let token = stage.cluster.create_token(&stage.volume, "/", "ro");
    let mut reader = WireClient::open(&stage.cluster, &token).await;
    // What it may: so that the refusals below are for the change, not for the file.
    let open = Request::Open { ino: stage.things.secret, access: READ, truncate: false };
    reader.done(open).await;
    let before = stage.picture().await;
    let things = stage.things.clone();
    let tried = try_all(&mut reader, |kind| read_only(kind, &things)).await;
    let reads = ["Lookup", "GetAttr", "ReadLink", "OpenDir", "ReadDir", "GetLayout", "Sync", "GetXattr", "ListXattr"];
    let reads = [&reads[..], &["StatFs", "Check", "TestLock", "Unlock"]].concat();
    for (kind, count) in tried {
        assert_eq!(count == 0, reads.contains(&kind), "{kind}: {count}");
    }
    assert_eq!(stage.picture().await, before);
}

#[tokio::test]
async fn restrictions_that_the_mount_asked_for_itself_hold_too() {
    let stage = Stage::set().await;
    let hello = Hello { flags: flag_bits::RO, ..WireClient::hello(&stage.volume.token) };
    let mut reader = WireClient::connect(&stage.cluster).await;
    assert!(matches!(reader.say(&hello).await, Some(Greeting::Welcome(_))));
    let make = Request::Make { parent: stage.things.team, name: name("d"), node: NewNode::Directory { perm: 0o755 } };
    assert_eq!(reader.ask(make).await, Err(Refused::Error(Errno::EROFS)));
}

#[tokio::test]
async fn links_are_not_followed_and_names_do_not_lead_upwards() {
    let mut stage = Stage::set().await;
    let things = stage.things.clone();
    // The target is text: what it means is the mounting host's to find out, by requests that are judged.
    let link = Request::ReadLink { ino: things.way_out };
    assert_eq!(stage.scoped.done(link).await, Reply::Target("../other/secret".into()));
    for (request, errno) in [
        (Request::Lookup { parent: things.way_out, name: name("secret") }, Errno::ENOTDIR),
        (Request::ReadDir { ino: things.way_out, offset: 0, bytes_max: 4096, attrs: true }, Errno::ENOTDIR),
        (Request::Open { ino: things.way_out, access: BOTH, truncate: false }, Errno::ENXIO),
        (Request::GetLayout { ino: things.way_out, first: BlockIndex(0), count: 1 }, Errno::EINVAL),
        (Request::GetXattr { ino: things.way_out, name: "user.note".into() }, Errno::ENODATA),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(stage.scoped.ask(request).await, Err(Refused::Error(errno)), "{shown}");
    }
    // A token whose mount path is a link opens nothing, and one that goes up is not made.
    let token = stage.cluster.create_token(&stage.volume, "/team/way-out", "");
    let (_, greeting) = WireClient::greet(&stage.cluster, &token).await;
    let missing = SessionRefusal::MountPathMissing;
    assert!(matches!(&greeting, Greeting::Sorry(refusal, _) if *refusal == missing), "{greeting:?}");
    for path in ["/team/../other", "/team/box/../../other"] {
        let args = ["configure", "create", "volume-token", "--volumeID", &stage.volume.id, "--mountPath", path];
        let line = stage.cluster.run(&args).failure(1);
        assert!(line.contains("has a part `.` or `..`"), "{line}");
    }
}

#[tokio::test]
async fn permission_bits_hold_for_every_request_of_a_user() {
    let mut stage = Stage::set().await;
    let before = stage.picture().await;
    let things = stage.things.clone();
    let mut client = WireClient::open(&stage.cluster, &stage.volume.token).await;
    for kind in kinds() {
        // `/other` is 0700 of root and its files are 0600: by name and by a guessed id, a stranger gets nothing of them.
        let aims = [(things.other, true), (things.secret, false)];
        for (ino, is_dir) in aims {
            for request in aimed_at(kind, ino, things.team) {
                let Some(expected) = of_a_stranger(&request, is_dir) else { continue };
                let shown = format!("{request:?}");
                let answer = client.ask_as(nobody(), request).await;
                assert!(answer.as_ref().is_err_and(|refused| expected.contains(refused)), "{shown}: {answer:?}");
            }
        }
    }
    assert_eq!(stage.picture().await, before);
}
