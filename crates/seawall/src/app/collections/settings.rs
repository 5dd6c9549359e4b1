//! Settings of the installation: one document, changed by merge patches.

use std::time::Duration;

use seawall_core::detect::dial::DetectionPolicy;
use seawall_core::limit::Mode;
use seawall_core::policy::BackOff;
use seawall_core::time::Timestamp;
use seawall_store::StoreError;
use seawall_store::records::Document;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::App;
use super::super::audit::Actor;
use super::super::consent::settings::ConsentSettings;
use super::super::consent::shapes::ConsentShape;
use super::super::entities::{ApiRates, Settings, collection};
use super::super::incidents::IncidentSettings;
use super::super::lookup::settings::{LookupSettings, LookupSettingsShape};
use super::super::signals::alerts::SignalSettings;
use super::shapes::{ApiRatesShape, BackOffShape, DetectionShape, IncidentsShape, SignalsShape};
use super::{TRIES, Wrong, enforce, merge, picked, read};

/// The document's id.
pub const SETTINGS_ID: &str = "settings";
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 3600);
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// More than this would be an attack let through.
const MOST_CANARIES: u8 = 20;
/// A billion of the currency.
const MOST_MONEY: i64 = 1_000_000_000_000_000;

/// The settings as they are shown.
#[derive(Serialize, ToSchema)]
pub struct SettingsView {
    /// Delays between unconfirmed codes.
    #[schema(value_type = BackOffShape)]
    pub verification_backoff: BackOff,
    /// Requests a second.
    #[schema(value_type = ApiRatesShape)]
    pub api_rates: ApiRates,
    /// Until then only guardrails refuse; everything else is recorded in shadow.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub observe_until: Option<Timestamp>,
    /// Fraud detection.
    #[schema(value_type = DetectionShape)]
    pub detection: DetectionPolicy,
    /// Alerts on volume, share and conversion.
    #[schema(value_type = SignalsShape)]
    pub signals: SignalSettings,
    /// What is done about incidents by itself.
    #[schema(value_type = IncidentsShape)]
    pub incidents: IncidentSettings,
    /// STOP, START, HELP, double opt-in and "not me".
    #[schema(value_type = ConsentShape)]
    pub consent: ConsentSettings,
    /// What is asked of networks for rules.
    #[schema(value_type = LookupSettingsShape)]
    pub lookup: LookupSettings,
}

fn view(settings: Settings) -> SettingsView {
    SettingsView {
        verification_backoff: settings.verification_backoff,
        api_rates: settings.api_rates,
        observe_until: settings.observe_until,
        detection: settings.detection,
        signals: settings.signals,
        incidents: settings.incidents,
        consent: settings.consent,
        lookup: settings.lookup,
    }
}

/// The settings.
pub async fn get(app: &App) -> Result<SettingsView, Wrong> {
    let document = stored(app).await?;
    Ok(view(read_stored(document.as_ref())?))
}

async fn stored(app: &App) -> Result<Option<Document>, Wrong> {
    Ok(app.store.directory.documents(collection::SETTINGS).await?.into_iter().next())
}

fn read_stored(document: Option<&Document>) -> Result<Settings, Wrong> {
    let Some(document) = document else { return Ok(Settings::default()) };
    serde_json::from_value(document.body.clone())
        .map_err(|e| Wrong::Store(StoreError::Corrupt(format!("settings: {e}"))))
}

/// Changes them.
pub async fn patch(app: &App, actor: &Actor, patch: Value) -> Result<SettingsView, Wrong> {
    let Value::Object(fields) = patch else {
        return Err(Wrong::field("(body)", "must be a JSON object with the settings to change"));
    };
    let names: Vec<String> = fields.keys().cloned().collect();
    let patch = Value::Object(fields);
    let _changing = app.reload_lock.lock().await;
    for _ in 0..TRIES {
        let document = stored(app).await?;
        let settings = merged(&read_stored(document.as_ref())?, &patch)?;
        let body = serde_json::to_value(&settings).unwrap_or_default();
        let detail = picked(&body, &names);
        match write(app, actor, document, body, detail).await {
            Ok(()) => {
                enforce(app).await?;
                return Ok(view(settings));
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Wrong::Busy)
}

/// Money is not negative, and a share is at most a whole.
pub(crate) fn check_detection(detection: &DetectionPolicy) -> Result<(), Wrong> {
    let amounts = [
        ("detection.user_value", Some(detection.user_value)),
        ("detection.exposure_budget", Some(detection.exposure_budget)),
        ("detection.canary_max_price", Some(detection.canary_max_price)),
        ("detection.operator_exposure_budget", detection.operator_exposure_budget),
        ("detection.subaccount_exposure_budget", detection.subaccount_exposure_budget),
    ];
    for (field, amount) in amounts {
        if amount.is_some_and(|a| !(0..=MOST_MONEY).contains(&a)) {
            return Err(Wrong::field(field, format!("is micro-units of money, from 0 to {MOST_MONEY}")));
        }
    }
    for (field, percent) in [
        ("detection.challenge_loss", detection.challenge_loss),
        ("detection.alternative_loss", detection.alternative_loss),
    ] {
        if percent > 100 {
            return Err(Wrong::field(field, "is a percentage, from 0 to 100"));
        }
    }
    if detection.canary_percent > MOST_CANARIES {
        return Err(Wrong::field(
            "detection.canary_percent",
            format!("is a percentage, from 0 to {MOST_CANARIES}"),
        ));
    }
    Ok(())
}

/// A time-out has a length, a threshold makes sense.
fn check_watch(settings: &Settings) -> Result<(), Wrong> {
    let (signals, incidents) = (&settings.signals, &settings.incidents);
    let whole = [
        ("signals.least", signals.least, 1, 1_000_000),
        ("signals.volume_percent", signals.volume_percent, 101, 100_000),
        ("signals.share_points", signals.share_points, 1, 100),
        ("signals.conversion_percent", signals.conversion_percent, 1, 100),
        ("incidents.auto_suspend.after", incidents.auto_suspend.after, 1, 1_000_000),
    ];
    for (field, value, least, most) in whole {
        if !(least..=most).contains(&value) {
            return Err(Wrong::field(field, format!("{value} is out of range; use {least} to {most}")));
        }
    }
    let minute = Duration::from_secs(60);
    let spans = [
        ("signals.again_after", signals.again_after),
        ("incidents.quiet_after", incidents.quiet_after),
        ("incidents.auto_suspend.for", incidents.auto_suspend.lasts),
    ];
    for (field, value) in spans {
        if !(minute..=LONGEST_WAIT).contains(&value) {
            return Err(Wrong::field(field, "is a duration from \"1m\" to \"7d\""));
        }
    }
    Ok(())
}

/// Texts fit into a message, and waits end.
fn check_consent(settings: &Settings) -> Result<(), Wrong> {
    let consent = &settings.consent;
    let texts = [
        ("consent.question", Some(&consent.question)),
        ("consent.reconfirm.question", Some(&consent.reconfirm.question)),
        ("consent.bindings.new_text", Some(&consent.bindings.new_text)),
        ("consent.bindings.old_text", Some(&consent.bindings.old_text)),
        ("consent.bindings.notice", Some(&consent.bindings.notice)),
        ("consent.answers.stop", consent.answers.stop.as_ref()),
        ("consent.answers.start", consent.answers.start.as_ref()),
        ("consent.answers.help", consent.answers.help.as_ref()),
        ("consent.answers.confirmed", consent.answers.confirmed.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.trim().is_empty() || text.chars().count() > 480) {
            return Err(Wrong::field(field, "must be 1 to 480 characters; null answers nothing"));
        }
    }
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    if !(minute..=LONGEST_WAIT).contains(&consent.question_valid) {
        return Err(Wrong::field("consent.question_valid", "is a duration from \"1m\" to \"7d\""));
    }
    if !(hour..=LONGEST_WAIT).contains(&consent.not_me) {
        return Err(Wrong::field("consent.not_me", "is a duration from \"1h\" to \"7d\""));
    }
    let day = hour * 24;
    let bindings = &consent.bindings;
    for (field, text) in
        [("consent.bindings.new_text", &bindings.new_text), ("consent.bindings.old_text", &bindings.old_text)]
    {
        if !text.contains("{code}") {
            return Err(Wrong::field(field, "needs `{code}`"));
        }
    }
    let waits = [
        ("consent.bindings.hold", Some(bindings.hold)),
        ("consent.bindings.lost_delay", bindings.lost_delay),
    ];
    for (field, wait) in waits {
        if wait.is_some_and(|wait| !(hour..=day * 30).contains(&wait)) {
            return Err(Wrong::field(field, "is a duration from \"1h\" to \"30d\""));
        }
    }
    if !(day..=day * 365).contains(&consent.reviews_kept) {
        return Err(Wrong::field("consent.reviews_kept", "is a duration from \"1d\" to \"365d\""));
    }
    if consent.reconfirm.months.is_some_and(|months| ![3, 6, 12].contains(&months)) {
        return Err(Wrong::field("consent.reconfirm.months", "is 3, 6, 12 or null"));
    }
    if !(day..=day * 90).contains(&consent.reconfirm.grace) {
        return Err(Wrong::field("consent.reconfirm.grace", "is a duration from \"1d\" to \"90d\""));
    }
    Ok(())
}

fn merged(settings: &Settings, patch: &Value) -> Result<Settings, Wrong> {
    let mut whole = serde_json::to_value(settings).unwrap_or_default();
    merge(&mut whole, patch);
    let settings = read::<Settings>(whole)?;
    let back_off = &settings.verification_backoff;
    if back_off.delays.iter().any(|delay| *delay > LONGEST_DELAY) {
        return Err(Wrong::field("verification_backoff.delays", "a delay is at most \"24h\""));
    }
    check_detection(&settings.detection)?;
    check_watch(&settings)?;
    check_consent(&settings)?;
    let (least, most) = (Duration::from_millis(50), Duration::from_secs(5));
    if !(least..=most).contains(&settings.lookup.deadline) {
        return Err(Wrong::field("lookup.deadline", "is a duration from \"50ms\" to \"5s\""));
    }
    if back_off.mode != Mode::Off && !(1..=1000).contains(&back_off.max_unconfirmed) {
        return Err(Wrong::field("verification_backoff.max_unconfirmed", "must be 1 to 1000"));
    }
    for (field, rate) in [
        ("api_rates.per_subaccount", settings.api_rates.per_subaccount),
        ("api_rates.per_caller_ip", settings.api_rates.per_caller_ip),
    ] {
        if !(1..=1_000_000).contains(&rate) {
            return Err(Wrong::field(
                field,
                format!("{rate} is out of range; use 1 to 1000000 requests a second"),
            ));
        }
    }
    Ok(settings)
}

async fn write(
    app: &App,
    actor: &Actor,
    document: Option<Document>,
    body: Value,
    detail: Value,
) -> Result<(), StoreError> {
    let now = app.now();
    let audit = actor.entry(now, "settings.update", SETTINGS_ID, detail);
    let directory = &app.store.directory;
    match document {
        Some(document) => {
            directory.replace(Document { body, updated_at: now, ..document }, audit).await.map(|_| ())
        }
        None => {
            let document = Document {
                collection: collection::SETTINGS.to_owned(),
                id: SETTINGS_ID.to_owned(),
                name: None,
                body,
                revision: 1,
                created_at: now,
                updated_at: now,
            };
            directory.create(document, audit).await.map(|_| ())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let settings =
            merged(&Settings::default(), &json!({"verification_backoff": {"mode": "off"}})).unwrap();
        assert_eq!(settings.verification_backoff.mode, Mode::Off);
        assert_eq!(settings.verification_backoff.delays, BackOff::default().delays);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (patch, field) in [
            (json!({"colour": 1}), "colour"),
            (json!({"verification_backoff": {"delays": ["25h"]}}), "verification_backoff.delays"),
            (json!({"verification_backoff": {"mode": "loud"}}), "verification_backoff.mode"),
            (json!({"api_rates": {"per_caller_ip": 0}}), "api_rates.per_caller_ip"),
            (json!({"detection": {"mode": "loud"}}), "detection.mode"),
            (json!({"detection": {"user_value": -1}}), "detection.user_value"),
            (json!({"detection": {"challenge_loss": 101}}), "detection.challenge_loss"),
            (json!({"signals": {"least": 0}}), "signals.least"),
            (json!({"consent": {"answers": {"stop": " "}}}), "consent.answers.stop"),
            (json!({"consent": {"not_me": "1m"}}), "consent.not_me"),
            (json!({"consent": {"reconfirm": {"months": 5}}}), "consent.reconfirm.months"),
            (json!({"consent": {"reconfirm": {"grace": "1h"}}}), "consent.reconfirm.grace"),
            (json!({"consent": {"reviews_kept": "1h"}}), "consent.reviews_kept"),
            (json!({"incidents": {"auto_suspend": {"for": "8d"}}}), "incidents.auto_suspend.for"),
        ] {
            let Err(Wrong::Field { field: found, .. }) = merged(&Settings::default(), &patch) else {
                panic!("{patch}")
            };
            assert_eq!(found, field);
        }
    }
}
