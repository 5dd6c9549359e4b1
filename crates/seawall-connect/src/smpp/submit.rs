//! One message over the link: its parts in order, and what is known about the whole.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rusmpp::pdus::SubmitSm;
use rusmpp::{CommandId, CommandStatus};
use seawall_core::message::Channel;
use tokio::time::Instant;

use super::link::Link;
use super::pdu;
use super::pending::Reply;
use super::rate::Rate;
use super::receipt::reference_of_submission;
use super::session::Session;
use super::settings::{Bind, Settings};
use super::status::{describe, refusal};
use super::wire::Frame;
use crate::{ErrorClass, Outgoing, Submission};

/// How long a part may wait for the rate and the window.
const ROOM_WITHIN: Duration = Duration::from_secs(5);

/// Submits messages; one for a provider.
pub(super) struct Submitter {
    rate: Rate,
    concatenation: AtomicU8,
}

impl Submitter {
    pub(super) fn new(settings: &Settings) -> Self {
        Submitter { rate: Rate::new(settings.messages_per_second), concatenation: AtomicU8::new(0) }
    }

    /// Hands over all parts, each after the one before was taken. The message's reference is the id of its
    /// last part, the only one for which a receipt is requested.
    pub(super) async fn submit(&self, link: &Link, message: &Outgoing) -> Submission {
        if message.channel != Channel::Sms {
            let detail = "an SMPP provider carries SMS only".to_owned();
            return Submission::Refused { class: ErrorClass::InvalidFormat, detail };
        }
        if link.settings().bind == Bind::Receiver {
            return Submission::Unreachable { detail: "bound as receiver, which cannot submit".to_owned() };
        }
        let session = match link.session() {
            Ok(session) => session,
            Err(reason) => {
                return Submission::Unreachable { detail: format!("not bound: {reason}") };
            }
        };
        let concatenation = self.concatenation.fetch_add(1, Ordering::Relaxed);
        match pdu::submit(message, link.settings(), concatenation) {
            Ok(parts) => self.submit_parts(link, &session, parts).await,
            Err((class, detail)) => Submission::Refused { class, detail: detail.to_owned() },
        }
    }

    async fn submit_parts(&self, link: &Link, session: &Session, parts: Vec<SubmitSm>) -> Submission {
        let total = parts.len();
        let mut reference = None;
        for (taken, part) in parts.into_iter().enumerate() {
            match self.submit_part(session, part).await {
                Reply::Answer(frame) if is_taken(&frame) => {
                    reference = reference_of_submission(&frame.first_string(), link.settings().receipt_id);
                }
                failure => return outcome(failure, taken, total),
            }
        }
        Submission::Accepted { reference, delivered: false }
    }

    async fn submit_part(&self, session: &Session, part: SubmitSm) -> Reply {
        let deadline = Instant::now() + ROOM_WITHIN;
        if self.rate.wait(deadline).await {
            session.submit(part.into(), deadline).await
        } else {
            Reply::NotSent("messages_per_second left no room in time")
        }
    }
}

fn is_taken(frame: &Frame) -> bool {
    frame.id == CommandId::SubmitSmResp && frame.status == CommandStatus::EsmeRok
}

/// What a failed part means. Once a part was taken, the recipient may see it: the whole is then unknown.
fn outcome(reply: Reply, taken: usize, total: usize) -> Submission {
    if taken > 0 {
        let why = match reply {
            Reply::Answer(frame) => describe(frame.status),
            Reply::NotSent(why) | Reply::Lost(why) => why.to_owned(),
        };
        return Submission::Unknown { detail: format!("only {taken} of {total} parts were taken: {why}") };
    }
    match reply {
        Reply::Answer(frame) if frame.status == CommandStatus::EsmeRok => {
            let detail = "the SMSC answered with generic_nack".to_owned();
            Submission::Refused { class: ErrorClass::ProviderFault, detail }
        }
        Reply::Answer(frame) => refusal(frame.status),
        Reply::NotSent(why) => Submission::Unreachable { detail: why.to_owned() },
        Reply::Lost(why) => Submission::Unknown { detail: why.to_owned() },
    }
}
