//! Health, metrics, callbacks and the document.

use std::ffi::OsStr;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::common::Gateway;

#[tokio::test(flavor = "multi_thread")]
async fn health_and_readiness_name_what_they_depend_on() {
    let gateway = Gateway::new().await;
    let get = async |path: &str| gateway.raw("GET", path, None, None, &[]).await;
    assert_eq!(get("/healthz").await.expect(200), json!({"status": "ok"}));
    let ready = get("/readyz").await.expect(200);
    assert_eq!(
        (&ready["status"], &ready["ledger"], &ready["counters"]),
        (&json!("ready"), &json!("up"), &json!("up"))
    );
    assert_eq!(ready["providers"], json!({"sandbox": "up"}));
    assert!(ready["outbox"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_for_this_machine_and_the_admin() {
    let gateway = Gateway::new().await;
    gateway.api("POST", "/v1/messages", Some(json!({"to": "+6591234567", "text": "hi"}))).await.expect(201);
    let local = gateway.raw("GET", "/metrics", None, None, &[]).await;
    assert_eq!(
        (local.status, local.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        local.text.contains("seawall_requests_total{dialect=\"native\",status=\"2xx\"} 1\n"),
        "{}",
        local.text
    );
    assert!(!local.text.contains("91234567"));
    let proxied = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(
        gateway.raw("GET", "/metrics", None, None, &proxied).await.expect(401)["code"],
        "unauthorized"
    );
    let token = gateway.first.admin_token.clone();
    assert_eq!(gateway.raw("GET", "/metrics", Some(&token), None, &proxied).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_do_not_tell_names_from_tokens() {
    let gateway = Gateway::new().await;
    let stripped = |mut body: Value| {
        body["request_id"] = Value::Null;
        body["instance"] = Value::Null;
        body
    };
    let wrong = gateway.raw("POST", "/callbacks/sandbox/nope", None, Some("{}"), &[]).await.expect(404);
    let none = gateway.raw("POST", "/callbacks/nobody/nope", None, Some("{}"), &[]).await.expect(404);
    assert_eq!(stripped(wrong), stripped(none));
    let snapshot = gateway.running.app.snapshot.load_full();
    let path = format!("/callbacks/sandbox/{}", snapshot.providers["sandbox"].provider.callback_token);
    let refused = gateway.raw("POST", &path, None, Some("{}"), &[]).await.expect(400);
    assert_eq!(refused["code"], "callback-not-understood", "the sandbox has no callbacks");
    let big = "x".repeat(65 * 1024);
    assert_eq!(gateway.raw("POST", &path, None, Some(&big), &[]).await.expect(413)["code"], "body-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served() {
    let gateway = Gateway::new().await;
    let document = gateway.raw("GET", "/openapi.json", None, None, &[]).await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/messages"]["post"].is_object());
}

/// Requests made from the document are answered as the document says. Needs Python with schemathesis.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_the_document_says() {
    let Some(python) = std::env::var_os("SEAWALL_TEST_PYTHON") else {
        eprintln!("SKIPPED: schemathesis (set SEAWALL_TEST_PYTHON to a Python that has it)");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "with CI=true nothing may be skipped");
        return;
    };
    let gateway = Gateway::new().await;
    let (key, admin) = (gateway.first.api_key.clone(), gateway.first.admin_token.clone());
    // The admin comes last: what is made up there may delete the key.
    for (path, token) in
        [("/v1/", &key), ("/api/", &key), ("/(healthz|readyz|metrics)", &admin), ("/admin/", &admin)]
    {
        let output = schemathesis(&python, &gateway.base, path, token);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A bounded run with a fixed seed over the paths that begin so.
fn schemathesis(python: &OsStr, base: &str, path: &str, token: &str) -> Output {
    let checks =
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    Command::new(python)
        .args(["-m", "schemathesis.cli", "run", &format!("{base}/openapi.json")])
        .args(["--include-path-regex", &format!("^{path}"), "--seed", "1", "--max-examples", "15"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-failures",
            "20",
            "--generation-database",
            "none",
        ])
        .args(["--checks", checks, "-H", &format!("Authorization: Bearer {token}")])
        .output()
        .unwrap()
}
