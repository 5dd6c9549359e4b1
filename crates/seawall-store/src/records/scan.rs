//! Decisions as they are lent while the ledger is read from one end to the other: nothing is copied, and what
//! only few readers want is looked up when they ask.

use std::ops::ControlFlow;

use seawall_core::client_ip::ClientIp;
use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::limit::Mode;
use seawall_core::reason::ReasonCode;
use seawall_core::request::Operation;
use seawall_core::time::Timestamp;

use crate::Result;

/// A recorded decision.
pub struct Scanned<'a> {
    /// When.
    pub at: Timestamp,
    /// What was asked for.
    pub operation: Operation,
    /// Whose.
    pub subaccount: &'a str,
    /// Which API key.
    pub key: &'a str,
    /// Keyed hash of the recipient.
    pub number: u64,
    /// The recipient's digits without the last four.
    pub block: u64,
    /// Where the request came from.
    pub caller_ip: ClientIp,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether the verdict had its effect.
    pub enforced: bool,
    /// All reasons.
    pub reasons: &'a [ScannedReason<'a>],
    /// What was known, as JSON.
    pub facts: &'a str,
    /// Whether it was only asked, not done.
    pub dry_run: bool,
    /// Whether a message was made of it.
    pub sent: bool,
    /// For how many decisions it stands: samples of a flood are more than one.
    pub count: u64,
    /// What the message cost, in micro-units, and in which currency.
    pub price: Option<(i64, &'a str)>,
    /// What takes a look-up.
    pub later: &'a dyn Later,
}

/// One of its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannedReason<'a> {
    /// Which.
    pub code: ReasonCode,
    /// What it is about.
    pub key: Option<&'a str>,
    /// Whether it counted.
    pub mode: Mode,
}

/// What a scan looks up only when it is asked.
pub trait Later {
    /// Its id.
    fn id(&self) -> Result<Id>;
    /// When its code was confirmed, or its caller reported a success; `None` if neither happened.
    fn confirmed_at(&self) -> Result<Option<Timestamp>>;

    /// Whether its code was confirmed after it, or its caller reported a success.
    fn confirmed(&self) -> Result<bool> {
        self.confirmed_at().map(|at| at.is_some())
    }
}

/// Is lent every decision; ends the scan by breaking.
pub type Visit = Box<dyn FnMut(&Scanned<'_>) -> ControlFlow<()> + Send>;
