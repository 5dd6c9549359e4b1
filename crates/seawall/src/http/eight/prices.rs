//! What a message costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use seawall_core::country::Country;
use serde_json::{Value, json};

use super::call::{Call, enter_account, subaccounts_of};
use super::error::{Answer, Refusals, Refused, foreign_subaccount};
use crate::app::App;
use crate::app::entities::{PriceEntry, Scope};
use crate::app::hooks::money;

/// The price list. Prices are the account's, so every subaccount has the same; inbound messages are free.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{accountId}/prices",
    tag = "8x8 SMS",
    operation_id = "eight_prices",
    params(
        ("accountId" = String, Path, description = "GUID, dashes optional, or the account's name"),
        ("country" = Option<String>, Query, min_length = 2, max_length = 2),
        ("mcc" = Option<u16>, Query, description = "With `mnc` only"),
        ("mnc" = Option<u16>, Query, description = "With `mcc` only"),
        ("direction" = Option<String>, Query, description = "`outbound` or `inbound`; both when absent"),
        ("subAccountId" = Option<String>, Query)
    ),
    responses((status = 200, body = Object), Refusals),
    security(("api_key" = []))
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Response {
    shown(&app, request).await.into_response()
}

/// What is asked for.
#[derive(Default)]
struct Wanted {
    country: Option<Country>,
    operator: Option<(u16, u16)>,
    outbound: bool,
    inbound: bool,
}

async fn shown(app: &App, request: Request) -> Answer<Response> {
    let (call, _) = enter_account(app, request, Scope::Sms).await?;
    let wanted = read(&call)?;
    let mut names = subaccounts_of(app, &call.caller);
    names.sort();
    if let Some(only) = call.query("subAccountId")? {
        names.retain(|name| *name == only);
        if names.is_empty() {
            return Err(foreign_subaccount());
        }
    }
    let snapshot = app.snapshot.load();
    let outbound = json!({"countries": countries(&snapshot.prices, &wanted)});
    let one = |name: &String| {
        let mut entry = json!({"subAccountId": name});
        if let Value::Object(fields) = &mut entry {
            if wanted.outbound {
                fields.insert("outbound".to_owned(), outbound.clone());
            }
            if wanted.inbound {
                fields.insert("inbound".to_owned(), json!({"countries": []}));
            }
        }
        entry
    };
    // One list for all of them would do; the wire repeats it, so it is bounded.
    let all: Vec<Value> = names.iter().take(200).map(one).collect();
    Ok(axum::Json(json!({"subAccounts": all})).into_response())
}

fn read(call: &Call) -> Answer<Wanted> {
    let country = match call.query("country")? {
        Some(text) => Some(Country::parse(&text).ok_or_else(|| Refused::bad(1009, "Invalid country code"))?),
        None => None,
    };
    let code = |name: &str| -> Answer<Option<u16>> {
        let Some(text) = call.query(name)? else {
            return Ok(None);
        };
        let digits = (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let bad = || Refused::bad(1000, format!("Invalid {name}: up to three digits are needed"));
        text.parse().ok().filter(|_| digits).map(Some).ok_or_else(bad)
    };
    let operator = match (code("mcc")?, code("mnc")?) {
        (Some(mcc), Some(mnc)) => Some((mcc, mnc)),
        (None, None) => None,
        _ => {
            return Err(Refused::bad(1000, "Invalid parameter: mcc and mnc have to come together"));
        }
    };
    let (outbound, inbound) = match call.query("direction")?.as_deref() {
        None => (true, true),
        Some("outbound") => (true, false),
        Some("inbound") => (false, true),
        Some(_) => return Err(Refused::bad(1000, "Invalid direction: outbound or inbound")),
    };
    Ok(Wanted { country, operator, outbound, inbound })
}

fn countries(prices: &[PriceEntry], wanted: &Wanted) -> Vec<Value> {
    let mut by_country: BTreeMap<Country, Vec<Value>> = BTreeMap::new();
    for price in prices.iter().filter(|p| matches(p, wanted)) {
        by_country.entry(price.country).or_default().push(operator(price));
    }
    let one = |(country, operators): (Country, Vec<Value>)| {
        let code = country.as_str();
        json!({"alpha2Code": code, "countryName": code, "operators": operators})
    };
    by_country.into_iter().map(one).collect()
}

fn matches(price: &PriceEntry, wanted: &Wanted) -> bool {
    let number = |text: &Option<String>| text.as_deref().and_then(|t| t.parse::<u16>().ok());
    let operator = wanted.operator.is_none_or(|(mcc, mnc)| {
        // A country's price holds for operators without one of their own.
        price.mcc.is_none() || (number(&price.mcc), number(&price.mnc)) == (Some(mcc), Some(mnc))
    });
    operator && wanted.country.is_none_or(|c| c == price.country)
}

fn operator(price: &PriceEntry) -> Value {
    let hni: Vec<Value> =
        price.mcc.iter().map(|mcc| json!({"mcc": mcc, "mnc": price.mnc.as_deref().unwrap_or("")})).collect();
    let name = match (&price.mcc, &price.mnc) {
        (Some(mcc), Some(mnc)) => format!("{mcc}-{mnc}"),
        _ => "All operators".to_owned(),
    };
    let price = json!({"amount": money(price.amount), "currency": price.currency});
    json!({"operatorName": name, "hni": hni, "price": price})
}
