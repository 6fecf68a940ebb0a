//! The way to the metadata server: connections of one session, operation ids, resending.

use std::future::Future;

use proto::{Caller, Errno, Reply, Request};

/// Asks the metadata server. A call waits while the server is away; an answer is the server's decision.
pub(crate) trait MetaClient {
    /// Carries `request` out for `caller`. Errors are meant for the application.
    fn call(&self, caller: &Caller, request: Request) -> impl Future<Output = Result<Reply, Errno>>;
}
