//! `dedup_window`: identical requests of a dialect without idempotency keys are done once, where it is wished.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

fn messages(gateway: &Gateway) -> String {
    format!("/api/v1/subaccounts/{}/messages", gateway.sub())
}

async fn wish(gateway: &Gateway, window: Value) -> Answer {
    let path = format!("/admin/v1/subaccounts/{}", gateway.sub());
    gateway.admin("PATCH", &path, Some(json!({"dedup_window": window}))).await
}

async fn accepted(gateway: &Gateway) -> usize {
    let list = gateway.admin("GET", "/admin/v1/messages?limit=200", None).await.expect(200);
    list["data"].as_array().unwrap().len()
}

fn hello(to: &str) -> Value {
    json!({"destination": to, "text": "hello", "clientIp": "198.51.100.7"})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identical_message_within_the_window_is_one_message() {
    let gateway = Gateway::without_detection().await;
    let path = messages(&gateway);
    let send = |body: Value| gateway.api("POST", &path, Some(body));
    let first = send(hello("6591234567")).await.expect(200)["umid"].clone();
    assert_ne!(send(hello("6591234567")).await.expect(200)["umid"], first, "off unless it is wished");

    assert_eq!(wish(&gateway, json!("30s")).await.expect(200)["dedup_window"], "30s");
    let first = send(hello("6591234567")).await;
    let again = send(hello("6591234567")).await;
    assert_eq!((again.status, &again.text), (200, &first.text), "the same bytes");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    // Written in another order it is the same; anything else said is another message.
    let other_order = r#"{"clientIp":"198.51.100.7",  "text":"hello","destination":"6591234567"}"#;
    let token = Some(gateway.first.api_key.as_str());
    assert_eq!(gateway.raw("POST", &path, token, Some(other_order), &[]).await.text, first.text);
    let umid = first.expect(200)["umid"].clone();
    for (field, value) in [("text", "hello!"), ("clientIp", "198.51.100.8"), ("clientMessageId", "7")] {
        let mut body = hello("6591234567");
        body[field] = json!(value);
        assert_ne!(send(body).await.expect(200)["umid"], umid, "{field}");
    }
    let user = [("seawall-user", "ann")];
    let of_ann = gateway.api_with("POST", &path, Some(hello("6591234567")), &user).await.expect(200);
    assert_ne!(of_ann["umid"], umid, "another client");
    assert_eq!(accepted(&gateway).await, 7);
    gateway.advance("31s").await;
    assert_ne!(send(hello("6591234567")).await.expect(200)["umid"], umid, "the window is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_done_and_all_are_answered_by_it() {
    let gateway = Gateway::without_detection().await;
    wish(&gateway, json!("10m")).await.expect(200);
    let path = messages(&gateway);
    let all = (0..10).flat_map(|n| (0..20).map(move |_| format!("65912345{n:02}")));
    let answers = join_all(all.map(|to| gateway.api("POST", &path, Some(hello(&to))))).await;
    let mut umids: Vec<String> =
        answers.iter().map(|a| a.json()["umid"].as_str().unwrap().to_owned()).collect();
    umids.sort();
    umids.dedup();
    assert_eq!((umids.len(), accepted(&gateway).await), (10, 10));
    // The answer is on disk with what it answers.
    let before = answers[0].text.clone();
    let gateway = gateway.restart().await;
    let again = gateway.api("POST", &path, Some(hello("6591234500"))).await;
    assert_eq!((again.text, accepted(&gateway).await), (before, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_asked_for_twice_is_sent_once_and_refusals_are_decided_anew() {
    let gateway = Gateway::without_detection().await;
    wish(&gateway, json!("30s")).await.expect(200);
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let begin = |to: &'static str| gateway.api("POST", &path, Some(json!({"destination": to})));
    let first = begin("+6591234567").await;
    assert_eq!(begin("+6591234567").await.text, first.text, "not refused as too early");
    assert_eq!(gateway.phone("+6591234567", 1).await.len(), 1);

    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": "+6591234568"}))).await.expect(201);
    let text = json!({"destination": "6591234568", "text": "x"});
    let refused = gateway.api("POST", &messages(&gateway), Some(text.clone())).await.expect(200);
    assert_eq!(refused["status"]["code"], "REJECTED");
    gateway.admin("DELETE", "/admin/v1/opt-outs/%2B6591234568", None).await.expect(204);
    let sent = gateway.api("POST", &messages(&gateway), Some(text)).await.expect(200);
    assert_eq!(sent["status"]["code"], "QUEUED");

    let batch =
        json!({"messages": [hello("6591234569"), hello("6591234570")], "includeMessagesInResponse": true});
    let path = format!("{}/batch", messages(&gateway));
    let one = gateway.api("POST", &path, Some(batch.clone())).await;
    assert_eq!(gateway.api("POST", &path, Some(batch)).await.text, one.text);
    for wrong in ["0s", "2h", "soon"] {
        let problem = wish(&gateway, json!(wrong)).await.expect(400);
        assert_eq!(problem["field"], "dedup_window", "{problem}");
    }
    assert_eq!(wish(&gateway, json!(null)).await.expect(200)["dedup_window"], json!(null));
}
