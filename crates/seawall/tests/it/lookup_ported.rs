//! The operator's own file of ported numbers: free of charge, above the tables, below corrections, and beside what
//! providers say by its date.

use serde_json::{Value, json};

use crate::common::Gateway;

const FILE: &str = "number,mccmnc,operator,date\n\
    +6591234567,52503,M1,2026-01-05\n\
    +6591200000-+6591299999,52505,StarHub,\n\
    +6591234599,52503,M1,2099-01-01\n";

async fn look(gateway: &Gateway, digits: &str, query: &str) -> Value {
    gateway.api("GET", &format!("/v1/numbers/{digits}{query}"), None).await.expect(200)
}

async fn gateway() -> (Gateway, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ported.csv");
    std::fs::write(&path, FILE).unwrap();
    (Gateway::with(&[("SEAWALL_INTEL__PORTABILITY_CSV", path.to_str().unwrap())]).await, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_answers_without_asking_anybody() {
    let (gateway, _dir) = gateway().await;
    let found = look(&gateway, "6591234567", "?type=operator").await;
    assert_eq!(
        (&found["ported"], &found["cost"], &found["asked_at"]),
        (&json!(true), &json!(0), &Value::Null)
    );
    assert_eq!(found["operator"], json!({"name": "M1", "mcc": "525", "mnc": "03", "country": "SG"}));
    assert_eq!(found["original_operator"]["name"], "SingTel");
    let range = look(&gateway, "6591200001", "").await;
    assert_eq!((&range["operator"]["name"], &range["ported"]), (&json!("StarHub"), &Value::Null));
    assert_eq!(range["original_operator"]["name"], "StarHub", "whose range it is");
    let outside = look(&gateway, "6581234567", "").await;
    assert_ne!(outside["operator"]["name"], "StarHub");

    let better = json!({"ported": false, "operator": {"name": "SingTel", "mcc": "525", "mnc": "01"}});
    gateway.admin("PUT", "/admin/v1/lookup-corrections/6591234567", Some(better)).await.expect(200);
    let corrected = look(&gateway, "6591234567", "").await;
    assert_eq!((&corrected["operator"]["name"], &corrected["ported"]), (&json!("SingTel"), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_provider_the_newer_word_counts() {
    let (gateway, _dir) = gateway().await;
    for number in ["+6591234567", "+6591234599"] {
        let says =
            json!({"msisdn": number, "ported": false, "operator": {"name": "Three"}, "reachable": true});
        gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(says)).await.expect(201);
    }
    let asked = look(&gateway, "6591234567", "?type=live").await;
    assert_eq!((&asked["operator"]["name"], &asked["reachable"]), (&json!("Three"), &json!(true)));
    let filed = look(&gateway, "6591234599", "?type=live").await;
    assert_eq!(
        (&filed["operator"]["name"], &filed["reachable"]),
        (&json!("M1"), &json!(true)),
        "dated later"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_see_the_network_that_carries_a_number() {
    let (gateway, _dir) = gateway().await;
    let rule = json!({"name": "no-m1", "action": "block", "when": "number.mccmnc == \"52503\""});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
    let send = |to: &str| gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"})));
    send("+6591234567").await.expect(403);
    send("+6591234566").await.expect(201);
}
