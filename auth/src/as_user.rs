//! `AsUser`: the user that every caller of a mount counts as, whoever it is on its host.

use std::fmt;
use std::str::FromStr;

/// Groups of a user, its primary one included.
const GROUPS_MAX: usize = 64;

/// A user with its groups, as numbers of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsUser {
    /// The user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its other groups, at most 63, each once.
    pub groups: Vec<u32>,
}

/// Text that names no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAsUser {
    /// Something else than numbers.
    #[error("{0:?}: UID[:GID[,GID...]] is needed, numbers from 0 to {max} such as 1000:1000,2000", max = u32::MAX)]
    Text(String),
    /// Too many groups.
    #[error("{0} groups are given: at most {GROUPS_MAX} are kept")]
    TooMany(usize),
}

impl AsUser {
    /// Reads `UID[:GID[,GID...]]`; the empty text is nobody in particular.
    pub fn parse_optional(text: &str) -> Result<Option<Self>, BadAsUser> {
        if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
    }

    /// The text in the usual form; the empty one stays.
    pub fn usual_form(text: &str) -> Result<String, BadAsUser> {
        Ok(Self::parse_optional(text)?.map(|user| user.to_string()).unwrap_or_default())
    }
}

impl FromStr for AsUser {
    type Err = BadAsUser;

    /// Reads `UID[:GID[,GID...]]`. The first group is the primary one; where none is given it has the user's number.
    fn from_str(text: &str) -> Result<Self, BadAsUser> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten().ok_or_else(|| BadAsUser::Text(shortened(text)))
        };
        let (uid, groups) = text.split_once(':').map_or((text, None), |(uid, groups)| (uid, Some(groups)));
        let uid = number(uid)?;
        let Some(list) = groups else { return Ok(Self { uid, gid: uid, groups: Vec::new() }) };
        let count = list.split(',').count();
        if count > GROUPS_MAX {
            return Err(BadAsUser::TooMany(count));
        }
        let mut all = list.split(',').map(number);
        let gid = all.next().unwrap_or_else(|| number(""))?;
        let mut groups = Vec::new();
        for group in all {
            let group = group?;
            if group != gid && !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(Self { uid, gid, groups })
    }
}

impl fmt::Display for AsUser {
    /// The text that is read as this user, its primary group always among it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)?;
        self.groups.iter().try_for_each(|group| write!(f, ",{group}"))
    }
}

/// What of a wrong text is worth showing.
fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
