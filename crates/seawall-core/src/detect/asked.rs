//! What the engine needs to know of a request, and what happened to it afterwards.

use serde::{Deserialize, Serialize};

use crate::client_ip::ClientIp;
use crate::country::Country;
use crate::detect::evidence::Explained;
use crate::facts::History;
use crate::intel::price::likely_price;
use crate::intel::{IpFacts, NumberFacts};
use crate::message::Channel;
use crate::msisdn::Msisdn;
use crate::request::{Operation, Request};
use crate::time::Timestamp;

/// A request as detection sees it. It holds the full number: whoever stores or sends it seals it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// When.
    pub at: Timestamp,
    /// What is asked for.
    pub operation: Operation,
    /// The recipient. Personal data.
    #[serde(with = "digits")]
    pub msisdn: Msisdn,
    /// The recipient's country.
    pub country: Country,
    /// The recipient's operator: MCC and MNC together, or a name where there is no code.
    pub operator: Option<String>,
    /// A number of a public receive-SMS site.
    pub disposable: bool,
    /// The subaccount.
    pub subaccount: String,
    /// Id of the API key.
    pub api_key: String,
    /// The app's name for its user.
    pub user: Option<String>,
    /// The end user's address.
    pub ip: Option<ClientIp>,
    /// What tables say of that address.
    #[serde(with = "flat")]
    pub ip_facts: IpFacts,
    /// Where the request came from: the app's server.
    pub caller: Option<ClientIp>,
    /// The end user's browser or app.
    pub user_agent: Option<String>,
    /// The app's fingerprint of the device, or the TLS fingerprint where there is none.
    pub fingerprint: Option<String>,
    /// A code sent to this number was confirmed before.
    pub known: bool,
    /// The request carries the genuine device token of that confirmation.
    pub trusted: bool,
    /// What the message costs, in micro-units.
    pub price: i64,
    /// How the message travels.
    pub channel: Channel,
    /// What a message other than a code looks like.
    pub text: Option<TextTraits>,
}

/// What a message looks like from outside; never its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextTraits {
    /// Name of the registered template that the text follows.
    pub template: Option<String>,
    /// Hosts of the URLs in the text, in lower case.
    pub url_hosts: Vec<String>,
    /// Its words, as small keyed hashes.
    pub words: Vec<u16>,
}

impl Asked {
    /// Whether somebody behind an address asks for it. A text that a server sends of its own accord is the
    /// sender's doing: how numbers of blocks and countries fare otherwise says nothing about it.
    pub(super) fn of_a_user(&self) -> bool {
        self.operation == Operation::VerifyStart || self.ip.is_some()
    }

    /// What is known of a request when its facts have been gathered.
    pub fn of(
        request: &Request,
        ip: Option<IpFacts>,
        number: Option<&NumberFacts>,
        past: History,
        at: Timestamp,
    ) -> Self {
        let client = &request.client;
        let code = number.and_then(|n| n.mccmnc.map(|code| code.to_string()));
        let name = || number.and_then(|n| n.operator.as_deref().map(str::to_owned));
        let message = &request.message;
        let text = || TextTraits {
            template: message.template.clone(),
            url_hosts: message.url_hosts.clone(),
            words: message.words.clone(),
        };
        Asked {
            at,
            operation: request.operation,
            msisdn: request.to,
            country: request.country,
            operator: code.or_else(name),
            disposable: number.is_some_and(|n| n.disposable),
            subaccount: request.subaccount.clone(),
            api_key: request.key.clone(),
            user: client.user.clone(),
            ip: client.ip,
            ip_facts: ip.unwrap_or_default(),
            caller: Some(request.caller_ip),
            user_agent: client.user_agent.clone(),
            fingerprint: client.fingerprint.clone().or_else(|| client.ja4.clone()),
            known: past.known,
            trusted: past.trusted,
            price: request.price.unwrap_or_else(|| likely_price(request.country, request.segments)),
            channel: request.channel,
            text: (request.operation != Operation::VerifyStart).then(text),
        }
    }
}

/// What happened. The engine is a fold over these, in the order in which they are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The message was sent (or will be): it may now be confirmed.
    Sent {
        /// Identifies the message in later events.
        id: u64,
        /// The request.
        asked: Box<Asked>,
        /// What was thought of it when it was decided; decides what it may teach.
        probability: f32,
        /// Which narrow key already explained it.
        explained: Explained,
    },
    /// The request was not sent.
    Refused {
        /// The request.
        asked: Box<Asked>,
    },
    /// The client was asked to prove something.
    Challenged {
        /// The request.
        asked: Box<Asked>,
    },
    /// The user presented the right code, or the app reported success.
    Confirmed {
        /// The message.
        id: u64,
        /// When.
        at: Timestamp,
    },
    /// A wrong code was presented.
    WrongCheck {
        /// The message whose code was meant.
        id: u64,
        /// When.
        at: Timestamp,
    },
    /// The provider reported delivery. Forged receipts are common, so this confirms nothing.
    Delivered {
        /// The message.
        id: u64,
        /// When.
        at: Timestamp,
    },
    /// The provider reported that the message did not arrive.
    Failed {
        /// The message.
        id: u64,
        /// When.
        at: Timestamp,
    },
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Event::Sent { asked, .. } | Event::Refused { asked } | Event::Challenged { asked } => asked.at,
            Event::Confirmed { at, .. }
            | Event::WrongCheck { at, .. }
            | Event::Delivered { at, .. }
            | Event::Failed { at, .. } => *at,
        }
    }
}

/// Facts of an address in the same places whatever is known: the stream's form has no names to skip by.
mod flat {
    use super::{Country, IpFacts};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Flat = (Option<Country>, Option<u32>, [bool; 5]);

    pub fn serialize<S: Serializer>(facts: &IpFacts, serializer: S) -> Result<S::Ok, S::Error> {
        let IpFacts { country, asn, hosting, vpn, relay, tor, proxy } = *facts;
        (country, asn, [hosting, vpn, relay, tor, proxy]).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpFacts, D::Error> {
        let (country, asn, [hosting, vpn, relay, tor, proxy]) = Flat::deserialize(deserializer)?;
        Ok(IpFacts { country, asn, hosting, vpn, relay, tor, proxy })
    }
}

/// A number as one integer.
mod digits {
    use super::Msisdn;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(msisdn: &Msisdn, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(msisdn.as_u64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Msisdn, D::Error> {
        let refuse = || serde::de::Error::custom("not a phone number of 7 to 15 digits");
        Msisdn::from_u64(u64::deserialize(deserializer)?).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream between a gateway and its next start is in this form.
    #[test]
    fn events_are_read_as_they_were_written() {
        let to = Msisdn::parse("+998934123456", None).unwrap();
        let ip = ClientIp::parse("84.54.71.9").unwrap();
        let mut request = Request::new(Operation::VerifyStart, "acme_hq", "key_1", &to, ip);
        for (client, known) in [(None, false), (Some(ip), true), (ClientIp::parse("2001:db8::7"), true)] {
            request.client.ip = client;
            for country in [None, Country::parse("UZ")] {
                let facts = IpFacts { country, asn: country.map(|_| 8193), vpn: known, ..IpFacts::default() };
                let past = History { known, ..History::default() };
                let asked = Asked::of(&request, Some(facts), None, past, Timestamp::from_millis(1_000_000));
                let sent = Event::Sent {
                    id: 7,
                    asked: Box::new(asked.clone()),
                    probability: 0.25,
                    explained: Explained::No,
                };
                let events = vec![sent, Event::Refused { asked: Box::new(asked) }];
                let bytes = postcard::to_allocvec(&events).unwrap();
                assert_eq!(postcard::from_bytes::<Vec<Event>>(&bytes).unwrap(), events);
            }
        }
    }
}
