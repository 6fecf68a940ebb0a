//! HTTPS to the admin server: small JSON bodies, a bearer token, and errors a person can act on.

use std::error::Error as _;
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::TransportError;
use crate::tls::{self, GENERAL_PREFIX, Identity, Trust};

/// A whole exchange takes no longer.
const EXCHANGE_MAX: Duration = Duration::from_secs(20);
/// Connecting takes no longer.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// An answer that does not end is asked for anew after this.
const ENDLESS_MAX: Duration = Duration::from_secs(24 * 3600);
/// Longest body that is read, in bytes: a list of ten thousand volumes fits.
const BODY_MAX: usize = 16 << 20;

/// A client of one admin server.
#[derive(Clone, Debug)]
pub struct HttpsClient {
    client: reqwest::Client,
    addr: String,
    base: String,
}

/// Status and body of an answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body; empty for 204.
    pub body: Vec<u8>,
}

/// Lines of an answer that does not end.
#[derive(Debug)]
pub struct Lines {
    response: reqwest::Response,
    addr: String,
    /// Read and not handed out.
    buffer: Vec<u8>,
    line_max: usize,
}

impl Lines {
    /// The next line without its end; `None` where the server ended the answer. Waits without end. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.buffer.len() > self.line_max {
                let reason = format!("a line of its answer exceeds {} bytes: is this an admin server?", self.line_max);
                return Err(TransportError::Unreachable { addr: self.addr.clone(), reason });
            }
            match self.response.chunk().await.map_err(|error| unreachable(&self.addr, &error))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

impl Response {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

impl HttpsClient {
    /// A client of the server at `addr` (`host:port`, port 443 where left out). `None` = plain HTTP.
    pub fn new(addr: &str, trust: Option<&Trust>) -> Result<Self, TransportError> {
        Self::with_config(addr, trust.map(tls::client_config))
    }

    /// As [`HttpsClient::new`], showing a certificate of its own.
    pub fn showing(addr: &str, trust: &Trust, identity: &Identity) -> Result<Self, TransportError> {
        Self::with_config(addr, Some(tls::client_config_as(trust, identity)))
    }

    fn with_config(addr: &str, tls: Option<rustls::ClientConfig>) -> Result<Self, TransportError> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .http1_only()
            .pool_max_idle_per_host(2)
            .connect_timeout(CONNECT_MAX)
            .timeout(EXCHANGE_MAX)
            .redirect(reqwest::redirect::Policy::none());
        let scheme = if tls.is_some() { "https" } else { "http" };
        if let Some(mut config) = tls {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            builder = builder.tls_backend_preconfigured(config);
        }
        let client = builder.build().map_err(|error| unreachable(addr, &error))?;
        Ok(Self { client, addr: addr.to_owned(), base: format!("{scheme}://{addr}") })
    }

    /// The address as it was given.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// One request. `path` begins with `/`; `query` is encoded. Any status is an answer, not an error.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        bearer: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Response, TransportError> {
        let method = Method::from_bytes(method.as_bytes()).expect("methods are literals of this project");
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(bearer).query(query);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| unreachable(&self.addr, &error))?;
        self.whole(response).await
    }

    /// Asks for an answer that does not end, of lines of at most `line_max` bytes. Another status than 200 is an answer
    /// that ends.
    pub async fn lines(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bearer: &str,
        line_max: usize,
    ) -> Result<Result<Lines, Response>, TransportError> {
        let request = self.client.get(format!("{}{path}", self.base)).bearer_auth(bearer).query(query);
        let asked = tokio::time::timeout(EXCHANGE_MAX, request.timeout(ENDLESS_MAX).send()).await;
        let late = |_| TransportError::Unreachable { addr: self.addr.clone(), reason: "no answer in time".to_owned() };
        let response = asked.map_err(late)?.map_err(|error| unreachable(&self.addr, &error))?;
        if response.status() != reqwest::StatusCode::OK {
            return self.whole(response).await.map(Err);
        }
        Ok(Ok(Lines { response, addr: self.addr.clone(), buffer: Vec::new(), line_max }))
    }

    /// Status and body of an answer that ends.
    async fn whole(&self, mut response: reqwest::Response) -> Result<Response, TransportError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&self.addr, &error))? {
            if body.len() + chunk.len() > BODY_MAX {
                let reason = format!("its answer exceeds {BODY_MAX} bytes: is this an admin server?");
                return Err(TransportError::Unreachable { addr: self.addr.clone(), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, body })
    }
}

fn unreachable(addr: &str, error: &reqwest::Error) -> TransportError {
    TransportError::Unreachable { addr: addr.to_owned(), reason: root_cause(error) }
}

/// The innermost cause: the layers above only repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if error.is_timeout() && error.source().is_none() {
        "no answer in time".to_owned()
    } else {
        let said = cause.to_string();
        match said.strip_prefix("received fatal alert: ") {
            // What it does not like can only be what this side showed.
            Some(alert) if alert.contains("Certificate") || alert.contains("CA") => {
                format!("it refuses the certificate that this host shows ({alert}): one of its own CA is needed")
            }
            // The library adds the address of its manual.
            _ if said.contains("close_notify") => "it closed the connection".to_owned(),
            _ => said.trim_start_matches(GENERAL_PREFIX).to_owned(),
        }
    }
}
