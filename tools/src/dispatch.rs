//! Which program was meant: `flexfs mount ...`, `mount.flexfs ...` by the file's name, or mount(8) calling its helper.
//! All three become the words of `flexfs mount ...`; nothing behind this module knows the difference.

mod mount_helper;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Result;

/// A command line in its long form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// `flexfs`, the program's word, and the rest.
    pub(crate) words: Vec<OsString>,
    /// Who asked.
    pub(crate) caller: Caller,
    /// The program that the file's name stands for, where it stands for one.
    pub(crate) program: Option<&'static Program>,
}

/// A program with a name of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its word, as in `flexfs mount`.
    pub(crate) word: &'static str,
    /// Its file name.
    pub(crate) name: &'static str,
}

/// All of them.
pub(crate) const PROGRAMS: [Program; 4] = [
    Program { word: "mount", name: "mount.flexfs" },
    Program { word: "meta", name: "meta.flexfs" },
    Program { word: "admin", name: "admin.flexfs" },
    Program { word: "configure", name: "configure.flexfs" },
];

/// Who started the executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A person or a script.
    User,
    /// mount(8): it expects the exit status of a mount helper.
    Mount,
    /// mount(8) with `--fake`: everything is checked, nothing mounted.
    FakeMount,
}

/// Reads `arguments`, the executable's name among them.
pub(crate) fn read(arguments: Vec<OsString>) -> Result<Invocation> {
    let mut arguments = arguments.into_iter();
    let program = named(&arguments.next().unwrap_or_default());
    let mut words = vec![OsString::from("flexfs")];
    words.extend(program.map(|program| OsString::from(program.word)));
    words.extend(arguments);
    if words.get(1).is_some_and(|word| word == "mount") && words.get(2).is_some_and(|word| is_volume(word)) {
        return mount_helper::translate(&words[2..]);
    }
    Ok(Invocation { words, caller: Caller::User, program })
}

/// The program that a file name such as `/sbin/mount.flexfs` stands for.
fn named(executable: &OsStr) -> Option<&'static Program> {
    let name = Path::new(executable).file_name()?;
    PROGRAMS.iter().find(|program| name == program.name)
}

/// mount(8) puts the volume right behind the program's name, where a person puts a verb or a flag.
fn is_volume(word: &OsStr) -> bool {
    const VERBS: [&str; 6] = ["start", "init", "deinit", "version", "license", "help"];
    !VERBS.iter().any(|verb| word == *verb) && !word.as_encoded_bytes().starts_with(b"-")
}

#[cfg(test)]
mod tests;
