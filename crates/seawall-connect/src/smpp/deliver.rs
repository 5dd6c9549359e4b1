//! A tolerant reader of `deliver_sm`: takes what can be read and stops at what cannot.

use tokio_util::bytes::{Buf, Bytes};

use super::wire::printable;

const TLV_RECEIPTED_MESSAGE_ID: u16 = 0x001E;
const TLV_MESSAGE_STATE: u16 = 0x0427;
const TLV_MESSAGE_PAYLOAD: u16 = 0x0424;
const TLV_SAR_REFERENCE: u16 = 0x020C;
const TLV_SAR_TOTAL: u16 = 0x020E;
const TLV_SAR_NUMBER: u16 = 0x020F;

/// What of a `deliver_sm` matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deliver {
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) esm_class: u8,
    pub(super) data_coding: u8,
    /// `short_message`, or the `message_payload` TLV where that is given.
    pub(super) body: Bytes,
    pub(super) receipted_message_id: Option<String>,
    pub(super) message_state: Option<u8>,
    /// Reference, total and number of a part, from the SAR TLVs.
    pub(super) sar: Option<(u16, u8, u8)>,
}

impl Deliver {
    /// Reads the body of the PDU. `None` when its mandatory part is cut short.
    pub(super) fn read(mut body: Bytes) -> Option<Self> {
        c_string(&mut body)?;
        let source = address(&mut body)?;
        let destination = address(&mut body)?;
        let esm_class = byte(&mut body)?;
        let (_protocol, _priority) = (byte(&mut body)?, byte(&mut body)?);
        let (_schedule, _validity) = (c_string(&mut body)?, c_string(&mut body)?);
        let (_registered, _replace) = (byte(&mut body)?, byte(&mut body)?);
        let data_coding = byte(&mut body)?;
        let _default_message = byte(&mut body)?;
        let length = usize::from(byte(&mut body)?);
        let text = take(&mut body, length)?;
        let mut read =
            Deliver { source, destination, esm_class, data_coding, body: text, ..Deliver::default() };
        read.read_tlvs(body);
        Some(read)
    }

    /// Whether it says of itself that it is a receipt or an intermediate notification.
    ///
    /// The text alone never makes a receipt: anybody can send us an SMS that reads like one.
    pub(super) fn is_receipt(&self) -> bool {
        let kind = self.esm_class & 0x3C;
        kind == 0x04 || kind == 0x20 || (self.receipted_message_id.is_some() && self.message_state.is_some())
    }

    fn read_tlvs(&mut self, mut rest: Bytes) {
        let (mut reference, mut total, mut number) = (None, None, None);
        while rest.len() >= 4 {
            let (tag, length) = (rest.get_u16(), usize::from(rest.get_u16()));
            let Some(mut value) = take(&mut rest, length) else {
                break;
            };
            match tag {
                TLV_RECEIPTED_MESSAGE_ID => {
                    let id = value.split(|byte| *byte == 0).next().unwrap_or_default();
                    self.receipted_message_id = Some(printable(id.get(..64).unwrap_or(id)));
                }
                TLV_MESSAGE_STATE => self.message_state = byte(&mut value),
                TLV_MESSAGE_PAYLOAD => self.body = value,
                TLV_SAR_REFERENCE if length == 2 => reference = Some(value.get_u16()),
                TLV_SAR_TOTAL => total = byte(&mut value),
                TLV_SAR_NUMBER => number = byte(&mut value),
                _ => {}
            }
        }
        self.sar =
            reference.zip(total).zip(number).map(|((reference, total), number)| (reference, total, number));
    }
}

fn byte(body: &mut Bytes) -> Option<u8> {
    body.has_remaining().then(|| body.get_u8())
}

fn take(body: &mut Bytes, length: usize) -> Option<Bytes> {
    (body.len() >= length).then(|| body.split_to(length))
}

fn c_string(body: &mut Bytes) -> Option<Bytes> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let text = body.split_to(end);
    body.advance(1);
    Some(text)
}

fn address(body: &mut Bytes) -> Option<String> {
    let (_ton, _npi) = (byte(body)?, byte(body)?);
    let text = c_string(body)?;
    Some(printable(text.get(..64).unwrap_or(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A body as a peer would write it.
    fn body(text: &[u8], tlvs: &[u8]) -> Bytes {
        let mut body = b"\0\x01\x016591234567\0\x03\x0074000\0".to_vec();
        body.extend_from_slice(&[0x04, 0, 0, 0, 0, 0, 0, 3, 0, u8::try_from(text.len()).unwrap()]);
        body.extend_from_slice(text);
        body.extend_from_slice(tlvs);
        Bytes::from(body)
    }

    #[test]
    fn reads_fields_and_tlvs() {
        // A receipted_message_id without its NUL is common, and so is a TLV that we do not know.
        let tlvs = b"\x00\x1e\x00\x03abc\x04\x27\x00\x01\x02\x15\x02\x00\x02zz";
        let read = Deliver::read(body(b"hello", tlvs)).unwrap();
        assert_eq!((read.source.as_str(), read.destination.as_str()), ("6591234567", "74000"));
        assert_eq!((read.esm_class, read.data_coding, read.body.as_ref()), (4, 3, b"hello".as_ref()));
        assert_eq!((read.receipted_message_id.as_deref(), read.message_state), (Some("abc"), Some(2)));
        assert!(read.is_receipt());
    }

    #[test]
    fn a_payload_replaces_the_text_and_a_cut_tlv_is_left_out() {
        let read = Deliver::read(body(b"", b"\x04\x24\x00\x02hi\x04\x27\x00\x09\x02")).unwrap();
        assert_eq!((read.body.as_ref(), read.message_state), (b"hi".as_ref(), None));
    }

    #[test]
    fn a_length_beyond_the_pdu_is_not_read() {
        let whole = body(b"hello", b"");
        for cut in 0..whole.len() {
            assert_eq!(Deliver::read(whole.slice(..cut)), None, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Deliver::read(Bytes::from(bytes));
        }
    }
}
