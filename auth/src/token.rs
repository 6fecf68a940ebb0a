//! The three kinds of token. Each is a type of its own, so that none is sent where another belongs.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::Secret;

/// Text that is no token. Does not repeat the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} token of {len} bytes: a UUID (8-4-4-4-12 hexadecimal digits) is needed")]
pub struct TokenError {
    /// Which token was to be read.
    pub kind: &'static str,
    /// Length of the text in bytes.
    pub len: usize,
}

macro_rules! token {
    ($(#[$meta:meta])* $name:ident, $kind:literal) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Secret);

        impl $name {
            /// Reads a UUID in any usual form; kept in lower case with hyphens.
            pub fn parse(text: &str) -> Result<Self, TokenError> {
                parse_uuid(text, $kind).map(Self)
            }

            /// A new random token (122 bits from the operating system).
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid_secret(Uuid::new_v4()))
            }

            /// The token itself: for the peer it is meant for, never for a log.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            fn from_str(text: &str) -> Result<Self, TokenError> {
                Self::parse(text)
            }
        }
    };
}

token!(
    /// Opens the admin server's configuration to an administrator.
    AccountToken,
    "account"
);
token!(
    /// Opens one volume, or a subtree of it, to a mount.
    VolumeToken,
    "volume"
);
token!(
    /// Opens the admin server to a metadata server.
    ServerToken,
    "metadata"
);

fn parse_uuid(text: &str, kind: &'static str) -> Result<Secret, TokenError> {
    Uuid::try_parse(text.trim()).map(uuid_secret).map_err(|_| TokenError { kind, len: text.len() })
}

fn uuid_secret(uuid: Uuid) -> Secret {
    Secret::new(uuid.hyphenated().to_string())
}

#[cfg(test)]
mod tests;
