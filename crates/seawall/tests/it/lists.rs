//! `/admin/v1/lists`: what an entry of each kind does in both dialects, its life, and tables of entries.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Gateway};

/// The country of this number is +998, its range +99893412.
const TO: &str = "+998934123456";

/// A gateway whose detection says nothing of the many messages to one number.
async fn quiet() -> Gateway {
    let gateway = Gateway::new().await;
    let off = json!({"detection": {"mode": "off"}});
    gateway.admin("PATCH", "/admin/v1/settings", Some(off)).await.expect(200);
    gateway
}

fn entries(list: &str) -> String {
    format!("/admin/v1/lists/{list}/entries")
}

async fn add(gateway: &Gateway, list: &str, entry: Value) -> Value {
    gateway.admin("POST", &entries(list), Some(entry)).await.expect(201)
}

async fn csv(gateway: &Gateway, path: &str, table: &str) -> Answer {
    let token = gateway.first.admin_token.clone();
    gateway.raw("POST", path, Some(&token), Some(table), &[("content-type", "text/csv")]).await
}

/// A message through the native dialect, with everything that an entry could name.
fn native() -> Value {
    json!({"to": TO, "text": "hi", "source": "Acme", "client":
        {"ip": "203.0.113.9", "user_id": "user-1", "fingerprint": "print-1"}})
}

async fn send(gateway: &Gateway) -> Answer {
    gateway.api("POST", "/v1/messages", Some(native())).await
}

/// The same through the 8x8 dialect: the state of the message, and the status of a verification.
async fn eight(gateway: &Gateway) -> (String, u16) {
    let sms = json!({"destination": TO, "text": "hi", "source": "Acme", "clientIp": "203.0.113.9"});
    let path = format!("/api/v1/subaccounts/{}/messages", gateway.sub());
    let sent = gateway.api("POST", &path, Some(sms)).await.expect(200);
    let ask = json!({"destination": TO, "clientIp": "203.0.113.9", "sms": {"source": "Acme"}});
    let path = format!("/api/v2/subaccounts/{}/sessions", gateway.sub());
    let status = gateway.api("POST", &path, Some(ask)).await.status;
    (sent["status"]["code"].as_str().unwrap().to_owned(), status)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_every_kind_denies_at_once_and_no_longer_than_it_is_there() {
    let gateway = quiet().await;
    for limit in gateway.admin("GET", "/admin/v1/limits", None).await.expect(200)["data"].as_array().unwrap()
    {
        let path = format!("/admin/v1/limits/{}", limit["id"].as_str().unwrap());
        gateway.admin("DELETE", &path, None).await.expect(204);
    }
    for (list, value, canonical, in_eight) in [
        ("deny-msisdn", "00 998 93 412-34-56", TO, true),
        ("deny-number_range", "998 93 412", "+99893412", true),
        ("deny-ip", "203.0.113.77/24", "203.0.113.0/24", true),
        ("deny-country", "uz", "UZ", true),
        ("deny-sender_id", "ACME", "ACME", true),
        ("deny-user", "user-1", "user-1", false),
        ("deny-device", "print-1", "print-1", false),
    ] {
        assert_eq!(send(&gateway).await.status, 201, "before {list}");
        let made = add(&gateway, list, json!({"value": value, "note": "seen in May"})).await;
        assert_eq!((&made["value"], &made["author"]), (&json!(canonical), &json!("admin-token")));
        let refused = send(&gateway).await.expect(403);
        assert_eq!((&refused["code"], &refused["reasons"][0]["key"]), (&json!("deny-entry"), &json!(list)));
        let id = refused["decision_id"].as_str().unwrap();
        if in_eight {
            assert_eq!(eight(&gateway).await, ("REJECTED".to_owned(), 403), "{list}");
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let decision = gateway.admin("GET", &format!("/admin/v1/decisions/{id}"), None).await.expect(200);
        assert_eq!(decision["facts"]["lists"], json!([list]), "{decision}");
        assert!(decision["reasons"].to_string().contains(made["id"].as_str().unwrap()), "{decision}");
        let one = format!("{}/{}", entries(list), made["id"].as_str().unwrap());
        let shown = gateway.admin("GET", &one, None).await.expect(200);
        assert_eq!(shown["hits"], if in_eight { 3 } else { 1 }, "{shown}");
        gateway.admin("DELETE", &one, None).await.expect(204);
        gateway.admin("GET", &one, None).await.expect(404);
    }
    assert_eq!(send(&gateway).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tables_say_of_the_clients_address_is_denied_too() {
    let gateway = quiet().await;
    let ask = json!({"to": TO, "text": "hi", "client": {"ip": "8.8.8.8"}});
    let sent = gateway.api("POST", "/v1/messages", Some(ask.clone())).await.expect(201);
    let decision = format!("/admin/v1/decisions/{}", sent["decision_id"].as_str().unwrap());
    let facts = gateway.admin("GET", &decision, None).await.expect(200)["facts"]["ip"].clone();
    assert!(facts["asn"].is_u64() && facts["country"].is_string(), "{facts}");
    for (list, value) in [("deny-asn", &facts["asn"]), ("deny-ip_country", &facts["country"])] {
        let made = add(&gateway, list, json!({"value": value})).await;
        let refused = gateway.api("POST", "/v1/messages", Some(ask.clone())).await.expect(403);
        assert_eq!(refused["reasons"][0]["key"], list);
        send(&gateway).await.expect(201);
        let one = format!("{}/{}", entries(list), made["id"].as_str().unwrap());
        gateway.admin("DELETE", &one, None).await.expect(204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allow_entry_lifts_policy_and_nothing_else_and_says_when_it_ends() {
    let gateway = quiet().await;
    let sub = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let off = json!({"country_policy": {"continents": {"asia": "off"}}});
    let shown = gateway.admin("PATCH", &sub, Some(off)).await.expect(200);
    assert_eq!(shown["country_policy"]["continents"], json!({"asia": "off"}));
    assert_eq!(send(&gateway).await.expect(403)["code"], "country-off");
    let missing =
        gateway.admin("POST", &entries("allow-msisdn"), Some(json!({"value": TO}))).await.expect(400);
    assert_eq!(missing["field"], "expires_at");
    assert!(missing["detail"].as_str().unwrap().contains("never"), "{missing}");
    let end = gateway.running.app.now().plus(Duration::from_secs(3600)).to_rfc3339();
    let made = add(&gateway, "allow-msisdn", json!({"value": TO, "expires_at": end})).await;
    let sent = send(&gateway).await.expect(201);
    let decision = format!("/admin/v1/decisions/{}", sent["decision_id"].as_str().unwrap());
    let reasons = gateway.admin("GET", &decision, None).await.expect(200)["reasons"].clone();
    assert!(reasons.as_array().unwrap().iter().any(|r| r["code"] == "country-off" && r["overruled"] == true));
    // Neither an opt-out nor a deny entry gives way.
    gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": TO}))).await.expect(201);
    assert_eq!(send(&gateway).await.expect(403)["code"], "opt-out");
    gateway.admin("DELETE", &format!("/admin/v1/opt-outs/{TO}"), None).await.expect(204);
    let denied = add(&gateway, "deny-number-range", json!({"value": "+99893"})).await;
    let reasons = send(&gateway).await.expect(403)["reasons"].clone();
    assert!(reasons.as_array().unwrap().iter().all(|r| r["overruled"].is_null()), "{reasons}");
    let denied = format!("{}/{}", entries("deny-number_range"), denied["id"].as_str().unwrap());
    gateway.admin("DELETE", &denied, None).await.expect(204);
    assert_eq!(send(&gateway).await.status, 201);
    gateway.advance("61m").await;
    assert_eq!(send(&gateway).await.expect(403)["code"], "country-off", "it has expired");
    let one = format!("{}/{}", entries("allow-msisdn"), made["id"].as_str().unwrap());
    assert_eq!(gateway.admin("GET", &one, None).await.expect(200)["expired"], true);
    let unsaid = gateway.admin("PATCH", &one, Some(json!({"expires_at": null}))).await.expect(400);
    assert_eq!(unsaid["field"], "expires_at");
    let never = json!({"expires_at": "never", "note": "the operator's own"});
    let changed = gateway.admin("PATCH", &one, Some(never)).await.expect(200);
    assert_eq!((&changed["expires_at"], &changed["expired"]), (&Value::Null, &json!(false)));
    assert_eq!(send(&gateway).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_entry_is_said_and_changes_nothing() {
    let gateway = quiet().await;
    for (list, entry, field) in [
        ("deny-msisdn", json!({"value": "hello"}), "value"),
        ("deny-msisdn", json!({}), "value"),
        ("deny-msisdn", json!({"value": ["+6591234567"]}), "value"),
        ("deny-ip", json!({"value": "203.0.113.0/33"}), "value"),
        ("deny-country", json!({"value": "Singapore"}), "value"),
        ("deny-asn", json!({"value": "ASX"}), "value"),
        ("deny-ip", json!({"value": "203.0.113.1", "note": ""}), "note"),
        ("deny-ip", json!({"value": "203.0.113.1", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        ("deny-ip", json!({"value": "203.0.113.1", "expires_at": "soon"}), "expires_at"),
        ("deny-ip", json!({"value": "203.0.113.1", "expires": "never"}), "expires"),
    ] {
        let refused = gateway.admin("POST", &entries(list), Some(entry.clone())).await.expect(400);
        assert_eq!(refused["field"], field, "{entry}: {refused}");
    }
    let made = add(&gateway, "deny-asn", json!({"value": 64496})).await;
    assert_eq!(made["value"], "64496");
    let again =
        gateway.admin("POST", &entries("deny-asn"), Some(json!({"value": "AS64496"}))).await.expect(409);
    assert_eq!(again["code"], "entry-exists");
    assert!(again["detail"].as_str().unwrap().contains(made["id"].as_str().unwrap()), "{again}");
    let one = format!("{}/{}", entries("deny-asn"), made["id"].as_str().unwrap());
    for (patch, field) in
        [(json!({"value": "64497"}), "value"), (json!({"notes": "x"}), "notes"), (json!([]), "(body)")]
    {
        assert_eq!(gateway.admin("PATCH", &one, Some(patch)).await.expect(400)["field"], field);
    }
    let elsewhere = one.replace("deny-asn", "deny-ip");
    gateway.admin("GET", &elsewhere, None).await.expect(404);
    gateway.admin("GET", &entries("nothing"), None).await.expect(404);
    let all = gateway.admin("GET", &entries("deny-ip"), None).await.expect(200);
    assert_eq!(all, json!({"data": [], "next_cursor": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_made_changed_and_deleted_with_their_entries() {
    let gateway = quiet().await;
    let lists = gateway.admin("GET", "/admin/v1/lists?limit=200", None).await.expect(200);
    let built_in = lists["data"].as_array().unwrap().iter().filter(|l| l["built_in"] == true).count();
    assert_eq!(built_in, 18, "one to allow and one to deny of nine kinds");
    for (method, body) in [("DELETE", None), ("PATCH", Some(json!({"description": "x"})))] {
        let refused = gateway.admin(method, "/admin/v1/lists/deny-msisdn", body).await.expect(409);
        assert_eq!(refused["code"], "in-use");
    }
    let taken = json!({"name": "deny-msisdn", "kind": "msisdn"});
    assert_eq!(gateway.admin("POST", "/admin/v1/lists", Some(taken)).await.expect(409)["code"], "name-taken");
    let wrong = json!({"name": "a/b", "kind": "msisdn"});
    assert_eq!(gateway.admin("POST", "/admin/v1/lists", Some(wrong)).await.expect(400)["field"], "name");
    let staff = json!({"name": "staff", "kind": "user"});
    let made = gateway.admin("POST", "/admin/v1/lists", Some(staff)).await.expect(201);
    assert_eq!(
        (&made["effect"], &made["used_by"], &made["entries"]),
        (&json!("named"), &json!([]), &json!(0))
    );
    add(&gateway, "staff", json!({"value": "user-1"})).await;
    assert_eq!(send(&gateway).await.status, 201, "a named list does nothing by itself");
    let allow =
        gateway.admin("PATCH", "/admin/v1/lists/staff", Some(json!({"effect": "allow"}))).await.expect(409);
    assert!(allow["detail"].as_str().unwrap().contains("no expiry"), "{allow}");
    let deny = json!({"effect": "deny", "name": "former-staff"});
    let changed = gateway.admin("PATCH", "/admin/v1/lists/staff", Some(deny)).await.expect(200);
    assert_eq!((&changed["name"], &changed["entries"]), (&json!("former-staff"), &json!(1)));
    assert_eq!(send(&gateway).await.expect(403)["reasons"][0]["key"], "former-staff");
    gateway.admin("DELETE", "/admin/v1/lists/former-staff", None).await.expect(204);
    assert_eq!(send(&gateway).await.status, 201);
    gateway.admin("GET", &entries("former-staff"), None).await.expect(404);
    // A list of the same name begins empty.
    let again = json!({"name": "former-staff", "kind": "user", "effect": "deny"});
    assert_eq!(gateway.admin("POST", "/admin/v1/lists", Some(again)).await.expect(201)["entries"], 0);
    assert_eq!(send(&gateway).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_mentions_a_list_holds_it() {
    let gateway = quiet().await;
    gateway.admin("POST", "/admin/v1/lists", Some(json!({"name": "vip", "kind": "user"}))).await.expect(201);
    let now = gateway.running.app.now();
    let document = seawall_store::records::Document {
        collection: "rules".to_owned(),
        id: "rule_0".to_owned(),
        name: Some("friends first".to_owned()),
        body: json!({"id": "rule_0", "name": "friends first", "when": "\"vip\" in lists"}),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let audit = seawall::app::audit::Actor::system().entry(now, "rules.create", "rule_0", json!({}));
    gateway.running.app.store.directory.create(document, audit).await.unwrap();
    let shown = gateway.admin("GET", "/admin/v1/lists/vip", None).await.expect(200);
    assert_eq!(shown["used_by"], json!(["friends first"]));
    for (method, body) in [("DELETE", None), ("PATCH", Some(json!({"name": "other"})))] {
        let refused = gateway.admin(method, "/admin/v1/lists/vip", body).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("friends first"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_go_page_by_page_and_are_found_by_value() {
    let gateway = quiet().await;
    for n in 0..5 {
        add(&gateway, "deny-msisdn", json!({"value": format!("+659123456{n}")})).await;
    }
    let (mut seen, mut path) = (Vec::new(), format!("{}?limit=2", entries("deny-msisdn")));
    loop {
        let page = gateway.admin("GET", &path, None).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|e| e["value"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{}?limit=2&cursor={cursor}", entries("deny-msisdn"));
    }
    assert_eq!(seen, [4, 3, 2, 1, 0].map(|n| format!("+659123456{n}")), "newest first");
    let found =
        gateway.admin("GET", &format!("{}?value=65%209123%204563", entries("deny-msisdn")), None).await;
    assert_eq!(found.expect(200)["data"][0]["value"], "+6591234563");
    let none = gateway.admin("GET", &format!("{}?value=%2B6591234569", entries("deny-msisdn")), None).await;
    assert_eq!(none.expect(200)["data"], json!([]));
    let wrong = gateway.admin("GET", &format!("{}?value=x", entries("deny-msisdn")), None).await.expect(400);
    assert_eq!(wrong["field"], "value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_out_and_comes_back_in_the_same() {
    let gateway = quiet().await;
    let notes = ["=HYPERLINK(\"http://evil.example\",\"click\")", "a, \"b\"; c", "plain", "'quoted'", "-1"];
    for (n, note) in notes.iter().enumerate() {
        add(&gateway, "deny-msisdn", json!({"value": format!("+659123456{n}"), "note": note})).await;
    }
    let soon = gateway.running.app.now().plus(Duration::from_secs(60)).to_rfc3339();
    add(&gateway, "deny-msisdn", json!({"value": "+6591234569", "expires_at": soon})).await;
    gateway.advance("2m").await;
    let export = gateway.admin("GET", &format!("{}.csv", entries("deny-msisdn")), None).await;
    assert_eq!(export.headers["content-type"], "text/csv; charset=utf-8");
    assert!(export.headers["content-disposition"].contains("deny-msisdn.csv"));
    let table = export.text.clone();
    assert_eq!(table.lines().count(), 6, "the header, and what has not expired: {table}");
    for cell in table.lines().skip(1).flat_map(|line| line.split(',')) {
        assert!(!cell.trim_start_matches('"').starts_with(['=', '+', '-', '@']), "{cell}");
    }
    let path = format!("{}/import", entries("deny-msisdn"));
    let there = csv(&gateway, &path, &table).await.expect(400);
    assert_eq!((&there["code"], &there["error_count"]), (&json!("invalid-rows"), &json!(5)));
    let imported = csv(&gateway, &format!("{path}?replace=true"), &table).await.expect(200);
    assert_eq!(
        (&imported["imported"], &imported["removed"], &imported["entries"]),
        (&json!(5), &json!(6), &json!(5))
    );
    let all = gateway.admin("GET", &entries("deny-msisdn"), None).await.expect(200);
    let mut back: Vec<(String, String)> = Vec::new();
    for entry in all["data"].as_array().unwrap() {
        back.push((entry["value"].as_str().unwrap().to_owned(), entry["note"].as_str().unwrap().to_owned()));
    }
    back.sort();
    let wanted = notes.iter().enumerate().map(|(n, note)| (format!("+659123456{n}"), (*note).to_owned()));
    assert_eq!(back, wanted.collect::<Vec<_>>());
    let body = json!({"to": "+6591234562", "text": "hi"});
    assert_eq!(gateway.api("POST", "/v1/messages", Some(body)).await.expect(403)["code"], "deny-entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_taken_as_a_whole_or_its_rows_are_named() {
    let gateway = quiet().await;
    let path = format!("{}/import", entries("deny-msisdn"));
    let table = "value,note,expires_at\n+6591234567,ok,\nnonsense,,\n+65 9123-4567,twice,\n+6591234568,,2020-01-01T00:00:00Z\n";
    let refused = csv(&gateway, &path, table).await.expect(400);
    let rows: Vec<(u64, &str)> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["row"].as_u64().unwrap(), e["field"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [(3, "value"), (4, "value"), (5, "expires_at")]);
    assert!(!refused.to_string().contains("91234567"), "{refused}");
    assert_eq!(gateway.admin("GET", &entries("deny-msisdn"), None).await.expect(200)["data"], json!([]));
    assert_eq!(csv(&gateway, &path, "number\n+6591234567\n").await.expect(400)["errors"][0]["row"], 1);
    let allow = format!("{}/import", entries("allow-msisdn"));
    let unsaid = csv(&gateway, &allow, "value\n+6591234567\n").await.expect(400);
    assert_eq!(unsaid["errors"][0]["field"], "expires_at");
    csv(&gateway, &allow, "value;expires_at\n+6591234567;never\n").await.expect(200);
    let token = gateway.first.admin_token.clone();
    let json = gateway.raw("POST", &path, Some(&token), Some("{}"), &[]).await;
    assert_eq!(json.expect(415)["code"], "unsupported-media-type");
    let many = "value\n".to_owned() + &"x\n".repeat(100_001);
    assert_eq!(csv(&gateway, &path, &many).await.expect(400)["field"], "(body)");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_change_one_by_one_at_once_and_survive_a_restart() {
    let gateway = quiet().await;
    let row = |n: u32| format!("+6590{n:06},,\n");
    let table = "value,note,expires_at\n".to_owned() + &(0..10_000).map(row).collect::<String>();
    let path = format!("{}/import", entries("deny-msisdn"));
    assert_eq!(csv(&gateway, &path, &table).await.expect(200)["entries"], 10_000);
    let status = async |gateway: &Gateway, to: &str| {
        gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await.status
    };
    assert_eq!((status(&gateway, "+6590000000").await, status(&gateway, "+6590009999").await), (403, 403));
    assert_eq!(status(&gateway, "+6590010000").await, 201);
    let begun = Instant::now();
    let made = add(&gateway, "deny-msisdn", json!({"value": "+6590010000"})).await;
    let took = begun.elapsed();
    assert_eq!(status(&gateway, "+6590010000").await, 403);
    // A rebuilt world would take far longer, also unoptimised and on a busy machine.
    assert!(took < Duration::from_secs(1), "{took:?}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let gateway = gateway.restart().await;
    assert_eq!((status(&gateway, "+6590000001").await, status(&gateway, "+6590010000").await), (403, 403));
    let one = format!("{}/{}", entries("deny-msisdn"), made["id"].as_str().unwrap());
    let shown = gateway.admin("GET", &one, None).await.expect(200);
    assert_eq!((&shown["hits"], &shown["value"]), (&json!(2), &json!("+6590010000")));
    assert!(shown["last_hit_at"].is_string());
    csv(&gateway, &format!("{path}?replace=true"), "value\n+6590000002\n").await.expect(200);
    assert_eq!((status(&gateway, "+6590000002").await, status(&gateway, "+6590000003").await), (403, 201));
    let gateway = gateway.restart().await;
    assert_eq!((status(&gateway, "+6590000002").await, status(&gateway, "+6590000004").await), (403, 201));
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_lists_are_sealed_and_masked_in_the_audit_log() {
    let gateway = quiet().await;
    let made =
        add(&gateway, "deny-msisdn", json!({"value": "+6597531864", "note": "called +6597531864"})).await;
    let table = "value,note\n+6597531865,+6597531865\n";
    csv(&gateway, &format!("{}/import", entries("deny-msisdn")), table).await.expect(200);
    let one = format!("{}/{}", entries("deny-msisdn"), made["id"].as_str().unwrap());
    gateway.admin("PATCH", &one, Some(json!({"note": "by +6597531864"}))).await.expect(200);
    gateway.admin("DELETE", &one, None).await.expect(204);
    let log = gateway.admin("GET", "/admin/v1/audit", None).await;
    assert!(log.text.contains("+659753xxxx") && !log.text.contains("97531864"), "{}", log.text);
    let actions: Vec<Value> =
        log.json()["data"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions[..4], ["entries.delete", "entries.update", "entries.import", "entries.create"]);
    let dir = gateway.dir;
    gateway.running.stop().await;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"7531865" || w == b"7531864"), "a number stands in clear");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_costs_too_much_is_refused() {
    let gateway = quiet().await;
    let price = json!({"country": "UZ", "amount": 141_100, "currency": "USD"});
    gateway.admin("POST", "/admin/v1/prices", Some(price)).await.expect(201);
    let mut ask = native();
    for (most, status) in [(141_100, 201), (141_099, 403)] {
        ask["max_price"] = json!(most);
        let answer = gateway.api("POST", "/v1/messages", Some(ask.clone())).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 403 {
            let reason = answer.json()["reasons"][0].clone();
            assert_eq!(
                (&reason["code"], &reason["value"], &reason["limit"]),
                (&json!("price-too-high"), &json!(141_100), &json!(141_099))
            );
        }
    }
    // Two segments cost twice as much.
    ask["max_price"] = json!(150_000);
    ask["text"] = json!("x".repeat(161));
    assert_eq!(
        gateway.api("POST", "/v1/messages", Some(ask.clone())).await.expect(403)["code"],
        "price-too-high"
    );
    ask["max_price"] = json!(-1);
    assert_eq!(gateway.api("POST", "/v1/messages", Some(ask)).await.expect(400)["field"], "max_price");
    let sub = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let wrong = json!({"max_price": {"countries": {"UZ": -5}}});
    assert_eq!(
        gateway.admin("PATCH", &sub, Some(wrong)).await.expect(400)["field"],
        "max_price.countries.UZ"
    );
    let bound = json!({"max_price": {"countries": {"UZ": 100_000}}});
    gateway.admin("PATCH", &sub, Some(bound)).await.expect(200);
    assert_eq!(send(&gateway).await.expect(403)["code"], "price-too-high");
    assert_eq!(eight(&gateway).await, ("REJECTED".to_owned(), 403));
    for path in ["/v1/verifications", "/v1/decisions"] {
        let ask = json!({"to": TO, "purpose": "login", "max_price": 1});
        let answer = gateway.api("POST", path, Some(ask)).await;
        assert!(answer.text.contains("price-too-high"), "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_everything_is_observed_a_deny_entry_is_recorded() {
    let gateway = Gateway::without_detection().await;
    let entry = json!({"value": "+6591234567"});
    gateway.admin("POST", "/admin/v1/lists/deny-msisdn/entries", Some(entry)).await.expect(201);
    let until = gateway.running.app.now().plus(std::time::Duration::from_secs(86_400));
    let observe = json!({"observe_until": until.to_rfc3339()});
    gateway.admin("PATCH", "/admin/v1/settings", Some(observe)).await.expect(200);
    let send = json!({"to": "+6591234567", "text": "hi"});
    let sent = gateway.api("POST", "/v1/messages", Some(send.clone())).await.expect(201);
    let id = sent["id"].as_str().unwrap().replacen("msg_", "dec_", 1);
    let decision = gateway.admin("GET", &format!("/admin/v1/decisions/{id}"), None).await.expect(200);
    let reason = &decision["reasons"][0];
    assert_eq!((&reason["code"], &reason["mode"]), (&json!("deny-entry"), &json!("shadow")));
    let end = json!({"observe_until": null});
    gateway.admin("PATCH", "/admin/v1/settings", Some(end)).await.expect(200);
    gateway.api("POST", "/v1/messages", Some(send)).await.expect(403);
}
