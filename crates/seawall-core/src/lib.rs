//! The deciding part of Seawall.
//!
//! **Screening is arithmetic on facts**: [`decide::needs`] says which facts the rules will ask for, and
//! [`decide::decide`] turns policy, request, facts and time into a verdict with reasons. Nothing here does
//! I/O, reads a clock, or holds state of its own.
//!
//! Reading order: [`request`], [`facts`], [`policy`], [`decide`], `rules/`, then [`limit`] and [`window`]
//! for the arithmetic of limits, [`verification`] and [`message`] for the two life cycles, and
//! [`client_ip`] and [`msisdn`] for the two identities that everything is keyed by.

pub mod address;
pub mod binding;
pub mod blind;
pub mod budget;
pub mod callflow;
pub mod client_ip;
pub mod code;
pub mod consent;
pub mod country;
pub mod decide;
pub mod decision;
pub mod detect;
pub mod explain;
pub mod facts;
#[cfg(feature = "sim")]
pub mod fuzz;
pub mod id;
pub mod intel;
pub mod limit;
pub mod list;
pub mod lookup;
pub mod masking;
pub mod message;
pub mod model;
pub mod money;
pub mod msisdn;
pub mod period;
pub mod plan;
pub mod policy;
pub mod reason;
pub mod recorded;
pub mod replay;
pub mod request;
pub mod rule;
mod rules;
pub mod segments;
pub mod sender_id;
#[cfg(feature = "sim")]
pub mod sim;
pub mod suspension;
pub mod text;
pub mod time;
pub mod trace;
pub mod velocity;
pub mod verification;
pub mod window;
