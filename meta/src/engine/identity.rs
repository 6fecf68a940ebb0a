//! `Identity`: whom a session's callers are to the engine. Ids come from the mounting host, which may say anything; where a
//! policy is set, it is this that decides, and nothing in a request gets round it.

use std::borrow::Cow;
use std::sync::Arc;

use proto::{Attr, Caller};

use super::permit;

/// User and group that the superuser and its group count as where they are squashed.
pub const NOBODY: u32 = 65_534;

/// The one user that all callers of a session are, with all its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedCaller(Arc<Caller>);

impl FixedCaller {
    /// The user `uid` with the primary group `gid` and `groups` besides.
    #[must_use]
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Self(Arc::new(Caller { uid, gid, groups: Some(groups) }))
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    squash_root: bool,
    fixed: Option<FixedCaller>,
}

impl Identity {
    /// Callers are whom the mount names.
    pub const CLAIMED: Self = Self { squash_root: false, fixed: None };

    /// Callers are `fixed` where that is given. Where `squash_root` is set, whoever would then be the superuser, or in
    /// its group, is [`NOBODY`] instead.
    #[must_use]
    pub const fn new(squash_root: bool, fixed: Option<FixedCaller>) -> Self {
        Self { squash_root, fixed }
    }

    /// Whether the mount's word is not all that counts.
    #[must_use]
    pub const fn is_policy(&self) -> bool {
        self.squash_root || self.fixed.is_some()
    }

    /// Whether all callers are one user.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        self.fixed.is_some()
    }

    /// Whom the caller that a mount names counts as. Allocates only where somebody is squashed.
    #[must_use]
    pub fn of<'a>(&'a self, claimed: &'a Caller) -> Cow<'a, Caller> {
        let caller = self.fixed.as_ref().map_or(claimed, |fixed| &fixed.0);
        if self.squash_root && is_of_root(caller) { Cow::Owned(squashed(caller)) } else { Cow::Borrowed(caller) }
    }

    /// Whether a caller of the session may be the superuser.
    pub(super) fn may_be_superuser(&self) -> bool {
        match &self.fixed {
            Some(fixed) => self.of(&fixed.0).uid == 0,
            None => !self.squash_root,
        }
    }

    /// Whether a caller of the session may be the owner of a file with these attributes, or the superuser.
    fn may_own(&self, attr: &Attr) -> bool {
        match &self.fixed {
            Some(fixed) => permit::owns(attr, &self.of(&fixed.0)),
            None => !self.squash_root || attr.uid != 0,
        }
    }

    /// Whether a caller of the session may have opened a file with these attributes, for writing if `write`: for words of
    /// a mount that name no caller. The owner may have, whatever the bits say now.
    pub(super) fn may_have_opened(&self, attr: &Attr, write: bool) -> bool {
        let is_granted = |class: u16| attr.perm >> class & if write { 0o2 } else { 0o5 } != 0;
        match &self.fixed {
            Some(fixed) => {
                let is_member = permit::in_group(&self.of(&fixed.0), attr.gid).unwrap_or(false);
                self.may_own(attr) || is_granted(if is_member { 3 } else { 0 })
            }
            // Any user but the superuser, in any groups but the superuser's.
            None => self.may_own(attr) || is_granted(0) || attr.gid != 0 && is_granted(3),
        }
    }
}

fn is_of_root(caller: &Caller) -> bool {
    caller.uid == 0 || caller.gid == 0 || caller.groups.as_ref().is_some_and(|groups| groups.contains(&0))
}

fn squashed(caller: &Caller) -> Caller {
    let squash = |id: u32| if id == 0 { NOBODY } else { id };
    let groups = caller.groups.as_ref().map(|groups| groups.iter().copied().map(squash).collect());
    Caller { uid: squash(caller.uid), gid: squash(caller.gid), groups }
}

#[cfg(test)]
mod tests;
