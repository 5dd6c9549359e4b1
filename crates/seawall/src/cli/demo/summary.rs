//! What the day came to, whether that is good enough, and what to try next.

use super::client::Client;
use super::say;
use super::table::Tally;

/// The first messages of an attack look like anybody's; they are not held against the gateway.
const UNNOTICED: u64 = 20;
/// Of the messages after that, so many of a hundred must have been stopped.
const STOPPED: u64 = 80;
/// Of a thousand requests of people, so many may have been refused (asking too early apart).
const HURT_PER_MILLE: u64 = 10;
/// Of a hundred people, so many must have been verified, or the day proves nothing.
const VERIFIED: u64 = 70;

/// Whether the attack was stopped and everybody else was served.
pub struct Verdict {
    stopped: bool,
    served: bool,
}

impl Verdict {
    /// Judges a day.
    pub fn of(tally: &Tally) -> Self {
        let noticed = tally.attack_asked.saturating_sub(UNNOTICED);
        Verdict {
            stopped: noticed > 0 && tally.attack_stopped() * 100 >= noticed * STOPPED,
            served: tally.hurt * 1000 <= tally.asked * HURT_PER_MILLE
                && tally.people > 0
                && tally.verified * 100 >= tally.people * VERIFIED,
        }
    }

    /// As an exit code wants it.
    pub fn into_result(self) -> Result<(), String> {
        match (self.stopped, self.served) {
            (true, true) => Ok(()),
            (false, true) => Err("the attack was not stopped".to_owned()),
            (true, false) => Err("people were not served".to_owned()),
            (false, false) => Err("the attack was not stopped, and people were not served".to_owned()),
        }
    }
}

/// Prints the figures, some refusals and the verdict.
pub fn show(tally: &Tally, verdict: &Verdict) {
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    say(format!(
        "\nAttack   {} codes asked for, {} sent, {} stopped: {:.1} % leaked, {} saved, {} lost",
        tally.attack_asked,
        tally.attack_sent,
        tally.attack_stopped(),
        percent(tally.attack_sent, tally.attack_asked),
        Tally::cost(tally.attack_stopped()),
        Tally::cost(tally.attack_sent)
    ));
    say(format!(
        "People   {} came, {} were verified; of {} requests {} were refused as too early after the last code,",
        tally.people, tally.verified, tally.asked, tally.too_early
    ));
    say(format!(
        "         and {} for another reason: {:.2} % bystanders hurt",
        tally.hurt,
        percent(tally.hurt, tally.asked)
    ));
    if !tally.examples.is_empty() {
        say("\nSome refusals, with their reasons:");
    }
    for example in &tally.examples {
        say(format!("  {} {:<7} {:<16} {}", example.clock, example.who, example.code, example.sentence));
    }
    let word = |met| if met { "yes" } else { "NO" };
    say(format!(
        "\nAttack stopped: {}   (at least {STOPPED} % of its messages after the first {UNNOTICED})",
        word(verdict.stopped)
    ));
    say(format!(
        "People served:  {}   (at most {} % refused, too early apart; at least {VERIFIED} % verified)",
        word(verdict.served),
        HURT_PER_MILLE as f64 / 10.0
    ));
}

/// Prints what to try, with the credentials of this demo.
pub fn invite(client: &Client, subaccount: &str) {
    let Client { base, key, admin_token, .. } = client;
    say(format!(
        "\nThe gateway goes on until you press Ctrl-C. Try it (the key and the token end with the demo):\n\n\
         \x20 curl {base}/api/v2/subaccounts/{subaccount}/sessions -H 'Authorization: Bearer {key}' \\\n\
         \x20   -H 'Content-Type: application/json' -d '{{\"destination\": \"+6591234567\"}}'\n\n\
         What the sandbox phone received, and what was decided during the attack:\n\n\
         \x20 curl -H 'Authorization: Bearer {admin_token}' '{base}/admin/v1/sandbox/messages?to=%2B6591234567'\n\
         \x20 curl -H 'Authorization: Bearer {admin_token}' '{base}/admin/v1/decisions?reason=limit-exceeded&limit=5'\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(attack_sent: u64, hurt: u64, verified: u64) -> Tally {
        Tally { people: 100, asked: 100, verified, hurt, attack_asked: 120, attack_sent, ..Tally::default() }
    }

    #[test]
    fn the_verdict_has_three_ways_to_fail() {
        let judge = |tally| Verdict::of(&tally).into_result().err().unwrap_or_default();
        assert_eq!(judge(tally(40, 1, 70)), "");
        assert!(judge(tally(41, 1, 70)).contains("not stopped"));
        assert!(judge(tally(40, 2, 70)).contains("not served"));
        assert!(judge(tally(40, 1, 69)).contains("not served"));
        assert!(
            judge(Tally::default()).contains("not stopped, and"),
            "a day without anything proves nothing"
        );
    }
}
