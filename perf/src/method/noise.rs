//! The rule that tells a change from noise.

use serde::{Deserialize, Serialize};

use super::Spread;

/// Medians that are closer than this share of the old one are the same, however narrow the ranges.
pub(crate) const CHANGE_MIN: f64 = 0.05;
/// With fewer samples the ranges say nothing.
pub(crate) const SAMPLES_MIN: usize = 3;

/// What became of a figure between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It rose beyond the noise.
    Rose,
    /// It fell beyond the noise.
    Fell,
    /// The ranges have values in common, or the medians are close.
    WithinNoise,
    /// Fewer than three samples on a side: nothing can be said.
    TooFewSamples,
}

impl Verdict {
    /// Compares the same figure of two runs. It moved if no sample of one run lies in the range of the other, and the
    /// medians are five per cent apart.
    #[must_use]
    pub fn of(old: &Spread, new: &Spread) -> Self {
        if old.count.min(new.count) < SAMPLES_MIN {
            return Self::TooFewSamples;
        }
        if old.overlaps(new) || (new.median - old.median).abs() < CHANGE_MIN * old.median.abs() {
            return Self::WithinNoise;
        }
        if new.median > old.median { Self::Rose } else { Self::Fell }
    }
}

#[cfg(test)]
mod tests;
