//! Decisions read in place, as a scan lends them.

use std::ops::ControlFlow;

use seawall_core::client_ip::ClientIp;
use seawall_core::decision::Verdict;
use seawall_core::id::Id;
use seawall_core::limit::Mode;
use seawall_core::message::Channel;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;
use seawall_core::request::Operation;
use seawall_core::segments::Encoding;
use seawall_core::time::Timestamp;

use crate::Result;
use crate::packed::{Packed, unpack_text};
use crate::records::{Content, Details, Later, Progress, Scanned, ScannedReason, Visit};

/// A decision in its packed bytes. What is read here in place, [`crate::records::DecisionBody`] reads into
/// values of its own; the conformance suite holds both against each other.
pub(crate) struct Found<'a> {
    operation: Operation,
    subaccount: &'a str,
    key: &'a str,
    number: u64,
    block: u64,
    caller_ip: ClientIp,
    client_ip: Option<ClientIp>,
    verdict: Verdict,
    enforced: bool,
    reasons: Vec<ScannedReason<'a>>,
    facts: &'a str,
    dry_run: bool,
    sent: bool,
    pub(crate) verification: Option<Id>,
    count: Option<u64>,
    price: Option<(i64, &'a str)>,
}

impl<'a> Found<'a> {
    /// The decision within the body of a message, if it has one.
    pub(crate) fn of_message(from: &mut &'a [u8]) -> Option<Option<Self>> {
        Msisdn::unpack(from)?;
        Channel::unpack(from)?;
        Encoding::unpack(from)?;
        u8::unpack(from)?;
        let verification = Option::<Id>::unpack(from)?;
        Option::<Id>::unpack(from)?;
        Option::<Content>::unpack(from)?;
        Details::unpack(from)?;
        let price = option(from, |from| {
            i64::unpack(from)?;
            Some((i64::unpack(from)?, unpack_text(from)?))
        })?;
        let decision = option(from, Found::decision)?;
        Some(decision.map(|decision| Found { price, verification, ..decision }))
    }

    pub(crate) fn decision(from: &mut &'a [u8]) -> Option<Self> {
        let (operation, subaccount, key) = (Operation::unpack(from)?, unpack_text(from)?, unpack_text(from)?);
        let block = u64::unpack(from)?;
        let number = u64::unpack(from)?;
        let (caller_ip, client_ip) = (ClientIp::unpack(from)?, Option::unpack(from)?);
        let verdict = Verdict::unpack(from)?;
        let enforced = bool::unpack(from)?;
        u8::unpack(from)?;
        let reasons = (0..usize::unpack(from)?).map(|_| reason(from)).collect::<Option<_>>()?;
        let facts = unpack_text(from)?;
        u64::unpack(from)?;
        let dry_run = bool::unpack(from)?;
        Option::<Timestamp>::unpack(from)?;
        let (sent, verification, count) = (bool::unpack(from)?, Option::unpack(from)?, Option::unpack(from)?);
        let _veiled = bool::unpack(from)?;
        Some(Found {
            operation,
            subaccount,
            key,
            number,
            block,
            caller_ip,
            client_ip,
            verdict,
            enforced,
            reasons,
            facts,
            dry_run,
            sent,
            verification,
            count,
            price: None,
        })
    }

    pub(crate) fn lend(&self, row: i64, later: &dyn Later, each: &mut Visit) -> ControlFlow<()> {
        each(&Scanned {
            at: Id::new(row, 0).at(),
            operation: self.operation,
            subaccount: self.subaccount,
            key: self.key,
            number: self.number,
            block: self.block,
            caller_ip: self.caller_ip,
            client_ip: self.client_ip,
            verdict: self.verdict,
            enforced: self.enforced,
            reasons: &self.reasons,
            facts: self.facts,
            dry_run: self.dry_run,
            sent: self.sent,
            count: self.count.unwrap_or(1).max(1),
            price: self.price,
            later,
        })
    }
}

fn reason<'a>(from: &mut &'a [u8]) -> Option<ScannedReason<'a>> {
    let code = ReasonCode::unpack(from)?;
    unpack_text(from)?;
    Option::<u64>::unpack(from)?;
    Option::<u64>::unpack(from)?;
    option(from, unpack_text)?;
    let (key, mode) = (option(from, unpack_text)?, Mode::unpack(from)?);
    bool::unpack(from)?;
    Some(ScannedReason { code, key, mode })
}

fn option<'a, T>(from: &mut &'a [u8], read: impl FnOnce(&mut &'a [u8]) -> Option<T>) -> Option<Option<T>> {
    if bool::unpack(from)? { read(from).map(Some) } else { Some(None) }
}

/// A decision of a packed batch: nothing was sent.
pub(crate) struct OfBatch(pub(crate) Id);

impl Later for OfBatch {
    fn id(&self) -> Result<Id> {
        Ok(self.0)
    }

    fn confirmed_at(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
}

/// When the caller of the message in a row reported a success, if it did.
pub(crate) fn reported(progress: &Progress, row: i64) -> Option<Timestamp> {
    let success = progress.outcome.as_deref() == Some("success");
    success.then(|| progress.changed_at.unwrap_or_else(|| Id::new(row, 0).at()))
}
