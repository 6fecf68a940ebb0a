use super::*;

#[test]
fn numbers_show_what_counts() {
    let table = [
        (0.0, "0.00"),
        (0.1234, "0.12"),
        (9.99, "9.99"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (99.96, "100"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (1_234_567.0, "1,234,567"),
        (-1234.0, "-1,234"),
    ];
    for (value, expected) in table {
        assert_eq!(digits(value), expected, "{value}");
    }
}

#[test]
fn shares_say_how_near_the_ceiling_is_whatever_is_better() {
    assert_eq!(Unit::Bytes.share(50.0, 100.0), 0.5);
    assert_eq!(Unit::Seconds.share(0.2, 0.1), 0.5);
    assert_eq!(Unit::Bytes.show(1.5e9), "1,500");
    assert_eq!(Unit::Seconds.show(0.0125), "12.5");
}
