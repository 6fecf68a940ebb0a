use super::*;

#[test]
fn queues_are_counted_to_the_highest_cpu() {
    assert_eq!(parse_count("0-1\n"), Some(2));
    assert_eq!(parse_count("0\n"), Some(1));
    assert_eq!(parse_count("0-3,8\n"), Some(9));
    assert_eq!(parse_count("0,2-127"), Some(128));
    assert_eq!(parse_count(""), None);
}
