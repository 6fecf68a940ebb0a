//! The words a user writes, program by program.

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::{admin, configure, install, meta, mount, up};
use crate::dispatch::{Caller, Invocation};
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
    #[command(subcommand)]
    Meta(meta::Command),
    /// Serve accounts, volumes and tokens (admin.flexfs)
    #[command(subcommand)]
    Admin(admin::Command),
    /// Administer accounts, stores, volumes and tokens (configure.flexfs)
    Configure(configure::Arguments),
    /// Start the whole system on this machine and mount its volume
    Up(up::Arguments),
    /// Put the executable and the names of its programs below a prefix
    Install(install::Arguments),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    Version,
}

/// Carries out `invocation`.
pub(crate) fn execute(invocation: Invocation) -> Result<()> {
    let cli = match Cli::try_parse_from(&invocation.words) {
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
            Self::Mount(mount::Command::Start(_))
            | Self::Meta(meta::Command::Start(_))
            | Self::Admin(admin::Command::Start(_)) => "info",
            _ => "warn",
        }
    }

    fn run(self, invocation: &Invocation) -> Result<()> {
        match self {
            Self::Mount(command) => mount::run(command, invocation),
            Self::Meta(command) => meta::run(command),
            Self::Admin(command) => admin::run(command),
            Self::Configure(arguments) => configure::run(arguments),
            Self::Up(arguments) => up::run(&arguments),
            Self::Install(arguments) => install::run(&arguments),
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "flexfs", &mut script);
                output::print(&script)
            }
            Self::Version => {
                print_version();
                Ok(())
            }
        }
    }
}

/// The `version` command of every program.
pub(crate) fn print_version() {
    println!("flexfs {}", env!("CARGO_PKG_VERSION"));
}

#[cfg(test)]
mod tests;
