//! Commits, truncation, inline content and what becomes of objects.

use bytes::Bytes;
use proto::{
    BlockChange, BlockIndex, Commit, Copied, Errno, ObjectId, Piece, Refused, Reply, Request, Rewrite, Source,
};

use super::world::{BLOCK_SIZE, LIMITS, ROOT, World, at, commit, piece};
use crate::engine::VolumeLimits;

fn write(index: u64, start: u32, end: u32, object: u64) -> BlockChange {
    BlockChange::Write(BlockIndex(index), piece(start, end, object))
}

#[test]
fn commit_makes_the_file_longer_and_newer() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let before = root.stat(ino).unwrap();
    let first = root.grant(2);
    let attr = root.commit(ino, vec![write(0, 0, 16, first), write(2, 4, 8, first + 1)]).unwrap();
    assert_eq!((attr.size, attr.allocated, attr.mtime), (40, 20, at(5)));
    assert!(attr.version > before.version && attr.ctime > before.ctime);
    assert_eq!(root.map(ino), [(0, 0, 16, 1), (2, 4, 8, 2)]);
    assert_eq!(world.volume.stat().bytes_used, 20);
    world.check();
}

#[test]
fn newer_pieces_cover_older_ones_and_bury_their_objects() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 16);
    root.write(ino, 0, 4, 8);
    assert_eq!(root.map(ino), [(0, 0, 4, 1), (0, 4, 8, 2), (0, 8, 16, 1)]);
    assert_eq!(root.dead(), [0; 0]);
    root.write(ino, 0, 0, 12);
    assert_eq!(root.map(ino), [(0, 0, 12, 3), (0, 12, 16, 1)]);
    assert_eq!(root.dead(), [2]);
    root.commit(ino, vec![BlockChange::Punch(BlockIndex(0), 10, 16)]).unwrap();
    assert_eq!(root.map(ino), [(0, 0, 10, 3)]);
    assert_eq!(root.dead(), [1, 2]);
    assert_eq!(root.stat(ino).unwrap().size, 16);
    world.check();
}

#[test]
fn piece_that_its_own_commit_covers_is_dead_at_once() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(2);
    root.commit(ino, vec![write(0, 0, 8, first), write(0, 0, 8, first + 1)]).unwrap();
    assert_eq!((root.map(ino), root.dead()), (vec![(0, 0, 8, 2)], vec![1]));
    world.check();
}

#[test]
fn objects_can_be_committed_once_and_by_their_session_only() {
    let world = World::new();
    let root = world.superuser();
    let other = world.user(world.mount(2, ROOT, false), root.caller.clone());
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    other.open(ino, super::world::WRITE).unwrap();
    let object = root.grant(1);
    assert_eq!(other.commit(ino, vec![write(0, 0, 8, object)]), Err(Errno::EPERM));
    assert_eq!(root.commit(ino, vec![write(0, 0, 8, 77)]), Err(Errno::EPERM));
    assert_eq!(root.commit(ino, vec![write(0, 0, 8, object), write(1, 0, 8, object)]), Err(Errno::EPERM));
    assert!(root.commit(ino, vec![write(0, 0, 8, object)]).is_ok());
    assert_eq!(root.commit(ino, vec![write(1, 0, 8, object)]), Err(Errno::EPERM));
    world.check();
}

#[test]
fn truncation_clips_and_drops_blocks() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    for index in 0..4 {
        root.write(ino, index, 0, 16);
    }
    let version = root.stat(ino).unwrap().version;
    let attr = root.truncate(ino, 20).unwrap();
    assert!(attr.size == 20 && attr.allocated == 20 && attr.version > version);
    assert_eq!(root.map(ino), [(0, 0, 16, 1), (1, 0, 4, 2)]);
    assert_eq!(root.dead(), [3, 4]);
    root.truncate(ino, 100).unwrap();
    assert_eq!(root.map(ino), [(0, 0, 16, 1), (1, 0, 4, 2)], "what was cut off does not come back");
    root.truncate(ino, 0).unwrap();
    assert_eq!((root.map(ino), root.dead()), (vec![], vec![1, 2, 3, 4]));
    world.check();
}

#[test]
fn inline_content_is_kept_grown_and_cut() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let attr = root.commit_inline(ino, b"hello world", 1).unwrap();
    assert_eq!((attr.size, attr.allocated), (11, 11));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"hello world"[..]));
    assert_eq!(root.commit_inline(ino, b"late", 1), Err(Errno::EAGAIN));
    root.truncate(ino, 5).unwrap();
    root.truncate(ino, 50).unwrap();
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"hello"[..]));
    assert_eq!(world.volume.stat().bytes_used, 5);
    world.check();
    root.truncate(ino, 0).unwrap();
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline, None);
    world.check();
}

#[test]
fn inline_content_takes_the_place_of_blocks() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 16);
    let version = root.stat(ino).unwrap().version;
    let attr = root.commit_inline(ino, b"short", version).unwrap();
    assert_eq!((attr.size, attr.allocated, root.dead()), (5, 5, vec![1]));
    world.check();
}

#[test]
fn pieces_lie_over_inline_content_and_take_its_place_when_they_cover_it() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.commit_inline(ino, b"0123456789", 1).unwrap();
    let first = root.grant(3);
    let attr = root.commit(ino, vec![write(0, 2, 16, first), write(2, 0, 4, first + 1)]).unwrap();
    assert_eq!((attr.size, attr.allocated), (36, 28));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"0123456789"[..]));
    assert_eq!(root.map(ino), [(0, 2, 16, 1), (2, 0, 4, 2)]);
    world.check();
    assert_eq!(root.commit(ino, vec![write(0, 0, 2, first + 2)]).map(|attr| attr.allocated), Ok(20));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline, None);
    world.check();
}

#[test]
fn inline_content_below_pieces_is_cut_and_punched_with_them() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.commit_inline(ino, b"0123456789", 1).unwrap();
    root.write(ino, 0, 4, 16);
    root.commit(ino, vec![BlockChange::Punch(BlockIndex(0), 2, 6)]).unwrap();
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"01\0\0\0\x006789"[..]));
    assert_eq!(root.map(ino), [(0, 6, 16, 1)]);
    let attr = root.truncate(ino, 5).unwrap();
    assert_eq!((attr.size, attr.allocated, root.map(ino), root.dead()), (5, 5, vec![], vec![1]));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"01\0\0\0"[..]));
    root.truncate(ino, 0).unwrap();
    assert_eq!((root.layout(ino, 0, 1).unwrap().inline, world.volume.stat().bytes_used), (None, 0));
    world.check();
}

fn copied(start: u32, end: u32, source: Source) -> Copied {
    Copied { start, end, source }
}

fn rewrite(index: u64, piece: Piece, copied: Vec<Copied>) -> BlockChange {
    BlockChange::Rewrite(BlockIndex(index), Rewrite { piece, copied })
}

#[test]
fn rewrite_counts_only_where_the_block_still_shows_what_was_copied() {
    let world = World::new();
    let root = world.superuser();
    let other = world.user(world.mount(2, ROOT, false), root.caller.clone());
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    other.open(ino, super::world::WRITE).unwrap();
    root.write(ino, 0, 0, 4);
    root.write(ino, 0, 8, 12);
    let object = root.grant(2);
    // Written is 6..7; the rest is a copy of what is there now.
    let copies = |pieces: [u64; 2]| {
        let source = pieces.map(|object| Source::Object(ObjectId(object)));
        let holes = [copied(4, 6, Source::Hole), copied(7, 8, Source::Hole)];
        vec![copied(0, 4, source[0]), holes[0], holes[1], copied(8, 12, source[1])]
    };
    assert_eq!(other.write(ino, 0, 2, 5), 5);
    root.commit(ino, vec![rewrite(0, piece(0, 12, object), copies([1, 2]))]).unwrap();
    assert_eq!(root.map(ino), [(0, 0, 2, 3), (0, 2, 5, 5), (0, 5, 12, 3)]);
    assert_eq!(root.dead(), [1, 2]);
    world.check();
    // Cut off meanwhile: neither the bytes nor the length come back.
    root.truncate(ino, 6).unwrap();
    root.commit(ino, vec![rewrite(0, piece(0, 12, object + 1), copies([3, 3]))]).unwrap();
    assert_eq!(root.map(ino), [(0, 0, 2, 4), (0, 2, 5, 5), (0, 5, 6, 3), (0, 6, 7, 4)]);
    assert_eq!(root.stat(ino).unwrap().size, 7);
    world.check();
}

#[test]
fn rewrite_of_nothing_but_copies_changes_no_length_and_may_come_too_late() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let version = root.commit_inline(ino, b"0123456789", 1).unwrap().version;
    let object = root.grant(2);
    let fold = |object| rewrite(0, piece(0, 10, object), vec![copied(0, 10, Source::Inline(version))]);
    root.commit_inline(ino, b"news", version).unwrap();
    let attr = root.commit(ino, vec![fold(object)]).unwrap();
    assert_eq!((attr.size, root.map(ino), root.dead()), (4, vec![], vec![object]));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"news"[..]));
    let fold = rewrite(0, piece(0, 4, object + 1), vec![copied(0, 4, Source::Inline(attr.version))]);
    let attr = root.commit(ino, vec![fold]).unwrap();
    assert_eq!((attr.size, attr.allocated, root.map(ino)), (4, 4, vec![(0, 0, 4, object + 1)]));
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline, None);
    world.check();
}

#[test]
fn size_that_is_set_makes_a_new_version_in_any_case() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let version = root.truncate(ino, 10).unwrap().version;
    assert_eq!(root.truncate(ino, 10).map(|attr| attr.version), Ok(version + 1));
    assert_eq!(root.truncate(ino, 4).map(|attr| attr.version), Ok(version + 2));
    assert_eq!(root.truncate(ino, 0).map(|attr| attr.version), Ok(version + 3));
    assert_eq!(root.truncate(ino, 0).map(|attr| attr.version), Ok(version + 4));
    assert_eq!(root.chmod(ino, 0o600).map(|attr| attr.version), Ok(version + 4));
}

#[test]
fn older_bytes_do_not_turn_back_the_time_of_change() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let write = |mtime, base_version| {
        let change = write(0, 0, 8, root.grant(1));
        root.ask(Request::Commit(Commit { mtime: at(mtime), base_version, ..commit(ino, vec![change]) })).unwrap();
        root.stat(ino).unwrap().mtime
    };
    assert_eq!(write(900, 1), at(900));
    assert_eq!(write(800, 1), at(900), "somebody else wrote at 900 since");
    assert_eq!(write(800, 3), at(800), "a time that was set may be left behind");
}

#[test]
fn holes_are_punched_into_inline_content() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.commit_inline(ino, b"0123456789", 1).unwrap();
    root.commit(ino, vec![BlockChange::Punch(BlockIndex(0), 2, 4), BlockChange::Punch(BlockIndex(0), 9, 16)]).unwrap();
    assert_eq!(root.layout(ino, 0, 1).unwrap().inline.as_deref(), Some(&b"01\0\x0045678\0"[..]));
    world.check();
}

#[test]
fn bytes_quota_refuses_growth_and_allows_the_rest() {
    let world = World::with_limits(VolumeLimits { blocks_max: 2, ..LIMITS });
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 16);
    root.write(ino, 1, 0, 16);
    let object = root.grant(1);
    assert_eq!(root.commit(ino, vec![write(2, 0, 1, object)]), Err(Errno::ENOSPC));
    assert!(root.commit(ino, vec![write(0, 0, 16, object)]).is_ok(), "an overwrite needs no more room");
    assert!(root.truncate(ino, 1 << 40).is_ok(), "a hole needs none");
    assert_eq!(root.commit_inline(root.create(ROOT, "g", 0o644).unwrap(), b"x", 1), Err(Errno::ENOSPC));
    root.truncate(ino, 16).unwrap();
    assert_eq!(world.volume.stat().bytes_used, 16);
    world.check();
}

#[test]
fn big_file_that_goes_is_swept_in_steps() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "big", 0o644).unwrap();
    let first = root.grant(300);
    root.commit(ino, (0..300).map(|index| write(index, 0, 16, first + index)).collect()).unwrap();
    root.open_truncated(ino).unwrap();
    assert_eq!(world.volume.stat().bytes_used, 0);
    root.write(ino, 0, 0, 16);
    assert_eq!(root.map(ino), [(0, 0, 16, 301)]);
    assert_eq!(root.dead(), [0; 0]);
    world.check();
    let mut steps = 0;
    while world.volume.sweep(world.now(), 100).unwrap() {
        steps += 1;
        world.check();
    }
    assert_eq!(steps, 4);
    assert_eq!(root.dead(), (1..=300).collect::<Vec<_>>());
    assert_eq!(root.map(ino), [(0, 0, 16, 301)]);
}

#[test]
fn cut_of_many_blocks_takes_several_batches() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "big", 0o644).unwrap();
    for part in 0..3 {
        let first = root.grant(1000);
        let changes = (0..1000).map(|index| write(part * 1000 + index, 0, 16, first + index));
        root.commit(ino, changes.collect()).unwrap();
    }
    let before = world.volume.sequence();
    assert_eq!(root.truncate(ino, 24).map(|attr| (attr.size, attr.allocated)), Ok((24, 24)));
    assert_eq!(world.volume.sequence().0 - before.0, 3);
    assert_eq!(root.map(ino), [(0, 0, 16, 1), (1, 0, 8, 2)]);
    assert_eq!(root.dead().len(), 2998);
    world.check();
}

#[test]
fn dead_objects_wait_for_retention_and_are_forgotten_when_told() {
    let world = World::with_limits(VolumeLimits { retention_secs: 100, ..LIMITS });
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(5);
    root.commit(ino, (0..5).map(|index| write(index, 0, 16, first + index)).collect()).unwrap();
    root.unlink(ROOT, "f").unwrap();
    root.close(ino);
    let died = world.now().secs as u64;
    let dead = |secs: u64, limit| {
        let objects = world.volume.dead_objects(at(secs), limit).unwrap();
        objects.iter().map(|object| object.0).collect::<Vec<_>>()
    };
    assert_eq!(dead(died + 99, 10), [0; 0]);
    assert_eq!(dead(died + 100, 2), [1, 2]);
    let forget = |ids: &[u64]| {
        let ids: Vec<_> = ids.iter().map(|id| ObjectId(*id)).collect();
        world.volume.forget_objects(&ids).unwrap();
    };
    forget(&[2, 4, 4000]);
    assert_eq!(dead(died + 100, 10), [1, 3, 5]);
    forget(&[1, 3, 5]);
    assert_eq!(dead(died + 100, 10), [0; 0]);
    world.check();
    world.volume.set_limits(VolumeLimits { retention_secs: -1, ..LIMITS });
    let again = root.create(ROOT, "f", 0o644).unwrap();
    root.write(again, 0, 0, 4);
    root.truncate(again, 0).unwrap();
    assert_eq!(dead(died + 1_000_000, 10), [0; 0]);
    world.volume.set_limits(LIMITS);
    assert_eq!(dead(died + 1_000_000, 10), [6], "found although the dead were looked for in vain before");
}

#[test]
fn uncommitted_objects_die_with_their_session() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(6);
    root.commit(ino, vec![write(0, 0, 8, first + 2)]).unwrap();
    let other = world.user(world.mount(2, ROOT, false), root.caller.clone());
    other.grant(2);
    world.volume.close_session(root.session.id, world.now()).unwrap();
    assert_eq!(other.dead(), [1, 2, 4, 5, 6]);
    world.check();
}

#[test]
fn ids_given_back_are_dead_and_make_room_for_others() {
    let world = World::new();
    let root = world.superuser();
    let other = world.user(world.mount(2, ROOT, false), root.caller.clone());
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(4096);
    let foreign = other.grant(1);
    for _ in 1..16 {
        root.grant(4096);
    }
    root.commit(ino, vec![write(0, 0, 8, first)]).unwrap();
    // Committed, granted, named twice, somebody else's, never granted: the second only is taken back.
    let given_back = [first, first + 1, first + 1, foreign, 1 << 40].map(ObjectId).to_vec();
    let granted = root.ask(Request::GrantObjects { count: 2, given_back: given_back.clone() });
    assert!(matches!(granted, Ok(Reply::Granted { count: 2, .. })), "{granted:?}");
    assert_eq!((root.dead(), root.map(ino)), (vec![first + 1], vec![(0, 0, 8, first)]));
    assert_eq!(root.commit(ino, vec![write(1, 0, 8, first + 1)]), Err(Errno::EPERM));
    assert_eq!(root.ask(Request::GrantObjects { count: 1, given_back }), Err(Errno::EAGAIN.into()));
    world.check();
}

#[test]
fn session_cannot_hoard_object_ids() {
    let world = World::new();
    let root = world.superuser();
    for _ in 0..16 {
        root.grant(4096);
    }
    assert_eq!(root.ask(Request::GrantObjects { count: 1, given_back: Vec::new() }), Err(Errno::EAGAIN.into()));
}

#[test]
fn layout_goes_on_where_the_last_one_ended() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(20);
    root.commit(ino, (0..20).map(|index| write(index * 3, 0, 16, first + index)).collect()).unwrap();
    let indexes = |layout: &proto::Layout| layout.blocks.iter().map(|(index, _)| index.0).collect::<Vec<_>>();
    let (_, head) = root.open(ino, super::world::READ).unwrap();
    assert_eq!((indexes(&head).len(), head.first.0, head.behind.0), (16, 0, 48));
    let next = root.layout(ino, head.behind.0, 2).unwrap();
    assert_eq!((indexes(&next), next.behind.0), (vec![48, 51], 54));
    let last = root.layout(ino, next.behind.0, 1024).unwrap();
    assert_eq!((indexes(&last), last.behind.0), (vec![54, 57], 54 + 1024));
}

#[test]
fn open_tells_no_more_of_a_file_in_many_pieces_than_is_short() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(256);
    let pieces =
        |index: u64| (0..BLOCK_SIZE).map(move |at| write(index, at, at + 1, first + index * 16 + u64::from(at)));
    root.commit(ino, (0..16).flat_map(pieces).collect()).unwrap();
    let (attr, head) = root.open(ino, super::world::READ).unwrap();
    let told = head.blocks.len() as u64;
    assert!((1..16).contains(&told) && head.behind.0 == told, "{told} blocks before {}", head.behind.0);
    assert!(proto::codec::encode(&Reply::Opened(attr, head)).len() < 8 << 10);
    let rest = root.layout(ino, told, 1024).unwrap();
    assert_eq!((rest.blocks.len() as u64, rest.first.0), (16 - told, told));
}

#[test]
fn layout_of_a_file_not_open_needs_read_permission() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o600).unwrap();
    assert_eq!(root.other(1, 1).layout(ino, 0, 1).map(drop), Err(Errno::EACCES));
    assert!(root.layout(ino, 0, 1).is_ok());
    assert_eq!(root.layout(ROOT, 0, 1).map(drop), Err(Errno::EINVAL));
}

#[test]
fn impossible_commits_are_refused() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let object = root.grant(1);
    let malformed = [
        vec![write(0, 0, BLOCK_SIZE + 1, object)],
        vec![BlockChange::Punch(BlockIndex(0), 3, 3)],
        vec![BlockChange::Punch(BlockIndex(0), 3, BLOCK_SIZE + 1)],
        vec![BlockChange::Punch(BlockIndex(0), 0, 1); 1025],
    ];
    for changes in malformed {
        assert_eq!(root.ask(Request::Commit(commit(ino, changes))), Err(Refused::Malformed));
    }
    let spans = || (0..8).map(|at| copied(2 * at, 2 * at + 1, Source::Nowhere)).collect();
    let hole = BlockChange::Punch(BlockIndex(1), 0, 1);
    let malformed = [
        vec![rewrite(0, piece(0, 16, object), vec![copied(0, 17, Source::Hole)])],
        vec![rewrite(0, piece(0, 16, object), vec![copied(4, 8, Source::Hole), copied(7, 9, Source::Hole)])],
        (0..600).map(|index| rewrite(index, piece(0, 16, object), spans())).collect(),
        vec![rewrite(0, piece(0, 16, object), vec![copied(4, 8, Source::Hole)]), hole],
    ];
    for changes in malformed {
        assert_eq!(root.ask(Request::Commit(commit(ino, changes))), Err(Refused::Malformed));
    }
    assert_eq!(root.commit(ino, vec![write(u64::MAX / 16, 0, 16, object)]), Err(Errno::EFBIG));
    let mut both = commit(ino, vec![write(0, 0, 8, object)]);
    both.inline = Some(Bytes::from_static(b"x"));
    assert_eq!(root.ask(Request::Commit(both)), Err(Refused::Malformed));
    let mut long = commit(ino, Vec::new());
    long.size_min = u64::MAX;
    assert_eq!(root.ask(Request::Commit(long)), Err(Errno::EFBIG.into()));
    assert_eq!(root.truncate(ino, u64::MAX), Err(Errno::EFBIG));
    assert!(root.truncate(ino, i64::MAX as u64).is_ok());
    world.check();
}

#[test]
fn block_of_too_many_pieces_is_to_be_rewritten() {
    let world = World::with_limits(VolumeLimits { block_size: 1024, ..LIMITS });
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let first = root.grant(300);
    let pieces = |count: u32| (0..count).map(|at| write(0, 2 * at, 2 * at + 1, first + u64::from(at))).collect();
    assert_eq!(root.commit(ino, pieces(257)), Err(Errno::EAGAIN));
    assert!(root.commit(ino, pieces(256)).is_ok());
    assert_eq!(root.commit(ino, vec![write(0, 600, 601, first + 299)]), Err(Errno::EAGAIN));
    assert!(root.commit(ino, vec![write(0, 0, 600, first + 299)]).is_ok());
    world.check();
}

#[test]
fn durable_requests_wait_for_the_disk() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let execute = |request: Request| {
        let operation = request.is_mutation().then(|| world.next_operation());
        let frame = proto::RequestFrame { operation, caller: root.caller.clone(), request };
        world.volume.execute(&root.session, &frame, world.tick())
    };
    let mut request = commit(ino, Vec::new());
    assert!(!execute(Request::Commit(request.clone())).wait_durable);
    request.durable = true;
    request.size_min = 9;
    let executed = execute(Request::Commit(request));
    assert!(executed.wait_durable && executed.reply.durable < executed.reply.sequence);
    assert_eq!(world.volume.persist().unwrap(), executed.reply.sequence);
    let sync = execute(Request::Sync);
    assert!(sync.wait_durable && sync.reply.result == Ok(Reply::Done));
    assert_eq!((sync.reply.sequence, sync.reply.durable), (executed.reply.sequence, executed.reply.sequence));
}
