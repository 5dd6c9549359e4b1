//! Signals: volume, share and conversion, beside what is usual.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn ask(gateway: &Gateway, to: &str, ip: &str, confirms: bool) {
    let ask = json!({"to": to, "client": {"ip": ip}});
    let begun = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(201);
    if confirms {
        let code = gateway.code(to, 1).await;
        let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
        gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
    }
}

async fn stats(gateway: &Gateway, by: &str) -> Value {
    gateway.admin("GET", &format!("/admin/v1/stats/{by}"), None).await.expect(200)["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_confirmed_is_seen_by_every_key() {
    let gateway = Gateway::without_detection().await;
    gateway
        .admin("PATCH", "/admin/v1/settings", Some(json!({"detection": {"mode": "shadow"}})))
        .await
        .expect(200);
    let price = json!({"country": "SG", "amount": 30_000, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    for n in 0..8 {
        ask(&gateway, &format!("+6591{}00{}", n, n * 7 + 100), "203.0.113.9", n % 4 != 0).await;
    }
    ask(&gateway, "+447400123456", "198.51.100.9", false).await;
    gateway.advance("11m").await;
    ask(&gateway, "+447400123457", "198.51.100.9", false).await;
    let countries = stats(&gateway, "countries").await;
    let sg = &countries[0];
    assert_eq!(
        (&sg["key"], &sg["asked"], &sg["sent"], &sg["verified"]),
        (&json!("SG"), &json!(8), &json!(8), &json!(6))
    );
    assert_eq!((&sg["conversion"]["codes"], &sg["conversion"]["percent"]), (&json!(8), &json!(75.0)), "{sg}");
    assert_eq!((&sg["spent"], &sg["share"]["percent"]), (&json!(240_000), &json!(80.0)));
    assert_eq!(countries[1]["conversion"]["codes"], 1, "the last one is not ten minutes old");
    assert_eq!(stats(&gateway, "networks").await[0]["key"], "203.0.113.0/24");
    assert_eq!(stats(&gateway, "subaccounts").await[0]["key"], gateway.sub());
    assert_eq!(stats(&gateway, "operators?country=SG").await[0]["country"], "SG");
    assert_eq!(stats(&gateway, "ranges?prefix=%2B44").await[0]["key"], "+44740012");
    assert_eq!(stats(&gateway, "all").await[0]["asked"], 10);
    let page = gateway.admin("GET", "/admin/v1/stats/ranges?limit=2", None).await.expect(200);
    let next = format!("/admin/v1/stats/ranges?limit=200&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(gateway.admin("GET", &next, None).await.expect(200)["next_cursor"], Value::Null);
    gateway.admin("GET", "/admin/v1/stats/colours", None).await.expect(404);
    gateway.admin("GET", "/admin/v1/stats/countries?hours=25", None).await.expect(400);
    let gateway = gateway.restart().await;
    assert_eq!(stats(&gateway, "countries").await, countries, "a restart keeps them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_has_a_history_of_its_own() {
    let gateway = Gateway::new().await;
    let explain = async || {
        let ask = json!({"to": "+6591234567", "client": {"ip": "203.0.113.9"}});
        gateway.admin("POST", "/admin/v1/explain", Some(ask)).await.expect(200)
    };
    let before = explain().await["history"].clone();
    assert_eq!((&before["asked"], &before["last_confirmed_at"]), (&json!(0), &Value::Null));
    ask(&gateway, "+6591234567", "203.0.113.9", true).await;
    gateway.advance("1m").await;
    ask(&gateway, "+6591234567", "198.51.100.7", false).await;
    let again = json!({"to": "+6591234567", "client": {"ip": "198.51.100.7"}});
    gateway.api("POST", "/v1/verifications", Some(again)).await.expect(429);
    let explained = explain().await;
    let history = &explained["history"];
    let count = |field: &str| history[field].as_u64().unwrap();
    assert_eq!(
        (count("asked"), count("sent"), count("refused"), count("verified")),
        (3, 2, 1, 1),
        "{history}"
    );
    assert_eq!((count("networks"), &history["last_refusal"]["reason"]), (2, &json!("back-off")));
    assert!(history["first_confirmed_at"].is_string());
    let keys = explained["keys"].as_array().unwrap();
    assert!(keys.iter().any(|key| key["kind"] == "country" && key["key"] == "SG"), "{explained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dial_is_tried_on_recorded_traffic() {
    let gateway = Gateway::new().await;
    for n in 0..50 {
        let to = format!("+99893412{:04}", 1000 + n);
        let ip = format!("84.54.{}.{}", n % 200, 1 + n % 250);
        let ask = json!({"to": to, "client": {"ip": ip, "user_agent": format!("agent {n}")}});
        gateway.api("POST", "/v1/verifications", Some(ask)).await;
        gateway.advance("5s").await;
    }
    ask(&gateway, "+6591234567", "203.0.113.9", true).await;
    let preview = async |query: &str| {
        let path = format!("/admin/v1/settings/detection/preview{query}");
        gateway.admin("GET", &path, None).await
    };
    let same = preview("").await.expect(200);
    assert_eq!(same["current"], same["proposed"]);
    let over = &same["over"];
    assert_eq!(
        (&over["requests"], &over["confirmed"], &over["left_out"]),
        (&json!(51), &json!(1), &json!(0))
    );
    let count = |view: &Value, field: &str| view[field].as_u64().unwrap();
    let stopped = count(&same["current"], "blocked") + count(&same["current"], "redirected");
    let refused = gateway.admin("GET", "/admin/v1/decisions?limit=200", None).await.expect(200);
    let refused = refused["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["verdict"] == "block" || d["verdict"] == "alternative");
    assert_eq!(stopped as usize, refused.count(), "the dial as it is gives what was decided: {same}");
    let cheap = preview("?user_value=0&since=1d").await.expect(200);
    let stops = |view: &Value| count(view, "blocked") + count(view, "redirected");
    assert_eq!((&cheap["proposed"]["user_value"], &cheap["current"]), (&json!(0), &same["current"]));
    assert!(stops(&cheap["proposed"]) >= stopped, "a user who is worth nothing is stopped no later: {cheap}");
    assert_eq!(preview("?user_value=-1").await.expect(400)["field"], "detection.user_value");
    preview("?since=91d").await.expect(400);
    preview("?colour=1").await.expect(400);
}
