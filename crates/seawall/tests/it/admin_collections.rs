//! `/admin/v1/…`: what is set up is checked, stored, shown without secrets, and in force at once.

use serde_json::{Value, json};

use crate::common::{Gateway, seawall};

/// One of each collection, with a change to it.
fn examples(sub: &str) -> Vec<(&'static str, Value, Value)> {
    vec![
        ("subaccounts", json!({"id": "shop.eu"}), json!({"name": "Shop"})),
        ("api-keys", json!({"name": "app", "subaccounts": [sub]}), json!({"enabled": false})),
        (
            "limits",
            json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 3, "window": "30m"}),
            json!({"quota": 4}),
        ),
        (
            "providers",
            json!({"name": "second", "kind": "sandbox"}),
            json!({"settings": {"outcome": "unreachable"}}),
        ),
        (
            "routes",
            json!({"name": "sg", "match": {"country": "SG"}, "providers": ["sandbox"]}),
            json!({"match": {"channel": "sms"}}),
        ),
        ("prices", json!({"country": "SG", "amount": 30000, "currency": "USD"}), json!({"amount": 31000})),
        (
            "webhooks",
            json!({"url": "https://example.com/hook", "authorization": "Basic abc"}),
            json!({"enabled": false}),
        ),
        ("templates", json!({"name": "short", "text": "{code}: {brand}"}), json!({"text": "Code: {code}"})),
        ("opt-outs", json!({"msisdn": "+6591234567", "note": "asked"}), json!({})),
        ("ip-allowlist", json!({"cidr": "127.0.0.0/8"}), json!({"description": "this machine"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_collection_creates_shows_changes_and_deletes() {
    let gateway = Gateway::new().await;
    for (name, body, change) in examples(gateway.sub()) {
        let all = format!("/admin/v1/{name}");
        let made = gateway.admin("POST", &all, Some(body.clone())).await.expect(201);
        let one = format!("{all}/{}", made["id"].as_str().unwrap());
        let shown = gateway.admin("GET", &one, None).await.expect(200);
        assert!(
            shown["id"] == made["id"] && !shown["key"].is_string() && shown.get("secret").is_none(),
            "{shown}"
        );
        let listed = gateway.admin("GET", &all, None).await.expect(200);
        assert!(listed["data"].as_array().unwrap().iter().any(|entry| entry["id"] == made["id"]), "{listed}");
        if name != "opt-outs" {
            let again = gateway.admin("POST", &all, Some(body.clone())).await;
            // Webhooks of the same subaccount and keys of the same name are duplicates, too.
            assert_eq!(again.expect(409)["code"], "name-taken", "{name}");
            let changed = gateway.admin("PATCH", &one, Some(change.clone())).await.expect(200);
            for (field, value) in change.as_object().unwrap() {
                if !value.is_object() {
                    assert_eq!(changed[field], *value, "{name}");
                }
            }
            let unknown = gateway.admin("PATCH", &one, Some(json!({"colour": "red"}))).await.expect(400);
            assert_eq!(
                (&unknown["field"], &unknown["code"]),
                (&json!("colour"), &json!("invalid-request")),
                "{name}"
            );
        }
        gateway.admin("DELETE", &one, None).await.expect(204);
        assert_eq!(gateway.admin("GET", &one, None).await.expect(404)["code"], "not-found", "{name}");
        gateway.admin("DELETE", &one, None).await.expect(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let gateway = Gateway::new().await;
    let limit = |change: Value| {
        let mut limit =
            json!({"name": "n", "per": "msisdn", "applies_to": ["sms.send"], "quota": 1, "window": "30m"});
        for (field, value) in change.as_object().unwrap() {
            limit[field] = value.clone();
        }
        ("limits", limit)
    };
    let cases = [
        (limit(json!({"quota": 0})), "quota"),
        (limit(json!({"quota": 1_000_001})), "quota"),
        (limit(json!({"quota": "ten"})), "quota"),
        (limit(json!({"window": "31d"})), "window"),
        (limit(json!({"window": 30})), "window"),
        (limit(json!({"per": "moon"})), "per"),
        (limit(json!({"digits": 4})), "digits"),
        (limit(json!({"per": "number_range", "digits": 9})), "digits"),
        (limit(json!({"applies_to": []})), "applies_to"),
        (limit(json!({"applies_to": ["sms.read"]})), "applies_to[0]"),
        (limit(json!({"subaccount_id": "nobody"})), "subaccount_id"),
        (limit(json!({"windw": "30m"})), "windw"),
        (("subaccounts", json!({"id": "a b"})), "id"),
        (("subaccounts", json!({"id": "okay", "products": ["fax"]})), "products"),
        (
            ("subaccounts", json!({"id": "okay", "country_policy": {"countries": {"SG": "shut"}}})),
            "country_policy.countries.SG",
        ),
        (("subaccounts", json!({})), "id"),
        (("api-keys", json!({"name": "k", "scopes": ["root"]})), "scopes[0]"),
        (("api-keys", json!({"name": "k", "scopes": []})), "scopes"),
        (("api-keys", json!({"name": "k", "ip_allowlist": ["10.0.0.0/99"]})), "ip_allowlist"),
        (("api-keys", json!({"name": "k", "expires_at": "2020-01-01T00:00:00Z"})), "expires_at"),
        (("api-keys", json!({"name": "k", "subaccounts": ["nobody"]})), "subaccounts"),
        (("ip-allowlist", json!({"cidr": "everywhere"})), "cidr"),
        (("providers", json!({"name": "a/b", "kind": "sandbox"})), "name"),
        (("providers", json!({"name": "ab", "kind": "pigeon"})), "kind"),
        (
            ("providers", json!({"name": "ab", "kind": "sandbox", "settings": {"outcom": "unknown"}})),
            "settings.outcom",
        ),
        (
            (
                "providers",
                json!({"name": "ab", "kind": "smpp", "settings": {"host": "127.0.0.1", "port": 1, "system_id": "a", "password": "***"}}),
            ),
            "settings",
        ),
        (("routes", json!({"providers": ["nobody"]})), "providers"),
        (("routes", json!({"providers": []})), "providers"),
        (("routes", json!({"match": {"contry": "SG"}, "providers": ["sandbox"]})), "match.contry"),
        (("prices", json!({"country": "SG", "mcc": "525", "amount": 1, "currency": "USD"})), "mnc"),
        (("prices", json!({"country": "Singapore", "amount": 1, "currency": "USD"})), "country"),
        (("prices", json!({"country": "SG", "amount": 0.5, "currency": "USD"})), "amount"),
        (("webhooks", json!({"url": "ftp://example.com"})), "url"),
        (("templates", json!({"name": "t", "text": "no code"})), "text"),
        (("opt-outs", json!({"msisdn": "91234567"})), "msisdn"),
    ];
    for ((name, body), field) in cases {
        let refused = gateway.admin("POST", &format!("/admin/v1/{name}"), Some(body.clone())).await;
        assert_eq!(refused.headers["content-type"], "application/problem+json", "{name} {body}");
        let refused = refused.expect(400);
        assert_eq!(refused["field"], field, "{name} {body}: {refused}");
    }
    for (patch, field) in [
        (json!({"detection": {"mode": "loud"}}), "detection.mode"),
        (json!({"observe_until": "tomorrow"}), "observe_until"),
        (json!({"color": 1}), "color"),
    ] {
        assert_eq!(
            gateway.admin("PATCH", "/admin/v1/settings", Some(patch)).await.expect(400)["field"],
            field
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_rotates_overlaps_and_is_switched_off() {
    let gateway = Gateway::new().await;
    let made = gateway.admin("POST", "/admin/v1/api-keys", Some(json!({"name": "app"}))).await.expect(201);
    let first = made["key"].as_str().unwrap().to_owned();
    assert!(first.starts_with("sw_live_") && first.ends_with(made["last6"].as_str().unwrap()));
    let try_key = async |key: &str| {
        let dry = json!({"to": "+6591234567", "purpose": "verification", "dry_run": true}).to_string();
        gateway.raw("POST", "/v1/decisions", Some(key), Some(&dry), &[]).await.status
    };
    assert_eq!(try_key(&first).await, 200);
    // By its name, too.
    let rotated = gateway
        .admin("POST", "/admin/v1/api-keys/app/rotate", Some(json!({"overlap": "1h"})))
        .await
        .expect(200);
    let second = rotated["key"].as_str().unwrap().to_owned();
    assert!(first != second && rotated["previous_valid_until"].is_string());
    assert_eq!((try_key(&first).await, try_key(&second).await), (200, 200));
    gateway.advance("61m").await;
    assert_eq!((try_key(&first).await, try_key(&second).await), (401, 200));
    let off = json!({"enabled": false});
    gateway.admin("PATCH", "/admin/v1/api-keys/app", Some(off)).await.expect(200);
    assert_eq!(try_key(&second).await, 401);
    let log = gateway.admin("GET", "/admin/v1/audit", None).await;
    assert!(!log.text.contains(&first) && !log.text.contains(&second));
    let actions: Vec<Value> =
        log.json()["data"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions[..3], ["api-keys.update", "api-keys.rotate", "api-keys.create"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_administer() {
    let gateway = Gateway::new().await;
    let get = async |token: Option<&str>| gateway.raw("GET", "/admin/v1/limits", token, None, &[]).await;
    let stranger = get(None).await;
    assert!(stranger.headers.contains_key("www-authenticate"));
    assert_eq!(stranger.expect(401)["code"], "unauthorized");
    assert_eq!(get(Some("sw_admin_nonsense")).await.status, 401);
    assert_eq!(get(Some(&gateway.first.api_key)).await.expect(403)["code"], "scope-missing");
    let reader = json!({"name": "reader", "scopes": ["admin:read"]});
    let reader = gateway.admin("POST", "/admin/v1/api-keys", Some(reader)).await.expect(201);
    let reader = reader["key"].as_str().unwrap();
    assert_eq!(get(Some(reader)).await.status, 200);
    // Not even what is wrong with the body is told to who may not write.
    let refused = gateway.raw("POST", "/admin/v1/limits", Some(reader), Some("{"), &[]).await;
    assert_eq!(refused.expect(403)["code"], "scope-missing");
    // A list without this machine locks keys out, and not the admin token.
    let elsewhere = json!({"cidr": "192.0.2.0/24"});
    gateway.admin("POST", "/admin/v1/ip-allowlist", Some(elsewhere)).await.expect(201);
    assert_eq!(get(Some(reader)).await.expect(403)["code"], "ip-not-allowed");
    assert_eq!(gateway.admin("GET", "/admin/v1/limits", None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_a_provider_are_masked_and_kept() {
    let gateway = Gateway::new().await;
    let body = json!({"name": "smsc", "kind": "smpp", "enabled": false, "settings":
        {"host": "127.0.0.1", "port": 1, "system_id": "me", "password": "geheim"}});
    let made = gateway.admin("POST", "/admin/v1/providers", Some(body)).await.expect(201);
    assert_eq!(
        (&made["settings"]["password"], &made["health"]["state"]),
        (&json!("***"), &json!("disabled"))
    );
    let patch = json!({"settings": {"password": "***", "port": 2}});
    let changed = gateway.admin("PATCH", "/admin/v1/providers/smsc", Some(patch)).await.expect(200);
    assert_eq!((&changed["settings"]["password"], &changed["settings"]["port"]), (&json!("***"), &json!(2)));
    let stored = gateway.running.app.store.directory.documents("providers").await.unwrap();
    let stored = stored.iter().find(|d| d.name.as_deref() == Some("smsc")).unwrap();
    assert_eq!(stored.body["settings"]["password"], "geheim");
    let log = gateway.admin("GET", "/admin/v1/audit", None).await;
    assert!(!log.text.contains("geheim"));
    // What a route uses stays.
    let route = json!({"name": "over", "providers": ["smsc", "sandbox"]});
    gateway.admin("POST", "/admin/v1/routes", Some(route)).await.expect(201);
    for change in [("DELETE", None), ("PATCH", Some(json!({"name": "other"})))] {
        let refused = gateway.admin(change.0, "/admin/v1/providers/smsc", change.1).await.expect(409);
        assert!(refused["detail"].as_str().unwrap().contains("`over`"), "{refused}");
    }
    let users = gateway.admin("DELETE", &format!("/admin/v1/subaccounts/{}", gateway.sub()), None).await;
    assert_eq!(users.status, 204, "nothing names the first subaccount");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_page_by_page_and_cursors_cannot_be_made_up() {
    let gateway = Gateway::new().await;
    for n in 0..5 {
        let body = json!({"id": format!("sub-{n}")});
        gateway.admin("POST", "/admin/v1/subaccounts", Some(body)).await.expect(201);
    }
    let (mut seen, mut path) = (Vec::new(), "/admin/v1/subaccounts?limit=2".to_owned());
    loop {
        let page = gateway.admin("GET", &path, None).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/admin/v1/subaccounts?limit=2&cursor={cursor}");
        let other = gateway.admin("GET", &format!("/admin/v1/limits?cursor={cursor}"), None).await;
        assert_eq!(other.expect(400)["code"], "invalid-cursor", "a cursor of another list");
    }
    assert_eq!(seen, [gateway.sub(), "sub-0", "sub-1", "sub-2", "sub-3", "sub-4"]);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=AAAA", "cursor=%21", "page=2"] {
        gateway.admin("GET", &format!("/admin/v1/subaccounts?{query}"), None).await.expect(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_in_force_at_once_and_after_a_restart() {
    let gateway = Gateway::new().await;
    let send = async |gateway: &Gateway, to: &str| {
        gateway.api("POST", "/v1/messages", Some(json!({"to": to, "text": "hi"}))).await.status
    };
    let sub = format!("/admin/v1/subaccounts/{}", gateway.sub());
    let off = json!({"country_policy": {"countries": {"SG": "off"}}});
    gateway.admin("PATCH", &sub, Some(off)).await.expect(200);
    assert_eq!(send(&gateway, "+6591234567").await, 403);
    let gateway = gateway.restart().await;
    assert_eq!(send(&gateway, "+6591234567").await, 403);
    // A merge patch takes one country back and leaves the rest.
    let back = json!({"country_policy": {"countries": {"SG": null, "MY": "off"}}});
    let changed = gateway.admin("PATCH", &sub, Some(back)).await.expect(200);
    assert_eq!(changed["country_policy"], json!({"default": "protected", "countries": {"MY": "off"}}));
    assert_eq!(send(&gateway, "+6591234567").await, 201);
    let entry =
        gateway.admin("POST", "/admin/v1/opt-outs", Some(json!({"msisdn": "+6591234567"}))).await.expect(201);
    assert_eq!(entry["msisdn"], "+659123xxxx");
    assert_eq!(send(&gateway, "+6591234567").await, 403);
    let found = gateway.admin("GET", "/admin/v1/opt-outs?msisdn=%2B6591234567", None).await.expect(200);
    assert_eq!(found["data"][0]["id"], entry["id"]);
    gateway.admin("DELETE", "/admin/v1/opt-outs/+6591234567", None).await.expect(204);
    assert_eq!(send(&gateway, "+6591234567").await, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_changed_back_and_forth_stays_exact() {
    let gateway = Gateway::new().await;
    let send = async || {
        let body = json!({"to": "+6591234567", "text": "hi"});
        gateway.api("POST", "/v1/messages", Some(body)).await.status
    };
    let limit =
        json!({"name": "few", "per": "msisdn", "applies_to": ["sms.send"], "quota": 2, "window": "1h"});
    gateway.admin("POST", "/admin/v1/limits", Some(limit)).await.expect(201);
    assert_eq!([send().await, send().await, send().await], [201, 201, 429]);
    let change =
        async |change: Value| gateway.admin("PATCH", "/admin/v1/limits/few", Some(change)).await.expect(200);
    change(json!({"quota": 3})).await;
    assert_eq!([send().await, send().await], [201, 429]);
    change(json!({"mode": "off"})).await;
    assert_eq!(send().await, 201);
    change(json!({"mode": "enforce", "quota": 5})).await;
    assert_eq!([send().await, send().await], [201, 429]);
    change(json!({"quota": 2})).await;
    assert_eq!(send().await, 429);
    change(json!({"quota": 6})).await;
    assert_eq!([send().await, send().await], [201, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subaccounts_are_made_and_changed_from_a_shell() {
    let gateway = Gateway::new().await;
    let run = async |line: &str| seawall(&gateway, &line.split(' ').collect::<Vec<_>>()).await;
    let (said, _, code) = run("subaccount create acme_shop --name Shop --product sms --country SG=off").await;
    assert_eq!((said.trim(), code), ("Subaccount acme_shop is made.", Some(0)));
    let (said, _, _) = run("subaccount show acme_shop --json").await;
    let shown: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&shown["name"], &shown["products"]), (&json!("Shop"), &json!(["sms"])));
    assert_eq!(shown["country_policy"]["countries"], json!({"SG": "off"}));
    let (_, _, code) =
        run("subaccount set acme_shop dedup_window=30s require_client_ip=true name=null").await;
    assert_eq!(code, Some(0));
    let (said, _, _) = run("subaccount list").await;
    assert!(said.contains("acme_shop") && said.contains(gateway.sub()), "{said}");
    let shown = gateway.admin("GET", "/admin/v1/subaccounts/acme_shop", None).await.expect(200);
    assert_eq!((&shown["dedup_window"], &shown["require_client_ip"]), (&json!("30s"), &json!(true)));
    assert_eq!(shown["name"], json!(null));
    let (_, complaint, code) = run("subaccount set acme_shop dedup_window=soon").await;
    assert!(code == Some(1) && complaint.contains("`soon` is not a duration"), "{complaint}");
    assert_eq!(run("subaccount set acme_shop dedup_window").await.2, Some(2));
    assert_eq!(run("subaccount delete acme_shop").await.2, Some(0));
    gateway.admin("GET", "/admin/v1/subaccounts/acme_shop", None).await.expect(404);
}
