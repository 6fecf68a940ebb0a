//! The words a user writes, program by program.

mod completions;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::{admin, bench, configure, explain, install, meta, mount, up};
use crate::dispatch::{self, Caller, Invocation};
use crate::{failure, logging, output};

/// Token-scoped network file system: names in a metadata server, bytes in a block store.
#[derive(Debug, Parser)]
#[command(name = "flexfs", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Log more; RUST_LOG chooses more finely
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    /// Mount volumes (mount.flexfs)
    #[command(subcommand)]
    Mount(mount::Command),
    /// Serve metadata (meta.flexfs)
    Meta(meta::Arguments),
    /// Serve accounts, volumes and tokens (admin.flexfs)
    #[command(subcommand)]
    Admin(admin::Command),
    /// Administer accounts, stores, volumes and tokens (configure.flexfs)
    Configure(configure::Arguments),
    /// Start the whole system on this machine and mount its volume
    Up(up::Arguments),
    /// Measure a mount, or any directory, beside what this machine can do
    #[command(subcommand)]
    Bench(bench::Command),
    /// Tell where the time of the slowest recent operations of a mount went
    Explain(explain::Arguments),
    /// Put the executable and the names of its programs below a prefix
    Install(install::Arguments),
    /// Print a shell's completion script, for the dotted names too
    Completions {
        /// The shell
        shell: Shell,
    },
    #[command(flatten)]
    About(About),
}

/// What every program says of itself.
#[derive(Debug, Subcommand)]
pub(crate) enum About {
    /// Print the version
    Version,
    /// Print the licence
    License,
}

/// Carries out `invocation`.
pub(crate) fn execute(invocation: Invocation) -> Result<()> {
    let cli = match parse(&invocation) {
        Ok(cli) => cli,
        Err(error) if is_asked_for(&error) => return Ok(error.print()?),
        Err(error) => return Err(explain(&error)),
    };
    if invocation.caller == Caller::FakeMount {
        return Ok(());
    }
    logging::start(if cli.verbose { "debug" } else { cli.program.log_level() });
    cli.program.run(&invocation)
}

/// Checks that `invocation` would be understood, without carrying anything out: for words that are kept for later.
pub(crate) fn check(invocation: &Invocation) -> Result<()> {
    parse(invocation).map(drop).map_err(|error| failure::from_clap(&error))
}

/// Reads the words. What is wrong with them, and help, is told of the program that was called.
fn parse(invocation: &Invocation) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(&invocation.words).map_err(|error| {
        let own = |program| on_its_own(program).try_get_matches_from(&invocation.words[1..]).err();
        invocation.program.and_then(own).unwrap_or(error)
    })
}

/// A program's words as a command of its own, as its dotted name is.
fn on_its_own(program: &dispatch::Program) -> clap::Command {
    let whole = Cli::command();
    let command = whole.find_subcommand(program.word).expect("every program is a command").clone();
    let shared = whole.get_arguments().filter(|argument| argument.is_global_set()).cloned();
    command
        .name(program.name)
        .bin_name(program.name)
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(shared)
}

fn is_asked_for(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
}

/// A missing subcommand gets its help, which says more than a line; all else gets a line.
fn explain(error: &clap::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // A closed stderr leaves nobody to tell.
        let _ = error.print();
        return failure::usage("a command is missing");
    }
    failure::from_clap(error)
}

impl Program {
    /// Servers tell what they do, other commands only what goes wrong.
    fn log_level(&self) -> &'static str {
        match self {
            Self::Mount(mount::Command::Start(_)) | Self::Admin(admin::Command::Start(_)) => "info",
            Self::Meta(arguments) if arguments.serves() => "info",
            _ => "warn",
        }
    }

    fn run(self, invocation: &Invocation) -> Result<()> {
        match self {
            Self::Mount(command) => mount::run(command, invocation),
            Self::Meta(arguments) => meta::run(&arguments),
            Self::Admin(command) => admin::run(command),
            Self::Configure(arguments) => configure::run(arguments),
            Self::Up(arguments) => up::run(&arguments),
            Self::Bench(command) => bench::run(command, invocation),
            Self::Explain(arguments) => explain::run(&arguments),
            Self::Install(arguments) => install::run(&arguments),
            Self::Completions { shell } => output::print(completions::script(shell).as_bytes()),
            Self::About(about) => about.print(),
        }
    }
}

impl About {
    /// Says it.
    pub(crate) fn print(&self) -> Result<()> {
        match self {
            Self::Version => output::print(concat!("flexfs ", env!("CARGO_PKG_VERSION"), "\n").as_bytes()),
            Self::License => output::print(include_bytes!("../../LICENSE")),
        }
    }
}

#[cfg(test)]
mod tests;
