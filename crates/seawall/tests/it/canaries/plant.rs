//! Canaries through every interface, a function each.

mod bad;
mod more;

use serde_json::{Value, json};

use super::world::{Said, World};

const FAR: &str = "2031-01-05T10:00:00Z";

/// Everything.
pub async fn everything(w: &World) {
    w.calm().await;
    settings(w).await;
    lists(w).await;
    more::listed(w).await;
    native(w).await;
    checks(w).await;
    consents(w).await;
    lookups(w).await;
    masking(w).await;
    eight(w).await;
    eight_contacts(w).await;
    providers(w).await;
    inbound(w).await;
    more::twilio(w).await;
    more::encrypted(w).await;
    bad::odd_places(w).await;
    bad::wrong(w).await;
}

fn client(w: &World, label: &str, to: &str) -> Value {
    let of = |part: &str| w.secret(&format!("{label} {part}"));
    json!({"ip": "203.0.113.77", "user_agent": of("user agent"), "device_token": of("device token"),
        "fingerprint": of("fingerprint"), "user_id": to,
        "headers": {"x-own": of("header")}})
}

async fn settings(w: &World) {
    let key = w.admin(2, "POST", "api-keys", json!({"name": "second", "scopes": ["verify", "sms"]})).await;
    w.known("second API key", key["key"].as_str().unwrap());
    let rotated = w.admin(2, "POST", "api-keys/second/rotate", json!({"overlap": "24h"})).await;
    w.known("rotated API key", rotated["key"].as_str().unwrap());
    let url = format!("http://127.0.0.1:9/hook?token={}", w.secret("webhook's query"));
    let hook = json!({"url": url, "authorization": format!("Basic {}", w.secret("webhook's authorization"))});
    let hook = w.admin(2, "POST", "webhooks", hook).await;
    w.known("webhook's secret", hook["secret"].as_str().unwrap());
    let until = std::time::SystemTime::now() + std::time::Duration::from_secs(86_400);
    let until = seawall_core::time::Timestamp::from_millis(
        i64::try_from(until.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap(),
    );
    let test = json!({"msisdn": w.number("test number"), "code": "qkqk4711", "expires_at": until.to_rfc3339(),
        "note": w.secret("test number's note")});
    w.known("test number's code", "qkqk4711");
    let test = w.admin(2, "POST", "test-numbers", test).await;
    w.admin(
        4,
        "POST",
        "test-numbers",
        json!({"msisdn": test["msisdn"], "code": "4711471", "expires_at": until.to_rfc3339()}),
    )
    .await;
    let rule = json!({"name": "one", "action": "block", "note": w.secret("rule's note"),
        "when": format!("to == \"{}\"", w.number("rule"))});
    let answer = w
        .call(
            &w.admin,
            "POST",
            "/admin/v1/rules",
            Said { text: Some(rule.to_string()), headers: &[("content-type", "application/json")] },
        )
        .await;
    assert!(answer.status == 201 || answer.status == 400, "{}", answer.text);
    let template = json!({"name": "short", "text": format!("{{code}} {}", w.secret("template"))});
    w.admin(2, "POST", "templates", template).await;
    let suspension = json!({"scope": {"number_range": "+4477009"}, "expires_at": until.to_rfc3339(),
        "reason": w.secret("suspension's reason")});
    w.admin(2, "POST", "suspensions", suspension).await;
    let price = json!({"country": "DE", "amount": 70_000, "currency": "USD"});
    w.admin(2, "POST", "prices", price).await;
}

async fn lists(w: &World) {
    for list in ["allow-msisdn", "deny-msisdn"] {
        let entry = json!({"value": w.number(list), "note": w.secret("entry's note"), "expires_at": "never"});
        let made = w.admin(2, "POST", &format!("lists/{list}/entries"), entry.clone()).await;
        w.admin(4, "POST", &format!("lists/{list}/entries"), entry).await;
        let path = format!("lists/{list}/entries/{}", made["id"].as_str().unwrap());
        w.admin(2, "PATCH", &path, json!({"note": w.secret("entry's new note")})).await;
        let encoded = made["value"].as_str().unwrap().replace('+', "%2B");
        w.admin(2, "GET", &format!("lists/{list}/entries?value={encoded}"), Value::Null).await;
    }
    let user = json!({"value": w.number("denied user"), "note": w.secret("user's note")});
    w.admin(2, "POST", "lists/deny-user/entries", user).await;
    let mut table = "value,note\r\n".to_owned();
    for n in 0..10 {
        table +=
            &format!("{},{}\r\n", w.number(&format!("import {n}")), w.secret(&format!("imported note {n}")));
    }
    let csv = [("content-type", "text/csv")];
    let said = |text: &str| Said { text: Some(text.to_owned()), headers: &csv };
    let path = "/admin/v1/lists/deny-msisdn/entries/import";
    let done = w.call(&w.admin, "POST", path, said(&table)).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let again = w.call(&w.admin, "POST", path, said(&table)).await;
    assert_eq!(again.status, 400, "{}", again.text);
    let broken =
        format!("value,note\r\n{}x,{}\r\n", w.number("broken import"), w.secret("broken import's note"));
    assert_eq!(w.call(&w.admin, "POST", path, said(&broken)).await.status, 400);
}

async fn native(w: &World) {
    let hook =
        format!("http://127.0.0.1:9/{}?k={}", w.secret("callback's path"), w.secret("callback's query"));
    let to = w.number("message");
    let message = json!({"to": to, "text": format!("Dear {}", w.secret("message's text")),
        "client": client(w, "message", &to), "callback_url": hook, "source": "Acme",
        "client_message_id": w.secret("client message id")});
    let key = w.secret("idempotency key");
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    for _ in 0..2 {
        let said = Said { text: Some(message.to_string()), headers: &headers };
        assert_eq!(w.call(&w.key, "POST", "/v1/messages", said).await.status, 201);
    }
    let other = Said {
        text: Some(json!({"to": w.number("key reused"), "text": "x"}).to_string()),
        headers: &headers,
    };
    assert!(w.call(&w.key, "POST", "/v1/messages", other).await.status >= 400);
    let later = json!({"to": w.number("later"), "text": w.secret("later text"), "scheduled_at": FAR});
    let _ = w
        .call(&w.key, "POST", "/v1/messages", Said { text: Some(later.to_string()), headers: &headers[..1] })
        .await;
    let messages: Vec<Value> = (0..20)
        .map(|n| json!({"to": w.number(&format!("batch {n}")), "text": w.secret(&format!("batch text {n}"))}))
        .collect();
    let batch = json!({"messages": messages, "client_batch_id": w.secret("batch id")});
    w.api(2, "POST", "/v1/messages/batch", batch).await;
    for purpose in ["message", "login"] {
        let to = w.number("decision");
        let ask = json!({"to": to, "purpose": purpose, "text": w.secret("decision's text"),
            "client": client(w, "decision", &to), "metadata": {"k": w.secret("decision's metadata")},
            "limit_keys": {}});
        let made = w.api(2, "POST", "/v1/decisions", ask).await;
        let id = made["id"].as_str().unwrap();
        w.api(2, "POST", &format!("/v1/decisions/{id}/outcome"), json!({"result": "sent"})).await;
        let asked = json!({"to": w.number("explained")});
        w.admin(2, "POST", "explain", asked).await;
    }
    let outcome = json!({"to": w.number("outcome"), "within": "1h", "result": "sent"});
    let answer = Said { text: Some(outcome.to_string()), headers: &headers[..1] };
    w.call(&w.key, "POST", "/v1/outcomes", answer).await;
}

async fn checks(w: &World) {
    for n in 0..5 {
        let to = w.number("verification");
        let start = json!({"to": to, "client": client(w, "verification", &to),
            "brand": w.secret("brand"), "purpose": w.secret("purpose")});
        let begun = w.api(2, "POST", "/v1/verifications", start.clone()).await;
        let path = format!("/v1/verifications/{}/check", begun["id"].as_str().unwrap());
        let check = json!({"code": w.secret("wrong code"), "client": client(w, "check", &to)});
        w.api(2, "POST", &path, check).await;
        // Too soon: a refusal, which is recorded too.
        let soon = Said { text: Some(start.to_string()), headers: &[("content-type", "application/json")] };
        assert!(w.call(&w.key, "POST", "/v1/verifications", soon).await.status >= 400);
        if n == 0 {
            let key = json!({"name": "approver", "scopes": ["verify", "approve"]});
            let key = w.admin(2, "POST", "api-keys", key).await["key"].as_str().unwrap().to_owned();
            w.known("approver's key", &key);
            let note = json!({"note": w.secret("approval's note")}).to_string();
            let said = Said { text: Some(note), headers: &[("content-type", "application/json")] };
            assert_eq!(w.call(&key, "POST", &path.replace("check", "approve"), said).await.status, 200);
        }
        if n == 1 {
            let encoded = start["to"].as_str().unwrap().replace('+', "%2B");
            let mut text = String::new();
            while text.is_empty() {
                let phone = w.admin(2, "GET", &format!("sandbox/messages?to={encoded}"), Value::Null).await;
                text = phone["data"][0]["text"].as_str().unwrap_or_default().to_owned();
            }
            let code: String = text.rsplit(' ').next().unwrap_or_default().to_owned();
            let done = w.api(2, "POST", &path, json!({"code": code})).await;
            if let Some(token) = done["device_token"].as_str() {
                w.known("device token", token);
            }
        }
    }
}

async fn consents(w: &World) {
    let given = json!({"to": w.number("opt-in"), "source": w.secret("opt-in's source"), "proof": w.secret("proof"),
        "ip": "203.0.113.77"});
    w.api(2, "POST", "/v1/consents", given).await;
    let double = json!({"to": w.number("double opt-in"), "source": "till", "double": true,
        "text": format!("{}? Answer YES", w.secret("question")), "sender": "Acme"});
    w.api(2, "POST", "/v1/consents", double).await;
    let out = json!({"to": w.number("opt-out"), "note": w.secret("opt-out's note")});
    w.api(2, "POST", "/v1/consents/opt-outs", out).await;
    let out =
        json!({"msisdn": w.number("operator's opt-out"), "note": w.secret("operator's opt-out's note")});
    let refused = json!({"to": out["msisdn"], "text": w.secret("text after the opt-out")});
    w.admin(2, "POST", "opt-outs", out).await;
    w.api(4, "POST", "/v1/messages", refused).await;
    let mut table = "to,subaccount_id,source,proof\r\n".to_owned();
    for _ in 0..5 {
        table +=
            &format!("{},{},till,{}\r\n", w.number("imported opt-in"), w.sub, w.secret("imported proof"));
    }
    let csv = [("content-type", "text/csv")];
    let done = w
        .call(&w.admin, "POST", "/admin/v1/consents/import", Said { text: Some(table), headers: &csv })
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let broken = format!("to,subaccount_id,source\r\n{}x,{},till\r\n", w.number("broken opt-in"), w.sub);
    let done = w
        .call(&w.admin, "POST", "/admin/v1/consents/import", Said { text: Some(broken), headers: &csv })
        .await;
    assert_eq!(done.status, 400);
}

async fn lookups(w: &World) {
    let number = w.number("lookup");
    let facts = json!({"msisdn": number, "ported": true, "operator": {"name": w.secret("operator")}});
    w.admin(2, "POST", "sandbox/lookup", facts).await;
    let digits = number.trim_start_matches('+');
    w.api(2, "GET", &format!("/v1/numbers/{digits}?type=live"), Value::Null).await;
    w.api(2, "GET", &format!("/v1/numbers/0{}?country=DE", &digits[2..]), Value::Null).await;
    w.api(2, "POST", "/v1/numbers/batch", json!({"numbers": [w.number("lookup batch"), number]})).await;
    let right = json!({"ported": false, "operator": {"name": w.secret("correction")}});
    w.admin(2, "PUT", &format!("lookup-corrections/{digits}"), right).await;
    let phone =
        format!("/api/v1/subaccounts/{}/phones/{}", w.sub, w.number("8x8 lookup").replace('+', "%2B"));
    w.api(2, "GET", &phone, Value::Null).await;
}

async fn masking(w: &World) {
    w.admin(2, "POST", "number-pools", json!({"name": "rides"})).await;
    let mask = w.number("virtual number");
    w.admin(2, "POST", "virtual-numbers", json!({"msisdn": mask, "pool": "rides"})).await;
    let (a, b) = (w.number("party a"), w.number("party b"));
    let wish = json!({"a": a, "b": b, "reference": w.secret("session's reference"),
        "metadata": {"ride": w.secret("session's metadata")}});
    let session = w.api(2, "POST", "/v1/masking/sessions", wish).await;
    assert_eq!(session["number"], mask);
    let call = w.secret("call id");
    let asked = json!({"call_id": call, "from": a, "to": mask});
    w.api(2, "POST", "/v1/masking/calls/route", asked).await;
    let stranger = json!({"call_id": w.secret("stranger's call"), "from": w.number("stranger"), "to": mask});
    w.api(2, "POST", "/v1/masking/calls/route", stranger).await;
    w.api(2, "POST", "/v1/masking/calls/events", json!({"call_id": call, "event": "ended"})).await;
    let said = json!({"from": b, "to": mask, "text": w.secret("masked text")});
    w.admin(2, "POST", "sandbox/messages", said).await;
    let said = json!({"from": w.number("stranger's text"), "to": mask, "text": w.secret("stranger's words")});
    w.admin(2, "POST", "sandbox/messages", said).await;
    let hook = json!({"type": "VSS", "url": format!("http://127.0.0.1:9/{}", w.secret("voice hook")),
        "httpAuthHeader": w.secret("voice hook's header")});
    w.api(2, "POST", &format!("/api/v1/subaccounts/{}/webhooks", w.sub), hook).await;
    let eight = json!({"namespace": "VOICE", "eventType": "CALL_ACTION", "payload": {"sessionId": w.secret("8x8 call"),
        "callId": "1", "callStatus": "CALL_RECEIVED", "callDirection": "INBOUND", "callType": "PSTN",
        "source": w.number("8x8 caller"), "destination": mask, "timestamp": "2026-01-01T00:00:00Z"}});
    w.api(2, "POST", "/v1/masking/calls/8x8", eight).await;
    let form = format!("From=%2B{}&To=%2B{}", &w.number("forged caller")[1..], &mask[1..]);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-twilio-signature", "bm8=")];
    let forged =
        w.call("", "POST", "/v1/masking/calls/twilio", Said { text: Some(form), headers: &headers }).await;
    assert!(forged.status >= 400, "{}", forged.text);
}

async fn eight(w: &World) {
    let sub = format!("/api/v1/subaccounts/{}", w.sub);
    for n in 0..5 {
        let one = json!({"destination": w.number("8x8 message"), "text": w.secret("8x8 text"),
            "clientMessageId": w.secret("8x8 client id"), "source": "Acme", "clientIp": "203.0.113.77",
            "dlrCallbackUrl": format!("http://127.0.0.1:9/{}", w.secret("8x8 callback"))});
        let sent = w.api(2, "POST", &format!("{sub}/messages"), one).await;
        let path = format!("{sub}/messages/{}", sent["umid"].as_str().unwrap());
        w.call(&w.key, "GET", &path, Said::default()).await;
        if n == 0 {
            w.api(2, "DELETE", &format!("{path}/pii"), Value::Null).await;
        }
    }
    let messages: Vec<Value> = (0..10)
        .map(|n| json!({"destination": w.number(&format!("8x8 batch {n}")), "text": w.secret(&format!("8x8 batch text {n}"))}))
        .collect();
    let batch = json!({"messages": messages, "clientBatchId": w.secret("8x8 batch id")});
    w.api(2, "POST", &format!("{sub}/messages/batch"), batch).await;
    let sessions = format!("/api/v2/subaccounts/{}/sessions", w.sub);
    for _ in 0..3 {
        let start = json!({"destination": w.number("8x8 session"), "brand": w.secret("8x8 brand"), "clientIp": "203.0.113.77",
            "callbackUrl": format!("http://127.0.0.1:9/{}", w.secret("8x8 session's callback"))});
        let begun = w.api(2, "POST", &sessions, start).await;
        let id = begun["sessionId"].as_str().unwrap();
        let code = w.secret("8x8 wrong code");
        w.call(&w.key, "GET", &format!("{sessions}/{id}?code={code}"), Said::default()).await;
    }
    let job = json!({"phoneNumber": w.number("export")});
    w.call(
        &w.key,
        "POST",
        &format!("{sub}/messages/exports"),
        Said { text: Some(job.to_string()), headers: &[("content-type", "application/json")] },
    )
    .await;
    let hook = json!([{"subAccountId": "*", "enabled": true, "url": format!("http://127.0.0.1:9/{}", w.secret("8x8 webhook")),
        "httpAuthorization": format!("Basic {}", w.secret("8x8 webhook's authorization"))}]);
    let hook = w.api(2, "POST", &format!("/api/v1/accounts/{}/webhooks", w.account), hook).await;
    assert!(hook.is_array() || hook.is_null() || hook.is_object());
}

async fn eight_contacts(w: &World) {
    let account = format!("/api/v1/accounts/{}", w.account);
    let group = json!({"name": "Friends", "description": w.secret("group's description")});
    let group = w.api(2, "POST", &format!("{account}/groups"), group).await;
    for _ in 0..4 {
        let contact = json!({"firstName": w.secret("first name"), "lastName": w.secret("last name"), "country": "DE",
            "groups": [{"id": group["id"]}],
            "addresses": {"msisdn": w.number("contact"), "email": format!("{}@example.com", w.secret("address"))},
            "customAttributes": {"company": w.secret("attribute")}});
        let made = w.api(2, "POST", &format!("{account}/contacts"), contact).await;
        let patch = json!([{"op": "replace", "path": "/firstName", "value": w.secret("new first name")}]);
        w.api(2, "PATCH", &format!("{account}/contacts/{}", made["id"]), patch).await;
    }
    let black = w.number("blacklist").replace('+', "%2B");
    w.api(2, "POST", &format!("{account}/contacts/blacklist/{black}"), Value::Null).await;
    let query = w.secret("contacts' query");
    w.api(2, "GET", &format!("{account}/contacts?query={query}"), Value::Null).await;
}

async fn providers(w: &World) {
    let settings = json!({"url": format!("{}/send?key={}", w.echo.uri(), w.secret("provider's query")), "method": "POST",
        "allow_http": true, "headers": {"authorization": format!("Bearer {}", w.secret("provider's token"))},
        "body": {"id": "{id}", "to": "{to}", "text": "{text}", "pass": w.secret("provider's body")},
        "receipts": {"reference": "/id", "state": "/status", "states": {"delivered": ["ok"]}},
        "inbound": {"from": "/msisdn", "to": "/to", "text": "/text"}, "secret": w.secret("provider's callback secret")});
    let secret = settings["secret"].as_str().unwrap().to_owned();
    let made = w
        .admin(
            2,
            "POST",
            "providers",
            json!({"name": "echo", "kind": "http", "enabled": true, "settings": settings}),
        )
        .await;
    let callback = made["callback_url_path"].as_str().unwrap().to_owned();
    w.known("callback's token", callback.rsplit('/').next().unwrap());
    let smpp = json!({"host": "127.0.0.1", "port": 9, "system_id": "qksystem", "password": "qkqkqkqk"});
    w.known("SMPP password", "qkqkqkqk");
    w.known("SMPP system id", "qksystem");
    let smpp = json!({"name": "smpp", "kind": "smpp", "enabled": true, "settings": smpp});
    w.admin(2, "POST", "providers", smpp).await;
    w.admin(
        2,
        "POST",
        "routes",
        json!({"name": "echo", "match": {"country": "AT"}, "providers": ["echo", "smpp"]}),
    )
    .await;
    // The provider refuses it, and its error repeats everything.
    for _ in 0..3 {
        let message = json!({"to": w.austrian("refused by the provider"), "text": w.secret("refused text")});
        w.api(2, "POST", "/v1/messages", message).await;
    }
    let json = [("content-type", "application/json")];
    let said = json!({"msisdn": w.number("inbound by callback").trim_start_matches('+'), "to": "Acme", "text": w.secret("inbound text")});
    let path = format!("{callback}?secret={secret}");
    let taken = w.call("", "POST", &path, Said { text: Some(said.to_string()), headers: &json }).await;
    assert!(taken.status < 300, "{} {}", taken.status, taken.text);
    let odd = json!({"msisdn": w.number("odd callback"), "what": w.secret("odd callback's words")});
    w.call("", "POST", &path, Said { text: Some(odd.to_string()), headers: &json }).await;
    let forged = format!("{callback}?secret={}", w.secret("forged secret"));
    w.call("", "POST", &forged, Said { text: Some(said.to_string()), headers: &json }).await;
    w.call(
        "",
        "POST",
        &format!("/callbacks/echo/{}", w.secret("forged token")),
        Said { text: Some(said.to_string()), headers: &json },
    )
    .await;
    w.call("", "GET", &format!("/n/{}", w.secret("forged link")), Said::default()).await;
}

async fn inbound(w: &World) {
    for text in ["stop", "what time is it", "stop the presses, it is a boy"] {
        let said = json!({"from": w.number("inbound"), "to": "Acme", "text": format!("{text} {}", w.secret("inbound words"))});
        w.admin(2, "POST", "sandbox/messages", said).await;
    }
}
