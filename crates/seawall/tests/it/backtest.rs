//! `/admin/v1/rules/backtest`: a draft over recorded traffic, and whether it keeps what it promises.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway, seawall};

const DRAFT: &str =
    "number.country == \"UZ\" && ip_in(client.ip, \"198.51.100.0/24\") && request.purpose != \"reset\"";
const REQUESTS: usize = 500;

/// Traffic that can be had again: the n-th request differs between rounds only in the number's last digits.
fn request(round: usize, n: usize) -> (&'static str, Value) {
    let (country, operation) = (n % 5, n % 3);
    let to = if country < 2 {
        format!("+99893412{:04}", round * 600 + n)
    } else {
        format!("+6591{:06}", round * 600 + n)
    };
    let ip = if n.is_multiple_of(7) { "203.0.113.9".to_owned() } else { format!("198.51.100.{}", n % 200) };
    let client = if n.is_multiple_of(11) { json!({}) } else { json!({"ip": ip}) };
    let purpose = if n.is_multiple_of(13) { "reset" } else { "signup" };
    match operation {
        0 => ("/v1/messages", json!({"to": to, "text": "hello", "client": client, "purpose": purpose})),
        _ => ("/v1/verifications", json!({"to": to, "client": client, "purpose": purpose})),
    }
}

/// What the draft should match, written down a second time.
fn is_meant(n: usize) -> bool {
    n % 5 < 2 && !n.is_multiple_of(7) && !n.is_multiple_of(11) && !n.is_multiple_of(13)
}

async fn traffic(gateway: &Gateway, round: usize) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(REQUESTS);
    for n in 0..REQUESTS {
        let (path, body) = request(round, n);
        answers.push(gateway.api("POST", path, Some(body)).await);
        if n.is_multiple_of(50) {
            // Looking writes what came together: more than a hundred refusals at once would be sampled.
            gateway.admin("GET", "/admin/v1/decisions?limit=1", None).await.expect(200);
        }
    }
    answers
}

/// A gateway that stops nothing but what the test sets up.
async fn quiet() -> Gateway {
    let gateway = Gateway::new().await;
    let limits = gateway.admin("GET", "/admin/v1/limits?limit=200", None).await.expect(200);
    for limit in limits["data"].as_array().unwrap() {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    for (country, amount) in [("UZ", 141_100), ("SG", 31_200)] {
        let price = json!({"country": country, "amount": amount, "currency": "USD"});
        gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    }
    gateway
}

async fn backtest(gateway: &Gateway, body: Value) -> Value {
    gateway.admin("POST", "/admin/v1/rules/backtest", Some(body)).await.expect(200)
}

async fn count(gateway: &Gateway, query: &str) -> usize {
    let (mut found, mut next) = (0, String::new());
    loop {
        let path = format!("/admin/v1/decisions?{query}&limit=200{next}");
        let page = gateway.admin("GET", &path, None).await.expect(200);
        found += page["data"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return found,
        }
    }
}

async fn verify(gateway: &Gateway, to: &str, begun: &Value) {
    let code = gateway.code(to, 1).await;
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    assert_eq!(
        gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200)["status"],
        "verified"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_does_what_its_back_test_said() {
    let gateway = quiet().await;
    // Something else stops some of it, so that there is an "already".
    let other = json!({"name": "other", "action": "block", "when": "number.country == \"UZ\" && client.ip in [\"198.51.100.1\", \"198.51.100.2\"]"});
    gateway.admin("POST", "/admin/v1/rules", Some(other)).await.expect(201);
    let begun = gateway.admin("GET", "/admin/v1/stats/overview", None).await.expect(200)["at"].clone();
    let answers = traffic(&gateway, 0).await;
    let meant: Vec<usize> = (0..REQUESTS).filter(|n| is_meant(*n)).collect();
    let (mut stopped, mut verified) = (0, Vec::new());
    for n in &meant {
        let (path, body) = request(0, *n);
        match answers[*n].status {
            403 => stopped += 1,
            201 if path == "/v1/verifications" && verified.len() < 3 => {
                verify(&gateway, body["to"].as_str().unwrap(), &answers[*n].json()).await;
                verified.push(format!("{}xxxx", &body["to"].as_str().unwrap()[..9]));
            }
            201 => {}
            other => panic!("{other}: {}", answers[*n].text),
        }
    }
    assert!(stopped > 0 && meant.len() > 100);

    let draft = json!({"action": "block", "when": DRAFT, "name": "draft", "since": "14d"});
    let predicted = backtest(&gateway, draft.clone()).await;
    let all = meant.len();
    assert_eq!((&predicted["requests"], &predicted["matched"]), (&json!(REQUESTS), &json!(all)));
    assert_eq!(predicted["would_have_blocked"], all);
    assert_eq!(predicted["already_stopped_by_others"], stopped);
    assert_eq!(predicted["changed"], all - stopped);
    assert_eq!(predicted["later_verified"], 3);
    assert_eq!(predicted["avoided"], json!({"amount": 141_100 * (all - stopped), "currency": "USD"}));
    assert_eq!((&predicted["unpriced"], &predicted["sampled_note"]), (&json!(0), &json!(null)));
    let without_ip = (0..REQUESTS).filter(|n| n % 5 < 2 && n.is_multiple_of(11)).count();
    assert_eq!(predicted["missing"], json!({"client.ip": without_ip}));
    let dollars = f64::from(u32::try_from(141_100 * (all - stopped)).unwrap()) / 1e6;
    let share = f64::from(u32::try_from(all).unwrap()) / 5.0;
    assert_eq!(
        predicted["sentence"],
        format!(
            "would have blocked {all} of 500 requests ({share:.1} %); 3 later verified; {stopped} already blocked by \
             others; ${dollars:.2} avoided"
        )
    );
    let examples = predicted["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 20);
    assert!(examples[..3].iter().all(|e| e["later_verified"] == true && e["with_rule"] == "block"));
    assert!(examples[3..].iter().all(|e| e["later_verified"] == false));
    assert!(examples.iter().all(|e| e["to"] == "+99893412xxxx"), "masked: {examples:?}");
    let path = format!("/admin/v1/decisions/{}", examples[0]["decision_id"].as_str().unwrap());
    assert_eq!(gateway.admin("GET", &path, None).await.expect(200)["verdict"], "allow");

    // In shadow it changes nothing, and matches what was said.
    let rule = json!({"name": "draft", "action": "block", "when": DRAFT, "mode": "shadow"});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
    let shadowed = traffic(&gateway, 1).await;
    let statuses = |answers: &[Answer]| answers.iter().map(|a| a.status).collect::<Vec<_>>();
    assert_eq!(statuses(&shadowed), statuses(&answers));
    let seen = gateway.admin("GET", "/admin/v1/rules/draft", None).await.expect(200);
    assert_eq!((&seen["matched"], &seen["enforced"]), (&json!(all), &json!(0)));
    assert_eq!(seen["missing"], json!({"client.ip": without_ip}));
    let from = begun.as_str().unwrap();
    let again =
        backtest(&gateway, json!({"action": "block", "when": DRAFT, "name": "draft", "from": from})).await;
    assert_eq!(again["matched"], 2 * all, "both rounds");
    assert_eq!(again["already_stopped_by_others"], 2 * stopped, "its own shadow is no other");

    // Enforced, it refuses exactly what was predicted.
    gateway.admin("PATCH", "/admin/v1/rules/draft", Some(json!({"mode": "enforce"}))).await.expect(200);
    let enforced = traffic(&gateway, 2).await;
    for (n, answer) in enforced.iter().enumerate() {
        let expected = if is_meant(n) { 403 } else { answers[n].status };
        assert_eq!(answer.status, expected, "{n}: {}", answer.text);
    }
    assert_eq!(gateway.admin("GET", "/admin/v1/rules/draft", None).await.expect(200)["enforced"], all);
    let refused = count(&gateway, "reason=rule-block&verdict=block").await;
    let by_other = answers.iter().filter(|a| a.status == 403).count();
    assert_eq!(refused, 2 * by_other + all + (by_other - stopped));
    let after = backtest(&gateway, json!({"when": DRAFT, "name": "draft", "since": "1d"})).await;
    assert_eq!(
        (&after["matched"], &after["already_stopped_by_others"]),
        (&json!(3 * all), &json!(3 * stopped))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowing_draft_says_whom_it_would_have_let_through() {
    let gateway = quiet().await;
    let rule = json!({"name": "block", "action": "block", "when": "number.country == \"SG\""});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
    let off = json!({"country_policy": {"countries": {"GB": "off"}}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{}", gateway.sub()), Some(off)).await.expect(200);
    for to in ["+6591234567", "+447400123456", "+998934121234"] {
        gateway
            .api("POST", "/v1/messages", Some(json!({"to": to, "text": "x", "client": {"user_id": "u"}})))
            .await;
    }
    let report = backtest(&gateway, json!({"action": "allow", "when": "client.user == \"u\""})).await;
    assert_eq!(
        (&report["matched"], &report["would_have_allowed"], &report["sentence"]),
        (&json!(3), &json!(1), &json!("would have allowed 1 of 3 requests (33.3 %)")),
        "only what rules stopped: country policy stands"
    );
    assert!(report.get("would_have_blocked").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_recorded_is_said() {
    let gateway = quiet().await;
    for n in 0..3 {
        let body = json!({"to": format!("+659123456{n}"), "text": "x", "client": {"ip": "198.51.100.7"}});
        gateway.api("POST", "/v1/messages", Some(body)).await.expect(201);
    }
    let report = backtest(&gateway, json!({"when": "evidence.risk > 10", "action": "throttle"})).await;
    assert_eq!((&report["matched"], &report["not_recorded"]), (&json!(0), &json!({"evidence.risk": 3})));
    let note = report["sampled_note"].as_str().unwrap();
    assert!(note.starts_with("`evidence.risk` was not recorded for up to 3 of the requests"), "{note}");
    assert_eq!(report["would_have_throttled"], 0);
    let dry = json!({"to": "+6591234567", "purpose": "x", "dry_run": true});
    gateway.api("POST", "/v1/decisions", Some(dry)).await.expect(200);
    let report = backtest(&gateway, json!({"when": "true"})).await;
    assert_eq!(
        (&report["requests"], &report["dry_runs"], &report["unpriced"]),
        (&json!(3), &json!(1), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_counted_by_its_samples() {
    let gateway = quiet().await;
    let rule = json!({"name": "all", "action": "block", "when": "true"});
    gateway.admin("POST", "/admin/v1/rules", Some(rule)).await.expect(201);
    let messages: Vec<Value> =
        (0..150).map(|n| json!({"to": format!("+65912{n:05}"), "text": "x"})).collect();
    gateway.api("POST", "/v1/messages/batch", Some(json!({"messages": messages}))).await;
    let report = backtest(&gateway, json!({"when": "number.country == \"SG\""})).await;
    assert_eq!((&report["requests"], &report["matched"]), (&json!(150), &json!(150)), "{report}");
    let aggregated = &report["aggregated"];
    assert!(aggregated["samples"].as_u64().unwrap() >= 1, "{report}");
    assert!(report["sampled_note"].as_str().unwrap().contains("estimates"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_come_as_csv_and_drafts_are_checked() {
    let gateway = quiet().await;
    let body = json!({"to": "+6591234567", "text": "x", "purpose": "=cmd"});
    gateway.api("POST", "/v1/messages", Some(body)).await.expect(201);
    let draft = json!({"when": "request.purpose.startsWith(\"=\")"}).to_string();
    let accept = [("accept", "text/csv")];
    let token = Some(gateway.first.admin_token.as_str());
    let file = gateway.raw("POST", "/admin/v1/rules/backtest", token, Some(&draft), &accept).await;
    assert_eq!(file.headers["content-type"], "text/csv; charset=utf-8");
    let lines: Vec<&str> = file.text.lines().collect();
    assert!(lines[0].starts_with("decision_id,at,operation"), "{}", file.text);
    assert!(lines[1].contains(",659123xxxx,SG,,allow,block,false,31200,USD,"), "{}", lines[1]);
    assert_eq!(lines.len(), 2);
    for (body, field) in [
        (json!({"when": "number.contry == 1"}), "when"),
        (json!({"when": "true", "since": "soon"}), "since"),
        (json!({"when": "true", "since": "1d", "from": "2026-01-01T00:00:00Z"}), "since"),
        (json!({"when": "true", "from": "2099-01-01T00:00:00Z"}), "from"),
        (json!({"when": "true", "examples": 1000}), "examples"),
        (json!({"when": "true", "subaccount_id": "nobody"}), "subaccount_id"),
        (json!({"when": "true", "colour": 1}), "colour"),
    ] {
        let problem = gateway.admin("POST", "/admin/v1/rules/backtest", Some(body)).await.expect(400);
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_in_a_file_is_tested_and_a_rule_is_made_from_a_shell() {
    let gateway = quiet().await;
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "x"}))).await.expect(201);
    let file = gateway.dir.path().join("draft.toml");
    std::fs::write(&file, "action = \"block\"\nwhen = 'number.country == \"SG\"'\n").unwrap();
    let file = file.to_str().unwrap();
    let (said, _, code) = seawall(&gateway, &["backtest", "--rule", file, "--since", "1d"]).await;
    let sentence = "would have blocked 1 of 1 requests (100.0 %); 0 later verified; 0 already blocked by others; $0.03 avoided";
    assert_eq!((said.lines().next(), code), (Some(sentence), Some(0)), "{said}");
    let (said, _, _) = seawall(&gateway, &["backtest", "--rule", file, "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["would_have_blocked"], 1);
    let (said, _, _) = seawall(&gateway, &["backtest", "--rule", file, "--csv"]).await;
    assert_eq!(said.lines().count(), 2, "{said}");
    std::fs::write(file, "number.contry == \"SG\"").unwrap();
    let (_, error, code) = seawall(&gateway, &["backtest", "--rule", file]).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("did you mean `number.country`?"), "{error}");

    let when = "number.country == \"SG\"";
    let made = ["rule", "create", "--name", "sg", "--action", "block", "--when", when, "--shadow"];
    assert_eq!(seawall(&gateway, &made).await.0, "Rule sg is recorded, and changes nothing.\n");
    assert_eq!(seawall(&gateway, &["rule", "enforce", "sg"]).await.0, "Rule sg is in force.\n");
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234568", "text": "x"}))).await.expect(403);
    let (listed, _, _) = seawall(&gateway, &["rule", "list"]).await;
    assert!(listed.lines().nth(1).unwrap().starts_with("sg    block   enforce  1        1"), "{listed}");
    assert_eq!(seawall(&gateway, &["rule", "delete", "sg"]).await.2, Some(0));
}
