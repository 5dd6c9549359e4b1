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
    gateway.admin("PATCH", "/admin/v1/settings", Some(json!({"detection": {"mode": "shadow"}}))).await.expect(200);
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
    assert_eq!((&sg["key"], &sg["asked"], &sg["sent"], &sg["verified"]), (&json!("SG"), &json!(8), &json!(8), &json!(6)));
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
