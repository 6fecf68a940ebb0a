use super::*;

const ROOT: InodeId = InodeId::ROOT;
const MAKER: Maker = Maker { uid: 1, gid: 2, now: Timespec { secs: 3, nanos: 4 } };

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

fn file(tree: &mut Tree, parent: InodeId, text: &str) -> InodeId {
    tree.make(parent, name(text), 0o100_644, MAKER).unwrap().ino
}

fn names(tree: &Tree, ino: InodeId, behind: u64, max: usize) -> Vec<(u64, String)> {
    let mut names = Vec::new();
    tree.list(ino, behind, true, &mut |record| {
        let has_room = names.len() < max;
        if has_room {
            names.push((record.offset, String::from_utf8_lossy(record.name).into_owned()));
        }
        has_room
    })
    .unwrap();
    names
}

#[test]
fn listing_goes_on_where_it_was_left_though_names_before_went() {
    let mut tree = Tree::new(MAKER.now);
    for text in ["a", "b", "c"] {
        file(&mut tree, ROOT, text);
    }
    let first = names(&tree, ROOT, 0, 4);
    assert_eq!(first.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), [".", "..", "a", "b"]);
    tree.remove(ROOT, &name("a")).unwrap();
    let rest = names(&tree, ROOT, first[3].0, 4);
    assert_eq!(rest.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn file_lives_until_its_last_name_and_its_last_close() {
    let mut tree = Tree::new(MAKER.now);
    let ino = file(&mut tree, ROOT, "a");
    tree.link(ino, ROOT, name("b")).unwrap();
    tree.open(ino, false).unwrap();
    tree.grow(ino, 10).unwrap();
    tree.remove(ROOT, &name("a")).unwrap();
    tree.remove(ROOT, &name("b")).unwrap();
    assert_eq!(tree.attr(ino).map(|attr| (attr.size, attr.nlink)), Ok((10, 0)));
    tree.close(ino).unwrap();
    assert_eq!(tree.attr(ino), Err(Errno::ESTALE));
    assert_eq!(tree.nodes.len(), 1);
}

#[test]
fn rename_replaces_what_is_there() {
    let mut tree = Tree::new(MAKER.now);
    let (old, new) = (file(&mut tree, ROOT, "old"), file(&mut tree, ROOT, "new"));
    let dir = tree.make(ROOT, name("dir"), 0o040_755, MAKER).unwrap().ino;
    let replace =
        |new_parent, to: &str| Rename { name: name("new"), new_parent, new_name: name(to), mode: RenameMode::Replace };
    tree.rename(ROOT, replace(ROOT, "old")).unwrap();
    assert_eq!(tree.lookup(ROOT, &name("old")).unwrap().ino, new);
    assert_eq!(tree.attr(old), Err(Errno::ESTALE));
    let back = Rename { name: name("old"), new_parent: dir, new_name: name("new"), mode: RenameMode::NoReplace };
    tree.rename(ROOT, back).unwrap();
    assert_eq!(tree.lookup(dir, &name("new")).unwrap().ino, new);
    assert_eq!(tree.remove(ROOT, &name("dir")), Err(Errno::ENOTEMPTY));
}
