//! Sizes and durations as administrators write and read them.

use std::fmt::Write as _;

use fsd::MemoryMax;

/// A size: bytes, or a number with `K`, `M`, `G`, `T`, `P` (or `KiB` ...) for powers of 1,024, `KB` ... for powers of 1,000.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("size {text:?}: a number is needed, with a unit or without, as 4MiB, 64M or 10G");
    let (number, unit) = split_number(text);
    let number: u64 = number.parse().map_err(|_| bad())?;
    let (letter, base) = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => return Ok(number),
        unit => match unit.as_bytes() {
            [letter] | [letter, b'i', b'b'] => (*letter, 1024_u64),
            [letter, b'b'] => (*letter, 1000),
            _ => return Err(bad()),
        },
    };
    let power = b"kmgtp".iter().position(|known| *known == letter).ok_or_else(bad)? as u32 + 1;
    number.checked_mul(base.pow(power)).ok_or_else(|| format!("size {text:?}: exceeds 2^64 bytes"))
}

/// A duration in seconds: `7d`, `1h30m`, a bare number of seconds; `-1` means for ever.
pub(crate) fn parse_duration_secs(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let bad =
        || format!("duration {text:?}: a number with w, d, h, m or s is needed, as 7d or 12h; -1 for ever, 0 for none");
    let mut rest = text.trim();
    let mut total = 0_i64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        let value: i64 = number.parse().map_err(|_| bad())?;
        let unit = tail.chars().next();
        let secs = match unit {
            None | Some('s') => 1,
            Some(unit) => UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1,
        };
        total = value.checked_mul(secs).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        rest = unit.map_or("", |unit| &tail[unit.len_utf8()..]);
    }
    Ok(total)
}

/// An amount of memory of a mount: a share of this machine's memory as `10%`, a size with its unit, or a bare number of
/// blocks.
pub(crate) fn parse_memory_or_blocks(text: &str) -> Result<MemoryMax, String> {
    match text.parse() {
        Ok(0) => Err(format!("memory {text:?}: at least one block is needed")),
        Ok(blocks) => Ok(MemoryMax::Blocks(blocks)),
        Err(_) => parse_memory(text).map(MemoryMax::Bytes),
    }
}

/// An amount of memory: a size, or a share of this machine's memory as `25%`.
pub(crate) fn parse_memory(text: &str) -> Result<u64, String> {
    let Some(percent) = text.strip_suffix('%') else { return parse_size(text) };
    let percent: u64 =
        percent.parse().map_err(|_| format!("memory {text:?}: a size as 512MiB or a share as 25% is needed"))?;
    if !(1..=100).contains(&percent) {
        return Err(format!("memory {text:?}: a share lies between 1% and 100%"));
    }
    let info = rustix::system::sysinfo();
    Ok((info.totalram as u64).saturating_mul(u64::from(info.mem_unit)) / 100 * percent)
}

/// Permission bits in octal, as umask(1) takes them: `0027` or `27`.
pub(crate) fn parse_umask(text: &str) -> Result<u16, String> {
    match u16::from_str_radix(text, 8) {
        Ok(bits @ 0..=0o777) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(bits),
        _ => Err(format!("umask {text:?}: octal digits from 0 to 0777 are needed, as 0027")),
    }
}

/// `bytes` for people: exact where it is a whole number of units, else with one decimal.
pub(crate) fn show_size(bytes: u64) -> String {
    let Some(power) = (1..=5).rev().find(|power| bytes >= 1 << (10 * power)) else { return format!("{bytes} B") };
    let unit = ["KiB", "MiB", "GiB", "TiB", "PiB"][power - 1];
    let one = 1_u64 << (10 * power);
    if bytes.is_multiple_of(one) {
        format!("{} {unit}", bytes / one)
    } else {
        format!("{:.1} {unit}", bytes as f64 / one as f64)
    }
}

/// `secs` for people, in the form that [`parse_duration_secs`] reads.
pub(crate) fn show_duration(secs: i64) -> String {
    match secs {
        ..0 => return "for ever".to_owned(),
        0 => return "none".to_owned(),
        _ => {}
    }
    let mut rest = secs;
    let mut text = String::new();
    // Weeks are read but not written: 7d is what the manual says.
    for (unit, length) in &UNITS[1..] {
        if rest >= *length {
            write!(text, "{}{unit}", rest / length).expect("a string takes all");
            rest %= length;
        }
    }
    text
}

const UNITS: [(char, i64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Splits leading digits from what follows them.
fn split_number(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    (number, rest.trim_start())
}

#[cfg(test)]
mod tests;
