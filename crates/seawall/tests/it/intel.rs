//! What is known of numbers and addresses, as callers and operators meet it.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::Gateway;
use crate::mmdb;

/// The facts of a decision about a request from this address.
async fn facts(gateway: &Gateway, to: &str, ip: &str) -> Value {
    let asked = json!({"to": to, "purpose": "login", "client": {"ip": ip}, "dry_run": true});
    let decision = gateway.api("POST", "/v1/decisions", Some(asked)).await.expect(200);
    let path = format!("/admin/v1/decisions/{}", decision["id"].as_str().unwrap());
    for _ in 0..100 {
        let answer = gateway.admin("GET", &path, None).await;
        if answer.status == 200 {
            return answer.json()["facts"].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the decision was not recorded");
}

fn put(path: &Path, networks: &[(&str, &str)]) {
    let record = |country: &str| {
        mmdb::Value::Map(vec![("country_code".to_owned(), mmdb::Value::Text(country.to_owned()))])
    };
    let networks: Vec<_> = networks.iter().map(|(net, country)| (*net, record(country))).collect();
    std::fs::write(path, mmdb::database(&networks)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_show_what_the_tables_say() {
    let gateway = Gateway::new().await;
    let facts = facts(&gateway, "+6591234567", "8.8.8.8").await;
    assert_eq!((&facts["ip"]["country"], &facts["ip"]["asn"]), (&json!("US"), &json!(15169)), "{facts}");
    assert_eq!(facts["ip"]["hosting"], true);
    assert_eq!(
        (&facts["number"]["operator"], &facts["number"]["mccmnc"]),
        (&json!("SingTel"), &json!("52501"))
    );
    assert_ne!(facts["number"]["disposable"], true);
    let known = self::facts(&gateway, "+33753707041", "104.28.28.1").await;
    assert_eq!(known["number"]["disposable"], true, "{known}");
    assert_eq!(known["ip"]["relay"], true);
    assert_ne!(known["ip"]["hosting"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_file_is_read_again_when_it_changes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("country.mmdb");
    put(&path, &[("192.0.2.0/24", "SG")]);
    let gateway = Gateway::with(&[("SEAWALL_INTEL__COUNTRY_MMDB", path.to_str().unwrap())]).await;
    let country = async || facts(&gateway, "+6591234567", "192.0.2.1").await["ip"]["country"].clone();
    let ready = async || gateway.raw("GET", "/readyz", None, None, &[]).await.expect(200)["intel"].clone();
    assert_eq!(country().await, "SG");
    assert_eq!(ready().await, json!({"intel.country_mmdb": "up"}));

    put(&path, &[("192.0.2.0/24", "MY")]);
    let mut waited = 0;
    while country().await != "MY" {
        waited += 1;
        assert!(waited < 150, "a changed file is in force within ten seconds");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    std::fs::write(&path, "half a file").unwrap();
    gateway.running.app.intel.refresh();
    assert_eq!(country().await, "MY");
    // Readiness is remembered for a second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(ready().await, json!({"intel.country_mmdb": "outdated"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("asn.mmdb");
    put(&path, &[("192.0.2.0/24", "SG")]);
    let config = crate::common::config(dir.path(), &[("SEAWALL_INTEL__ASN_MMDB", path.to_str().unwrap())]);
    let refused = seawall::serve::start(config).await.err().unwrap();
    assert!(
        refused.contains("intel.asn_mmdb") && refused.contains("no record has an AS number"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_public_sites_are_recorded_or_refused() {
    // Listed in the tracked data.
    const PUBLIC: &str = "+33753707041";
    let gateway = Gateway::without_detection().await;
    let send =
        async |to: &str| gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await;
    let sent = send(PUBLIC).await.expect(201)["id"].as_str().unwrap().replacen("msg_", "dec_", 1);
    let decision = gateway.admin("GET", &format!("/admin/v1/decisions/{sent}"), None).await.expect(200);
    let reason = &decision["reasons"][0];
    assert_eq!((&reason["code"], &reason["mode"]), (&json!("number-disposable"), &json!("shadow")));
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    gateway.admin("PATCH", &path, Some(json!({"refuse_disposable": true}))).await.expect(200);
    let refused = send(PUBLIC).await.expect(403);
    assert_eq!(refused["code"], "number-disposable");
    send("+6591234567").await.expect(201);
}
