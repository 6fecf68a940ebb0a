use proto::FileKind;

use super::*;

fn record(name: &[u8], offset: u64) -> DirRecord<'_> {
    DirRecord { ino: InodeId(offset + 100), offset, kind: FileKind::Regular, name, attr: None }
}

fn page(names: &[&str], end: bool) -> Page {
    let mut records = Vec::new();
    for (index, name) in names.iter().enumerate() {
        record(name.as_bytes(), index as u64 + 3).encode(&mut records);
    }
    Page::new(0, records.into(), end)
}

/// Takes at most `count` names.
fn take(page: &mut Page, count: usize) -> (Vec<String>, Result<Filled, Errno>) {
    let mut names = Vec::new();
    let filled = page.fill(
        |_| {},
        |record| {
            if names.len() == count {
                return false;
            }
            names.push(String::from_utf8(record.name.to_vec()).unwrap());
            true
        },
    );
    (names, filled)
}

#[test]
fn page_is_handed_over_in_bits_without_loss_or_repetition() {
    let mut page = page(&["a", "bb", "ccc"], true);
    assert_eq!(take(&mut page, 2), (vec!["a".into(), "bb".into()], Ok(Filled::Full)));
    assert_eq!(page.offset(), 4);
    assert_eq!(take(&mut page, 2), (vec!["ccc".into()], Ok(Filled::End)));
    assert_eq!(take(&mut page, 2), (vec![], Ok(Filled::End)));
}

#[test]
fn used_up_page_asks_for_another() {
    let mut page = page(&["a"], false);
    assert_eq!(take(&mut page, 9).1, Ok(Filled::Exhausted));
    assert_eq!(page.offset(), 3);
}

#[test]
fn seek_drops_the_kept_page() {
    let handle = DirHandle::new(InodeId(7));
    let mut rest = page(&["a", "b"], true);
    assert_eq!(take(&mut rest, 1).0, ["a"]);
    handle.keep_page(rest.clone());
    assert_eq!(handle.take_page(3), Some(rest.clone()));
    assert_eq!(handle.take_page(3), None);
    handle.keep_page(rest);
    assert_eq!(handle.take_page(0), None);
    assert_eq!(handle.take_page(3), None);
}

#[test]
fn torn_listing_is_an_error_not_a_short_listing() {
    let mut whole = Vec::new();
    record(b"a", 3).encode(&mut whole);
    record(b"b", 4).encode(&mut whole);
    whole.truncate(whole.len() - 1);
    assert_eq!(take(&mut Page::new(0, whole.into(), true), 9).1, Err(Errno::EIO));
}

#[test]
fn offset_that_belongs_to_the_dots_is_refused() {
    let mut records = Vec::new();
    record(b"a", 2).encode(&mut records);
    assert_eq!(take(&mut Page::new(0, records.into(), true), 9).1, Err(Errno::EIO));
}
