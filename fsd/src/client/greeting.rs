//! The first exchange of every connection.

use std::time::Duration;

use proto::{Errno, Greeting, Hello, SessionId, SessionKey, Welcome, codec};
use transport::client::Connection;

use super::session::SessionSettings;
use crate::MountError;

/// The server may have to ask the admin server first.
const DEADLINE: Duration = Duration::from_secs(20);

/// Greets the server; joins `resume` or opens a session.
pub(super) async fn greet(
    connection: &Connection,
    settings: &SessionSettings,
    resume: Option<(SessionId, SessionKey)>,
) -> Result<Welcome, MountError> {
    let hello = Hello {
        flags: settings.flags.bits(),
        resume,
        ..Hello::new(settings.token.expose(), concat!("mount.flexfs ", env!("CARGO_PKG_VERSION")), &settings.place)
    };
    let server = |reason: String| MountError::Server { addr: settings.addr.clone(), reason };
    let answer = connection.call(&codec::encode(&hello), DEADLINE).await.map_err(|error| server(error.to_string()))?;
    match codec::decode(&answer) {
        Ok(Greeting::Welcome(welcome)) => Ok(*welcome),
        Ok(Greeting::Sorry(refusal, reason)) => {
            Err(MountError::Refused { addr: settings.addr.clone(), refusal, reason })
        }
        Err(error) => Err(server(format!("its greeting cannot be read: {error}"))),
    }
}

/// The application's view of a mount whose session is over.
pub(super) const ENDED: Errno = Errno::EACCES;
