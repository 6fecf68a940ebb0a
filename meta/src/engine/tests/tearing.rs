//! Readers take no lock: a commit may come between any two of their reads.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use proto::{Caller, Errno, InodeId, Sequence};

use super::world::{BOTH, LIMITS, ROOT, User, World};
use crate::store::{Batch, MemoryKv, MetaKv, StoreError, Visit};

/// A store whose next scan waits, once it is armed: scripts what comes between a reader's reads.
#[derive(Default)]
struct Halting {
    kv: MemoryKv,
    halt: Mutex<Option<Halt>>,
}

struct Halt {
    reached: Sender<()>,
    go: Receiver<()>,
}

impl Halting {
    fn pause(&self) {
        let halt = self.halt.lock().unwrap().take();
        if let Some(Halt { reached, go }) = halt {
            reached.send(()).unwrap();
            go.recv().unwrap();
        }
    }
}

impl MetaKv for Halting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.kv.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.pause();
        self.kv.scan(from, to, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.kv.scan_back(from, to, visit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.kv.commit(batch)
    }

    fn persist(&self, sequence: Sequence) -> Result<(), StoreError> {
        self.kv.persist(sequence)
    }

    fn persisted(&self) -> Sequence {
        self.kv.persisted()
    }
}

/// Runs `read` and, between its look at the inode record and its look at the blocks, `change`.
fn torn<T: Send>(
    root: &User<'_, Halting>,
    read: impl FnOnce(&User<'_, Halting>) -> T + Send,
    change: impl FnOnce(&User<'_, Halting>),
) -> T {
    let (reached, awaited) = channel();
    let (go, gone) = channel();
    *root.world.volume.kv.halt.lock().unwrap() = Some(Halt { reached, go: gone });
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(root));
        awaited.recv().unwrap();
        change(root);
        go.send(()).unwrap();
        reader.join().unwrap()
    })
}

#[test]
fn map_that_is_read_while_the_file_is_cut_is_of_one_version() {
    let world = World::on(Halting::default(), LIMITS);
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 16);
    root.write(ino, 1, 0, 16);
    let layout = torn(
        &root,
        |root| root.layout(ino, 0, 8).unwrap(),
        |root| {
            root.truncate(ino, 16).unwrap();
        },
    );
    let attr = root.stat(ino).unwrap();
    assert_eq!((layout.version, layout.blocks.len(), attr.size), (attr.version, 1, 16));
}

#[test]
fn open_while_the_file_is_cut_shows_no_holes_where_data_was() {
    let world = World::on(Halting::default(), LIMITS);
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 16);
    let before = root.stat(ino).unwrap();
    let (attr, layout) = torn(
        &root,
        |root| root.open(ino, BOTH).unwrap(),
        |root| {
            root.truncate(ino, 4).unwrap();
        },
    );
    assert_eq!((attr.version, layout.version), (before.version, before.version));
    assert!(layout.first == layout.behind && layout.blocks.is_empty(), "of the blocks it says nothing");
    let (_, layout) = root.open(ino, BOTH).unwrap();
    assert_eq!((layout.blocks.len(), layout.blocks[0].1[0].end), (1, 4));
}

#[test]
fn what_is_not_there_or_out_of_reach_is_refused_while_somebody_writes() {
    let world = World::new();
    let root = world.superuser();
    let (inside, outside) = (root.mkdir(ROOT, "in", 0o755).unwrap(), root.mkdir(ROOT, "out", 0o755).unwrap());
    let scoped = world.user(world.mount(2, inside, false), Caller::ROOT);
    let (answered, answers) = channel();
    std::thread::scope(|scope| {
        let writer = world.volume.write();
        scope.spawn(|| answered.send([scoped.stat(outside), scoped.stat(InodeId(999))]).unwrap());
        let answer = answers.recv_timeout(Duration::from_secs(20));
        // Before anything fails, or the reader would wait for ever.
        drop(writer);
        assert_eq!(answer, Ok([Err(Errno::ESTALE), Err(Errno::ESTALE)]));
    });
}
