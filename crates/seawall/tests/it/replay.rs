//! `seawall replay` from a shell: decisions, the summary, what is wrong and its exit codes, policies and logs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn seawall(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall")).args(args).output().unwrap()
}

fn replay(trace: &Path, args: &[&str]) -> Output {
    seawall(&[&["replay", trace.to_str().unwrap()], args].concat())
}

fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A small simulated trace.
fn simulated(dir: &Path, scenario: &str, seed: &str) -> PathBuf {
    let path = dir.join(format!("{scenario}.jsonl"));
    let out = path.to_str().unwrap();
    let args = [
        "simulate",
        "--scenario",
        scenario,
        "--seed",
        seed,
        "--per-day",
        "200",
        "--warmup-days",
        "1",
        "--out",
        out,
    ];
    done(&seawall(&args));
    path
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// The same trace without `truth`.
fn unlabelled(trace: &Path) -> PathBuf {
    let strip = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line.as_object_mut().unwrap().remove("truth").is_some());
        format!("{line}\n")
    };
    let text: String = std::fs::read_to_string(trace).unwrap().lines().map(strip).collect();
    let path = trace.with_extension("plain");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn decisions_are_byte_identical_without_truth() {
    let dir = tempfile::tempdir().unwrap();
    for (scenario, seed) in
        [("seq_block", "1"), ("otp_guessing", "2"), ("hijacked_sender", "3"), ("hn_route_outage", "4")]
    {
        let trace = simulated(dir.path(), scenario, seed);
        let labelled = done(&replay(&trace, &[]));
        let plain = done(&replay(&unlabelled(&trace), &[]));
        assert!(labelled == plain, "{scenario}");
        assert_eq!(labelled.lines().count(), std::fs::read_to_string(&trace).unwrap().lines().count());
    }
}

#[test]
fn a_decision_a_line_and_the_summary_last() {
    let dir = tempfile::tempdir().unwrap();
    let trace = simulated(dir.path(), "seq_block", "1");
    let both = done(&replay(&trace, &["--json", "--warmup-until", "2026-01-12T00:00:00Z"]));
    let (decisions, summary) = both.trim_end().rsplit_once('\n').unwrap();
    let first: Value = serde_json::from_str(decisions.lines().next().unwrap()).unwrap();
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "reasons", "risk", "sent", "t", "verdict"]);
    let summary: Value = serde_json::from_str(summary).unwrap();
    let attack = &summary["attack"];
    assert_eq!(attack["n"], 4_000);
    assert_eq!(attack["campaigns"]["seq_block"]["n"], 4_000);
    assert!(attack["leak_pct"].as_f64().unwrap() <= 1.0, "{summary}");
    assert!(attack["campaigns"]["seq_block"]["messages_to_detection"].as_u64().unwrap() <= 12, "{summary}");
    assert!(attack["cost_leaked_micros"].as_u64().unwrap() > 0 && summary["seconds"].as_f64().unwrap() > 0.0);
    let (legit, all) = (&summary["legit"], decisions.lines().count() as u64);
    assert!(summary["requests"].as_u64().unwrap() < all, "the warm-up is left out");
    assert!(legit["n"].as_u64().unwrap() > 300 && legit["blocked_pct"].as_f64().unwrap() < 1.0, "{summary}");
    assert!(summary.get("unlabelled").is_none());

    let file = dir.path().join("decisions.jsonl");
    let out = ["--out", file.to_str().unwrap()];
    let only =
        done(&replay(&trace, &[&out[..], &["--json", "--warmup-until", "2026-01-12T00:00:00Z"]].concat()));
    assert_eq!(only.lines().count(), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim_end(), decisions);
    let words = done(&replay(&trace, &out));
    assert!(
        words.contains("real users: ")
            && words.contains("  seq_block: ")
            && words.contains("first stopped after"),
        "{words}"
    );
}

#[test]
fn standard_input_is_a_trace_too() {
    let dir = tempfile::tempdir().unwrap();
    let trace = simulated(dir.path(), "hn_quiet", "1");
    let mut child = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["replay", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = std::fs::read(&trace).unwrap();
    let feed = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert_eq!(done(&output), done(&replay(&trace, &[])));
}

const LINE: &str = r#"{"t":"2026-01-05T10:00:00Z","id":"r1","op":"verify.start","to":"+6591234567","if_sent":{"confirm_after_ms":null}}"#;

#[test]
fn what_is_wrong_is_named_with_its_line_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = LINE.replace("10:00:00Z", "09:59:59Z").replace("r1", "r2");
    for (second, says) in [
        (earlier.clone(), "line 2: `t` is 2026-01-05T09:59:59.000Z, before the line above it"),
        (LINE.to_owned(), "line 2: the id `r1` was used by an earlier line"),
        ("{\"t\":".to_owned(), "line 2, column 5: EOF while parsing a value"),
        (LINE.replace("r1", "r2").replace("\"to\"", "\"too\""), "line 2: missing field `to`"),
        (
            LINE.replace("r1", "r2").replace("\"+6591234567\"", "6591234567"),
            "line 2, column 73: invalid type: integer `659123xxxx`",
        ),
        (LINE.replace("r1", "r2").replace("+6591234567", "+12"), "line 2: `to`: "),
        (LINE.replace("r1", "r2").replace("10:00:00Z", "25:00"), "is not an RFC 3339 time"),
    ] {
        let trace = written(dir.path(), "t.jsonl", &format!("{LINE}\n{second}\n"));
        let out = dir.path().join("out.jsonl");
        let output = replay(&trace, &["--out", out.to_str().unwrap()]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{second}: {stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
        assert!(stderr.contains("t.jsonl, line 2") && !stderr.contains("6591234567"), "{stderr}");
        assert!(!out.exists(), "half of the decisions do not stay");
    }
    let missing = replay(&dir.path().join("nowhere"), &[]);
    assert_eq!(missing.status.code(), Some(1));
    let trace = written(dir.path(), "t.jsonl", &format!("{LINE}\n"));
    assert_eq!(replay(&trace, &["--warmup-until", "monday"]).status.code(), Some(2));
    assert_eq!(done(&replay(&written(dir.path(), "empty", ""), &[])), "");
}

fn verdicts(text: &str) -> Vec<(String, String)> {
    let one = |line: &str| {
        let decision: Value = serde_json::from_str(line).unwrap();
        let reason =
            decision["reasons"].as_array().unwrap().last().map_or("-", |r| r["code"].as_str().unwrap());
        (decision["verdict"].as_str().unwrap().to_owned(), reason.to_owned())
    };
    text.lines().map(one).collect()
}

const POLICY: &str = r#"
[settings.detection]
mode = "off"

[[subaccounts]]
id = "*"
country_policy = { countries = { UZ = "off" } }

[[subaccounts]]
id = "shop"

[[limits]]
name = "built-in client-ip"
quota = 2

[[lists]]
name = "deny-msisdn"
entries = ["+6591234560"]

[[lists]]
name = "staff"
kind = "msisdn"
entries = [{ value = "+6591234561", note = "tests" }]

[[rules]]
name = "staff is challenged"
action = "challenge"
when = 'in_list("staff")'

[[suspensions]]
scope = { country = "DZ" }
reason = "pumping"
expires_at = 2099-01-01T00:00:00Z
"#;

fn ask(n: usize, to: &str, more: &str) -> String {
    format!(
        r#"{{"t":"2026-01-05T10:00:{n:02}Z","id":"r{n}","op":"verify.start","to":"{to}","if_sent":{{"confirm_after_ms":null}}{more}}}"#
    )
}

#[test]
fn a_policy_is_read_in_the_admin_apis_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let from = r#","client":{"ip":"203.0.113.9"}"#;
    let lines = [
        ask(0, "+998901234567", ""),
        ask(1, "+998901234567", r#","subaccount":"shop""#),
        ask(2, "+6591234560", ""),
        ask(3, "+6591234561", r#","if_challenged":{"passes":true}"#),
        ask(4, "+6591234562", from),
        ask(5, "+6591234563", from),
        ask(6, "+6591234564", from),
        ask(7, "+213551234567", ""),
    ];
    let trace = written(dir.path(), "t.jsonl", &(lines.join("\n") + "\n"));
    let policy = written(dir.path(), "p.toml", &POLICY.replace("2099-01-01", &soon()));
    let args = ["--policy", policy.to_str().unwrap()];
    let decided = done(&replay(&trace, &args));
    let seen = verdicts(&decided);
    let seen: Vec<(&str, &str)> = seen.iter().map(|(v, r)| (v.as_str(), r.as_str())).collect();
    let expected = [
        ("block", "country-off"),
        ("allow", "-"),
        ("block", "deny-entry"),
        ("challenge", "rule-challenge"),
        ("allow", "-"),
        ("allow", "-"),
        ("throttle", "limit-exceeded"),
        ("block", "suspended"),
    ];
    assert_eq!(seen, expected, "{decided}");
    assert_eq!(done(&replay(&trace, &args)), decided, "the same file gives the same reasons");
    let plain = verdicts(&done(&replay(&trace, &[])));
    let lists = ["country-off", "deny-entry", "rule-challenge", "limit-exceeded", "suspended"];
    assert!(plain.iter().all(|(_, reason)| !lists.contains(&reason.as_str())), "{plain:?}");
}

/// Suspensions last for 90 days at most, from today.
fn soon() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let at = i64::try_from(now.as_millis()).unwrap() + 30 * 86_400_000;
    seawall_core::time::Timestamp::from_millis(at).to_rfc3339()[..10].to_owned()
}

#[test]
fn a_policy_that_is_wrong_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let trace = written(dir.path(), "t.jsonl", &format!("{LINE}\n"));
    for (name, text, says) in [
        ("p.toml", "limit = []", "`limit` is no section; there are settings"),
        (
            "p.toml",
            "[[limits]]\nname = \"a\"\nper = \"moon\"\napplies_to = [\"verify.start\"]\nquota = 1\nwindow = \"1h\"",
            "limits[0]: `per` `moon` is not known",
        ),
        (
            "p.toml",
            "[[rules]]\nname = \"r\"\naction = \"block\"\nwhen = \"number.contry == 1\"",
            "rules[0]: `when`, line 1",
        ),
        ("p.toml", "[settings]\ndetection = { mod = \"off\" }", "settings: `detection.mod`"),
        ("p.json", "{\"limits\": [", "line 1 column 12"),
        ("p.toml", "[[limits]\n", "p.toml: TOML parse error at line 1"),
    ] {
        let policy = written(dir.path(), name, text);
        let output = replay(&trace, &["--policy", policy.to_str().unwrap()]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(says), "{says}: {stderr}");
    }
}

/// A month of one app: every day twenty codes to people all over Singapore, and on the last day two hundred to
/// one block of Uzbekistan that nobody confirms.
fn attempts() -> String {
    let one = |n: usize, day: usize, minute: usize, to: String, converted: bool| {
        let (status, updated) = if converted { ("converted", 20) } else { ("unconverted", 0) };
        json!({
            "sid": format!("VL{n:05}"), "service_sid": "VA1", "verification_sid": format!("VE{n}"),
            "date_created": format!("2026-01-{day:02}T{:02}:{:02}:00Z", minute / 60, minute % 60),
            "date_updated": format!("2026-01-{day:02}T{:02}:{:02}:{updated:02}Z", minute / 60, minute % 60),
            "conversion_status": status, "channel": "sms", "price": {"value": "0.1411", "currency": "usd"},
            "channel_data": {"to": to, "message_status": "delivered"},
        })
    };
    let people = (0..560).map(|n| {
        one(
            n,
            1 + n / 20,
            60 * (n % 20),
            format!("+659{:07}", 1_000_000 + n * n * 48_271 % 7_999_993),
            n % 8 != 0,
        )
    });
    let pumping = (0..200).map(|n| one(1000 + n, 28, 1200 + n / 2, format!("+99890123{n:04}"), false));
    json!({"attempts": people.chain(pumping).collect::<Vec<_>>(), "meta": {"page": 0}}).to_string()
}

#[test]
fn a_providers_log_is_replayed_and_what_it_could_not_tell_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let log = written(dir.path(), "attempts.json", &attempts());
    let file = dir.path().join("decisions.jsonl");
    let words = done(&replay(&log, &["--out", file.to_str().unwrap()]));
    assert!(words.contains("requests: 760 asked for a message"), "{words}");
    assert!(
        words.contains("stopped to UZ") && words.contains("The log does not say which requests were attacks"),
        "{words}"
    );
    assert!(words.contains("What the log could not tell:") && words.contains("client addresses"), "{words}");
    let stopped = |prefix: &str| {
        let decided = std::fs::read_to_string(&file).unwrap();
        decided.lines().filter(|l| l.contains(prefix) && l.contains("\"sent\":false")).count()
    };
    assert!(stopped("\"id\":\"VL01") > 150, "{words}");
    assert!(stopped("\"id\":\"VL00") < 12, "{words}");
    let output = replay(&log, &["--json"]);
    let summary: Value = serde_json::from_str(done(&output).lines().last().unwrap()).unwrap();
    assert_eq!(summary["unlabelled"]["n"], 760);
    assert!(summary["unlabelled"]["cost_stopped_micros"].as_i64().unwrap() > 150 * 141_100, "{summary}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("What the log could not tell:"));
    let wrong = replay(&log, &["--format", "8x8-csv"]);
    assert_eq!(wrong.status.code(), Some(2));
}
