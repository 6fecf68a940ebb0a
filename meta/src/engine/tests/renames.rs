//! Rename in all its forms.

use proto::{Errno, RenameMode};

use super::world::{READ, ROOT, World};

#[test]
fn rename_moves_the_name_and_the_times() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    let ino = root.file(ROOT, "a", 0o644).unwrap();
    let before = root.stat(ino).unwrap();
    root.rename((ROOT, "a"), (dir, "b")).unwrap();
    assert_eq!(root.lookup(ROOT, "a"), Err(Errno::ENOENT));
    let after = root.lookup(dir, "b").unwrap();
    assert!(after.ino == ino && after.ctime > before.ctime && after.mtime == before.mtime);
    let times = (root.stat(ROOT).unwrap().mtime, root.stat(dir).unwrap().mtime);
    assert_eq!(times, (after.ctime, after.ctime));
    world.check();
}

#[test]
fn rename_replaces_a_file_and_an_empty_directory() {
    let world = World::new();
    let root = world.superuser();
    let (one, two) = (root.file(ROOT, "one", 0o644).unwrap(), root.file(ROOT, "two", 0o644).unwrap());
    root.rename((ROOT, "one"), (ROOT, "two")).unwrap();
    assert_eq!(root.lookup(ROOT, "two").unwrap().ino, one);
    assert_eq!(root.stat(two), Err(Errno::ESTALE));
    root.mkdir(ROOT, "d", 0o755).unwrap();
    let other = root.mkdir(ROOT, "e", 0o755).unwrap();
    root.file(other, "x", 0o644).unwrap();
    assert_eq!(root.rename((ROOT, "d"), (ROOT, "e")), Err(Errno::ENOTEMPTY));
    root.rename((ROOT, "e"), (ROOT, "d")).unwrap();
    assert_eq!(root.names(ROOT), ["d", "two"]);
    assert_eq!(root.stat(ROOT).unwrap().nlink, 3);
    world.check();
}

#[test]
fn rename_minds_the_kinds() {
    let world = World::new();
    let root = world.superuser();
    root.mkdir(ROOT, "d", 0o755).unwrap();
    root.file(ROOT, "f", 0o644).unwrap();
    assert_eq!(root.rename((ROOT, "d"), (ROOT, "f")), Err(Errno::ENOTDIR));
    assert_eq!(root.rename((ROOT, "f"), (ROOT, "d")), Err(Errno::EISDIR));
    assert_eq!(root.rename((ROOT, "none"), (ROOT, "d")), Err(Errno::ENOENT));
}

#[test]
fn directory_cannot_move_below_itself() {
    let world = World::new();
    let root = world.superuser();
    let a = root.mkdir(ROOT, "a", 0o755).unwrap();
    let b = root.mkdir(a, "b", 0o755).unwrap();
    let c = root.mkdir(b, "c", 0o755).unwrap();
    assert_eq!(root.rename((ROOT, "a"), (c, "x")), Err(Errno::EINVAL));
    assert_eq!(root.rename((ROOT, "a"), (a, "x")), Err(Errno::EINVAL));
    assert_eq!(root.rename((b, "c"), (ROOT, "a")), Err(Errno::ENOTEMPTY));
    assert_eq!(root.rename_with((b, "c"), (ROOT, "a"), RenameMode::Exchange), Err(Errno::EINVAL));
    assert_eq!(root.rename_with((ROOT, "a"), (b, "c"), RenameMode::Exchange), Err(Errno::EINVAL));
    world.check();
}

#[test]
fn directory_that_moves_takes_its_link_along() {
    let world = World::new();
    let root = world.superuser();
    let a = root.mkdir(ROOT, "a", 0o755).unwrap();
    let b = root.mkdir(ROOT, "b", 0o755).unwrap();
    root.mkdir(a, "x", 0o755).unwrap();
    root.rename((a, "x"), (b, "x")).unwrap();
    assert_eq!((root.stat(a).unwrap().nlink, root.stat(b).unwrap().nlink), (2, 3));
    world.check();
}

#[test]
fn rename_to_another_name_of_the_same_file_does_nothing() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "a", 0o644).unwrap();
    root.link(ino, ROOT, "b").unwrap();
    let before = root.stat(ino).unwrap();
    assert_eq!(root.rename((ROOT, "a"), (ROOT, "b")), Ok(()));
    assert_eq!(root.rename((ROOT, "a"), (ROOT, "a")), Ok(()));
    assert_eq!(root.names(ROOT), ["a", "b"]);
    assert_eq!(root.stat(ino).unwrap(), before);
    world.check();
}

#[test]
fn no_replace_refuses_and_exchange_swaps() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    let sub = root.mkdir(dir, "sub", 0o755).unwrap();
    let file = root.file(ROOT, "f", 0o644).unwrap();
    assert_eq!(root.rename_with((ROOT, "f"), (dir, "sub"), RenameMode::NoReplace), Err(Errno::EEXIST));
    assert_eq!(root.rename_with((ROOT, "f"), (dir, "none"), RenameMode::Exchange), Err(Errno::ENOENT));
    root.rename_with((ROOT, "f"), (dir, "sub"), RenameMode::Exchange).unwrap();
    assert_eq!(root.lookup(ROOT, "f").unwrap().ino, sub);
    assert_eq!(root.lookup(dir, "sub").unwrap().ino, file);
    assert_eq!((root.stat(ROOT).unwrap().nlink, root.stat(dir).unwrap().nlink), (4, 2));
    root.rename_with((dir, "sub"), (dir, "free"), RenameMode::NoReplace).unwrap();
    assert_eq!(root.names(dir), ["free"]);
    world.check();
}

#[test]
fn rename_of_a_linked_file_keeps_its_back_links() {
    let world = World::new();
    let root = world.superuser();
    let (a, b) = (root.mkdir(ROOT, "a", 0o755).unwrap(), root.mkdir(ROOT, "b", 0o755).unwrap());
    let ino = root.file(a, "one", 0o644).unwrap();
    root.link(ino, a, "two").unwrap();
    root.rename((a, "one"), (b, "one")).unwrap();
    world.check();
    root.rename((a, "two"), (b, "two")).unwrap();
    world.check();
    root.unlink(b, "one").unwrap();
    assert_eq!(root.stat(ino).unwrap().nlink, 1);
    world.check();
}

#[test]
fn rename_over_a_linked_file_takes_one_of_its_names() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "a", 0o644).unwrap();
    root.link(ino, ROOT, "b").unwrap();
    root.file(ROOT, "c", 0o644).unwrap();
    root.rename((ROOT, "c"), (ROOT, "b")).unwrap();
    assert_eq!(root.stat(ino).unwrap().nlink, 1);
    world.check();
}

#[test]
fn rename_over_open_file_keeps_orphan() {
    let world = World::new();
    let root = world.superuser();
    let victim = root.file(ROOT, "victim", 0o644).unwrap();
    root.file(ROOT, "new", 0o644).unwrap();
    root.open(victim, READ).unwrap();
    root.rename((ROOT, "new"), (ROOT, "victim")).unwrap();
    assert_eq!(root.stat(victim).unwrap().nlink, 0);
    world.check();
    root.close(victim);
    assert_eq!(root.stat(victim), Err(Errno::ESTALE));
    world.check();
}

#[test]
fn rename_needs_write_on_both_parents_and_on_a_directory_that_moves() {
    let world = World::new();
    let root = world.superuser();
    let user = root.other(1000, 1000);
    let ours = root.mkdir(ROOT, "ours", 0o777).unwrap();
    let theirs = root.mkdir(ROOT, "theirs", 0o755).unwrap();
    root.file(theirs, "f", 0o644).unwrap();
    root.file(ours, "f", 0o644).unwrap();
    let dir = root.mkdir(ours, "dir", 0o755).unwrap();
    let other = user.mkdir(ours, "other", 0o777).unwrap();
    assert_eq!(user.rename((theirs, "f"), (ours, "g")), Err(Errno::EACCES));
    assert_eq!(user.rename((ours, "f"), (theirs, "g")), Err(Errno::EACCES));
    assert_eq!(user.rename((ours, "f"), (ours, "g")), Ok(()));
    assert_eq!(user.rename((ours, "dir"), (other, "dir")), Err(Errno::EACCES));
    assert_eq!(user.rename((ours, "dir"), (ours, "dir2")), Ok(()));
    root.chown(dir, Some(1000), None).unwrap();
    assert_eq!(user.rename((ours, "dir2"), (other, "dir")), Ok(()));
    world.check();
}

#[test]
fn sticky_directory_guards_both_sides_of_a_rename() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "tmp", 0o777).unwrap();
    root.chmod(dir, 0o1777).unwrap();
    let (one, two) = (root.other(1, 1), root.other(2, 2));
    one.file(dir, "one", 0o666).unwrap();
    two.file(dir, "two", 0o666).unwrap();
    assert_eq!(two.rename((dir, "one"), (dir, "x")), Err(Errno::EPERM));
    assert_eq!(two.rename((dir, "two"), (dir, "one")), Err(Errno::EPERM));
    assert_eq!(two.unlink(dir, "one"), Err(Errno::EPERM));
    assert_eq!(two.rename((dir, "two"), (dir, "x")), Ok(()));
}
