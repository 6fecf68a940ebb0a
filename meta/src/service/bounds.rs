//! `Bounds`: what an answer about a token allows, parsed once.

use auth::{AsUser, Moment, MountFlags, Networks};
use proto::rest::TokenGrant;

use crate::engine::{FixedCaller, Identity};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Restrictions of volume and token.
    pub(crate) flags: MountFlags,
    /// When the token ends, in seconds since 1970; `i64::MAX` = never.
    pub(crate) expires: i64,
    /// Where its mounts may come from.
    pub(crate) networks: Networks,
    /// Mounts it may have; 0 = no bound.
    pub(crate) mounts_max: u32,
    /// Who all callers are, if that is laid down.
    as_user: Option<FixedCaller>,
}

impl Bounds {
    /// Reads `grant`. What is not understood is an error: leaving a restriction out would open what it closes.
    pub(crate) fn of(grant: &TokenGrant) -> Result<Self, String> {
        let as_user = AsUser::parse_optional(&grant.as_user).map_err(|error| format!("as user {error}"))?;
        Ok(Self {
            flags: MountFlags::parse(&grant.flags).map_err(|error| error.to_string())?,
            expires: grant.expires.unwrap_or(i64::MAX),
            networks: grant.networks.parse().map_err(|error: auth::BadNetwork| error.to_string())?,
            mounts_max: grant.mounts_max,
            as_user: as_user.map(|AsUser { uid, gid, groups }| FixedCaller::new(uid, gid, groups)),
        })
    }

    /// Who callers are in a session with these restrictions.
    pub(crate) fn identity(&self, flags: MountFlags) -> Identity {
        Identity::new(flags.root_squash, self.as_user.clone())
    }

    /// Why a mount cannot begin or go on at `now`, if it cannot.
    pub(crate) fn expired(&self, now: i64) -> Option<String> {
        (self.expires <= now).then(|| format!("the volume token expired at {}", Moment(self.expires)))
    }
}
