//! The closed list of reasons. A code is the API field, the metric label, the log field and the anchor in
//! the generated reference, so it is spelled once, here.

use serde::{Serialize, Serializer};

use crate::decision::Verdict;
use crate::limit::Mode;
use crate::msisdn::veil::veil;

/// What kind of reason it is. Kinds decide what outranks what, so that no single rule has to know the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing outranks it: opt-out, a missing answer, a missing right, a budget of money.
    Guardrail,
    /// An entry of a deny list.
    Deny,
    /// Limits and back-off; an allow entry does not lift them.
    Limit,
    /// Country and number-type policy, suspensions: an allow entry lifts them.
    Policy,
    /// An operator's rule: an allow entry or an allow rule lifts it.
    Rule,
    /// Detection: an allow entry or an allow rule lifts it.
    Detection,
    /// An allow entry or rule itself: it refuses nothing.
    Allow,
}

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal, $class:ident, $verdict:ident, $todo:literal; )+) => {
        /// Why a request is not simply allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ReasonCode { $( $(#[doc = $doc])+ $name, )+ }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [ReasonCode] = &[ $( ReasonCode::$name, )+ ];

            /// The kebab-case code.
            pub fn as_str(self) -> &'static str { match self { $( Self::$name => $code, )+ } }

            /// Back from [`ReasonCode::as_str`].
            pub fn parse(code: &str) -> Option<Self> { match code { $( $code => Some(Self::$name), )+ _ => None } }

            /// The verdict that this reason alone leads to.
            pub fn verdict(self) -> Verdict { match self { $( Self::$name => Verdict::$verdict, )+ } }

            /// What kind of reason it is, and so what outranks it.
            pub fn class(self) -> Class { match self { $( Self::$name => Class::$class, )+ } }

            /// What it means, for the reference page.
            pub fn meaning(self) -> &'static str { match self { $( Self::$name => concat!($($doc),+), )+ } }

            /// What an operator or caller can do about it.
            pub fn remedy(self) -> &'static str { match self { $( Self::$name => $todo, )+ } }
        }
    };
}

reasons! {
    /// The number opted out of messages (STOP, or entered by the operator).
    OptOut = "opt-out", Guardrail, Block, "Wait for START from the number, or delete the entry under /admin/v1/opt-outs if consent is proven.";
    /// The subaccount sends marketing only to numbers that agreed to it, and no opt-in of this number is known.
    NoOptIn = "no-opt-in", Guardrail, Block, "Ask for an opt-in, record one with its proof under /v1/consents, or set consent.marketing_needs_opt_in of the subaccount to false.";
    /// The subaccount's country policy is `off` for the number's country.
    CountryOff = "country-off", Policy, Block, "Set the country to `protected` or `open` in the subaccount's country_policy.";
    /// The number's type (premium rate, shared cost, toll-free, …) is not sent to.
    NumberTypeRefused = "number-type-refused", Policy, Block, "Use a mobile number, or shorten the subaccount's refused_number_types.";
    /// The number is one of a public receive-SMS site, where anybody reads along. Recorded in shadow unless the subaccount says `refuse_disposable`.
    NumberDisposable = "number-disposable", Policy, Block, "Ask for another number, or set refuse_disposable of the subaccount to false.";
    /// The number does not exist by its country's numbering plan, as far as is known. Recorded, not refused: plans change.
    NumberNotInPlan = "number-not-in-plan", Policy, Block, "Check the number; nothing was refused for this alone.";
    /// The subaccount requires the end user's address and the request has none.
    ClientIpRequired = "client-ip-required", Guardrail, Block, "Send the end user's address in clientIp (8x8) or client.ip (native).";
    /// An entry of an allow list names the number, its range, the address, or another part of the request. It lifts policy, rules and detection; limits, budgets, opt-outs and deny entries stand.
    AllowEntry = "allow-entry", Allow, Allow, "Nothing: this reason refuses nothing. Delete the entry under /admin/v1/lists when it is no longer needed.";
    /// An entry of a deny list names the number, its range, the address, or another part of the request.
    DenyEntry = "deny-entry", Deny, Block, "Look at the entry's note under /admin/v1/lists; delete it if it is wrong.";
    /// The subaccount sends registered templates only, and the text follows none of them.
    TextOffTemplate = "text-off-template", Guardrail, Block, "Send a text that follows a template of /admin/v1/templates, or register one.";
    /// The text links to a host that the subaccount does not send.
    UrlRefused = "url-refused", Guardrail, Block, "Remove the link, or add its host to the subaccount's text.urls.";
    /// The text has characters made to deceive: letters of another script within a Latin word, or invisible ones.
    LookAlikeText = "look-alike-text", Guardrail, Block, "Write the named character plainly; text.look_alikes of the subaccount says what such a text leads to.";
    /// The number's operator, country or range, or the end user's address or network, is suspended for the time being.
    Suspended = "suspended", Policy, Block, "Wait until it expires, or lift it early under /admin/v1/suspensions; the reason names it.";
    /// The message costs more than the request's or the subaccount's `max_price`. Nothing is said where no price is known.
    PriceTooHigh = "price-too-high", Guardrail, Block, "Shorten the text, raise max_price, or send over a cheaper channel.";
    /// The request very likely belongs to a campaign: its number range or its client has sent far more, or confirmed far less, than usual.
    CampaignBlock = "campaign-block", Detection, Block, "Look at the named keys; if they are yours, add the number range or address to an allow list.";
    /// The request probably belongs to a campaign, or its country or operator is under attack: it goes over another channel.
    CampaignAlternative = "campaign-alternative", Detection, Alternative, "Offer another channel (voice, WhatsApp, e-mail); add the named range or address to an allow list if it is yours.";
    /// The request may belong to a campaign: the client has to prove something first.
    CampaignChallenge = "campaign-challenge", Detection, Challenge, "Set up a challenge for the subaccount, or raise detection.user_value if good users are worth more to you.";
    /// A model trained on this installation's own traffic is as sure that the request belongs to a campaign as a block needs; the detail names what contributed most. In shadow until the model has proved better than the engine.
    CampaignModel = "campaign-model", Detection, Block, "Look at the named contributions; put the model back to shadow under /admin/v1/models, or add the range or address to an allow list.";
    /// Detection would have stopped the message; it was sent all the same, to see whether it is confirmed.
    Canary = "canary", Allow, Allow, "Nothing: this reason refuses nothing. Set detection.canary_percent to 0 if no such message is to be sent.";
    /// Too much money is out in messages that nobody has confirmed.
    ExposureBudget = "exposure-budget", Policy, Alternative, "Wait for confirmations, raise detection.exposure_budget, or set the country to `open` in the subaccount's country_policy.";
    /// The caller asked for the send without rules and detection, and its key or plan has the right to. Guardrails, policy and limits were asked.
    RiskCheckOff = "risk-check-off", Allow, Allow, "Nothing: this reason refuses nothing. Take the right risk_check_off from the key or its plan if it should not.";
    /// A budget of money or messages has no room for this message, or one of money for this lookup.
    BudgetExceeded = "budget-exceeded", Guardrail, Block, "Wait until the budget frees, or raise it under /admin/v1/budgets.";
    /// A budget of money covers this message or lookup, and its price is not known in the budget's currency: what cannot be added up cannot be bounded.
    BudgetUnpriced = "budget-unpriced", Guardrail, Block, "Add a price for the country under /admin/v1/prices, or set the budget's unpriced to `ignore`.";
    /// An operator's rule allows this. It lifts other rules and detection; policy, limits, budgets, opt-outs and deny entries stand.
    RuleAllow = "rule-allow", Allow, Allow, "Nothing: this reason refuses nothing. Change the named rule under /admin/v1/rules if it should not match.";
    /// An operator's rule blocks this.
    RuleBlock = "rule-block", Rule, Block, "Look at the named rule under /admin/v1/rules, and back-test a change of it before it is made.";
    /// An operator's rule throttles this.
    RuleThrottle = "rule-throttle", Rule, Throttle, "Wait until retry_after, or change the named rule under /admin/v1/rules.";
    /// An operator's rule sends this over another channel.
    RuleAlternative = "rule-alternative", Rule, Alternative, "Offer another channel, set the subaccount's workflow, or change the named rule under /admin/v1/rules.";
    /// An operator's rule asks the client to prove something first.
    RuleChallenge = "rule-challenge", Rule, Challenge, "Answer the challenge, or change the named rule under /admin/v1/rules.";
    /// Where the recipient is, the hour lies outside the subaccount's sending window; codes are not held back.
    OutsideSendingWindow = "outside-sending-window", Guardrail, Throttle, "Wait until retry_after, schedule the message, or name a purpose that does not wait.";
    /// A limit has no room for this request.
    LimitExceeded = "limit-exceeded", Limit, Throttle, "Wait until retry_after, or raise the named limit under /admin/v1/limits.";
    /// The caller goes through numbers by looking them up: one after the other, or many that do not exist.
    LookupEnumeration = "lookup-enumeration", Limit, Throttle, "Wait until retry_after; look numbers up when their users appear, or import a user base under the operator's eyes.";
    /// The growing delay between unconfirmed codes to one number is not over.
    BackOff = "back-off", Limit, Throttle, "Wait until retry_after; a confirmed code ends the delays.";
    /// The number has had as many unconfirmed codes in 24 hours as is allowed.
    TooManyUnconfirmed = "too-many-unconfirmed", Limit, Throttle, "Wait until retry_after, or check that the codes arrive at all.";
    /// The code was asked for again before the verification's own resending interval ended.
    ResendTooEarly = "resend-too-early", Limit, Throttle, "Wait until retry_after.";
    /// More requests a second than the API rate of the subaccount or of the calling address.
    ApiRate = "api-rate", Guardrail, Throttle, "Slow down to the documented rate; wait for Retry-After.";
    /// Too many wrong codes: for this number, or from its address, network or number range as a limit that counts failures says. The code was not looked at.
    CheckBudgetExhausted = "check-budget-exhausted", Guardrail, Throttle, "Wait until retry_after; a success resets the number's own budget. Raise the named limit under /admin/v1/limits if these are your users.";
    /// A store that must be asked did not answer; nothing is sent on a guess.
    StoreUnavailable = "store-unavailable", Guardrail, Throttle, "Look at /readyz; retry when the store answers again.";
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Which reason.
    pub code: ReasonCode,
    /// One sentence with the values, for a person. Never a full number.
    pub detail: String,
    /// What was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// What it was held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Over which time, e.g. `30m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Name of the limit, country, or other thing that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `shadow`: recorded, without effect.
    pub mode: Mode,
    /// An allow entry outranks it: recorded, without effect.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub overruled: bool,
}

impl Reason {
    /// A reason in force, without numbers.
    pub fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Reason {
            code,
            detail: detail.into(),
            value: None,
            limit: None,
            window: None,
            key: None,
            mode: Mode::Enforce,
            overruled: false,
        }
    }

    /// Names what it is about.
    pub fn about(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Recorded only.
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether it counts towards the verdict.
    pub fn in_force(&self) -> bool {
        self.mode == Mode::Enforce && !self.overruled
    }
}

/// Hides in reasons where a recipient lies that came encrypted: see [`veil`].
pub fn veil_reasons(reasons: &mut [Reason], digits: &str) {
    for reason in reasons {
        reason.detail = veil(digits, &reason.detail);
        reason.key = reason.key.as_deref().map(|key| veil(digits, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let mut codes: Vec<_> = ReasonCode::ALL.iter().map(|c| c.as_str()).collect();
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ReasonCode::ALL.len());
    }
}
