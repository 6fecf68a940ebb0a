//! Who may mount what: tokens, mount flags, credentials files, and the cache in front of the authority on tokens.
//! Knows no socket and no file system operation; time is passed in.

pub mod creds;

mod authenticator;
mod flags;
mod secret;
mod telling;
mod token;

pub use authenticator::{AuthError, Authenticator, AuthenticatorSettings, AuthorityError, TokenAuthority};
pub use creds::CredsError;
pub use flags::{MountFlags, UnknownFlag};
pub use secret::Secret;
pub use telling::Telling;
pub use token::{AccountToken, ServerToken, TokenError, VolumeToken};
