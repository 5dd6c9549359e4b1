//! What is known of a number beside its digits: what providers said before and say now, beside the operator's file of
//! ported numbers (the newer of the two first), under what the operator corrected.

use std::time::Duration;

use seawall_connect::lookup::{Depth, LookupFailure, Network, NumberState};
use seawall_core::msisdn::ParsedNumber;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Looked;

use super::{Answered, LookUp, correction};
use crate::app::App;
use crate::app::consent::reconfirm;
use crate::app::intel::Ported;

/// How long an answer about the operator is good.
const OPERATOR_AGE: Duration = Duration::from_secs(7 * 86_400);
/// How long an answer about the phone is good.
const LIVE_AGE: Duration = Duration::from_secs(300);

/// An answer, and when it was given.
type Said = Option<(Timestamp, NumberState)>;

/// What providers said of a number to a subaccount.
pub(super) struct Kept {
    looked: Looked,
    operator: Said,
    live: Said,
    /// What one said just now, in place of these.
    fresh: Said,
    /// What the operator's file of ported numbers says, and since when that is so.
    filed: Option<(Option<Timestamp>, NumberState)>,
}

impl Kept {
    /// Reads what is kept, and not too old.
    pub async fn read(app: &App, ask: &LookUp, now: Timestamp) -> Result<Self, StoreError> {
        let looked = app.store.ledger.looked(ask.number.msisdn, &ask.subaccount).await?.unwrap_or_default();
        let read = |json: &Option<(Timestamp, String)>, age: Duration| {
            let (at, json) = json.as_ref().filter(|(at, _)| at.plus(age) > now)?;
            Some((*at, serde_json::from_str(json).ok()?))
        };
        let (operator, live) = (read(&looked.operator, OPERATOR_AGE), read(&looked.live, LIVE_AGE));
        let filed = app.intel.ported(&ask.number).map(|ported| filed(&ask.number, ported));
        Ok(Kept { looked, operator, live, fresh: None, filed })
    }

    /// Whether nobody needs to be asked.
    pub fn answers(&self, depth: Depth) -> bool {
        match depth {
            Depth::Operator => self.live.is_some() || self.operator.is_some() || self.filed.is_some(),
            Depth::Live => self.live.is_some(),
        }
    }

    /// Takes an answer in, for now and for the next one who asks; or says why there is none.
    pub async fn take_in(
        &mut self,
        app: &App,
        ask: &LookUp,
        depth: Depth,
        answered: Answered,
        now: Timestamp,
    ) -> Option<LookupFailure> {
        let state = match answered.looked {
            Ok(state) => state,
            Err(failure) => return Some(failure),
        };
        self.keep(app, ask, depth, &state, now).await;
        if let Err(error) = reconfirm::signal(app, &ask.subaccount, ask.number.msisdn, &state).await {
            tracing::warn!(%error, "what a lookup says of a number's owner could not be noted");
        }
        let before = self.newest().map(|(_, before)| before.lasting()).unwrap_or_default();
        self.fresh = Some((now, state.or(before)));
        None
    }

    /// A cache that cannot be written costs money and not the answer.
    async fn keep(&mut self, app: &App, ask: &LookUp, depth: Depth, state: &NumberState, now: Timestamp) {
        let json = |state: &NumberState| serde_json::to_string(state).ok().map(|json| (now, json));
        let live = if depth == Depth::Live { json(state) } else { self.looked.live.take() };
        let looked = Looked { operator: json(&state.lasting()), live, corrected: None };
        if let Err(error) =
            app.store.ledger.keep_looked(ask.number.msisdn, &ask.subaccount, looked, now).await
        {
            tracing::warn!(%error, "the answer of a lookup could not be kept");
        }
    }

    fn newest(&self) -> Option<&(Timestamp, NumberState)> {
        self.fresh.as_ref().or(self.live.as_ref()).or(self.operator.as_ref())
    }

    /// When a provider was last asked.
    pub fn asked_at(&self) -> Option<Timestamp> {
        self.newest().map(|(at, _)| *at)
    }

    /// All of it, under what the operator corrected. `failed`: nobody answered now, so that what was true of the phone
    /// a while ago is not repeated.
    pub async fn state(self, app: &App, ask: &LookUp, failed: bool) -> Result<NumberState, StoreError> {
        let (at, said) = self.newest().cloned().unzip();
        let said = said.unwrap_or_default();
        let said = if failed { said.lasting() } else { said };
        let said = match self.filed {
            Some((since, filed)) if at.is_none() || since > at => filed.or(said),
            Some((_, filed)) => said.or(filed),
            None => said,
        };
        Ok(correction(app, ask.number.msisdn).await?.unwrap_or_default().or(said))
    }
}

/// A row of the file as the facts that it is. The row of a range names its first operator.
fn filed(number: &ParsedNumber, ported: Ported) -> (Option<Timestamp>, NumberState) {
    let Ported { ported, carrier, since, own } = ported;
    let network = Network {
        name: carrier.name.map(String::from),
        mcc: carrier.code.map(|code| code.mcc().to_owned()),
        mnc: carrier.code.map(|code| code.mnc().to_owned()),
        country: Some(number.country.to_string()),
    };
    let original_operator = (!own).then(|| network.clone());
    (since, NumberState { ported, original_operator, operator: Some(network), ..NumberState::default() })
}
