//! Policies on who callers are: a client that may put any user and group into its requests is the one that the policy
//! says, and has that one's rights.

use bytes::Bytes;
use proto::{
    Access, AttrChanges, BlockIndex, Caller, Claim, Errno, Greeting, Hello, InodeId, NewNode, Refused, RenameMode,
    Reply, Request, SetTime, Timespec, XattrMode, flag_bits,
};
use tests::{Cluster, Volume, WireClient};

use super::stage::{BOTH, Hands, READ, chmod, commit_of, name};
use super::table::{aimed_at, kinds, of_a_stranger};

const NOBODY: u32 = 65_534;
const WRITE: Access = Access { read: false, write: true, execute: false };

/// Files that a policy keeps from the attacker, and a directory that is everybody's.
struct Scene {
    cluster: Cluster,
    volume: Volume,
    /// Root, without a policy.
    honest: WireClient,
    /// 0600 of root.
    of_root: InodeId,
    /// 0660 of root and group 0.
    of_group_zero: InodeId,
    /// 0600 of user 1001.
    theirs: InodeId,
    /// 0660 of root and group 50.
    of_group: InodeId,
    /// 0600 of user 1000, the one whom fixed identities name.
    own: InodeId,
    /// 0700 of root, with a file 0644 in it.
    closed: InodeId,
    /// 1777 of root, with `kept` of root in it, 0666.
    sticky: InodeId,
}

impl Scene {
    async fn set() -> Self {
        let cluster = Cluster::start();
        let volume = cluster.create_volume("scene", &[]);
        let mut honest = WireClient::open(&cluster, &volume.token).await;
        let mut files = Vec::new();
        for (text, uid, gid, perm) in [
            ("of-root", 0, 0, 0o600),
            ("of-group-zero", 0, 0, 0o660),
            ("theirs", 1001, 1001, 0o600),
            ("of-group", 0, 50, 0o660),
            ("own", 1000, 1000, 0o600),
        ] {
            let ino = honest.create(InodeId::ROOT, text, perm).await;
            honest.write_inline(ino, "theirs").await;
            honest.set_xattr(ino, "trusted.note", "theirs").await;
            let changes = AttrChanges { uid: Some(uid), gid: Some(gid), ..AttrChanges::default() };
            honest.done(Request::SetAttr { ino, changes, by_handle: false }).await;
            files.push(ino);
        }
        let closed = honest.make_dir(InodeId::ROOT, "closed", 0o700).await;
        honest.create(closed, "x", 0o644).await;
        let sticky = honest.make_dir(InodeId::ROOT, "sticky", 0o1777).await;
        let kept = honest.create(sticky, "kept", 0o666).await;
        honest.done(Request::SetAttr { ino: kept, changes: chmod(0o666), by_handle: false }).await;
        honest.done(Request::SetAttr { ino: sticky, changes: chmod(0o1777), by_handle: false }).await;
        let [of_root, of_group_zero, theirs, of_group, own] = files[..] else { unreachable!("five files") };
        Self { cluster, volume, honest, of_root, of_group_zero, theirs, of_group, own, closed, sticky }
    }

    /// A session of a token with these settings.
    async fn attacker(&self, settings: &[&str]) -> (WireClient, String) {
        let (token, id) = self.cluster.create_bounded_token(&self.volume, settings);
        (WireClient::open(&self.cluster, &token).await, id)
    }

    /// What the attacker must not change, in words.
    async fn picture(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        for ino in [self.of_root, self.of_group_zero, self.theirs, self.of_group, self.closed] {
            words.push(self.honest.attr_words(ino).await);
        }
        for ino in [self.of_root, self.of_group_zero, self.theirs, self.of_group] {
            words.push(self.honest.content_words(ino).await);
        }
        words
    }
}

fn caller(uid: u32, gid: u32, groups: &[u32]) -> Caller {
    Caller { uid, gid, groups: Some(groups.to_vec()) }
}

/// Whom a hostile client may say it is to get at the files of root.
fn roots() -> [Caller; 4] {
    [caller(0, 0, &[0, 1, 50]), caller(0, 1, &[]), caller(0, 0, &[]), Caller { groups: None, ..Caller::ROOT }]
}

/// Asks as `who` and expects this refusal.
async fn refused(client: &mut WireClient, who: &Caller, request: Request, errno: Errno) {
    let shown = format!("{request:?} as {who:?}");
    assert_eq!(client.ask_as(who.clone(), request).await, Err(Refused::Error(errno)), "{shown}");
}

/// The attributes of a file that `who` made.
async fn made(client: &mut WireClient, who: &Caller, request: Request) -> proto::Attr {
    match client.ask_as(who.clone(), request).await {
        Ok(Reply::Opened(attr, _) | Reply::Entry(attr)) => attr,
        other => panic!("not made: {other:?}"),
    }
}

fn create(parent: InodeId, text: &str, perm: u16) -> Request {
    Request::Create { parent, name: name(text), perm, access: BOTH, exclusive: true, truncate: false }
}

fn set(ino: InodeId, changes: AttrChanges) -> Request {
    Request::SetAttr { ino, changes, by_handle: false }
}

fn chown(ino: InodeId, uid: Option<u32>, gid: Option<u32>) -> Request {
    set(ino, AttrChanges { uid, gid, ..AttrChanges::default() })
}

fn set_xattr(ino: InodeId, key: &'static str) -> Request {
    let value = Bytes::from_static(b"forged");
    Request::SetXattr { ino, name: Bytes::from_static(key.as_bytes()), value, mode: XattrMode::Any }
}

/// Everything that opens, reads or changes a file which the policy keeps from all whom the attacker may say it is.
async fn attack(client: &mut WireClient, who: &Caller, ino: InodeId) {
    for access in [READ, WRITE, BOTH, Access::default()] {
        refused(client, who, Request::Open { ino, access, truncate: false }, Errno::EACCES).await;
    }
    refused(client, who, Request::Open { ino, access: BOTH, truncate: true }, Errno::EACCES).await;
    refused(client, who, Request::Check { ino, access: READ }, Errno::EACCES).await;
    refused(client, who, Request::GetLayout { ino, first: BlockIndex(0), count: 8 }, Errno::EACCES).await;
    // A claim names no caller: it is believed only where somebody of the session may have opened the file.
    for write in [false, true] {
        let claims = vec![Claim { ino, count: 1, write }];
        let answer = client.ask_as(who.clone(), Request::Reclaim { claims }).await;
        assert_eq!(answer, Ok(Reply::Claimed { gone: vec![ino] }), "{who:?}");
    }
    refused(client, who, Request::GetLayout { ino, first: BlockIndex(0), count: 8 }, Errno::EACCES).await;
    refused(client, who, commit_of(ino, &[]), Errno::EBADF).await;
    refused(client, who, set(ino, AttrChanges { size: Some(0), ..AttrChanges::default() }), Errno::EACCES).await;
    let by_handle = AttrChanges { size: Some(0), ..AttrChanges::default() };
    refused(client, who, Request::SetAttr { ino, changes: by_handle, by_handle: true }, Errno::EACCES).await;
    for (uid, gid) in [(Some(0), None), (Some(who.uid), None), (None, Some(who.gid)), (Some(NOBODY), Some(NOBODY))] {
        refused(client, who, chown(ino, uid, gid), Errno::EPERM).await;
    }
    for perm in [0o777, 0o4777, 0o2777, 0o6777] {
        refused(client, who, set(ino, chmod(perm)), Errno::EPERM).await;
    }
    let old = SetTime::At(Timespec::default());
    refused(client, who, set(ino, AttrChanges { mtime: Some(old), ..AttrChanges::default() }), Errno::EPERM).await;
    refused(client, who, set_xattr(ino, "trusted.note"), Errno::EPERM).await;
    refused(client, who, set_xattr(ino, "security.capability"), Errno::EPERM).await;
    refused(client, who, set_xattr(ino, "user.note"), Errno::EACCES).await;
    let key = Bytes::from_static(b"trusted.note");
    refused(client, who, Request::GetXattr { ino, name: key.clone() }, Errno::ENODATA).await;
    refused(client, who, Request::RemoveXattr { ino, name: key }, Errno::EPERM).await;
    let names = client.ask_as(who.clone(), Request::ListXattr { ino }).await;
    assert_eq!(names, Ok(Reply::Value(Bytes::new())), "names of trusted attributes are root's to see");
}

/// What is root's alone in a directory that is everybody's.
async fn attack_directories(client: &mut WireClient, who: &Caller, scene: &Scene) {
    let (sticky, closed) = (scene.sticky, scene.closed);
    refused(client, who, Request::Unlink { parent: sticky, name: name("kept") }, Errno::EPERM).await;
    let (new_name, mode) = (name("moved"), RenameMode::Replace);
    let rename = Request::Rename { parent: sticky, name: name("kept"), new_parent: sticky, new_name, mode };
    refused(client, who, rename, Errno::EPERM).await;
    for mode in [0o060_666, 0o020_666] {
        let node = NewNode::Node { mode, rdev: 0x800 };
        refused(client, who, Request::Make { parent: sticky, name: name("disk"), node }, Errno::EPERM).await;
    }
    refused(client, who, create(closed, "new", 0o644), Errno::EACCES).await;
    refused(client, who, Request::Lookup { parent: closed, name: name("x") }, Errno::EACCES).await;
    refused(client, who, Request::OpenDir { ino: closed }, Errno::EACCES).await;
    let listing = Request::ReadDir { ino: closed, offset: 0, bytes_max: 4096, attrs: true };
    refused(client, who, listing, Errno::EACCES).await;
    refused(client, who, create(InodeId::ROOT, "new", 0o644), Errno::EACCES).await;
}

#[tokio::test]
async fn squashed_root_gets_nothing_of_root_by_any_request() {
    let mut scene = Scene::set().await;
    let before = scene.picture().await;
    let (mut client, _) = scene.attacker(&["--flags", "rootSquash"]).await;
    for who in roots() {
        // Where groups are missing they are asked for first, as of an honest mount: then they are looked at.
        let who = Caller { groups: Some(who.groups.unwrap_or_default()), ..who };
        for ino in [scene.of_root, scene.of_group_zero] {
            attack(&mut client, &who, ino).await;
        }
        attack_directories(&mut client, &who, &scene).await;
        for (ino, is_dir) in [(scene.closed, true), (scene.of_root, false)] {
            for request in kinds().iter().flat_map(|kind| aimed_at(kind, ino, scene.sticky)) {
                let Some(expected) = of_a_stranger(&request, is_dir) else { continue };
                let shown = format!("{request:?}");
                let answer = client.ask_as(who.clone(), request).await;
                assert!(answer.as_ref().is_err_and(|refused| expected.contains(refused)), "{shown}: {answer:?}");
            }
        }
    }
    // A user in the group 0 is in no such group, whether primary or not.
    for who in [caller(1000, 0, &[]), caller(1000, 5, &[0]), caller(1000, 0, &[5, 0])] {
        attack(&mut client, &who, scene.of_group_zero).await;
    }
    assert_eq!(scene.picture().await, before);
}

#[tokio::test]
async fn what_squashed_root_makes_is_nobodys_and_stays_so() {
    let scene = Scene::set().await;
    let (mut client, _) = scene.attacker(&["--flags", "rootSquash"]).await;
    for (index, who) in roots().into_iter().enumerate() {
        let who = Caller { groups: Some(who.groups.unwrap_or_default()), ..who };
        let file = made(&mut client, &who, create(scene.sticky, &format!("file-{index}"), 0o6755)).await;
        let group = if who.gid == 0 { NOBODY } else { who.gid };
        assert_eq!((file.uid, file.gid), (NOBODY, group), "{who:?}");
        for (uid, gid) in [(Some(0), None), (Some(1000), None), (None, Some(0)), (Some(0), Some(0))] {
            refused(&mut client, &who, chown(file.ino, uid, gid), Errno::EPERM).await;
        }
        let node = NewNode::Directory { perm: 0o755 };
        let make = Request::Make { parent: scene.sticky, name: name(&format!("dir-{index}")), node };
        assert_eq!(made(&mut client, &who, make).await.uid, NOBODY);
        // It is nobody's: whoever is nobody may remove it.
        let unlink = Request::Unlink { parent: scene.sticky, name: name(&format!("file-{index}")) };
        client.ask_as(caller(NOBODY, NOBODY, &[]), unlink).await.unwrap();
    }
}

#[tokio::test]
async fn squashed_root_gets_no_rights_of_a_group_by_the_set_group_id_bit() {
    let mut scene = Scene::set().await;
    let dir = scene.honest.make_dir(InodeId::ROOT, "shared", 0o777).await;
    scene.honest.done(set(dir, chmod(0o2777))).await;
    let (mut client, _) = scene.attacker(&["--flags", "rootSquash"]).await;
    let root = caller(0, 0, &[0]);
    // Made in a directory of group 0, the file is in it; who made it is not, so that no bit gives the group's rights.
    let file = made(&mut client, &root, create(dir, "tool", 0o2755)).await;
    assert_eq!((file.uid, file.gid, file.perm & 0o2000), (NOBODY, 0, 0));
    let Ok(Reply::Entry(file)) = client.ask_as(root, set(file.ino, chmod(0o2755))).await else { panic!("its owner") };
    assert_eq!(file.perm & 0o2000, 0);
}

#[tokio::test]
async fn program_of_root_that_everybody_may_write_loses_its_bits_with_the_first_byte() {
    let mut scene = Scene::set().await;
    for (index, settings) in [["--flags", "rootSquash"], ["--asUser", "1000"]].iter().enumerate() {
        let (mut client, _) = scene.attacker(settings).await;
        for (text, request) in [("inline", None), ("cut", Some(0)), ("grown", Some(100))] {
            let ino = scene.honest.create(InodeId::ROOT, &format!("{text}-{index}"), 0o777).await;
            scene.honest.done(set(ino, chmod(0o6777))).await;
            scene.honest.set_xattr(ino, "security.capability", "all").await;
            let root = caller(0, 0, &[0]);
            client.ask_as(root.clone(), Request::Open { ino, access: BOTH, truncate: false }).await.unwrap();
            match request {
                None => client.write_inline(ino, "forged").await,
                Some(size) => {
                    let changes = AttrChanges { size: Some(size), ..AttrChanges::default() };
                    client.ask_as(root, Request::SetAttr { ino, changes, by_handle: true }).await.map(drop).unwrap();
                }
            }
            let words = scene.honest.attr_words(ino).await;
            assert!(words.contains("perm: 511") && !words.contains("capability"), "{text}: {words}");
        }
    }
}

/// Whom a hostile client may say it is to get at files that the fixed user may not touch.
fn others() -> [Caller; 6] {
    [
        caller(0, 0, &[0, 50, 1001]),
        caller(1001, 1001, &[]),
        caller(1000, 50, &[0]),
        caller(1000, 1000, &[0, 50, 1001]),
        caller(u32::MAX - 1, u32::MAX - 1, &[]),
        Caller { groups: None, ..Caller::ROOT },
    ]
}

#[tokio::test]
async fn fixed_user_is_all_that_a_client_can_be() {
    let mut scene = Scene::set().await;
    let before = scene.picture().await;
    let (mut client, _) = scene.attacker(&["--asUser", "1000:1000,4"]).await;
    for (index, who) in others().iter().enumerate() {
        for ino in [scene.of_root, scene.of_group_zero, scene.theirs, scene.of_group] {
            attack(&mut client, who, ino).await;
        }
        attack_directories(&mut client, who, &scene).await;
        // Groups that it claims are not its own to give files to; those of the policy are.
        let file = made(&mut client, who, create(scene.sticky, &format!("file-{index}"), 0o644)).await;
        assert_eq!((file.uid, file.gid), (1000, 1000), "{who:?}");
        for (uid, gid) in [(Some(0), None), (Some(1001), None), (None, Some(0)), (None, Some(50)), (None, Some(1001))] {
            refused(&mut client, who, chown(file.ino, uid, gid), Errno::EPERM).await;
            refused(&mut client, who, chown(scene.own, uid, gid), Errno::EPERM).await;
        }
        client.ask_as(who.clone(), chown(file.ino, None, Some(4))).await.unwrap();
        client.ask_as(who.clone(), Request::Open { ino: scene.own, access: BOTH, truncate: false }).await.unwrap();
    }
    assert_eq!(scene.picture().await, before);
}

#[tokio::test]
async fn policy_of_the_volume_goes_before_that_of_the_token_and_squashing_comes_last() {
    let scene = Scene::set().await;
    let set_volume = async |settings: &[&str]| {
        let update = [&["configure", "update", "volume", &scene.volume.id], settings].concat();
        scene.cluster.run_beside(&update).await.success();
    };
    set_volume(&["--asUser", "1000"]).await;
    let (mut client, _) = scene.attacker(&["--asUser", "0"]).await;
    attack(&mut client, &caller(0, 0, &[0]), scene.of_root).await;
    assert!(client.welcome.as_ref().unwrap().fixed_identity);
    // A trusted export, but for root.
    set_volume(&["--asUser", "0", "--flags", "rootSquash"]).await;
    let (mut squashed, _) = scene.attacker(&[]).await;
    let file = made(&mut squashed, &caller(1000, 1000, &[]), create(scene.sticky, "file", 0o644)).await;
    assert_eq!((file.uid, file.gid), (NOBODY, NOBODY));
    attack(&mut squashed, &caller(1000, 1000, &[0]), scene.of_root).await;
    set_volume(&["--flags="]).await;
    let (mut trusted, _) = scene.attacker(&[]).await;
    let open = Request::Open { ino: scene.of_root, access: BOTH, truncate: false };
    trusted.ask_as(caller(1000, 1000, &[]), open).await.unwrap();
}

#[tokio::test]
async fn joining_with_other_flags_and_a_restart_of_the_server_change_nothing() {
    let mut scene = Scene::set().await;
    let before = scene.picture().await;
    let settings: [(&[&str], u32); 3] =
        [(&["--flags", "rootSquash"], 0), (&["--asUser", "1000"], 0), (&[], flag_bits::ROOT_SQUASH)];
    let mut sessions = Vec::new();
    for (settings, flags) in settings {
        let (token, _) = scene.cluster.create_bounded_token(&scene.volume, settings);
        let mut first = WireClient::connect(&scene.cluster).await;
        let greeting = first.say(&Hello { flags, ..WireClient::hello(&token) }).await;
        assert!(matches!(greeting, Some(Greeting::Welcome(_))), "{greeting:?}");
        let welcome = first.welcome.clone().unwrap();
        for flags in [0, flag_bits::RO] {
            let resume = Some((welcome.session, welcome.key));
            let mut joined = WireClient::connect(&scene.cluster).await;
            joined.say(&Hello { flags, resume, ..WireClient::hello(&token) }).await;
            assert_eq!(joined.welcome.as_ref().unwrap().flags, welcome.flags);
            attack(&mut joined, &caller(0, 0, &[0]), scene.of_root).await;
        }
        attack(&mut first, &caller(0, 0, &[0]), scene.of_root).await;
        sessions.push((token, welcome));
    }
    // The restrictions that a greeting asks for itself are the next greeting's to ask for again.
    sessions.pop();
    scene.cluster.meta.kill();
    scene.cluster.restart_meta();
    for (token, welcome) in sessions {
        let resume = Some((welcome.session, welcome.key));
        let (mut client, greeting) = WireClient::greet_again(&scene.cluster, &token, resume).await;
        assert!(matches!(&greeting, Greeting::Welcome(welcome) if welcome.resumed), "{greeting:?}");
        attack(&mut client, &caller(0, 0, &[0]), scene.of_root).await;
    }
    scene.honest = WireClient::open(&scene.cluster, &scene.volume.token).await;
    assert_eq!(scene.picture().await, before);
}

#[tokio::test]
async fn policy_that_is_set_while_a_session_lives_counts_from_the_next_requests_on() {
    let scene = Scene::set().await;
    let (mut client, id) = scene.attacker(&[]).await;
    let root = caller(0, 0, &[0]);
    let look = || Request::Open { ino: scene.of_root, access: READ, truncate: false };
    client.ask_as(root.clone(), look()).await.unwrap();
    client.ask_as(root.clone(), Request::Release { closes: vec![close(scene.of_root)] }).await.unwrap();
    for (on, off) in [(["--flags", "rootSquash"], ["--flags", ""]), (["--asUser", "1000"], ["--asUser", ""])] {
        for (settings, is_refused) in [(on, true), (off, false)] {
            let update = [&["configure", "update", "volume-token", &id], &settings[..]].concat();
            scene.cluster.run_beside(&update).await.success();
            let answer = client.ask_as(root.clone(), look()).await;
            assert_eq!(answer.is_err(), is_refused, "{settings:?}: {answer:?}");
            if answer.is_ok() {
                client.ask_as(root.clone(), Request::Release { closes: vec![close(scene.of_root)] }).await.unwrap();
            }
            if is_refused {
                attack(&mut client, &root, scene.of_root).await;
            }
        }
    }
}

fn close(ino: InodeId) -> proto::Close {
    proto::Close { ino, count: 1, atime: None }
}
