//! How the native API says no. Every body is a snapshot, so that a change of one is seen.

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

/// Status, headers that matter and body, with what differs from run to run left out.
fn shown(answer: &Answer) -> Value {
    let kept = ["content-type", "retry-after", "www-authenticate", "allow", "cache-control"];
    let kept =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), answer.headers.get(*name)?.as_str().into())));
    let mut headers = Value::Object(kept.collect());
    if headers.get("retry-after").is_some() {
        headers["retry-after"] = json!("[seconds]");
    }
    let mut body = answer.json();
    redact(&mut body);
    json!({"status": answer.status, "headers": headers, "body": body})
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(redact),
        Value::Object(all) => all.iter_mut().for_each(|(name, value)| match (name.as_str(), &*value) {
            ("retry_after", Value::Number(_)) => *value = json!("[seconds]"),
            ("detail", Value::String(text)) => *value = json!(without_times(text)),
            _ => redact(value),
        }),
        Value::String(text) => {
            let prefixes = ["dec_", "ver_", "msg_", "bat_", "req_", "urn:seawall:request:"];
            if let Some(prefix) = prefixes.iter().find(|p| text.starts_with(**p)) {
                *value = json!(format!("{prefix}[id]"));
            }
        }
        _ => {}
    }
}

/// A sentence without its RFC 3339 times and its seconds.
fn without_times(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let is_time = |word: &str| word.contains('T') && word.chars().filter(char::is_ascii_digit).count() >= 14;
    let is_wait =
        |at: usize| words.get(at + 1).is_some_and(|unit| unit.trim_end_matches(['.', ';', ',']) == "s");
    let shown = words.iter().enumerate().map(|(at, word)| match word {
        word if is_time(word) => "[time]",
        word if is_wait(at) && word.parse::<u32>().is_ok() => "[seconds]",
        word => word,
    });
    shown.collect::<Vec<_>>().join(" ")
}

async fn post(gateway: &Gateway, path: &str, body: Value) -> Answer {
    gateway.api("POST", path, Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_decision() {
    let gateway = Gateway::new().await;
    let raw = async |token: Option<&str>, body: &str, headers: &[(&str, &str)]| {
        shown(&gateway.raw("POST", "/v1/messages", token, Some(body), headers).await)
    };
    let key = gateway.first.api_key.as_str();
    let unknown = format!("/v1/messages/msg_{}", "0".repeat(26));
    let nobody = gateway.raw("POST", "/v1/messages", None, Some("{}"), &[]).await;
    assert_eq!(nobody.status, 401, "who comes before what");
    insta::assert_json_snapshot!("no_key", shown(&nobody));
    insta::assert_json_snapshot!("wrong_key", raw(Some("sw_live_nobody"), "{}", &[]).await);
    insta::assert_json_snapshot!("not_json", raw(Some(key), "{", &[]).await);
    insta::assert_json_snapshot!("no_json", raw(Some(key), "to=1", &[("content-type", "text/plain")]).await);
    insta::assert_json_snapshot!(
        "unknown_field",
        raw(Some(key), r#"{"to":"+6591234567","text":"x","clientIp":"1.2.3.4"}"#, &[]).await
    );
    insta::assert_json_snapshot!(
        "bad_idempotency_key",
        raw(Some(key), r#"{"to":"+6591234567","text":"x"}"#, &[("idempotency-key", "\u{e4}")]).await
    );
    insta::assert_json_snapshot!("unknown_message", shown(&gateway.api("GET", &unknown, None).await));
    insta::assert_json_snapshot!("wrong_method", shown(&gateway.api("PUT", "/v1/messages", None).await));
    insta::assert_json_snapshot!("no_such_path", shown(&gateway.api("GET", "/v1/nowhere", None).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_do_not_fit() {
    let gateway = Gateway::new().await;
    let cases = [
        ("client_ip", json!({"to": TO, "client": {"ip": "203.0.113.7:443"}})),
        ("client_ip_of_nobody", json!({"to": TO, "client": {"ip": "255.255.255.255"}})),
        ("number", json!({"to": "12"})),
        ("national_number", json!({"to": "91234567", "country": "Singapore"})),
        ("code_length", json!({"to": TO, "code_length": 3})),
        ("ttl", json!({"to": TO, "ttl": "300"})),
        ("template", json!({"to": TO, "template": "hello"})),
        ("template_key", json!({"to": TO, "template_key": "none"})),
        ("source", json!({"to": TO, "source": "much too long a name"})),
        ("callback_url", json!({"to": TO, "callback_url": "javascript:alert(1)"})),
        ("channel", json!({"to": TO, "channel": "pigeon"})),
        ("nested_unknown_field", json!({"to": TO, "client": {"ipp": "1.2.3.4"}})),
    ];
    for (name, body) in cases {
        let answer = post(&gateway, "/v1/verifications", body).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        insta::assert_json_snapshot!(format!("field_{name}"), shown(&answer)["body"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn decided_against() {
    let gateway = Gateway::new().await;
    let premium = post(&gateway, "/v1/verifications", json!({"to": "+19005550123"})).await;
    assert!(premium.headers["seawall-decision-id"].starts_with("dec_"));
    insta::assert_json_snapshot!("number_type_refused", shown(&premium));
    post(&gateway, "/v1/verifications", json!({"to": TO})).await.expect(201);
    insta::assert_json_snapshot!(
        "resend_too_early",
        shown(&post(&gateway, "/v1/verifications", json!({"to": TO})).await)
    );
    gateway.advance("11s").await;
    insta::assert_json_snapshot!(
        "back_off",
        shown(&post(&gateway, "/v1/verifications", json!({"to": TO})).await)
    );
    for _ in 0..10 {
        post(&gateway, "/v1/messages", json!({"to": "+6598765432", "text": "x"})).await.expect(201);
    }
    let full = post(&gateway, "/v1/messages", json!({"to": "+6598765432", "text": "x"})).await;
    insta::assert_json_snapshot!("limit_exceeded", shown(&full));
    let off = json!({"country_policy": {"countries": {"SG": "off"}}});
    gateway.admin("PATCH", &format!("/admin/v1/subaccounts/{}", gateway.sub()), Some(off)).await.expect(200);
    insta::assert_json_snapshot!(
        "country_off",
        shown(&post(&gateway, "/v1/messages", json!({"to": TO, "text": "x"})).await)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_subaccount_and_one_that_is_not_there_look_alike() {
    let gateway = Gateway::new().await;
    gateway.admin("POST", "/admin/v1/subaccounts", Some(json!({"id": "other_hq"}))).await.expect(201);
    let named = |sub: &str| json!({"to": TO, "text": "x", "subaccount_id": sub});
    let sent = post(&gateway, "/v1/messages", named("other_hq")).await.expect(201);
    insta::assert_json_snapshot!(
        "which_subaccount",
        shown(&post(&gateway, "/v1/messages", json!({"to": TO, "text": "x"})).await)
    );
    let key = json!({"name": "narrow", "subaccounts": [gateway.sub()], "scopes": ["sms"]});
    let key = gateway.admin("POST", "/admin/v1/api-keys", Some(key)).await.expect(201);
    let key = key["key"].as_str().unwrap();
    let with_key = async |method: &str, path: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string());
        gateway.raw(method, path, Some(key), body.as_deref(), &[]).await
    };
    let foreign = with_key("POST", "/v1/messages", Some(named("other_hq"))).await;
    let missing = with_key("POST", "/v1/messages", Some(named("no_such_hq"))).await;
    assert_eq!((foreign.status, shown(&foreign)), (404, shown(&missing)));
    let foreign = with_key("GET", &format!("/v1/messages/{}", sent["id"].as_str().unwrap()), None).await;
    let missing = with_key("GET", &format!("/v1/messages/msg_{}", "0".repeat(26)), None).await;
    assert_eq!((foreign.status, shown(&foreign)), (404, shown(&missing)));
    insta::assert_json_snapshot!(
        "scope_missing",
        shown(&with_key("POST", "/v1/verifications", Some(json!({"to": TO}))).await)
    );
    // The only subaccount of a key need not be named.
    with_key("POST", "/v1/messages", Some(json!({"to": TO, "text": "x"}))).await.expect(201);
    let net = json!({"cidr": "192.0.2.0/24", "subaccount_id": gateway.sub()});
    gateway.admin("POST", "/admin/v1/ip-allowlist", Some(net)).await.expect(201);
    insta::assert_json_snapshot!(
        "ip_not_allowed",
        shown(&with_key("POST", "/v1/messages", Some(named(gateway.sub()))).await)
    );
}
