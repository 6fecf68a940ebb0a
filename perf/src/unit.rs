//! `Unit`: in what a figure is given, and which direction is the good one.

use serde::{Deserialize, Serialize};

/// Unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Bytes in a second; shown in megabytes (10^6).
    #[serde(rename = "bytes/s")]
    Bytes,
    /// Operations in a second.
    #[serde(rename = "ops/s")]
    Operations,
    /// Files in a second.
    #[serde(rename = "files/s")]
    Files,
    /// How long one thing takes, in seconds; less is better.
    #[serde(rename = "s")]
    Seconds,
    /// Bytes that something takes; less is better.
    #[serde(rename = "bytes")]
    Size,
}

impl Unit {
    /// Whether more is better.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        !matches!(self, Self::Seconds | Self::Size)
    }

    /// What part of `ceiling` was reached by `value`: 1 = all of it.
    #[must_use]
    pub fn share(self, value: f64, ceiling: f64) -> f64 {
        if self.is_rate() { value / ceiling } else { ceiling / value }
    }

    /// The unit behind a shown number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "MB/s",
            Self::Operations => "ops/s",
            Self::Files => "files/s",
            Self::Seconds => "ms",
            Self::Size => "bytes",
        }
    }

    /// `value` without its unit: three digits that count, thousands apart.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Bytes => digits(value / 1e6),
            Self::Operations | Self::Files | Self::Size => digits(value),
            Self::Seconds => digits(value * 1e3),
        }
    }
}

/// A number with three digits that count, or all of its whole part.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        large if large >= 99.95 => 0,
        middle if middle >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').map_or((text.as_str(), ""), |(whole, fraction)| (whole, fraction));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let first = whole.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.push(&whole[..first]);
    }
    groups.extend((first..whole.len()).step_by(3).map(|start| &whole[start..start + 3]));
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{dot}{fraction}", groups.join(","))
}

#[cfg(test)]
mod tests;
