//! The binary. What it can do is listed in [`seawall::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A request allocates some sixty times, and what it allocates is often freed by another thread.
/// Built without huge pages: they kept 20 MB more at rest.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    seawall::cli::main()
}
