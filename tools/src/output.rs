//! Standard output that may be cut off: `| head` is no failure.

use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};

/// Writes `text`. A reader that went away had enough.
pub(crate) fn print(text: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("writing to standard output"),
    }
}
