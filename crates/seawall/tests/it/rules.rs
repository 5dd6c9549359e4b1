//! `/admin/v1/rules`: conditions, what they do, and what is said of those that mean nothing.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::common::Gateway;

async fn rule(gateway: &Gateway, name: &str, action: &str, when: &str) -> Value {
    let body = json!({"name": name, "action": action, "when": when});
    gateway.admin("POST", "/admin/v1/rules", Some(body)).await.expect(201)
}

async fn change(gateway: &Gateway, name: &str, patch: Value) -> Value {
    gateway.admin("PATCH", &format!("/admin/v1/rules/{name}"), Some(patch)).await.expect(200)
}

async fn look(gateway: &Gateway, name: &str) -> Value {
    gateway.admin("GET", &format!("/admin/v1/rules/{name}"), None).await.expect(200)
}

/// The answer of a decision that charges nothing but is counted.
async fn decide(gateway: &Gateway, to: &str, more: Value) -> Value {
    let mut body = json!({"to": to, "purpose": "login"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.api("POST", "/v1/decisions", Some(body)).await.expect(200)
}

fn reasons(decision: &Value) -> Vec<(String, String, bool)> {
    let text = |reason: &Value, field: &str| reason[field].as_str().unwrap_or_default().to_owned();
    let all = decision["reasons"].as_array().unwrap().iter();
    all.map(|r| (text(r, "code"), text(r, "key"), r["mode"] == "enforce" && r["overruled"] != true)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_in_force_at_once_shadowed_counted_and_deleted() {
    let gateway = Gateway::without_detection().await;
    let made = rule(&gateway, "sg", "block", "number.country == \"SG\" && client.asn != 1").await;
    assert!(made["id"].as_str().unwrap().starts_with("rule_"));
    assert_eq!(
        (&made["mode"], &made["matched"], &made["problem"]),
        (&json!("enforce"), &json!(0), &json!(null))
    );
    assert_eq!(
        decide(&gateway, "+6591234567", json!({})).await["verdict"],
        "allow",
        "no address, no comparison"
    );
    change(&gateway, "sg", json!({"when": "number.country == \"SG\""})).await;
    let refused = gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await;
    let problem = refused.expect(403);
    assert_eq!((&problem["code"], &problem["reasons"][0]["key"]), (&json!("rule-block"), &json!("sg")));
    assert_eq!(problem["reasons"][0]["detail"], "rule \"sg\" blocks this");
    assert_eq!(decide(&gateway, "+447400123456", json!({})).await["verdict"], "allow");
    change(&gateway, "sg", json!({"mode": "shadow"})).await;
    let shadowed = decide(&gateway, "+6591234568", json!({})).await;
    assert_eq!(shadowed["verdict"], "allow");
    assert_eq!(reasons(&shadowed), [("rule-block".to_owned(), "sg".to_owned(), false)]);
    let counted = look(&gateway, "sg").await;
    assert_eq!((&counted["matched"], &counted["enforced"]), (&json!(2), &json!(1)), "{counted}");
    assert!(counted["last_matched_at"].is_string());
    let found = gateway.admin("GET", "/admin/v1/decisions?reason=rule-block", None).await.expect(200);
    assert_eq!(found["data"].as_array().unwrap().len(), 2);
    gateway.admin("DELETE", "/admin/v1/rules/sg", None).await.expect(204);
    assert!(reasons(&decide(&gateway, "+6591234569", json!({})).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_counted() {
    let gateway = Gateway::without_detection().await;
    rule(&gateway, "users", "block", "client.user == \"mallory\" || client.headers[\"x-a\"] == \"1\"").await;
    for (n, user) in [json!({"client": {"user_id": "alice"}}), json!({}), json!({})].into_iter().enumerate() {
        assert_eq!(decide(&gateway, &format!("+659123456{n}"), user).await["verdict"], "allow");
    }
    let mallory = decide(&gateway, "+6591234569", json!({"client": {"user_id": "mallory"}})).await;
    assert_eq!(mallory["verdict"], "block");
    let seen = look(&gateway, "users").await["missing"].clone();
    // Each request is decided twice, before and after its limits, and counted once.
    assert_eq!(seen, json!({"client.user": 2, "client.headers[\"x-a\"]": 3}));
    let metrics = gateway.raw("GET", "/metrics", None, None, &[]).await.text;
    for line in [
        "seawall_rule_missing_total{attribute=\"client.user\"} 2",
        "seawall_rule_missing_total{attribute=\"client.headers\"} 3",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_points_at_the_character() {
    let gateway = Gateway::without_detection().await;
    let refused = |when: &str| json!({"name": "r", "action": "block", "when": when});
    let when = "client.hosting &&\n  number.contry == \"UZ\"";
    let problem = gateway.admin("POST", "/admin/v1/rules", Some(refused(when))).await.expect(400);
    assert_eq!(
        (&problem["code"], &problem["field"], &problem["line"], &problem["column"]),
        (&json!("invalid-request"), &json!("when"), &json!(2), &json!(3))
    );
    assert_eq!(
        problem["detail"],
        "Unknown attribute `number.contry` at line 2, column 3; did you mean `number.country`?"
    );
    for (when, column) in [("", 1), ("true &&", 8), ("in_list(\"nobody\")", 9), ("number.country == 1", 16)] {
        let problem = gateway.admin("POST", "/admin/v1/rules", Some(refused(when))).await.expect(400);
        assert_eq!((&problem["field"], &problem["column"]), (&json!("when"), &json!(column)), "{problem}");
    }
    let list = json!({"name": "nobody", "kind": "msisdn"});
    gateway.admin("POST", "/admin/v1/lists", Some(list)).await.expect(201);
    gateway.admin("POST", "/admin/v1/rules", Some(refused("in_list(\"nobody\")"))).await.expect(201);
    let kept = gateway.admin("PATCH", "/admin/v1/rules/r", Some(json!({"when": "tru"}))).await.expect(400);
    assert_eq!(kept["column"], 1);
    assert_eq!(look(&gateway, "r").await["when"], "in_list(\"nobody\")", "a refused change changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_checked() {
    let gateway = Gateway::without_detection().await;
    for (body, field) in [
        (json!({"name": "backtest", "action": "block", "when": "true"}), "name"),
        (json!({"name": "r", "action": "explode", "when": "true"}), "action"),
        (json!({"name": "r", "action": "block", "when": "true", "mode": "off"}), "mode"),
        (json!({"name": "r", "action": "block", "when": "true", "retry_after": "60s"}), "retry_after"),
        (json!({"name": "r", "action": "throttle", "when": "true", "retry_after": "2d"}), "retry_after"),
        (json!({"name": "r", "action": "block", "when": "true", "subaccount_id": "nobody"}), "subaccount_id"),
        (
            json!({"name": "r", "action": "block", "when": "true", "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (json!({"name": "r", "action": "block", "when": "true", "note": "x".repeat(1001)}), "note"),
        (json!({"name": "r", "action": "block", "when": "x".repeat(4001)}), "when"),
        (json!({"name": "r", "action": "block", "when": "true", "colour": "red"}), "colour"),
        (json!({"name": "r", "action": "challenge", "when": "true"}), "action"),
    ] {
        let problem = gateway.admin("POST", "/admin/v1/rules", Some(body.clone())).await.expect(400);
        assert_eq!(problem["field"], field, "{body}: {problem}");
    }
    let challenge = json!({"name": "r", "action": "challenge", "when": "true", "mode": "shadow"});
    gateway.admin("POST", "/admin/v1/rules", Some(challenge.clone())).await.expect(201);
    gateway.admin("POST", "/admin/v1/rules", Some(challenge)).await.expect(409);
    gateway.admin("PATCH", "/admin/v1/rules/r", Some(json!({"mode": "enforce"}))).await.expect(400);
    assert_eq!(reasons(&decide(&gateway, "+6591234567", json!({})).await)[0].0, "rule-challenge");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_match_is_recorded_and_an_allowing_rule_lifts_rules_alone() {
    let gateway = Gateway::without_detection().await;
    rule(&gateway, "block", "block", "number.country == \"SG\"").await;
    rule(&gateway, "throttle", "throttle", "true").await;
    let both = decide(&gateway, "+6591234567", json!({})).await;
    assert_eq!(both["verdict"], "block");
    let codes: Vec<String> = reasons(&both).into_iter().map(|r| r.0).collect();
    assert_eq!(codes, ["rule-block", "rule-throttle"]);
    rule(&gateway, "allow", "allow", "client.user == \"alice\"").await;
    let alice = json!({"client": {"user_id": "alice"}});
    let allowed = decide(&gateway, "+6591234567", alice.clone()).await;
    assert_eq!(allowed["verdict"], "allow");
    assert_eq!(
        reasons(&allowed).into_iter().map(|(code, _, in_force)| (code, in_force)).collect::<Vec<_>>(),
        [("rule-block".into(), false), ("rule-throttle".into(), false), ("rule-allow".into(), true)]
    );
    let off = json!({"country_policy": {"countries": {"SG": "off"}}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{}", gateway.sub()), Some(off)).await.expect(200);
    assert_eq!(decide(&gateway, "+6591234567", alice).await["verdict"], "block", "country policy stands");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttle_says_how_long_and_an_expired_rule_does_nothing() {
    let gateway = Gateway::without_detection().await;
    let now = gateway.admin("GET", "/admin/v1/stats/overview", None).await.expect(200)["at"].clone();
    let end = seawall_core::time::Timestamp::parse(now.as_str().unwrap()).unwrap();
    let end = end.plus(std::time::Duration::from_secs(600)).to_rfc3339();
    let body = json!({"name": "slow", "action": "throttle", "when": "true", "retry_after": "90s", "expires_at": end});
    gateway.admin("POST", "/admin/v1/rules", Some(body)).await.expect(201);
    let refused = gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await;
    assert_eq!(refused.headers["retry-after"], "90");
    assert_eq!(refused.expect(429)["code"], "rule-throttle");
    gateway.advance("11m").await;
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await.expect(201);
    change(&gateway, "slow", json!({"note": "an expired rule can be described"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_were_sent_can_be_checked_whatever_rules_say_of_sends() {
    let gateway = Gateway::without_detection().await;
    let begun =
        gateway.api("POST", "/v1/verifications", Some(json!({"to": "+6591234567"}))).await.expect(201);
    let code = gateway.code("+6591234567", 1).await;
    rule(&gateway, "sg", "block", "number.country == \"SG\"").await;
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    rule(&gateway, "checks", "block", "request.operation == \"verify.check\" && number.country == \"GB\"")
        .await;
    let checked = gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200);
    assert_eq!(checked["status"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_at_most_two_hundred_rules_and_they_survive_a_restart() {
    let gateway = Gateway::without_detection().await;
    for n in 0..200 {
        rule(&gateway, &format!("r{n}"), "block", &format!("client.user == \"u{n}\"")).await;
    }
    let more = json!({"name": "one more", "action": "block", "when": "true"});
    let full = gateway.admin("POST", "/admin/v1/rules", Some(more)).await.expect(409);
    assert!(full["detail"].as_str().unwrap().contains("200 rules"), "{full}");
    let gateway = gateway.restart().await;
    let blocked = decide(&gateway, "+6591234567", json!({"client": {"user_id": "u199"}})).await;
    assert_eq!(reasons(&blocked), [("rule-block".to_owned(), "r199".to_owned(), true)]);
}

#[test]
fn the_generated_page_of_attributes_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/attributes.md");
    let page = seawall_core::rule::reference::page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let tracked = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        tracked == page,
        "docs/attributes.md is out of date: UPDATE_DOCS=1 cargo test -p seawall --test it generated"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_saw_of_the_client_is_an_attribute() {
    let gateway = Gateway::without_detection().await;
    rule(&gateway, "tls", "block", "client.ja4.startsWith(\"t13d1516\")").await;
    rule(&gateway, "bots", "block", "client.headers[\"x-bot-score\"] == \"99\"").await;
    let of = |client: Value| json!({"client": client});
    let ja4 = "t13d1516h2_8daaf6152771_02713d6af862";
    let said = decide(&gateway, "+6591234567", of(json!({"ja4": ja4}))).await;
    assert_eq!(reasons(&said), [("rule-block".to_owned(), "tls".to_owned(), true)]);
    let said = decide(&gateway, "+6591234567", of(json!({"headers": {"x-bot-score": "99"}}))).await;
    assert_eq!(reasons(&said), [("rule-block".to_owned(), "bots".to_owned(), true)]);
    let other = json!({"ja4": "t12i0907h1_aaaaaaaaaaaa_bbbbbbbbbbbb", "headers": {"x-bot-score": "1"}});
    assert_eq!(decide(&gateway, "+6591234567", of(other)).await["verdict"], "allow");
    // The other dialect has no field for it, so it is a header.
    let path = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let body = json!({"destination": "6591234567", "text": "hi"});
    let refused = gateway.api_with("POST", &path, Some(body.clone()), &[("seawall-ja4", ja4)]).await;
    assert_eq!(refused.expect(200)["status"]["code"], "REJECTED");
    assert_eq!(gateway.api("POST", &path, Some(body)).await.expect(200)["status"]["code"], "QUEUED");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_page_that_explains_them() {
    let gateway = Gateway::without_detection().await;
    let body = json!({"name": "a", "action": "block", "when": "number.contry == \"SG\""});
    let wrong = gateway.admin("POST", "/admin/v1/rules", Some(body)).await.expect(400);
    assert_eq!(wrong["documentation"], "/docs/attributes", "{wrong}");
    rule(&gateway, "all", "block", "true").await;
    let send = json!({"to": "+6591234567", "text": "hi"});
    let refused = gateway.api("POST", "/v1/messages", Some(send)).await.expect(403);
    assert_eq!(refused["type"], "/docs/reasons#rule-block");
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let eight = gateway.api("POST", &path, Some(json!({"destination": "+6591234567"}))).await;
    assert_eq!(eight.headers["link"], "</docs/reasons#rule-block>; rel=\"help\"");
    let eight = gateway.api("POST", &path, Some(json!({"destination": 7}))).await;
    assert_eq!((eight.status, eight.headers["link"].as_str()), (400, "</docs/8x8>; rel=\"help\""));
    for (page, anchor) in
        [("reasons", "## rule-block"), ("attributes", "number.country"), ("configuration", "## ")]
    {
        let page = gateway.raw("GET", &format!("/docs/{page}"), None, None, &[]).await;
        assert!(page.status == 200 && page.text.contains(anchor), "{anchor}");
    }
}
