//! Tokens at rest: the three tables that hold one in each row do it in the same way.

use auth::{AccountToken, Secret, ServerToken, TokenError, VolumeToken};
use proto::Redacted;
use uuid::Uuid;

use super::{Columns, Tx, uuid};
use crate::api::ApiError;

/// What lists show in the place of a token.
pub(crate) const MASK: &str = "********";

/// Which token; each kind lives in a table of its own.
#[derive(Clone, Copy)]
pub(crate) enum TokenKind {
    Account,
    Server,
    Volume,
}

impl TokenKind {
    fn table(self) -> &'static str {
        match self {
            Self::Account => "accounts",
            Self::Server => "meta_stores",
            Self::Volume => "volume_tokens",
        }
    }

    /// Reads a token of this kind and brings it to its usual form.
    fn parse(self, text: &str) -> Result<Secret, TokenError> {
        let own = |text: &str| Secret::new(text.to_owned());
        Ok(match self {
            Self::Account => own(AccountToken::parse(text)?.expose()),
            Self::Server => own(ServerToken::parse(text)?.expose()),
            Self::Volume => own(VolumeToken::parse(text)?.expose()),
        })
    }

    fn generate(self) -> Secret {
        let own = |text: &str| Secret::new(text.to_owned());
        match self {
            Self::Account => own(AccountToken::generate().expose()),
            Self::Server => own(ServerToken::generate().expose()),
            Self::Volume => own(VolumeToken::generate().expose()),
        }
    }

    fn place(self, id: Uuid) -> String {
        format!("{}/{id}", self.table())
    }
}

/// The id of the row whose token was presented.
pub(crate) fn find(tx: &Tx<'_>, kind: TokenKind, presented: &str) -> Result<Option<Uuid>, ApiError> {
    let Ok(presented) = kind.parse(presented) else { return Ok(None) };
    let row = Columns::default().with("token_hash", tx.keys.hash(kind.table(), presented.expose())).find(
        tx,
        kind.table(),
        |row| Ok((uuid(row, "id")?, row.get::<_, Vec<u8>>("token_sealed")?)),
    )?;
    match row {
        Some((id, sealed)) if open(tx, kind, id, &sealed)? == presented => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// The token of the row `id`, which must exist.
pub(crate) fn reveal(tx: &Tx<'_>, kind: TokenKind, id: Uuid) -> Result<String, ApiError> {
    let sealed = Columns::default()
        .with("id", id.to_string())
        .find(tx, kind.table(), |row| row.get::<_, Vec<u8>>("token_sealed"))?
        .ok_or_else(|| ApiError::not_found(kind.table(), id))?;
    Ok(open(tx, kind, id, &sealed)?.expose().to_owned())
}

/// The token that was asked for, or a new one. One that another row has is refused.
pub(crate) fn choose(tx: &Tx<'_>, kind: TokenKind, wanted: Option<&Redacted>) -> Result<Secret, ApiError> {
    let Some(wanted) = wanted else { return Ok(kind.generate()) };
    let token = kind.parse(&wanted.0).map_err(|error| ApiError::bad(error.to_string()))?;
    match find(tx, kind, token.expose())? {
        None => Ok(token),
        Some(_) => Err(ApiError::conflict("this token is taken: leave `token` out to have one made")),
    }
}

/// What the row `id` stores of its token.
pub(crate) fn columns(tx: &Tx<'_>, kind: TokenKind, id: Uuid, token: &Secret) -> Columns {
    Columns::default()
        .with("token_hash", tx.keys.hash(kind.table(), token.expose()))
        .with("token_sealed", tx.keys.seal(&kind.place(id), token.expose()))
}

fn open(tx: &Tx<'_>, kind: TokenKind, id: Uuid, sealed: &[u8]) -> Result<Secret, ApiError> {
    let place = kind.place(id);
    tx.keys
        .open(&place, sealed)
        .ok_or_else(|| ApiError::internal("a sealed token cannot be opened", &format_args!("{place} was altered")))
}
