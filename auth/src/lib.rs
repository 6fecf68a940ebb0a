//! Who may mount what: tokens, mount flags, credentials files, and the cache in front of the authority on tokens.
//! Knows no socket and no file system operation; time is passed in.

pub mod creds;

mod as_user;
mod authenticator;
mod flags;
mod moment;
mod networks;
mod secret;
mod telling;
mod throttle;
mod token;

pub use as_user::{AsUser, BadAsUser};
pub use authenticator::{
    AuthError, Authenticator, AuthenticatorSettings, AuthorityError, MarkKey, Remembered, TokenAuthority, TokenMark,
};
pub use creds::CredsError;
pub use flags::{MountFlags, UnknownFlag};
pub use moment::Moment;
pub use networks::{BadNetwork, Networks};
pub use secret::Secret;
pub use telling::Telling;
pub use throttle::Throttle;
pub use token::{AccountToken, ServerToken, TokenError, VolumeToken};
