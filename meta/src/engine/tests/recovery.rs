//! Repeated operations, restarts and databases that were set back.

use proto::{Caller, Errno, OperationId, Refused, Reply, Request, Sequence, SessionKey};

use super::world::{BOTH, LIMITS, READ, ROOT, World, at, name};
use crate::engine::{EngineError, SessionRecord, Volume, VolumeLimits};
use crate::store::{Batch, MemoryKv, MetaKv};

fn mkdir(text: &str) -> Request {
    Request::Make { parent: ROOT, name: name(text), node: proto::NewNode::Directory { perm: 0o755 } }
}

fn create(text: &str) -> Request {
    let (access, exclusive, truncate) = (BOTH, true, false);
    Request::Create { parent: ROOT, name: name(text), perm: 0o644, access, exclusive, truncate }
}

#[test]
fn repeated_operation_gets_the_first_answer() {
    let world = World::new();
    let root = world.superuser();
    let was_applied = |id| world.volume.was_applied(root.session.id, OperationId(id));
    assert!(!was_applied(1));
    let first = root.ask_as(Some(OperationId(1)), mkdir("d"));
    assert!(matches!(first, Ok(Reply::Entry(_))));
    assert!(was_applied(1) && !was_applied(2));
    root.rename((ROOT, "d"), (ROOT, "e")).unwrap();
    let sequence = world.volume.sequence();
    assert_eq!(root.ask_as(Some(OperationId(1)), mkdir("d")), first);
    assert_eq!(world.volume.sequence(), sequence);
    assert_eq!(root.names(ROOT), ["e"]);
}

#[test]
fn refused_operation_may_be_tried_again() {
    let world = World::new();
    let root = world.superuser();
    root.mkdir(ROOT, "d", 0o755).unwrap();
    let operation = Some(world.next_operation());
    assert_eq!(root.ask_as(operation, mkdir("d")), Err(Errno::EEXIST.into()));
    root.rmdir(ROOT, "d").unwrap();
    assert!(root.ask_as(operation, mkdir("d")).is_ok());
}

#[test]
fn operations_outside_the_window_are_malformed() {
    let world = World::new();
    let root = world.superuser();
    root.ask_as(Some(OperationId(1000)), mkdir("a")).unwrap();
    assert_eq!(root.ask_as(Some(OperationId(744)), mkdir("b")), Err(Refused::Malformed));
    assert!(root.ask_as(Some(OperationId(745)), mkdir("b")).is_ok());
    assert_eq!(root.ask_as(Some(OperationId(0)), mkdir("c")), Err(Refused::Malformed));
    assert_eq!(root.ask_as(None, mkdir("c")), Err(Refused::Malformed));
}

#[test]
fn sessions_do_not_share_operations() {
    let world = World::new();
    let one = world.superuser();
    let two = world.user(world.mount(2, ROOT, false), Caller::ROOT);
    one.ask_as(Some(OperationId(1)), mkdir("a")).unwrap();
    assert!(two.ask_as(Some(OperationId(1)), mkdir("b")).is_ok());
    assert_eq!(one.names(ROOT), ["a", "b"]);
}

#[test]
fn operation_sent_again_after_a_restart_is_not_applied_twice() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let made = root.ask_as(Some(OperationId(1)), mkdir("d"));
    let removed = root.ask_as(Some(OperationId(2)), Request::RemoveDir { parent: ROOT, name: name("d") });
    let granted = root.ask_as(Some(OperationId(3)), Request::GrantObjects { count: 4, given_back: Vec::new() });
    let world = world.restarted(kv);
    let root = world.user(&session, Caller::ROOT);
    assert_eq!(root.ask_as(Some(OperationId(1)), mkdir("d")), made);
    assert_eq!(root.ask_as(Some(OperationId(2)), Request::RemoveDir { parent: ROOT, name: name("d") }), removed);
    assert_eq!(root.ask_as(Some(OperationId(3)), Request::GrantObjects { count: 4, given_back: Vec::new() }), granted);
    assert_eq!(root.names(ROOT), [""; 0]);
    world.check();
}

#[test]
fn create_sent_again_opens_once() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let ino = |reply: Result<Reply, Refused>| match reply {
        Ok(Reply::Opened(attr, _)) => attr.ino,
        other => panic!("{other:?}"),
    };
    let file = ino(root.ask_as(Some(OperationId(1)), create("f")));
    assert_eq!(ino(root.ask_as(Some(OperationId(1)), create("f"))), file);
    root.unlink(ROOT, "f").unwrap();
    root.close(file);
    assert_eq!(root.stat(file), Err(Errno::ESTALE), "one close was enough");

    let file = ino(root.ask_as(Some(OperationId(50)), create("g")));
    let world = world.restarted(kv);
    let root = world.user(&session, Caller::ROOT);
    assert_eq!(root.commit(file, Vec::new()), Err(Errno::EBADF));
    for _ in 0..2 {
        assert_eq!(ino(root.ask_as(Some(OperationId(50)), create("g"))), file);
    }
    root.commit(file, Vec::new()).unwrap();
    root.close(file);
    assert_eq!(root.commit(file, Vec::new()), Err(Errno::EBADF));
    world.check();
}

#[test]
fn create_of_a_file_that_went_meanwhile_is_still_answered() {
    let world = World::new();
    let root = world.superuser();
    let Ok(Reply::Opened(attr, _)) = root.ask_as(Some(OperationId(1)), create("f")) else { panic!("not created") };
    root.close(attr.ino);
    root.unlink(ROOT, "f").unwrap();
    let Ok(Reply::Opened(again, _)) = root.ask_as(Some(OperationId(1)), create("f")) else { panic!("not answered") };
    assert_eq!(again, attr);
    world.check();
}

#[test]
fn state_survives_a_restart() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    let file = root.create(dir, "f", 0o644).unwrap();
    root.write(file, 0, 0, 8);
    let (attr, sequence, stat) = (root.stat(file).unwrap(), world.volume.sequence(), world.volume.stat());
    let world = world.restarted(kv);
    assert_eq!((world.volume.sequence(), world.volume.stat()), (Sequence(sequence.0 + 1), stat));
    let root = world.user(&session, Caller::ROOT);
    assert_eq!(root.lookup(dir, "f").unwrap(), attr);
    world.check();
}

/// What a power loss leaves: the records of a moment, whatever came later.
fn copy(kv: &MemoryKv) -> MemoryKv {
    let mut batch = Batch::default();
    kv.scan(&[0], &[0xff], &mut |key, value| {
        batch.put(key, value);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let left = MemoryKv::default();
    left.commit(batch).unwrap();
    left.persist(kv.persisted()).unwrap();
    left
}

#[test]
fn ids_that_a_power_loss_made_the_volume_forget_are_not_used_again() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    assert_eq!(world.volume.durable(), world.volume.sequence(), "flushed before anything is handed out");
    let on_disk = copy(&kv);
    let root = world.superuser();
    let (object, file) = (root.grant(4096), root.create(ROOT, "f", 0o644).unwrap());
    let world = World::on(on_disk, LIMITS);
    assert_eq!(world.volume.durable(), world.volume.sequence());
    let root = world.superuser();
    assert!(root.grant(1) >= object + 4096);
    assert!(root.create(ROOT, "f", 0o644).unwrap() > file);
    world.check();
}

#[test]
fn session_key_is_kept_as_a_hash() {
    let world = World::new();
    let context = world.mount(5, ROOT, true);
    let record = world.volume.find_session(context.id).unwrap();
    assert!(record.accepts(&SessionKey([7; 16])) && !record.accepts(&SessionKey([8; 16])));
    assert!(!record.key_hash.windows(16).any(|part| part == [7; 16]));
    assert_eq!((record.root, record.read_only), (ROOT, true));
}

#[test]
fn sessions_survive_a_restart() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let context = world.mount(5, ROOT, true);
    let record = world.volume.find_session(context.id).unwrap();
    let world = world.restarted(kv);
    assert_eq!(world.volume.find_session(context.id), Some(record.clone()));
    assert_eq!(world.volume.sessions(), [record]);
}

#[test]
fn volume_behind_its_watermark_is_refused() {
    let kv = MemoryKv::default();
    drop(Volume::open(kv.clone(), LIMITS, at(1)).unwrap());
    kv.persist(Sequence(9)).unwrap();
    let error = Volume::open(kv, LIMITS, at(1)).err().unwrap();
    assert!(matches!(error, EngineError::LostCommits { found: Sequence(1), expected: Sequence(9) }), "{error}");
    let empty = MemoryKv::default();
    empty.persist(Sequence(3)).unwrap();
    let error = Volume::open(empty, LIMITS, at(1)).err().unwrap();
    assert!(matches!(error, EngineError::LostCommits { found: Sequence(0), .. }), "{error}");
}

#[test]
fn another_block_size_is_refused() {
    let kv = MemoryKv::default();
    drop(Volume::open(kv.clone(), LIMITS, at(1)).unwrap());
    let error = Volume::open(kv, VolumeLimits { block_size: 32, ..LIMITS }, at(1)).err().unwrap();
    assert!(matches!(error, EngineError::BlockSize { found: 16, expected: 32 }), "{error}");
}

#[test]
fn damaged_records_are_errors_and_never_panics() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let file = root.create(ROOT, "f", 0o644).unwrap();
    root.write(file, 0, 0, 8);
    root.open(file, READ).unwrap();
    let mut keys = Vec::new();
    kv.scan(&[0], &[0xff], &mut |key, _| {
        keys.push(key.to_vec());
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let world = world.restarted(kv.clone());
    for key in keys {
        let whole = kv.get(&key).unwrap().unwrap();
        let mut batch = Batch::default();
        batch.put(key.clone(), whole[..whole.len() / 2].to_vec());
        kv.commit(batch).unwrap();
        let opened = Volume::open(kv.clone(), LIMITS, at(1));
        if let Ok(volume) = opened {
            let world = World::of(volume);
            let root = world.user(&session, Caller::ROOT);
            // Reads only: a mutation would write over the evidence.
            for request in [
                Request::Lookup { parent: ROOT, name: name("f") },
                Request::Open { ino: file, access: READ, truncate: false },
                Request::ReadDir { ino: ROOT, offset: 0, bytes_max: 4096, attrs: true },
            ] {
                let _ = root.ask(request);
            }
            assert_ne!(crate::engine::check(&world.volume), [""; 0], "damage at {key:02x?} goes unnoticed");
        }
        let mut batch = Batch::default();
        batch.put(key, whole);
        kv.commit(batch).unwrap();
    }
    world.check();
}

#[test]
fn record_of_a_session_that_is_opened_is_found() {
    let world = World::new();
    let context = world.mount(8, ROOT, false);
    let record = SessionRecord::new(&context, &SessionKey([1; 16]), uuid::Uuid::from_u128(3), at(4));
    world.volume.open_session(record.clone()).unwrap();
    assert_eq!(world.volume.find_session(context.id), Some(record));
}

/// Set for the process that is to end.
const VICTIM: &str = "FLEXFS_TEST_WRITER_PANICS";

#[test]
fn server_whose_writer_panicked_ends() {
    if std::env::var_os(VICTIM).is_some() {
        let world = World::new();
        let panic = || {
            let _writer = world.volume.write();
            panic!("a writer panics");
        };
        std::thread::scope(|scope| scope.spawn(panic).join().map(drop).unwrap_err());
        world.superuser();
        return;
    }
    let name = "engine::tests::recovery::server_whose_writer_panicked_ends";
    let mut victim = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = victim.args(["--exact", name, "--test-threads=1"]).env(VICTIM, "1").output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(6), "{ended:?}");
}
