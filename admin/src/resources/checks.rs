//! What values are accepted. Each check returns the value in its usual form or says what would be right.

use auth::{AsUser, Moment, MountFlags, Networks};
use proto::{BLOCK_SIZE_MAX, BLOCK_SIZE_MIN, NAME_MAX};

use crate::api::ApiError;

/// Longest label, address, prefix and e-mail address in bytes.
const TEXT_MAX: usize = 255;
/// Longest notes in bytes.
const NOTES_MAX: usize = 4096;
/// Longest path in bytes (Linux `PATH_MAX` less the NUL).
const PATH_MAX: usize = 4095;

/// A short line for people: the name of an account, a provider, a region.
pub(super) fn label(field: &str, text: String) -> Result<String, ApiError> {
    if text.is_empty() || text.len() > TEXT_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::bad(format!("`{field}` {text:?}: a line of 1 to {TEXT_MAX} bytes is needed")));
    }
    Ok(text)
}

/// A code in paths: of a provider or a region.
pub(super) fn code(field: &str, text: String) -> Result<String, ApiError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return Err(ApiError::bad(format!("`{field}` {text:?}: 1 to 64 of a-z, 0-9 and - are needed")));
    }
    Ok(text)
}

/// The name of a volume, or of a bucket that is a folder: it stands in fstab, in file names and in paths.
pub(super) fn file_name(field: &str, text: String) -> Result<String, ApiError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(fits) {
        let needed = "1 to 64 of A-Z, a-z, 0-9, - _ . are needed, the first a letter or digit";
        return Err(ApiError::bad(format!("`{field}` {text:?}: {needed}")));
    }
    Ok(text)
}

/// An e-mail address, or none.
pub(super) fn email(text: String) -> Result<String, ApiError> {
    let is_address = text.len() <= TEXT_MAX && !text.chars().any(|c| c.is_control() || c == ' ') && text.contains('@');
    if text.is_empty() || is_address {
        return Ok(text);
    }
    Err(ApiError::bad(format!("`email` {text:?}: NAME@HOST of at most {TEXT_MAX} bytes is needed, or nothing")))
}

/// Text of one's own.
pub(super) fn notes(text: String) -> Result<String, ApiError> {
    if text.len() > NOTES_MAX {
        return Err(ApiError::bad(format!("`notes` has {} bytes: at most {NOTES_MAX} are kept", text.len())));
    }
    Ok(text)
}

/// `host:port`.
pub(super) fn host_and_port(text: String) -> Result<String, ApiError> {
    let is_host = |host: &str| {
        !host.is_empty()
            && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']'))
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    match text.rsplit_once(':') {
        Some((host, port)) if text.len() <= TEXT_MAX && is_host(host) && is_port(port) => Ok(text),
        _ => Err(ApiError::bad(format!("`address` {text:?}: HOST:PORT is needed, such as meta.example.com:443"))),
    }
}

/// The folder of a `local` block store.
pub(super) fn folder(text: String) -> Result<String, ApiError> {
    if !text.starts_with('/')
        || text.len() > PATH_MAX
        || text.contains('\0')
        || text.split('/').any(|part| part == "..")
    {
        return Err(ApiError::bad(format!("`address` {text:?}: a `local` store needs an absolute path without `..`")));
    }
    Ok(text)
}

/// What is put before every key of a block store: a relative path or nothing.
pub(super) fn prefix(text: String) -> Result<String, ApiError> {
    let is_path = text.split('/').all(|part| file_name("prefix", part.to_owned()).is_ok());
    if text.is_empty() || (text.len() <= TEXT_MAX && is_path) {
        return Ok(text);
    }
    Err(ApiError::bad(format!("`prefix` {text:?}: names parted by `/` are needed, such as team/a, or nothing")))
}

/// Mount flags, as the shortest list.
pub(super) fn flags(list: &str) -> Result<String, ApiError> {
    let flags = MountFlags::parse(list).map_err(|error| ApiError::bad(format!("`flags`: {error}")))?;
    Ok(flags.to_string())
}

/// Networks, in their usual form; empty = all.
pub(super) fn networks(list: &str) -> Result<String, ApiError> {
    let networks: Networks = list.parse().map_err(|error| ApiError::bad(format!("`allowed_networks`: {error}")))?;
    Ok(networks.to_string())
}

/// Whom callers count as, in the usual form; empty = whom the mount names.
pub(super) fn as_user(text: &str) -> Result<String, ApiError> {
    AsUser::usual_form(text).map_err(|error| ApiError::bad(format!("`as_user` {error}")))
}

/// When something ends, in seconds since 1970: RFC 3339, a duration from `now` on, or `never`.
pub(super) fn expiry(text: &str, now: Moment) -> Result<Option<i64>, ApiError> {
    let expiry = Moment::parse_expiry(text, now).map_err(|error| ApiError::bad(format!("`expires`: {error}")))?;
    Ok(expiry.map(|moment| moment.0))
}

/// Bytes in a block.
pub(super) fn block_size(bytes: u32) -> Result<u32, ApiError> {
    if !bytes.is_power_of_two() || !(BLOCK_SIZE_MIN..=BLOCK_SIZE_MAX).contains(&bytes) {
        let needed = format!("a power of two from {BLOCK_SIZE_MIN} to {BLOCK_SIZE_MAX} is needed");
        return Err(ApiError::bad(format!("`block_size` {bytes}: {needed}")));
    }
    Ok(bytes)
}

/// Seconds that replaced data is kept.
pub(super) fn retention(seconds: i64) -> Result<i64, ApiError> {
    if seconds < -1 {
        return Err(ApiError::bad(format!("`retention` {seconds}: seconds are needed, or -1 for ever")));
    }
    Ok(seconds)
}

/// A quota: 0 = none.
pub(super) fn quota(field: &str, count: u64) -> Result<i64, ApiError> {
    i64::try_from(count).map_err(|_| ApiError::bad(format!("`{field}` {count}: at most {} is possible", i64::MAX)))
}

/// The subtree a token opens: an absolute path, without a slash at its end.
pub(super) fn mount_path(text: &str) -> Result<String, ApiError> {
    let bad = |why: &str| {
        Err(ApiError::bad(format!("`mount_path` {text:?} {why}: an absolute path is needed, such as /team/a")))
    };
    if text == "/" {
        return Ok("/".to_owned());
    }
    if text.len() > PATH_MAX {
        return bad("is too long");
    }
    let Some(relative) = text.strip_prefix('/') else { return bad("does not begin with `/`") };
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    for part in relative.split('/') {
        match part {
            "" => return bad("has an empty part"),
            "." | ".." => return bad("has a part `.` or `..`"),
            part if part.len() > NAME_MAX || part.contains('\0') => return bad("has a part that is no file name"),
            _ => {}
        }
    }
    Ok(format!("/{relative}"))
}

#[cfg(test)]
mod tests;
