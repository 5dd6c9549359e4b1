//! One request as a rule sees it, live or recorded.

use crate::client_ip::ClientIp;
use crate::facts::Facts;
use crate::intel::{Continent, local_time};
use crate::msisdn::{Msisdn, ParsedNumber};
use crate::recorded::{Clues, Names, Recorded, Text};
use crate::request::{Operation, Request};
use crate::time::Timestamp;

use super::attribute::{Attribute, Plain};

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'s> {
    /// The request does not have it.
    Missing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Double(f64),
    /// A text.
    Str(&'s str),
    /// An address; also what stands for its network.
    Ip(ClientIp),
    /// Texts.
    Names(&'s Names<'s>),
    /// Kinds of observation.
    Families(&'s Clues<'s>),
}

impl<'s> Value<'s> {
    /// How many texts a list has; `None` for what is no list.
    pub(super) fn len(self) -> Option<usize> {
        match self {
            Value::Names(names) => Some(names.len()),
            Value::Families(families) => Some(families.len()),
            _ => None,
        }
    }

    /// One text of a list.
    pub(super) fn item(self, at: usize) -> Option<&'s str> {
        match self {
            Value::Names(names) => names.get(at),
            Value::Families(families) => families.family(at),
            _ => None,
        }
    }
}

/// What the decision itself holds of a request, and beside it what is recorded as its facts.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// What was asked for.
    pub operation: Operation,
    /// The subaccount.
    pub subaccount: &'a str,
    /// Id of the API key.
    pub api_key: &'a str,
    /// Where the request came from.
    pub caller_ip: ClientIp,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
    /// Whether it was only asked.
    pub dry_run: bool,
    /// The number without its last four digits.
    pub range: Range,
    /// The rest.
    pub facts: Recorded<'a>,
}

/// What the decision itself holds.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// When it was decided.
    pub at: Timestamp,
    /// What was asked for.
    pub operation: Operation,
    /// The subaccount.
    pub subaccount: &'a str,
    /// Id of the API key.
    pub api_key: &'a str,
    /// Where the request came from.
    pub caller_ip: ClientIp,
    /// The end user's address.
    pub client_ip: Option<ClientIp>,
    /// Whether it was only asked.
    pub dry_run: bool,
    /// The number's digits without the last four.
    pub block: u64,
}

/// `+` and the digits of a number's range, without a place on the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    block: u64,
    text: [u8; Range::LONGEST],
    /// Where the text begins.
    from: u8,
}

impl Range {
    /// A sign and the digits of the largest integer.
    const LONGEST: usize = 21;

    /// The range whose digits, read as one integer, are `block`.
    pub fn new(block: u64) -> Self {
        let (mut text, mut left, mut from) = ([0; Self::LONGEST], block, Self::LONGEST);
        for (at, place) in text.iter_mut().enumerate().rev() {
            from = at;
            if left == 0 && at + 1 < Self::LONGEST {
                *place = b'+';
                break;
            }
            *place = b'0' + u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
        }
        Range { block, text, from: u8::try_from(from).unwrap_or_default() }
    }

    /// `+99893412`
    pub fn as_str(&self) -> &str {
        let text = self.text.get(usize::from(self.from)..).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// Digits that a range leaves open, as a factor.
const OPEN: u64 = 10_000;

impl<'a> Seen<'a> {
    /// What was recorded of a decision.
    pub fn recorded(envelope: Envelope<'a>, facts: Recorded<'a>) -> Self {
        let Envelope { at, operation, subaccount, api_key, caller_ip, client_ip, dry_run, block } = envelope;
        let range = Range::new(block);
        Seen { at, operation, subaccount, api_key, caller_ip, client_ip, dry_run, range, facts }
    }

    /// A request while it is decided.
    pub fn live(request: &'a Request, facts: &'a Facts, now: Timestamp) -> Self {
        Seen {
            at: now,
            operation: request.operation,
            subaccount: &request.subaccount,
            api_key: &request.key,
            caller_ip: request.caller_ip,
            client_ip: request.client.ip,
            dry_run: request.dry_run,
            range: Range::new(request.to.as_u64() / OPEN),
            facts: Recorded::of(request, facts, now),
        }
    }

    /// The value of an attribute.
    pub fn get(&self, attribute: &Attribute) -> Value<'_> {
        match attribute {
            Attribute::Plain(plain) => self.plain(*plain),
            Attribute::Velocity(key, metric, span) => {
                let tally = self.facts.velocity.as_ref().and_then(|v| v.get(*key, *metric, *span));
                tally.map_or(Value::Missing, |tally| Value::Int(tally.into()))
            }
            Attribute::Header(name) => string(self.facts.headers.get(name)),
            Attribute::LimitKey(name) => string(self.facts.limit_keys.get(name)),
        }
    }

    /// Whether the fact behind an attribute was known at all: what was asked for and is not there is missing,
    /// what nobody asked for was not recorded.
    pub fn is_recorded(&self, attribute: &Attribute) -> bool {
        let facts = &self.facts;
        match attribute {
            Attribute::Velocity(..) => facts.velocity.is_some(),
            Attribute::Plain(plain) => match plain {
                Plain::NumberKnown | Plain::NumberTrusted | Plain::NumberLastConfirmedHours => {
                    facts.history.is_some()
                }
                Plain::NumberOperator
                | Plain::NumberMccmnc
                | Plain::NumberPortable
                | Plain::NumberDisposable => facts.number.is_some(),
                Plain::ClientCountry
                | Plain::ClientAsn
                | Plain::ClientHosting
                | Plain::ClientVpn
                | Plain::ClientTor
                | Plain::ClientRelay
                | Plain::ClientProxy => facts.ip.is_some() || self.client_ip.is_none(),
                Plain::EvidenceRisk | Plain::EvidenceProbability | Plain::EvidenceFamilies => {
                    facts.evidence.is_some()
                }
                Plain::Lists => facts.lists.is_some(),
                Plain::NumberPorted
                | Plain::NumberRoaming
                | Plain::NumberReachable
                | Plain::NumberCallForwarding
                | Plain::NumberSimSwappedHours
                | Plain::NumberReassignedHours => facts.line.is_some(),
                _ => true,
            },
            Attribute::Header(_) | Attribute::LimitKey(_) => true,
        }
    }

    fn plain(&self, plain: Plain) -> Value<'_> {
        match plain {
            Plain::RequestOperation => Value::Str(self.operation.as_str()),
            Plain::RequestSubaccount => Value::Str(self.subaccount),
            Plain::RequestApiKey => Value::Str(self.api_key),
            Plain::RequestDryRun => Value::Bool(self.dry_run),
            Plain::RequestHour => Value::Int(self.at.as_secs() / 3600 % 24),
            // The epoch was a Thursday.
            Plain::RequestWeekday => Value::Int((self.at.as_secs() / 86_400 + 3) % 7 + 1),
            Plain::CallerIp => Value::Ip(self.caller_ip),
            Plain::ClientIp | Plain::ClientNetwork => self.client_ip.map_or(Value::Missing, Value::Ip),
            Plain::NumberRange => Value::Str(self.range.as_str()),
            Plain::NumberContinent => string(self.facts.country.continent().map(Continent::as_str)),
            Plain::NumberLocalHour => int(self.local_hour()),
            other => self.facts.get(other),
        }
    }
}

impl Seen<'_> {
    /// What the clock shows there. The range tells the place as well as the number: an area code is shorter.
    fn local_hour(&self) -> Option<u8> {
        let Recorded { country, number_type: kind, number_in_plan: valid, .. } = self.facts;
        let msisdn = Msisdn::from_u64(self.range.block.saturating_mul(OPEN))?;
        local_time::offsets(&ParsedNumber { msisdn, country, kind, valid, veiled: false }, self.at)?
            .hour(self.at)
    }
}

fn string(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Missing, Value::Str)
}

fn text<'s>(text: Option<&'s Text<'_>>) -> Value<'s> {
    string(text.map(Text::as_str))
}

fn flag(flag: Option<bool>) -> Value<'static> {
    flag.map_or(Value::Missing, Value::Bool)
}

fn int(int: Option<impl Into<i64>>) -> Value<'static> {
    int.map_or(Value::Missing, |int| Value::Int(int.into()))
}

impl Recorded<'_> {
    /// What the facts know; the rest stands in the decision.
    fn get(&self, plain: Plain) -> Value<'_> {
        let (ip, number, past) = (self.ip.as_ref(), self.number.as_ref(), self.history.as_ref());
        match plain {
            Plain::RequestChannel => Value::Str(self.channel.as_str()),
            Plain::RequestPurpose => text(self.purpose.as_ref()),
            Plain::RequestSegments => Value::Int(self.segments.into()),
            Plain::RequestPrice => int(self.price),
            Plain::NumberCountry => Value::Str(self.country.as_str()),
            Plain::NumberType => Value::Str(self.number_type.as_str()),
            Plain::NumberValid => Value::Bool(self.number_in_plan),
            Plain::NumberOperator => text(number.and_then(|n| n.operator.as_ref())),
            Plain::NumberMccmnc => text(number.and_then(|n| n.mccmnc.as_ref())),
            Plain::NumberPortable => flag(number.map(|n| n.portable)),
            Plain::NumberDisposable => flag(number.map(|n| n.disposable)),
            Plain::NumberKnown => flag(past.map(|p| p.known)),
            Plain::NumberTrusted => flag(past.map(|p| p.trusted)),
            Plain::NumberLastConfirmedHours => int(past.and_then(|p| p.last_confirmed_hours)),
            Plain::ClientCountry => string(ip.and_then(|ip| ip.country.as_ref()).map(|c| c.as_str())),
            Plain::ClientAsn => int(ip.and_then(|ip| ip.asn)),
            Plain::ClientHosting => flag(ip.map(|ip| ip.hosting)),
            Plain::ClientVpn => flag(ip.map(|ip| ip.vpn)),
            Plain::ClientTor => flag(ip.map(|ip| ip.tor)),
            Plain::ClientRelay => flag(ip.map(|ip| ip.relay)),
            Plain::ClientProxy => flag(ip.map(|ip| ip.proxy)),
            Plain::ClientUser => text(self.user.as_ref()),
            Plain::ClientFingerprint => text(self.fingerprint.as_ref()),
            Plain::ClientUserAgent => text(self.user_agent.as_ref()),
            Plain::ClientJa4 => text(self.ja4.as_ref()),
            Plain::MessageSource => text(self.message.source.as_ref()),
            Plain::MessageTemplate => text(self.message.template.as_ref()),
            Plain::MessageUrlHosts => Value::Names(&self.message.url_hosts),
            Plain::MessageUnicode => Value::Bool(self.message.unicode),
            Plain::Lists => self.lists.as_ref().map_or(Value::Missing, Value::Names),
            Plain::NumberPorted => flag(self.line.and_then(|line| line.ported)),
            Plain::NumberRoaming => flag(self.line.and_then(|line| line.roaming)),
            Plain::NumberReachable => flag(self.line.and_then(|line| line.reachable)),
            Plain::NumberCallForwarding => flag(self.line.and_then(|line| line.call_forwarding)),
            Plain::NumberSimSwappedHours => int(self.line.and_then(|line| line.sim_swapped_hours)),
            Plain::NumberReassignedHours => int(self.line.and_then(|line| line.reassigned_hours)),
            other => self.suspicion(other),
        }
    }

    fn suspicion(&self, plain: Plain) -> Value<'_> {
        let Some(evidence) = &self.evidence else { return Value::Missing };
        match plain {
            Plain::EvidenceRisk => Value::Int(percent(evidence.probability)),
            Plain::EvidenceProbability => Value::Double(evidence.probability.into()),
            Plain::EvidenceFamilies => Value::Families(&evidence.signals),
            _ => Value::Missing,
        }
    }
}

/// A probability in whole percent.
#[allow(clippy::cast_possible_truncation, reason = "between 0 and 100")]
fn percent(probability: f32) -> i64 {
    (probability.clamp(0.0, 1.0) * 100.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_its_digits() {
        for (block, text) in [(99_893_412, "+99893412"), (659_123, "+659123"), (0, "+0"), (7, "+7")] {
            assert_eq!(Range::new(block).as_str(), text);
        }
        assert_eq!(Range::new(u64::MAX).as_str(), format!("+{}", u64::MAX));
    }
}
