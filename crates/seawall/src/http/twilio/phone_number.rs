//! Lookup v2: `GET /v2/PhoneNumbers/{PhoneNumber}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use seawall_connect::lookup::Depth;
use seawall_core::country::Country;
use seawall_core::msisdn::{Misfit, Msisdn, MsisdnError, ParsedNumber};
use seawall_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::caller::{Known, enter_only};
use super::error::Refused;
use super::packages::{ALL, package};
use crate::app::App;
use crate::app::entities::Scope;
use crate::app::lookup::{LookUp, LookedUp, look_up};
use crate::http::extract::{Path, Query};
use crate::http::native::whole;
use crate::http::problem::Problem;

/// How a number is looked up. Twilio's other parameters are ignored.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct LookupQuery {
    /// Packages, divided by commas: `line_type_intelligence`, `sim_swap`, `call_forwarding`, `line_status`,
    /// `reassigned_number`, `sms_pumping_risk`. Others of Twilio's stay null.
    fields: Option<String>,
    /// Two letters, for a number in national form; `US` when absent.
    country_code: Option<String>,
    /// For `reassigned_number`: `YYYYMMDD`; when absent, the day of this subaccount's last confirmation.
    last_verified_date: Option<String>,
}

/// A number as Twilio describes it. Every package has its key, null when it was not asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct TwilioPhoneNumber {
    /// Such as `65`.
    calling_country_code: Option<String>,
    /// Two letters.
    country_code: Option<String>,
    /// E.164.
    phone_number: String,
    /// As people there write it.
    national_format: Option<String>,
    /// Whether it is in its country's plan.
    valid: bool,
    /// `TOO_SHORT`, `TOO_LONG`, `INVALID_BUT_POSSIBLE`, `INVALID_COUNTRY_CODE`, `INVALID_LENGTH` or `NOT_A_NUMBER`.
    #[schema(value_type = Vec<String>)]
    validation_errors: Vec<&'static str>,
    /// Always null.
    caller_name: Value,
    /// When its SIM card was last replaced.
    sim_swap: Value,
    /// Whether its calls are forwarded.
    call_forwarding: Value,
    /// Whether its phone can be reached.
    line_status: Value,
    /// Line type and operator.
    line_type_intelligence: Value,
    /// Always null.
    identity_match: Value,
    /// Whether it has another owner since.
    reassigned_number: Value,
    /// Our own risk.
    sms_pumping_risk: Value,
    /// Always null.
    phone_number_quality_score: Value,
    /// Always null.
    pre_fill: Value,
    /// Where this was asked.
    url: String,
}

/// Look a number up as Twilio's client libraries do.
#[utoipa::path(
    get,
    path = "/v2/PhoneNumbers/{PhoneNumber}",
    operation_id = "twilioFetchPhoneNumber",
    tag = "Twilio Lookup",
    params(("PhoneNumber" = String, Path, description = "E.164, or national with `CountryCode`"), LookupQuery),
    responses((status = 200, description = "What is known.", body = TwilioPhoneNumber)),
    security(("twilio" = []))
)]
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    Known(caller): Known,
    Path(text): Path<String>,
    Query(query): Query<LookupQuery>,
    headers: HeaderMap,
) -> Result<Json<TwilioPhoneNumber>, Refused> {
    let subaccount = enter_only(&app, &caller, Scope::Lookup).await?;
    let asked = Asked::read(&query)?;
    let base = base(&app, &headers);
    let number = match Msisdn::parse(&text, asked.home(&text)) {
        Ok(number) => number,
        Err(error) => return Ok(Json(no_number(&text, error, &base))),
    };
    let (now, depth) = (app.now(), asked.depth.filter(|_| number.valid));
    let ask = LookUp { depth, ..LookUp::free(&subaccount.id, number) };
    let found = whole(async move { look_up(&app, &caller, ask).await }).await?;
    Ok(Json(shown(&found, &asked, now, &base)))
}

/// What a query asks for.
struct Asked {
    fields: Vec<&'static str>,
    depth: Option<Depth>,
    country: Option<Country>,
    verified: Option<Timestamp>,
}

impl Asked {
    fn read(query: &LookupQuery) -> Result<Self, Refused> {
        let (mut fields, mut depth) = (Vec::new(), None);
        let names = query.fields.as_deref().unwrap_or_default().split(',').map(str::trim);
        for name in names.filter(|name| !name.is_empty()) {
            let Some((known, needs)) = ALL.iter().find(|(known, _)| *known == name) else {
                let words: Vec<&str> = ALL.iter().map(|(word, _)| *word).collect();
                let detail = format!("`Fields` has a name that is none of {}.", words.join(", "));
                return Err(Problem::field("Fields", detail).into());
            };
            fields.push(*known);
            depth = depth.max(*needs);
        }
        let wrong = |field, detail: &str| Refused::from(Problem::field(field, detail));
        let country = query.country_code.as_deref().filter(|text| !text.is_empty());
        let country = country.map(|text| Country::parse(text).ok_or(())).transpose();
        let country =
            country.map_err(|()| wrong("CountryCode", "`CountryCode` is two letters by ISO 3166-1."))?;
        let day = query.last_verified_date.as_deref().map(|text| day(text).ok_or(())).transpose();
        let verified =
            day.map_err(|()| wrong("LastVerifiedDate", "`LastVerifiedDate` is a day as YYYYMMDD."))?;
        Ok(Asked { fields, depth, country, verified })
    }

    /// Where a number in national form is at home; Twilio takes it for American.
    fn home(&self, text: &str) -> Option<Country> {
        let international = text.trim_start().starts_with('+');
        self.country.or_else(|| Country::parse("US").filter(|_| !international))
    }
}

fn day(text: &str) -> Option<Timestamp> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Timestamp::parse(&format!("{year}-{month}-{day}T00:00:00Z"))
}

/// Where the caller found us.
fn base(app: &App, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let own = app.config.server.public_url.clone().unwrap_or_else(|| format!("https://{host}"));
    format!("{own}/v2/PhoneNumbers")
}

/// What is no number at all. Only its digits are repeated.
fn no_number(text: &str, error: MsisdnError, base: &str) -> TwilioPhoneNumber {
    let wrong = match error {
        MsisdnError::TooShort => "TOO_SHORT",
        MsisdnError::TooLong => "TOO_LONG",
        MsisdnError::UnknownCallingCode | MsisdnError::UnsupportedCountry => "INVALID_COUNTRY_CODE",
        _ => "NOT_A_NUMBER",
    };
    let digits: String = text.chars().filter(char::is_ascii_digit).take(40).collect();
    invalid(format!("+{digits}"), wrong, base)
}

fn invalid(phone_number: String, wrong: &'static str, base: &str) -> TwilioPhoneNumber {
    TwilioPhoneNumber {
        calling_country_code: None,
        country_code: None,
        national_format: None,
        valid: false,
        validation_errors: vec![wrong],
        caller_name: Value::Null,
        sim_swap: Value::Null,
        call_forwarding: Value::Null,
        line_status: Value::Null,
        line_type_intelligence: Value::Null,
        identity_match: Value::Null,
        reassigned_number: Value::Null,
        sms_pumping_risk: Value::Null,
        phone_number_quality_score: Value::Null,
        pre_fill: Value::Null,
        url: format!("{base}/{phone_number}"),
        phone_number,
    }
}

fn misfit(number: &ParsedNumber) -> &'static str {
    match number.msisdn.misfit() {
        Misfit::CallingCode => "INVALID_COUNTRY_CODE",
        Misfit::TooShort => "TOO_SHORT",
        Misfit::TooLong => "TOO_LONG",
        Misfit::Length => "INVALID_LENGTH",
        Misfit::Unassigned => "INVALID_BUT_POSSIBLE",
    }
}

fn shown(found: &LookedUp, asked: &Asked, now: Timestamp, base: &str) -> TwilioPhoneNumber {
    let number = &found.format.number;
    let of = |name: &str| match asked.fields.contains(&name) {
        true => package(name, found, asked.verified, now),
        false => Value::Null,
    };
    let bare = invalid(number.msisdn.to_e164(), "", base);
    let bare = TwilioPhoneNumber { sms_pumping_risk: of("sms_pumping_risk"), ..bare };
    if !number.valid {
        return TwilioPhoneNumber { validation_errors: vec![misfit(number)], ..bare };
    }
    let country = Some(number.country).filter(|country| *country != Country::GLOBAL);
    TwilioPhoneNumber {
        calling_country_code: number.msisdn.calling_code().map(|code| code.to_string()),
        country_code: country.map(|country| country.to_string()),
        national_format: Some(found.format.national.clone()),
        valid: true,
        validation_errors: Vec::new(),
        sim_swap: of("sim_swap"),
        call_forwarding: of("call_forwarding"),
        line_status: of("line_status"),
        line_type_intelligence: of("line_type_intelligence"),
        reassigned_number: of("reassigned_number"),
        ..bare
    }
}
