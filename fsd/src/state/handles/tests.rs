use super::*;

#[test]
fn released_handle_is_never_given_out_again() {
    let table = HandleTable::default();
    let first = table.insert("a");
    assert_eq!(table.remove(first).as_deref(), Some(&"a"));
    let second = table.insert("b");
    assert_ne!(first, second);
    assert_eq!(table.find(first), Err(Errno::EBADF));
    assert_eq!(table.remove(first), None);
    assert_eq!(*table.find(second).unwrap(), "b");
}
