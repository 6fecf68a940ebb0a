//! A program that holds files and locks, as it is told line by line on its standard input. It answers each line with one.
//!
//! `open NAME PATH ro|rw|append`, `close NAME`, `lock NAME KIND sh|ex START LEN try|wait`, `unlock NAME KIND START LEN`,
//! `test NAME KIND sh|ex START LEN`, `alarm MILLISECONDS`, `read NAME OFFSET LEN`, `write NAME OFFSET TEXT`,
//! `append NAME TEXT`, `count NAME KIND TIMES`. KIND is `range` (of the process), `ofd` (of the open file) or `whole`
//! (flock); LEN 0 goes up to the end. Refusals are answered with the name of the error.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

fn main() -> io::Result<()> {
    let mut files = HashMap::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match perform(&mut files, &words) {
            Ok(answer) => answer,
            Err(error) => error.raw_os_error().map_or_else(|| error.to_string(), name),
        };
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}

fn perform(files: &mut HashMap<String, File>, words: &[&str]) -> io::Result<String> {
    let done = || Ok("ok".to_owned());
    match words {
        ["open", name, path, how] => {
            let mut options = File::options();
            let options = match *how {
                "ro" => options.read(true),
                "append" => options.append(true).create(true),
                _ => options.read(true).write(true).create(true).truncate(false),
            };
            files.insert((*name).to_owned(), options.open(path)?);
            done()
        }
        ["close", name] => {
            files.remove(*name);
            done()
        }
        ["lock", name, kind, how, start, len, patience] => {
            let file = file(files, name)?;
            lock(file, kind, Some(*how == "ex"), (number(start)?, number(len)?), *patience == "wait")?;
            done()
        }
        ["unlock", name, kind, start, len] => {
            lock(file(files, name)?, kind, None, (number(start)?, number(len)?), false)?;
            done()
        }
        ["test", name, kind, how, start, len] => {
            test(file(files, name)?, kind, *how == "ex", (number(start)?, number(len)?))
        }
        ["alarm", milliseconds] => alarm(number(milliseconds)?).and_then(|()| done()),
        ["read", name, offset, len] => {
            let mut bytes = vec![0; number(len)? as usize];
            let read = file(files, name)?.read_at(&mut bytes, number(offset)? as u64)?;
            Ok(String::from_utf8_lossy(&bytes[..read]).into_owned())
        }
        ["write", name, offset, text] => {
            file(files, name)?.write_all_at(text.as_bytes(), number(offset)? as u64)?;
            done()
        }
        ["append", name, text] => {
            let mut file = file(files, name)?;
            file.write_all(text.as_bytes())?;
            done()
        }
        ["count", name, kind, times] => count(file(files, name)?, kind, number(times)?).and_then(|()| done()),
        _ => Err(io::Error::other("not understood")),
    }
}

/// Adds one to the number at the beginning of a file, so many times, each under a lock.
fn count(file: &File, kind: &str, times: i64) -> io::Result<()> {
    for _ in 0..times {
        lock(file, kind, Some(true), (0, 0), true)?;
        let mut digits = [0; 8];
        let read = file.read_at(&mut digits, 0)?;
        let counted: u64 = String::from_utf8_lossy(&digits[..read]).parse().unwrap_or(0);
        file.write_all_at(format!("{:08}", counted + 1).as_bytes(), 0)?;
        lock(file, kind, None, (0, 0), false)?;
    }
    Ok(())
}

/// Takes a lock, `exclusive` or shared, or gives it up.
fn lock(file: &File, kind: &str, exclusive: Option<bool>, range: (i64, i64), waits: bool) -> io::Result<()> {
    if kind == "whole" {
        let operation =
            exclusive.map_or(libc::LOCK_UN, |exclusive| if exclusive { libc::LOCK_EX } else { libc::LOCK_SH });
        let patience = if waits { 0 } else { libc::LOCK_NB };
        // SAFETY: the descriptor is open as long as `file` is borrowed; flock touches no memory.
        return result(unsafe { libc::flock(file.as_raw_fd(), operation | patience) });
    }
    let command = match (kind, waits) {
        ("ofd", true) => libc::F_OFD_SETLKW,
        ("ofd", false) => libc::F_OFD_SETLK,
        (_, true) => libc::F_SETLKW,
        (_, false) => libc::F_SETLK,
    };
    let mut asked = flock(exclusive, range);
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the structure lives longer than the call.
    result(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut asked) })
}

/// What stands against a lock.
fn test(file: &File, kind: &str, exclusive: bool, range: (i64, i64)) -> io::Result<String> {
    let command = if kind == "ofd" { libc::F_OFD_GETLK } else { libc::F_GETLK };
    let mut asked = flock(Some(exclusive), range);
    // SAFETY: as in `lock`.
    result(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut asked) })?;
    if i32::from(asked.l_type) == libc::F_UNLCK {
        return Ok("free".to_owned());
    }
    let how = if i32::from(asked.l_type) == libc::F_WRLCK { "ex" } else { "sh" };
    Ok(format!("{how} {} {} {}", asked.l_start, asked.l_len, asked.l_pid))
}

fn flock(exclusive: Option<bool>, (start, len): (i64, i64)) -> libc::flock {
    let kind = exclusive.map_or(libc::F_UNLCK, |exclusive| if exclusive { libc::F_WRLCK } else { libc::F_RDLCK });
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: start, l_len: len, l_pid: 0 }
}

/// Has the process interrupted in a while: by a signal whose handler does nothing.
fn alarm(milliseconds: i64) -> io::Result<()> {
    extern "C" fn ignore(_: i32) {}
    // SAFETY: all zeroes is an empty mask without flags; the handler touches nothing.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = ignore as *const () as usize;
    let value = libc::timeval { tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000 };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: both structures live longer than the calls.
    unsafe {
        result(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()))?;
        result(libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()))
    }
}

fn result(returned: i32) -> io::Result<()> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn file<'a>(files: &'a HashMap<String, File>, name: &str) -> io::Result<&'a File> {
    files.get(name).ok_or_else(|| io::Error::other("no such file was opened"))
}

fn number(word: &str) -> io::Result<i64> {
    word.parse().map_err(|_| io::Error::other("not a number"))
}

fn name(errno: i32) -> String {
    let known = [
        (libc::EAGAIN, "EAGAIN"),
        (libc::EACCES, "EACCES"),
        (libc::EBADF, "EBADF"),
        (libc::EDEADLK, "EDEADLK"),
        (libc::EINTR, "EINTR"),
        (libc::EIO, "EIO"),
        (libc::ENOLCK, "ENOLCK"),
        (libc::EROFS, "EROFS"),
        (libc::ESTALE, "ESTALE"),
    ];
    known.iter().find(|(number, _)| *number == errno).map_or_else(|| errno.to_string(), |(_, name)| (*name).to_owned())
}
