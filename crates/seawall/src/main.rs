//! The binary. What it can do is listed in [`seawall::cli`].

use std::process::ExitCode;

/// Requests allocate and free much that is small; this costs half of what the system's allocator does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seawall::cli::main()
}
