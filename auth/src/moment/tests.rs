use super::*;

#[test]
fn known_moments_are_read_and_written() {
    for (text, seconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2000-02-29T12:00:01Z", 951_825_601),
        ("2026-11-27T13:30:00Z", 1_795_786_200),
        ("2100-03-01T00:00:00Z", 4_107_542_400),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ] {
        assert_eq!(text.parse(), Ok(Moment(seconds)), "{text}");
        assert_eq!(Moment(seconds).to_string(), text);
    }
}

#[test]
fn offsets_and_fractions_are_taken_into_account() {
    for text in ["2026-11-27T14:30:00+01:00", "2026-11-27t08:00:00.999-05:30", "2026-11-27 13:30:00z"] {
        assert_eq!(text.parse(), Ok(Moment(1_795_786_200)), "{text}");
    }
}

#[test]
fn what_is_no_moment_is_refused_with_what_would_be_right() {
    for text in [
        "",
        "tomorrow",
        "2026-11-27",
        "2026-11-27T13:30:00",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-27T24:00:00Z",
        "2026-11-27T13:30:00.Z",
        "2026-11-27T13:30:00+1:00",
        "2026-11-27T13:30:00Zx",
        "1969-12-31T23:59:59Z",
        "２026-11-27T13:30:00Z",
    ] {
        let error = text.parse::<Moment>().unwrap_err();
        assert!(error.contains("RFC 3339"), "{text}: {error}");
    }
}

#[test]
fn every_day_of_four_centuries_is_written_as_it_is_read() {
    for day in 0..146_097 {
        let moment = Moment(day * DAY + day % DAY);
        assert_eq!(moment.to_string().parse(), Ok(moment));
    }
}

#[test]
fn expiry_is_a_moment_a_duration_or_never() {
    let now = Moment(1_000_000);
    let expiry = |text: &str| Moment::parse_expiry(text, now);
    assert_eq!(expiry("30d"), Ok(Some(Moment(1_000_000 + 30 * DAY))));
    assert_eq!(expiry("1w2d3h4m5s"), Ok(Some(Moment(1_000_000 + 9 * DAY + 3 * 3600 + 245))));
    assert_eq!(expiry("2026-11-27T13:30:00Z"), Ok(Some(Moment(1_795_786_200))));
    assert_eq!((expiry("never"), expiry("")), (Ok(None), Ok(None)));
    for (text, word) in [
        ("30", "duration"),
        ("d", "duration"),
        ("3x", "duration"),
        ("-1d", "duration"),
        ("99999999999999999999d", "duration"),
        ("0s", "past"),
        ("1970-01-01T00:00:00Z", "past"),
        ("999999w", "9999"),
    ] {
        let error = expiry(text).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}
