//! A red team: clients with valid tokens that speak the protocol by hand and try what they may not, against a real
//! server, beside an honest session that must not notice.
//!
//! `table` has a line for every kind of request and fails when there is a new one without.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod audit;
mod files;
mod floods;
mod identities;
mod locks;
mod messages;
mod objects;
mod sessions;
mod stage;
mod table;
