//! Completion scripts: one for the executable and for each of its dotted names, in one text to be sourced or installed.

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::{Cli, on_its_own};
use crate::dispatch::PROGRAMS;

/// The script for `shell`.
pub(super) fn script(shell: Shell) -> String {
    let scripts: Vec<String> = commands().map(|(name, command)| one(shell, name, command)).collect();
    match shell {
        Shell::Zsh => for_zsh(&scripts),
        _ => scripts.concat(),
    }
}

fn commands() -> impl Iterator<Item = (&'static str, Command)> {
    let dotted = PROGRAMS.iter().map(|program| (program.name, on_its_own(program)));
    std::iter::once((EXECUTABLE, Cli::command())).chain(dotted)
}

fn one(shell: Shell, name: &str, mut command: Command) -> String {
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    String::from_utf8(script).expect("scripts are made of our own words")
}

/// zsh reads the names that a file completes from its first line, and calls the file for the first of them that it needs.
/// From then on each name has its own function.
fn for_zsh(scripts: &[String]) -> String {
    let names: Vec<&str> = commands().map(|(name, _)| name).collect();
    let mut whole = format!("#compdef {}\n", names.join(" "));
    for script in scripts {
        let body = script.split_once('\n').map_or("", |(_compdef, body)| body);
        whole.push_str(body.split_once(ZSH_END).map_or(body, |(functions, _)| functions));
    }
    whole.extend(names.iter().map(|name| format!("compdef _{name} {name}\n")));
    whole.push_str(&format!("{ZSH_END}_{EXECUTABLE}\" ]; then\n    \"_$service\" \"$@\"\nfi\n"));
    whole
}

const EXECUTABLE: &str = "flexfs";
/// How the last lines of a script for zsh begin: they call or register its function.
const ZSH_END: &str = "if [ \"$funcstack[1]\" = \"";

#[cfg(test)]
mod tests;
