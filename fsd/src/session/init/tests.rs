use super::*;

const EVERYTHING: u64 = u64::MAX >> 1;

fn message(major: u32, minor: u32, flags: u64) -> Vec<u8> {
    let init = abi::InitIn { major, minor, max_readahead: 128 << 10, flags: flags as u32 };
    let more = abi::InitIn2 { flags2: (flags >> 32) as u32, unused: [0; 11] };
    let body = [bytes_of(&init), bytes_of(&more)].concat();
    let header =
        abi::InHeader { len: (40 + body.len()) as u32, opcode: Opcode::Init as u32, unique: 9, ..Default::default() };
    [bytes_of(&header), &body].concat()
}

const USUAL: Wishes =
    Wishes { transport: Transport::Classic, own_umask: false, max_pages: true, passthrough: false, locks: true };

fn agreed(minor: u32, flags: u64) -> abi::InitOut {
    agree(&parse(&message(7, minor, flags)).unwrap(), USUAL)
}

#[test]
fn rings_are_agreed_on_where_they_are_offered_and_wanted() {
    let offer = |flags| parse(&message(7, 45, flags)).unwrap();
    assert!(offer(EVERYTHING).uring && !offer(EVERYTHING & !OVER_IO_URING).uring);
    assert!(!offer(OVER_IO_URING).uring, "without the extension the flag is something else");
    let flags = |flags, transport| u64::from(agree(&offer(flags), Wishes { transport, ..USUAL }).flags2) << 32;
    assert_eq!(flags(EVERYTHING, Transport::Uring) & OVER_IO_URING, OVER_IO_URING);
    assert_eq!(flags(EVERYTHING, Transport::Classic) & OVER_IO_URING, 0);
    assert_eq!(flags(EVERYTHING & !OVER_IO_URING, Transport::Uring) & OVER_IO_URING, 0);
}

#[test]
fn passthrough_is_agreed_on_where_it_is_offered_and_wanted() {
    let agreed = |flags, passthrough| {
        let out = agree(&parse(&message(7, 45, flags)).unwrap(), Wishes { passthrough, ..USUAL });
        ((u64::from(out.flags2) << 32) & PASSTHROUGH != 0, out.unused[0])
    };
    assert_eq!(agreed(EVERYTHING, true), (true, 1));
    assert_eq!(agreed(EVERYTHING, false), (false, 0));
    assert_eq!(agreed(EVERYTHING & !PASSTHROUGH, true), (false, 0));
}

#[test]
fn what_the_kernel_offers_and_we_want_is_taken_and_nothing_else() {
    let table = [
        (FsOptions::ASYNC_READ, true),
        (FsOptions::POSIX_LOCKS, true),
        (FsOptions::ATOMIC_O_TRUNC, true),
        (FsOptions::EXPORT_SUPPORT, false),
        (FsOptions::BIG_WRITES, true),
        (FsOptions::DONT_MASK, false),
        (FsOptions::SPLICE_READ, false),
        (FsOptions::FLOCK_LOCKS, true),
        (FsOptions::AUTO_INVAL_DATA, true),
        (FsOptions::DO_READDIRPLUS, true),
        (FsOptions::READDIRPLUS_AUTO, true),
        (FsOptions::ASYNC_DIO, true),
        (FsOptions::WRITEBACK_CACHE, false),
        (FsOptions::ZERO_MESSAGE_OPEN, false),
        (FsOptions::PARALLEL_DIROPS, true),
        (FsOptions::POSIX_ACL, false),
        (FsOptions::MAX_PAGES, true),
        (FsOptions::CACHE_SYMLINKS, true),
        (FsOptions::ZERO_MESSAGE_OPENDIR, false),
        (FsOptions::EXPLICIT_INVAL_DATA, false),
        (FsOptions::HANDLE_KILLPRIV_V2, true),
        (FsOptions::INIT_EXT, true),
        (FsOptions::HAS_RESEND, false),
    ];
    let all = agreed(45, EVERYTHING);
    let taken = u64::from(all.flags) | u64::from(all.flags2) << 32;
    for (option, expected) in table {
        assert_eq!(taken & option.bits() != 0, expected, "{option:?}");
    }
    assert_eq!(taken & !wanted(USUAL).bits(), 0);
    assert_eq!(agreed(45, 0).flags, 0, "what is not offered is not taken");
}

#[test]
fn sizes_fit_each_other() {
    let out = agreed(45, EVERYTHING);
    assert_eq!(out.max_write as usize, usize::from(out.max_pages) * 4096);
    assert!(out.congestion_threshold < out.max_background);
    assert_eq!(out.max_readahead, 128 << 10);
}

#[test]
fn wishes_of_a_mount_change_what_is_agreed() {
    let offer = parse(&message(7, 45, EVERYTHING)).unwrap();
    let usual = agree(&offer, USUAL);
    let own_umask = agree(&offer, Wishes { own_umask: true, ..USUAL });
    assert_eq!(u64::from(usual.flags ^ own_umask.flags), FsOptions::DONT_MASK.bits());
    let own_locks = agree(&offer, Wishes { locks: false, ..USUAL });
    let locks = FsOptions::POSIX_LOCKS | FsOptions::FLOCK_LOCKS;
    assert_eq!(u64::from(usual.flags ^ own_locks.flags), locks.bits());
    let small = agree(&offer, Wishes { max_pages: false, ..USUAL });
    assert_eq!(u64::from(usual.flags ^ small.flags), FsOptions::MAX_PAGES.bits());
    assert_eq!((small.max_write, small.max_pages), (128 << 10, 32));
}

#[test]
fn interface_is_the_older_of_both() {
    assert_eq!(agreed(45, 0).minor, MINOR);
    assert_eq!(agreed(31, 0).minor, 31);
}

#[test]
fn kernel_without_the_extension_sends_less() {
    let mut short = message(7, 31, FsOptions::ASYNC_READ.bits());
    short.truncate(40 + 16);
    assert_eq!(parse(&short).unwrap().options, FsOptions::ASYNC_READ);
}

#[test]
fn another_first_request_is_refused() {
    let mut other = message(7, 36, 0);
    other[4..8].copy_from_slice(&(Opcode::Lookup as u32).to_ne_bytes());
    assert_eq!(parse(&other), Err(Errno::EPROTO));
    for len in 0..56 {
        assert!(parse(&message(7, 36, 0)[..len]).is_err());
    }
}
