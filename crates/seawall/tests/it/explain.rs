//! Why: a number tested, a decision redeemed, an outcome told, a receipt verified.

use serde_json::{Value, json};

use crate::common::Gateway;

const TO: &str = "+6591234567";

async fn explained(gateway: &Gateway, more: Value) -> Value {
    let mut ask = json!({"to": TO, "client": {"ip": "203.0.113.9"}});
    ask.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.admin("POST", "/admin/v1/explain", Some(ask)).await.expect(200)
}

fn check<'a>(explained: &'a Value, name: &str) -> &'a Value {
    let all = explained["checks"].as_array().unwrap();
    all.iter().find(|c| c["check"] == name).unwrap_or_else(|| panic!("{explained}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_tested_without_a_trace_of_it() {
    let gateway = Gateway::new().await;
    gateway.api("POST", "/v1/verifications", Some(json!({"to": TO}))).await.expect(201);
    let tested = explained(&gateway, json!({})).await;
    assert_eq!(tested["decision"]["verdict"], "throttle", "{tested}");
    assert_eq!(check(&tested, "resend")["result"], "counts");
    assert_eq!(check(&tested, "opt-out")["result"], "pass");
    let limits = tested["limits"].as_array().unwrap();
    let msisdn = limits.iter().find(|l| l["limit"] == "built-in msisdn").unwrap();
    assert_eq!((&msisdn["value"], &msisdn["quota"]), (&json!(1), &json!(10)));
    assert_eq!(tested["would_change"][0]["change"], "wait", "{tested}");
    for _ in 0..5 {
        assert_eq!(explained(&gateway, json!({})).await["limits"], tested["limits"], "nothing is charged");
    }
    let opted = json!({"msisdn": TO});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(opted)).await.expect(201);
    gateway.advance("1h").await;
    let tested = explained(&gateway, json!({})).await;
    assert_eq!(tested["decision"]["verdict"], "block");
    let changes: Vec<&str> =
        tested["would_change"].as_array().unwrap().iter().map(|c| c["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["opt_in"]);
    let wrong = json!({"to": "hello"});
    assert_eq!(gateway.admin("POST", "/admin/v1/explain", Some(wrong)).await.expect(400)["field"], "to");
}

async fn allowed(gateway: &Gateway) -> Value {
    let ask = json!({"to": TO, "purpose": "message"});
    let decided = gateway.api("POST", "/v1/decisions", Some(ask)).await.expect(200);
    assert_eq!(decided["verdict"], "allow", "{decided}");
    decided["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_is_redeemed_once_and_not_charged_again() {
    let gateway = Gateway::new().await;
    let limit =
        json!({"name": "one", "per": "msisdn", "applies_to": ["sms.send"], "quota": 1, "window": "1h"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let id = allowed(&gateway).await;
    let message = |id: &Value| json!({"to": TO, "text": "hello", "decision_id": id});
    let other = json!({"to": "+6591234568", "text": "hello", "decision_id": id});
    assert_eq!(gateway.api("POST", "/v1/messages", Some(other)).await.expect(400)["field"], "decision_id");
    gateway.api("POST", "/v1/messages", Some(message(&id))).await.expect(201);
    let again = gateway.api("POST", "/v1/messages", Some(message(&id))).await.expect(400);
    assert_eq!(again["field"], "decision_id");
    let plain = json!({"to": TO, "text": "hello"});
    gateway.api("POST", "/v1/messages", Some(plain)).await.expect(429);
    let nonsense = gateway.api("POST", "/v1/messages", Some(message(&json!("dec_1")))).await.expect(400);
    assert_eq!(nonsense["field"], "decision_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeemed_allow_never_passes_an_opt_out() {
    let gateway = Gateway::new().await;
    let id = allowed(&gateway).await;
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    let message = json!({"to": TO, "text": "hello", "decision_id": id});
    assert_eq!(
        gateway.api("POST", "/v1/messages", Some(message)).await.expect(403)["reasons"][0]["code"],
        "opt-out"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_makes_a_number_known() {
    let gateway = Gateway::new().await;
    let ask = json!({"to": TO, "purpose": "login"});
    let decided = gateway.api("POST", "/v1/decisions", Some(ask.clone())).await.expect(200);
    let path = format!("/v1/decisions/{}/outcome", decided["id"].as_str().unwrap());
    gateway.api("POST", &path, Some(json!({"result": "arrived"}))).await.expect(400);
    gateway.api("POST", &path, Some(json!({"result": "verified"}))).await.expect(204);
    let known = explained(&gateway, json!({})).await;
    assert_eq!(known["decision"]["facts"]["history"]["known"], true, "{known}");
    // The back-off of an unconfirmed code is over.
    let again = gateway.api("POST", "/v1/decisions", Some(ask)).await.expect(200);
    assert_eq!(again["verdict"], "allow", "{again}");
    let by_number = json!({"to": TO, "within": "10m", "result": "delivered"});
    gateway.api("POST", "/v1/outcomes", Some(by_number)).await.expect(204);
    let unknown = json!({"to": "+6590000001", "within": "10m", "result": "delivered"});
    gateway.api("POST", "/v1/outcomes", Some(unknown)).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_verified_offline() {
    use base64::Engine;
    let decode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    let gateway = Gateway::new().await;
    let id = allowed(&gateway).await;
    let path = format!("/v1/decisions/{}/receipt", id.as_str().unwrap());
    let answer = gateway.api("GET", &path, None).await;
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "application/jose"));
    let [header, payload, signature] = answer.text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let keys = gateway.raw("GET", "/.well-known/jwks.json", None, None, &[]).await.expect(200);
    let header_read: Value = serde_json::from_slice(&decode(header)).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|k| k["kid"] == header_read["kid"]).unwrap();
    let public = decode(key["x"].as_str().unwrap());
    let public = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public);
    public.verify(format!("{header}.{payload}").as_bytes(), &decode(signature)).unwrap();
    assert!(public.verify(format!("{header}.{payload}x").as_bytes(), &decode(signature)).is_err());
    let decision: Value = serde_json::from_slice(&decode(payload)).unwrap();
    assert_eq!((&decision["id"], &decision["verdict"]), (&id, &json!("allow")));
    assert!(!decision.to_string().contains("6591234567"));
}
