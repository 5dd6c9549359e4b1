//! A number's own history: what it was asked for, what became of it, and from where. From the ledger, so it
//! reaches back as far as retention does.

use std::collections::HashSet;
use std::time::Duration;

use seawall_core::client_ip::ClientIp;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::ReasonCode;
use seawall_core::time::Timestamp;
use seawall_core::verification::VerificationState;
use seawall_store::Result;
use seawall_store::records::{DecisionFilter, DecisionRecord, Page, VerificationFilter, VerificationRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, recorder};

/// Decisions and verifications that are looked at: the newest ones.
const LOOKED_AT: usize = 200;
const DAY: Duration = Duration::from_secs(86_400);

/// What is known of a number from its own past. Of the newest 200 decisions and verifications.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct NumberHistory {
    /// When a code was first confirmed, whatever became of its record since.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_confirmed_at: Option<Timestamp>,
    /// When a code was last confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_confirmed_at: Option<Timestamp>,
    /// Requests for messages.
    pub asked: u64,
    /// Those within 24 hours.
    pub asked_24h: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Requests that were not.
    pub refused: u64,
    /// The leading reason of the last refusal, and when that was.
    pub last_refusal: Option<LastRefusal>,
    /// Codes that were confirmed.
    pub verified: u64,
    /// Codes that nobody confirmed before they expired.
    pub unconfirmed: u64,
    /// Wrong codes that were presented.
    pub wrong_checks: u64,
    /// Networks (IPv4 /24, IPv6 /48) that it was asked for from.
    pub networks: u64,
    /// Subaccounts that asked for it.
    pub subaccounts: u64,
    /// The oldest request that was looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Timestamp>,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LastRefusal {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its leading reason.
    #[schema(value_type = Option<String>)]
    pub reason: Option<ReasonCode>,
}

/// Looks a number up.
pub async fn of(app: &App, to: Msisdn, now: Timestamp) -> Result<NumberHistory> {
    recorder::settled(app).await;
    let page = Page { before: None, limit: LOOKED_AT };
    let ledger = &app.store.ledger;
    let filter = DecisionFilter { to: Some(to), ..DecisionFilter::default() };
    let decisions = ledger.decisions(filter, page).await?;
    let filter = VerificationFilter { to: Some(to), ..VerificationFilter::default() };
    let verifications = ledger.verifications(filter, page).await?;
    let known = ledger.known_number(to).await?;
    let mut history = NumberHistory {
        first_confirmed_at: known.map(|known| known.first_at),
        last_confirmed_at: known.map(|known| known.last_at),
        ..NumberHistory::default()
    };
    history.add_decisions(&decisions, now);
    history.add_verifications(&verifications, now);
    Ok(history)
}

impl NumberHistory {
    fn add_decisions(&mut self, decisions: &[DecisionRecord], now: Timestamp) {
        let (mut networks, mut subaccounts) = (HashSet::new(), HashSet::new());
        let asked = |d: &&DecisionRecord| !d.body.dry_run && d.body.operation.sends();
        for decision in decisions.iter().filter(asked) {
            let (at, body) = (decision.id.at(), &decision.body);
            self.asked += 1;
            self.asked_24h += u64::from(at.plus(DAY) > now);
            self.sent += u64::from(body.sent);
            self.since = Some(at);
            networks.extend(body.client_ip.map(ClientIp::network));
            subaccounts.insert(body.subaccount_id.as_str());
            if !body.sent {
                self.refused += 1;
                let in_force = body.reasons.iter().filter(|r| r.in_force());
                let reason = in_force.max_by_key(|r| r.code.verdict()).map(|r| r.code);
                self.last_refusal.get_or_insert(LastRefusal { at, reason });
            }
        }
        self.networks = networks.len() as u64;
        self.subaccounts = subaccounts.len() as u64;
    }

    fn add_verifications(&mut self, verifications: &[VerificationRecord], now: Timestamp) {
        for verification in verifications {
            let state = verification.lifecycle.at(now);
            self.verified += u64::from(state == VerificationState::Verified);
            let over = matches!(state, VerificationState::Expired | VerificationState::Failed);
            self.unconfirmed += u64::from(over);
            self.wrong_checks += u64::from(verification.lifecycle.failed_checks);
        }
    }
}
