//! How a command fails: one line on stderr and an exit status.

use std::fmt;
use std::process::ExitCode;

/// The command line is at fault: exit status 2 instead of 1.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// An error of the command line, ready for `?`.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// The exit status that belongs to `error`.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// The exit status that mount(8) gives `error` when its helper meets it.
pub(crate) fn mount_exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<UsageError>() { ExitCode::from(1) } else { ExitCode::from(32) }
}

/// The whole chain of causes as one line. A cause that the error above already tells is not repeated.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

/// What clap has to say about a wrong command line, as one line: its own text has up to a dozen.
pub(crate) fn from_clap(error: &clap::Error) -> anyhow::Error {
    let text = error.render().to_string();
    let is_end = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    // How to write what begins with a dash and is no flag: nobody meant that.
    let is_noise = |line: &&str| line.starts_with("tip: to pass '-");
    let lines = text.lines().map(str::trim).take_while(|line| !is_end(line)).filter(|line| !is_noise(line));
    let said = lines.flat_map(str::split_whitespace);
    let said = said.map(without_token).collect::<Vec<_>>().join(" ");
    usage(format!("{} (`--help` tells more)", said.trim_start_matches("error: ").trim_end_matches('.')))
}

/// `word`, unless it may be a token: clap repeats what it does not understand, and a token in the wrong place is that.
fn without_token(word: &str) -> &str {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if uuid::Uuid::try_parse(core).is_ok() { "***" } else { word }
}

#[cfg(test)]
mod tests;
