//! What the days came to, whether that is good enough, and what to try next.

use serde_json::Value;

use super::client::Client;
use super::day::ATTACKS;
use super::say;
use super::table::{Attack, Tally, dollars};

/// The first messages of an attack look like anybody's; they are not held against the gateway.
const UNNOTICED: u64 = 60;
/// Of the messages after that, so many of a hundred must have been stopped.
const STOPPED: u64 = 80;
/// Of a thousand requests of people, so many may have been refused (asking too early apart).
const HURT_PER_MILLE: u64 = 10;
/// Of a hundred people, so many must have been verified, or the days prove nothing.
const VERIFIED: u64 = 70;

/// Whether the attacks were stopped and everybody else was served.
pub struct Verdict {
    stopped: bool,
    served: bool,
}

fn is_stopped(attack: &Attack) -> bool {
    let noticed = attack.asked.saturating_sub(UNNOTICED);
    noticed > 0 && attack.stopped() * 100 >= noticed * STOPPED
}

impl Verdict {
    /// Judges the days.
    pub fn of(tally: &Tally) -> Self {
        Verdict {
            stopped: tally.attacks.iter().all(is_stopped),
            served: tally.hurt * 1000 <= tally.asked * HURT_PER_MILLE
                && tally.people() > 0
                && tally.people_verified() * 100 >= tally.people() * VERIFIED,
        }
    }

    /// As an exit code wants it.
    pub fn into_result(self) -> Result<(), String> {
        match (self.stopped, self.served) {
            (true, true) => Ok(()),
            (false, true) => Err("an attack was not stopped".to_owned()),
            (true, false) => Err("people were not served".to_owned()),
            (false, false) => Err("an attack was not stopped, and people were not served".to_owned()),
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Prints the figures, some refusals, what the gateway calls incidents, and the verdict.
pub fn show(tally: &Tally, incidents: &[Value], verdict: &Verdict) {
    say("\nattack                asked   sent  first stop after   leaked      lost     saved");
    for (attack, (_, _, name)) in tally.attacks.iter().zip(ATTACKS) {
        say(format!(
            "{name:<20} {:>6} {:>6} {:>8} messages {:>7.1}% {:>9} {:>9}",
            attack.asked,
            attack.sent,
            attack.before_first_stop,
            percent(attack.sent, attack.asked),
            dollars(attack.lost),
            dollars(attack.saved)
        ));
    }
    show_people(tally);
    show_examples(tally);
    show_incidents(incidents);
    let word = |met| if met { "yes" } else { "NO" };
    say(format!(
        "\nAttacks stopped: {}   (of each, at least {STOPPED} % of its messages after the first {UNNOTICED})",
        word(verdict.stopped)
    ));
    say(format!(
        "People served:   {}   (at most {} % refused, too early apart; at least {VERIFIED} % verified)",
        word(verdict.served),
        HURT_PER_MILLE as f64 / 10.0
    ));
}

fn show_people(tally: &Tally) {
    say(format!(
        "\nPeople   {} came, {} were verified; of {} requests {} were refused as too early after the last code,",
        tally.people(),
        tally.people_verified(),
        tally.asked,
        tally.too_early
    ));
    say(format!(
        "         and {} for another reason: {:.2} % bystanders hurt",
        tally.hurt,
        percent(tally.hurt, tally.asked)
    ));
}

fn show_examples(tally: &Tally) {
    if !tally.examples.is_empty() {
        say("\nSome refusals, with their reasons:");
    }
    for example in &tally.examples {
        say(format!("  {} {}: {} {}", example.clock, example.who, example.code, example.sentence));
    }
}

/// What the gateway found by itself, from `GET /admin/v1/incidents`.
fn show_incidents(incidents: &[Value]) {
    if !incidents.is_empty() {
        say("\nWhat the gateway reports as incidents (GET /admin/v1/incidents):");
    }
    for incident in incidents {
        let text = |field: &str| incident.get(field).and_then(Value::as_str).unwrap_or_default();
        let amount = |path: &str| incident.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        say(format!(
            "  {} {}; cost {}, avoided at least {}",
            text("id"),
            text("summary"),
            dollars(amount("/leaked/cost")),
            dollars(amount("/loss_avoided/amount"))
        ));
    }
}

/// Prints what to try, with the credentials of this demo.
pub fn invite(client: &Client, subaccount: &str) {
    let Client { base, key, admin_token, .. } = client;
    say(format!(
        "\nThe gateway goes on until you press Ctrl-C. Try it (the key and the token end with the demo):\n\n\
         \x20 curl {base}/api/v2/subaccounts/{subaccount}/sessions -H 'Authorization: Bearer {key}' \\\n\
         \x20   -H 'Content-Type: application/json' -d '{{\"destination\": \"+6591234567\"}}'\n\n\
         What the sandbox phone received, and what was decided during the attacks:\n\n\
         \x20 curl -H 'Authorization: Bearer {admin_token}' '{base}/admin/v1/sandbox/messages?to=%2B6591234567'\n\
         \x20 curl -H 'Authorization: Bearer {admin_token}' '{base}/admin/v1/incidents?limit=5'\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::client::Asked;

    fn tally(attack_sent: u64, hurt: u64, verified: u64) -> Tally {
        let mut tally = Tally { hurt, ..Tally::default() };
        for n in 0..100 {
            tally.person(&n.to_string(), 0, &Asked::Sent(String::new()));
        }
        (0..verified).for_each(|n| tally.verified(&n.to_string()));
        tally.attacks = [Attack { asked: 160, sent: attack_sent, ..Attack::default() }; ATTACKS.len()];
        tally
    }

    #[test]
    fn the_verdict_has_three_ways_to_fail() {
        let judge = |tally| Verdict::of(&tally).into_result().err().unwrap_or_default();
        assert_eq!(judge(tally(80, 1, 70)), "");
        assert!(judge(tally(81, 1, 70)).contains("not stopped"));
        assert!(judge(tally(80, 2, 70)).contains("not served"));
        assert!(judge(tally(80, 1, 69)).contains("not served"));
        assert!(judge(Tally::default()).contains("not stopped, and"), "days without anything prove nothing");
    }
}
