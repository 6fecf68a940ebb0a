//! Memory that O_DIRECT takes.

use crate::seed::Seed;

/// Alignment of memory, offsets and lengths that every disk takes.
pub(crate) const ALIGNMENT: usize = 4096;

/// Bytes at an aligned address.
#[derive(Debug)]
pub(crate) struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` bytes that no compression shrinks.
    pub(crate) fn filled(len: usize, mut seed: Seed) -> Self {
        let mut memory = vec![0; len + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        seed.fill(&mut memory[start..start + len]);
        Self { memory, start, len }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests;
