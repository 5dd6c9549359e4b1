//! Webhooks of the 8x8 dialect: who is told, in which words, with which signature, and how often.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::common::Gateway;

const TO: &str = "+6591234567";

async fn receiver(status: u16) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
    server
}

/// Waits for so many requests.
async fn received(server: &MockServer, count: usize) -> Vec<Request> {
    for _ in 0..400 {
        let all = server.received_requests().await.unwrap();
        if all.len() >= count {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("only {} of {count} requests came", server.received_requests().await.unwrap().len());
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn text<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

/// Standard Webhooks, checked from the specification alone.
fn is_signed(request: &Request, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = [text(request, "webhook-id"), ".", text(request, "webhook-timestamp"), "."].concat();
    let signed = [signed.as_bytes(), &request.body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &signed);
    let want = format!("v1,{}", STANDARD.encode(tag.as_ref()));
    text(request, "webhook-signature").split(' ').any(|one| one == want)
}

fn account(gateway: &Gateway) -> String {
    format!("/api/v1/accounts/{}/webhooks", gateway.first.account_id)
}

/// Sets a webhook up and gives its signing secret, which is shown when it is new.
async fn listen(gateway: &Gateway, hook: Value) -> Option<String> {
    let answer = gateway.api("POST", &account(gateway), Some(json!([hook]))).await;
    let secret =
        answer.headers.get("seawall-webhook-secret").map(|s| s.split(' ').nth(1).unwrap().to_owned());
    answer.expect(200);
    secret
}

async fn send(gateway: &Gateway, body: Value) -> Value {
    gateway
        .api("POST", &format!("/api/v1/subaccounts/{}/messages", gateway.sub()), Some(body))
        .await
        .expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_signed_and_says_what_8x8_says() {
    let gateway = Gateway::new().await;
    let server = receiver(200).await;
    let url = format!("{}/hook?token=t", server.uri());
    let secret = listen(&gateway, json!({"subAccountId": "*", "url": url, "httpAuthorization": "Basic abc"}))
        .await
        .unwrap();
    let sent =
        send(&gateway, json!({"destination": TO, "text": "x", "source": "Shop", "clientMessageId": "17"}))
            .await;
    let requests = received(&server, 1).await;
    let last = requests.last().unwrap();
    assert!(is_signed(last, &secret));
    assert_eq!((text(last, "authorization"), text(last, "content-type")), ("Basic abc", "application/json"));
    let receipt = body(last);
    assert_eq!(
        (&receipt["namespace"], &receipt["eventType"]),
        (&json!("SMS"), &json!("outbound_message_status_changed"))
    );
    let payload = &receipt["payload"];
    assert_eq!((&payload["umid"], &payload["clientMessageId"]), (&sent["umid"], &json!("17")));
    assert_eq!(
        (&payload["destination"], &payload["source"], &payload["smsCount"]),
        (&json!(TO), &json!("Shop"), &json!(1))
    );
    assert!(["sent", "delivered"].contains(&payload["status"]["state"].as_str().unwrap()));
    let shown = gateway.api("GET", &account(&gateway), None).await.expect(200);
    assert_eq!(
        shown,
        json!([{"subAccountId": "*", "url": url, "enabled": true, "httpAuthorization": "***"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_specific_listener_is_told() {
    let gateway = Gateway::new().await;
    let (all, own, given) = (receiver(200).await, receiver(200).await, receiver(200).await);
    let secret =
        listen(&gateway, json!({"subAccountId": "*", "url": all.uri(), "type": "DR"})).await.unwrap();
    send(&gateway, json!({"destination": TO, "text": "1"})).await;
    received(&all, 1).await;
    let body = json!({"destination": TO, "text": "2", "dlrCallbackUrl": given.uri()});
    send(&gateway, body.clone()).await;
    let request = &received(&given, 1).await[0];
    assert!(is_signed(request, &secret), "signed like its subaccount's webhook");
    assert!(!request.headers.contains_key("authorization"));
    let own_hook = json!({"subAccountId": gateway.sub(), "url": own.uri()});
    assert_ne!(listen(&gateway, own_hook.clone()).await.unwrap(), secret);
    assert!(listen(&gateway, own_hook).await.is_none(), "a secret is shown once");
    let before = all.received_requests().await.unwrap().len();
    send(&gateway, json!({"destination": TO, "text": "3"})).await;
    received(&own, 1).await;
    assert_eq!(all.received_requests().await.unwrap().len(), before);
    for name in [gateway.sub(), "*", "*"] {
        gateway.api("DELETE", &account(&gateway), Some(json!([{"subAccountId": name}]))).await.expect(200);
    }
    let count = own.received_requests().await.unwrap().len();
    send(&gateway, json!({"destination": TO, "text": "4"})).await;
    gateway.phone(TO, 4).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(own.received_requests().await.unwrap().len(), count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_message_has_a_receipt() {
    let gateway = Gateway::new().await;
    let server = receiver(200).await;
    listen(&gateway, json!({"subAccountId": "*", "url": server.uri()})).await;
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    let sent = send(&gateway, json!({"destination": TO, "text": "x"})).await;
    let payload = body(&received(&server, 1).await[0])["payload"].clone();
    assert_eq!(payload["umid"], sent["umid"]);
    assert_eq!(
        (&payload["status"]["state"], &payload["status"]["errorCode"]),
        (&json!("rejected"), &json!(15))
    );
    assert!(payload.get("price").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_receiver_is_tried_after_1_10_30_and_90_seconds() {
    let gateway = Gateway::new().await;
    let server = receiver(500).await;
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    listen(&gateway, json!({"subAccountId": "*", "url": server.uri()})).await;
    send(&gateway, json!({"destination": TO, "text": "x"})).await;
    received(&server, 1).await;
    for (tries, seconds) in [(1, 1), (2, 10), (3, 30), (4, 90)] {
        tokio::time::sleep(Duration::from_millis(600)).await;
        if seconds > 1 {
            gateway.advance(&format!("{}s", seconds - 3)).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            assert_eq!(server.received_requests().await.unwrap().len(), tries, "too early");
        }
        gateway.advance("4s").await;
        received(&server, tries + 1).await;
    }
    gateway.advance("10m").await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    let all = server.received_requests().await.unwrap();
    assert_eq!(all.len(), 5, "given up");
    assert!(
        all.iter().all(|r| text(r, "webhook-id") == text(&all[0], "webhook-id")),
        "one id over all tries"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_does_not_hold_the_others_up() {
    let gateway = Gateway::new().await;
    let (slow, quick) = (MockServer::start().await, receiver(200).await);
    let pause = ResponseTemplate::new(200).set_delay(Duration::from_secs(8));
    Mock::given(method("POST")).respond_with(pause).mount(&slow).await;
    let messages: Vec<Value> =
        (0..60).map(|n| json!({"destination": format!("+65911100{n:02}"), "text": "x"})).collect();
    let batch = json!({"messages": messages, "template": {"dlrCallbackUrl": slow.uri()}});
    let path = format!("/api/v1/subaccounts/{}/messages/batch", gateway.sub());
    gateway.api("POST", &path, Some(batch)).await.expect(200);
    received(&slow, 1).await;
    let begun = std::time::Instant::now();
    send(&gateway, json!({"destination": TO, "text": "x", "dlrCallbackUrl": quick.uri()})).await;
    received(&quick, 1).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn oauth_tokens_are_fetched_and_redirects_are_not_followed() {
    let gateway = Gateway::new().await;
    let server = MockServer::start().await;
    let token = ResponseTemplate::new(200).set_body_json(json!({"access_token": "tok", "expires_in": 3600}));
    Mock::given(path("/token"))
        .and(body_string_contains("client_secret=s3cret"))
        .respond_with(token)
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/hook"))
        .and(header("authorization", "Bearer tok"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    let oauth = json!({"url": format!("{}/token", server.uri()), "clientId": "c", "clientSecret": "s3cret", "credentialsLocation": "body"});
    listen(&gateway, json!({"subAccountId": "*", "url": format!("{}/hook", server.uri()), "oauth": oauth}))
        .await;
    let shown = gateway.api("GET", &account(&gateway), None).await;
    assert!(!shown.text.contains("s3cret"));
    assert_eq!(shown.json()[0]["oauth"]["clientSecret"], "***");
    send(&gateway, json!({"destination": TO, "text": "1"})).await;
    send(&gateway, json!({"destination": "+6598765432", "text": "2"})).await;
    received(&server, 3).await;

    let target = receiver(200).await;
    let moved = MockServer::start().await;
    let there = ResponseTemplate::new(307).insert_header("location", target.uri().as_str());
    Mock::given(method("POST")).respond_with(there).mount(&moved).await;
    send(&gateway, json!({"destination": "+6598765433", "text": "3", "dlrCallbackUrl": moved.uri()})).await;
    received(&moved, 1).await;
    assert!(target.received_requests().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checked_code_is_told_to_its_callback() {
    let gateway = Gateway::new().await;
    let server = receiver(200).await;
    let base = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let ask = json!({"destination": TO, "callbackUrl": server.uri()});
    let session = gateway.api("POST", &base, Some(ask)).await.expect(200);
    let code = gateway.code(TO, 1).await;
    let check = format!("{base}/{}?code=", session["sessionId"].as_str().unwrap());
    let wrong = if code == "0000" { "1111" } else { "0000" };
    gateway.api("GET", &format!("{check}{wrong}"), None).await.expect(200);
    gateway.api("GET", &format!("{check}{code}"), None).await.expect(200);
    let events: Vec<Value> = received(&server, 2).await.iter().map(body).collect();
    let wanted = |status: &str, attempt: u64| {
        events.iter().any(|e| e["payload"]["status"] == status && e["payload"]["attempt"] == attempt)
    };
    assert!(wanted("WAITING", 1) && wanted("VERIFIED", 1), "{events:?}");
    assert!(events.iter().all(|e| e["payload"]["sessionId"] == session["sessionId"]));
    assert!(events.iter().all(|e| !e.to_string().contains(&format!("\"{code}\""))), "no code in a webhook");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbound_message_reaches_the_webhook() {
    let gateway = Gateway::new().await;
    let server = receiver(200).await;
    listen(&gateway, json!({"subAccountId": "*", "url": server.uri()})).await;
    let inbound = json!({"from": TO, "to": "12345", "text": "hello €"});
    gateway.admin("POST", "/admin/v1/sandbox/messages", Some(inbound)).await;
    let event = body(&received(&server, 1).await[0]);
    assert_eq!(event["eventType"], "inbound_message_received");
    let payload = &event["payload"];
    assert_eq!(
        (&payload["source"], &payload["destination"], &payload["body"]),
        (&json!(TO), &json!("12345"), &json!("hello €"))
    );
    assert_eq!((&payload["encoding"], &payload["smsCount"]), (&json!("GSM7"), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn private_addresses_are_refused_unless_the_deployment_allows_them() {
    let closed = [("SEAWALL_WEBHOOKS__ALLOW_PRIVATE", "false"), ("SEAWALL_WEBHOOKS__ALLOW_HTTP", "false")];
    let gateway = Gateway::with(&closed).await;
    let messages = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://localhost/",
        "https://10.0.0.1/",
    ] {
        let body = json!({"destination": TO, "text": "x", "dlrCallbackUrl": url});
        assert_eq!(gateway.api("POST", &messages, Some(body)).await.expect(400)["code"], 3020, "{url}");
        let hook = json!([{"subAccountId": "*", "url": url}]);
        assert_eq!(
            gateway.api("POST", &account(&gateway), Some(hook)).await.expect(400)["code"],
            3020,
            "{url}"
        );
    }
}
