//! The address where a scraper finds the numbers of this process.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use ::metrics::{CONTENT_TYPE, Exposition, Source};
use anyhow::{Context as _, Result};
use clap::Args;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::failure::usage;
use crate::runtime;

/// Scrapers at once; more wait in the kernel.
const CONNECTIONS_MAX: usize = 8;
/// A scraper asks once and has its answer within this, or is cut.
const CONNECTION_MAX: Duration = Duration::from_secs(10);
/// Pause after an error of the socket.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Flags of everything that can be scraped.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MetricsFlags {
    /// Loopback address and port for Prometheus to scrape, as 127.0.0.1:9100 [default: none]
    #[arg(long = "metricsAddr", value_name = "ADDR")]
    metrics_addr: Option<SocketAddr>,
    /// Allow --metricsAddr on every address: who reaches it learns which volumes there are and how much they do
    #[arg(long = "metricsPublic", requires = "metrics_addr")]
    metrics_public: bool,
}

impl MetricsFlags {
    /// Whether numbers are wanted.
    pub(crate) fn wanted(self) -> bool {
        self.metrics_addr.is_some()
    }

    /// Refuses an address that others reach, unless that is wished.
    pub(crate) fn check(self) -> Result<()> {
        match self.metrics_addr {
            Some(addr) if !self.metrics_public && !addr.ip().is_loopback() => Err(usage(format!(
                "--metricsAddr {addr}: others could read it on the network; take 127.0.0.1 or [::1], or add --metricsPublic"
            ))),
            _ => Ok(()),
        }
    }

    /// Takes the address, before anything is started that would have to be taken back.
    pub(crate) fn bind(self) -> Result<MetricsSocket> {
        self.check()?;
        let Some(addr) = self.metrics_addr else { return Ok(MetricsSocket(None)) };
        let socket = TcpListener::bind(addr).with_context(|| format!("--metricsAddr {addr}"))?;
        socket.set_nonblocking(true).with_context(|| format!("--metricsAddr {addr}"))?;
        Ok(MetricsSocket(Some(socket)))
    }
}

/// The address, if there is one.
#[derive(Debug)]
pub(crate) struct MetricsSocket(Option<TcpListener>);

impl MetricsSocket {
    /// Shows `sources` on a thread of its own, as long as the process lives.
    pub(crate) fn show(self, sources: impl IntoIterator<Item = Box<dyn Source>>) -> Result<()> {
        let Some(socket) = self.0 else { return Ok(()) };
        tracing::info!(addr = ?socket.local_addr().ok(), "metrics");
        let exposition = Arc::new(Exposition::of(sources));
        let runtime = runtime::build()?;
        let body = move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(socket) {
                    Ok(socket) => serve(&socket, &exposition).await,
                    Err(error) => tracing::error!(%error, "metrics cannot be shown"),
                }
            });
        };
        std::thread::Builder::new().name("metrics".to_owned()).spawn(body).context("starting a thread").map(drop)
    }
}

async fn serve(socket: &tokio::net::TcpListener, exposition: &Arc<Exposition>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a scraper cannot connect");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let exposition = Arc::clone(exposition);
        tokio::spawn(async move {
            let answer = service_fn(async |request| Ok::<_, Infallible>(answer(&request, &exposition)));
            let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), answer);
            if !matches!(timeout(CONNECTION_MAX, connection).await, Ok(Ok(()))) {
                tracing::debug!("a scraper did not take its answer");
            }
            drop(place);
        });
    }
}

fn answer(request: &Request<Incoming>, exposition: &Exposition) -> Response<Full<Bytes>> {
    let plain = |status: StatusCode, text: String, kind: &'static str| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    };
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "GET /metrics is all there is\n".to_owned(), "text/plain");
    }
    match exposition.text() {
        Ok(text) => plain(StatusCode::OK, text, CONTENT_TYPE),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the numbers cannot be written\n".to_owned(), "text/plain"),
    }
}

#[cfg(test)]
mod tests;
