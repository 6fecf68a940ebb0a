//! The order of a round, and whether there is time for another one.

use std::time::Duration;

/// In which order `count` subjects take their turn at workload `index` in `round`. Each comes first equally often, and
/// odd rounds go backwards, so that nobody always follows the same neighbour.
pub(crate) fn order(round: u32, index: usize, count: usize) -> Vec<usize> {
    let start = (round as usize / 2 + index) % count.max(1);
    let mut order: Vec<usize> = (0..count).map(|place| (start + place) % count).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

/// Whether a round that takes as long as the longest so far ends in time.
pub(crate) fn fits(elapsed: Duration, longest_round: Duration, limit: Duration) -> bool {
    elapsed + longest_round <= limit
}

#[cfg(test)]
mod tests;
