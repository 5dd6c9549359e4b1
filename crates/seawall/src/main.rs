//! The binary. What it can do is listed in [`seawall::cli`].

use std::process::ExitCode;

/// The system's allocator searches long for a place once a busy gateway has freed much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seawall::cli::main()
}
