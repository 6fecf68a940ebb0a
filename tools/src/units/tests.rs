use super::*;

#[test]
fn sizes_are_read_in_every_spelling() {
    for (text, bytes) in [
        ("4194304", 4 << 20),
        ("4MiB", 4 << 20),
        ("4M", 4 << 20),
        ("4 mib", 4 << 20),
        ("10G", 10 << 30),
        ("1KB", 1000),
        ("0", 0),
        ("7b", 7),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn wrong_sizes_are_named() {
    for text in ["", "M", "4X", "-4M", "4MiBs", "1.5G", "99999999999999999999", "20000P"] {
        let error = parse_size(text).unwrap_err();
        assert!(error.contains(&format!("{text:?}")), "{error}");
    }
}

#[test]
fn durations_are_read_and_written_back() {
    for (text, secs, shown) in [
        ("7d", 604_800, "7d"),
        ("1w", 604_800, "7d"),
        ("90", 90, "1m30s"),
        ("1h30m", 5_400, "1h30m"),
        ("0", 0, "none"),
        ("-1", -1, "for ever"),
    ] {
        assert_eq!(parse_duration_secs(text), Ok(secs), "{text}");
        assert_eq!(show_duration(secs), shown);
    }
}

#[test]
fn wrong_durations_are_named() {
    for text in ["", "d", "-2", "7y", "7d-1", "9223372036854775807d"] {
        assert!(parse_duration_secs(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
    }
}

#[test]
fn memory_may_be_a_share_of_the_machine() {
    let all = parse_memory("100%").unwrap();
    assert!(all > 64 << 20);
    assert!(parse_memory("50%").unwrap() <= all / 2);
    assert_eq!(parse_memory("512MiB"), Ok(512 << 20));
    assert!(parse_memory("0%").is_err());
    assert!(parse_memory("101%").is_err());
}

#[test]
fn sizes_are_shown_exactly_or_rounded() {
    assert_eq!(show_size(0), "0 B");
    assert_eq!(show_size(4 << 20), "4 MiB");
    assert_eq!(show_size(1536), "1.5 KiB");
    assert_eq!(show_size(u64::MAX), "16384.0 PiB");
}

#[test]
fn memory_of_a_mount_may_be_blocks() {
    assert_eq!(parse_memory_or_blocks("64"), Ok(MemoryMax::Blocks(64)));
    assert_eq!(parse_memory_or_blocks("64M"), Ok(MemoryMax::Bytes(64 << 20)));
    assert_eq!(parse_memory_or_blocks("10%"), parse_memory("10%").map(MemoryMax::Bytes));
    for text in ["0", "-1", "x", "0%"] {
        assert!(parse_memory_or_blocks(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
    }
}

#[test]
fn umask_is_octal() {
    assert_eq!(parse_umask("0027"), Ok(0o027));
    assert_eq!(parse_umask("777"), Ok(0o777));
    assert_eq!(parse_umask("0"), Ok(0));
    for text in ["", "8", "1000", "+7", "0o27", "rwx"] {
        assert!(parse_umask(text).unwrap_err().contains(&format!("{text:?}")), "{text}");
    }
}
