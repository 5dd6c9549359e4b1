//! A real gateway as a process of its own, and what drives it: shared by `bench`, `crash` and `slow`.

mod process;
mod random;
mod wire;

pub use process::{Gateway, Profile, Scratch, build, free_address, pinned};
pub use random::{Random, address, mobile};
pub use wire::{Wire, request, request_with};
