//! How figures are made that can be believed: several rounds, everything in turns in each, and what may be said of the
//! samples. Pure: no clock, no file, no process.

mod histogram;
mod noise;
mod pairs;
mod rounds;
mod spread;

pub use histogram::Histogram;
pub use noise::Verdict;
pub use pairs::{PairedSeries, Unpaired, ratio};
pub(crate) use rounds::{fits, order};
pub use spread::Spread;
