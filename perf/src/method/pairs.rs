//! Ratios: of samples that were taken in turns in one run, and of no others.
//!
//! A machine is not the same from one minute to the next. What was measured side by side in each round felt the same
//! disturbances, so the quotient of each round means something, and so does their median.

use super::Spread;

/// Samples with what tells which others they were taken with.
#[derive(Clone, Copy, Debug)]
pub struct PairedSeries<'a> {
    /// The run.
    pub run: &'a str,
    /// Round and value of each sample.
    pub samples: &'a [(u32, f64)],
}

/// Why there is no ratio.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpaired {
    /// They come from two runs.
    #[error("samples of two runs ({0} and {1}) were not taken side by side: no ratio")]
    Runs(String, String),
    /// They come from different rounds of a run.
    #[error("samples of rounds {0:?} and {1:?} were not taken side by side: no ratio")]
    Rounds(Vec<u32>, Vec<u32>),
    /// There are none, or one cannot be divided by.
    #[error("no samples to divide")]
    Nothing,
}

/// The quotient of each round, and their spread.
///
/// # Errors
/// The two were not measured in the same rounds of the same run.
pub fn ratio(one: PairedSeries<'_>, other: PairedSeries<'_>) -> Result<Spread, Unpaired> {
    if one.run != other.run {
        return Err(Unpaired::Runs(one.run.to_owned(), other.run.to_owned()));
    }
    let (ours, theirs) = (rounds(one.samples), rounds(other.samples));
    if ours != theirs {
        return Err(Unpaired::Rounds(ours, theirs));
    }
    let value_in = |round: u32| other.samples.iter().find(|(theirs, _)| *theirs == round).map(|(_, value)| *value);
    let quotients: Option<Vec<f64>> =
        one.samples.iter().map(|(round, value)| value_in(*round).map(|other| value / other)).collect();
    quotients.and_then(|quotients| Spread::of(&quotients)).ok_or(Unpaired::Nothing)
}

fn rounds(samples: &[(u32, f64)]) -> Vec<u32> {
    let mut rounds: Vec<u32> = samples.iter().map(|(round, _)| *round).collect();
    rounds.sort_unstable();
    rounds
}

#[cfg(test)]
mod tests;
