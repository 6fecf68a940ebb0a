use super::*;

#[test]
fn kernel_reads_hints_in_the_flags_of_an_open_file() {
    for (keep_cache, no_flush, flags) in [(false, false, 0), (true, false, 1 << 1), (false, true, 1 << 5)] {
        let out = open_out(HandleId(7), OpenHints { keep_cache, no_flush });
        assert_eq!((out.fh, out.open_flags), (7, flags));
    }
}
