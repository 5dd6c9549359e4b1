//! Budgets are never overshot: at the edge of concurrency, with messages of different prices, and across a
//! restart; what never left comes back, and who has to know is told once.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

/// A gateway whose own limits do not stand in the way.
async fn gateway() -> Gateway {
    let gateway = Gateway::new().await;
    lift(&gateway).await;
    gateway
}

async fn lift(gateway: &Gateway) {
    let listed = gateway.admin("GET", "/admin/v1/limits", None).await.expect(200);
    for limit in listed["data"].as_array().unwrap() {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    let settings = json!({"verification_backoff": {"mode": "off"}, "detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(settings)).await.expect(200);
}

async fn price(gateway: &Gateway, country: &str, amount: u64) {
    let price = json!({"country": country, "amount": amount, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
}

async fn budget(gateway: &Gateway, body: Value) -> Value {
    gateway.admin("POST", "/admin/v1/budgets", Some(body)).await.expect(201)
}

async fn shown(gateway: &Gateway, budget: &Value) -> Value {
    let path = format!("/admin/v1/budgets/{}", budget["id"].as_str().unwrap());
    gateway.admin("GET", &path, None).await.expect(200)
}

async fn send_to(gateway: &Gateway, to: &str, text: &str) -> Answer {
    gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": text}))).await
}

/// Waits until a budget shows this much spent and reserved.
async fn settled(gateway: &Gateway, budget: &Value, spent: u64, reserved: u64) -> Value {
    let mut last = Value::Null;
    for _ in 0..200 {
        last = shown(gateway, budget).await;
        if last["spent"] == spent && last["reserved"] == reserved {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not {spent} spent and {reserved} reserved: {last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_never_overshoot_also_with_different_prices() {
    let gateway = gateway().await;
    price(&gateway, "SG", 40_000).await;
    let money =
        json!({"name": "sg", "country": "SG", "amount": 1_000_000, "currency": "USD", "window": "24h"});
    let money = budget(&gateway, money).await;
    let (short, long) = ("hi".to_owned(), "hi ".repeat(60));
    let ask = |n: usize| {
        let (gateway, text) = (&gateway, if n.is_multiple_of(3) { &long } else { &short });
        async move {
            (send_to(gateway, &format!("+659123{n:04}"), text).await, if n.is_multiple_of(3) { 2 } else { 1 })
        }
    };
    let all = futures_util::future::join_all((0..200).map(ask)).await;
    let sent: u64 = all.iter().filter(|(a, _)| a.status == 201).map(|(_, segments)| segments * 40_000).sum();
    assert_eq!(all.iter().filter(|(a, _)| ![201, 403].contains(&a.status)).count(), 0);
    // A message of one segment fits until the last 40,000 are gone.
    assert_eq!(sent, 1_000_000);
    assert_eq!(settled(&gateway, &money, 1_000_000, 0).await["remaining"], 0);
    let refused = send_to(&gateway, TO, "hi").await.expect(403);
    assert_eq!(refused["code"], "budget-exceeded");
    let detail = refused["reasons"][0]["detail"].as_str().unwrap();
    assert!(detail.starts_with("budget \"sg\": 1 USD of 1 USD spent in 24h; it frees at 20"), "{detail}");
    assert_eq!(
        (&refused["reasons"][0]["value"], &refused["reasons"][0]["limit"]),
        (&json!(1_000_000), &json!(1_000_000))
    );
    price(&gateway, "MY", 1).await;
    send_to(&gateway, "+60123456789", "hi").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgives_nothing_and_a_day_ends_at_midnight() {
    let gateway = gateway().await;
    // Away from midnight, so that the restart happens on the same day.
    gateway
        .admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2031-03-05T10:00:00Z"})))
        .await
        .expect(200);
    let day = json!({"name": "day", "unit": "messages", "amount": 17, "window": "day"});
    let day = budget(&gateway, day).await;
    let all = futures_util::future::join_all((0..200).map(|n| {
        let gateway = &gateway;
        async move { send_to(gateway, &format!("+659123{n:04}"), "hi").await.status }
    }))
    .await;
    assert_eq!(all.iter().filter(|s| **s == 201).count(), 17);
    assert_eq!(all.iter().filter(|s| **s == 403).count(), 183);
    settled(&gateway, &day, 17, 0).await;
    let gateway = gateway.restart().await;
    let now =
        gateway.admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2031-03-05T23:59:58Z"}))).await;
    now.expect(200);
    assert_eq!(shown(&gateway, &day).await["resets_at"], "2031-03-06T00:00:00.000Z");
    send_to(&gateway, TO, "hi").await.expect(403);
    gateway.advance("3s").await;
    send_to(&gateway, TO, "hi").await.expect(201);
    assert_eq!(shown(&gateway, &day).await["remaining"], 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_counts_what_was_sent_before_and_a_new_amount_keeps_it() {
    let gateway = gateway().await;
    for n in 0..3 {
        send_to(&gateway, &format!("+659123456{n}"), "hi").await.expect(201);
    }
    let hour = budget(&gateway, json!({"unit": "messages", "amount": 3, "window": "1h"})).await;
    assert_eq!(hour["name"], Value::Null);
    settled(&gateway, &hour, 3, 0).await;
    send_to(&gateway, TO, "hi").await.expect(403);
    let path = format!("/admin/v1/budgets/{}", hour["id"].as_str().unwrap());
    let more = gateway.admin("PATCH", &path, Some(json!({"amount": 4}))).await.expect(200);
    assert_eq!((&more["spent"], &more["remaining"]), (&json!(3), &json!(1)));
    send_to(&gateway, TO, "hi").await.expect(201);
    send_to(&gateway, TO, "hi").await.expect(403);
    gateway.admin("DELETE", &path, None).await.expect(204);
    send_to(&gateway, TO, "hi").await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_added_up_is_refused_unless_the_budget_says_otherwise() {
    let gateway = gateway().await;
    let written = json!({"name": "all", "amount": 1_000_000, "currency": "USD", "window": "month"});
    let all = budget(&gateway, written).await;
    let refused = send_to(&gateway, TO, "hi").await.expect(403);
    assert_eq!(refused["code"], "budget-unpriced");
    assert!(refused["detail"].as_str().unwrap().contains("Add a price for the country"), "{refused}");
    let path = format!("/admin/v1/budgets/{}", all["id"].as_str().unwrap());
    gateway.admin("PATCH", &path, Some(json!({"unpriced": "ignore"}))).await.expect(200);
    send_to(&gateway, TO, "hi").await.expect(201);
    assert_eq!(shown(&gateway, &all).await["spent"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn budgets_of_subaccount_country_and_route_count_only_theirs() {
    let gateway = gateway().await;
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "other_one"}))).await.expect(201);
    let routes = gateway.admin("GET", "/admin/v1/routes", None).await.expect(200);
    let provider = routes["data"][0]["providers"][0].clone();
    let route = json!({"name": "malaysia", "match": {"country": "MY"}, "providers": [provider]});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    let one = |scope: Value| {
        let mut body = json!({"unit": "messages", "amount": 1, "window": "24h"});
        body.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        body
    };
    budget(&gateway, one(json!({"name": "theirs", "subaccount_id": "other_one"}))).await;
    budget(&gateway, one(json!({"name": "sg", "country": "SG"}))).await;
    budget(&gateway, one(json!({"name": "by route", "route": "malaysia"}))).await;
    let first = gateway.sub().to_owned();
    let send = |sub: &str, to: &str| {
        let body = json!({"to": to, "text": "hi", "subaccount_id": sub});
        let gateway = &gateway;
        async move {
            let answer = gateway.api("POST", "/v1/messages", Some(body)).await;
            let refused = answer.status == 403;
            let key = if refused {
                answer.json()["reasons"][0]["key"].as_str().unwrap().to_owned()
            } else {
                String::new()
            };
            (answer.status, key)
        }
    };
    assert_eq!(send(&first, "+6591234567").await.0, 201);
    assert_eq!(send(&first, "+6591234568").await, (403, "sg".to_owned()));
    assert_eq!(send(&first, "+60123456789").await.0, 201);
    assert_eq!(send(&first, "+60123456780").await, (403, "by route".to_owned()));
    assert_eq!(send("other_one", "+447400123456").await.0, 201);
    assert_eq!(send("other_one", "+447400123457").await, (403, "theirs".to_owned()));
    assert_eq!(send(&first, "+447400123456").await.0, 201);
    let path = "/admin/v1/routes/malaysia";
    assert!(gateway.admin("DELETE", path, None).await.text.contains("`by route`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_left_comes_back_once() {
    let gateway = gateway().await;
    let hour = budget(&gateway, json!({"unit": "messages", "amount": 2, "window": "24h"})).await;
    // Taken back before it was due.
    let later = json!({"to": TO, "text": "hi", "scheduled_at": "2032-01-01T00:00:00Z"});
    gateway
        .admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2031-12-31T22:00:00Z"})))
        .await
        .expect(200);
    let scheduled = gateway.api("POST", "/v1/messages", Some(later.clone())).await.expect(201);
    settled(&gateway, &hour, 0, 1).await;
    let path = format!("/v1/messages/{}", scheduled["id"].as_str().unwrap());
    gateway.api("DELETE", &path, None).await.expect(200);
    gateway.api("DELETE", &path, None).await.expect(409);
    settled(&gateway, &hour, 0, 0).await;
    // Never sent in its time.
    let mut late = later;
    late["expires_at"] = "2032-01-01T00:00:00.001Z".into();
    let late = gateway.api("POST", "/v1/messages", Some(late)).await.expect(201);
    settled(&gateway, &hour, 0, 1).await;
    gateway
        .admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2032-01-01T00:00:05Z"})))
        .await
        .expect(200);
    gateway.message_in(late["id"].as_str().unwrap(), "expired").await;
    settled(&gateway, &hour, 0, 0).await;
    // No provider takes it.
    let routes = gateway.admin("GET", "/admin/v1/routes", None).await.expect(200);
    for route in routes["data"].as_array().unwrap() {
        let path = format!("/admin/v1/routes/{}", route["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    let failed = send_to(&gateway, TO, "hi").await.expect(201);
    gateway.message_in(failed["id"].as_str().unwrap(), "failed").await;
    settled(&gateway, &hour, 0, 0).await;
    // And a restart finds the same.
    let gateway = gateway.restart().await;
    assert_eq!(shown(&gateway, &hour).await["spent"], 0);
    let route = json!({"match": {}, "providers": ["sandbox"]});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    for status in [201, 201, 403] {
        send_to(&gateway, TO, "hi").await.expect(status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_told_once_for_each_share_and_lets_messages_pass() {
    let gateway = gateway().await;
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let hook = json!({"subaccount_id": "*", "url": format!("{}/hook", server.uri())});
    gateway.admin("POST", "/admin/v1/webhooks", Some(hook)).await.expect(201);
    let watched =
        json!({"name": "watch", "unit": "messages", "amount": 10, "window": "day", "on_exceed": "alert"});
    gateway
        .admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2031-03-05T10:00:00Z"})))
        .await
        .expect(200);
    let watched = budget(&gateway, watched).await;
    for n in 0..12 {
        send_to(&gateway, &format!("+65912345{n:02}"), "hi").await.expect(201);
    }
    let told = told(&server, 3).await;
    let shares: Vec<u64> = told.iter().map(|e| e["payload"]["detail"]["percent"].as_u64().unwrap()).collect();
    assert_eq!(shares, [50, 80, 100]);
    assert_eq!(
        (&told[0]["payload"]["target"], &told[0]["payload"]["detail"]["spent"]),
        (&watched["id"], &json!(5))
    );
    assert_eq!(told[0]["description"], "budget \"watch\" has reached 50 %: 5 messages of 10 messages spent");
    let decision = gateway.admin("GET", "/admin/v1/decisions?reason=budget-exceeded", None).await.expect(200);
    assert_eq!(decision["data"][0]["reasons"][0]["mode"], "shadow");
    // Told before the restart, so not again; also what refuses is told once.
    let gateway = gateway.restart().await;
    let path = format!("/admin/v1/budgets/{}", watched["id"].as_str().unwrap());
    gateway.admin("PATCH", &path, Some(json!({"on_exceed": "block"}))).await.expect(200);
    send_to(&gateway, TO, "hi").await.expect(403);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let audit = gateway.admin("GET", "/admin/v1/audit", None).await.expect(200);
    let entries = audit["data"].as_array().unwrap().iter().filter(|e| e["action"] == "budget.threshold");
    assert_eq!(entries.count(), 3);
}

/// Budget events that arrived, once there are so many.
async fn told(server: &MockServer, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..200 {
        let all = server.received_requests().await.unwrap();
        let bodies = all.iter().map(|r| serde_json::from_slice::<Value>(&r.body).unwrap());
        found = bodies.filter(|b| b["eventType"] == "budget.threshold").collect();
        if found.len() >= count {
            found.sort_by_key(|b| b["payload"]["detail"]["percent"].as_u64());
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("only {} of {count} events: {found:?}", found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_8x8_dialect_says_no_in_its_own_words() {
    let gateway = gateway().await;
    budget(&gateway, json!({"name": "tight", "unit": "messages", "amount": 1, "window": "24h"})).await;
    let sessions = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    gateway.api("POST", &sessions, Some(json!({"destination": TO}))).await.expect(200);
    let refused =
        gateway.api("POST", &sessions, Some(json!({"destination": "+6591234568"}))).await.expect(403);
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!(1201), &json!("Access forbidden: budget-exceeded"))
    );
    let messages = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let rejected =
        gateway.api("POST", &messages, Some(json!({"destination": TO, "text": "hi"}))).await.expect(200);
    assert_eq!(rejected["status"]["code"], "REJECTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_budget_is_refused_with_what_to_do() {
    let gateway = Gateway::new().await;
    let base = json!({"unit": "messages", "amount": 1, "window": "day"});
    for (change, field, says) in [
        (json!({"window": "week"}), "window", "`week` is not hour, day, month or a duration"),
        (json!({"window": "32d"}), "window", "\"1s\" to \"31d\""),
        (json!({"currency": "USD"}), "currency", "leave it out for messages"),
        (json!({"unpriced": "ignore"}), "unpriced", "leave it out for messages"),
        (json!({"subaccount_id": "nobody"}), "subaccount_id", "`nobody` is not a subaccount"),
        (json!({"route": "moon"}), "route", "`moon` is not a route"),
        (json!({"alert_at": [101]}), "alert_at", "1 to 100 percent"),
        (json!({"unit": "money", "currency": "US"}), "currency", "`US` is not a currency"),
        (json!({"colour": 1}), "colour", "colour"),
    ] {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let wrong = gateway.admin("POST", "/admin/v1/budgets", Some(body)).await.expect(400);
        assert_eq!(wrong["field"], field, "{wrong}");
        assert!(wrong["detail"].as_str().unwrap().contains(says), "{wrong}");
    }
    let listed = gateway.admin("GET", "/admin/v1/budgets", None).await.expect(200);
    assert_eq!(listed["data"], json!([]));
}
