use bytes::Bytes;

use super::*;

/// Puts a request into an entry as the kernel does: `operation` and `payload` of a request that says to be `len` long.
fn deliver(entry: &mut Entry, len: u32, operation: &[u8], payload: &[u8]) {
    let bytes = entry.bytes();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..8].copy_from_slice(&7u32.to_le_bytes());
    bytes[8..16].copy_from_slice(&99u64.to_le_bytes());
    bytes[OPERATION..OPERATION + operation.len()].copy_from_slice(operation);
    bytes[COMMIT_ID..COMMIT_ID + 8].copy_from_slice(&55u64.to_le_bytes());
    bytes[PAYLOAD_SIZE..PAYLOAD_SIZE + 4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes[PAYLOAD..PAYLOAD + payload.len()].copy_from_slice(payload);
}

#[test]
fn parts_lie_side_by_side_in_the_message() {
    let mut entry = Entry::new().unwrap();
    for (operation, payload) in [(&b""[..], &b"name\0"[..]), (&[3; 128], b""), (&[4; 56], &[5; PAYLOAD_LEN])] {
        let len = IN_HEADER_LEN + operation.len() + payload.len();
        deliver(&mut entry, len as u32, operation, payload);
        let message = entry.message().unwrap();
        assert_eq!(message.len(), len);
        assert_eq!(message[8..16], 99u64.to_le_bytes());
        assert_eq!(message[IN_HEADER_LEN..], [operation, payload].concat());
        assert_eq!(entry.commit_id(), 55);
    }
}

#[test]
fn lengths_that_contradict_each_other_are_no_message() {
    let mut entry = Entry::new().unwrap();
    for (len, payload_len) in [(0, 0), (39, 0), (44, 5), (40 + 129, 0), (u32::MAX, 0), (u32::MAX, u32::MAX)] {
        deliver(&mut entry, len, b"", b"");
        entry.bytes()[PAYLOAD_SIZE..PAYLOAD_SIZE + 4].copy_from_slice(&payload_len.to_le_bytes());
        assert_eq!(entry.message(), None, "{len} bytes with a payload of {payload_len}");
    }
}

#[test]
fn reply_is_a_header_and_what_follows_it() {
    let mut entry = Entry::new().unwrap();
    let mut reply = Encoded::of_bytes(99, b"head");
    reply.data = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    assert!(entry.put(&reply));
    let bytes = entry.bytes();
    assert_eq!(bytes[..16], reply.head[..16]);
    assert_eq!(&bytes[PAYLOAD..PAYLOAD + 10], b"headonetwo");
    assert_eq!(bytes[PAYLOAD_SIZE..PAYLOAD_SIZE + 4], 10u32.to_le_bytes());
}

#[test]
fn reply_that_is_too_long_becomes_a_refusal() {
    let mut entry = Entry::new().unwrap();
    deliver(&mut entry, 40, b"", b"");
    let mut reply = Encoded::of_bytes(99, b"");
    reply.data = vec![Bytes::from(vec![0; PAYLOAD_LEN]), Bytes::from_static(b"x")];
    assert!(!entry.put(&reply));
    entry.refuse(Errno::EIO);
    let refusal = Encoded::refusal(99, Errno::EIO);
    assert_eq!(entry.bytes()[..16], refusal.head[..]);
    assert_eq!(entry.bytes()[PAYLOAD_SIZE..PAYLOAD_SIZE + 4], [0; 4]);
}

#[test]
fn parts_are_where_the_kernel_looks() {
    let entry = Entry::new().unwrap();
    let [header, payload] = entry.parts();
    assert_eq!((header.len, payload.len), (HEADER_LEN, PAYLOAD_LEN));
    assert_eq!(payload.base as usize - header.base as usize, PAYLOAD);
    assert_eq!(payload.base as usize % PAGE, 0);
}
