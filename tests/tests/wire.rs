//! A client that speaks the protocol by hand finds the rules in the server, not in the mount.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;

use bytes::Bytes;
use proto::{
    Access, AttrChanges, BlockChange, BlockIndex, Caller, Commit, Errno, InodeId, Name, NewNode, ObjectId, Piece,
    Refused, RenameMode, Reply, Request, SessionRefusal, StoredFrame, Timespec, XattrMode,
};
use tests::{Cluster, Volume, WireClient};

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn furnished() -> (Cluster, Volume) {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("wire", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::create_dir(mount.path("team")).unwrap();
    fs::write(mount.path("team/inside"), "mine").unwrap();
    fs::create_dir(mount.path("other")).unwrap();
    fs::write(mount.path("other/secret"), "theirs").unwrap();
    assert_eq!(mount.stop(), 0);
    (cluster, volume)
}

#[tokio::test]
async fn scoped_session_cannot_name_what_lies_outside() {
    let (cluster, volume) = furnished();
    let mut whole = WireClient::open(&cluster, &volume.token).await;
    let other = whole.lookup(InodeId::ROOT, "other").await.unwrap();
    let secret = whole.lookup(other, "secret").await.unwrap();

    let token = cluster.create_token(&volume, "/team", "");
    let mut scoped = WireClient::open(&cluster, &token).await;
    let root = scoped.welcome.as_ref().unwrap().root.ino;
    let inside = scoped.lookup(root, "inside").await.unwrap();
    let requests = [
        Request::Lookup { parent: InodeId::ROOT, name: name("other") },
        Request::Lookup { parent: other, name: name("secret") },
        Request::GetAttr { ino: secret },
        Request::GetAttr { ino: InodeId::ROOT },
        Request::SetAttr {
            ino: secret,
            changes: AttrChanges { perm: Some(0o777), ..Default::default() },
            by_handle: false,
        },
        Request::Open { ino: secret, access: Access { read: true, ..Default::default() }, truncate: false },
        Request::GetLayout { ino: secret, first: BlockIndex(0), count: 1 },
        Request::OpenDir { ino: InodeId::ROOT },
        Request::ReadDir { ino: InodeId::ROOT, offset: 0, bytes_max: 4096, attrs: true },
        Request::Link { ino: secret, parent: root, name: name("stolen") },
        Request::Link { ino: inside, parent: other, name: name("planted") },
        Request::Rename {
            parent: other,
            name: name("secret"),
            new_parent: root,
            new_name: name("stolen"),
            mode: RenameMode::Replace,
        },
        Request::Rename {
            parent: root,
            name: name("inside"),
            new_parent: other,
            new_name: name("planted"),
            mode: RenameMode::Replace,
        },
        Request::Unlink { parent: other, name: name("secret") },
        Request::Make { parent: other, name: name("planted"), node: NewNode::Directory { perm: 0o777 } },
        Request::GetXattr { ino: secret, name: Bytes::from_static(b"user.a") },
        Request::SetXattr {
            ino: secret,
            name: Bytes::from_static(b"user.a"),
            value: Bytes::new(),
            mode: XattrMode::Any,
        },
    ];
    for request in requests {
        let shown = format!("{request:?}");
        let refused = scoped.ask(request).await.expect_err(&shown);
        assert!(matches!(refused, Refused::Error(Errno::ESTALE | Errno::ENOENT)), "{shown}: {refused:?}");
    }
    for guess in (1..200).map(InodeId).filter(|ino| *ino != root && *ino != inside) {
        assert!(scoped.ask(Request::GetAttr { ino: guess }).await.is_err(), "inode {guess}");
    }
}

#[tokio::test]
async fn read_only_session_changes_nothing() {
    let (cluster, volume) = furnished();
    let token = cluster.create_token(&volume, "/", "ro");
    let mut client = WireClient::open(&cluster, &token).await;
    let team = client.lookup(InodeId::ROOT, "team").await.unwrap();
    let inside = client.lookup(team, "inside").await.unwrap();
    let commit = Commit {
        ino: inside,
        changes: Vec::new(),
        inline: Some(Bytes::from_static(b"forged")),
        base_version: 0,
        size_min: 6,
        mtime: Timespec::default(),
        durable: false,
    };
    let requests = [
        Request::SetAttr { ino: inside, changes: AttrChanges { size: Some(0), ..Default::default() }, by_handle: true },
        Request::Create {
            parent: team,
            name: name("new"),
            perm: 0o644,
            access: Access::default(),
            exclusive: false,
            truncate: false,
        },
        Request::Make { parent: team, name: name("new"), node: NewNode::Directory { perm: 0o755 } },
        Request::Link { ino: inside, parent: team, name: name("second") },
        Request::Unlink { parent: team, name: name("inside") },
        Request::RemoveDir { parent: InodeId::ROOT, name: name("team") },
        Request::Rename {
            parent: team,
            name: name("inside"),
            new_parent: team,
            new_name: name("moved"),
            mode: RenameMode::Replace,
        },
        Request::Open { ino: inside, access: Access { write: true, ..Default::default() }, truncate: false },
        Request::Open { ino: inside, access: Access { write: true, ..Default::default() }, truncate: true },
        Request::Commit(commit),
        Request::GrantObjects { count: 1, given_back: Vec::new() },
        Request::SetXattr {
            ino: inside,
            name: Bytes::from_static(b"user.a"),
            value: Bytes::new(),
            mode: XattrMode::Any,
        },
        Request::RemoveXattr { ino: inside, name: Bytes::from_static(b"user.a") },
    ];
    for request in requests {
        let shown = format!("{request:?}");
        assert_eq!(client.ask(request).await.expect_err(&shown), Refused::Error(Errno::EROFS), "{shown}");
    }
}

#[tokio::test]
async fn commit_of_an_object_that_was_not_granted_is_refused() {
    let (cluster, volume) = furnished();
    let mut client = WireClient::open(&cluster, &volume.token).await;
    let access = Access { read: true, write: true, execute: false };
    let create = Request::Create {
        parent: InodeId::ROOT,
        name: name("mine"),
        perm: 0o644,
        access,
        exclusive: true,
        truncate: false,
    };
    let Ok(Reply::Opened(attr, _)) = client.ask(create).await else { panic!("a file can be created") };
    let Ok(Reply::Granted { first, count }) =
        client.ask(Request::GrantObjects { count: 2, given_back: Vec::new() }).await
    else {
        panic!("a grant")
    };
    assert!(count >= 1);
    let commit = |object: ObjectId| {
        let piece = Piece {
            start: 0,
            end: 100,
            origin: 0,
            len: 100,
            object,
            object_offset: 0,
            frames: vec![StoredFrame::new(108, false)],
        };
        Request::Commit(Commit {
            ino: attr.ino,
            changes: vec![BlockChange::Write(BlockIndex(0), piece)],
            inline: None,
            base_version: 0,
            size_min: 100,
            mtime: Timespec::default(),
            durable: false,
        })
    };
    for stranger in [ObjectId(0), ObjectId(first.0 + u64::from(count)), ObjectId(u64::MAX)] {
        assert_eq!(client.ask(commit(stranger)).await, Err(Refused::Error(Errno::EPERM)), "{stranger}");
    }
    client.ask(commit(first)).await.unwrap();
}

#[tokio::test]
async fn permission_bits_hold_without_a_kernel() {
    let (cluster, volume) = furnished();
    let mut client = WireClient::open(&cluster, &volume.token).await;
    let other = client.lookup(InodeId::ROOT, "other").await.unwrap();
    let secret = client.lookup(other, "secret").await.unwrap();
    let lock = AttrChanges { perm: Some(0o600), ..Default::default() };
    client.ask(Request::SetAttr { ino: secret, changes: lock, by_handle: false }).await.unwrap();
    let nobody = Caller { uid: 65534, gid: 65534, groups: Some(vec![]) };
    for access in [Access { read: true, ..Default::default() }, Access { write: true, ..Default::default() }] {
        let open = Request::Open { ino: secret, access, truncate: false };
        assert_eq!(client.ask_as(nobody.clone(), open).await, Err(Refused::Error(Errno::EACCES)));
    }
    let take = AttrChanges { uid: Some(65534), ..Default::default() };
    let chown = Request::SetAttr { ino: secret, changes: take, by_handle: false };
    assert_eq!(client.ask_as(nobody, chown).await, Err(Refused::Error(Errno::EPERM)));
}

#[tokio::test]
async fn greeting_needs_a_token_and_a_session_needs_its_key() {
    let (cluster, volume) = furnished();
    for bad in ["", "nonsense", "00000000-0000-4000-8000-000000000000"] {
        let (_, greeting) = WireClient::greet(&cluster, bad).await;
        assert!(matches!(greeting, proto::Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
    }
    let first = WireClient::open(&cluster, &volume.token).await;
    let welcome = first.welcome.clone().unwrap();
    let forged = Some((welcome.session, proto::SessionKey([0; 16])));
    let (_, greeting) = WireClient::greet_again(&cluster, &volume.token, forged).await;
    assert!(matches!(greeting, proto::Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
    let foreign = cluster.create_volume("foreign", &[]);
    let stolen = Some((welcome.session, welcome.key));
    let (_, greeting) = WireClient::greet_again(&cluster, &foreign.token, stolen).await;
    assert!(matches!(greeting, proto::Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
    let (_, greeting) = WireClient::greet_again(&cluster, &volume.token, stolen).await;
    assert!(matches!(greeting, proto::Greeting::Welcome(_)), "{greeting:?}");
}

#[tokio::test]
async fn nonsense_is_answered_or_dropped_and_harms_nobody() {
    let (cluster, volume) = furnished();
    let mute = WireClient::connect(&cluster).await;
    let _ = mute.raw(&[0xff; 100]).await;
    let client = WireClient::open(&cluster, &volume.token).await;
    for len in [1, 2, 7, 100, 10_000, 2 << 20] {
        let _ = client.raw(&vec![0xa5; len]).await;
    }
    let mut again = WireClient::open(&cluster, &volume.token).await;
    again.lookup(InodeId::ROOT, "team").await.unwrap();
}

#[tokio::test]
async fn deleted_token_ends_its_sessions_and_no_others() {
    let (cluster, volume) = furnished();
    let doomed = cluster.create_token(&volume, "/", "");
    let mut cut = WireClient::open(&cluster, &doomed).await;
    let mut kept = WireClient::open(&cluster, &volume.token).await;
    cut.lookup(InodeId::ROOT, "team").await.unwrap();
    cluster.run(&["configure", "delete", "volume-token", &doomed, "--force"]).success();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while cut.lookup(InodeId::ROOT, "team").await != Err(Refused::SessionEnded) {
        assert!(std::time::Instant::now() < deadline, "the session outlives its token");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    kept.lookup(InodeId::ROOT, "team").await.unwrap();
    let (_, greeting) = WireClient::greet(&cluster, &doomed).await;
    assert!(matches!(greeting, proto::Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
}
