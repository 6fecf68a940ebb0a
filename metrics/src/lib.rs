//! Numbers that a server or a mount counts about itself, and how a scraper reads them.
//!
//! What is counted on a request's way belongs to one thread ([`Counter`], [`Durations`]): adding to it is a load and a store,
//! and no other core is asked. Whoever scrapes adds the threads up. The text itself is written by `prometheus-client`.
//! Labels are words of the program or names of volumes, never of files, users or tokens.

mod cell;
mod sheet;

pub use cell::{Counter, Durations};
pub use sheet::{CONTENT_TYPE, Exposition, Sheet, Source};
