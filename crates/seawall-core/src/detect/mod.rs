//! Detection: evidence about campaigns, from what was sent and what was confirmed. A fold over events,
//! without a clock and without randomness: the same events give the same evidence on every node.
//!
//! Reading order: [`asked`] (what goes in), [`evidence`] (what comes out), `engine`, `booking` (a message is
//! sent), `outcome` (it is confirmed, or not), `concentration`, `velocity`, `guessing`, `sender`, and `assess`, which
//! makes one probability of it all.

pub mod asked;
mod assess;
pub mod background;
mod booking;
mod concentration;
mod delay;
pub mod dial;
pub mod engine;
mod erase;
pub mod evidence;
#[cfg(test)]
mod example;
#[cfg(test)]
mod first_day;
mod guessing;
pub mod inspect;
mod keys;
pub(crate) mod math;
mod outcome;
mod pending;
mod plan;
#[cfg(test)]
mod properties;
mod rows;
mod seen;
mod sender;
mod state;
#[cfg(test)]
mod stories;
mod table;
pub mod tuning;
mod velocity;
mod vocabulary;
mod words;

pub use asked::{Asked, Event, TextTraits};
pub use background::{Background, Figure};
pub use engine::{Bounds, Engine, Size, SnapshotError};
pub use evidence::{Evidence, Explained, Exposure, Family, KeyKind, Signal};
pub use tuning::Tuning;
