//! The numbers by which evidence is weighed. They are frozen, like the constants beside the formulas of the other
//! files, before the benchmark's reporting seeds run; they were chosen on seeds below 1000.

use super::evidence::KeyKind;

/// Weights and thresholds of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    /// Probability that a request belongs to a campaign before anything is known.
    pub prior: f64,
    /// Slope of the sequential test's logistic around its alarm threshold.
    pub slope: f64,
    /// Added to every alarm threshold of [`Tuning::alarm`].
    pub alarm_shift: f64,
    /// Confirmations after which a network is no longer a stranger.
    pub established: f64,
    /// Confirmations after which a block of ten thousand numbers is one where customers are.
    pub settled: f64,
    /// Expected confirmations that the share missing from all is worth against a cohort's own.
    pub class_weight: f64,
    /// Concentration: how clustered genuine numbers are; the shape of the law for a block never seen.
    pub clustering: f64,
    /// Concentration: the price of having looked at every block of the country, as a share of its logarithm.
    pub look_elsewhere: f64,
    /// Concentration: excess at which it is as likely as not.
    pub excess: f64,
    /// Concentration: fewer numbers of a block are never expected.
    pub least_expected: f64,
    /// Most that concentration alone may say of one network (an office).
    pub coherent_cap: f64,
    /// The same of several networks: another channel, not a block.
    pub lone_cap: f64,
    /// The same of nearly as many networks as numbers (proxies).
    pub diverse_cap: f64,
    /// Most that velocity alone may say.
    pub velocity_cap: f64,
    /// Log-odds of an address in a data centre or VPN.
    pub hosting: f64,
    /// Log-odds of a Tor exit or a known proxy.
    pub tor: f64,
    /// Log-odds of an address in another country than the number's.
    pub foreign: f64,
    /// Log-odds of a disposable number.
    pub disposable: f64,
    /// Log-odds of a trusted request.
    pub trusted: f64,
    /// Log-odds of a number known, on a new device.
    pub known: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            prior: 0.002,
            slope: 1.5,
            alarm_shift: 0.0,
            established: 2.5,
            settled: 0.9,
            class_weight: 5.0,
            clustering: 0.35,
            look_elsewhere: 0.75,
            excess: 3.0,
            least_expected: 0.003,
            coherent_cap: 0.2,
            lone_cap: 0.7,
            diverse_cap: 0.9,
            velocity_cap: 0.2,
            hosting: 1.4,
            tor: 2.0,
            foreign: 0.6,
            disposable: 2.3,
            trusted: -4.0,
            known: -0.7,
        }
    }
}

impl Tuning {
    /// The sum at which a key of this kind is as likely as not under attack. Kinds of which there are many, or
    /// that see much traffic, are tested more often and need more.
    pub fn alarm(&self, kind: KeyKind) -> f64 {
        let at = match kind {
            KeyKind::Block1k => 4.5,
            KeyKind::Block10k => 5.0,
            KeyKind::Ip => 5.5,
            KeyKind::Block100k | KeyKind::Network => 6.5,
            KeyKind::Operator => 8.0,
            KeyKind::CountryFingerprint | KeyKind::CountryUserAgent | KeyKind::CountryAsn => 8.5,
            KeyKind::Country | KeyKind::Asn => 9.0,
            KeyKind::Fingerprint | KeyKind::UserAgent => 9.5,
            KeyKind::Subaccount | KeyKind::ApiKey | KeyKind::Number => 12.0,
        };
        at + self.alarm_shift
    }

    /// Whether evidence about this kind of key may block: not where bystanders are many.
    pub fn narrow(kind: KeyKind) -> bool {
        matches!(
            kind,
            KeyKind::Block1k
                | KeyKind::Block10k
                | KeyKind::Block100k
                | KeyKind::Ip
                | KeyKind::Network
                | KeyKind::Number
        )
    }
}
