//! Messages of the 8x8 dialect: alone, in batches, later, taken back, looked at, exported.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

const TO: &str = "+6591234567";

fn path(gateway: &Gateway) -> String {
    format!("/api/v1/subaccounts/{}/messages", gateway.sub())
}

async fn send(gateway: &Gateway, body: Value) -> Answer {
    gateway.api("POST", &path(gateway), Some(body)).await
}

/// The API gives details once a second, by the gateway's clock.
async fn details(gateway: &Gateway, umid: &Value) -> Answer {
    gateway.advance("1s").await;
    gateway.api("GET", &format!("{}/{}", path(gateway), umid.as_str().unwrap()), None).await
}

/// RFC 3339, some seconds from the gateway's now.
async fn ahead(gateway: &Gateway, seconds: u64) -> String {
    gateway.running.app.now().plus(Duration::from_secs(seconds)).to_rfc3339()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_and_its_details() {
    let gateway = Gateway::new().await;
    let price = json!({"country": "SG", "amount": 41_000, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    let body = json!({"destination": "6591234567", "source": "Seller", "text": "Ünïcode €", "clientMessageId": "1234", "track": "Outcome"});
    let sent = send(&gateway, body).await.expect(200);
    assert_eq!(sent["destination"], "6591234567");
    assert_eq!(
        (&sent["status"]["code"], &sent["encoding"], &sent["clientMessageId"]),
        (&json!("QUEUED"), &json!("UCS2"), &json!("1234"))
    );
    assert_eq!(gateway.phone(TO, 1).await[0]["text"], "Ünïcode €");
    let shown = details(&gateway, &sent["umid"]).await.expect(200);
    assert_eq!((&shown["msisdn"], &shown["body"]), (&json!("+659123xxxx"), &json!("**MASKED**")));
    assert_eq!(shown["price"], json!({"total": 0.041, "perSms": 0.041, "currency": "USD"}));
    assert_eq!(
        (&shown["source"], &shown["smsCount"], &shown["direction"]),
        (&json!("Seller"), &json!(1), &json!("outbound"))
    );
    let again =
        gateway.api("GET", &format!("{}/{}", path(&gateway), sent["umid"].as_str().unwrap()), None).await;
    assert_eq!(again.headers["retry-after"], "1");
    assert_eq!(again.expect(429)["code"], 429);
    let feedback = format!("{}/{}/feedback", path(&gateway), sent["umid"].as_str().unwrap());
    let noted = gateway
        .api("POST", &feedback, Some(json!({"outcome": "success", "timestamp": "2026-01-01T00:00:00+08:00"})))
        .await;
    assert_eq!((noted.status, noted.text.as_str()), (200, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_one_message() {
    let gateway = Gateway::new().await;
    let opt_out = json!({"msisdn": TO});
    gateway.admin("POST", "/admin/v1/opt-outs", Some(opt_out)).await.expect(201);
    let answer = send(&gateway, json!({"destination": TO, "text": "x"})).await;
    assert!(answer.headers["seawall-decision-id"].starts_with("dec_"));
    let rejected = answer.expect(200);
    assert_eq!(rejected["status"]["code"], "REJECTED");
    let shown = details(&gateway, &rejected["umid"]).await.expect(200);
    assert_eq!((&shown["status"]["state"], &shown["status"]["errorCode"]), (&json!("failed"), &json!(15)));
    assert_eq!(shown["msisdn"], "+659123xxxx");

    let sub = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let policy = json!({"country_policy": {"countries": {"MY": "off"}}});
    gateway.admin("PATCH", &sub, Some(policy)).await.expect(200);
    let rejected = send(&gateway, json!({"destination": "+60123456789", "text": "x"})).await.expect(200);
    let shown = details(&gateway, &rejected["umid"]).await.expect(200);
    assert_eq!(shown["status"]["errorCode"], 99);

    let to = "+6598765432";
    for _ in 0..10 {
        send(&gateway, json!({"destination": to, "text": "x"})).await.expect(200);
    }
    let full = send(&gateway, json!({"destination": to, "text": "x"})).await;
    assert!(full.headers["retry-after"].parse::<u64>().unwrap() > 1700);
    assert!(full.headers.contains_key("seawall-decision-id"));
    assert_eq!(full.expect(429)["code"], 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_rejects_one_and_sends_the_others() {
    let gateway = Gateway::new().await;
    let soon = ahead(&gateway, 3600).await;
    let body = json!({
        "clientBatchId": "b1", "includeMessagesInResponse": true, "clientIp": "198.51.100.7",
        "destinations": ["+6599999999"],
        "template": {"text": "shared", "source": "Shop"},
        "messages": [
            {"destination": TO, "clientMessageId": "1"},
            {"destination": TO, "clientMessageId": "2", "text": "own"},
            {"destination": "+1123456789", "clientMessageId": "3"},
            {"destination": TO, "text": ""},
            {"destination": TO, "text": "x".repeat(2000)},
            {"destination": TO, "source": "ThisIsTooLong"},
            {"destination": TO, "expiry": "2020-01-01T00:00:00Z"},
            {"destination": "91234568", "country": "SG", "scheduled": soon},
        ],
    });
    let answer = gateway.api("POST", &format!("{}/batch", path(&gateway)), Some(body)).await.expect(200);
    assert_eq!((&answer["acceptedCount"], &answer["rejectedCount"]), (&json!(3), &json!(5)));
    assert_eq!(answer["clientBatchId"], "b1");
    let messages = answer["messages"].as_array().unwrap();
    let said: Vec<&str> = messages.iter().map(|m| m["status"]["description"].as_str().unwrap()).collect();
    let queued = "SMS is accepted and queued for processing";
    assert_eq!(
        said,
        [
            queued,
            queued,
            "Invalid MSISDN format (not E.164 international number)",
            "Text value is missing",
            "Invalid Text value. Reached max allowed limit",
            "Invalid Source value. Reached max allowed limit",
            "Expiry time already reached",
            queued,
        ]
    );
    assert_eq!(
        (&messages[2]["destination"], &messages[2]["clientMessageId"]),
        (&json!("+1123456789"), &json!("3"))
    );
    let texts: Vec<Value> = gateway.phone(TO, 2).await.iter().map(|m| m["text"].clone()).collect();
    assert!(texts.contains(&json!("shared")) && texts.contains(&json!("own")), "{texts:?}");

    let batch = format!("{}/batch/{}", path(&gateway), answer["batchId"].as_str().unwrap());
    assert_eq!(gateway.api("DELETE", &batch, None).await.expect(200), json!({"cancelledCount": 1}));
    assert_eq!(gateway.api("DELETE", &batch, None).await.expect(200), json!({"cancelledCount": 0}));
    let unknown = format!("{}/batch/00000000-0000-0000-0000-000000000000", path(&gateway));
    assert_eq!(gateway.api("DELETE", &unknown, None).await.expect(200), json!({"cancelledCount": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_aliases_and_prefixes() {
    let gateway = Gateway::new().await;
    let sub = gateway.sub();
    let shared = json!({"destinations": ["+6591110001", "+6591110002", "+6591110002", "nonsense"], "template": {"text": "hi"}});
    let answer =
        gateway.api("POST", &format!("/sms{}/batch", path(&gateway)), Some(shared.clone())).await.expect(200);
    assert_eq!((&answer["acceptedCount"], &answer["rejectedCount"]), (&json!(3), &json!(1)));
    assert!(answer.get("messages").is_none());
    let one = json!({"destination": TO, "text": "x"});
    for alias in [format!("/sms/v1/{sub}/single"), format!("/api/v1/{sub}/single")] {
        assert_eq!(
            gateway.api("POST", &alias, Some(one.clone())).await.expect(200)["status"]["code"],
            "QUEUED",
            "{alias}"
        );
    }
    for alias in [format!("/sms/v1/{sub}/many"), format!("/sms/v1/{sub}/many/compact")] {
        assert_eq!(
            gateway.api("POST", &alias, Some(shared.clone())).await.expect(200)["acceptedCount"],
            3,
            "{alias}"
        );
    }
    let later = json!({"destination": TO, "text": "x", "scheduled": ahead(&gateway, 600).await});
    let umid = send(&gateway, later).await.expect(200)["umid"].as_str().unwrap().to_owned();
    let alias = format!("/sms/v1/{sub}/single/{umid}");
    assert_eq!(gateway.api("DELETE", &alias, None).await.expect(200), json!({"cancelledCount": 1}));
    assert_eq!(gateway.api("DELETE", &alias, None).await.expect(200), json!({"cancelledCount": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_message_goes_at_its_time() {
    let gateway = Gateway::new().await;
    let later = json!({"destination": TO, "text": "later", "scheduled": ahead(&gateway, 600).await});
    let sent = send(&gateway, later).await.expect(200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gateway.phone(TO, 0).await.is_empty());
    assert_eq!(details(&gateway, &sent["umid"]).await.expect(200)["status"]["state"], "queued");
    gateway.advance("10m").await;
    assert_eq!(gateway.phone(TO, 1).await[0]["text"], "later");
    for (seconds, status) in [(7 * 86_400 - 5, 200), (7 * 86_400 + 60, 400)] {
        let body = json!({"destination": TO, "text": "x", "scheduled": ahead(&gateway, seconds).await});
        assert_eq!(send(&gateway, body).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_in_one_request() {
    let gateway = Gateway::new().await;
    let destinations: Vec<String> = (0..10_000).map(|n| format!("+659{:07}", 1_000_000 + n)).collect();
    let body = json!({"destinations": destinations, "template": {"text": "x"}});
    let key = [("idempotency-key", "the-batch")];
    let batch = format!("{}/batch", path(&gateway));
    let first = gateway.api_with("POST", &batch, Some(body.clone()), &key).await;
    let again = gateway.api_with("POST", &batch, Some(body), &key).await;
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(first.text, again.text);
    assert_eq!(first.expect(200)["acceptedCount"], 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_prices_and_balance() {
    let gateway = Gateway::new().await;
    for (country, amount) in [("SG", 41_000), ("MY", 30_000)] {
        let price = json!({"country": country, "amount": amount, "currency": "USD"});
        gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    }
    let exports = format!("{}/exports", path(&gateway));
    let started = async |body: Value| {
        let job =
            gateway.api("POST", &exports, Some(body)).await.expect(202)["jobId"].as_str().unwrap().to_owned();
        assert_eq!(job.len(), 64);
        for _ in 0..200 {
            let status = gateway.api("GET", &format!("{exports}/{job}"), None).await.expect(200);
            if !["queued", "running"].contains(&status["status"].as_str().unwrap()) {
                return (job, status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the export does not end");
    };
    assert_eq!(started(json!({})).await.1, json!({"status": "empty"}));
    send(&gateway, json!({"destination": TO, "text": "secret", "clientMessageId": "=1+1"})).await.expect(200);
    send(&gateway, json!({"destination": "+60123456789", "text": "secret"})).await.expect(200);
    gateway.advance("5s").await;
    let (job, status) = started(json!({"countries": ["sg"]})).await;
    let url = status["data"][0].as_str().unwrap().strip_prefix(&gateway.base).unwrap().to_owned();
    assert_eq!(gateway.raw("GET", &url, None, None, &[]).await.status, 401);
    let file = gateway.api("GET", &url, None).await;
    assert!(file.headers["content-type"].starts_with("text/csv"));
    let lines: Vec<&str> = file.text.lines().collect();
    assert_eq!(lines.len(), 2, "{}", file.text);
    assert!(lines[0].starts_with("umid,subaccountid,direction,country,"));
    assert!(lines[1].contains(",659123xxxx,") && lines[1].contains(",'=1+1,"), "{}", lines[1]);
    assert!(!file.text.contains("secret") && !file.text.contains("91234567"));
    assert_eq!(gateway.api("DELETE", &format!("{exports}/{job}"), None).await.status, 204);
    assert_eq!(gateway.api("GET", &url, None).await.expect(404)["code"], 4018);

    let account = format!("/api/v1/accounts/{}", gateway.first.account_id);
    let prices = gateway
        .api("GET", &format!("{account}/prices?country=SG&direction=outbound"), None)
        .await
        .expect(200);
    let countries = prices["subAccounts"][0]["outbound"]["countries"].as_array().unwrap();
    assert_eq!((countries.len(), &countries[0]["alpha2Code"]), (1, &json!("SG")));
    assert_eq!(countries[0]["operators"][0]["price"], json!({"amount": 0.041, "currency": "USD"}));
    let dashless = gateway.first.account_id.replace('-', "");
    gateway.api("GET", &format!("/api/v1/accounts/{dashless}/prices"), None).await.expect(200);
}
