//! One request and what its answer means.

use proto::rest::ErrorBody;
use serde::Serialize;
use serde::de::DeserializeOwned;
use transport::rest::Response;

use super::{AdminClient, ClientError};

impl AdminClient {
    /// Sends a request and returns the body of a good answer.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        bearer: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response, ClientError> {
        let response = self.https.request(method, path, query, bearer, body).await?;
        if (200..300).contains(&response.status) { Ok(response) } else { Err(self.refusal(&response)) }
    }

    /// Reads a good answer's body.
    pub(super) fn read<T: DeserializeOwned>(&self, response: &Response) -> Result<T, ClientError> {
        response
            .json()
            .map_err(|error| ClientError::Answer { addr: self.https.addr().to_owned(), reason: error.to_string() })
    }

    /// What an answer with another status means.
    pub(super) fn refusal(&self, response: &Response) -> ClientError {
        let status = response.status;
        let addr = self.https.addr().to_owned();
        let line = match response.json::<ErrorBody>() {
            Ok(body) => body.error,
            Err(_) => format!("status {status}"),
        };
        match status {
            401 => ClientError::Unauthorized { addr, line, hint: "another token is needed" },
            403 => ClientError::Forbidden { line },
            404 => ClientError::NotFound { line },
            400..500 => ClientError::Refused { line },
            500.. => ClientError::Server { addr, status, line },
            _ => ClientError::Answer { addr, reason: format!("status {status}") },
        }
    }
}

/// `text` as one part of a path: everything but letters, digits and `-._~` is escaped.
pub(super) fn segment(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
