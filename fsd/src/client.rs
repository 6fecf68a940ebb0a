//! The way to the metadata server: connections of one session, operation ids, resending.
//!
//! Owns the session and decides what a lost connection means for a request. Invariants: a mutating request keeps its
//! operation id until it is answered; no more than the server's ledger holds are unanswered at once.

mod backoff;
mod greeting;
mod groups;
mod link;
mod rpc;
mod session;
mod window;

use std::future::Future;

use proto::{Caller, Errno, Reply, Request};

pub(crate) use link::Link;
pub(crate) use rpc::Rpc;
pub(crate) use session::{ServerSession, SessionSettings};

/// Asks the metadata server. A call waits while the server is away; an answer is the server's decision.
pub(crate) trait MetaClient {
    /// Carries `request` out for `caller`. Errors are meant for the application.
    fn call(&self, caller: &Caller, request: Request) -> impl Future<Output = Result<Reply, Errno>>;
}

#[cfg(test)]
mod tests;
