//! Questions to a person. Nothing is asked where nobody can answer.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};

use anyhow::{Context as _, Result};
use auth::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::failure::usage;

/// Reads a secret from the command line; `-` stands for the first line of standard input. It cannot fail: clap would show
/// the text.
pub(crate) fn secret_argument(text: &str) -> Result<Secret, std::convert::Infallible> {
    if text != "-" {
        return Ok(Secret::new(text.to_owned()));
    }
    let mut line = Zeroizing::new(String::new());
    if let Err(error) = BufReader::new(std::io::stdin().take(LINE_MAX)).read_line(&mut line) {
        // What is missing then is told as what it is.
        tracing::warn!(%error, "standard input cannot be read");
    }
    Ok(Secret::new(line.trim().to_owned()))
}

/// What `flag` gave, else what the user types at a prompt that shows no characters.
pub(crate) fn secret(given: Option<Secret>, flag: &str, what: &str) -> Result<Secret> {
    if let Some(given) = given {
        return Ok(given);
    }
    if !std::io::stdin().is_terminal() {
        return Err(usage(format!(
            "{flag} is missing: the {what} is needed, or - to read it from standard input (there is no terminal to ask at)"
        )));
    }
    ask_hidden(&format!("{what}: ")).context("reading from the terminal")
}

/// Asks on the terminal. Nothing that is typed shows: echoing ends before the question stands there.
fn ask_hidden(question: &str) -> std::io::Result<Secret> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let _silence = Silence::of(&terminal)?;
    (&terminal).write_all(question.as_bytes())?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new((&terminal).take(LINE_MAX)).read_line(&mut line)?;
    Ok(Secret::new(line.trim().to_owned()))
}

/// Longest answer that is read, in bytes.
const LINE_MAX: u64 = 4096;

/// A terminal that does not echo, until this is dropped.
struct Silence<'a> {
    terminal: &'a File,
    former: Termios,
}

impl<'a> Silence<'a> {
    fn of(terminal: &'a File) -> std::io::Result<Self> {
        let former = tcgetattr(terminal)?;
        let mut silent = former.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        // What was typed before the question is no answer to it.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, former })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that went away needs no echo.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.former);
    }
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
