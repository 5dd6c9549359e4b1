//! Incidents: what an operator sees of an attack, and what can be done about it.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

/// Asks for a code to one of a block of numbers, from an address of its own.
async fn pump(gateway: &Gateway, n: usize) -> Answer {
    let to = format!("+99893412{:04}", 1000 + n);
    let ip = format!("84.54.{}.{}", n % 200, 1 + n % 250);
    let ask = json!({"to": to, "client": {"ip": ip, "user_agent": format!("agent {n}")}});
    gateway.api("POST", "/v1/verifications", Some(ask)).await
}

/// An attack of so many requests, of which prices are known; how many were sent.
async fn attack(gateway: &Gateway, requests: usize) -> usize {
    let price = json!({"country": "UZ", "amount": 141_000, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await;
    let mut sent = 0;
    for n in 0..requests {
        sent += usize::from(pump(gateway, n).await.status == 201);
        gateway.advance("5s").await;
    }
    sent
}

async fn incidents(gateway: &Gateway, query: &str) -> Vec<Value> {
    let listed = gateway.admin("GET", &format!("/admin/v1/incidents{query}"), None).await.expect(200);
    listed["data"].as_array().unwrap().clone()
}

async fn settle(gateway: &Gateway, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut last = Vec::new();
    for _ in 0..120 {
        last = incidents(gateway, "").await;
        if fits(&last) {
            return last;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attack_is_one_incident_with_its_figures() {
    let gateway = Gateway::new().await;
    let sent = attack(&gateway, 60).await;
    let all = incidents(&gateway, "").await;
    assert_eq!(all.len(), 1, "{all:?}");
    let one = &all[0];
    assert_eq!((&one["status"], &one["vector"]), (&json!("open"), &json!("number_ranges")));
    let stopped =
        one["stopped"]["blocked"].as_u64().unwrap() + one["stopped"]["redirected"].as_u64().unwrap();
    assert_eq!(stopped as usize + sent, 60, "{one}");
    assert_eq!(one["leaked"]["messages"], sent, "what was sent before it was noticed counts: {one}");
    assert_eq!(one["loss_avoided"]["amount"], stopped * 141_000, "each number was stopped once: {one}");
    assert!(one["summary"].as_str().unwrap().starts_with("pumping of number range +99893412 in UZ"), "{one}");
    let path = format!("/admin/v1/incidents/{}", one["id"].as_str().unwrap());
    let full = gateway.admin("GET", &path, None).await.expect(200);
    assert_eq!(full["ranges"][0]["key"], "+99893412");
    assert!(full["reasons"][0].as_str().unwrap().contains("expected"), "{full}");
    assert!(!full.to_string().contains("998934121"), "no full number: {full}");
    let counted: u64 =
        full["timeline"].as_array().unwrap().iter().map(|s| s["stopped"].as_u64().unwrap()).sum();
    assert_eq!(counted, stopped);
    gateway.admin("GET", "/admin/v1/incidents/inc_999999", None).await.expect(404);
    gateway.admin("GET", "/admin/v1/incidents?status=loud", None).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_suggests_can_be_sent_as_it_is() {
    let gateway = Gateway::new().await;
    attack(&gateway, 40).await;
    let id = incidents(&gateway, "").await[0]["id"].as_str().unwrap().to_owned();
    let full = gateway.admin("GET", &format!("/admin/v1/incidents/{id}"), None).await.expect(200);
    let suggested = full["suggestions"].as_array().unwrap();
    assert_eq!(suggested[0]["body"]["scope"], json!({"number_range": "+99893412"}));
    for one in suggested {
        let path = one["path"].as_str().unwrap();
        gateway.admin(one["method"].as_str().unwrap(), path, Some(one["body"].clone())).await.expect(201);
    }
    let refused = pump(&gateway, 999).await.expect(403);
    assert!(refused["reasons"].as_array().unwrap().iter().any(|r| r["code"] == "suspended"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_outlive_a_restart_and_end_when_it_is_quiet() {
    let gateway = Gateway::new().await;
    attack(&gateway, 40).await;
    let before = incidents(&gateway, "").await;
    let gateway = gateway.restart().await;
    assert_eq!(incidents(&gateway, "").await, before);
    gateway.advance("3h").await;
    let ended = settle(&gateway, |all| all[0]["status"] == "ended").await;
    assert!(ended[0]["ended_at"].is_string());
    assert_eq!(incidents(&gateway, "?status=open").await, Vec::<Value>::new());
    assert_eq!((told(&gateway, "incident.ended").await, told(&gateway, "incident.opened").await), (1, 1));
}

/// How often the operator was told so, once they were.
async fn told(gateway: &Gateway, action: &str) -> usize {
    for _ in 0..100 {
        let audit = gateway.admin("GET", "/admin/v1/audit?limit=200", None).await.expect(200);
        let count = audit["data"].as_array().unwrap().iter().filter(|e| e["action"] == action).count();
        if count > 0 {
            return count;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody was told: {action}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_alarm_lets_its_users_through_at_once() {
    let gateway = Gateway::new().await;
    attack(&gateway, 40).await;
    let id = incidents(&gateway, "").await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/incidents/{id}");
    let judge = async |body: Value| gateway.admin("PATCH", &path, Some(body)).await;
    assert_eq!(judge(json!({"status": "closed", "allow": true})).await.expect(400)["field"], "allow");
    assert_eq!(judge(json!({"note": "x"})).await.expect(400)["field"], "status");
    let word = json!({"status": "false_alarm", "note": "our launch", "allow": true});
    let judged = judge(word).await.expect(200);
    assert_eq!(
        (&judged["status"], &judged["judgement"]["note"]),
        (&json!("false_alarm"), &json!("our launch"))
    );
    pump(&gateway, 2000).await.expect(201);
    let gateway = gateway.restart().await;
    assert_eq!(incidents(&gateway, "?status=false_alarm").await.len(), 1, "the word is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_keys_are_suspended_by_themselves_where_that_is_set() {
    let gateway = Gateway::new().await;
    let settings = json!({"incidents": {"auto_suspend": {"mode": "enforce", "after": 10, "for": "1h"}}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
    attack(&gateway, 40).await;
    let list = async || gateway.admin("GET", "/admin/v1/suspensions", None).await.expect(200)["data"].clone();
    for _ in 0..100 {
        if list().await[0].is_object() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let all = list().await;
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!(
        (&all[0]["scope"], &all[0]["author"]),
        (&json!({"number_range": "+99893412"}), &json!("system"))
    );
    assert!(all[0]["reason"].as_str().unwrap().starts_with("incident inc_"), "{all}");
    let refused = pump(&gateway, 500).await.expect(403);
    assert!(refused.to_string().contains("suspended"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_are_sent_and_say_so() {
    let gateway = Gateway::new().await;
    let settings = json!({"detection": {"canary_percent": 20, "canary_max_price": 141_000}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
    let sent = attack(&gateway, 120).await;
    let listed = gateway.admin("GET", "/admin/v1/decisions?reason=canary&limit=200", None).await.expect(200);
    let canaries = listed["data"].as_array().unwrap().clone();
    assert!((5..=40).contains(&canaries.len()), "{} of about 100", canaries.len());
    let campaign = canaries[0]["reasons"].as_array().unwrap().iter().find(|r| r["overruled"] == true);
    assert!(campaign.is_some_and(|r| r["code"].as_str().unwrap().starts_with("campaign")), "{}", canaries[0]);
    let one = incidents(&gateway, "").await.swap_remove(0);
    assert_eq!(one["stopped"]["canaries"], canaries.len());
    assert_eq!(one["leaked"]["messages"], sent, "a canary is a message that was paid for: {one}");
    gateway
        .admin("PATCH", "/admin/v1/settings", Some(json!({"detection": {"canary_percent": 21}})))
        .await
        .expect(400);
}
