//! The client against a scripted server behind a real QUIC connection.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use auth::{MountFlags, VolumeToken};
use proto::limits::{HANDLES_MAX, HELLO_MAX, MESSAGE_MAX};
use proto::{
    Attr, BlockStoreSettings, Compression, Event, FileKind, Greeting, Hello, InodeId, LockKind, LockOwner, LockSpan,
    Name, NewNode, OperationId, Refused, ReplyFrame, RequestFrame, Sequence, SessionId, SessionKey, SessionRefusal,
    Timespec, Took, VolumeId, VolumeSettings, Welcome, codec,
};
use tokio::task::{LocalSet, spawn_local};
use transport::server::{self, Listener, Peer};
use transport::tls::{Identity, Trust};
use uuid::Uuid;

use super::*;
use crate::adapter::Open;
use crate::state::{HandleId, HeldLocks, Holder, LiveFlags, OpenFiles};

/// What the server does with a request.
enum Act {
    Answer(Result<Reply, Refused>),
    /// The connection breaks before the answer.
    Break,
    /// It is to be asked again.
    Postpone,
    /// The server says that the session is over and never answers.
    End(&'static str),
}

type Script = Box<dyn FnMut(&RequestFrame) -> Act>;

/// A server that counts what it sees.
struct World {
    _folder: tempfile::TempDir,
    link: Rc<Link>,
    session: Arc<ServerSession>,
    files: Arc<OpenFiles>,
    locks: Arc<HeldLocks>,
    seen: Rc<Seen>,
}

struct Seen {
    script: RefCell<Script>,
    /// How greetings that resume are refused.
    refuse_resume: RefCell<Option<SessionRefusal>>,
    refuse_open: RefCell<Option<SessionRefusal>>,
    /// Claims at which the connection breaks.
    claims_lost: Cell<usize>,
    claims_postponed: Cell<usize>,
    hellos: RefCell<Vec<Hello>>,
    requests: RefCell<Vec<RequestFrame>>,
}

impl World {
    /// Connects to a server that acts on requests as `script` says. Claims it answers by itself.
    async fn start(script: impl FnMut(&RequestFrame) -> Act + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_create(&folder.path().join("cert"), &folder.path().join("key")).unwrap();
        let socket = server::bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
        let addr = socket.local_addr().unwrap();
        let listener = Listener::new(socket, &identity, 100).unwrap();
        let seen = Rc::new(Seen {
            script: RefCell::new(Box::new(script)),
            claims_postponed: Cell::default(),
            refuse_resume: RefCell::default(),
            refuse_open: RefCell::default(),
            claims_lost: Cell::default(),
            hellos: RefCell::default(),
            requests: RefCell::default(),
        });
        spawn_local(serve(listener, Rc::clone(&seen)));
        let files = Arc::new(OpenFiles::default());
        let locks = Arc::new(HeldLocks::default());
        let settings = settings(addr, Trust::Pinned(identity.fingerprint()));
        let flags = Arc::new(LiveFlags::new(MountFlags::default()));
        let session =
            Arc::new(ServerSession::new(settings, Arc::clone(&files), Arc::clone(&locks), flags, Arc::default()));
        let link = Rc::new(Link::new(Arc::clone(&session)));
        link.connect().await.unwrap();
        let running = Rc::clone(&link);
        spawn_local(async move { running.run().await });
        Self { _folder: folder, link, session, files, locks, seen }
    }

    async fn call(&self, request: Request) -> Result<Reply, Errno> {
        let rpc = Rpc::new(Rc::clone(&self.link), std::process::id(), Timespec::default());
        let call = tokio::time::timeout(Duration::from_secs(30), rpc.call(&Caller::ROOT, request));
        call.await.expect("the call ends")
    }

    fn operations(&self) -> Vec<Option<OperationId>> {
        let requests = self.seen.requests.borrow();
        requests.iter().filter(|frame| !is_claim(frame)).map(|frame| frame.operation).collect()
    }

    /// How many files each claim named.
    fn claims(&self) -> Vec<usize> {
        let requests = self.seen.requests.borrow();
        let claimed = |frame: &RequestFrame| match &frame.request {
            Request::Reclaim { claims } => Some(claims.len()),
            _ => None,
        };
        requests.iter().filter_map(claimed).collect()
    }
}

fn is_claim(frame: &RequestFrame) -> bool {
    matches!(frame.request, Request::Reclaim { .. })
}

fn settings(addr: SocketAddr, trust: Trust) -> SessionSettings {
    SessionSettings {
        addr: addr.to_string(),
        trust,
        token: VolumeToken::generate(),
        flags: MountFlags::default(),
        place: "here".into(),
    }
}

async fn serve(listener: Listener, seen: Rc<Seen>) {
    while let Some(arrival) = listener.accept().await {
        let seen = Rc::clone(&seen);
        spawn_local(async move {
            let Ok(peer) = arrival.establish().await else { return };
            let Ok(mut call) = peer.accept().await else { return };
            let Ok(hello) = call.request(HELLO_MAX).await else { return };
            let greeting = greeting(codec::decode(&hello).unwrap(), &seen);
            let is_welcome = matches!(greeting, Greeting::Welcome(_));
            let _ = call.reply(codec::encode(&greeting).into()).await;
            while is_welcome && let Ok(call) = peer.accept().await {
                spawn_local(act(peer.clone(), call, Rc::clone(&seen)));
            }
            peer.closed().await;
        });
    }
}

fn greeting(hello: Hello, seen: &Seen) -> Greeting {
    let resume = hello.resume;
    seen.hellos.borrow_mut().push(hello);
    let refusal = if resume.is_some() { &seen.refuse_resume } else { &seen.refuse_open };
    if let Some(refusal) = *refusal.borrow() {
        return Greeting::Sorry(refusal, "as the test wants".into());
    }
    let (session, key) = resume.unwrap_or_else(|| (SessionId(Uuid::new_v4()), SessionKey([7; 16])));
    Greeting::Welcome(Box::new(Welcome {
        version: 1,
        session,
        key,
        resumed: resume.is_some(),
        volume: volume(),
        flags: 0,
        flags_since: 0,
        fixed_identity: false,
        root: attr(1),
    }))
}

async fn act(peer: Peer, mut call: server::Call, seen: Rc<Seen>) {
    let Ok(request) = call.request(MESSAGE_MAX).await else { return };
    let frame: RequestFrame = codec::decode(&request).unwrap();
    let act = match &frame.request {
        Request::Reclaim { .. } if seen.claims_lost.get() > 0 => {
            seen.claims_lost.update(|lost| lost - 1);
            Act::Break
        }
        Request::Reclaim { .. } if seen.claims_postponed.get() > 0 => {
            seen.claims_postponed.update(|postponed| postponed - 1);
            Act::Postpone
        }
        Request::Reclaim { .. } => Act::Answer(Ok(Reply::Claimed { gone: vec![InodeId(66)] })),
        _ => (seen.script.borrow_mut())(&frame),
    };
    seen.requests.borrow_mut().push(frame);
    match act {
        Act::Answer(result) => {
            let reply = ReplyFrame {
                sequence: Sequence(1),
                durable: Sequence(1),
                dirs: Vec::new(),
                took: Took::default(),
                result,
            };
            let _ = call.reply(codec::encode(&reply).into()).await;
        }
        Act::Break => peer.close("the test breaks it"),
        Act::Postpone => call.postpone(),
        Act::End(reason) => {
            let event = codec::encode(&Event::SessionEnded(reason.to_owned()));
            peer.tell(&event).await.unwrap();
            std::future::pending::<()>().await;
        }
    }
}

fn volume() -> VolumeSettings {
    VolumeSettings {
        compression: Compression::None,
        ..VolumeSettings::new(VolumeId(Uuid::nil()), "v", 256 << 10, BlockStoreSettings::local("", ""))
    }
}

fn attr(ino: u64) -> Attr {
    let time = Timespec::default();
    Attr::new(InodeId(ino), FileKind::Directory, 0o755, time)
}

fn make_dir() -> Request {
    let name = Name::new(b"dir").unwrap();
    Request::Make { parent: InodeId(1), name, node: NewNode::Directory { perm: 0o755 } }
}

fn stat() -> Request {
    Request::GetAttr { ino: InodeId(1) }
}

fn entry() -> Act {
    Act::Answer(Ok(Reply::Entry(attr(1))))
}

/// A script that does `first` once and then answers.
fn once(first: Act) -> impl FnMut(&RequestFrame) -> Act {
    let mut first = Some(first);
    move |_| first.take().unwrap_or_else(entry)
}

#[tokio::test]
async fn mutation_is_sent_again_with_its_id_after_the_connection_broke() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            assert_eq!(world.call(make_dir()).await, Ok(Reply::Entry(attr(1))));
            assert_eq!(world.call(make_dir()).await, Ok(Reply::Entry(attr(1))));
            assert_eq!(world.operations(), [1, 1, 2].map(|id| Some(OperationId(id))));
            let hellos = world.seen.hellos.borrow();
            assert_eq!(hellos.iter().map(|hello| hello.resume.is_some()).collect::<Vec<_>>(), [false, true]);
        })
        .await;
}

#[tokio::test]
async fn what_a_server_with_much_to_do_postpones_is_asked_again_on_the_same_connection() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Postpone)).await;
            assert_eq!(world.call(make_dir()).await, Ok(Reply::Entry(attr(1))));
            assert_eq!(world.operations(), [1, 1].map(|id| Some(OperationId(id))));
            assert_eq!(world.seen.hellos.borrow().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn claim_that_is_postponed_does_not_cost_the_connection() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            world.files.opened(&attr(55), &Open { read: true, ..Default::default() });
            world.seen.claims_postponed.set(2);
            world.call(stat()).await.unwrap();
            assert_eq!(world.claims(), [1, 1, 1]);
            assert_eq!(world.seen.hellos.borrow().len(), 2, "the connection that broke, and the next");
        })
        .await;
}

#[tokio::test]
async fn open_files_are_claimed_when_the_server_is_back() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            for ino in [55, 66] {
                world.files.opened(&attr(ino), &Open { read: true, ..Default::default() });
            }
            assert!(world.claims().is_empty(), "a first connection has nothing to claim");
            world.call(stat()).await.unwrap();
            assert_eq!(world.claims(), [2]);
            assert_eq!(world.files.permit_use(InodeId(55)), Ok(()));
            assert_eq!(world.files.permit_use(InodeId(66)), Err(Errno::ESTALE));
        })
        .await;
}

#[tokio::test]
async fn claim_that_was_not_answered_is_made_again() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            world.files.opened(&attr(55), &Open { read: true, ..Default::default() });
            world.seen.claims_lost.set(2);
            world.call(stat()).await.unwrap();
            assert_eq!(world.claims(), [1, 1, 1]);
        })
        .await;
}

#[tokio::test]
async fn last_list_of_claims_is_not_full() {
    for (files, lists) in [(0, vec![0]), (HANDLES_MAX - 1, vec![HANDLES_MAX - 1]), (HANDLES_MAX, vec![HANDLES_MAX, 0])]
    {
        LocalSet::new()
            .run_until(async {
                let world = World::start(once(Act::Break)).await;
                for ino in 0..files as u64 {
                    world.files.opened(&attr(100 + ino), &Open { read: true, ..Default::default() });
                }
                world.call(stat()).await.unwrap();
                assert_eq!(world.claims(), lists);
            })
            .await;
    }
}

#[tokio::test]
async fn forgotten_session_is_opened_anew_and_questions_are_asked_again() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::SessionUnknown);
            assert_eq!(world.call(stat()).await, Ok(Reply::Entry(attr(1))));
            assert!(!world.session.is_ended());
            let first_ids_again = world.call(make_dir()).await.map(|_| world.operations().last().copied());
            assert_eq!(first_ids_again, Ok(Some(Some(OperationId(1)))));
        })
        .await;
}

#[tokio::test]
async fn locks_are_taken_again_in_the_session_that_follows_a_forgotten_one() {
    LocalSet::new()
        .run_until(async {
            let mut first = true;
            let world = World::start(move |frame| match frame.request {
                Request::Lock { span, .. } if span.exclusive => Act::Answer(Err(Refused::Error(Errno::EAGAIN))),
                _ if std::mem::take(&mut first) => Act::Break,
                _ => entry(),
            });
            let world = world.await;
            for ino in [55, 57] {
                world.files.opened(&attr(ino), &Open { read: true, ..Default::default() });
                let holder = Holder { ino: InodeId(ino), kind: LockKind::Range, owner: LockOwner(1) };
                let span = |start, exclusive| LockSpan { start, end: start + 9, exclusive, pid: 7 };
                assert!(world.locks.settle_lock(0, holder, HandleId(1), span(0, false)));
                assert!(world.locks.settle_lock(0, holder, HandleId(1), span(20, ino == 57)));
            }
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::SessionUnknown);
            world.call(stat()).await.unwrap();
            let requests = world.seen.requests.borrow();
            let locks = requests.iter().filter(|frame| frame.request.name() == "lock");
            assert_eq!(
                locks.map(|frame| frame.operation).collect::<Vec<_>>(),
                [1, 2, 3, 4].map(|id| Some(OperationId(id)))
            );
            assert_eq!(world.files.permit_use(InodeId(55)), Ok(()));
            assert_eq!(world.files.permit_use(InodeId(57)), Err(Errno::ESTALE), "others have its lock by now");
            assert_eq!(world.locks.renew().len(), 3);
        })
        .await;
}

#[tokio::test]
async fn commit_that_waited_for_another_session_is_not_sent_where_the_lock_was_lost() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(|frame| match frame.request {
                Request::Lock { .. } => Act::Answer(Err(Refused::Error(Errno::EAGAIN))),
                Request::GetAttr { .. } => Act::Break,
                _ => entry(),
            });
            let world = world.await;
            world.files.opened(&attr(55), &Open { write: true, ..Default::default() });
            let holder = Holder { ino: InodeId(55), kind: LockKind::Whole, owner: LockOwner(1) };
            assert!(world.locks.settle_lock(0, holder, HandleId(1), LockSpan::whole(true, 7)));
            assert!(world.call(commit(55)).await.is_ok());
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::SessionUnknown);
            let rpc = Rpc::new(Rc::clone(&world.link), 0, Timespec::default());
            let breaking = tokio::time::timeout(Duration::from_millis(50), rpc.call(&Caller::ROOT, stat()));
            let (_, committed) = tokio::join!(breaking, async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                world.call(commit(55)).await
            });
            assert_eq!(committed, Err(Errno::ESTALE));
        })
        .await;
}

fn commit(ino: u64) -> Request {
    let mtime = Timespec::default();
    Request::Commit(proto::Commit {
        ino: InodeId(ino),
        changes: Vec::new(),
        inline: None,
        base_version: 1,
        size_min: 0,
        mtime,
        durable: false,
    })
}

#[tokio::test]
async fn locks_of_a_session_that_goes_on_are_left_alone() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            let holder = Holder { ino: InodeId(55), kind: LockKind::Whole, owner: LockOwner(1) };
            assert!(world.locks.settle_lock(0, holder, HandleId(1), LockSpan::whole(true, 7)));
            world.call(stat()).await.unwrap();
            assert!(world.seen.requests.borrow().iter().all(|frame| frame.request.name() != "lock"));
            assert_eq!(world.locks.session(), 0);
        })
        .await;
}

#[tokio::test]
async fn mutation_of_a_forgotten_session_is_not_repeated_blindly() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::SessionUnknown);
            assert_eq!(world.call(make_dir()).await, Err(Errno::EIO));
            assert_eq!(world.operations(), [Some(OperationId(1))]);
        })
        .await;
}

#[tokio::test]
async fn refused_by_an_ended_session_is_asked_in_the_next_one() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Answer(Err(Refused::SessionEnded)))).await;
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::SessionUnknown);
            assert_eq!(world.call(make_dir()).await, Ok(Reply::Entry(attr(1))));
            assert_eq!(world.operations(), [1, 1].map(|id| Some(OperationId(id))));
        })
        .await;
}

#[tokio::test]
async fn token_that_opens_nothing_any_more_ends_the_mount() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            *world.seen.refuse_resume.borrow_mut() = Some(SessionRefusal::TokenRejected);
            assert_eq!(world.call(stat()).await, Err(Errno::EACCES));
            assert!(world.session.wait_ended().await.contains("as the test wants"));
        })
        .await;
}

#[tokio::test]
async fn end_of_the_session_fails_calls_that_wait_and_those_that_follow() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::End("token deleted"))).await;
            assert_eq!(world.call(make_dir()).await, Err(Errno::EACCES));
            assert_eq!(world.session.wait_ended().await, "token deleted");
            assert_eq!(world.call(stat()).await, Err(Errno::EACCES));
        })
        .await;
}

#[tokio::test]
async fn groups_are_sent_when_the_decision_depends_on_them() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(|frame| match frame.caller.groups {
                None => Act::Answer(Err(Refused::NeedGroups)),
                Some(_) => entry(),
            });
            let world = world.await;
            assert!(world.call(make_dir()).await.is_ok());
            assert_eq!(
                world.operations(),
                [1, 2].map(|id| Some(OperationId(id))),
                "nothing was applied under the first"
            );
        })
        .await;
}

#[tokio::test]
async fn release_is_sent_once_and_its_loss_is_told() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(once(Act::Break)).await;
            assert_eq!(world.call(Request::Release { closes: Vec::new() }).await, Err(Errno::EIO));
            assert_eq!(world.operations(), [None]);
        })
        .await;
}

#[tokio::test]
async fn refusal_of_the_first_greeting_is_the_users_to_read() {
    LocalSet::new()
        .run_until(async {
            let world = World::start(|_| entry()).await;
            *world.seen.refuse_open.borrow_mut() = Some(SessionRefusal::MountPathMissing);
            let settings = world.session.settings().clone();
            let flags = Arc::new(LiveFlags::new(MountFlags::default()));
            let another = ServerSession::new(settings, Arc::default(), Arc::default(), flags, Arc::default());
            let error = Link::new(Arc::new(another)).connect().await.unwrap_err();
            assert!(error.to_string().contains("as the test wants"), "{error}");
        })
        .await;
}
