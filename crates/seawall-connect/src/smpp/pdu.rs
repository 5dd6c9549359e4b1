//! Building `submit_sm` and bind PDUs.

use std::time::Duration;

use rusmpp::Pdu;
use rusmpp::pdus::{BindReceiver, BindTransceiver, BindTransmitter, SubmitSm};
use rusmpp::tlvs::MessageSubmissionRequestTlvValue;
use rusmpp::types::{AnyOctetString, COctetString, EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{
    DataCoding, EsmClass, InterfaceVersion, MessagePayload, Npi, RegisteredDelivery, ServiceType, Ton,
};
use seawall_core::segments::{Encoding, gsm7_encode, split};

use super::settings::{Bind, Long, Settings};
use crate::{ErrorClass, Outgoing, Secret};

const DATA_CODING_UCS2: u8 = 8;
const ESM_CLASS_UDHI: u8 = 0x40;
/// The 8-bit header counts parts in one byte.
const PARTS_AT_MOST: usize = 255;
const DAYS_AT_MOST: u64 = 30;

/// Why a message cannot be put into PDUs: class and words for a refusal. Nothing was sent.
pub(super) type Unfit = (ErrorClass, &'static str);

/// The PDUs of one message, in the order to send them. `concatenation` tells its parts from other messages'.
///
/// A receipt is requested for the last part only: its id is the message's reference, and the receipts of
/// other parts would match nothing. SMSCs hand parts over in order, so the last one speaks for the message.
pub(super) fn submit(
    message: &Outgoing,
    settings: &Settings,
    concatenation: u8,
) -> Result<Vec<SubmitSm>, Unfit> {
    let base = envelope(message, settings)?;
    let texts = match settings.long_messages {
        Long::Udh => split(message.text.reveal(), message.encoding),
        Long::Payload => vec![message.text.reveal().to_owned()],
    };
    if texts.len() > PARTS_AT_MOST {
        return Err((ErrorClass::InvalidFormat, "the text needs more than 255 segments"));
    }
    let bodies =
        texts.iter().map(|text| encode(text, message.encoding)).collect::<Result<Vec<_>, Unfit>>()?;
    let mut pdus = match bodies.as_slice() {
        [body] if fits_one(body, message.encoding) => vec![with_text(base, body)?],
        [body] => vec![with_payload(base, body)],
        parts => with_headers(&base, parts, concatenation)?,
    };
    if let Some(last) = pdus.last_mut().filter(|_| settings.registered_delivery) {
        last.registered_delivery = RegisteredDelivery::from(1);
    }
    Ok(pdus)
}

fn fits_one(body: &[u8], encoding: Encoding) -> bool {
    body.len() <= if encoding == Encoding::Gsm7 { 160 } else { 140 }
}

fn envelope(message: &Outgoing, settings: &Settings) -> Result<SubmitSm, Unfit> {
    let (ton, npi, source) = source(message.from.as_deref().unwrap_or_default(), settings)?;
    let digits = message.to.reveal().trim_start_matches('+');
    let destination =
        c_string::<21>(digits).ok_or((ErrorClass::InvalidDestination, "not an E.164 number"))?;
    let coding =
        if message.encoding == Encoding::Gsm7 { settings.gsm7_data_coding } else { DATA_CODING_UCS2 };
    let service = ServiceType::new(c_string::<6>(&settings.service_type).unwrap_or_default());
    let validity =
        message.validity.map(relative_time).and_then(|text| EmptyOrFullCOctetString::from_string(text).ok());
    Ok(SubmitSm::builder()
        .service_type(service)
        .source_addr_ton(ton)
        .source_addr_npi(npi)
        .source_addr(source)
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(destination)
        // Not `EsmClass::default()`: rusmpp encodes that as 0x08.
        .esm_class(EsmClass::from(0))
        .validity_period(validity.unwrap_or_default())
        .registered_delivery(RegisteredDelivery::from(0))
        .data_coding(DataCoding::from(coding))
        .build())
}

/// Type and plan of a sender: alphanumeric 5/0, short code 3/0, number 1/1; the settings may overrule both.
fn source(from: &str, settings: &Settings) -> Result<(Ton, Npi, COctetString<1, 21>), Unfit> {
    let bare = from.strip_prefix('+').unwrap_or(from);
    let numeric = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    let (ton, npi) = match (numeric, from.starts_with('+') || bare.len() > 8) {
        _ if from.is_empty() => (0, 0),
        (true, true) => (1, 1),
        (true, false) => (3, 0),
        (false, _) => (5, 0),
    };
    let text = if numeric { bare } else { from };
    let address =
        c_string::<21>(text).ok_or((ErrorClass::InvalidSource, "the sender ID is not ASCII or too long"))?;
    Ok((
        Ton::from(settings.source_ton.unwrap_or(ton)),
        Npi::from(settings.source_npi.unwrap_or(npi)),
        address,
    ))
}

fn encode(text: &str, encoding: Encoding) -> Result<Vec<u8>, Unfit> {
    match encoding {
        Encoding::Gsm7 => {
            gsm7_encode(text).ok_or((ErrorClass::InvalidFormat, "the text has characters outside GSM-7"))
        }
        Encoding::Ucs2 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    }
}

fn with_text(base: SubmitSm, body: &[u8]) -> Result<SubmitSm, Unfit> {
    let text =
        OctetString::from_slice(body).map_err(|_| (ErrorClass::InvalidFormat, "a segment is too long"))?;
    Ok(base.with_short_message(text))
}

fn with_payload(mut base: SubmitSm, body: &[u8]) -> SubmitSm {
    let payload = MessagePayload::new(AnyOctetString::from_slice(body));
    base.push_tlv(MessageSubmissionRequestTlvValue::MessagePayload(payload));
    base
}

fn with_headers(base: &SubmitSm, parts: &[Vec<u8>], concatenation: u8) -> Result<Vec<SubmitSm>, Unfit> {
    let total = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let numbered = (1..=total).zip(parts);
    numbered
        .map(|(number, part)| {
            let mut body = vec![5, 0, 3, concatenation, total, number];
            body.extend_from_slice(part);
            let mut pdu = with_text(base.clone(), &body)?;
            pdu.esm_class = EsmClass::from(ESM_CLASS_UDHI);
            Ok(pdu)
        })
        .collect()
}

/// SMPP's relative time, `YYMMDDhhmmss000R`.
fn relative_time(validity: Duration) -> String {
    let seconds = validity.as_secs().clamp(1, DAYS_AT_MOST * 86_400);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("0000{days:02}{:02}{:02}{:02}000R", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The bind request for the settings. `None` when a field does not fit, which the settings have ruled out.
pub(super) fn bind(settings: &Settings, password: &Secret) -> Option<Pdu> {
    let system_id = c_string::<16>(&settings.system_id)?;
    let password = c_string::<9>(password.reveal())?;
    let system_type = c_string::<13>(&settings.system_type)?;
    let version = InterfaceVersion::Smpp3_4;
    let (ton, npi, range) = (Ton::Unknown, Npi::Unknown, COctetString::empty());
    Some(match settings.bind {
        Bind::Transceiver => {
            BindTransceiver::new(system_id, password, system_type, version, ton, npi, range).into()
        }
        Bind::Transmitter => {
            BindTransmitter::new(system_id, password, system_type, version, ton, npi, range).into()
        }
        Bind::Receiver => {
            BindReceiver::new(system_id, password, system_type, version, ton, npi, range).into()
        }
    })
}

/// `text` with its NUL, when it is printable ASCII (a NUL inside would shift every later field) and has room
/// in `MAX` octets.
pub(super) fn c_string<const MAX: usize>(text: &str) -> Option<COctetString<1, MAX>> {
    let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    printable.then(|| COctetString::from_string(text.to_owned()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::message;
    use serde_json::json;

    fn settings(more: serde_json::Value) -> Settings {
        let mut all = json!({"host": "localhost", "system_id": "s"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Settings::read(&all, false).unwrap()
    }

    #[test]
    fn a_short_message_is_one_plain_pdu() {
        let pdus = submit(&message("Your code is 123456"), &settings(json!({})), 1).unwrap();
        let [pdu] = pdus.as_slice() else { panic!("one PDU") };
        assert_eq!(pdu.short_message().as_ref(), b"Your code is 123456");
        assert_eq!(u8::from(pdu.esm_class), 0, "rusmpp's default would be 0x08");
        assert_eq!(u8::from(pdu.registered_delivery), 1);
        assert_eq!(pdu.destination_addr.as_str(), "6591234567");
        assert_eq!((pdu.source_addr_ton, pdu.source_addr_npi), (Ton::Alphanumeric, Npi::Unknown));
    }

    #[test]
    fn long_messages_get_headers_or_a_payload() {
        let text = "0123456789".repeat(20);
        let pdus = submit(&message(&text), &settings(json!({})), 0xAB).unwrap();
        let bodies: Vec<_> = pdus.iter().map(|pdu| pdu.short_message().as_ref().to_vec()).collect();
        assert_eq!(bodies.len(), 2);
        assert_eq!(bodies[0][..6], [5, 0, 3, 0xAB, 2, 1]);
        assert_eq!(bodies[1][..6], [5, 0, 3, 0xAB, 2, 2]);
        assert_eq!((bodies[0].len(), bodies[1].len()), (159, 6 + 47));
        let wanted: Vec<_> = pdus.iter().map(|pdu| u8::from(pdu.registered_delivery)).collect();
        assert_eq!(wanted, [0, 1], "the last part's receipt speaks for the message");
        let pdus = submit(&message(&text), &settings(json!({"long_messages": "payload"})), 1).unwrap();
        assert_eq!((pdus.len(), pdus[0].sm_length(), pdus[0].tlvs().len()), (1, 0, 1));
    }

    #[test]
    fn ucs2_is_big_endian_with_its_data_coding() {
        let pdus = submit(&Outgoing { encoding: Encoding::Ucs2, ..message("码😀") }, &settings(json!({})), 1);
        let pdu = pdus.unwrap().remove(0);
        assert_eq!(pdu.short_message().as_ref(), [0x78, 0x01, 0xD8, 0x3D, 0xDE, 0x00]);
        assert_eq!(u8::from(pdu.data_coding), 8);
    }

    #[test]
    fn senders_get_their_type_and_plan() {
        for (from, ton, npi, address) in [
            (Some("Seawall"), 5, 0, "Seawall"),
            (Some("+6591234567"), 1, 1, "6591234567"),
            (Some("6591234567"), 1, 1, "6591234567"),
            (Some("74000"), 3, 0, "74000"),
            (None, 0, 0, ""),
        ] {
            let outgoing = Outgoing { from: from.map(str::to_owned), ..message("x") };
            let pdu = submit(&outgoing, &settings(json!({})), 1).unwrap().remove(0);
            let seen =
                (u8::from(pdu.source_addr_ton), u8::from(pdu.source_addr_npi), pdu.source_addr.as_str());
            assert_eq!(seen, (ton, npi, address));
        }
        for from in ["Sée", "a\0b", "123456789012345678901"] {
            let outgoing = Outgoing { from: Some(from.to_owned()), ..message("x") };
            assert_eq!(submit(&outgoing, &settings(json!({})), 1).unwrap_err().0, ErrorClass::InvalidSource);
        }
    }

    #[test]
    fn validity_is_relative_time() {
        assert_eq!(relative_time(Duration::from_secs(90)), "000000000130000R");
        assert_eq!(relative_time(Duration::from_secs(86_400 * 99)), "000030000000000R");
        let outgoing = Outgoing { validity: Some(Duration::from_secs(600)), ..message("x") };
        let pdu = submit(&outgoing, &settings(json!({})), 1).unwrap().remove(0);
        assert_eq!(pdu.validity_period.as_str(), "000000001000000R");
    }
}
