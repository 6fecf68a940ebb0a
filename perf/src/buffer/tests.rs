use super::*;

#[test]
fn address_is_aligned_whatever_the_length() {
    for len in [1, 4096, 1 << 20] {
        let mut buffer = Aligned::filled(len, Seed::new(1));
        assert_eq!(buffer.bytes().as_ptr() as usize % ALIGNMENT, 0);
        assert_eq!((buffer.bytes().len(), buffer.bytes_mut().len()), (len, len));
    }
}
