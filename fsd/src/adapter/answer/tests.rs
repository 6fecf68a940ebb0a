use super::*;

#[test]
fn kernel_reads_hints_in_the_flags_of_an_open_file() {
    let table = [(false, false, None, 0), (true, false, None, 1 << 1), (false, true, None, 1 << 5)];
    for (keep_cache, no_flush, backing, flags) in table.into_iter().chain([(false, false, NonZeroU32::new(3), 1 << 7)])
    {
        let out = open_out(HandleId(7), OpenHints { keep_cache, no_flush, backing });
        assert_eq!((out.fh, out.open_flags, out.passthrough), (7, flags, backing.map_or(0, NonZeroU32::get)));
    }
}

#[test]
fn lock_that_stands_against_another_is_told_as_the_kernel_has_it() {
    let out = |span| {
        let abi::LkOut { lk } = lock_out(span);
        (lk.start, lk.end, lk.type_, lk.pid)
    };
    assert_eq!(out(None), (0, 0, 2, 0));
    let span = LockSpan { start: 5, end: 9, exclusive: true, pid: 7 };
    assert_eq!(out(Some(span)), (5, 9, 1, 7));
    assert_eq!(out(Some(LockSpan { exclusive: false, ..span })), (5, 9, 0, 7));
    let flags = std::sync::Arc::new(crate::state::LiveFlags::new(auth::MountFlags::default()));
    let second = Duration::from_secs(1);
    let permissions = crate::state::Permissions::KernelFirst;
    let root = proto::InodeId(1);
    let presentation = Presentation { root, attr_valid: second, entry_valid: second, permissions, flags };
    assert_eq!(encode(5, Ok(Answer::Lock(Some(span))), &presentation).head.len(), 16 + 24);
}
