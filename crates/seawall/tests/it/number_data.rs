//! What is kept about a number is told to whom it belongs: all of it, in pages, and nothing of anybody else.

use std::collections::BTreeSet;

use seawall_store::conformance::server::server;
use serde_json::{Value, json};

use crate::common::Gateway;

const TO: &str = "+6598765432";
const OTHER: &str = "+6591234567";
const PATH: &str = "/v1/numbers/6598765432/data";

async fn plant(gateway: &Gateway) {
    for n in 0..3 {
        let message = json!({"to": TO, "text": format!("quokka {n}"), "client": {"ip": "203.0.113.77"}});
        gateway.api("POST", "/v1/messages", Some(message)).await.expect(201);
    }
    gateway.api("POST", "/v1/messages", Some(json!({"to": OTHER, "text": "wombat"}))).await.expect(201);
    gateway.api("POST", "/v1/verifications", Some(json!({"to": TO, "brand": "Acme"}))).await.expect(201);
    let dry = json!({"to": TO, "purpose": "login", "dry_run": true});
    gateway.api("POST", "/v1/decisions", Some(dry)).await.expect(200);
    let given = json!({"to": TO, "source": "till", "proof": "agreed by a quokka"});
    gateway.api("POST", "/v1/consents", Some(given)).await.expect(201);
    let contact = json!({"firstName": "Jo", "country": "SG", "addresses": {"msisdn": TO}});
    let contacts = format!("/api/v1/accounts/{}/contacts", gateway.first.account_id);
    gateway.api("POST", &contacts, Some(contact)).await.expect(201);
    let entry = json!({"value": TO, "note": "a regular", "expires_at": "never"});
    gateway.admin("POST", "/admin/v1/lists/allow-msisdn/entries", Some(entry)).await.expect(201);
    let facts = json!({"msisdn": TO, "ported": true});
    gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await.expect(201);
    gateway.api("GET", "/v1/numbers/6598765432?type=live", None).await.expect(200);
    gateway.admin("POST", "/admin/v1/number-pools", Some(json!({"name": "rides"}))).await.expect(201);
    let number = json!({"msisdn": "+6531580001", "pool": "rides"});
    gateway.admin("POST", "/admin/v1/virtual-numbers", Some(number)).await.expect(201);
    let session = json!({"a": OTHER, "b": TO, "reference": "ride 7"});
    gateway.api("POST", "/v1/masking/sessions", Some(session)).await.expect(201);
    for (id, from) in [("c1", TO), ("c2", OTHER)] {
        let call = json!({"call_id": id, "from": from, "to": "+6531580001"});
        gateway.api("POST", "/v1/masking/calls/route", Some(call)).await.expect(200);
    }
}

/// All pages: what is about the number, and every record.
async fn all(gateway: &Gateway, limit: usize) -> (Value, Vec<Value>) {
    let first = gateway.api("GET", &format!("{PATH}?limit={limit}"), None).await.expect(200);
    let mut records = first["data"].as_array().unwrap().clone();
    let mut next = first["next_cursor"].clone();
    while let Some(cursor) = next.as_str() {
        let page =
            gateway.api("GET", &format!("{PATH}?limit={limit}&cursor={cursor}"), None).await.expect(200);
        assert!(page["data"].as_array().unwrap().len() <= limit && page["about"].is_null());
        records.extend(page["data"].as_array().unwrap().clone());
        next = page["next_cursor"].clone();
    }
    (first["about"].clone(), records)
}

async fn told(gateway: &Gateway) {
    plant(gateway).await;
    let (about, records) = all(gateway, 200).await;
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).collect::<Vec<_>>();
    let texts: BTreeSet<&str> =
        of("message").iter().filter_map(|record| record["content"]["text"].as_str()).collect();
    assert_eq!(texts, BTreeSet::from(["quokka 0", "quokka 1", "quokka 2"]), "{records:?}");
    assert_eq!((of("message").len(), of("verification").len()), (4, 1), "a code's message, without its text");
    assert!(of("decision").len() >= 5, "{records:?}");
    assert_eq!(of("consent")[0]["content"]["body"]["proof"], "agreed by a quokka");
    assert_eq!(of("contact")[0]["content"]["body"]["firstName"], "Jo");
    let session = &of("masking_session")[0]["content"];
    assert_eq!((&session["you"], &session["other"]), (&json!("b"), &json!("+659123xxxx")));
    let mut calls: Vec<&Value> = of("masked_call").iter().map(|call| &call["content"]["you"]).collect();
    calls.sort_by_key(|you| you.to_string());
    assert_eq!(calls, [&json!("callee"), &json!("caller")]);
    assert_eq!(
        (&about["list_entries"][0]["note"], &about["lookups"][0]["live"]["facts"]["ported"]),
        (&json!("a regular"), &json!(true)),
        "{about}"
    );
    assert!(about["not_listed"].as_array().unwrap().iter().any(|one| one["kept_as"] == "keyed hash"));
    let shown = format!("{about}{records:?}");
    assert!(!shown.contains("91234567") && !shown.contains("wombat"), "of somebody else: {shown}");
    let (_, paged) = all(gateway, 2).await;
    let ids = |records: &[Value]| {
        records.iter().map(|one| format!("{} {}", one["kind"], one["id"])).collect::<Vec<_>>()
    };
    assert_eq!(ids(&paged), ids(&records), "in pages it is the same");
    let audit = gateway.admin("GET", "/admin/v1/audit?limit=200", None).await.expect(200);
    let noted =
        audit["data"].as_array().unwrap().iter().find(|one| one["action"] == "numbers.export").unwrap();
    assert_eq!(noted["target"], "+659876xxxx");
    erased(gateway).await;
}

/// After an erasure what is left is a hash, and is said to be one.
async fn erased(gateway: &Gateway) {
    gateway
        .admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(json!({"value": TO})))
        .await
        .expect(201);
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    let mut job = gateway.api("DELETE", PATH, None).await.expect(202);
    while job["status"] != "done" {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        job = gateway.api("GET", job["url"].as_str().unwrap(), None).await.expect(200);
    }
    let (about, records) = all(gateway, 200).await;
    assert_eq!(records, Vec::<Value>::new());
    assert_eq!((about["opt_outs"].as_array().unwrap().len(), &about["lookups"]), (1, &json!([])));
    assert_eq!(about["list_entries"].as_array().unwrap().len(), 1, "{about}");
    assert_eq!(about["list_entries"][0]["as"], "keyed hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_about_a_number_is_told_and_nothing_about_another() {
    let gateway = Gateway::without_detection().await;
    told(&gateway).await;
    let key = json!({"name": "one", "subaccounts": [gateway.sub()]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    gateway.raw("GET", PATH, key["key"].as_str(), None, &[]).await.expect(403);
    gateway.raw("GET", PATH, None, None, &[]).await.expect(401);
    gateway.api("GET", "/v1/numbers/nobody/data", None).await.expect(400);
    gateway.api("GET", &format!("{PATH}?cursor=x"), None).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_tells_the_same() {
    let Some(server) = server().await.unwrap() else { return eprintln!("SKIPPED: PostgreSQL") };
    let url = server.database().await.unwrap();
    let gateway = Gateway::with(&[("SEAWALL_STORE__URL", &url)]).await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    told(&gateway).await;
    gateway.running.stop().await;
}
