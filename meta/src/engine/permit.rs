//! Permission bits: who may do what, as POSIX and Linux say. The caller 0 has the capabilities of the superuser.
//!
//! Supplementary groups are left out of most requests. Where they would change the answer and are missing, the answer is
//! [`Refused::NeedGroups`].

use proto::{Access, Attr, Caller, Errno, FileKind, Refused};

use super::error::Outcome;

/// Permission to read.
pub(super) const READ: u16 = 4;
/// Permission to write.
pub(super) const WRITE: u16 = 2;
/// Permission to execute or search.
pub(super) const EXECUTE: u16 = 1;

/// Set-user-id bit.
pub(super) const SET_UID: u16 = 0o4000;
/// Set-group-id bit.
pub(super) const SET_GID: u16 = 0o2000;
/// Sticky bit.
pub(super) const STICKY: u16 = 0o1000;
/// Execution by the group.
pub(super) const GROUP_EXECUTE: u16 = 0o010;

/// The permissions that an access needs.
pub(super) fn wanted(access: Access) -> u16 {
    let wants = [(access.read, READ), (access.write, WRITE), (access.execute, EXECUTE)];
    wants.into_iter().filter(|(wanted, _)| *wanted).fold(0, |bits, (_, bit)| bits | bit)
}

/// Whether the caller may do all of `want`: else `EACCES`.
pub(super) fn access(attr: &Attr, caller: &Caller, want: u16) -> Outcome<()> {
    if permits(attr, caller, want)? { Ok(()) } else { Err(Errno::EACCES.into()) }
}

pub(super) fn permits(attr: &Attr, caller: &Caller, want: u16) -> Outcome<bool> {
    if caller.uid == 0 {
        let nobody_executes = attr.kind != FileKind::Directory && attr.perm & 0o111 == 0;
        return Ok(want & EXECUTE == 0 || !nobody_executes);
    }
    let grants = |shift: u16| (attr.perm >> shift) & want == want;
    if caller.uid == attr.uid {
        return Ok(grants(6));
    }
    if grants(3) == grants(0) {
        return Ok(grants(0));
    }
    Ok(if in_group(caller, attr.gid)? { grants(3) } else { grants(0) })
}

/// Whether the caller is in a group.
pub(super) fn in_group(caller: &Caller, gid: u32) -> Outcome<bool> {
    match &caller.groups {
        _ if caller.gid == gid => Ok(true),
        Some(groups) => Ok(groups.contains(&gid)),
        None => Err(Refused::NeedGroups.into()),
    }
}

/// Whether the caller may act as the owner.
pub(super) fn owns(attr: &Attr, caller: &Caller) -> bool {
    caller.uid == 0 || caller.uid == attr.uid
}

/// Whether the caller may take a name of `victim` out of `dir`: write and search permission, and in a sticky directory
/// one of the two files must be its own.
pub(super) fn removal(dir: &Attr, victim: &Attr, caller: &Caller) -> Outcome<()> {
    access(dir, caller, WRITE | EXECUTE)?;
    if dir.perm & STICKY != 0 && !owns(dir, caller) && !owns(victim, caller) {
        return Err(Errno::EPERM.into());
    }
    Ok(())
}

/// Permission bits without those that give rights of the owner or the group to whoever executes the file.
pub(super) fn without_privileges(attr: &Attr) -> u16 {
    if attr.kind == FileKind::Directory {
        return attr.perm;
    }
    let keeps_set_gid = attr.perm & GROUP_EXECUTE == 0;
    attr.perm & !SET_UID & if keeps_set_gid { !0 } else { !SET_GID }
}

#[cfg(test)]
mod tests;
