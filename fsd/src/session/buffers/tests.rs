use super::*;

#[test]
fn buffer_comes_back_with_its_last_share() {
    let pool = Arc::new(BufferPool::default());
    let mut buffer = pool.take();
    buffer[..3].copy_from_slice(b"abc");
    let whole = pool.share(buffer, 3);
    let part = whole.slice(1..);
    drop(whole);
    assert_eq!(pool.free().len(), 0);
    assert_eq!(&part[..], b"bc");
    drop(part);
    assert_eq!(pool.free().len(), 1);
    assert_eq!(pool.take().len(), MESSAGE_LEN);
}

#[test]
fn pool_keeps_a_bounded_number() {
    let pool = Arc::new(BufferPool::default());
    let shares: Vec<Bytes> = (0..FREE_MAX + 3).map(|_| pool.share(pool.take(), 1)).collect();
    drop(shares);
    assert_eq!(pool.free().len(), FREE_MAX);
}
