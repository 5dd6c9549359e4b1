//! How each record is packed.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use seawall_core::client_ip::ClientIp;
use seawall_core::code::{CodeShape, CodeType};
use seawall_core::consent::Category;
use seawall_core::decision::Verdict;
use seawall_core::limit::Mode;
use seawall_core::message::Channel;
use seawall_core::msisdn::Msisdn;
use seawall_core::reason::{Reason, ReasonCode};
use seawall_core::request::Operation;
use seawall_core::segments::Encoding;
use seawall_core::verification::{Lifecycle, VerificationState};

use super::{Packed, numbered, pack_bytes, packed, unpack_text};
use crate::records::{Attempt, Content, DecisionBody, Details, Json, Price, Progress, VoiceWish};

numbered!(Verdict { Allow = 0, Challenge = 1, Alternative = 2, Throttle = 3, Block = 4 });
numbered!(Mode { Enforce = 0, Shadow = 1, Off = 2 });
numbered!(Channel { Sms = 0, Call = 1 });
numbered!(Category { Code = 0, Transactional = 1, Marketing = 2, Answer = 3 });
numbered!(Encoding { Gsm7 = 0, Ucs2 = 1 });
numbered!(CodeType {
    Numeric = 0,
    NumericWithDash = 1,
    Alphanumeric = 2,
    AlphanumericCapitals = 3,
    AlphanumericEasy = 4,
});

packed!(DecisionBody {
    operation,
    subaccount_id,
    key_id,
    block,
    to_hash,
    caller_ip,
    client_ip,
    verdict,
    enforced,
    risk,
    reasons,
    facts,
    policy_version,
    dry_run,
    retry_at,
    sent,
    verification,
    count,
    veiled,
});
packed!(Reason { code, detail, value, limit, window, key, mode, overruled });
packed!(Details { source, client_message_id, client_batch_id, callback_url, voice, track, category, veiled });
packed!(VoiceWish { language, profile, speed, repetition });
packed!(Price { per_segment, total, currency });
packed!(Attempt { provider, at, outcome, reference, detail });
packed!(Progress { attempts, error_code, error_message, changed_at, outcome });
packed!(Lifecycle {
    state,
    generation,
    failed_checks,
    sends,
    created_at,
    sent_at,
    expires_at,
    ttl,
    resend_interval,
    retry_at,
    max_checks,
    channel,
    verified_at,
});

impl Packed for Operation {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.as_u8());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Operation::from_u8(u8::unpack(from)?)
    }
}

impl Packed for VerificationState {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.as_u8());
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        VerificationState::from_u8(u8::unpack(from)?)
    }
}

/// By its word, which is stable for ever; its place in the list is not.
impl Packed for ReasonCode {
    fn pack(&self, out: &mut Vec<u8>) {
        pack_bytes(self.as_str().as_bytes(), out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        ReasonCode::parse(unpack_text(from)?)
    }
}

impl Packed for Msisdn {
    fn pack(&self, out: &mut Vec<u8>) {
        self.as_u64().pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Msisdn::from_u64(u64::unpack(from)?)
    }
}

impl Packed for ClientIp {
    fn pack(&self, out: &mut Vec<u8>) {
        match self.ip() {
            std::net::IpAddr::V4(ip) => pack_bytes(&ip.octets(), out),
            std::net::IpAddr::V6(ip) => pack_bytes(&ip.octets(), out),
        }
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        let octets = super::unpack_bytes(from)?;
        if let Ok(four) = <[u8; 4]>::try_from(octets) {
            return Some(ClientIp::from_ip(Ipv4Addr::from(four).into()));
        }
        let sixteen = <[u8; 16]>::try_from(octets).ok()?;
        Some(ClientIp::from_ip(Ipv6Addr::from(sixteen).into()))
    }
}

impl Packed for Duration {
    /// Milliseconds: no setting is finer.
    fn pack(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX).pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        u64::unpack(from).map(Duration::from_millis)
    }
}

impl Packed for Json {
    fn pack(&self, out: &mut Vec<u8>) {
        pack_bytes(self.text().as_bytes(), out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        Json::from_text(unpack_text(from)?)
    }
}

impl Packed for CodeShape {
    fn pack(&self, out: &mut Vec<u8>) {
        self.kind().pack(out);
        self.length().pack(out);
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        CodeShape::new(CodeType::unpack(from)?, u8::unpack(from)?).ok()
    }
}

const TEXT: u8 = 0;
const CODE: u8 = 1;
const FLOW: u8 = 2;

impl Packed for Content {
    fn pack(&self, out: &mut Vec<u8>) {
        match self {
            Content::Text { text } => {
                out.push(TEXT);
                text.pack(out);
            }
            Content::Code { template, brand, generation, shape, key_id, given } => {
                out.push(CODE);
                template.pack(out);
                brand.pack(out);
                generation.pack(out);
                shape.pack(out);
                key_id.pack(out);
                given.pack(out);
            }
            // What happens in it is kept apart, as a text is.
            Content::Flow { .. } => out.push(FLOW),
        }
    }

    fn unpack(from: &mut &[u8]) -> Option<Self> {
        match u8::unpack(from)? {
            TEXT => String::unpack(from).map(|text| Content::Text { text }),
            CODE => Some(Content::Code {
                template: Packed::unpack(from)?,
                brand: Packed::unpack(from)?,
                generation: Packed::unpack(from)?,
                shape: Packed::unpack(from)?,
                key_id: Packed::unpack(from)?,
                given: Packed::unpack(from)?,
            }),
            FLOW => Some(Content::Flow { steps: Vec::new() }),
            _ => None,
        }
    }
}
