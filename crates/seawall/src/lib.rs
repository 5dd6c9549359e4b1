//! The gateway: everything that knows HTTP, configuration and the command line.
//!
//! Reading order: [`app`] holds the use cases, one a file, and the rooms 2 and 4 to 6 that a request walks
//! through; [`http`] the doors and dialects (rooms 1, 3 and 8); [`jobs`] what goes on behind (rooms 7 and 9).

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http;
pub mod ids;
pub mod jobs;
pub mod metrics;
pub mod serve;
