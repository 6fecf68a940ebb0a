//! Sessions of a subtree: nothing outside can be named.

use proto::{AttrChanges, Caller, Claim, Close, Errno, InodeId, OperationId, RenameMode, Reply, Request};

use super::world::{BOTH, READ, ROOT, User, World, name};

/// A volume with `/in` for the scoped session and `/out` for others, a file in each.
struct Split<'w> {
    root: User<'w>,
    scoped: User<'w>,
    inside: InodeId,
    outside: InodeId,
    file_inside: InodeId,
    file_outside: InodeId,
}

fn split(world: &World) -> Split<'_> {
    let root = world.superuser();
    let inside = root.mkdir(ROOT, "in", 0o777).unwrap();
    let outside = root.mkdir(ROOT, "out", 0o777).unwrap();
    let file_inside = root.file(inside, "f", 0o666).unwrap();
    let file_outside = root.file(outside, "f", 0o666).unwrap();
    let scoped = world.user(world.mount(2, inside, false), Caller::ROOT);
    Split { root, scoped, inside, outside, file_inside, file_outside }
}

#[test]
fn everything_inside_works() {
    let world = World::new();
    let Split { scoped, inside, file_inside, .. } = split(&world);
    let sub = scoped.mkdir(inside, "sub", 0o755).unwrap();
    scoped.rename((inside, "f"), (sub, "f")).unwrap();
    assert_eq!(scoped.stat(file_inside).unwrap().nlink, 1);
    scoped.link(file_inside, inside, "g").unwrap();
    scoped.unlink(sub, "f").unwrap();
    assert_eq!(scoped.names(inside), ["g", "sub"]);
    world.check();
}

#[test]
fn guessed_ids_outside_are_stale_for_every_request() {
    let world = World::new();
    let Split { scoped, inside, outside, file_inside, file_outside, .. } = split(&world);
    let (f, x) = (name("f"), name("x"));
    let set =
        |ino| Request::SetAttr { ino, changes: AttrChanges { perm: Some(0), ..Default::default() }, by_handle: true };
    let rename = |parent: InodeId, new_parent: InodeId| Request::Rename {
        parent,
        name: f.clone(),
        new_parent,
        new_name: x.clone(),
        mode: RenameMode::Replace,
    };
    let make = |parent| Request::Make { parent, name: x.clone(), node: proto::NewNode::Directory { perm: 0o755 } };
    let requests = [
        Request::Lookup { parent: ROOT, name: name("out") },
        Request::Lookup { parent: outside, name: f.clone() },
        Request::GetAttr { ino: ROOT },
        Request::GetAttr { ino: file_outside },
        set(file_outside),
        set(ROOT),
        make(outside),
        Request::Link { ino: file_outside, parent: inside, name: x.clone() },
        Request::Link { ino: file_inside, parent: outside, name: x.clone() },
        Request::Unlink { parent: outside, name: f.clone() },
        Request::RemoveDir { parent: ROOT, name: name("out") },
        Request::RemoveDir { parent: ROOT, name: name("in") },
        rename(inside, outside),
        rename(outside, inside),
        Request::OpenDir { ino: outside },
        Request::ReadDir { ino: ROOT, offset: 0, bytes_max: 4096, attrs: true },
        Request::Open { ino: file_outside, access: READ, truncate: false },
        Request::Open { ino: file_outside, access: super::world::WRITE, truncate: true },
        Request::GetLayout { ino: file_outside, first: proto::BlockIndex(0), count: 1 },
        Request::Commit(super::world::commit(file_outside, Vec::new())),
        Request::GetXattr { ino: file_outside, name: "user.a".into() },
        Request::ListXattr { ino: outside },
    ];
    for request in requests {
        assert_eq!(scoped.ask(request.clone()), Err(Errno::ESTALE.into()), "{request:?}");
    }
    let claim = Request::Reclaim { claims: vec![Claim { ino: file_outside, count: 1, write: true }] };
    assert_eq!(scoped.ask(claim), Ok(Reply::Claimed { gone: vec![file_outside] }));
    world.check();
}

#[test]
fn directory_moved_out_takes_what_is_below_out_of_reach() {
    let world = World::new();
    let Split { root, scoped, inside, outside, .. } = split(&world);
    let sub = scoped.mkdir(inside, "sub", 0o755).unwrap();
    let deep = scoped.mkdir(sub, "deep", 0o755).unwrap();
    let file = scoped.create(deep, "f", 0o644).unwrap();
    root.rename((inside, "sub"), (outside, "sub")).unwrap();
    assert_eq!(scoped.stat(deep), Err(Errno::ESTALE));
    assert_eq!(scoped.stat(file), Err(Errno::ESTALE), "open or not");
    scoped.close(file);
    root.rename((outside, "sub"), (inside, "sub")).unwrap();
    assert!(scoped.stat(file).is_ok());
}

#[test]
fn file_with_one_name_inside_is_inside() {
    let world = World::new();
    let Split { root, scoped, inside, outside, file_outside, .. } = split(&world);
    root.link(file_outside, inside, "shared").unwrap();
    assert!(scoped.stat(file_outside).is_ok());
    scoped.unlink(inside, "shared").unwrap();
    assert_eq!(scoped.stat(file_outside), Err(Errno::ESTALE));
    assert_eq!(root.stat(file_outside).unwrap().nlink, 1);
    assert_eq!(root.names(outside), ["f"]);
    world.check();
}

#[test]
fn unlinked_file_stays_with_the_scoped_session_that_holds_it() {
    let world = World::new();
    let Split { root, scoped, inside, file_inside, .. } = split(&world);
    scoped.open(file_inside, READ).unwrap();
    root.unlink(inside, "f").unwrap();
    assert_eq!(scoped.stat(file_inside).unwrap().nlink, 0);
    assert_eq!(root.stat(file_inside), Err(Errno::ESTALE));
    scoped.close(file_inside);
    world.check();
}

#[test]
fn creation_that_is_repeated_shows_nothing_of_a_file_that_was_moved_out() {
    let world = World::new();
    let Split { root, scoped, inside, outside, .. } = split(&world);
    let create = Request::Create {
        parent: inside,
        name: name("mine"),
        perm: 0o600,
        access: BOTH,
        exclusive: true,
        truncate: false,
    };
    let first = scoped.ask_as(Some(OperationId(1)), create.clone()).unwrap();
    let Reply::Opened(attr, _) = first else { panic!("{first:?}") };
    root.rename((inside, "mine"), (outside, "theirs")).unwrap();
    root.open(attr.ino, BOTH).unwrap();
    root.commit_inline(attr.ino, b"written outside", attr.version).unwrap();
    match scoped.ask_as(Some(OperationId(1)), create).unwrap() {
        Reply::Opened(again, layout) => {
            assert_eq!((again, &layout.inline), (attr, &None), "as it was answered then, without content");
            assert!(layout.blocks.is_empty() && layout.behind == layout.first, "{layout:?}");
        }
        other => panic!("{other:?}"),
    }
    world.check();
}

#[test]
fn file_that_was_moved_out_keeps_its_access_time() {
    let world = World::new();
    let Split { root, scoped, inside, outside, file_inside, .. } = split(&world);
    scoped.open(file_inside, READ).unwrap();
    root.rename((inside, "f"), (outside, "g")).unwrap();
    let before = root.stat(file_inside).unwrap();
    let close = Close { ino: file_inside, count: 0, atime: Some(world.tick()) };
    assert_eq!(scoped.ask(Request::Release { closes: vec![close] }), Ok(Reply::Done));
    assert_eq!(root.stat(file_inside).unwrap(), before);
}

#[test]
fn session_whose_root_is_removed_sees_nothing() {
    let world = World::new();
    let Split { root, scoped, inside, .. } = split(&world);
    root.unlink(inside, "f").unwrap();
    root.rmdir(ROOT, "in").unwrap();
    assert_eq!(scoped.stat(inside), Err(Errno::ESTALE));
    assert_eq!(scoped.mkdir(inside, "x", 0o755), Err(Errno::ESTALE));
}

#[test]
fn mount_paths_name_directories() {
    let world = World::new();
    let Split { root, inside, .. } = split(&world);
    let deep = root.mkdir(inside, "deep", 0o755).unwrap();
    let resolve = |path: &str| world.volume.resolve(path).map(|attr| attr.ino);
    assert_eq!(resolve("/"), Ok(ROOT));
    assert_eq!(resolve("/in/deep"), Ok(deep));
    assert_eq!(resolve("in//deep/"), Ok(deep));
    assert_eq!(resolve("/in/none"), Err(Errno::ENOENT));
    assert_eq!(resolve("/in/f"), Err(Errno::ENOTDIR));
    assert_eq!(resolve("/in/../out"), Err(Errno::ENOENT));
}

/// `len` directories, each in the one before: the first and the last.
fn chain(root: &User<'_>, parent: InodeId, text: &str, len: usize) -> (InodeId, InodeId) {
    let top = root.mkdir(parent, text, 0o755).unwrap();
    (top, (1..len).fold(top, |dir, _| root.mkdir(dir, "d", 0o755).unwrap()))
}

#[test]
fn trees_end_at_a_depth_that_every_walk_can_climb() {
    let world = World::new();
    let root = world.superuser();
    let (top, mut deepest) = chain(&root, ROOT, "top", 64);
    for _ in 1..64 {
        let (_, bottom) = chain(&root, ROOT, "next", 64);
        root.rename((ROOT, "next"), (deepest, "next")).unwrap();
        deepest = bottom;
    }
    assert_eq!(root.mkdir(deepest, "d", 0o755), Err(Errno::ELOOP));
    chain(&root, ROOT, "next", 3);
    assert_eq!(root.rename((ROOT, "next"), (deepest, "next")), Err(Errno::ELOOP));
    let file = root.file(deepest, "f", 0o644).unwrap();
    let scoped = world.user(world.mount(2, top, false), Caller::ROOT);
    assert!(scoped.stat(file).is_ok());
    assert_eq!(scoped.mkdir(deepest, "d", 0o755), Err(Errno::ELOOP));
    world.check();
}

#[test]
fn tree_that_was_moved_below_the_depth_of_walks_can_be_moved_back() {
    let world = World::new();
    let root = world.superuser();
    let (top, mut deepest) = chain(&root, ROOT, "top", 63);
    for _ in 1..65 {
        let (_, bottom) = chain(&root, ROOT, "next", 63);
        root.rename((ROOT, "next"), (deepest, "next")).unwrap();
        deepest = bottom;
    }
    let (moved, bottom) = chain(&root, ROOT, "next", 10);
    root.rename((ROOT, "next"), (deepest, "next")).unwrap();
    let scoped = world.user(world.mount(2, top, false), Caller::ROOT);
    assert!(scoped.stat(moved).is_ok());
    assert_eq!(scoped.stat(bottom), Err(Errno::ELOOP));
    root.rename((deepest, "next"), (top, "back")).unwrap();
    assert!(scoped.stat(bottom).is_ok());
    world.check();
}
