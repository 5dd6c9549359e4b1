//! Lookup as Twilio's client libraries ask for it, and the bodies that they expect.

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::Gateway;

/// Every key of Twilio's body, in its order.
const KEYS: [&str; 17] = [
    "calling_country_code",
    "country_code",
    "phone_number",
    "national_format",
    "valid",
    "validation_errors",
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "line_type_intelligence",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
    "url",
];

fn account_sid(gateway: &Gateway) -> String {
    format!("AC{}", gateway.first.account_id.replace('-', ""))
}

async fn fetch(
    gateway: &Gateway,
    user: &str,
    secret: &str,
    what: &str,
) -> (u16, reqwest::header::HeaderMap, Value) {
    let url = format!("{}/v2/PhoneNumbers/{what}", gateway.base);
    let answer = gateway.http.get(url).basic_auth(user, Some(secret)).send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
}

async fn look(gateway: &Gateway, what: &str) -> Value {
    let (status, _, body) = fetch(gateway, &account_sid(gateway), &gateway.first.api_key, what).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The packages of a body that are not null.
fn packages(body: &Value) -> Vec<&str> {
    let bare = |key: &&&str| !KEYS[..6].contains(*key) && **key != "url";
    KEYS.iter().filter(bare).filter(|key| !body[**key].is_null()).copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_basic_lookup_has_twilios_keys_and_null_packages() {
    let gateway = Gateway::new().await;
    let body = look(&gateway, "+14159929960").await;
    let mut keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = KEYS.to_vec();
    keys.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!((&body["calling_country_code"], &body["country_code"]), (&json!("1"), &json!("US")));
    assert_eq!(
        (&body["phone_number"], &body["national_format"]),
        (&json!("+14159929960"), &json!("(415) 992-9960"))
    );
    assert_eq!((&body["valid"], &body["validation_errors"]), (&json!(true), &json!([])));
    assert!(packages(&body).is_empty(), "{body}");
    assert!(body["url"].as_str().unwrap().ends_with("/v2/PhoneNumbers/+14159929960"));
    let national = look(&gateway, "(415)%20992-9960").await;
    assert_eq!(national["phone_number"], "+14159929960", "Twilio takes national numbers for American");
    assert_eq!(look(&gateway, "91234567?CountryCode=SG").await["phone_number"], "+6591234567");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_valid_number_is_an_answer_with_its_reason() {
    let gateway = Gateway::new().await;
    for (asked, reason) in [
        ("+141599299600", "TOO_LONG"),
        ("+1415992", "TOO_SHORT"),
        ("+6511111111", "INVALID_BUT_POSSIBLE"),
        ("+2101234567", "INVALID_COUNTRY_CODE"),
        ("nobody", "NOT_A_NUMBER"),
    ] {
        let body = look(&gateway, &format!("{asked}?Fields=line_type_intelligence")).await;
        assert_eq!(
            (&body["valid"], &body["validation_errors"]),
            (&json!(false), &json!([reason])),
            "{asked}"
        );
        assert_eq!((&body["country_code"], &body["national_format"]), (&Value::Null, &Value::Null));
        assert!(packages(&body).is_empty(), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_filled_from_providers_and_from_our_own_risk() {
    let gateway = Gateway::new().await;
    let says = json!({
        "msisdn": "+6591234567", "ported": true, "operator": {"name": "M1", "mcc": "525", "mnc": "03"}, "reachable": true,
        "call_forwarding": true, "sim_swapped_at": "2026-01-05T10:00:00Z", "reassigned_at": "2026-01-06T00:00:00Z",
    });
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(says)).await.expect(201);
    let fields = "line_type_intelligence,sim_swap,call_forwarding,line_status,reassigned_number,sms_pumping_risk,caller_name";
    let body = look(&gateway, &format!("+6591234567?Fields={fields}&LastVerifiedDate=20260101")).await;
    let m1 = json!({"mobile_country_code": "525", "mobile_network_code": "03", "carrier_name": "M1", "type": "mobile", "error_code": null});
    assert_eq!(body["line_type_intelligence"], m1);
    assert_eq!(body["call_forwarding"], json!({"call_forwarding_enabled": true, "error_code": null}));
    assert_eq!(body["line_status"], json!({"status": "reachable", "error_code": null}));
    let again =
        json!({"last_verified_date": "2026-01-01", "is_number_reassigned": "yes", "error_code": null});
    assert_eq!(body["reassigned_number"], again);
    assert_eq!(body["sim_swap"]["last_sim_swap"]["last_sim_swap_date"], "2026-01-05T10:00:00.000Z");
    assert_eq!(body["sim_swap"]["last_sim_swap"]["swapped_in_period"], true);
    assert_eq!((&body["sim_swap"]["carrier_name"], &body["caller_name"]), (&json!("M1"), &Value::Null));
    let risk = &body["sms_pumping_risk"];
    assert_eq!((&risk["number_blocked"], &risk["carrier_risk_category"]), (&json!(false), &json!("low")));
    assert!(risk["sms_pumping_risk_score"].as_u64().unwrap() <= 5, "{risk}");

    let deny = json!({"value": "+6591234567"});
    gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(deny)).await.expect(201);
    let body = look(&gateway, "+6591234567?Fields=sms_pumping_risk").await;
    assert_eq!(packages(&body), ["sms_pumping_risk"]);
    let risk = &body["sms_pumping_risk"];
    assert_eq!((&risk["number_blocked"], &risk["sms_pumping_risk_score"]), (&json!(true), &json!(100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_an_error_code_of_its_package() {
    let gateway = Gateway::new().await;
    let says = json!({"msisdn": "+6591234567", "fail": "timeout"});
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(says)).await.expect(201);
    let body = look(&gateway, "+6591234567?Fields=line_status,line_type_intelligence").await;
    assert_eq!(body["line_status"], json!({"status": "unknown", "error_code": 60600}));
    assert_eq!(
        (&body["valid"], &body["line_type_intelligence"]["error_code"]),
        (&json!(true), &json!(60600))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_twilios_body_and_our_headers() {
    let gateway = Gateway::new().await;
    let sid = account_sid(&gateway);
    let (key, wrong) = (gateway.first.api_key.as_str(), "sw_live_wrong");
    for (user, secret) in [(sid.as_str(), wrong), ("AC00000000000000000000000000000000", key), ("", key)] {
        let (status, headers, body) = fetch(&gateway, user, secret, "+6591234567").await;
        assert_eq!((status, &body["code"], &body["status"]), (401, &json!(20003), &json!(401)));
        assert!(body["message"].is_string() && body["more_info"].is_string());
        assert!(headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    }
    let (status, _, body) = fetch(&gateway, &sid, key, "+6591234567?Fields=shoe_size").await;
    assert_eq!((status, &body["code"]), (400, &json!(20001)), "{body}");
    let listed = gateway.admin("GET", "/admin/v1/api-keys", None).await.expect(200);
    let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(fetch(&gateway, &id, key, "+6591234567").await.0, 200, "a key's own id is a user name, too");

    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let settings = json!({"url": format!("{}/{{to_digits}}", server.uri()), "cost_micros": 10, "facts": {"ported": "/p"}});
    let provider = json!({"name": "hlr", "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    let budget = json!({"amount": 1, "currency": "USD", "window": "day"});
    gateway.admin("POST", "/admin/v1/budgets", Some(budget)).await.expect(201);
    let (status, headers, body) = fetch(&gateway, &sid, key, "+6591234567?Fields=line_status").await;
    assert_eq!((status, &body["code"]), (403, &json!(60410)), "{body}");
    assert_eq!(body["more_info"], "/docs/reasons#budget-exceeded");
    assert!(headers.contains_key("seawall-decision-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_several_subaccounts_cannot_say_which() {
    let gateway = Gateway::new().await;
    let other = json!({"id": "acme_other"});
    gateway.admin("POST", "/admin/v1/subaccounts", Some(other)).await.expect(201);
    let all = json!({"name": "all", "scopes": ["lookup"]});
    let made = gateway.admin("POST", "/admin/v1/api-keys", Some(all)).await.expect(201);
    let sid = account_sid(&gateway);
    let (status, _, body) = fetch(&gateway, &sid, made["key"].as_str().unwrap(), "+6591234567").await;
    assert_eq!((status, &body["code"]), (403, &json!(20003)), "{body}");
}
