//! The command line of a mount helper, `mount.flexfs VOLUME MOUNT_POINT [-fnsv] [-o OPTIONS] [-t TYPE]`, as mount(8),
//! systemd and busybox write it.

use std::ffi::{OsStr, OsString};

use anyhow::Result;

use super::{Caller, Invocation};
use crate::failure::usage;

/// The same mount as words of `flexfs mount start`.
pub(super) fn translate(arguments: &[OsString]) -> Result<Invocation> {
    let call = Call::parse(arguments)?;
    let options = call.options.iter().try_fold(Options::default(), |options, text| options.add(text, call.sloppy))?;
    let [volume, mount_point] = call.positions.as_slice() else {
        return Err(usage(
            "mount helper: a volume and a mount point are needed, as in `mount.flexfs data /mnt/data -o ro`",
        ));
    };
    let mut words: Vec<OsString> = ["flexfs", "mount", "start"].map(OsString::from).into();
    words.extend(options.words().map(OsString::from));
    words.extend(call.verbose.then(|| "--verbose".into()));
    words.extend(["--".into(), volume.clone(), mount_point.clone()]);
    let caller = if call.fake { Caller::FakeMount } else { Caller::Mount };
    Ok(Invocation { words, caller, program: None })
}

#[derive(Default)]
struct Call {
    positions: Vec<OsString>,
    options: Vec<String>,
    fake: bool,
    sloppy: bool,
    verbose: bool,
}

impl Call {
    fn parse(arguments: &[OsString]) -> Result<Self> {
        let mut call = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.to_str().and_then(|text| text.strip_prefix('-')) {
                Some(flags) if !flags.is_empty() => call.flags(flags, &mut arguments)?,
                _ => call.positions.push(argument.clone()),
            }
        }
        Ok(call)
    }

    /// One word of short flags. `-o` and `-t` take the rest of the word or the next one.
    fn flags<'a>(&mut self, flags: &str, arguments: &mut impl Iterator<Item = &'a OsString>) -> Result<()> {
        for (at, flag) in flags.char_indices() {
            match flag {
                'f' => self.fake = true,
                's' => self.sloppy = true,
                'v' => self.verbose = true,
                // There is no mount table to leave alone: the kernel keeps it.
                'n' => {}
                'o' | 't' => {
                    let rest = Some(OsStr::new(&flags[at + 1..])).filter(|rest| !rest.is_empty());
                    let value = rest.or_else(|| arguments.next().map(OsString::as_os_str));
                    let value = value
                        .and_then(OsStr::to_str)
                        .ok_or_else(|| usage(format!("-{flag}: text is needed behind it")))?;
                    if flag == 'o' {
                        self.options.push(value.to_owned());
                    }
                    break;
                }
                _ => {
                    return Err(usage(format!("mount helper: flag -{flag} is not known; known are -f -n -s -v -o -t")));
                }
            }
        }
        Ok(())
    }
}

/// Mount options, a later one overriding an earlier.
#[derive(Default)]
struct Options {
    ro: bool,
    no_exec: bool,
    no_suid: bool,
    no_atime: bool,
    root_squash: bool,
    /// Options that are flags of `start` with other names for nobody.
    passed: Vec<String>,
}

impl Options {
    fn add(self, list: &str, sloppy: bool) -> Result<Self> {
        list.split(',')
            .filter(|option| !option.is_empty())
            .try_fold(self, |options, option| options.add_one(option, sloppy))
    }

    fn add_one(mut self, option: &str, sloppy: bool) -> Result<Self> {
        let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        match (name, value) {
            ("ro", None) => self.ro = true,
            ("rw", None) => self.ro = false,
            ("noexec" | "noExec", None) => self.no_exec = true,
            ("exec", None) => self.no_exec = false,
            ("nosuid" | "noSUID", None) => self.no_suid = true,
            ("suid", None) => self.no_suid = false,
            ("noatime" | "noATime", None) => self.no_atime = true,
            ("atime" | "relatime", None) => self.no_atime = false,
            ("rootSquash", None) => self.root_squash = true,
            // Who may mount is mount(8)'s business; what such a mount may do is said in its manual.
            ("user" | "users" | "owner" | "group", _) => (self.no_exec, self.no_suid) = (true, true),
            ("nonempty", None) => self.passed.push("--nonEmpty".into()),
            ("metricsPublic" | "nonEmpty" | "noMaxPages" | "verbose" | "xAttr", None) => {
                self.passed.push(format!("--{name}"));
            }
            (
                "attrValid" | "credsFile" | "entryValid" | "maxBops" | "memCapacity" | "metricsAddr" | "runtime"
                | "threads" | "transport" | "umask" | "wait",
                Some(value),
            ) => {
                self.passed.push(format!("--{name}={value}"));
            }
            ("remount", _) => {
                return Err(usage("mount option remount: not possible; unmount, then mount with other options"));
            }
            _ if sloppy || is_ignored(name) => {}
            _ => return Err(usage(format!("mount option {option:?}: not known; known are {KNOWN}"))),
        }
        Ok(self)
    }

    fn words(self) -> impl Iterator<Item = String> {
        let flags = [
            ("--ro", self.ro),
            ("--noExec", self.no_exec),
            ("--noSUID", self.no_suid),
            ("--noATime", self.no_atime),
            ("--rootSquash", self.root_squash),
        ];
        flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag.to_owned()).chain(self.passed)
    }
}

/// Options for mount(8), systemd and mount tables, and those that change nothing here: devices never open on a mount, and
/// the kernel keeps access times relative.
fn is_ignored(name: &str) -> bool {
    const IGNORED: [&str; 16] = [
        "defaults", "auto", "noauto", "_netdev", "nofail", "nouser", "nousers", "noowner", "nogroup", "nodev", "dev",
        "async", "silent", "loud", "comment", "_rnetdev",
    ];
    IGNORED.contains(&name) || name.starts_with("x-") || name.starts_with("X-")
}

const KNOWN: &str = "ro, noExec, noSUID, noATime, rootSquash, nonEmpty, noMaxPages, verbose, xAttr, credsFile=FILE, attrValid=SECONDS, \
                     entryValid=SECONDS, maxBops=N, memCapacity=AMOUNT, metricsAddr=ADDR, metricsPublic, runtime=NAME, threads=N, transport=WAY, \
                     umask=OCTAL, wait=DURATION and the usual ones of mount(8)";
