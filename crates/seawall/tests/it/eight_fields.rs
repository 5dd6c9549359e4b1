//! Every field of the requests of the 8x8 dialect with values that do not fit: the precise code, and
//! nothing changes.

use serde_json::{Value, json};

use crate::common::Gateway;

const TO: &str = "+6591234567";

/// (field, value, code). The rest of the request is fine.
fn session_table() -> Vec<(&'static str, Value, u64)> {
    let long = |n: usize| json!("x".repeat(n));
    vec![
        ("destination", Value::Null, 1002),
        ("destination", json!(""), 1002),
        ("destination", json!(6591234567u64), 1000),
        ("destination", json!("hello"), 1002),
        ("destination", json!("+65"), 1002),
        ("destination", json!("+6591234567;ext=1"), 1002),
        ("destination", json!("+1234567890123456"), 1002),
        ("destination", json!(["+6591234567"]), 1000),
        ("country", json!("SGP"), 1009),
        ("country", json!("1"), 1009),
        ("country", json!(65), 1000),
        ("channel", json!("SMS"), 1000),
        ("channel", json!("fax"), 1000),
        ("channel", json!("whatsapp"), 2003),
        ("channel", json!("viber"), 2003),
        ("channel", json!("sma"), 2003),
        ("channel", json!(1), 1000),
        ("brand", long(31), 1010),
        ("brand", json!("a\nb"), 1010),
        ("brand", json!({}), 1000),
        ("codeLength", json!(2), 1010),
        ("codeLength", json!(3), 1010),
        ("codeLength", json!(11), 1010),
        ("codeLength", json!(-4), 1010),
        ("codeLength", json!("4"), 1000),
        ("codeLength", json!(4.5), 1000),
        ("codeLength", json!(1e30), 1010),
        ("codeValidity", json!(29), 1010),
        ("codeValidity", json!(7201), 1010),
        ("codeValidity", json!(true), 1000),
        ("codeType", json!("HEX"), 1000),
        ("codeType", json!("numeric"), 1000),
        ("codeType", json!(0), 1000),
        ("template", json!(""), 1007),
        ("template", long(1601), 1007),
        ("template", json!("й".repeat(700)), 1007),
        ("template", json!(5), 1000),
        ("templateKey", json!("none"), 1007),
        ("templateKey", json!(5), 1000),
        ("language", json!("en-us"), 1000),
        ("language", json!("xx-XX"), 1000),
        ("language", json!(1), 1000),
        ("resetSession", json!("true"), 1000),
        ("resetSession", json!(1), 1000),
        ("resendingInterval", json!(9), 1010),
        ("resendingInterval", json!(7201), 1010),
        ("resendingInterval", json!("10"), 1000),
        ("callbackUrl", json!("nonsense"), 3020),
        ("callbackUrl", json!("ftp://example.com/"), 3020),
        ("callbackUrl", json!("https://user:pw@example.com/"), 3020),
        ("callbackUrl", json!(1), 1000),
        ("sms", json!("x"), 1000),
        ("sms", json!({"source": "ThisIsTooLong"}), 1005),
        ("sms", json!({"source": "12345678901234567"}), 1005),
        ("sms", json!({"source": ""}), 1005),
        ("sms", json!({"source": "A\r\nB"}), 1005),
        ("sms", json!({"source": 5}), 1000),
        ("sms", json!({"encoding": "GSM8"}), 1003),
        ("sms", json!({"encoding": "auto"}), 1003),
        ("call", json!([]), 1000),
        ("call", json!({"speed": 0.4}), 1010),
        ("call", json!({"speed": 2.1}), 1010),
        ("call", json!({"speed": "1"}), 1000),
        ("call", json!({"repetition": 0}), 1010),
        ("call", json!({"repetition": 4}), 1010),
        ("call", json!({"voiceProfile": "x".repeat(51)}), 1010),
        ("clientIp", json!("1.2.3"), 1012),
        ("clientIp", json!(""), 1012),
        ("clientIp", json!("1.2.3.4, 5.6.7.8"), 1012),
        ("clientIp", json!("0.0.0.0"), 1012),
        ("clientIp", json!("1.2.3.4:80"), 1012),
        ("clientIp", json!(16909060), 1000),
        ("clientIP", json!("nope"), 1012),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions() {
    let gateway = Gateway::new().await;
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    for (field, value, code) in session_table() {
        let mut body = json!({"destination": TO});
        body[field] = value.clone();
        let answer = gateway.api("POST", &path, Some(body)).await;
        assert_eq!(answer.status, 400, "{field} = {value}: {}", answer.text);
        assert_eq!(answer.json()["code"], code, "{field} = {value}: {}", answer.text);
        assert!(!answer.text.contains("91234567"), "no number in an error");
    }
    for (body, code) in [
        (json!({"destination": TO, "clientIp": "1.2.3.4", "clientIP": "1.2.3.5"}), 1012),
        (json!({"destination": TO, "template": "{code}", "templateKey": "x"}), 1007),
        (json!({"destination": "0912345678"}), 1002),
        (json!([]), 1000),
        (json!("x"), 1000),
        (json!(null), 1000),
    ] {
        let answer = gateway.api("POST", &path, Some(body.clone())).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.json()["code"], code, "{body}");
    }
    let key = gateway.first.api_key.as_str();
    for raw in ["", "{", "{\"destination\":\"+6591234567\"} x", "\u{feff}{}", "destination=%2B6591234567"] {
        let answer = gateway.raw("POST", &path, Some(key), Some(raw), &[]).await;
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (400, Some(1000)), "{raw}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = gateway.raw("POST", &path, Some(key), Some("{}"), &form).await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (415, Some(1000)));
    let huge = json!({"destination": TO, "unknown": "x".repeat(70_000)}).to_string();
    let answer = gateway.raw("POST", &path, Some(key), Some(&huge), &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (413, Some(7001)));
    // Nothing of all this was sent, charged, or stands in the way.
    let fine = json!({"destination": TO, "clientIp": "1.2.3.4", "clientIP": "1.2.3.4", "brand": null, "unknown": {"a": 1}});
    gateway.api("POST", &path, Some(fine)).await.expect(200);
    assert_eq!(gateway.phone(TO, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_in_the_query() {
    let gateway = Gateway::new().await;
    let base = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let session = gateway.api("POST", &base, Some(json!({"destination": TO}))).await.expect(200);
    let path = format!("{base}/{}", session["sessionId"].as_str().unwrap());
    for query in ["?code=", "?code=12", "?code=12345678901", "?code=1234&code=1234", "?code=%F0%9F%98%80"] {
        let answer = gateway.api("GET", &format!("{path}{query}"), None).await;
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (400, Some(1000)), "{query}");
    }
    assert_eq!(gateway.api("GET", &path, None).await.expect(200)["attempt"], 0, "none of these was a try");
}

/// (field, value, code, whether a batch rejects only that message)
fn message_table() -> Vec<(&'static str, Value, u64, bool)> {
    vec![
        ("destination", Value::Null, 1002, true),
        ("destination", json!("abc"), 1002, true),
        ("destination", json!("+0123456789"), 1002, true),
        ("destination", json!("+65 9123 4567"), 1002, true),
        ("destination", json!("+1123456789"), 1002, true),
        ("destination", json!(5), 1000, false),
        ("country", json!("QQQ"), 1009, true),
        ("text", Value::Null, 1004, true),
        ("text", json!(""), 1004, true),
        ("text", json!("x".repeat(1531)), 1004, true),
        ("text", json!("й".repeat(671)), 1004, true),
        ("text", json!(["x"]), 1000, false),
        ("source", json!("ThisIsTooLong"), 1005, true),
        ("source", json!("!"), 1005, true),
        ("source", json!(1), 1000, false),
        ("encoding", json!("UTF8"), 1003, true),
        ("clientMessageId", json!("x".repeat(351)), 3009, true),
        ("clientMessageId", json!("a\u{7}b"), 3009, true),
        ("clientMessageId", json!(7), 1000, false),
        ("scheduled", json!("tomorrow"), 1011, true),
        ("scheduled", json!("2020-01-01T00:00:00Z"), 1011, true),
        ("scheduled", json!("2999-01-01T00:00:00Z"), 1011, true),
        ("scheduled", json!(1), 1000, false),
        ("expiry", json!("soon"), 1006, true),
        ("expiry", json!("2020-01-01T00:00:00Z"), 1006, true),
        ("dlrCallbackUrl", json!("example.com"), 3020, true),
        ("clientIp", json!("::g"), 1012, true),
        ("clientIp", json!("255.255.255.255"), 1012, true),
        ("track", json!("outcome"), 1000, true),
        ("track", json!(true), 1000, false),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_alone_and_in_a_batch() {
    let gateway = Gateway::new().await;
    let path = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    for (field, value, code, rejects) in message_table() {
        let mut body = json!({"destination": TO, "text": "hello"});
        body[field] = value.clone();
        let answer = gateway.api("POST", &path, Some(body.clone())).await;
        assert_eq!(answer.status, 400, "{field} = {value}: {}", answer.text);
        assert_eq!(answer.json()["code"], code, "{field} = {value}: {}", answer.text);
        let batch = json!({"messages": [body], "includeMessagesInResponse": true});
        let answer = gateway.api("POST", &format!("{path}/batch"), Some(batch)).await;
        if rejects {
            let answer = answer.expect(200);
            assert_eq!(
                (&answer["acceptedCount"], &answer["rejectedCount"]),
                (&json!(0), &json!(1)),
                "{field} = {value}"
            );
            assert_eq!(answer["messages"][0]["status"]["code"], "REJECTED");
            assert!(answer["messages"][0]["umid"].as_str().unwrap().len() == 36);
        } else {
            assert_eq!(answer.expect(400)["code"], 1000, "{field} = {value}");
        }
    }
    let gsm = json!({"destination": TO, "text": "й", "encoding": "GSM7"});
    assert_eq!(gateway.api("POST", &path, Some(gsm)).await.expect(400)["code"], 1003);
    let data = gateway.admin("GET", "/admin/v1/messages", None).await.expect(200);
    assert_eq!(data["data"].as_array().unwrap().len(), 0, "nothing was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches() {
    let gateway = Gateway::new().await;
    let path = format!("/api/v1/subaccounts/{}/messages/batch", gateway.sub());
    let many = |n: usize| Value::Array(vec![json!(TO); n]);
    let one = json!([{"destination": TO, "text": "x"}]);
    for (body, code) in [
        (json!({}), 3012),
        (json!({"messages": []}), 3012),
        (json!({"destinations": [], "template": {"text": "x"}}), 3012),
        (json!({"messages": {}}), 1000),
        (json!({"messages": ["x"]}), 1000),
        (json!({"destinations": [5], "template": {"text": "x"}}), 1000),
        (json!({"destinations": [TO]}), 1004),
        (json!({"destinations": [TO], "template": {"text": ""}}), 1004),
        (json!({"destinations": many(10_001), "template": {"text": "x"}}), 3013),
        (json!({"messages": one, "clientBatchId": "x".repeat(21)}), 3014),
        (json!({"messages": one, "clientBatchId": 1}), 1000),
        (json!({"messages": one, "includeMessagesInResponse": "yes"}), 1000),
        (json!({"messages": one, "template": []}), 1000),
        (json!({"messages": one, "template": {"source": "ThisIsTooLong"}}), 1005),
        (json!({"messages": one, "template": {"encoding": "x"}}), 1003),
        (json!({"messages": one, "template": {"scheduled": "x"}}), 1011),
        (json!({"messages": one, "template": {"expiry": "x"}}), 1006),
        (json!({"messages": one, "template": {"dlrCallbackUrl": "x"}}), 3020),
        (json!({"messages": one, "clientIp": "x"}), 1012),
        (json!({"messages": one, "clientIp": "1.1.1.1", "clientIP": "1.1.1.2"}), 1012),
    ] {
        let answer = gateway.api("POST", &path, Some(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.json()["code"], code, "{}", answer.text);
    }
    let key = gateway.first.api_key.as_str();
    let huge = "x".repeat(4 * 1024 * 1024 + 1);
    assert_eq!(gateway.raw("POST", &path, Some(key), Some(&huge), &[]).await.expect(413)["code"], 7001);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else() {
    let gateway = Gateway::new().await;
    let sub = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let account = format!("/api/v1/accounts/{}", gateway.first.account_id);
    let unknown = "00000000-0000-0000-0000-000000000000";
    let hook = |changes: Value| {
        let mut hook = json!({"subAccountId": "*", "url": "https://example.com/hook"});
        changes.as_object().unwrap().iter().for_each(|(k, v)| hook[k] = v.clone());
        Some(json!([hook]))
    };
    for (method, path, body, status, code) in [
        ("GET", format!("{sub}/junk"), None, 400, 1000),
        ("DELETE", format!("{sub}/junk"), None, 400, 1000),
        ("DELETE", format!("{sub}/{unknown}"), None, 404, 1300),
        ("DELETE", format!("{sub}/batch/junk"), None, 400, 1000),
        ("POST", format!("{sub}/junk/feedback"), Some(json!({"outcome": "success"})), 400, 1000),
        ("POST", format!("{sub}/{unknown}/feedback"), Some(json!({"outcome": "success"})), 404, 1300),
        ("POST", format!("{sub}/{unknown}/feedback"), Some(json!({})), 400, 1000),
        ("POST", format!("{sub}/{unknown}/feedback"), Some(json!({"outcome": "SUCCESS"})), 400, 1000),
        (
            "POST",
            format!("{sub}/{unknown}/feedback"),
            Some(json!({"outcome": "success", "timestamp": "x"})),
            400,
            1000,
        ),
        ("POST", format!("{sub}/exports"), Some(json!([])), 400, 1000),
        ("POST", format!("{sub}/exports"), Some(json!({"from": "x"})), 400, 1000),
        ("POST", format!("{sub}/exports"), Some(json!({"to": 1})), 400, 1000),
        (
            "POST",
            format!("{sub}/exports"),
            Some(json!({"from": "2026-02-01", "to": "2026-01-01"})),
            400,
            1000,
        ),
        ("POST", format!("{sub}/exports"), Some(json!({"phoneNumber": "x"})), 400, 1002),
        ("POST", format!("{sub}/exports"), Some(json!({"countries": ["Singapore"]})), 400, 1009),
        ("POST", format!("{sub}/exports"), Some(json!({"countries": "SG"})), 400, 1000),
        ("POST", format!("{sub}/exports"), Some(json!({"countries": [1]})), 400, 1000),
        ("POST", format!("{sub}/exports"), Some(json!({"limit": -1})), 400, 1010),
        ("POST", format!("{sub}/exports"), Some(json!({"limit": "1"})), 400, 1000),
        ("GET", format!("{sub}/exports/junk"), None, 404, 4018),
        ("DELETE", format!("{sub}/exports/junk"), None, 404, 4018),
        ("GET", format!("{sub}/download/junk"), None, 404, 4018),
        ("GET", "/api/v1/accounts/nobody/prices".to_owned(), None, 400, 1001),
        ("GET", format!("{account}/prices?country=SGP"), None, 400, 1009),
        ("GET", format!("{account}/prices?mcc=525"), None, 400, 1000),
        ("GET", format!("{account}/prices?mcc=abc&mnc=01"), None, 400, 1000),
        ("GET", format!("{account}/prices?direction=up"), None, 400, 1000),
        ("GET", format!("{account}/prices?subAccountId=nobody"), None, 400, 1001),
        ("GET", format!("{account}/prices?country=SG&country=MY"), None, 400, 1000),
        ("GET", format!("{account}/balance"), None, 403, 1201),
        ("POST", format!("{account}/webhooks"), Some(json!({})), 400, 1000),
        ("POST", format!("{account}/webhooks"), Some(json!([])), 400, 1010),
        ("POST", format!("{account}/webhooks"), Some(json!(["x"])), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"subAccountId": null})), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"subAccountId": "nobody"})), 400, 1001),
        ("POST", format!("{account}/webhooks"), hook(json!({"url": null})), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"url": "x"})), 400, 3020),
        ("POST", format!("{account}/webhooks"), hook(json!({"url": "https://u:p@example.com"})), 400, 3020),
        ("POST", format!("{account}/webhooks"), hook(json!({"enabled": "yes"})), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"type": "XX"})), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"httpAuthorization": "***"})), 400, 1000),
        ("POST", format!("{account}/webhooks"), hook(json!({"httpAuthorization": "a\nb"})), 400, 1000),
        (
            "POST",
            format!("{account}/webhooks"),
            hook(json!({"oauth": {"url": "https://example.com/t"}})),
            400,
            1000,
        ),
        ("DELETE", format!("{account}/webhooks"), Some(json!([{}])), 400, 1000),
        ("DELETE", format!("{account}/webhooks"), Some(json!([{"subAccountId": "nobody"}])), 400, 1001),
    ] {
        let shown = format!("{method} {path} {body:?}");
        let answer = gateway.api(method, &path, body).await;
        assert_eq!(answer.status, status, "{shown}: {}", answer.text);
        assert_eq!(answer.json()["code"], code, "{shown}: {}", answer.text);
    }
    assert_eq!(gateway.api("GET", &format!("{account}/webhooks"), None).await.expect(200), json!([]));
}
