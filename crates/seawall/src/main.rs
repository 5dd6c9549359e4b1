//! The binary. What it can do is listed in [`seawall::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    seawall::cli::main()
}
