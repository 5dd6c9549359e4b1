//! A real gateway as a process of its own, and what drives it: shared by `bench`, `crash`, `slow` and `soak`.

mod build;
mod files;
mod fleet;
mod median;
mod postgres;
mod process;
mod random;
mod redis;
mod wire;

pub use build::{Profile, Scratch, build};
pub use files::open_files;
pub use fleet::Fleet;
pub use median::median;
pub use postgres::Postgres;
pub use process::{Gateway, free_address, pinned};
pub use random::{Random, address, mobile};
pub use redis::Redis;
pub use wire::{Wire, request, request_with};
