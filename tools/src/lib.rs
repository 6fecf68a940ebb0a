//! Every program of the system as one command line: reads words, wires the libraries, and tells the outcome in a line.

pub mod admin_client;
