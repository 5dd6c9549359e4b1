//! Verification v2 of the 8x8 dialect, from code to final state, by the sandbox clock.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

async fn start(gateway: &Gateway, body: Value) -> Answer {
    gateway.api("POST", &format!("/api/v2/subaccounts/{}/sessions", gateway.sub()), Some(body)).await
}

async fn check(gateway: &Gateway, id: &str, code: Option<&str>) -> Answer {
    let query = code.map(|c| format!("?code={c}")).unwrap_or_default();
    gateway.api("GET", &format!("/api/v2/subaccounts/{}/sessions/{id}{query}", gateway.sub()), None).await
}

fn id(session: &Value) -> String {
    session["sessionId"].as_str().unwrap().to_owned()
}

fn wrong(code: &str) -> &'static str {
    if code == "0000" { "1111" } else { "0000" }
}

fn millis(value: &Value) -> i64 {
    seawall_core::time::Timestamp::parse(value.as_str().unwrap()).unwrap().as_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_and_verified() {
    let gateway = Gateway::new().await;
    let answer = start(&gateway, json!({"destination": "+65 (9123) 4567"})).await;
    assert!(answer.headers["seawall-decision-id"].starts_with("dec_"));
    let session = answer.expect(200);
    let id = id(&session);
    assert_eq!(
        (id.len(), session["status"].as_str(), session["attempt"].as_u64()),
        (32, Some("WAITING"), Some(0))
    );
    assert_eq!(session["destination"], TO);
    assert_eq!(session["verifyUri"], format!("/api/v2/subaccounts/{}/sessions/{id}", gateway.sub()));
    // The later of the interval (10 s) and the first back-off delay (20 s).
    assert_eq!(millis(&session["expiresAt"]) - millis(&session["retryAfter"]), 280_000);
    let message = &gateway.phone(TO, 1).await[0];
    let code = gateway.code(TO, 1).await;
    assert_eq!(message["text"], format!("Your verification code is {code}"));
    assert_eq!(code.len(), 4);

    let wrong = check(&gateway, &id, Some(wrong(&code))).await.expect(200);
    assert_eq!((wrong["status"].as_str(), wrong["attempt"].as_u64()), (Some("WAITING"), Some(1)));
    let looked = check(&gateway, &id, None).await;
    assert_eq!(looked.headers["cache-control"], "no-store");
    assert_eq!(looked.expect(200)["attempt"], 1);
    let dashed = format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]);
    assert_eq!(check(&gateway, &dashed, Some(&code)).await.expect(200)["status"], "VERIFIED");
    assert_eq!(
        check(&gateway, &id, Some("9999")).await.expect(200)["status"],
        "VERIFIED",
        "final stays final"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifth_wrong_code_fails_and_time_expires() {
    let gateway = Gateway::new().await;
    let failing = id(&start(&gateway, json!({"destination": TO})).await.expect(200));
    let code = gateway.code(TO, 1).await;
    for n in 1..=5 {
        let session = check(&gateway, &failing, Some(wrong(&code))).await.expect(200);
        assert_eq!(session["status"], if n == 5 { "FAILED" } else { "WAITING" });
    }
    assert_eq!(check(&gateway, &failing, Some(&code)).await.expect(200)["status"], "FAILED");

    let other = "+6598765432";
    let expiring = id(&start(&gateway, json!({"destination": other, "codeValidity": 30})).await.expect(200));
    let code = gateway.code(other, 1).await;
    gateway.advance("30s").await;
    assert_eq!(check(&gateway, &expiring, Some(&code)).await.expect(200)["status"], "EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_wrong_codes_close_the_number() {
    let gateway = Gateway::new().await;
    for round in 0..2 {
        let session = id(&start(&gateway, json!({"destination": TO})).await.expect(200));
        let code = gateway.code(TO, round + 1).await;
        for _ in 0..5 {
            check(&gateway, &session, Some(wrong(&code))).await.expect(200);
        }
        gateway.advance("60s").await;
    }
    let session = id(&start(&gateway, json!({"destination": TO})).await.expect(200));
    let code = gateway.code(TO, 3).await;
    let refused = check(&gateway, &session, Some(&code)).await;
    let wait: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((3400..=3600).contains(&wait), "{wait}");
    assert_eq!(refused.expect(429)["code"], 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_keeps_the_code_and_a_reset_does_not() {
    let gateway = Gateway::new().await;
    let ask = json!({"destination": TO, "codeLength": 8, "codeValidity": 600});
    let first = start(&gateway, ask.clone()).await.expect(200);
    let code = gateway.code(TO, 1).await;
    let early = start(&gateway, ask.clone()).await;
    let wait: u64 = early.headers["retry-after"].parse().unwrap();
    assert!((18..=20).contains(&wait), "{wait}");
    assert!(early.headers.contains_key("seawall-decision-id"));
    assert_eq!(early.expect(403)["code"], 1400);

    gateway.advance("20s").await;
    let again = start(&gateway, ask.clone()).await.expect(200);
    assert_eq!(id(&again), id(&first));
    assert!(millis(&again["expiresAt"]) - millis(&first["expiresAt"]) >= 20_000, "validity is extended");
    assert_eq!(gateway.code(TO, 2).await, code);
    check(&gateway, &id(&first), Some("00000000")).await.expect(200);

    gateway.advance("45s").await;
    let mut reset = ask;
    reset["resetSession"] = json!(true);
    let anew = start(&gateway, reset).await.expect(200);
    assert_eq!((id(&anew), anew["attempt"].as_u64()), (id(&first), Some(0)));
    let new_code = gateway.code(TO, 3).await;
    assert_ne!(new_code, code);
    assert_eq!(check(&gateway, &id(&first), Some(&code)).await.expect(200)["status"], "WAITING");
    assert_eq!(check(&gateway, &id(&first), Some(&new_code)).await.expect(200)["status"], "VERIFIED");
    // A success ends the back-off, and a final session is not continued.
    gateway.advance("10s").await;
    assert_ne!(id(&start(&gateway, json!({"destination": TO})).await.expect(200)), id(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_type_brand_template_and_a_call() {
    let gateway = Gateway::new().await;
    let kinds = [
        ("NUMERIC", 6, "0123456789"),
        ("NUMERIC_WITH_DASH", 7, "0123456789-"),
        ("ALPHANUMERIC", 10, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        ("ALPHANUMERIC_CAPITALS", 10, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("ALPHANUMERIC_EASY", 10, "0123456789ABCDEFGHJKLMNPRTUVWXY"),
    ];
    for (n, (kind, length, alphabet)) in kinds.into_iter().enumerate() {
        let to = format!("+659123450{n}");
        let body = json!({"destination": to, "codeType": kind, "codeLength": length, "template": "{code}"});
        let session = id(&start(&gateway, body).await.expect(200));
        let code = gateway.phone(&to, 1).await[0]["text"].as_str().unwrap().to_owned();
        assert_eq!(code.len(), length, "{kind}");
        assert!(code.chars().all(|c| alphabet.contains(c)), "{kind}");
        assert_eq!(check(&gateway, &session, Some(&code)).await.expect(200)["status"], "VERIFIED", "{kind}");
    }
    let branded = json!({"destination": "91234590", "country": "SG", "brand": "ABC", "channel": "call",
        "language": "en-GB", "call": {"source": "+6560000000", "speed": 0.5, "repetition": 3, "voiceProfile": "en-GB-Amy"}});
    start(&gateway, branded).await.expect(200);
    let call = &gateway.phone("+6591234590", 1).await[0];
    assert_eq!(call["channel"], "call");
    assert!(call["text"].as_str().unwrap().contains("ABC: Your verification code is"), "{call}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_templates_are_found_by_key_channel_and_language() {
    let gateway = Gateway::new().await;
    for template in [
        json!({"name": "login", "text": "Log in with {code}", "language": "en-US"}),
        json!({"name": "house", "text": "House: {code}", "default": true}),
    ] {
        gateway.admin("POST", "/admin/v1/templates", Some(template)).await.expect(201);
    }
    let text = async |to: &str, body: Value| {
        start(&gateway, body).await.expect(200);
        gateway.phone(to, 1).await[0]["text"].as_str().unwrap().to_owned()
    };
    let login = json!({"destination": "+6591230001", "templateKey": "login", "language": "en-US"});
    assert!(text("+6591230001", login).await.starts_with("Log in with "));
    assert!(text("+6591230002", json!({"destination": "+6591230002"})).await.starts_with("House: "));
    let other = json!({"destination": "+6591230003", "templateKey": "login", "language": "de-DE"});
    assert_eq!(start(&gateway, other).await.expect(400)["code"], 1007);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_before_what_and_others_sessions_do_not_exist() {
    let gateway = Gateway::new().await;
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    for token in [None, Some("sw_live_nonsense")] {
        let refused = gateway.raw("POST", &path, token, Some("{"), &[]).await;
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
        let body = refused.expect(401);
        assert_eq!(body["code"], 1200);
        assert!(body["errorId"].as_str().unwrap().len() == 36 && body["timestamp"].is_string());
    }
    let foreign = gateway.api("POST", "/api/v2/subaccounts/nobody/sessions", Some(json!({}))).await;
    assert_eq!(foreign.expect(400)["code"], 1001);
    for unknown in ["0".repeat(32), "junk".to_owned(), "00000000-0000-0000-0000-000000000000".to_owned()] {
        assert_eq!(check(&gateway, &unknown, None).await.expect(404)["code"], 1404);
        assert_eq!(check(&gateway, &unknown, Some("1234")).await.expect(404)["code"], 1404);
    }
    let blocked = json!({"cidr": "203.0.113.0/24"});
    gateway.admin("POST", "/admin/v1/ip-allowlist", Some(blocked)).await.expect(201);
    assert_eq!(start(&gateway, json!({"destination": TO})).await.expect(403)["code"], 1201);
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_says_no_in_the_words_of_the_dialect() {
    let gateway = Gateway::with(&[("SEAWALL_VERIFICATION__MIN_CODE_LENGTH", "6")]).await;
    assert_eq!(start(&gateway, json!({"destination": TO, "codeLength": 4})).await.expect(400)["code"], 1010);
    start(&gateway, json!({"destination": TO})).await.expect(200);
    assert_eq!(gateway.code(TO, 1).await.len(), 6);

    let limit = json!({"name": "one", "per": "client_ip", "applies_to": ["verify.start"], "quota": 1, "window": "30m"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    let from = |to: &str| json!({"destination": to, "clientIP": "198.51.100.7"});
    start(&gateway, from("+6591110001")).await.expect(200);
    let full = start(&gateway, from("+6591110002")).await;
    assert!(full.headers["retry-after"].parse::<u64>().unwrap() > 1700);
    assert!(full.headers.contains_key("seawall-decision-id"));
    assert_eq!(full.expect(429)["code"], 429);

    let sub = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let policy = json!({"country_policy": {"countries": {"MY": "off"}}, "require_client_ip": true});
    gateway.admin("PATCH", &sub, Some(policy)).await.expect(200);
    let missing = start(&gateway, json!({"destination": "+6591110003"})).await;
    assert_eq!(missing.expect(400)["code"], 1012);
    let off = start(&gateway, json!({"destination": "+60123456789", "clientIp": "198.51.100.8"})).await;
    assert!(off.headers.contains_key("seawall-decision-id"));
    assert_eq!(off.expect(403)["code"], 1201);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_done_once() {
    let gateway = Gateway::new().await;
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let key = [("idempotency-key", "order-17")];
    let ask = |to: &str| Some(json!({"destination": to}));
    let first = gateway.api_with("POST", &path, ask(TO), &key).await;
    let again = gateway.api_with("POST", &path, ask(TO), &key).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(gateway.api_with("POST", &path, ask("+6598765432"), &key).await.expect(422)["code"], 1000);
    let bad = gateway.api_with("POST", &path, ask(TO), &[("idempotency-key", "")]).await;
    assert_eq!(bad.expect(400)["code"], 1000);
    assert_eq!(gateway.phone(TO, 1).await.len(), 1);
}
