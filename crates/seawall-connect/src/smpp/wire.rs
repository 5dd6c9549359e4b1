//! Frames on the wire. Writing is `rusmpp`'s; reading is our own and tolerant.
//!
//! `rusmpp` refuses a whole PDU for one odd field (a TLV without its NUL, an address in Latin-1), and real
//! SMSCs send those. What cannot be framed at all still ends the session. Never turn on the `tracing` feature
//! of `rusmpp`: it logs PDUs with their texts.

use rusmpp::tokio_codec::CommandCodec;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio_util::bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

const HEADER: usize = 16;
/// Bound of a PDU; also what `rusmpp` would refuse.
const LONGEST: usize = 64 * 1024;
/// The top bit of a command id marks a response.
const RESPONSE: u32 = 0x8000_0000;

/// A PDU as it came: header read, body not yet.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) id: CommandId,
    pub(super) status: CommandStatus,
    pub(super) sequence: u32,
    pub(super) body: Bytes,
}

impl Frame {
    /// Whether it answers one of our requests.
    pub(super) fn is_response(&self) -> bool {
        u32::from(self.id) & RESPONSE != 0
    }

    /// The first C-string of the body: the message id of `submit_sm_resp`.
    pub(super) fn first_string(&self) -> String {
        let text = self.body.split(|byte| *byte == 0).next().unwrap_or_default();
        printable(text.get(..64).unwrap_or(text))
    }
}

/// Latin-1 without control characters: ids and addresses, whatever the SMSC sends.
pub(super) fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).filter(|c| !c.is_control()).collect()
}

/// A request or a positive answer.
pub(super) fn command(sequence: u32, pdu: impl Into<Pdu>) -> Command {
    Command::new(CommandStatus::EsmeRok, sequence, pdu)
}

/// Why a peer's bytes cannot be framed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the SMSC sent a PDU of impossible length {0}")]
    Length(usize),
}

/// Codec of a session.
#[derive(Default)]
pub(super) struct Wire {
    out: CommandCodec,
}

impl Encoder<Command> for Wire {
    type Error = WireError;

    fn encode(&mut self, command: Command, into: &mut BytesMut) -> Result<(), WireError> {
        self.out.encode(&command, into).map_err(|error| WireError::Io(std::io::Error::other(error)))
    }
}

impl Decoder for Wire {
    type Item = Frame;
    type Error = WireError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, WireError> {
        let Some(mut head) = from.get(..HEADER) else {
            return Ok(None);
        };
        let length = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
        if !(HEADER..=LONGEST).contains(&length) {
            return Err(WireError::Length(length));
        }
        let (id, status, sequence) = (head.get_u32(), head.get_u32(), head.get_u32());
        if from.len() < length {
            from.reserve(length - from.len());
            return Ok(None);
        }
        let mut body = from.split_to(length).freeze();
        body.advance(HEADER);
        Ok(Some(Frame { id: CommandId::from(id), status: CommandStatus::from(status), sequence, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn impossible_lengths_end_the_session() {
        for length in [0_u32, 15, 65_537, u32::MAX] {
            let mut bytes = BytesMut::from(&length.to_be_bytes()[..]);
            bytes.extend_from_slice(&[0; 12]);
            assert!(matches!(Wire::default().decode(&mut bytes), Err(WireError::Length(_))), "{length}");
        }
    }

    #[test]
    fn round_trip_in_pieces() {
        let mut bytes = BytesMut::new();
        let mut wire = Wire::default();
        wire.encode(command(7, Pdu::EnquireLink), &mut bytes).unwrap();
        let all = bytes.clone();
        for cut in 0..all.len() {
            let mut part = BytesMut::from(&all[..cut]);
            assert!(wire.decode(&mut part).unwrap().is_none());
        }
        let frame = wire.decode(&mut bytes).unwrap().unwrap();
        assert_eq!((frame.id, frame.sequence, frame.body.len()), (CommandId::EnquireLink, 7, 0));
        assert!(bytes.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = Wire::default().decode(&mut bytes) {
                let _ = frame.first_string();
            }
        }
    }
}
