//! Every program of the system as one command line: reads words, wires the libraries, and tells the outcome in a line.
//!
//! Knows how nothing works inside: what a server, a mount or a token does is said in its own crate.

pub mod admin_client;

mod cli;
mod commands;
mod dispatch;
mod failure;
mod lock;
mod logging;
mod metrics;
mod output;
mod paths;
mod process;
mod progress;
mod prompt;
mod render;
mod runtime;
#[cfg(test)]
mod testing;
mod units;

use std::ffi::OsString;
use std::process::ExitCode;

use dispatch::Caller;

/// Runs the program that `arguments` (the executable's name first) ask for, to its end. The exit status is 0, 1 for a
/// failure and 2 for a wrong command line; of a mount helper what mount(8) expects: 0, 1 for a wrong call, 32 for a failure.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    process::close_to_others();
    process::blank_secrets();
    let (outcome, caller) = match dispatch::read(arguments) {
        Ok(invocation) => {
            let caller = invocation.caller;
            (cli::execute(invocation), caller)
        }
        // Only a mount helper's line is read before clap sees it.
        Err(error) => (Err(error), Caller::Mount),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    eprintln!("flexfs: {}", failure::one_line(&error));
    match caller {
        Caller::User => failure::exit_code(&error),
        Caller::Mount | Caller::FakeMount => failure::mount_exit_code(&error),
    }
}
