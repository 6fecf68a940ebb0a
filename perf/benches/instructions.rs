//! Instructions of the hot pure paths, counted: a number that is the same on a busy machine as on a quiet one.
//!
//! Each bench says what it was last counted at, of an optimised build that keeps its checks. More than
//! [`TOLERANCE_PERCENT`] above that fails: make it cheaper, or say in the commit why it costs more now. Where a count
//! falls, lower its number, or the next rise goes unseen. `cargo xtask instructions` runs it; it needs valgrind.

#![allow(missing_docs, reason = "the macros make items of their own")]

use std::hint::black_box;
use std::sync::Arc;

use fsd::counted::{CountedFile, KernelMessages, Tables, attr};
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use meta::engine::{SessionContext, SessionRecord, Volume, VolumeLimits};
use meta::store::MemoryKv;
use proto::dirent::{DirRecord, DirRecords};
use proto::{
    Access, Attr, BlockIndex, Caller, Close, FileKind, InodeId, Layout, Name, OperationId, Reply, ReplyFrame, Request,
    RequestFrame, Sequence, SessionId, SessionKey, Timespec, Took, codec,
};

/// How far a count may lie above the number it is given here. Compilers of one version agree to a fraction of this;
/// hash tables with random seeds need the rest.
const TOLERANCE_PERCENT: u64 = 5;

/// Fails above `instructions` and the tolerance.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let limit = instructions + instructions * TOLERANCE_PERCENT / 100;
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, limit)]));
    config
}

/// Times each bench repeats its work, so that calling it does not count.
const REPEAT: u64 = 100;

fn create_request(number: u64) -> RequestFrame {
    let name = Name::new(format!("file-{number}").as_bytes()).expect("a name");
    let access = Access { read: false, write: true, execute: false };
    let request =
        Request::Create { parent: InodeId::ROOT, name, perm: 0o644, access, exclusive: true, truncate: false };
    RequestFrame { operation: Some(OperationId(number + 1)), caller: Caller::ROOT, request }
}

fn opened_reply(attr: Attr) -> ReplyFrame {
    let layout = Layout { version: 1, inline: None, first: BlockIndex(0), behind: BlockIndex(0), blocks: Vec::new() };
    ReplyFrame {
        sequence: Sequence(9),
        durable: Sequence(8),
        result: Ok(Reply::Opened(attr, layout)),
        dirs: vec![attr],
        took: Took { micros: 25, disk_micros: 0 },
    }
}

fn requests() -> Vec<RequestFrame> {
    (0..REPEAT).map(create_request).collect()
}

fn replies() -> Vec<ReplyFrame> {
    (0..REPEAT).map(|number| opened_reply(attr(number))).collect()
}

#[library_benchmark(config = at_most(267_110))]
#[bench::create(requests())]
fn codec_request(requests: Vec<RequestFrame>) -> usize {
    let turn = |frame: &RequestFrame| {
        let bytes = codec::encode(frame);
        codec::decode::<RequestFrame>(black_box(&bytes)).expect("a request").caller.uid as usize + bytes.len()
    };
    black_box(requests.iter().map(turn).sum())
}

#[library_benchmark(config = at_most(419_207))]
#[bench::opened(replies())]
fn codec_reply(replies: Vec<ReplyFrame>) -> usize {
    let turn = |frame: &ReplyFrame| {
        let bytes = codec::encode(frame);
        codec::decode::<ReplyFrame>(black_box(&bytes)).expect("a reply").sequence.0 as usize + bytes.len()
    };
    black_box(replies.iter().map(turn).sum())
}

fn listing() -> Vec<u8> {
    let mut records = Vec::new();
    for number in 0..REPEAT {
        let name = format!("file-{number}");
        let record = DirRecord {
            ino: InodeId(number + 2),
            offset: number + 1,
            kind: FileKind::Regular,
            name: name.as_bytes(),
            attr: Some(attr(number + 2)),
        };
        record.encode(&mut records);
    }
    records
}

#[library_benchmark(config = at_most(13_622))]
#[bench::with_attributes(listing())]
fn codec_listing(records: Vec<u8>) -> usize {
    black_box(DirRecords::new(black_box(&records)).map(|record| record.name.len()).sum())
}

library_benchmark_group!(name = wire, benchmarks = [codec_request, codec_reply, codec_listing]);

#[library_benchmark(config = at_most(638_198))]
#[bench::lookup_read_write(KernelMessages::new(REPEAT))]
fn kernel_messages(messages: KernelMessages) -> usize {
    black_box(messages.read_and_answer())
}

#[library_benchmark(config = at_most(406_000))]
#[bench::open_use_close(Tables::default())]
fn open_files(tables: Tables) -> usize {
    black_box(tables.open_use_close(REPEAT))
}

#[library_benchmark(config = at_most(183_354))]
#[bench::of_eight_pieces(CountedFile::new(&attr(7), 64))]
fn block_map_reads(file: CountedFile) -> usize {
    black_box(file.plan_reads(REPEAT))
}

#[library_benchmark(config = at_most(386_306))]
#[bench::of_four_kibibytes(CountedFile::new(&attr(7), 64), vec![1; 4096])]
fn block_map_writes(mut file: CountedFile, data: Vec<u8>) -> usize {
    black_box(file.write(&data, REPEAT))
}

library_benchmark_group!(name = daemon, benchmarks = [kernel_messages, open_files, block_map_reads, block_map_writes]);

/// A volume in memory and a session of it.
struct Engine {
    volume: Arc<Volume<MemoryKv>>,
    session: SessionContext,
}

const NOW: Timespec = Timespec { secs: 1_700_000_000, nanos: 0 };

impl Engine {
    fn new(files: u64) -> Self {
        let limits = VolumeLimits { block_size: 4 << 20, blocks_max: 0, inodes_max: 0, retention_secs: 0 };
        let volume = Volume::open(MemoryKv::default(), limits, NOW).expect("a new volume");
        let id = SessionId(uuid::Uuid::from_u128(1));
        let session = SessionContext::new(id, InodeId::ROOT);
        let record = SessionRecord::new(&session, &SessionKey([1; 16]), uuid::Uuid::nil(), NOW);
        volume.open_session(record).expect("a new session");
        let engine = Self { volume: Arc::new(volume), session };
        engine.create(0..files);
        engine
    }

    fn ask(&self, frame: &RequestFrame) -> Reply {
        self.volume.execute(&self.session, frame, NOW).reply.result.expect("the engine carries it out")
    }

    fn create(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let Reply::Opened(attr, _) = self.ask(&create_request(number)) else { panic!("an open file") };
            let closes = vec![Close { ino: attr.ino, count: 1, atime: None }];
            let request = Request::Release { closes };
            self.ask(&RequestFrame { operation: None, caller: Caller::ROOT, request });
        }
    }

    fn look_up(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let name = Name::new(format!("file-{number}").as_bytes()).expect("a name");
            let request = Request::Lookup { parent: InodeId::ROOT, name };
            self.ask(&RequestFrame { operation: None, caller: Caller::ROOT, request });
        }
    }
}

#[library_benchmark(config = at_most(2_908_000))]
#[bench::beside_a_thousand(Engine::new(1000))]
fn engine_create_and_close(engine: Engine) -> Engine {
    engine.create(1000..1000 + REPEAT);
    engine
}

#[library_benchmark(config = at_most(328_300))]
#[bench::among_a_thousand(Engine::new(1000))]
fn engine_lookup(engine: Engine) -> Engine {
    engine.look_up(0..REPEAT);
    engine
}

library_benchmark_group!(name = engine, benchmarks = [engine_create_and_close, engine_lookup]);

main!(library_benchmark_groups = [wire, daemon, engine]);
