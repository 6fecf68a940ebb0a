//! `init systemd` and `deinit systemd`: a unit for a server.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::failure::usage;
use crate::paths;

/// Flags of `init systemd`.
#[derive(Debug, Args)]
pub(crate) struct InitSystemd {
    /// Start the service at once
    #[arg(long)]
    now: bool,
    /// Flags for `start`, as one word
    #[arg(
        long = "startFlags",
        value_name = "FLAGS",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    start_flags: String,
    /// Replace a unit that is there
    #[arg(long)]
    force: bool,
}

/// Flags of `deinit systemd`.
#[derive(Debug, Args)]
pub(crate) struct DeinitSystemd {
    /// Stop the service at once
    #[arg(long)]
    now: bool,
}

/// A server's unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    /// Word of the program, as in `flexfs admin`.
    pub(super) program: &'static str,
    /// For people.
    pub(super) description: &'static str,
}

impl Unit {
    /// Writes the unit, enables it and, if wanted, starts it.
    pub(super) fn install(self, arguments: &InitSystemd) -> Result<()> {
        let path = self.path();
        if path.exists() && !arguments.force {
            bail!("unit {} exists: give --force to replace it", path.display());
        }
        let executable = std::env::current_exe().context("finding the executable")?;
        paths::replace_file(&path, &self.text(&executable, &arguments.start_flags)?, 0o644)?;
        println!("wrote {}", path.display());
        systemctl(&["daemon-reload"])?;
        systemctl(&["enable", &self.name()])?;
        // A replaced unit of a running service takes effect with a restart.
        if arguments.now { systemctl(&["restart", &self.name()]) } else { Ok(()) }
    }

    /// Disables the unit and removes it.
    pub(super) fn remove(self, arguments: &DeinitSystemd) -> Result<()> {
        let path = self.path();
        if !path.exists() {
            bail!("unit {} does not exist", path.display());
        }
        if arguments.now {
            systemctl(&["stop", &self.name()])?;
        }
        systemctl(&["disable", &self.name()])?;
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", path.display());
        systemctl(&["daemon-reload"])
    }

    fn name(self) -> String {
        format!("flexfs-{}.service", self.program)
    }

    fn path(self) -> PathBuf {
        Path::new("/etc/systemd/system").join(self.name())
    }

    /// The unit file. `flags` must be what `start` understands.
    fn text(self, executable: &Path, flags: &str) -> Result<String> {
        if flags.contains(char::is_control) {
            return Err(usage("--startFlags: one line of flags is needed"));
        }
        let executable = executable.to_str().context("the executable's path is not UTF-8")?;
        let command = format!("{} {} start {flags}", quoted(executable), self.program);
        Ok(format!(
            "[Unit]\n\
             Description={}\n\
             Wants=network-online.target\n\
             After=network-online.target\n\
             \n\
             [Service]\n\
             Type=notify\n\
             ExecStart={}\n\
             Restart=on-failure\n\
             RestartSec=1\n\
             LimitNOFILE=1048576\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            self.description,
            command.trim_end()
        ))
    }
}

/// `text` as one word of a command line in a unit file.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if escaped.contains(' ') { format!("\"{escaped}\"") } else { escaped }
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let shown = || format!("systemctl {}", arguments.join(" "));
    match Command::new("systemctl").args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!("{} failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("{}: systemd is not on this machine", shown()),
        Err(error) => Err(error).with_context(shown),
    }
}

#[cfg(test)]
mod tests;
