//! `init systemd` and `deinit systemd`: a unit for a server.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::dispatch::{Caller, Invocation};
use crate::failure::usage;
use crate::progress::Waiting;
use crate::{cli, paths};

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
    #[command(flatten)]
    folder: UnitFolder,
}

/// Flags of `deinit systemd`.
#[derive(Debug, Args)]
pub(crate) struct DeinitSystemd {
    /// Stop the service at once
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    folder: UnitFolder,
}

/// Where units are.
#[derive(Debug, Args)]
struct UnitFolder {
    #[arg(long = "unitFolder", value_name = "DIR", default_value = "/etc/systemd/system", hide = true)]
    path: PathBuf,
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
    /// Writes the unit, enables it and, if wanted, starts it. What fails leaves the unit that was there, or none.
    pub(super) fn install(self, arguments: &InitSystemd) -> Result<()> {
        let path = self.path(&arguments.folder);
        let executable = std::env::current_exe().context("finding the executable")?;
        let text = self.text(&executable, &arguments.start_flags)?;
        let former = read(&path)?;
        if former.is_some() && !arguments.force {
            bail!("unit {} exists: give --force to replace it", path.display());
        }
        let systemd = Systemd::find()?;
        if arguments.now {
            systemd.must_run()?;
        }
        paths::replace_file(&path, &text, 0o644)?;
        let enabled = systemd.enable(&self.name(), arguments.now);
        if let Err(error) = enabled {
            let restored = match &former {
                Some(former) => paths::replace_file(&path, former, 0o644),
                None => std::fs::remove_file(&path).context("removing the unit"),
            };
            return restored.and(Err(error));
        }
        println!("wrote {}", path.display());
        Ok(())
    }

    /// Disables the unit and removes it.
    pub(super) fn remove(self, arguments: &DeinitSystemd) -> Result<()> {
        let path = self.path(&arguments.folder);
        if read(&path)?.is_none() {
            bail!("unit {} does not exist", path.display());
        }
        Systemd::find()?.disable(&self.name(), arguments.now)?;
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", path.display());
        Ok(())
    }

    fn name(self) -> String {
        format!("flexfs-{}.service", self.program)
    }

    fn path(self, folder: &UnitFolder) -> PathBuf {
        folder.path.join(self.name())
    }

    /// The unit file. `flags` must be what `start` understands.
    fn text(self, executable: &Path, flags: &str) -> Result<String> {
        if flags.contains(char::is_control) {
            return Err(usage("--startFlags: one line of flags is needed"));
        }
        self.check(flags)?;
        let executable = executable.to_str().context("the executable's path is not UTF-8")?;
        let command = format!("{} {} start {flags}", quoted(executable), self.program);
        Ok(format!(
            "[Unit]\n\
             Description={}\n\
             Wants=network-online.target\n\
             After=network-online.target\n\
             StartLimitIntervalSec=0\n\
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

    /// Refuses flags that `start` would refuse at every boot. Words with quotes are systemd's to take apart.
    fn check(self, flags: &str) -> Result<()> {
        if flags.contains(['"', '\'', '\\', '%', '$']) {
            return Ok(());
        }
        let words = ["flexfs", self.program, "start"].into_iter().chain(flags.split_ascii_whitespace());
        let line = Invocation { words: words.map(Into::into).collect(), caller: Caller::User, program: None };
        cli::check(&line).map_err(|error| usage(format!("--startFlags: {error}")))
    }
}

/// `text` as one word of a command line in a unit file.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if escaped.contains(' ') { format!("\"{escaped}\"") } else { escaped }
}

/// The text of a unit, if it is there.
fn read(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The service manager: of this machine, or of an image that will be one.
#[derive(Clone, Copy)]
struct Systemd {
    /// Whether it runs and can be told, see sd_booted(3).
    runs: bool,
}

impl Systemd {
    fn find() -> Result<Self> {
        systemctl(&["--version"])?;
        Ok(Self { runs: Path::new("/run/systemd/system").is_dir() })
    }

    fn must_run(self) -> Result<()> {
        if self.runs {
            return Ok(());
        }
        bail!("--now: systemd does not run here; leave --now out to have the service started at the next boot")
    }

    fn enable(self, unit: &str, now: bool) -> Result<()> {
        self.reload()?;
        systemctl(&["enable", unit])?;
        // A replaced unit of a running service takes effect with a restart.
        if now { systemctl(&["restart", unit]) } else { Ok(()) }
    }

    fn disable(self, unit: &str, now: bool) -> Result<()> {
        if now && self.runs {
            systemctl(&["stop", unit])?;
        }
        systemctl(&["disable", unit])
    }

    fn reload(self) -> Result<()> {
        if self.runs { systemctl(&["daemon-reload"]) } else { Ok(()) }
    }
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let shown = || format!("systemctl {}", arguments.join(" "));
    let _waiting = Waiting::show(shown());
    match Command::new("systemctl").args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => bail!("{} failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("systemctl is not on this machine: a service of systemd needs it")
        }
        Err(error) => Err(error).with_context(shown),
    }
}

#[cfg(test)]
mod tests;
