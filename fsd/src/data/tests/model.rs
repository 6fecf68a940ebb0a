//! Random lists of operations against a vector of bytes.

use proptest::prelude::*;

use super::world::*;
use crate::data::Fallocate;

#[derive(Clone, Debug)]
enum Step {
    Write(u64, usize),
    Read(u64, u32),
    Flush,
    Truncate(u64),
    Punch(u64, u64),
    Zero(u64, u64),
    Extend(u64, u64),
    Reopen,
    ReopenTruncating,
    WriteBack,
    FailPut,
    FailCommit,
    RefuseInline(bool),
    EndSession,
    ForeignWrite(u64, usize),
}

const SPAN: u64 = 5 * BLOCK as u64;

/// Offsets like to be near the borders where something changes.
fn offset() -> impl Strategy<Value = u64> {
    let block = u64::from(BLOCK);
    prop_oneof![
        0..SPAN,
        0..10_000u64,
        (0..5u64, 0..200u64).prop_map(move |(index, near)| (index * block + near).saturating_sub(100)),
    ]
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![1..200usize, 1..9000usize, 1..BLOCK as usize * 2, Just(BLOCK as usize)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (offset(), len()).prop_map(|(offset, len)| Step::Write(offset, len)),
        8 => (offset(), len()).prop_map(|(offset, len)| Step::Read(offset, len as u32)),
        4 => Just(Step::Flush),
        2 => offset().prop_map(Step::Truncate),
        1 => Just(Step::Truncate(0)),
        2 => (offset(), len()).prop_map(|(offset, len)| Step::Punch(offset, len as u64)),
        2 => (offset(), len()).prop_map(|(offset, len)| Step::Zero(offset, len as u64)),
        1 => (offset(), len()).prop_map(|(offset, len)| Step::Extend(offset, len as u64)),
        3 => Just(Step::Reopen),
        1 => Just(Step::ReopenTruncating),
        2 => Just(Step::WriteBack),
        2 => Just(Step::FailPut),
        2 => Just(Step::FailCommit),
        2 => any::<bool>().prop_map(Step::RefuseInline),
        1 => Just(Step::EndSession),
        3 => (offset(), len()).prop_map(|(offset, len)| Step::ForeignWrite(offset, len)),
    ]
}

/// A file that is a vector.
#[derive(Default)]
struct Model(Vec<u8>);

impl Model {
    fn write(&mut self, offset: u64, data: &[u8]) {
        let end = offset as usize + data.len();
        self.extend(end);
        self.0[offset as usize..end].copy_from_slice(data);
    }

    fn extend(&mut self, end: usize) {
        self.0.resize(self.0.len().max(end), 0);
    }

    fn zero(&mut self, offset: u64, len: u64) {
        let end = self.0.len().min((offset + len) as usize);
        if (offset as usize) < end {
            self.0[offset as usize..end].fill(0);
        }
    }

    fn read(&self, offset: u64, len: u32) -> &[u8] {
        let start = self.0.len().min(offset as usize);
        &self.0[start..self.0.len().min(start + len as usize)]
    }
}

/// Flushes until nothing fails on demand any more.
async fn flush_through(mount: &Mount) {
    for _ in 0..50 {
        if mount.flush().await.is_ok() {
            return;
        }
    }
    panic!("the failures on demand are used up by now");
}

async fn run(steps: Vec<Step>) {
    let mut mount = Mount::new();
    let mut model = Model::default();
    for (seed, step) in steps.into_iter().enumerate() {
        match step {
            Step::Write(offset, len) => {
                let data = pattern(len, seed as u64);
                // A write that meets a failure while it makes room may be done in part: it is done again.
                while mount.write(offset, &data).await.is_err() {}
                model.write(offset, &data);
            }
            Step::Read(offset, len) => {
                assert_eq!(mount.read(offset, len).await.unwrap(), model.read(offset, len), "read {offset} {len}");
            }
            Step::Flush => drop(mount.flush().await),
            Step::Truncate(size) => {
                flush_through(&mount).await;
                mount.truncate(size).await.unwrap();
                model.0.resize(size as usize, 0);
            }
            Step::Punch(offset, len) | Step::Zero(offset, len) | Step::Extend(offset, len) => {
                flush_through(&mount).await;
                let mode = match step {
                    Step::Punch(..) => Fallocate::PunchHole,
                    Step::Zero(..) => Fallocate::ZeroRange { keep_size: false },
                    _ => Fallocate::Allocate { keep_size: false },
                };
                let (server, file) = (&*mount.server, &mount.file);
                while mount.plane.fallocate(server, file, mode, offset, len, NOW).await.is_err() {}
                if mode != (Fallocate::Allocate { keep_size: false }) {
                    model.zero(offset, len);
                }
                if mode != Fallocate::PunchHole {
                    model.extend((offset + len) as usize);
                }
            }
            Step::Reopen => {
                flush_through(&mount).await;
                mount.reopen().await;
            }
            Step::ReopenTruncating => {
                let quiet = mount.plane.quiet(INO).await.unwrap();
                let (attr, layout) = {
                    let other = Mount::of(&mount.server, &mount.store, 0);
                    other.truncate(0).await.unwrap();
                    mount.server.open()
                };
                mount.plane.settle_truncating_open(quiet);
                mount.plane.open(&attr, layout);
                mount.plane.close(INO);
                model.0.clear();
            }
            Step::WriteBack => {
                let later = proto::Timespec { secs: NOW.secs + 1, nanos: 0 };
                mount.plane.write_back(&*mount.server, later).await;
            }
            Step::FailPut => mount.store.fail_puts(block::StoreErrorKind::NoSpace, 1),
            Step::FailCommit => mount.server.state().commit_failures.push_back(proto::Errno::ENOSPC),
            Step::RefuseInline(refuse) => mount.server.state().refuse_inline = refuse,
            Step::EndSession => mount.server.state().end_session(),
            Step::ForeignWrite(offset, len) => {
                flush_through(&mount).await;
                let other = Mount::of(&mount.server, &mount.store, 0);
                let data = pattern(len, seed as u64);
                while other.write(offset, &data).await.is_err() {}
                flush_through(&other).await;
                model.write(offset, &data);
                mount.reopen().await;
                assert!(!mount.keep_cache, "the kernel's pages are old");
            }
        }
        assert_eq!(mount.stat().size, model.0.len() as u64);
    }
    assert_eq!(mount.read(0, u32::MAX).await.unwrap(), model.0);
    flush_through(&mount).await;
    assert_eq!(mount.read(0, u32::MAX).await.unwrap(), model.0);
    assert_eq!(mount.committed().await, model.0);
    assert_eq!(mount.server.attr().size, model.0.len() as u64);
    assert!(!mount.file.is_dirty());
    let pieces_max = mount.server.state().blocks.values().map(Vec::len).max();
    assert!(pieces_max.unwrap_or(0) <= 16, "{pieces_max:?} pieces in a block");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn file_holds_what_was_written_last(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps));
    }
}
