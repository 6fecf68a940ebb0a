//! Messages to bytes and back: postcard, bounded, and no byte left over.

use serde::Serialize;
use serde::de::Deserialize;

/// Bytes that are no message.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not what was expected at all.
    #[error("not a message of this protocol: {0}")]
    Malformed(#[from] postcard::Error),
    /// A message with something behind it.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
}

/// Encodes a message.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_allocvec(message).expect("messages are plain data: writing them to memory cannot fail")
}

/// Decodes a message that fills `bytes`. Never panics, and allocates no more than a small multiple of `bytes`.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DecodeError> {
    let (message, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(message) } else { Err(DecodeError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests;
