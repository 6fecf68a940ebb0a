//! The `flexfs` executable: every program of the system, chosen by the first word or by the file's name.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tools::run(std::env::args_os().collect())
}
