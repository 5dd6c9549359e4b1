//! Plans: limits and rights for whoever has them, in force at once, with the holder's own limits above them;
//! limits per custom key and per several parts together; requests without the risk check.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

async fn plan(gateway: &Gateway, body: Value) -> Value {
    gateway.admin("POST", "/admin/v1/plans", Some(body)).await.expect(201)
}

async fn give(gateway: &Gateway, subaccount: &str, plan: Value) {
    let path = format!("/admin/v1/subaccounts/{subaccount}");
    gateway.admin("PATCH", &path, Some(json!({"plan": plan}))).await.expect(200);
}

async fn send(gateway: &Gateway, subaccount: &str, to: &str) -> Answer {
    let body = json!({"to": to, "text": "hi", "subaccount_id": subaccount});
    gateway.api("POST", "/v1/messages", Some(body)).await
}

fn two_a_day() -> Value {
    json!({"name": "small", "limits": [
        {"name": "a day", "per": "subaccount", "applies_to": ["sms.send"], "quota": 2, "window": "24h"}
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_holder_of_a_plan_has_windows_of_its_own_which_count_from_the_past() {
    let gateway = Gateway::without_detection().await;
    for id in ["sub_a", "sub_b"] {
        gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": id}))).await.expect(201);
    }
    plan(&gateway, two_a_day()).await;
    send(&gateway, "sub_a", TO).await.expect(201);
    give(&gateway, "sub_a", json!("small")).await;
    give(&gateway, "sub_b", json!("small")).await;
    send(&gateway, "sub_a", TO).await.expect(201);
    let refused = send(&gateway, "sub_a", TO).await.expect(429);
    assert_eq!(refused["reasons"][0]["key"], "small: a day");
    send(&gateway, "sub_b", TO).await.expect(201);
    send(&gateway, "sub_b", TO).await.expect(201);
    send(&gateway, "sub_b", TO).await.expect(429);
    let gateway = gateway.restart().await;
    send(&gateway, "sub_a", TO).await.expect(429);
    // A larger quota, and no plan at all, are in force at once.
    let more = json!({"limits": [{"name": "a day", "per": "subaccount", "applies_to": ["sms.send"], "quota": 3, "window": "24h"}]});
    gateway.admin("PATCH", "/admin/v1/plans/small", Some(more)).await.expect(200);
    send(&gateway, "sub_a", TO).await.expect(201);
    send(&gateway, "sub_a", TO).await.expect(429);
    give(&gateway, "sub_a", Value::Null).await;
    send(&gateway, "sub_a", TO).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subaccounts_own_limit_stands_in_for_its_plans() {
    let gateway = Gateway::without_detection().await;
    let sub = gateway.sub().to_owned();
    plan(&gateway, two_a_day()).await;
    give(&gateway, &sub, json!("small")).await;
    let own = json!({"name": "ours", "subaccount_id": sub, "per": "subaccount", "applies_to": ["sms.send"],
                     "quota": 3, "window": "24h"});
    gateway.admin("POST", "/admin/v1/limits", Some(own)).await.expect(201);
    for _ in 0..3 {
        send(&gateway, &sub, TO).await.expect(201);
    }
    assert_eq!(send(&gateway, &sub, TO).await.expect(429)["reasons"][0]["key"], "ours");
    // Without it the plan's goes on, and has missed nothing.
    gateway.admin("DELETE", "/admin/v1/limits/ours", None).await.expect(204);
    assert_eq!(send(&gateway, &sub, TO).await.expect(429)["reasons"][0]["key"], "small: a day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keys_plan_outranks_the_subaccounts_and_rights_come_with_it() {
    let gateway = Gateway::without_detection().await;
    let sub = gateway.sub().to_owned();
    plan(&gateway, two_a_day()).await;
    let rights = json!({"name": "codes only", "rights": {"scopes": ["verify"], "products": ["verify"]}});
    plan(&gateway, rights).await;
    give(&gateway, &sub, json!("small")).await;
    let key = json!({"name": "second", "plan": "codes only"});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let secret = key["key"].as_str().unwrap();
    let with = |path: &'static str, body: Value| {
        let gateway = &gateway;
        async move { gateway.raw("POST", path, Some(secret), Some(&body.to_string()), &[]).await }
    };
    let refused = with("/v1/messages", json!({"to": TO, "text": "hi"})).await.expect(403);
    assert_eq!(refused["code"], "scope-missing");
    with("/v1/verifications", json!({"to": TO})).await.expect(201);
    // The first key has the subaccount's plan, with the usual scopes.
    send(&gateway, &sub, TO).await.expect(201);
    let used = gateway.admin("GET", "/admin/v1/plans/small", None).await.expect(200);
    assert_eq!(used["used_by"], json!([sub]));
    for (verb, body) in [("DELETE", None), ("PATCH", Some(json!({"name": "tiny"})))] {
        let kept = gateway.admin(verb, "/admin/v1/plans/small", body).await.expect(409);
        assert!(kept["detail"].as_str().unwrap().contains("have the plan `small`"), "{kept}");
    }
    let unknown = json!({"id": "sub_x", "plan": "moon"});
    let wrong = gateway.admin("POST", "/admin/v1/subaccounts", Some(unknown)).await.expect(400);
    assert!(
        wrong["detail"].as_str().unwrap().contains("`codes only`, `small`")
            || wrong["detail"].as_str().unwrap().contains("`small`, `codes only`"),
        "{wrong}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plans_country_policy_goes_for_those_without_their_own() {
    let gateway = Gateway::without_detection().await;
    let sub = gateway.sub().to_owned();
    plan(
        &gateway,
        json!({"name": "local", "country_policy": {"default": "off", "countries": {"SG": "open"}}}),
    )
    .await;
    give(&gateway, &sub, json!("local")).await;
    send(&gateway, &sub, TO).await.expect(201);
    assert_eq!(send(&gateway, &sub, "+60123456789").await.expect(403)["code"], "country-off");
    let own = json!({"country_policy": {"default": "open", "countries": {"SG": "off"}}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{sub}"), Some(own)).await.expect(200);
    send(&gateway, &sub, "+60123456789").await.expect(201);
    assert_eq!(send(&gateway, &sub, TO).await.expect(403)["code"], "country-off");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_risk_check_is_off_only_for_those_with_the_right_and_on_record() {
    let gateway = Gateway::new().await;
    let sub = gateway.sub().to_owned();
    let ask = json!({"to": TO, "text": "hi", "risk_check": "off"});
    let refused = gateway.api("POST", "/v1/messages", Some(ask.clone())).await.expect(403);
    assert_eq!(refused["code"], "scope-missing");
    assert!(refused["detail"].as_str().unwrap().contains("`risk_check_off`"), "{refused}");
    let sessions = format!("/api/v2/subaccounts/{sub}/sessions");
    let off = [("Seawall-Risk-Check", "off")];
    let body = || Some(json!({"destination": "+6591234568"}));
    let eight = gateway.api_with("POST", &sessions, body(), &off).await.expect(403);
    assert_eq!(
        (&eight["code"], eight["message"].as_str().unwrap().contains("`risk_check_off`")),
        (&json!(1201), true)
    );

    plan(&gateway, json!({"name": "trusted", "rights": {"risk_check_off": true}})).await;
    give(&gateway, &sub, json!("trusted")).await;
    for _ in 0..3 {
        gateway.api("POST", "/v1/messages", Some(ask.clone())).await.expect(201);
    }
    let sent = gateway.api_with("POST", &sessions, body(), &off).await;
    let decision = sent.headers["seawall-decision-id"].clone();
    sent.expect(200);
    let decision = gateway.admin("GET", &format!("/admin/v1/decisions/{decision}"), None).await.expect(200);
    let reason = decision["reasons"].as_array().unwrap().iter().find(|r| r["code"] == "risk-check-off");
    assert_eq!((&decision["verdict"], reason.is_some()), (&json!("allow"), true), "{decision}");
    // It lifts rules and detection, and nothing else.
    let off = json!({"country_policy": {"default": "off"}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{sub}"), Some(off)).await.expect(200);
    let refused = gateway.api("POST", "/v1/messages", Some(ask)).await.expect(403);
    assert_eq!(refused["code"], "country-off");
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let gateway = gateway.restart().await;
    let audit = gateway.admin("GET", "/admin/v1/audit", None).await.expect(200);
    let entries: Vec<&Value> =
        audit["data"].as_array().unwrap().iter().filter(|e| e["action"] == "risk_check.off").collect();
    let counted: u64 = entries.iter().map(|e| e["detail"]["count"].as_u64().unwrap()).sum();
    assert!(entries.len() <= 3 && counted == 5, "{entries:?}");
    assert!(entries[0]["target"].as_str().unwrap().starts_with("key_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_keys_and_parts_together_are_counted_in_both_dialects_and_across_a_restart() {
    let gateway = Gateway::without_detection().await;
    let sub = gateway.sub().to_owned();
    let limit = |name: &str, per: Value, extra: Value| {
        let mut body = json!({"name": name, "per": per, "applies_to": ["sms.send", "verify.start"], "quota": 2, "window": "1h"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for body in [
        limit("per order", json!("custom"), json!({"key": "order_id"})),
        limit("user on device", json!(["user", "fingerprint"]), json!({})),
        limit("order at address", json!(["custom", "client_ip"]), json!({"key": "cart", "quota": 1})),
    ] {
        gateway.admin("POST", "/admin/v1/limits", Some(body)).await.expect(201);
    }
    let mut n = 0;
    let mut native = |extra: Value| {
        n += 1;
        let mut body = json!({"to": format!("+65912345{n:02}"), "text": "hi"});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let key = |value: &str| json!({"limit_keys": {"order_id": value}});
    gateway.api("POST", "/v1/messages", Some(native(key("A")))).await.expect(201);
    let messages = format!("/api/v1/subaccounts/{sub}/messages");
    let eight = json!({"destination": "+6598765432", "text": "hi"});
    let header = [("Seawall-Limit-Key", "order_id=A")];
    let second = gateway.api_with("POST", &messages, Some(eight.clone()), &header).await.expect(200);
    assert_eq!(second["status"]["code"], "QUEUED");
    let gateway = gateway.restart().await;
    let refused = gateway.api("POST", "/v1/messages", Some(native(key("A")))).await.expect(429);
    assert_eq!(refused["reasons"][0]["key"], "per order");
    gateway.api_with("POST", &messages, Some(eight), &header).await.expect(429);
    gateway.api("POST", "/v1/messages", Some(native(key("B")))).await.expect(201);
    gateway.api("POST", "/v1/messages", Some(native(json!({})))).await.expect(201);

    let who = |user: &str, print: &str| json!({"client": {"user_id": user, "fingerprint": print}});
    for (user, print, status) in
        [("u", "f", 201), ("u", "f", 201), ("u", "g", 201), ("v", "f", 201), ("u", "f", 429)]
    {
        gateway.api("POST", "/v1/messages", Some(native(who(user, print)))).await.expect(status);
    }
    let at = |ip: &str| json!({"client": {"ip": ip}, "limit_keys": {"cart": "7"}});
    for (ip, status) in [("203.0.113.1", 201), ("203.0.113.2", 201), ("203.0.113.1", 429)] {
        gateway.api("POST", "/v1/messages", Some(native(at(ip)))).await.expect(status);
    }
    for (wrong, says) in [
        (json!({"limit_keys": {"Order": "1"}}), "small letters"),
        (json!({"limit_keys": {"order_id": ""}}), "1 to 128 characters"),
        (
            json!({"limit_keys": {"a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f": "1", "g": "1", "h": "1", "i": "1"}}),
            "at most 8",
        ),
    ] {
        let refused = gateway.api("POST", "/v1/messages", Some(native(wrong))).await.expect(400);
        assert!(
            refused["field"] == "limit_keys" && refused["detail"].as_str().unwrap().contains(says),
            "{refused}"
        );
    }
    let listed = gateway.admin("GET", "/admin/v1/limits/user%20on%20device", None).await.expect(200);
    assert_eq!(listed["per"], json!(["user", "fingerprint"]));
}
