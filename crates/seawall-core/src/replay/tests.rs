//! Every clause of what a replay promises, on traces of a few lines.

use std::sync::Arc;

use super::*;
use crate::limit::Mode;
use crate::reason::ReasonCode;
use crate::rule::{Action, DEFAULT_RETRY_AFTER, Rule, RuleSet, compile};

/// 2026-01-05T10:00:00Z.
const BEGIN: i64 = 1_767_607_200_000;
const NUMBER: &str = "+6591234567";

/// A request for a code at so many milliseconds, with more fields after `,`.
fn start(at: i64, id: &str, to: &str, if_sent: &str, more: &str) -> String {
    let t = Timestamp::from_millis(BEGIN + at);
    format!(
        r#"{{"t":"{t}","id":"{id}","op":"verify.start","to":"{to}","client":{{"ip":"203.0.113.9","asn":1,"country":"SG","hosting":false}},"if_sent":{if_sent}{more}}}"#
    )
}

fn check(at: i64, id: &str, of: &str, correct: bool) -> String {
    let t = Timestamp::from_millis(BEGIN + at);
    format!(
        r#"{{"t":"{t}","id":"{id}","op":"verify.check","of":"{of}","correct":{correct},"client":{{"ip":"203.0.113.9"}}}}"#
    )
}

const NEVER: &str = r#"{"confirm_after_ms":null}"#;

fn after(ms: i64) -> String {
    format!(r#"{{"confirm_after_ms":{ms}}}"#)
}

fn rule(name: &str, action: Action, when: &str) -> Rule {
    Rule {
        id: format!("rule_{name}"),
        name: name.to_owned(),
        action,
        mode: Mode::Enforce,
        subaccount: None,
        expires_at: None,
        retry_after: DEFAULT_RETRY_AFTER,
        program: Arc::new(compile(when).unwrap()),
    }
}

/// A new installation that does not detect, with a rule.
fn with_rule(action: Action, when: &str) -> Replay {
    let mut setting = Setting::default();
    setting.policy.detection.mode = Mode::Off;
    setting.policy.rules = RuleSet::new(vec![rule("r", action, when)]);
    Replay::under(setting, Engine::default())
}

fn step(replay: &mut Replay, line: &str) -> Decided {
    replay.step(&serde_json::from_str(line).unwrap()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn verdicts(replay: &mut Replay, lines: &[String]) -> Vec<(Verdict, bool)> {
    let one = |line: &String| {
        let decided = step(replay, line);
        (decided.decision.verdict, decided.sent)
    };
    lines.iter().map(one).collect()
}

const SENT: (Verdict, bool) = (Verdict::Allow, true);
const WAITS: (Verdict, bool) = (Verdict::Throttle, false);
const BLOCKED: (Verdict, bool) = (Verdict::Block, false);

#[test]
fn what_follows_a_message_happens_only_if_it_was_sent() {
    let mut replay = with_rule(Action::Block, "number.known");
    let lines = [
        start(0, "a", NUMBER, NEVER, ""),
        start(5_000, "b", NUMBER, &after(1_000), ""),
        // Had `b` been sent, the number would be known by now, and refused.
        start(40_000, "c", NUMBER, &after(1_000), ""),
        start(41_000, "d", NUMBER, NEVER, ""),
    ];
    assert_eq!(verdicts(&mut replay, &lines), [SENT, WAITS, SENT, BLOCKED]);
}

#[test]
fn feedback_that_is_due_at_a_line_comes_before_it() {
    for (confirmed, last) in [(10_000, BLOCKED), (10_001, WAITS)] {
        let mut replay = with_rule(Action::Block, "number.known");
        let lines = [start(0, "a", NUMBER, &after(confirmed), ""), start(10_000, "b", NUMBER, NEVER, "")];
        assert_eq!(verdicts(&mut replay, &lines), [SENT, last], "{confirmed}");
    }
}

#[test]
fn a_confirmation_ends_the_back_off() {
    let mut replay = Replay::under(Setting::default(), Engine::default());
    let lines = [start(0, "a", NUMBER, &after(4_000), ""), start(12_000, "b", NUMBER, NEVER, "")];
    assert_eq!(verdicts(&mut replay, &lines), [SENT, SENT]);
    let mut replay = Replay::under(Setting::default(), Engine::default());
    let lines = [start(0, "a", NUMBER, NEVER, ""), start(12_000, "b", NUMBER, NEVER, "")];
    assert_eq!(verdicts(&mut replay, &lines), [SENT, WAITS]);
}

#[test]
fn wrong_codes_come_before_the_right_one_and_reach_the_engine_in_order() {
    let mut ahead = Ahead::default();
    let follows = Follows { id: 1, to: Msisdn::from_e164(NUMBER).unwrap(), sub: 0, ip: None };
    let after = IfSent { confirm_after_ms: Some(0), wrong_checks: 3, delivered: Some(false) };
    ahead.plan(Timestamp::from_millis(BEGIN), "a", follows, after);
    let order: Vec<What> = std::iter::from_fn(|| ahead.due(Timestamp::MAX)).map(|due| due.what).collect();
    assert_eq!(order, [What::WrongCheck, What::WrongCheck, What::WrongCheck, What::Confirmed, What::Failed]);
}

#[test]
fn after_a_challenge_the_request_goes_on_at_its_own_time_only_if_it_passes() {
    let passes = r#","if_challenged":{"passes":true}"#;
    let fails = r#","if_challenged":{"passes":false}"#;
    for (more, sent) in [(passes, true), (fails, false), ("", false)] {
        let mut replay = with_rule(Action::Challenge, "!number.known");
        let lines = [start(0, "a", NUMBER, &after(1_000), more), start(30_000, "b", NUMBER, NEVER, more)];
        let second = if sent { SENT } else { (Verdict::Challenge, false) };
        assert_eq!(verdicts(&mut replay, &lines), [(Verdict::Challenge, sent), second], "{more}");
    }
    let mut replay = with_rule(Action::Challenge, "true");
    let sms = |id: &str, more: &str| {
        let t = Timestamp::from_millis(BEGIN);
        format!(r#"{{"t":"{t}","id":"{id}","op":"sms.send","to":"{NUMBER}","text":"hi"{more}}}"#)
    };
    let lines = [sms("a", passes), sms("b", fails)];
    assert_eq!(verdicts(&mut replay, &lines), [(Verdict::Challenge, true), (Verdict::Challenge, false)]);
}

#[test]
fn a_challenge_that_is_passed_charges_and_one_that_is_not_does_not() {
    let limit = |replay: &mut Replay, more: &str| {
        let ask = |n: i64| start(n, &n.to_string(), &format!("+659123{n:04}"), NEVER, more);
        let lines: Vec<String> = (1000..1021).map(ask).collect();
        verdicts(replay, &lines).last().copied().unwrap()
    };
    let mut passing = with_rule(Action::Challenge, "true");
    assert_eq!(
        limit(&mut passing, r#","if_challenged":{"passes":true}"#),
        WAITS,
        "20 an hour for an address"
    );
    let mut failing = with_rule(Action::Challenge, "true");
    assert_eq!(limit(&mut failing, ""), (Verdict::Challenge, false));
}

#[test]
fn other_verdicts_send_nothing() {
    for (action, verdict) in [
        (Action::Alternative, Verdict::Alternative),
        (Action::Throttle, Verdict::Throttle),
        (Action::Block, Verdict::Block),
    ] {
        let mut replay = with_rule(action, "!number.known");
        let lines = [start(0, "a", NUMBER, &after(1_000), ""), start(60_000, "b", NUMBER, NEVER, "")];
        assert_eq!(verdicts(&mut replay, &lines), [(verdict, false); 2], "it was never verified");
    }
}

#[test]
fn a_number_is_known_if_the_trace_says_so_or_verifies_it() {
    let mut replay = with_rule(Action::Block, "number.known");
    let known = r#","known_number":true"#;
    let lines = [
        start(0, "a", NUMBER, NEVER, known),
        start(60_000, "b", NUMBER, NEVER, ""),
        check(61_000, "c", "b", true),
        start(120_000, "d", NUMBER, NEVER, ""),
    ];
    assert_eq!(verdicts(&mut replay, &lines), [BLOCKED, SENT, (Verdict::Allow, false), BLOCKED]);
}

#[test]
fn a_device_token_is_genuine_only_for_a_number_that_the_trace_verified() {
    let mut replay = with_rule(Action::Block, "number.trusted");
    let with_token = |at: i64, id: &str, to: &str, more: &str| {
        start(at, id, to, &after(1_000), more).replace(r#""asn":1"#, r#""asn":1,"device_token":"dt1""#)
    };
    let lines = [
        with_token(0, "a", NUMBER, r#","known_number":true"#),
        with_token(60_000, "b", NUMBER, ""),
        with_token(120_000, "c", "+6591234568", ""),
        start(180_000, "d", NUMBER, NEVER, ""),
    ];
    assert_eq!(verdicts(&mut replay, &lines), [SENT, BLOCKED, SENT, SENT]);
}

#[test]
fn a_check_of_a_request_that_was_not_sent_does_nothing() {
    let mut replay = with_rule(Action::Block, r#"number.country == "UZ" || number.known"#);
    let lines = [
        start(0, "a", "+998901234567", NEVER, ""),
        check(1_000, "b", "a", true),
        check(2_000, "c", "nobody", true),
        start(3_000, "d", NUMBER, NEVER, ""),
        check(4_000, "e", "d", false),
        start(90_000_000, "f", NUMBER, NEVER, ""),
        check(90_000_001, "g", "d", true),
        start(90_060_000, "h", NUMBER, NEVER, ""),
    ];
    let nothing = (Verdict::Allow, false);
    let expected = [BLOCKED, nothing, nothing, SENT, nothing, SENT, nothing, SENT];
    assert_eq!(verdicts(&mut replay, &lines), expected, "a day later a code means nothing either");
    assert!(replay.verified.is_empty());
}

#[test]
fn wrong_codes_fill_their_windows_and_right_ones_do_not() {
    let mut replay = Replay::under(Setting::default(), Engine::default());
    step(&mut replay, &start(0, "a", NUMBER, NEVER, ""));
    let right: Vec<String> = (0..40).map(|n| check(1_000 + n, &format!("r{n}"), "a", true)).collect();
    assert!(verdicts(&mut replay, &right).iter().all(|v| *v == (Verdict::Allow, false)));
    let wrong: Vec<String> = (0..31).map(|n| check(2_000 + n, &format!("w{n}"), "a", false)).collect();
    let seen = verdicts(&mut replay, &wrong);
    assert!(seen[..30].iter().all(|v| *v == (Verdict::Allow, false)) && seen[30] == WAITS, "{seen:?}");
    let last = step(&mut replay, &check(3_000, "z", "a", true));
    assert_eq!(last.decision.reasons[0].code, ReasonCode::CheckBudgetExhausted);
}

#[test]
fn what_is_no_trace_is_refused() {
    let mut replay = Replay::under(Setting::default(), Engine::default());
    let mut step = |line: String| replay.step(&serde_json::from_str(&line).unwrap()).map(|_| ());
    step(start(1_000, "a", NUMBER, NEVER, "")).unwrap();
    step(start(1_000, "b", NUMBER, NEVER, "")).unwrap();
    let unsorted = step(start(999, "c", NUMBER, NEVER, "")).unwrap_err();
    assert!(matches!(unsorted, ReplayError::Unsorted { .. }));
    assert_eq!(step(start(1_000, "a", NUMBER, NEVER, "")), Err(ReplayError::Repeated("a".to_owned())));
    assert!(matches!(step(start(1_000, "d", "+65", NEVER, "")), Err(ReplayError::Number(_))));
    let bad = start(1_000, "e", NUMBER, NEVER, "").replace("203.0.113.9", "203.0.113.9:80");
    assert_eq!(
        step(bad).unwrap_err().to_string(),
        "`client.ip` is `203.0.113.9:80`; one IPv4 or IPv6 address without port is needed"
    );
}

#[test]
fn what_the_trace_says_of_an_address_stands_in_for_the_tables() {
    let facts = |client: &str| {
        let text = start(0, "a", NUMBER, NEVER, "")
            .replace(r#""ip":"203.0.113.9","asn":1,"country":"SG","hosting":false"#, client);
        let line: Line = serde_json::from_str(&text).unwrap();
        reading::ip_facts(&line, crate::client_ip::ClientIp::parse("8.8.8.8").unwrap())
    };
    let tables = facts(r#""ip":"8.8.8.8""#);
    assert!(tables.hosting && tables.asn == Some(15169));
    let said = facts(r#""ip":"8.8.8.8","hosting":false"#);
    assert_eq!((said.hosting, said.asn, said.country), (false, tables.asn, tables.country));
    let said = facts(r#""ip":"8.8.8.8","asn":7,"country":"UZ","hosting":true"#);
    assert_eq!((said.hosting, said.asn, said.country), (true, Some(7), Country::parse("UZ")));
    assert_eq!(facts(r#""ip":"8.8.8.8","asn":7"#).hosting, tables.hosting);
}

#[test]
fn an_address_earns_room_by_confirmed_numbers() {
    let mut setting = Setting::default();
    setting.policy.detection.mode = Mode::Off;
    let mut replay = Replay::under(setting, Engine::default());
    let ask =
        |n: i64| start(n * 600_000, &n.to_string(), &format!("+659123{:04}", 1000 + n), &after(1_000), "");
    // Six an hour, all of them confirmed.
    let days: Vec<String> = (0..100).map(ask).collect();
    assert!(verdicts(&mut replay, &days).iter().all(|v| *v == SENT));
    let burst: Vec<String> = (0..60)
        .map(|n| start(60_000_000 + n, &format!("b{n}"), &format!("+659124{:04}", 1000 + n), NEVER, ""))
        .collect();
    let sent = verdicts(&mut replay, &burst).iter().filter(|v| v.1).count();
    assert!(sent > 40, "{sent}: more than the 20 of an address that nobody knows");
}

#[test]
fn rules_see_velocities() {
    let mut replay = with_rule(Action::Block, r#"velocity.country.sends_1h >= 2"#);
    let ask = |n: i64| start(n * 1_000, &n.to_string(), &format!("+659123{:04}", 1000 + n), NEVER, "");
    let lines: Vec<String> = (0..4).map(ask).chain([start(3_700_000, "z", NUMBER, NEVER, "")]).collect();
    assert_eq!(verdicts(&mut replay, &lines), [SENT, SENT, BLOCKED, BLOCKED, SENT]);
}

#[test]
fn the_summary_counts_after_the_warm_up_and_a_throttled_user_as_delayed() {
    let begin = Timestamp::from_millis(BEGIN + 1_000);
    let (mut summary, mut replay) =
        (Summary::new(Some(begin)), with_rule(Action::Block, r#"number.country == "UZ""#));
    let attack = r#","price_micros":141100,"truth":{"attack":true,"campaign":"x"}"#;
    let legit = r#","truth":{"attack":false}"#;
    for line in [
        start(0, "early", "+6591234500", NEVER, attack),
        start(1_000, "a", "+6591234501", NEVER, attack),
        start(2_000, "b", "+6591234502", NEVER, attack),
        start(181_000, "c", "+998901234567", NEVER, attack),
        start(182_000, "d", "+6591234503", NEVER, attack),
        start(183_000, "e", NUMBER, NEVER, legit),
        start(184_000, "f", NUMBER, NEVER, legit),
        start(185_000, "g", "+998901234568", NEVER, legit),
        check(186_000, "h", "e", true),
    ] {
        let decided = step(&mut replay, &line);
        summary.add(&serde_json::from_str(&line).unwrap(), &decided);
    }
    summary.finish(1.5);
    let shown = serde_json::to_string(&summary).unwrap();
    let expected = r#"{"requests":8,"seconds":1.5,"legit":{"n":3,"blocked":1,"alternative":0,"challenged":0,"delayed":1,"blocked_pct":33.333,"challenged_pct":0.0,"sent":1},"attack":{"n":4,"sent":3,"leak_pct":75.0,"cost_leaked_micros":423300,"campaigns":{"x":{"n":4,"sent":3,"leak_pct":75.0,"messages_to_detection":2,"minutes_to_detection":3.0}}}}"#;
    assert_eq!(shown, expected);
}
