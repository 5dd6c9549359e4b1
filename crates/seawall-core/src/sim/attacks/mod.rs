//! The attacks. Each is a function that sets its scenario up; what they share is here.

pub mod blocks;
pub mod proxies;
pub mod scatter;
