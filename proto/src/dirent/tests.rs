use proptest::prelude::*;

use super::*;

#[test]
fn records_come_back_as_they_went() {
    let record = DirRecord { ino: InodeId(5), offset: 9, kind: FileKind::Directory, name: b"name", attr: None };
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    assert_eq!(bytes.len(), record.encoded_len());
    record.encode(&mut bytes);
    let mut walk = DirRecords::new(&bytes);
    assert_eq!(walk.next(), Some(record.clone()));
    assert_eq!(walk.next(), Some(record));
    assert_eq!(walk.next(), None);
    assert!(walk.is_clean());
}

proptest! {
    #[test]
    fn random_bytes_end_the_walk(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut walk = DirRecords::new(&bytes);
        prop_assert!(walk.by_ref().count() <= bytes.len() / HEADER_LEN);
    }
}
