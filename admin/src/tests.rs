//! A real server on a free port, driven by a real client over pinned TLS.

mod audit;
mod bounds;
mod feed;
mod hostile;
mod identities;
mod restart;
mod roles;
mod services;
mod tables;
mod tenancy;
mod world;
