//! `Moment`: a point in time as administrators write it (RFC 3339).

use std::fmt;
use std::str::FromStr;

/// A point in time, in whole seconds since 1970 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

const DAY: i64 = 86_400;
/// Years that RFC 3339 can write, from 1970 on.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=9999;

impl FromStr for Moment {
    type Err = String;

    /// Reads `2026-12-31T23:59:59Z`, with an offset such as `+01:00`, and with a fraction, which is dropped.
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).ok_or_else(|| {
            format!("time {text:?}: RFC 3339 is needed, such as 2030-12-31T23:59:59Z, from 1970 to 9999")
        })
    }
}

impl Moment {
    /// When something ends: a moment, `never`, or a duration from `now` on, such as `30d` or `1d12h`. `None` = never.
    pub fn parse_expiry(text: &str, now: Self) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.is_empty() || text == "never" {
            return Ok(None);
        }
        let moment = match parse_duration(text).and_then(|seconds| now.0.checked_add(seconds)) {
            Some(seconds) => Self(seconds),
            None => parse(text).ok_or_else(|| {
                format!("time {text:?}: RFC 3339 such as 2030-12-31T23:59:59Z, a duration such as 30d or 12h, or never is needed")
            })?,
        };
        if moment <= now {
            return Err(format!("time {text:?}: lies in the past; to end a token now, delete it"));
        }
        if moment > LATEST {
            return Err(format!("time {text:?}: lies behind the year 9999; say never"));
        }
        Ok(Some(moment))
    }
}

/// The last moment that RFC 3339 can write.
const LATEST: Moment = Moment(253_402_300_799);

/// Numbers with w, d, h, m or s behind each.
fn parse_duration(text: &str) -> Option<i64> {
    let (mut total, mut number) = (0_i64, None::<i64>);
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(i64::from(byte - b'0'))?);
            continue;
        }
        let unit = match byte {
            b'w' => 7 * DAY,
            b'd' => DAY,
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = number.take()?.checked_mul(unit)?.checked_add(total)?;
    }
    number.is_none().then_some(total)
}

fn parse(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let digits = |from: usize, len: usize| -> Option<i64> {
        let part = bytes.get(from..from + len)?;
        part.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|byte| any.contains(byte));
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let is_formed = is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":");
    let is_possible = YEARS.contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_formed || !is_possible {
        return None;
    }
    let fraction = match bytes.get(19) {
        Some(b'.') => 1 + bytes[20..].iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let zone = 19 + fraction;
    let offset = match bytes.get(zone)? {
        b'Z' | b'z' if bytes.len() == zone + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == zone + 6 && is(zone + 3, b":") && fraction != 1 => {
            let (hours, minutes) = (digits(zone + 1, 2)?, digits(zone + 4, 2)?);
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if *sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    if fraction == 1 {
        return None;
    }
    Some(Moment(days_since_1970(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970 to the date: whole years, then whole months.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    (year - 1970) * 365 + leaps(before) - leaps(1969) + months + day - 1
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let mut year = 1970 + days / 366;
        while days_since_1970(year + 1, 1, 1) <= days {
            year += 1;
        }
        days -= days_since_1970(year, 1, 1);
        let mut month = 1;
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
    }
}

#[cfg(test)]
mod tests;
