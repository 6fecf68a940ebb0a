//! Questions to a person. Nothing is asked where nobody can answer.

use std::io::{IsTerminal as _, Write as _};

use anyhow::{Context as _, Result};
use auth::Secret;

use crate::failure::usage;

/// Reads a secret from the command line. It cannot fail: clap would show the text.
pub(crate) fn secret_argument(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// What `flag` gave, else what the user types at a prompt that shows no characters.
pub(crate) fn secret(given: Option<Secret>, flag: &str, what: &str) -> Result<Secret> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!("{flag} is missing: the {what} is needed (there is no terminal to ask for it)")));
    }
    rpassword::prompt_password(format!("{what}: ")).map(Secret::new).context("reading from the terminal")
}

/// Whether somebody is there to answer.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A question whose answer is no unless somebody says yes.
pub(crate) fn confirm(question: &str) -> Result<bool> {
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().context("writing to the terminal")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("reading from the terminal")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
