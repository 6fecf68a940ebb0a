//! What others can learn from this process: nothing of its memory, and no secret from its command line.

use std::ops::Range;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Keeps the process's memory to itself: no core file, and no other process of the same user may look into it. To be
/// called before the first secret is read. Root may still debug it.
pub(crate) fn close_to_others() {
    // Neither can fail for one's own process with these values.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Blanks what may be a secret in the command line that `ps` and `/proc/PID/cmdline` show. To be called after the command
/// line was copied, and while the process has one thread.
pub(crate) fn blank_secrets() {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some(place) = arguments_place(&stat) else { return };
    // SAFETY: the kernel says that the words of the command line lie there, in memory of this process that is writable
    // (its stack). The standard library keeps pointers to them and reads them only in `args_os`, which copies; no other
    // thread runs yet.
    let words = unsafe { std::slice::from_raw_parts_mut(place.start as *mut u8, place.len()) };
    blank(words);
}

/// Where the words of the command line lie: fields 48 and 49 of `/proc/PID/stat`.
fn arguments_place(stat: &str) -> Option<Range<usize>> {
    // The name, the second field, may contain anything but ends with the last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(45);
    let (start, end) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (start != 0 && start < end).then_some(start..end)
}

/// Flags whose values are secret whatever they look like.
const SECRET_FLAGS: [&[u8]; 4] = [b"--token", b"--password", b"--blockPass", b"--secret"];

/// Puts asterisks over what may be a secret in `words`, each of which ends with a NUL: tokens wherever they stand, and the
/// values of secret flags.
fn blank(words: &mut [u8]) {
    let mut follows_flag = false;
    for word in words.split_mut(|byte| *byte == 0) {
        let (name, value) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => {
                let (name, value) = word.split_at_mut(at + 1);
                (&name[..at], value)
            }
            None => (&b""[..], word),
        };
        let is_secret = follows_flag || SECRET_FLAGS.contains(&name) || is_token(value);
        follows_flag = SECRET_FLAGS.contains(&&*value);
        if is_secret && !follows_flag {
            value.fill(b'*');
        }
    }
}

fn is_token(word: &[u8]) -> bool {
    str::from_utf8(word).is_ok_and(|word| uuid::Uuid::try_parse(word).is_ok())
}

#[cfg(test)]
mod tests;
