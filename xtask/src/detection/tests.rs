//! The benchmark in small: a broken engine does not pass, and the page is written.

use super::*;
use seawall_core::sim::Params;

const SMALL: Params = Params { warmup_days: 3, test_days: 1, per_day: 800, attack_scale: 0.2 };

fn small(name: &str, defences: &[Defence]) -> Vec<Outcome> {
    let scenario = scenarios().iter().find(|s| s.name == name).unwrap();
    Job { scenario, seed: 1, defences: defences.to_vec() }.sized(SMALL)
}

fn measured(names: &[&str]) -> Measured {
    let mut outcomes: Vec<Outcome> = small("hn_quiet", &Defence::ladder());
    let tuned = tuned::Tuned::of(&outcomes);
    outcomes.retain(|outcome| !outcome.defence.is_ladder() || tuned.chose(outcome.defence));
    for name in names {
        outcomes.extend(small(name, &Defence::field(&tuned)));
    }
    outcomes.sort_by_key(|one| (one.order, one.seed, one.defence.order()));
    let plan = Plan { first: 1, seeds: 1, names: Vec::new(), out: None };
    Measured { plan, outcomes, tuned, seconds: 1.0 }
}

/// Loose bounds: a small population teaches less, and one seed is one seed.
#[test]
fn concentrated_attacks_are_stopped_and_people_are_served() {
    let measured = measured(&["seq_block", "random_in_prefix", "datacentre"]);
    let of = |name: &str, defence| {
        measured.outcomes.iter().find(|o| o.scenario == name && o.defence == defence).unwrap()
    };
    for name in ["seq_block", "random_in_prefix", "datacentre"] {
        let ours = of(name, Defence::Engine);
        assert!(ours.summary.attack.leak_pct < 8.0, "{name}: {:?}", ours.summary);
        assert!(ours.legit_pct(|l| l.blocked) < 1.0, "{name}: {:?}", ours.summary);
        assert!(ours.first_stop().unwrap() < 30, "{name}: {:?}", ours.summary);
    }
    let quiet = of("hn_quiet", Defence::Engine);
    assert!(quiet.legit_pct(|l| l.blocked) < 0.5 && quiet.legit_pct(|l| l.challenged) < 3.0, "{quiet:?}");
    let limits = Defence::Baseline(defence::Kind::Limits, 1.0, defence::Setting::Usual);
    let theirs = of("random_in_prefix", limits);
    assert!(theirs.summary.attack.leak_pct > 30.0, "limits alone do not stop proxies: {:?}", theirs.summary);
    let page = page::page(&measured);
    for part in
        ["# The benchmark of detection", "| `seq_block` |", "B2 tuned", "--first-seed 1", "bars are met"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn prefix_velocity_needs_conversion_and_caps_need_history() {
    let scenario = ["random_in_prefix", "partial_60"].map(|name| {
        let kinds = defence::Kind::ALL.map(|kind| Defence::Baseline(kind, 1.0, defence::Setting::Usual));
        small(name, &kinds)
    });
    let leak = |at: usize, kind: usize| scenario[at][kind].summary.attack.leak_pct;
    assert!(leak(0, 2) < leak(0, 0) / 2.0, "unconfirmed messages to one block are what it looks for");
    assert!(leak(1, 2) > 20.0, "and six in ten confirmed ones are not");
    assert!(leak(0, 1) < leak(0, 0));
}

#[test]
fn arguments_are_read() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let full = plan(&words("--seeds 2 --first-seed 2001")).unwrap();
    assert_eq!((full.first, full.seeds, full.out), (2001, 2, Some(PAGE.into())));
    assert_eq!(plan(&words("seq_block")).unwrap().out, None);
    assert!(plan(&words("--seed 1")).unwrap_err().contains("unknown option"));
    assert!(plan(&words("--seeds x")).unwrap_err().contains("no number"));
}
