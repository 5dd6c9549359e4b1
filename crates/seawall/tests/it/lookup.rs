//! Numbers looked up: natively, in 8x8's dialect, with providers that answer and fail, and by somebody who goes
//! through a range.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::Gateway;

const TO: &str = "+6591234567";

async fn tell(gateway: &Gateway, facts: Value) {
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await.expect(201);
}

async fn look(gateway: &Gateway, number: &str, query: &str) -> Value {
    let path = format!("/v1/numbers/{}{query}", number.replace('+', "%2B"));
    gateway.api("GET", &path, None).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn digits_say_what_they_can_and_the_rest_is_null() {
    let gateway = Gateway::new().await;
    let found = look(&gateway, TO, "").await;
    assert_eq!(found["number"], TO);
    assert_eq!(found["national"], "9123 4567");
    assert_eq!(
        (&found["valid"], &found["type"], &found["country"]),
        (&json!(true), &json!("mobile"), &json!("SG"))
    );
    assert_eq!(found["operator"], json!({"name": "SingTel", "mcc": "525", "mnc": "01", "country": "SG"}));
    assert_eq!(found["time_zones"], json!(["Asia/Singapore"]));
    for unknown in ["ported", "roaming", "reachable", "last_confirmed_at", "asked_at", "error"] {
        assert_eq!(found[unknown], Value::Null, "{unknown}");
    }
    assert_eq!((&found["opted_out"], &found["cost"]), (&json!(false), &json!(0)));
    assert!(found["risk"]["score"].as_u64().unwrap() <= 5, "{found}");
    let national = look(&gateway, "91234567", "?country=SG").await;
    assert_eq!(national["number"], TO);
    let wrong = gateway.api("GET", "/v1/numbers/12", None).await;
    assert_eq!((wrong.status, wrong.json()["field"].clone()), (400, json!("msisdn")));
    gateway.api("GET", "/v1/numbers/6591234567?typ=live", None).await.expect(400);
    let unknown = look(&gateway, "+6511111111", "").await;
    assert_eq!(
        (&unknown["valid"], &unknown["risk"]["reasons"][0]["code"]),
        (&json!(false), &json!("number-not-in-plan"))
    );
    let disposable = look(&gateway, "+33753707041", "").await;
    assert_eq!(disposable["risk"]["score"], 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_is_a_decision_with_scope_and_limits() {
    let gateway = Gateway::new().await;
    let found = look(&gateway, TO, "").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let id = found["decision_id"].as_str().unwrap();
    let decision = gateway.admin("GET", &format!("/admin/v1/decisions/{id}"), None).await.expect(200);
    assert_eq!((&decision["operation"], &decision["to"]), (&json!("lookup"), &json!("+659123xxxx")));
    assert_eq!(decision["message_id"], Value::Null);
    let key = json!({"name": "codes", "scopes": ["verify"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let refused = gateway.raw("GET", "/v1/numbers/6591234567", key["key"].as_str(), None, &[]).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (403, json!("scope-missing")));
    let limit = json!({"name": "few lookups", "per": "api_key", "applies_to": ["lookup"], "quota": 3,
        "window": "30m", "counts": "requests"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    for _ in 0..3 {
        look(&gateway, TO, "").await;
    }
    let full = gateway.api("GET", "/v1/numbers/6591234567", None).await;
    assert!(full.headers.contains_key("retry-after"));
    assert_eq!((full.status, full.json()["code"].clone()), (429, json!("limit-exceeded")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_opt_outs_show() {
    let gateway = Gateway::new().await;
    let entry = json!({"value": TO});
    gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(entry)).await.expect(201);
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    let found = look(&gateway, TO, "").await;
    assert_eq!((&found["risk"]["score"], &found["opted_out"]), (&json!(100), &json!(true)));
    assert_eq!(found["risk"]["reasons"][0]["code"], "deny-entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_number_answers_like_one_that_nobody_used() {
    let gateway = Gateway::new().await;
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "second"}))).await.expect(201);
    let sub = gateway.sub().to_owned();
    let key = |name: &str, sub: &str| json!({"name": name, "subaccounts": [sub]});
    let mine = gateway.admin("POST", "/admin/v1/api-keys", Some(key("mine", &sub))).await.expect(201);
    let theirs = gateway.admin("POST", "/admin/v1/api-keys", Some(key("theirs", "second"))).await.expect(201);
    // The first subaccount verifies the number, and asks a provider about it.
    let begun = gateway.api("POST", "/v1/verifications", Some(json!({"to": TO, "subaccount_id": sub}))).await;
    let id = begun.expect(201)["id"].as_str().unwrap().to_owned();
    let code = gateway.code(TO, 1).await;
    let check = format!("/v1/verifications/{id}/check");
    gateway.api("POST", &check, Some(json!({"code": code}))).await.expect(200);
    tell(&gateway, json!({"msisdn": TO, "ported": true, "operator": {"name": "M1"}})).await;
    let ask = async |key: &Value, number: &str, query: &str| {
        let path = format!("/v1/numbers/{}{query}", number.trim_start_matches('+'));
        gateway.raw("GET", &path, key["key"].as_str(), None, &[]).await.expect(200)
    };
    let own = ask(&mine, TO, "?type=operator").await;
    assert!(own["last_confirmed_at"].is_string() && own["ported"] == true, "{own}");
    let mut foreign = ask(&theirs, TO, "").await;
    let mut unknown = ask(&theirs, "+6591234568", "").await;
    for found in [&mut foreign, &mut unknown] {
        for own in ["number", "national", "decision_id"] {
            found.as_object_mut().unwrap().remove(own);
        }
    }
    assert_eq!(foreign, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_answer_once_and_corrections_stand_above_them() {
    let gateway = Gateway::new().await;
    let server = MockServer::start().await;
    let answer =
        json!({"ported": true, "net": {"mcc": "525", "mnc": "03", "name": "M1"}, "roaming": false, "on": 1});
    Mock::given(method("GET"))
        .and(path("/hlr/6591234567"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .expect(2)
        .mount(&server)
        .await;
    let settings = json!({
        "url": format!("{}/hlr/{{to_digits}}", server.uri()), "cost_micros": 4000, "timeout_seconds": 2,
        "facts": {"ported": "/ported", "mcc": "/net/mcc", "mnc": "/net/mnc", "operator": "/net/name",
            "roaming": "/roaming", "reachable": "/on"},
    });
    let provider = json!({"name": "hlr", "kind": "http_lookup", "settings": settings});
    gateway.admin("POST", "/admin/v1/providers", Some(provider)).await.expect(201);
    let first = look(&gateway, TO, "?type=live").await;
    assert_eq!(
        (&first["cost"], &first["reachable"], &first["ported"]),
        (&json!(4000), &json!(true), &json!(true))
    );
    assert_eq!(first["operator"]["name"], "M1");
    assert_eq!(first["original_operator"]["name"], "SingTel");
    let again = look(&gateway, TO, "?type=live").await;
    assert_eq!((&again["cost"], &again["reachable"]), (&json!(0), &json!(true)), "from the cache");
    gateway.advance("10m").await;
    assert_eq!(look(&gateway, TO, "?type=operator").await["cost"], 0, "an operator stays for days");
    assert_eq!(look(&gateway, TO, "?type=live").await["cost"], 4000, "a phone does not");
    let known_better = json!({"ported": false, "operator": {"name": "Singtel", "mcc": "525", "mnc": "01"}});
    gateway.admin("PUT", "/admin/v1/lookup-corrections/6591234567", Some(known_better)).await.expect(200);
    let corrected = look(&gateway, TO, "").await;
    assert_eq!((&corrected["ported"], &corrected["operator"]["name"]), (&json!(false), &json!("Singtel")));
    gateway.admin("DELETE", "/admin/v1/lookup-corrections/6591234567", None).await.expect(204);
    assert_eq!(look(&gateway, TO, "").await["ported"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_leaves_what_is_known() {
    let gateway = Gateway::new().await;
    tell(&gateway, json!({"msisdn": TO, "fail": "timeout"})).await;
    let found = look(&gateway, TO, "?type=live").await;
    assert_eq!((&found["error"]["code"], &found["valid"]), (&json!("timeout"), &json!(true)));
    let wrong = json!({"msisdn": TO, "fail": "tmeout"});
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(wrong)).await.expect(400);
    let wrong = json!({"msisdn": TO, "portd": true});
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(wrong)).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_walks_through_a_range_has_to_wait_and_is_told_of() {
    let gateway = Gateway::new().await;
    let mut answers = Vec::new();
    for n in 0..60 {
        answers.push(gateway.api("GET", &format!("/v1/numbers/65912340{n:02}"), None).await);
    }
    let allowed = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!(allowed, 48, "seen within some dozens");
    let last = answers.last().unwrap();
    assert_eq!((last.status, last.json()["code"].clone()), (429, json!("lookup-enumeration")));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let log = gateway.admin("GET", "/admin/v1/audit?limit=50", None).await.expect(200);
    let told = log["data"].as_array().unwrap().iter().filter(|e| e["action"] == "lookup.enumeration").count();
    assert_eq!(told, 1, "{log}");
    gateway.advance("16m").await;
    look(&gateway, TO, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_number_by_itself() {
    let gateway = Gateway::new().await;
    let body = json!({"numbers": [TO, "nobody", "+4915112345678"]});
    let rows = gateway.api("POST", "/v1/numbers/batch", Some(body)).await.expect(200);
    assert_eq!(rows["data"][0]["found"]["country"], "SG");
    assert!(rows["data"][1]["problem"]["detail"].as_str().unwrap().contains("digits"), "{rows}");
    assert_eq!(rows["data"][2]["found"]["country"], "DE");
    gateway.api("POST", "/v1/numbers/batch", Some(json!({"numbers": []}))).await.expect(400);
}
