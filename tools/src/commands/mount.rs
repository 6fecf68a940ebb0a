//! `mount.flexfs`: volumes as directories.

mod credentials;
mod daemon;
mod fstab;
mod live;
mod mount_point;
mod start;

use anyhow::Result;
use clap::Subcommand;

use crate::cli::About;
use crate::dispatch::Invocation;

pub(super) use live::{end, follow_certificate, outcome, settings_for, sources};
pub(super) use mount_point::MountPoint;
pub(super) use start::Tuning;

/// Words of the program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a credentials file or a line in /etc/fstab
    #[command(subcommand)]
    Init(Init),
    /// Remove a credentials file or a line in /etc/fstab
    #[command(subcommand)]
    Deinit(Deinit),
    /// Mount a volume; returns when it is there
    Start(start::Start),
    #[command(flatten)]
    About(About),
}

/// What to make.
#[derive(Debug, Subcommand)]
pub(crate) enum Init {
    /// Keep address and token for a volume, checked with the admin server
    Creds(credentials::InitCreds),
    /// Mount a volume at every boot
    Fstab(fstab::InitFstab),
}

/// What to remove.
#[derive(Debug, Subcommand)]
pub(crate) enum Deinit {
    /// Forget address and token
    Creds(credentials::DeinitCreds),
    /// Mount a volume at boot no longer
    Fstab(fstab::DeinitFstab),
}

/// Carries out a command.
pub(crate) fn run(command: Command, invocation: &Invocation) -> Result<()> {
    match command {
        Command::Init(Init::Creds(arguments)) => credentials::init(arguments),
        Command::Init(Init::Fstab(arguments)) => fstab::init(&arguments),
        Command::Deinit(Deinit::Creds(arguments)) => credentials::deinit(&arguments),
        Command::Deinit(Deinit::Fstab(arguments)) => fstab::deinit(&arguments),
        Command::Start(arguments) => start::run(&arguments, invocation),
        Command::About(about) => about.print(),
    }
}
