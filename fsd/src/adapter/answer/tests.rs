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
