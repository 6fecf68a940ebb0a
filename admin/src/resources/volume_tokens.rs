//! Volume tokens: each opens a subtree of one volume, with flags of its own on top of the volume's.

use auth::{Moment, MountFlags};
use proto::feed::Change;
use proto::rest::{MountTarget, TokenGrant};
use proto::{Redacted, Timespec};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::volumes::{self, Volume};
use super::{checks, meta_stores};
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::db::tokens::{self, MASK, TokenKind};
use crate::db::{Columns, Tx, uuid};
use crate::feed::Note;

/// The table.
pub(crate) struct VolumeTokens;

/// A volume token.
#[derive(Serialize, ToSchema)]
pub(crate) struct VolumeToken {
    /// Names the token without opening anything.
    id: Uuid,
    volume_id: Uuid,
    /// Masked in lists, and for those that may only read.
    token: String,
    /// Subtree it opens, `/` for the whole volume.
    mount_path: String,
    /// Mount flags added to those of the volume, comma separated.
    flags: String,
    notes: String,
    /// The same in seconds since 1970.
    #[serde(skip)]
    expires: Option<i64>,
    /// When it ends; absent = never.
    expires_at: Option<String>,
    /// Mounts it may have at a time; 0 = no bound.
    max_mounts: u32,
    /// Networks that mounts may come from, CIDR blocks, comma separated; empty = any.
    allowed_networks: String,
    /// Whom all callers of its mounts count as, `UID:GID[,GID...]`; empty = whom the mount names. What the volume says
    /// goes before it.
    as_user: String,
    /// Mounts it has, as the metadata server said last.
    mounts: u32,
    /// When it was last known to have a mount; absent = never.
    last_used_at: Option<String>,
    created_at: String,
}

/// Which volume tokens to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeTokenFilter {
    id: Option<Uuid>,
    volume_id: Option<Uuid>,
    mount_path: Option<String>,
}

/// A new volume token.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVolumeToken {
    volume_id: Uuid,
    /// A UUID; made where absent.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
    /// Subtree it opens, `/` where absent.
    mount_path: Option<String>,
    #[serde(default)]
    flags: String,
    #[serde(default)]
    notes: String,
    /// When it ends: RFC 3339, or a duration from now on such as 30d; never where absent.
    expires: Option<String>,
    /// Mounts it may have at a time; no bound where absent.
    #[serde(default)]
    max_mounts: u32,
    /// Networks that mounts may come from, CIDR blocks, comma separated; any where absent.
    #[serde(default)]
    allowed_networks: String,
    /// Whom all callers of its mounts count as: `UID[:GID[,GID...]]`; whom the mount names where absent.
    #[serde(default)]
    as_user: String,
}

/// Changes of a volume token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeTokenChanges {
    mount_path: Option<String>,
    flags: Option<String>,
    notes: Option<String>,
    /// A UUID: the old token ends, and its mounts.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
    /// When it ends: RFC 3339, a duration from now on such as 30d, or never.
    expires: Option<String>,
    /// Mounts it may have at a time; 0 = no bound. Those that it has stay.
    max_mounts: Option<u32>,
    /// Networks that mounts may come from, CIDR blocks, comma separated; empty = any.
    allowed_networks: Option<String>,
    /// Whom all callers of its mounts count as: `UID[:GID[,GID...]]`; empty = whom the mount names.
    as_user: Option<String>,
}

impl Resource for VolumeTokens {
    const TABLE: &'static str = "volume-tokens";
    const ONE: &'static str = "volume token";
    const KEY: &'static [&'static str] = &["token"];
    /// The token itself, or its id.
    type Key = String;
    type Filter = VolumeTokenFilter;
    type View = VolumeToken;

    fn list(tx: &Tx<'_>, caller: &Administrator, filter: VolumeTokenFilter) -> Result<Vec<VolumeToken>, ApiError> {
        Columns::default()
            .with_some("account_id", caller.confined_to())
            .with_some("id", filter.id.map(|id| id.to_string()))
            .with_some("volume_id", filter.volume_id.map(|id| id.to_string()))
            .with_some("mount_path", filter.mount_path)
            .select(tx, "owned_volume_tokens", "created_at, id", read)
    }

    fn show(tx: &Tx<'_>, caller: &Administrator, token_or_id: &String) -> Result<VolumeToken, ApiError> {
        let id = match tokens::find(tx, TokenKind::Volume, token_or_id)? {
            Some(id) => Some(id),
            None => Uuid::try_parse(token_or_id).ok(),
        };
        let found = match id {
            Some(id) => {
                let key = key(id).with_some("account_id", caller.confined_to());
                key.find(tx, "owned_volume_tokens", read)?
            }
            None => None,
        };
        // The key may be a token of somebody else's: it is not repeated.
        let found = found.ok_or_else(|| ApiError::not_found(Self::ONE, "with this token or id"))?;
        if !caller.sees_tokens() {
            return Ok(found);
        }
        Ok(VolumeToken { token: tokens::reveal(tx, TokenKind::Volume, found.id)?, ..found })
    }
}

impl Editable for VolumeTokens {
    const FIXED: &'static [&'static str] = &["id", "volume_id", "expires_at", "mounts", "last_used_at", "created_at"];
    type New = NewVolumeToken;
    type Changes = VolumeTokenChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewVolumeToken) -> Result<VolumeToken, ApiError> {
        let volume = volumes::living(tx, new.volume_id)?;
        match volume {
            Some(volume) if caller.is_owner() || volume.account_id == caller.id => {}
            _ => {
                let message = format!("`volume_id` {}: there is no such volume, or it is retired", new.volume_id);
                return Err(ApiError::bad(message));
            }
        }
        let id = insert(tx, new)?;
        Self::show(tx, caller, &id.to_string())
    }

    fn update(
        tx: &Tx<'_>,
        caller: &Administrator,
        key_text: &String,
        changes: VolumeTokenChanges,
    ) -> Result<(), ApiError> {
        let id = Self::show(tx, caller, key_text)?.id;
        let mut columns = Columns::default();
        // A change may repeat the token.
        if let Some(wanted) = &changes.token
            && tokens::find(tx, TokenKind::Volume, &wanted.0)? != Some(id)
        {
            let token = tokens::choose(tx, TokenKind::Volume, Some(wanted))?;
            columns = columns.and(tokens::columns(tx, TokenKind::Volume, id, &token));
        }
        if let Some(text) = &changes.expires {
            columns = columns.with("expires", checks::expiry(text, now())?);
        }
        columns
            .with_some("mount_path", changes.mount_path.map(|path| checks::mount_path(&path)).transpose()?)
            .with_some("flags", changes.flags.map(|flags| checks::flags(&flags)).transpose()?)
            .with_some("notes", changes.notes.map(checks::notes).transpose()?)
            .with_some("max_mounts", changes.max_mounts)
            .with_some("allowed_networks", changes.allowed_networks.map(|list| checks::networks(&list)).transpose()?)
            .with_some("as_user", changes.as_user.map(|text| checks::as_user(&text)).transpose()?)
            .update(tx, "volume_tokens", key(id))?;
        tx.note(Note::Changed(Change::TokenChanged(id)));
        Ok(())
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, key_text: &String) -> Result<(), ApiError> {
        let id = Self::show(tx, caller, key_text)?.id;
        tx.note(Note::Changed(Change::TokenGone(id)));
        key(id).delete(tx, "volume_tokens").map(drop)
    }
}

/// Makes the token that comes with a new volume. Returns its id and itself.
pub(super) fn first_token(tx: &Tx<'_>, volume_id: Uuid) -> Result<(Uuid, String), ApiError> {
    let new = NewVolumeToken { volume_id, ..NewVolumeToken::default() };
    let id = insert(tx, new)?;
    Ok((id, tokens::reveal(tx, TokenKind::Volume, id)?))
}

/// What the holder of the token `id` mounts; `None` if its volume is retired.
pub(crate) fn mount_target(tx: &Tx<'_>, id: Uuid) -> Result<Option<MountTarget>, ApiError> {
    let Some((token, volume)) = opened(tx, id)? else { return Ok(None) };
    if let Some(expires_at) = token.expires.filter(|expires| *expires <= now().0).and(token.expires_at.as_ref()) {
        return Err(ApiError::unauthorized(format!("the volume token expired at {expires_at}")));
    }
    let (meta_addr, meta_fingerprint) = meta_stores::place(tx, volume.meta_store_id)?
        .ok_or_else(|| ApiError::internal("a volume without meta store", &volume.id))?;
    Ok(Some(MountTarget {
        volume_id: volume.id,
        flags: flags_of_both(&token, &volume)?,
        volume_name: volume.name,
        meta_addr,
        meta_fingerprint,
        mount_path: token.mount_path,
    }))
}

/// What `token` opens at the metadata server `store`; `None` if nothing.
pub(crate) fn grant(tx: &Tx<'_>, store: Uuid, token: &Redacted) -> Result<Option<TokenGrant>, ApiError> {
    let Some(id) = tokens::find(tx, TokenKind::Volume, &token.0)? else { return Ok(None) };
    match opened(tx, id)? {
        Some((token, volume)) if volume.meta_store_id == store => Ok(Some(TokenGrant {
            token_id: id,
            account_id: volume.account_id,
            volume: volumes::settings(tx, &volume)?,
            flags: flags_of_both(&token, &volume)?,
            expires: token.expires,
            mounts_max: token.max_mounts,
            networks: token.allowed_networks,
            // The volume's policy holds for all its tokens.
            as_user: if volume.as_user.is_empty() { token.as_user } else { volume.as_user },
            mount_path: token.mount_path,
        })),
        _ => Ok(None),
    }
}

/// The token `id` with its volume, if that lives.
fn opened(tx: &Tx<'_>, id: Uuid) -> Result<Option<(VolumeToken, Volume)>, ApiError> {
    let Some(token) = key(id).find(tx, "volume_tokens", read)? else { return Ok(None) };
    let volume = volumes::living(tx, token.volume_id)?;
    Ok(volume.map(|volume| (token, volume)))
}

fn flags_of_both(token: &VolumeToken, volume: &Volume) -> Result<String, ApiError> {
    // Checked when they were stored, so an unknown one is of a newer program: nothing may be opened without it.
    let flags = |list: &str| MountFlags::parse(list).map_err(|error| ApiError::internal("stored flags", &error));
    Ok(flags(&volume.flags)?.union(flags(&token.flags)?).to_string())
}

fn insert(tx: &Tx<'_>, new: NewVolumeToken) -> Result<Uuid, ApiError> {
    let id = Uuid::new_v4();
    let token = tokens::choose(tx, TokenKind::Volume, new.token.as_ref())?;
    key(id)
        .with("volume_id", new.volume_id.to_string())
        .with("mount_path", checks::mount_path(new.mount_path.as_deref().unwrap_or("/"))?)
        .with("flags", checks::flags(&new.flags)?)
        .with("notes", checks::notes(new.notes)?)
        .with("expires", new.expires.map(|text| checks::expiry(&text, now())).transpose()?.flatten())
        .with("max_mounts", new.max_mounts)
        .with("allowed_networks", checks::networks(&new.allowed_networks)?)
        .with("as_user", checks::as_user(&new.as_user)?)
        .and(tokens::columns(tx, TokenKind::Volume, id, &token))
        .insert(tx, "volume_tokens")?;
    // Somebody may have tried it before it was made, and be remembered as wrong.
    tx.note(Note::Changed(Change::TokenChanged(id)));
    Ok(id)
}

fn now() -> Moment {
    Moment(Timespec::from_system_time(std::time::SystemTime::now()).secs)
}

fn key(id: Uuid) -> Columns {
    Columns::default().with("id", id.to_string())
}

fn read(row: &Row<'_>) -> rusqlite::Result<VolumeToken> {
    let expires: Option<i64> = row.get("expires")?;
    Ok(VolumeToken {
        id: uuid(row, "id")?,
        volume_id: uuid(row, "volume_id")?,
        token: MASK.to_owned(),
        mount_path: row.get("mount_path")?,
        flags: row.get("flags")?,
        notes: row.get("notes")?,
        expires,
        expires_at: expires.map(|seconds| Moment(seconds).to_string()),
        max_mounts: row.get("max_mounts")?,
        allowed_networks: row.get("allowed_networks")?,
        as_user: row.get("as_user")?,
        mounts: row.get("mounts")?,
        last_used_at: row.get("last_used_at")?,
        created_at: row.get("created_at")?,
    })
}
