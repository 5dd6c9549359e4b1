//! `seawall simulate` from a shell: traces, the list, and exit codes.

use std::process::{Command, Output};

use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_seawall")).arg("simulate").args(args).output().unwrap()
}

#[test]
fn a_trace_is_written_to_a_file_or_to_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    let small = ["--scenario", "seq_block", "--seed", "7", "--per-day", "60", "--warmup-days", "0"];
    let printed = simulate(&small);
    assert_eq!(printed.status.code(), Some(0), "{}", String::from_utf8_lossy(&printed.stderr));
    let to_file = simulate(&[&small[..], &["--out", path.to_str().unwrap()]].concat());
    assert_eq!(to_file.status.code(), Some(0));
    assert!(to_file.stdout.is_empty());
    assert_eq!(std::fs::read(&path).unwrap(), printed.stdout);
    let attacks = String::from_utf8(printed.stdout).unwrap();
    let attacks = attacks.lines().filter(|line| line.contains(r#""campaign":"seq_block""#)).count();
    assert_eq!(attacks, 4_000);
}

#[test]
fn the_list_names_kinds_and_times() {
    let listed = simulate(&["--list", "--json"]);
    let listed: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.len(), 50);
    let quiet = listed.iter().find(|scenario| scenario["name"] == "hn_quiet").unwrap();
    assert_eq!(quiet["kind"], "hard_negative");
    assert_eq!(quiet["warmup_until"], "2026-01-12T00:00:00.000Z");
}

#[test]
fn what_is_wrong_is_said_with_its_exit_code() {
    for (args, code, says) in [
        (vec!["--scenario", "seq_blok"], 2, "did you mean `seq_block`?"),
        (vec!["--seed", "1"], 2, "--scenario"),
        (vec!["--scenario", "quiet", "--seed", "x"], 2, "'x'"),
        (vec!["--scenario", "quiet", "--out", "/no/such/place"], 1, "cannot write /no/such/place"),
    ] {
        let output = simulate(&args);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}
