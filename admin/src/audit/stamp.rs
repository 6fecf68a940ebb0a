//! Times of lines: RFC 3339 in UTC with milliseconds, so that their order as text is their order in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `time` as lines have it. A clock before 1970 shows as 1970.
pub(crate) fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// From when on: a date, a time in UTC, or how long before `now`: `24h`.
pub(super) fn since(text: &str, now: SystemTime) -> Result<String, String> {
    if let Some(before) = duration(text) {
        return Ok(stamp(now.checked_sub(before).unwrap_or(UNIX_EPOCH)));
    }
    let fits = |pattern: &str, text: &str| {
        pattern.len() == text.len()
            && pattern.bytes().zip(text.bytes()).all(|(wanted, found)| match wanted {
                b'0' => found.is_ascii_digit(),
                _ => wanted == found,
            })
    };
    let bare = text.strip_suffix('Z').unwrap_or("");
    let is_time = match bare.split_once('.') {
        Some((whole, part)) => {
            fits("0000-00-00T00:00:00", whole) && !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
        }
        None => fits("0000-00-00T00:00:00", bare),
    };
    if is_time || fits("0000-00-00", text) {
        // `Z` sorts behind the digits of a fraction.
        return Ok(if bare.is_empty() { text } else { bare }.to_owned());
    }
    Err(format!("{text:?}: 2026-01-31, 2026-01-31T12:00:00Z or how long ago, as 24h or 7d, is needed"))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_secs)
}

/// The date `days` after 1970-01-01, by the rule of 400 years (146,097 days) that begin with March.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}
