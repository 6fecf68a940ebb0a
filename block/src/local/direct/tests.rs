use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

use super::*;

/// What is read back of `lens` chunks of bytes that differ.
fn round_trip(lens: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let mut number = 0u8;
    let chunks: Vec<Bytes> = lens
        .iter()
        .map(|len| {
            let chunk: Vec<u8> = (0..*len).map(|place| number.wrapping_add((place % 251) as u8)).collect();
            number = number.wrapping_add(17);
            chunk.into()
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let flags = OFlags::DIRECT.bits() as i32;
    let buffers = DirectBuffers::default();
    // Twice: the second time with a buffer that is full of the first.
    for _ in 0..2 {
        let _ = std::fs::remove_file(&path);
        let mut file = File::options().write(true).create_new(true).custom_flags(flags).open(&path).unwrap();
        buffers.write(&mut file, &chunks).unwrap();
    }
    assert_eq!(buffers.free().len(), 1);
    let mut read = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut read).unwrap();
    (read, chunks.concat())
}

#[test]
fn bytes_of_any_lengths_are_read_back() {
    for lens in [
        &[1][..],
        &[ALIGN],
        &[ALIGN + 1],
        &[100, 0, ALIGN - 100],
        &[BUFFER_LEN],
        &[BUFFER_LEN - 1, 2],
        &[BUFFER_LEN, 8, BUFFER_LEN, 8, 70_000],
    ] {
        let (read, written) = round_trip(lens);
        assert!(read == written, "chunks of {lens:?}: {} bytes read, {} written", read.len(), written.len());
    }
}

#[test]
fn buffers_are_aligned() {
    for _ in 0..20 {
        let buffer = Buffer::new();
        assert_eq!(buffer.bytes[buffer.start..].as_ptr() as usize % ALIGN, 0);
        assert!(buffer.bytes.len() - buffer.start >= BUFFER_LEN);
    }
}
