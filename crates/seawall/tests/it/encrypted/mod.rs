//! Numbers that come encrypted: a proxy that carries every byte never sees them, and nothing but a token made for this
//! installation opens.

pub mod making;
mod relay;

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use self::making::{by_node, hpke, hpke_for, jwe, jwe_with};
use self::relay::Relay;
use crate::common::{Answer, Gateway, seawall};

const TO: &str = "+6598765432";
const VEILED: &str = "+65xxxxxxxx";

async fn keys(gateway: &Gateway) -> Value {
    gateway.raw("GET", "/.well-known/number-keys.json", None, None, &[]).await.expect(200)
}

/// Digits that say where a number lies: no five in a row of what follows the country's code.
fn traces(bytes: &[u8], number: &str) -> Vec<String> {
    let national = &number.as_bytes()[3..];
    let found = national.windows(5).filter(|five| bytes.windows(5).any(|window| window == *five));
    found.map(|five| String::from_utf8_lossy(five).into_owned()).collect()
}

/// An app behind a proxy.
struct App {
    gateway: Gateway,
    relay: Relay,
    hooks: MockServer,
}

impl App {
    async fn new() -> Self {
        let gateway = Gateway::without_detection().await;
        let relay = Relay::to(gateway.running.addr).await;
        let hooks = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&hooks).await;
        let hook = json!({"subaccount_id": "*", "url": hooks.uri()});
        gateway.admin("POST", "/admin/v1/webhooks", Some(hook)).await.expect(201);
        App { gateway, relay, hooks }
    }

    /// A request through the proxy.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let url = format!("http://{}{path}", self.relay.addr);
        let mut request = self.gateway.http.request(method.parse().unwrap(), url);
        request = request.bearer_auth(&self.gateway.first.api_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        Answer { status, headers: Default::default(), text: response.text().await.unwrap() }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.call("POST", path, Some(body)).await;
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.text);
        answer.json()
    }

    /// Neither the proxy nor the webhooks say anything about the number.
    async fn assert_unseen(&self) {
        let seen = self.relay.seen();
        assert_eq!(traces(&seen, TO), Vec::<String>::new(), "{}", String::from_utf8_lossy(&seen));
        for request in self.hooks.received_requests().await.unwrap() {
            assert_eq!(
                traces(&request.body, TO),
                Vec::<String>::new(),
                "{}",
                String::from_utf8_lossy(&request.body)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_carries_a_code_end_to_end_and_never_sees_the_number() {
    let app = App::new().await;
    let set = app.call("GET", "/.well-known/number-keys.json", None).await.expect(200);
    let (jwe, hpke) = by_node(&set, TO).unwrap_or_else(|| (jwe(&set, TO), hpke(&set, TO)));
    let sessions = format!("/api/v2/subaccounts/{}/sessions", app.gateway.sub());
    let hook = format!("{}/callback", app.hooks.uri());
    let begun = app.post(&sessions, json!({"destination": jwe, "callbackUrl": hook})).await;
    assert_eq!((&begun["destination"], &begun["status"]), (&json!(VEILED), &json!("WAITING")));
    let code = app.gateway.code(TO, 1).await;
    let path = format!("{sessions}/{}", begun["sessionId"].as_str().unwrap());
    let wrong = if code == "0000" { "1111" } else { "0000" };
    assert_eq!(app.call("GET", &format!("{path}?code={wrong}"), None).await.expect(200)["status"], "WAITING");
    let right = app.call("GET", &format!("{path}?code={code}"), None).await.expect(200);
    assert_eq!((&right["status"], &right["destination"]), (&json!("VERIFIED"), &json!(VEILED)));
    let begun = app.post("/v1/verifications", json!({"to": hpke, "callback_url": hook})).await;
    assert_eq!(begun["to"], VEILED);
    let path = format!("/v1/verifications/{}", begun["id"].as_str().unwrap());
    assert_eq!(app.call("GET", &path, None).await.expect(200)["to"], VEILED);
    let code = app.gateway.code(TO, 2).await;
    let checked = app.call("POST", &format!("{path}/check"), Some(json!({"code": code}))).await.expect(200);
    assert_eq!(checked["status"], "verified");
    for _ in 0..200 {
        if app.hooks.received_requests().await.unwrap().len() >= 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let told = app.hooks.received_requests().await.unwrap();
    assert!(
        told.len() >= 4 && told.iter().any(|r| String::from_utf8_lossy(&r.body).contains(VEILED)),
        "{told:?}"
    );
    app.assert_unseen().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_takes_encrypted_numbers_and_no_answer_shows_them() {
    let app = App::new().await;
    let set = app.call("GET", "/.well-known/number-keys.json", None).await.expect(200);
    let (jwe, hpke) = (|| jwe(&set, TO), || hpke(&set, TO));
    let sub = format!("/api/v1/subaccounts/{}", app.gateway.sub());
    let sent = app.post("/v1/messages", json!({"to": jwe(), "text": "one"})).await;
    assert_eq!(sent["to"], VEILED);
    let id = sent["id"].as_str().unwrap();
    assert_eq!(app.call("GET", &format!("/v1/messages/{id}"), None).await.expect(200)["to"], VEILED);
    let decided = format!("/v1/decisions/{}", sent["decision_id"].as_str().unwrap());
    assert_eq!(app.call("GET", &decided, None).await.expect(200)["to"], VEILED);
    let home = json!({"to": making::jwe(&set, "9876 5432"), "country": "SG", "text": "at home"});
    assert_eq!(app.post("/v1/messages", home).await["to"], VEILED);
    let batch = json!({"messages": [{"to": jwe(), "text": "two"}, {"to": hpke(), "text": "three"}]});
    let batch = app.post("/v1/messages/batch", batch).await;
    assert_eq!((&batch["accepted"], &batch["messages"][1]["to"]), (&json!(2), &json!(VEILED)));
    let sent = app.post(&format!("{sub}/messages"), json!({"destination": hpke(), "text": "four"})).await;
    assert_eq!(sent["destination"], "65xxxxxxxx");
    let details = app.call("GET", &format!("{sub}/messages/{}", sent["umid"].as_str().unwrap()), None).await;
    assert_eq!(details.expect(200)["msisdn"], VEILED);
    let batch = json!({"destinations": [jwe(), hpke()], "template": {"text": "five"}, "includeMessagesInResponse": true});
    let batch = app.post(&format!("{sub}/messages/batch"), batch).await;
    assert_eq!(
        (&batch["acceptedCount"], &batch["messages"][0]["destination"]),
        (&json!(2), &json!("65xxxxxxxx"))
    );
    app.gateway.phone(TO, 7).await;
    let ask = json!({"to": hpke(), "purpose": "message", "dry_run": true});
    app.post("/v1/decisions", ask).await;
    let found = app.post("/v1/numbers/batch", json!({"numbers": [jwe(), hpke()]})).await;
    assert_eq!(
        (&found["data"][1]["found"]["number"], &found["data"][1]["found"]["country"]),
        (&json!(VEILED), &json!("SG"))
    );
    let consent = app.post("/v1/consents", json!({"to": jwe(), "source": "till"})).await;
    assert_eq!(consent["to"], VEILED);
    let path = format!("/v1/consents/{}", consent["id"].as_str().unwrap());
    assert_eq!(app.call("GET", &path, None).await.expect(200)["to"], VEILED);
    let ask = json!({"to": hpke(), "source": "till", "category": "transactional", "double": true});
    assert_eq!(app.post("/v1/consents", ask).await["to"], VEILED);
    let contacts = format!("/api/v1/accounts/{}/contacts", app.gateway.first.account_id);
    let made = app.post(&contacts, json!({"addresses": {"msisdn": jwe()}, "firstName": "Jo"})).await;
    assert_eq!(made["addresses"]["msisdn"], "65xxxxxxxx");
    let patch = json!([{"op": "replace", "path": "/firstName", "value": "Jill"}]);
    let patched = app.call("PATCH", &format!("{contacts}/{}", made["id"]), Some(patch)).await.expect(200);
    assert_eq!(
        (&patched["addresses"]["msisdn"], &patched["firstName"]),
        (&json!("65xxxxxxxx"), &json!("Jill"))
    );
    // A part of the number finds nothing; a name does.
    assert_eq!(
        app.gateway.api("GET", &format!("{contacts}?query=9876"), None).await.expect(200)["totalFiltered"],
        0
    );
    assert_eq!(
        app.call("GET", &format!("{contacts}?query=jill"), None).await.expect(200)["totalFiltered"],
        1
    );
    app.gateway.admin("POST", "/admin/v1/number-pools", Some(json!({"name": "rides"}))).await.expect(201);
    let virtual_number = json!({"msisdn": "+6531580000", "pool": "rides"});
    app.gateway.admin("POST", "/admin/v1/virtual-numbers", Some(virtual_number)).await.expect(201);
    let mask =
        app.post("/v1/masking/sessions", json!({"a": jwe(), "b": making::hpke(&set, "+6591111111")})).await;
    assert_eq!((&mask["a"], &mask["b"]), (&json!(VEILED), &json!(VEILED)));
    let path = format!("/v1/masking/sessions/{}", mask["id"].as_str().unwrap());
    assert_eq!(app.call("GET", &path, None).await.expect(200)["a"], VEILED);
    let answer = app.call("POST", "/v1/consents/opt-outs", Some(json!({"to": hpke()}))).await;
    assert!(answer.status == 204 || answer.status == 404, "{}", answer.text);
    // A refusal names the range that it is about, but not to the proxy.
    let deny = json!({"value": "+65987654"});
    app.gateway.admin("POST", "/admin/v1/lists/deny-number_range/entries", Some(deny)).await.expect(201);
    let refused =
        app.call("POST", "/v1/messages", Some(json!({"to": jwe(), "text": "six"}))).await.expect(403);
    let path = format!("/v1/decisions/{}", refused["decision_id"].as_str().unwrap());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(app.call("GET", &path, None).await.expect(200)["to"], VEILED);
    let ask = json!({"to": hpke(), "purpose": "login"});
    assert_eq!(app.post("/v1/decisions", ask).await["verdict"], "block");
    app.assert_unseen().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_encrypted_anew_is_the_same_request() {
    let gateway = Gateway::without_detection().await;
    let set = keys(&gateway).await;
    let post = async |to: String| {
        let body = json!({"to": to, "text": "once"});
        gateway.api_with("POST", "/v1/messages", Some(body), &[("idempotency-key", "k")]).await
    };
    let first = post(jwe(&set, TO)).await;
    let again = post(jwe(&set, TO)).await;
    assert_eq!(again.headers.get("idempotent-replayed").map(String::as_str), Some("true"));
    assert_eq!(first.text, again.text);
    // Another number, and the same one written out, are other requests.
    post(jwe(&set, "+6598765433")).await.expect(422);
    post(TO.to_owned()).await.expect(422);
    assert_eq!(gateway.phone(TO, 1).await.len(), 1);
}

/// Every way in which a token can be wrong reads the same, and says nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let gateway = Gateway::without_detection().await;
    let set = keys(&gateway).await;
    let (good, sealed) = (jwe(&set, TO), hpke(&set, TO));
    let mut wrong: Vec<String> = Vec::new();
    for text in [&good, &sealed] {
        let kid = if text.starts_with("hpke:") { text.find('.').unwrap() } else { 3 };
        // One character of each part, its first, middle and last one.
        let mut from = kid + 1;
        for part in text[from.min(text.len())..].split('.') {
            for at in [0, part.len() / 2, part.len().saturating_sub(1)] {
                let Some(old) = part.as_bytes().get(at) else { continue };
                let mut bytes = text.clone().into_bytes();
                bytes[from + at] = if *old == b'A' { b'B' } else { b'A' };
                wrong.push(String::from_utf8(bytes).unwrap());
            }
            from += part.len() + 1;
        }
        wrong.extend([
            format!("{text}A"),
            format!("{text}."),
            format!("{text}="),
            text[..text.len() - 1].to_owned(),
        ]);
        wrong.push(format!("{text}{}", "A".repeat(2_000)));
    }
    let change: [fn(&mut Value); 7] = [
        |h| h["alg"] = json!("ECDH-ES+A256KW"),
        |h| h["enc"] = json!("A128GCM"),
        |h| h["crit"] = json!(["b64"]),
        |h| h["zip"] = json!("DEF"),
        |h| h["p2c"] = json!(1),
        |h| h["apu"] = json!("QWxpY2U"),
        |h| h["epk"]["y"] = h["epk"]["x"].clone(),
    ];
    wrong.extend(change.map(|change| jwe_with(&set, TO, change)));
    wrong.push(hpke_for(&set, TO, "another purpose"));
    // What opens is no number: text of any kind, another token, nothing at all.
    for plain in ["", "hello", "+65", "1", &good, "+6598765432;ext=1"] {
        wrong.push(jwe(&set, plain));
        wrong.push(hpke(&set, plain));
    }
    wrong.extend(["eyJ", "eyJ....", "hpke:", "hpke:..", "hpke:a.b.c"].map(str::to_owned));
    let mut said: Vec<String> = Vec::new();
    for text in &wrong {
        let refused =
            gateway.api("POST", "/v1/messages", Some(json!({"to": text, "text": "x"}))).await.expect(400);
        assert_eq!(
            (&refused["code"], &refused["field"]),
            (&json!("invalid-request"), &json!("to")),
            "{text}: {refused}"
        );
        said.push(refused["detail"].as_str().unwrap().to_owned());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let refused = gateway.api("POST", &path, Some(json!({"destination": wrong[0]}))).await.expect(400);
    assert_eq!(refused["code"], 1002);
    assert!(refused["message"].as_str().unwrap().contains("number-keys.json"), "{refused}");
    // Where encrypted numbers are not taken, that is said.
    let refused = gateway.api("GET", &format!("/v1/numbers/{good}"), None).await.expect(400);
    assert!(refused["detail"].as_str().unwrap().contains("takes no encrypted number"), "{refused}");
    // All that time the good ones are good.
    gateway.api("POST", "/v1/messages", Some(json!({"to": good, "text": "x"}))).await.expect(201);
    gateway.api("POST", "/v1/messages", Some(json!({"to": sealed, "text": "x"}))).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_pair_is_published_and_the_old_one_opens_until_its_grace_is_over() {
    let gateway = Gateway::without_detection().await;
    let send = async |gateway: &Gateway, to: String| {
        gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "x"}))).await
    };
    let first = keys(&gateway).await;
    let (old_jwe, old_hpke) = (jwe(&first, TO), hpke(&first, TO));
    let (shown, error, code) =
        seawall(&gateway, &["vault", "number-keys", "--rotate", "--grace", "2h"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(shown.contains("old") && shown.contains("current"), "{shown}");
    let second = keys(&gateway).await;
    assert!((0..2).all(|n| first["keys"][n]["kid"] != second["keys"][n]["kid"]), "{second}");
    for token in [&old_jwe, &old_hpke, &jwe(&second, TO), &hpke(&second, TO)] {
        send(&gateway, token.clone()).await.expect(201);
    }
    // Both live in the database, sealed by data keys: a new one of those changes nothing.
    gateway.admin("POST", "/admin/v1/keys/rotate", Some(json!({}))).await.expect(200);
    let gateway = gateway.restart().await;
    for token in [&old_jwe, &hpke(&second, TO)] {
        send(&gateway, token.clone()).await.expect(201);
    }
    gateway.advance("3h").await;
    for token in [&old_jwe, &old_hpke] {
        let refused = send(&gateway, token.clone()).await.expect(400);
        assert_eq!((&refused["code"], &refused["field"]), (&json!("number-key-unknown"), &json!("to")));
        assert!(refused["detail"].as_str().unwrap().contains("fetch /.well-known/number-keys.json again"));
    }
    let path = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let refused =
        gateway.api("POST", &path, Some(json!({"destination": old_jwe, "text": "x"}))).await.expect(400);
    assert!(refused["message"].as_str().unwrap().contains("number-keys.json again"), "{refused}");
    send(&gateway, jwe(&second, TO)).await.expect(201);
    // One that others know is retired at once, and is deleted.
    let now = json!({"grace": "0s"});
    gateway.admin("POST", "/admin/v1/number-keys/rotate", Some(now)).await.expect(200);
    assert_eq!(send(&gateway, jwe(&second, TO)).await.expect(400)["code"], "number-key-unknown");
    let mut left = Value::Null;
    for _ in 0..100 {
        let audit = gateway.admin("GET", "/admin/v1/audit?limit=200", None).await.expect(200);
        let all = audit["data"].as_array().unwrap();
        left = json!(all.iter().filter(|entry| entry["action"] == "number-keys.delete").count());
        if left == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, 2);
    let shown = gateway.admin("GET", "/admin/v1/number-keys", None).await.expect(200);
    assert_eq!((shown["data"].as_array().unwrap().len(), &shown["data"][0]["generation"]), (1, &json!(3)));
    let third = keys(&gateway).await;
    send(&gateway, hpke(&third, TO)).await.expect(201);
    let refused = gateway.admin("POST", "/admin/v1/number-keys/rotate", Some(json!({"grace": "soon"}))).await;
    assert_eq!(refused.expect(400)["field"], "grace");
}

/// What it costs to open one: `cargo test --release -p seawall --test it -- --ignored --nocapture bench_opening`.
#[test]
#[ignore = "measures"]
fn bench_opening() {
    use seawall::app::number_keys::{NumberKeys, StoredPair};
    use seawall_core::time::Timestamp;
    let (vault, now) = (seawall_store::vault::Vault::ephemeral().unwrap(), Timestamp::from_millis(1));
    let pair = StoredPair::make(&vault, 1, now, Duration::ZERO).unwrap();
    let all = NumberKeys::of(vec![pair]);
    let set = all.published(now, false);
    for (name, token) in [("JWE", jwe(&set, TO)), ("HPKE", hpke(&set, TO))] {
        let begun = std::time::Instant::now();
        for _ in 0..2_000 {
            assert_eq!(all.open(&token, now).as_deref(), Ok(TO));
        }
        println!(
            "{name}: {:.0} µs a token of {} characters",
            begun.elapsed().as_secs_f64() * 500.0,
            token.len()
        );
    }
}
