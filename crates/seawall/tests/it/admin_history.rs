//! `/admin/v1/…`: what happened, and the sandbox.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn send(gateway: &Gateway, to: &str) -> Value {
    gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hello there"}))).await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_shows_request_facts_and_reasons() {
    let gateway = Gateway::new().await;
    let off = json!({"country_policy": {"countries": {"SG": "off"}}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{}", gateway.sub()), Some(off)).await.expect(200);
    let ask = json!({"to": "+6591234567", "client": {"ip": "203.0.113.9"}});
    let refused = gateway.api("POST", "/v1/verifications", Some(ask)).await;
    let id = refused.headers["seawall-decision-id"].clone();
    refused.expect(403);
    // At once: whoever holds the id of a refusal need not wait for the next flush.
    let shown = gateway.admin("GET", &format!("/admin/v1/decisions/{id}"), None).await.expect(200);
    for (field, value) in [
        ("id", json!(id)),
        ("operation", json!("verify.start")),
        ("subaccount_id", json!(gateway.sub())),
        ("to", json!("+659123xxxx")),
        ("caller_ip", json!("127.0.0.1")),
        ("client_ip", json!("203.0.113.9")),
        ("verdict", json!("block")),
        ("enforced", json!(true)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    assert_eq!(
        (&shown["reasons"][0]["code"], &shown["reasons"][0]["mode"]),
        (&json!("country-off"), &json!("enforce"))
    );
    assert_eq!(shown["facts"]["country"], "SG");
    assert!(shown.get("message_id").is_none() && shown.get("to_hash").is_none());
    for query in [
        "verdict=block",
        "reason=country-off",
        "msisdn=%2B6591234567",
        "ip=203.0.113.9",
        "verdict=block&limit=1",
    ] {
        let found = gateway.admin("GET", &format!("/admin/v1/decisions?{query}"), None).await.expect(200);
        assert_eq!(found["data"][0]["id"], json!(id), "{query}");
    }
    for query in [
        "verdict=allow",
        "reason=opt-out",
        "msisdn=%2B6598765432",
        "ip=203.0.113.8",
        "to=2020-01-01T00:00:00Z",
    ] {
        let found = gateway.admin("GET", &format!("/admin/v1/decisions?{query}"), None).await.expect(200);
        assert_eq!(found["data"], json!([]), "{query}");
    }
    for query in ["verdict=maybe", "reason=mood", "msisdn=1", "ip=x", "from=today", "colour=red"] {
        gateway.admin("GET", &format!("/admin/v1/decisions?{query}"), None).await.expect(400);
    }
    gateway.admin("GET", "/admin/v1/decisions/dec_00000000000000000000000000", None).await.expect(404);
    gateway.admin("GET", "/admin/v1/decisions/nonsense", None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_show_their_way_and_never_a_code() {
    let gateway = Gateway::new().await;
    let price = json!({"country": "SG", "amount": 30000, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    let sent = send(&gateway, "+6591234567").await;
    let id = sent["id"].as_str().unwrap();
    let shown = gateway.message_in(id, "delivered").await;
    assert_eq!((&shown["text"], &shown["to"]), (&json!("hello there"), &json!("+659123xxxx")));
    assert_eq!((&shown["segments"], &shown["price"]["total"]), (&json!(1), &json!(30000)));
    assert_eq!(
        (&shown["attempts"][0]["provider"], &shown["attempts"][0]["outcome"]),
        (&json!("sandbox"), &json!("accepted"))
    );
    let umid = shown["umid"].as_str().unwrap();
    assert_eq!(
        gateway.admin("GET", &format!("/admin/v1/messages/{umid}"), None).await.expect(200)["id"],
        json!(id)
    );
    let started =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6598765432"}))).await.expect(201);
    let code = gateway.code("+6598765432", 1).await;
    let with_code = gateway
        .admin("GET", &format!("/admin/v1/messages/{}", started["message_id"].as_str().unwrap()), None)
        .await;
    assert!(!with_code.text.contains(&code) && with_code.json().get("text").is_none());
    let listed = gateway.admin("GET", "/admin/v1/messages?state=delivered&msisdn=%2B6591234567", None).await;
    assert!(!listed.text.contains("hello"));
    assert_eq!(listed.expect(200)["data"].as_array().unwrap().len(), 1);
    let of = format!("/admin/v1/verifications/{}", started["id"].as_str().unwrap());
    let verification = gateway.admin("GET", &of, None).await.expect(200);
    assert_eq!((&verification["status"], &verification["sends"]), (&json!("pending"), &json!(1)));
    let pending = gateway.admin("GET", "/admin/v1/verifications?status=pending", None).await.expect(200);
    assert_eq!(pending["data"][0]["id"], started["id"]);
    let overview = gateway.admin("GET", "/admin/v1/stats/overview", None).await.expect(200);
    assert_eq!(
        (&overview["messages"]["total"], &overview["providers"]["sandbox"]),
        (&json!(2), &json!("up"))
    );
    gateway.admin("GET", "/admin/v1/messages?state=lost", None).await.expect(400);
    gateway.admin("GET", "/admin/v1/verifications?status=lost", None).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_history_meet_without_gap_or_overlap() {
    let gateway = Gateway::new().await;
    for n in 0..7 {
        send(&gateway, &format!("+659123450{n}")).await;
        let template = json!({"name": format!("text {n}"), "text": "{code}"});
        gateway.admin("POST", "/admin/v1/templates", Some(template)).await.expect(201);
    }
    for list in ["messages", "decisions", "audit"] {
        let key = |entry: &Value| if list == "audit" { entry.to_string() } else { entry["id"].to_string() };
        let whole = gateway.admin("GET", &format!("/admin/v1/{list}"), None).await.expect(200);
        let whole: Vec<String> = whole["data"].as_array().unwrap().iter().map(key).collect();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                gateway.admin("GET", &format!("/admin/v1/{list}?limit=3{cursor}"), None).await.expect(200);
            seen.extend(page["data"].as_array().unwrap().iter().map(key));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert!(whole.len() >= 7 && seen == whole, "{list}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_phone_answers_and_stop_is_heard() {
    let gateway = Gateway::new().await;
    send(&gateway, "+6591234567").await;
    let received = gateway.phone("+6591234567", 1).await;
    assert_eq!((&received[0]["to"], &received[0]["text"]), (&json!("+6591234567"), &json!("hello there")));
    let stop = json!({"from": "+6591234567", "to": "Seawall", "text": "STOP"});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(stop)).await.expect(201);
    let mut entries = Value::Null;
    for _ in 0..200 {
        entries = gateway.admin("GET", "/admin/v1/opt-outs?msisdn=%2B6591234567", None).await.expect(200);
        if entries["data"] != json!([]) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(entries["data"][0]["source"], "stop", "{entries}");
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_moves_only_where_it_may() {
    let gateway = Gateway::new().await;
    let moved =
        gateway.admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2090-01-01T00:00:00Z"}))).await;
    assert_eq!(moved.expect(400)["field"], "advance", "more than ten years");
    let past =
        gateway.admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"now": "2020-01-01T00:00:00Z"}))).await;
    assert_eq!(past.expect(400)["field"], "now");
    gateway.advance("30m").await;
    let real = Gateway::with(&[("SEAWALL_SANDBOX__CLOCK", "false")]).await;
    let refused = real.admin("PUT", "/admin/v1/sandbox/clock", Some(json!({"advance": "30m"}))).await;
    assert_eq!(refused.expect(403)["code"], "sandbox-clock-off");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_made_once() {
    let gateway = Gateway::new().await;
    let first = gateway.first.clone();
    assert!(first.admin_token.starts_with("sw_admin_") && first.subaccount_id == "default_hq");
    let Gateway { running, dir, .. } = gateway;
    running.stop().await;
    let again = seawall::serve::init(&crate::common::config(dir.path(), &[]), "acme", None).await;
    assert!(again.err().unwrap().contains("`default` exists already"));
    let elsewhere = tempfile::tempdir().unwrap();
    let config = crate::common::config(elsewhere.path(), &[]);
    assert!(seawall::serve::init(&config, "a b", None).await.err().unwrap().contains("`a b`"));
    let made = seawall::serve::init(&config, "acme", None).await.unwrap();
    assert_eq!((made.subaccount_id.as_str(), made.account_id.len()), ("acme_hq", 36));
}
