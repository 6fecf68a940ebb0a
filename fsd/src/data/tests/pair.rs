//! Random lists of operations of two mounts, each of which writes its own stripes of one file by what it knows of it.

use std::time::Duration;

use proptest::prelude::*;

use super::world::*;
use crate::data::Fallocate;

#[derive(Clone, Debug)]
enum Step {
    /// Of a mount.
    One(usize, Deed),
    /// Of both at once.
    Both(Deed, Deed),
    FailPut,
    FailCommit,
    LoseReply,
    EndSession,
    Delay(u64),
}

#[derive(Clone, Debug)]
enum Deed {
    Write(u64, usize),
    Punch(u64, u64),
    Flush,
    WriteAndFlush(u64, usize),
    WriteBack,
    Reopen,
}

const SPAN: u64 = 2 * BLOCK as u64;
const STRIPE: u64 = 700;

fn offset() -> impl Strategy<Value = u64> {
    let block = u64::from(BLOCK);
    prop_oneof![0..SPAN, 0..8000u64, 0..20_000u64, block - 9000..block + 9000]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (offset(), 1..9000usize).prop_map(|(offset, len)| Deed::Write(offset, len)),
        1 => (offset(), 1..9000u64).prop_map(|(offset, len)| Deed::Punch(offset, len)),
        2 => Just(Deed::Flush),
        4 => (offset(), 1..9000usize).prop_map(|(offset, len)| Deed::WriteAndFlush(offset, len)),
        1 => Just(Deed::WriteBack),
        1 => Just(Deed::Reopen),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..2usize, deed()).prop_map(|(mount, deed)| Step::One(mount, deed)),
        10 => (deed(), deed()).prop_map(|(first, second)| Step::Both(first, second)),
        1 => Just(Step::FailPut),
        1 => Just(Step::FailCommit),
        1 => Just(Step::LoseReply),
        1 => Just(Step::EndSession),
        1 => (0..3u64).prop_map(Step::Delay),
    ]
}

/// A mount and what it wrote.
struct Writer {
    number: u64,
    mount: Mount,
    /// The file as it must be in this writer's stripes.
    bytes: Vec<u8>,
    /// End of the last byte that was written.
    end: u64,
}

impl Writer {
    fn new(number: u64, first: &Mount) -> Self {
        let mount = Mount::of(&first.server, &first.store, 0);
        Self { number, mount, bytes: vec![0; 2 * SPAN as usize], end: 0 }
    }

    /// The parts of a range that are in the writer's stripes.
    fn own(&self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        let parts = (offset / STRIPE..=(offset + len) / STRIPE).filter(|stripe| stripe % 2 == self.number);
        let parts = parts.map(|stripe| (offset.max(stripe * STRIPE), (offset + len).min((stripe + 1) * STRIPE)));
        parts.filter(|(start, end)| start < end).collect()
    }

    async fn write(&mut self, offset: u64, len: usize, seed: u64) {
        for (start, end) in self.own(offset, len as u64) {
            let data = pattern((end - start) as usize, seed ^ start);
            // A write that meets a failure while it makes room may be done in part: it is done again.
            while self.mount.write(start, &data).await.is_err() {}
            self.bytes[start as usize..end as usize].copy_from_slice(&data);
            self.end = self.end.max(end);
        }
    }

    async fn punch(&mut self, offset: u64, len: u64) {
        for (start, end) in self.own(offset, len) {
            let (server, file) = (&*self.mount.server, &self.mount.file);
            // The server may refuse a few commits on demand.
            let mode = Fallocate::PunchHole;
            while self.mount.plane.fallocate(server, file, mode, start, end - start, NOW).await.is_err() {}
            // What lies behind the end as it is known here is not touched.
            let end = end.min(self.mount.stat().size).max(start);
            self.bytes[start as usize..end as usize].fill(0);
        }
    }

    async fn flush(&self) {
        for _ in 0..50 {
            if self.mount.flush().await.is_ok() {
                return;
            }
        }
        panic!("the failures on demand are used up by now");
    }

    /// What is flushed is there for everybody; only a punch of the other counts before its flush.
    async fn check(&self) {
        let content = self.mount.committed().await;
        for (start, end) in self.own(0, content.len() as u64) {
            let (start, end) = (start as usize, end as usize);
            assert!(content[start..end] == self.bytes[start..end], "bytes {start}..{end} of writer {}", self.number);
        }
        assert!(content.len() as u64 >= self.end, "{} bytes, {} were written", content.len(), self.end);
    }

    /// Reads of a mount show what it wrote, committed or not.
    async fn check_own(&self, offset: u64, len: u64) {
        for (start, end) in self.own(offset, len) {
            let read = self.mount.read(start, (end - start) as u32).await.unwrap();
            let expected = &self.bytes[start as usize..start as usize + read.len()];
            assert!(read == expected, "bytes {start}..{end} read by writer {}", self.number);
        }
    }

    async fn perform(&mut self, deed: Deed, seed: u64) {
        match deed {
            Deed::Write(offset, len) => {
                self.write(offset, len, seed).await;
                self.check_own(offset.saturating_sub(5000), len as u64 + 10_000).await;
            }
            Deed::Punch(offset, len) => self.punch(offset, len).await,
            Deed::Flush => {
                self.flush().await;
                self.check().await;
            }
            Deed::WriteAndFlush(offset, len) => {
                self.write(offset, len, seed).await;
                self.flush().await;
                self.check().await;
            }
            Deed::WriteBack => {
                let later = proto::Timespec { secs: NOW.secs + 1, nanos: 0 };
                self.mount.plane.write_back(&*self.mount.server, later).await;
            }
            Deed::Reopen => {
                self.flush().await;
                self.mount.reopen().await;
                self.check_own(0, SPAN).await;
            }
        }
    }
}

async fn run(steps: Vec<Step>) {
    let first = Mount::new();
    let mut writers = [Writer::new(0, &first), Writer::new(1, &first)];
    let state = || first.server.state();
    for (seed, step) in steps.into_iter().enumerate() {
        let seed = (seed as u64) << 32;
        match step {
            Step::One(writer, deed) => writers[writer].perform(deed, seed).await,
            Step::Both(deed, other) => {
                let [one, two] = &mut writers;
                tokio::join!(one.perform(deed, seed), two.perform(other, seed));
            }
            Step::FailPut => first.store.fail_puts(block::StoreErrorKind::NoSpace, 1),
            Step::FailCommit => state().commit_failures.push_back(proto::Errno::ENOSPC),
            Step::LoseReply => state().lost_replies += 1,
            Step::EndSession => state().end_session(),
            Step::Delay(millis) => state().delay = (millis > 0).then(|| Duration::from_millis(millis)),
        }
    }
    for writer in &writers {
        writer.flush().await;
    }
    for writer in &writers {
        writer.check().await;
        writer.check_own(0, SPAN).await;
        assert!(!writer.mount.file.is_dirty());
    }
    let [one, two] = &writers;
    assert_eq!(first.committed().await.len() as u64, one.end.max(two.end));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn two_mounts_keep_the_bytes_of_both(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps));
    }
}
