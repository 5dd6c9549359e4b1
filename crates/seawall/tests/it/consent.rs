//! What numbers want: STOP in any words, opt-ins with proof, double opt-in, categories, "not me".

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

async fn answer(gateway: &Gateway, text: &str) {
    let body = json!({"from": TO, "to": "Acme", "text": text});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(body)).await.expect(201);
}

async fn send(gateway: &Gateway, more: Value) -> Answer {
    let mut body = json!({"to": TO, "text": "hello", "source": "Acme"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.api("POST", "/v1/messages", Some(body)).await
}

/// Waits until what is asked holds.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never became so");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn opt_outs(gateway: &Gateway) -> Vec<Value> {
    let path = "/admin/v1/opt-outs?msisdn=%2B6591234567";
    gateway.admin("GET", path, None).await.expect(200)["data"].as_array().unwrap().clone()
}

async fn consents(gateway: &Gateway) -> Value {
    gateway.api("GET", "/v1/consents?to=%2B6591234567", None).await.expect(200)
}

async fn settings(gateway: &Gateway, consent: Value) {
    gateway.admin("PATCH", "/admin/v1/settings", Some(json!({"consent": consent}))).await.expect(200);
}

async fn subaccount(gateway: &Gateway, change: Value) {
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    gateway.admin("PATCH", &path, Some(change)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn free_text_stops_messages_at_once_and_says_why() {
    let gateway = Gateway::new().await;
    settings(&gateway, json!({"answers": {"stop": "You get no more messages.", "help": "Acme, 6123"}})).await;
    send(&gateway, json!({})).await.expect(201);
    gateway.phone(TO, 1).await;
    answer(&gateway, "Help!").await;
    assert_eq!(gateway.phone(TO, 2).await[0]["text"], "Acme, 6123");
    answer(&gateway, "please don't text me again").await;
    let begun = Instant::now();
    until(async || !opt_outs(&gateway).await.is_empty()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let entry = opt_outs(&gateway).await.remove(0);
    assert_eq!(entry["source"], "free-text");
    assert!(entry["note"].as_str().unwrap().starts_with("free text, "), "{entry}");
    let refused = send(&gateway, json!({"category": "marketing"})).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "opt-out");
    let phone = gateway.phone(TO, 3).await;
    assert_eq!(
        (phone.len(), &phone[0]["text"]),
        (3, &json!("You get no more messages.")),
        "the answer still goes"
    );
    answer(&gateway, "STOP").await;
    answer(&gateway, "start").await;
    until(async || opt_outs(&gateway).await.is_empty()).await;
    send(&gateway, json!({})).await.expect(201);
    assert_eq!(gateway.phone(TO, 4).await.len(), 4, "the same STOP is not answered twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unsure_waits_for_a_person() {
    let gateway = Gateway::new().await;
    let path = "/admin/v1/consents/reviews";
    let listed =
        async || gateway.admin("GET", path, None).await.expect(200)["data"].as_array().unwrap().clone();
    send(&gateway, json!({})).await.expect(201);
    let text = "Stop, wait for me, I need the code again";
    answer(&gateway, text).await;
    until(async || listed().await.len() == 1).await;
    assert!(opt_outs(&gateway).await.is_empty());
    let all = listed().await;
    let first = &all[0];
    assert_eq!((&first["text"], &first["msisdn"]), (&json!(text), &json!("+659123xxxx")));
    let id = first["id"].as_str().unwrap();
    let rule = async |ruling: &str| {
        gateway.admin("POST", &format!("{path}/{id}"), Some(json!({"ruling": ruling}))).await
    };
    assert_eq!(rule("perhaps").await.status, 400);
    rule("opt_out").await.expect(204);
    assert_eq!(rule("dismiss").await.status, 404, "decided already");
    assert!(opt_outs(&gateway).await.iter().any(|entry| entry["source"] == "review"));
    assert!(listed().await.iter().all(|review| review["id"] != id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_as_far_as_is_set() {
    let gateway = Gateway::new().await;
    for (scope, marketing, other_sender) in [("all", 403, 403), ("marketing", 403, 201), ("sender", 403, 201)]
    {
        settings(&gateway, json!({"stop_scope": scope})).await;
        answer(&gateway, "退订").await;
        until(async || !opt_outs(&gateway).await.is_empty()).await;
        assert_eq!(send(&gateway, json!({"category": "marketing"})).await.status, marketing, "{scope}");
        assert_eq!(send(&gateway, json!({"source": "Other"})).await.status, other_sender, "{scope}");
        answer(&gateway, "START").await;
        until(async || opt_outs(&gateway).await.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn marketing_waits_for_an_opt_in_with_proof() {
    let gateway = Gateway::new().await;
    subaccount(&gateway, json!({"consent": {"marketing_needs_opt_in": true}})).await;
    send(&gateway, json!({})).await.expect(201);
    let refused = send(&gateway, json!({"category": "marketing"})).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "no-opt-in", "{refused}");
    let proof = json!({"to": TO, "source": "web-form", "proof": "I agree to offers.", "ip": "203.0.113.77"});
    let given = gateway.api("POST", "/v1/consents", Some(proof)).await.expect(201);
    assert_eq!((&given["status"], &given["category"]), (&json!("given"), &json!("marketing")));
    send(&gateway, json!({"category": "marketing"})).await.expect(201);
    let id = given["id"].as_str().unwrap();
    let one = gateway.api("GET", &format!("/v1/consents/{id}"), None).await.expect(200);
    assert_eq!((&one["proof"], &one["ip"]), (&json!("I agree to offers."), &json!("203.0.113.77")));
    for (body, field) in [
        (json!({"to": "12", "source": "x"}), "to"),
        (json!({"to": TO, "source": " "}), "source"),
        (json!({"to": TO, "source": "x", "ip": "nowhere"}), "ip"),
        (json!({"to": TO, "source": "x", "at": "2999-01-01T00:00:00Z"}), "at"),
    ] {
        assert_eq!(gateway.api("POST", "/v1/consents", Some(body)).await.expect(400)["field"], field);
    }
    answer(&gateway, "unsubscribe").await;
    until(async || consents(&gateway).await["data"].as_array().unwrap().is_empty()).await;
    assert_eq!(consents(&gateway).await["opted_out"], true);
    assert_eq!(gateway.api("GET", &format!("/v1/consents/{id}"), None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_opt_in_is_one_when_the_number_says_yes() {
    let gateway = Gateway::new().await;
    settings(&gateway, json!({"answers": {"confirmed": "Welcome."}})).await;
    let ask = json!({"to": TO, "source": "till", "double": true, "text": "Offers from Acme? Answer YES.", "sender": "Acme"});
    let asked = gateway.api("POST", "/v1/consents", Some(ask.clone())).await.expect(201);
    assert_eq!(asked["status"], "pending", "{asked}");
    assert_eq!(gateway.phone(TO, 1).await[0]["text"], "Offers from Acme? Answer YES.");
    answer(&gateway, "Sí, por favor").await;
    until(async || consents(&gateway).await["data"][0]["status"] == "given").await;
    let given = &consents(&gateway).await["data"][0];
    assert_eq!((&given["answer"], &given["source"]), (&json!("Sí, por favor"), &json!("till")));
    assert_eq!(given["proof"], "Offers from Acme? Answer YES.");
    assert_eq!(gateway.phone(TO, 2).await[0]["text"], "Welcome.");
    // Nobody answers in time.
    let id = given["id"].as_str().unwrap().to_owned();
    gateway.api("DELETE", &format!("/v1/consents/{id}"), None).await.expect(204);
    gateway.api("POST", "/v1/consents", Some(ask)).await.expect(201);
    gateway.advance("25h").await;
    answer(&gateway, "yes").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = consents(&gateway).await;
    assert!(left["data"].as_array().unwrap().iter().all(|one| one["status"] == "pending"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_not_me_gets_no_codes_for_a_day() {
    let gateway = Gateway::new().await;
    subaccount(&gateway, json!({"codes_despite_opt_out": true})).await;
    let start = async || gateway.api("POST", "/v1/verifications", Some(json!({"to": TO}))).await;
    let first = start().await.expect(201);
    let code = gateway.code(TO, 1).await;
    answer(&gateway, "Das war ich nicht!").await;
    until(async || !opt_outs(&gateway).await.is_empty()).await;
    let entry = opt_outs(&gateway).await.remove(0);
    assert_eq!((&entry["source"], &entry["category"]), (&json!("not-me"), &json!("code")));
    let path = format!("/v1/verifications/{}/check", first["id"].as_str().unwrap());
    let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await;
    assert!(checked.status != 200 || checked.json()["status"] != "verified", "{checked:?}");
    let refused = start().await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "opt-out", "{refused}");
    send(&gateway, json!({})).await.expect(201);
    gateway.advance("25h").await;
    start().await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn opt_ins_go_out_and_come_back_as_a_table() {
    let gateway = Gateway::new().await;
    let sub = gateway.sub();
    let import = async |text: &str| {
        let token = Some(gateway.first.admin_token.as_str());
        let csv = [("content-type", "text/csv")];
        gateway.raw("POST", "/admin/v1/consents/import", token, Some(text), &csv).await
    };
    let table = format!(
        "to,subaccount_id,source,proof\r\n{TO},{sub},till,\"=1+1, agreed\"\r\n+6591234568,{sub},till,x\r\n"
    );
    assert_eq!(import(&table).await.expect(200)["imported"], 2);
    let shown = gateway.admin("GET", "/admin/v1/consents.csv", None).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("\"'=1+1, agreed\""), "{}", shown.text);
    assert_eq!(import(&shown.text).await.expect(200)["imported"], 2, "an export can be imported");
    assert_eq!(consents(&gateway).await["data"][0]["proof"], "=1+1, agreed");
    let broken = import(&format!("to,subaccount_id,source\n+6591234569,{sub},till\n12,{sub},till\n")).await;
    assert!(broken.expect(400)["detail"].as_str().unwrap().contains("row 3"));
    assert!(!gateway.admin("GET", "/admin/v1/consents.csv", None).await.text.contains("91234569"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_not_me_link_shows_a_button_and_only_the_button_acts() {
    let gateway = Gateway::with(&[("SEAWALL_SERVER__PUBLIC_URL", "https://sms.example.com/")]).await;
    let ask = json!({"to": TO, "template": "{code} is your code. Not you? {not_me}"});
    gateway.api("POST", "/v1/verifications", Some(ask.clone())).await.expect(201);
    let text = gateway.phone(TO, 1).await[0]["text"].as_str().unwrap().to_owned();
    let link = text.split_whitespace().last().unwrap().to_owned();
    let path = link.strip_prefix("https://sms.example.com").unwrap_or_else(|| panic!("{text}")).to_owned();
    assert_eq!(path.len(), "/n/".len() + 32, "{path}");
    let open = async |method: &str, path: &str| {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        gateway.raw(method, path, None, (method == "POST").then_some(""), &form).await
    };
    for _ in 0..3 {
        let page = open("GET", &path).await;
        assert_eq!((page.status, page.text.contains("<button>")), (200, true), "{}", page.text);
        assert!(!page.text.contains("91234567") && page.headers["cache-control"] == "no-store");
    }
    assert!(opt_outs(&gateway).await.is_empty(), "a preview does nothing");
    let forged = format!("{}{}", &path[..path.len() - 1], if path.ends_with('A') { 'B' } else { 'A' });
    assert_eq!(open("POST", &forged).await.status, 404);
    assert_eq!(open("GET", "/n/x").await.status, 404);
    let done = open("POST", &path).await;
    assert_eq!((done.status, done.text.contains("<button>")), (200, false), "{}", done.text);
    let entry = opt_outs(&gateway).await.remove(0);
    assert_eq!((&entry["source"], &entry["note"]), (&json!("not-me"), &json!("by link")));
    assert_eq!(open("POST", &path).await.status, 200, "said already");
    let refused = gateway.api("POST", "/v1/verifications", Some(ask.clone())).await.expect(403);
    assert_eq!(refused["reasons"][0]["code"], "opt-out");
    let mut last = 200;
    for _ in 0..20 {
        last = open("GET", &path).await.status;
    }
    assert_eq!(last, 429, "rate limited");
    gateway.advance("25h").await;
    assert_eq!(open("POST", &path).await.status, 404, "its day is over");
    // What ended goes from the list by itself.
    until(async || opt_outs(&gateway).await.is_empty()).await;
    let gateway = Gateway::new().await;
    let refused = gateway.api("POST", "/v1/verifications", Some(ask)).await.expect(400);
    assert!(refused["detail"].as_str().unwrap().contains("server.public_url"), "{refused}");
}

async fn verify(gateway: &Gateway, count: usize) {
    let started = gateway.api("POST", "/v1/verifications", Some(json!({"to": TO}))).await.expect(201);
    let code = gateway.code(TO, count).await;
    let path = format!("/v1/verifications/{}/check", started["id"].as_str().unwrap());
    let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(checked["status"], "verified", "{checked}");
}

async fn due(gateway: &Gateway) -> Vec<Value> {
    let listed = gateway.api("GET", "/v1/consents/reconfirmations", None).await.expect(200);
    listed["data"].as_array().unwrap().clone()
}

async fn known(gateway: &Gateway) -> bool {
    let number = seawall_core::msisdn::Msisdn::parse(TO, None).unwrap().msisdn;
    gateway.running.app.store.ledger.known_number(number).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_confirmed_long_ago_are_asked_and_forgotten_when_nobody_answers() {
    let gateway = Gateway::without_detection().await;
    settings(
        &gateway,
        json!({"reconfirm": {"months": 3, "grace": "7d", "question": "Still you? YES or NO"}}),
    )
    .await;
    verify(&gateway, 1).await;
    gateway.advance("60d").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(due(&gateway).await.is_empty());
    gateway.advance("35d").await;
    until(async || due(&gateway).await.len() == 1).await;
    let one = due(&gateway).await.remove(0);
    assert_eq!((&one["because"], &one["to"]), (&json!("age"), &json!(TO)));
    let path = format!("/v1/consents/reconfirmations/{}/ask", one["id"].as_str().unwrap());
    let asked = gateway.api("POST", &path, Some(json!({}))).await.expect(200);
    assert!(asked["message_id"].is_string(), "{asked}");
    until(async || gateway.phone(TO, 1).await[0]["text"] == "Still you? YES or NO").await;
    answer(&gateway, "yes").await;
    until(async || due(&gateway).await.is_empty()).await;
    assert!(known(&gateway).await);
    // The next time nobody answers.
    gateway.advance("95d").await;
    until(async || due(&gateway).await.len() == 1).await;
    assert!(known(&gateway).await, "known until the grace is over");
    gateway.advance("8d").await;
    until(async || due(&gateway).await.is_empty()).await;
    assert!(!known(&gateway).await, "no longer known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_has_another_owner_is_due_at_once() {
    let gateway = Gateway::without_detection().await;
    settings(&gateway, json!({"reconfirm": {"ask": true}})).await;
    verify(&gateway, 1).await;
    gateway.advance("30d").await;
    let look = async |at: &str| {
        let facts = json!({"msisdn": TO, "reassigned_at": at});
        gateway.admin("POST", "/admin/v1/sandbox/lookup", Some(facts)).await.expect(201);
        gateway.api("GET", "/v1/numbers/6591234567?type=live", None).await.expect(200)
    };
    assert_eq!(look("2020-01-01T00:00:00Z").await["reassigned_at"], "2020-01-01T00:00:00.000Z");
    assert!(due(&gateway).await.is_empty(), "before it was confirmed here");
    gateway.advance("10m").await;
    let later = gateway.running.app.now().minus(Duration::from_secs(3600)).to_rfc3339();
    look(&later).await;
    let one = due(&gateway).await.remove(0);
    assert_eq!((&one["because"], one["message_id"].is_string()), (&json!("reassigned"), true), "{one}");
    answer(&gateway, "no").await;
    until(async || due(&gateway).await.is_empty()).await;
    assert!(!known(&gateway).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_advertising_leaves_more_than_a_second_after_stop() {
    let gateway = Gateway::without_detection().await;
    let numbers: Vec<String> = (0..24).map(|n| format!("+659123{:04}", n * 37)).collect();
    let offer = async |to: &str, at: Option<String>| {
        let mut body = json!({"to": to, "text": "offer", "source": "Acme", "category": "marketing"});
        if let Some(at) = at {
            body["scheduled_at"] = at.into();
        }
        gateway.api("POST", "/v1/messages", Some(body)).await.status
    };
    // Each has one message now and one that waits; the STOP comes while more are asked for.
    let now = gateway.running.app.now();
    let mut stopped = Vec::new();
    for (n, to) in numbers.iter().enumerate() {
        assert_eq!(offer(to, None).await, 201);
        let due = now.plus(Duration::from_secs(5 + n as u64 % 3)).to_rfc3339();
        assert_eq!(offer(to, Some(due)).await, 201);
    }
    for to in &numbers {
        gateway.phone(to, 1).await;
        let stop = json!({"from": to, "to": "Acme", "text": "STOP"});
        gateway.admin("POST", "/admin/v1/sandbox/messages", Some(stop)).await.expect(201);
        stopped.push(gateway.running.app.now());
        let _ = offer(to, None).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for to in &numbers {
        assert_eq!(offer(to, None).await, 403);
    }
    gateway.advance("10s").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (to, at) in numbers.iter().zip(stopped) {
        let latest = at.plus(Duration::from_secs(1)).to_rfc3339();
        let received = gateway.phone(to, 1).await;
        let late = received.iter().filter(|m| m["at"].as_str().unwrap() > latest.as_str()).count();
        assert_eq!(late, 0, "{received:?} after {latest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_about_a_category() {
    let gateway = Gateway::new().await;
    subaccount(&gateway, json!({"consent": {"marketing_needs_opt_in": true}})).await;
    let ask = async |category: Value| {
        let mut body = json!({"to": TO, "purpose": "message", "text": "x", "dry_run": true});
        if !category.is_null() {
            body["category"] = category;
        }
        gateway.api("POST", "/v1/decisions", Some(body)).await.expect(200)
    };
    assert_eq!(ask(json!("marketing")).await["reasons"][0]["code"], "no-opt-in");
    assert_eq!(ask(json!("transactional")).await["verdict"], "allow");
    assert_eq!(ask(Value::Null).await["verdict"], "allow");
    subaccount(
        &gateway,
        json!({"consent": {"default_category": "marketing", "marketing_needs_opt_in": true}}),
    )
    .await;
    assert_eq!(ask(Value::Null).await["verdict"], "block");
}
