//! Everything that is set up, in the form that requests use: built whole, swapped whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use seawall_connect::Connector;
use seawall_core::country::Country;
use seawall_core::limit::Limit;
use seawall_core::message::Channel;
use seawall_core::money::Currency;
use seawall_core::msisdn::Msisdn;
use seawall_core::policy::{Policy, VerificationBounds};
use seawall_core::request::{Operation, Request};
use seawall_core::time::Timestamp;

use super::collections::lists::StoredList;
use super::collections::plans::Plan;
use super::entities::{
    Account, AllowedNet, ApiKey, PriceEntry, Provider, Route, Settings, Subaccount, Template, TestNumber,
    Webhook,
};
use super::masking::inventory::{Inventory, VoiceEvent, VoiceWebhook};
use super::number_keys::NumberKeys;
use super::rules::RunningRules;

/// What requests see of the directory.
#[derive(Default)]
pub struct Snapshot {
    /// The account; `None` before `init`.
    pub account: Option<Account>,
    /// By id.
    pub subaccounts: HashMap<String, Arc<Subaccount>>,
    /// By SHA-256 of the secret.
    pub keys: HashMap<[u8; 32], Arc<ApiKey>>,
    /// IP allow-list.
    pub allowed: Vec<AllowedNet>,
    /// By name, enabled ones only, with their running connectors.
    pub providers: HashMap<String, RunningProvider>,
    /// In the order in which they are tried.
    pub routes: Vec<Route>,
    /// Prices.
    pub prices: Vec<PriceEntry>,
    /// Webhooks.
    pub webhooks: Vec<Webhook>,
    /// Webhooks of voice events, in 8x8's words.
    pub voice_webhooks: Vec<VoiceWebhook>,
    /// Virtual numbers and their pools.
    pub masking: Inventory,
    /// Keys that numbers in requests are encrypted with.
    pub number_keys: NumberKeys,
    /// Numbers with a code of their own.
    pub test_numbers: HashMap<String, TestNumber>,
    /// Saved templates.
    pub templates: Vec<Template>,
    /// Plans by name.
    pub plans: HashMap<String, Arc<Plan>>,
    /// Lists, without their entries.
    pub lists: Vec<StoredList>,
    /// Settings.
    pub settings: Settings,
    /// What is known of the rules beside the policy.
    pub rules: RunningRules,
    /// What `decide` takes.
    pub policy: Arc<Policy>,
    /// Range lengths that limits ask for, see [`Policy::range_digits`].
    pub range_digits: Vec<u8>,
}

/// A provider and its connector.
#[derive(Clone)]
pub struct RunningProvider {
    /// As set up.
    pub provider: Arc<Provider>,
    /// Running.
    pub connector: Arc<dyn Connector>,
}

impl Snapshot {
    /// Puts the parts together.
    pub fn policy(
        version: u64,
        limits: Vec<Limit>,
        settings: &Settings,
        bounds: VerificationBounds,
        subaccounts: &HashMap<String, Arc<Subaccount>>,
    ) -> Policy {
        Policy {
            version,
            limits,
            backoff: settings.verification_backoff.clone(),
            verification: bounds,
            subaccounts: subaccounts.iter().map(|(id, s)| (id.clone(), s.policy.clone())).collect(),
            observe_until: settings.observe_until,
            detection: settings.detection.clone(),
            ..Policy::default()
        }
    }

    /// Providers for a message, in fail-over order: those of the first route that matches.
    pub fn route(
        &self,
        country: Country,
        channel: Channel,
        purpose: &str,
        subaccount: &str,
    ) -> Vec<RunningProvider> {
        let route = self.matching(country, channel, purpose, subaccount);
        let names = route.map(|route| route.providers.as_slice()).unwrap_or_default();
        names.iter().filter_map(|name| self.providers.get(name).cloned()).collect()
    }

    /// Providers that may carry something of a channel for a subaccount, wherever it goes; each once.
    pub fn carriers(&self, channel: Channel, subaccount: &str) -> Vec<RunningProvider> {
        let fits = |route: &&Route| {
            route.matches.channel.is_none_or(|c| c == channel)
                && route.matches.subaccount_id.as_deref().is_none_or(|s| s == subaccount)
        };
        let names: BTreeSet<&String> = self.routes.iter().filter(fits).flat_map(|r| &r.providers).collect();
        names.into_iter().filter_map(|name| self.providers.get(name).cloned()).collect()
    }

    /// The first route that matches.
    fn matching(
        &self,
        country: Country,
        channel: Channel,
        purpose: &str,
        subaccount: &str,
    ) -> Option<&Route> {
        let fits = |route: &&Route| {
            let m = &route.matches;
            m.country.is_none_or(|c| c == country)
                && m.channel.is_none_or(|c| c == channel)
                && m.purpose.as_deref().is_none_or(|p| p == purpose)
                && m.subaccount_id.as_deref().is_none_or(|s| s == subaccount)
        };
        self.routes.iter().find(fits)
    }

    /// Says in a request what it would be charged to: its route, and the currency of its price.
    pub fn place(&self, request: &mut Request) {
        if !request.operation.sends() {
            return;
        }
        let purpose = if request.operation == Operation::VerifyStart { "verification" } else { "message" };
        request.currency = self.price(request.country).and_then(|price| Currency::parse(&price.currency));
        if !request.operation.is_message() {
            return;
        }
        let route = self.matching(request.country, request.channel, purpose, &request.subaccount);
        request.route = route.map(|route| route.id.clone());
    }

    /// What a segment to a country costs. Operators are told apart once look-ups exist.
    pub fn price(&self, country: Country) -> Option<&PriceEntry> {
        self.prices
            .iter()
            .find(|p| p.country == country && p.mcc.is_none())
            .or_else(|| self.prices.iter().find(|p| p.country == country))
    }

    /// The code of a test number.
    pub fn test_code(&self, to: Msisdn, now: Timestamp) -> Option<&str> {
        if self.test_numbers.is_empty() {
            return None;
        }
        let found = self.test_numbers.get(&to.to_e164())?;
        (now < found.expires_at).then_some(found.code.as_str())
    }

    /// The enabled webhook with an id, of whatever kind.
    pub fn webhook_of_id(&self, id: &str) -> Option<&Webhook> {
        let all = self.webhooks.iter().chain(self.voice_webhooks.iter().map(|voice| &voice.hook));
        all.into_iter().find(|w| w.id == id && w.enabled)
    }

    /// Where one kind of voice event of a subaccount goes.
    pub fn voice_webhook(&self, subaccount: &str, event: VoiceEvent) -> Option<&Webhook> {
        let mine = |voice: &&VoiceWebhook| voice.event == event && voice.hook.subaccount_id == subaccount;
        self.voice_webhooks.iter().find(mine).map(|voice| &voice.hook).filter(|hook| hook.enabled)
    }

    /// The webhook of a subaccount, or the one for all.
    pub fn webhook(&self, subaccount: &str) -> Option<&Webhook> {
        let own = self.webhooks.iter().find(|w| w.subaccount_id == subaccount);
        own.or_else(|| self.webhooks.iter().find(|w| w.subaccount_id == "*")).filter(|w| w.enabled)
    }
}
