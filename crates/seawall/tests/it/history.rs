//! A number's own history: known once confirmed, trusted on the device that holds its token.

use serde_json::{Value, json};

use crate::common::Gateway;

async fn facts(gateway: &Gateway, to: &str, token: Option<&str>) -> Value {
    let client = json!({"ip": "203.0.113.9", "device_token": token});
    let ask = json!({"to": to, "purpose": "login", "client": client, "dry_run": true});
    let decided = gateway.api("POST", "/v1/decisions", Some(ask)).await.expect(200);
    let path = format!("/admin/v1/decisions/{}", decided["id"].as_str().unwrap());
    for _ in 0..100 {
        let answer = gateway.admin("GET", &path, None).await;
        if answer.status == 200 {
            return answer.json()["facts"]["history"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the decision was not recorded");
}

async fn verified(gateway: &Gateway, to: &str) -> Value {
    let begun = gateway.api("POST", "/v1/verifications", Some(json!({"to": to}))).await.expect(201);
    let code = gateway.code(to, 1).await;
    let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
    gateway.api("POST", &path, Some(json!({"code": code}))).await.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_number_is_known_and_its_device_trusted() {
    let gateway = Gateway::new().await;
    let (to, other) = ("+6591234567", "+6591234568");
    assert_eq!(facts(&gateway, to, None).await, json!({}), "what is false is left out");
    let checked = verified(&gateway, to).await;
    let token = checked["device_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("dt_") && !token.contains("6591234567"));
    let known = facts(&gateway, to, None).await;
    assert_eq!((&known["known"], &known["trusted"]), (&json!(true), &json!(null)));
    assert_eq!(facts(&gateway, to, Some(&token)).await["trusted"], true);
    verified(&gateway, other).await;
    assert_eq!(facts(&gateway, other, Some(&token)).await["trusted"], json!(null), "bound to its number");
    let gateway = gateway.restart().await;
    assert_eq!(facts(&gateway, to, Some(&token)).await["trusted"], true, "across a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_8x8_dialect_hands_the_token_over_in_a_header() {
    let gateway = Gateway::new().await;
    let to = "+6591234567";
    let sessions = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let begun = gateway.api("POST", &sessions, Some(json!({"destination": to}))).await.expect(200);
    let code = gateway.code(to, 1).await;
    let path = format!("{sessions}/{}", begun["sessionId"].as_str().unwrap());
    let wrong = gateway.api("GET", &format!("{path}?code=000"), None).await;
    assert!(!wrong.headers.contains_key("seawall-device-token"));
    let right = gateway.api("GET", &format!("{path}?code={code}"), None).await;
    assert_eq!(right.json()["status"], "VERIFIED");
    let token = right.headers["seawall-device-token"].clone();
    assert_eq!(facts(&gateway, to, Some(&token)).await["trusted"], true);
    let twice = [("seawall-user", "a"), ("seawall-user", "b")];
    gateway.api_with("POST", &sessions, Some(json!({"destination": to})), &twice).await.expect(400);
}
