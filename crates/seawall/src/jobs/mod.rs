//! What goes on behind the requests: sending (room 7), what comes back (room 9), and housekeeping.

pub mod circuit;
pub mod cleanings;
pub mod contacts;
pub mod counters;
pub mod echo;
pub mod egress;
pub mod evidence;
pub mod follow;
pub mod hooks;
pub mod housekeeping;
pub mod intel;
pub mod outbox;
