//! Accounts: who administers. The root account manages all others, owners those that are no owners; every account sees
//! itself and may give itself another token.

use auth::{AccountToken, Secret};
use proto::Redacted;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{checks, volumes};
use crate::api::{Administrator, ApiError, Editable, Resource, Role};
use crate::db::tokens::{self, MASK, TokenKind};
use crate::db::{Columns, Tx, uuid};

/// The table.
pub(crate) struct Accounts;

/// An account.
#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    id: Uuid,
    name: String,
    /// Empty where none was given.
    email: String,
    /// Whether it is the one that nobody else manages.
    root: bool,
    /// What it may do.
    role: Role,
    /// Masked in lists, and of accounts that the caller does not manage.
    token: String,
    created_at: String,
}

/// Which accounts to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountFilter {
    id: Option<Uuid>,
    name: Option<String>,
    email: Option<String>,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    name: String,
    #[serde(default)]
    email: String,
    /// `tenant` where absent; `owner` is for the root account to give.
    role: Option<Role>,
    /// A UUID; made where absent.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
}

/// Changes of an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountChanges {
    name: Option<String>,
    email: Option<String>,
    role: Option<Role>,
    /// A UUID: the old token ends.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
}

impl Resource for Accounts {
    const TABLE: &'static str = "accounts";
    const ONE: &'static str = "account";
    const KEY: &'static [&'static str] = &["id"];
    type Key = Uuid;
    type Filter = AccountFilter;
    type View = Account;

    fn list(tx: &Tx<'_>, caller: &Administrator, filter: AccountFilter) -> Result<Vec<Account>, ApiError> {
        Columns::default()
            .with_some("id", caller.confined_to())
            .with_some("id", filter.id.map(|id| id.to_string()))
            .with_some("name", filter.name)
            .with_some("email", filter.email)
            .select(tx, "accounts", "created_at, name", read)
    }

    fn show(tx: &Tx<'_>, caller: &Administrator, id: &Uuid) -> Result<Account, ApiError> {
        let found =
            key(*id).with_some("id", caller.confined_to()).find(tx, "accounts", read)?.ok_or_else(|| missing(*id))?;
        if !manages(caller, &found) && *id != caller.id {
            return Ok(found);
        }
        Ok(Account { token: tokens::reveal(tx, TokenKind::Account, *id)?, ..found })
    }
}

impl Editable for Accounts {
    const FIXED: &'static [&'static str] = &["id", "root", "created_at"];
    type New = NewAccount;
    type Changes = AccountChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewAccount) -> Result<Account, ApiError> {
        caller.must_own()?;
        let id = Uuid::new_v4();
        let token = tokens::choose(tx, TokenKind::Account, new.token.as_ref())?;
        key(id)
            .with("name", free_name(tx, new.name, None)?)
            .with("email", checks::email(new.email)?)
            .with("root", false)
            .with("role", may_give(caller, new.role.unwrap_or(Role::Tenant))?)
            .and(tokens::columns(tx, TokenKind::Account, id, &token))
            .insert(tx, "accounts")?;
        Self::show(tx, caller, &id)
    }

    fn update(tx: &Tx<'_>, caller: &Administrator, id: &Uuid, changes: AccountChanges) -> Result<(), ApiError> {
        let account = key(*id).find(tx, "accounts", read)?.ok_or_else(|| missing(*id))?;
        let manages = manages(caller, &account);
        if !manages && *id != caller.id {
            return Err(not_managed());
        }
        if !manages && (changes.name.is_some() || changes.role.is_some()) {
            return Err(ApiError::forbidden("an account changes its own e-mail address and token, nothing else"));
        }
        if account.root && changes.role.is_some_and(|role| role != Role::Owner) {
            return Err(ApiError::conflict("the root account is an owner"));
        }
        let mut columns = Columns::default()
            .with_some("name", changes.name.map(|name| free_name(tx, name, Some(*id))).transpose()?)
            .with_some("email", changes.email.map(checks::email).transpose()?)
            .with_some("role", changes.role.map(|role| may_give(caller, role)).transpose()?);
        if let Some(wanted) = &changes.token {
            if account.root {
                // The credentials file of the server would set the old one again at its next start.
                let how = "run `admin.flexfs init creds --force` and start the server again";
                return Err(ApiError::bad(format!("`token` of the root account lies in its credentials file: {how}")));
            }
            let token = tokens::choose(tx, TokenKind::Account, Some(wanted))?;
            columns = columns.and(tokens::columns(tx, TokenKind::Account, *id, &token));
        }
        columns.update(tx, "accounts", key(*id)).map(drop)
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, id: &Uuid) -> Result<(), ApiError> {
        let account = key(*id).find(tx, "accounts", read)?.ok_or_else(|| missing(*id))?;
        if account.root && caller.root {
            return Err(ApiError::conflict("the root account cannot be deleted"));
        }
        if !manages(caller, &account) {
            return Err(not_managed());
        }
        volumes::retire_those_of(tx, *id)?;
        key(*id).delete(tx, "accounts").map(drop)
    }
}

/// Whether `caller` may do with `account` as it likes: the root account with every one, an owner with those that are none.
fn manages(caller: &Administrator, account: &Account) -> bool {
    caller.root || (caller.is_owner() && account.role != Role::Owner)
}

fn not_managed() -> ApiError {
    ApiError::forbidden("only an owner or the root account may do this; of an owner, the root account alone")
}

/// The name of a role that `caller` may give to others.
fn may_give(caller: &Administrator, role: Role) -> Result<String, ApiError> {
    if role == Role::Owner && !caller.root {
        return Err(ApiError::forbidden("only the root account makes owners"));
    }
    Ok(role.name().to_owned())
}

/// Makes sure that there is a root account and that it has this token. False where another account has the token.
pub(crate) fn ensure_root(tx: &Tx<'_>, token: &AccountToken) -> Result<bool, ApiError> {
    let root = Columns::default().with("root", true).find(tx, "accounts", |row| uuid(row, "id"))?;
    if let Some(holder) = tokens::find(tx, TokenKind::Account, token.expose())? {
        return Ok(root == Some(holder));
    }
    let token = Secret::new(token.expose().to_owned());
    match root {
        Some(id) => {
            tokens::columns(tx, TokenKind::Account, id, &token).update(tx, "accounts", key(id))?;
        }
        None => {
            let id = Uuid::new_v4();
            key(id)
                .with("name", "root".to_owned())
                .with("email", String::new())
                .with("root", true)
                .with("role", Role::Owner.name().to_owned())
                .and(tokens::columns(tx, TokenKind::Account, id, &token))
                .insert(tx, "accounts")?;
        }
    }
    Ok(true)
}

/// A name that no other account has.
fn free_name(tx: &Tx<'_>, name: String, own: Option<Uuid>) -> Result<String, ApiError> {
    let name = checks::label("name", name)?;
    let holder = Columns::default().with("name", name.clone()).find(tx, "accounts", |row| uuid(row, "id"))?;
    match holder {
        Some(holder) if own != Some(holder) => Err(ApiError::conflict(format!("account name {name:?} is taken"))),
        _ => Ok(name),
    }
}

/// Checks that an account exists.
pub(super) fn must_exist(tx: &Tx<'_>, id: Uuid) -> Result<(), ApiError> {
    match key(id).count(tx, "accounts")? {
        0 => Err(ApiError::bad(format!("`account_id` {id}: there is no such account"))),
        _ => Ok(()),
    }
}

fn key(id: Uuid) -> Columns {
    Columns::default().with("id", id.to_string())
}

fn missing(id: Uuid) -> ApiError {
    ApiError::not_found(Accounts::ONE, id)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: uuid(row, "id")?,
        name: row.get("name")?,
        email: row.get("email")?,
        root: row.get("root")?,
        role: Role::named(&row.get::<_, String>("role")?),
        token: MASK.to_owned(),
        created_at: row.get("created_at")?,
    })
}
