//! Detection: evidence about campaigns, from what was sent and what was confirmed. A fold over events,
//! without a clock and without randomness: the same events give the same evidence on every node.

pub mod evidence;

pub use evidence::{Evidence, Exposure, Family, KeyKind, Signal};
