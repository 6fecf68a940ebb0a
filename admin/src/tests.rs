//! A real server on a free port, driven by a real client over pinned TLS.

mod audit;
mod hostile;
mod restart;
mod roles;
mod services;
mod tables;
mod tenancy;
mod world;
