//! SMPP 3.4: an ESME of our own over `rusmpp`'s PDUs.
//!
//! Reading order: `settings`, `link` (stays bound), `session` (one connection), `submit` (one message),
//! `echo` (what comes back).

mod connect;
mod deliver;
mod echo;
mod inbound;
mod link;
mod pdu;
mod pending;
mod rate;
mod receipt;
mod session;
mod settings;
mod status;
mod submit;
mod text;
mod wire;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::settings::resolve;
use crate::{Connector, Health, Outgoing, SettingsError, Submission, Surroundings};
use connect::Connection;
use echo::Echoes;
use link::Link;
use settings::Settings;
use submit::Submitter;

/// Checks settings without connecting and without resolving secrets.
pub(crate) fn check(settings: &Value, allow_insecure: bool) -> Result<(), SettingsError> {
    Settings::read(settings, allow_insecure).map(|_| ())
}

/// Starts the link in the background. Must be called within a tokio runtime.
pub(crate) fn build(settings: &Value, around: Surroundings) -> Result<Arc<dyn Connector>, SettingsError> {
    let settings = Settings::read(settings, around.allow_insecure_smpp)?;
    let password = resolve("password", &settings.password)?;
    settings::fits_password(password.reveal())
        .map_err(|problem| SettingsError { key: "password".to_owned(), problem })?;
    let connection = Connection::new(&settings, &password)?;
    let echoes = Echoes::new(around.name.clone(), around.echoes, settings.receipt_id);
    let submitter = Submitter::new(&settings);
    let link = Arc::new(Link::new(around.name, settings, connection, echoes));
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| SettingsError {
        key: "(all)".to_owned(),
        problem: "an SMPP provider can only be started inside the gateway".to_owned(),
    })?;
    runtime.spawn(link.clone().supervise());
    Ok(Arc::new(Smpp { link, submitter }))
}

/// The connector; dropping it hangs up.
struct Smpp {
    link: Arc<Link>,
    submitter: Submitter,
}

#[async_trait]
impl Connector for Smpp {
    async fn submit(&self, message: &Outgoing) -> Submission {
        self.submitter.submit(&self.link, message).await
    }

    fn health(&self) -> Health {
        self.link.health()
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

impl Drop for Smpp {
    fn drop(&mut self) {
        self.link.stop();
    }
}

/// Any bytes as frames: each is shorter than what it was read from, and what is written again reads the same.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_frames(bytes: &[u8]) -> Result<u64, String> {
    use tokio_util::bytes::BytesMut;
    use tokio_util::codec::Decoder;
    let (mut from, mut frames) = (BytesMut::from(bytes), 0u64);
    let mut wire = wire::Wire::default();
    loop {
        let before = from.len();
        match wire.decode(&mut from) {
            Ok(Some(frame)) => {
                let read = before - from.len();
                if read != frame.body.len() + 16 {
                    return Err(format!("{read} bytes became a body of {}", frame.body.len()));
                }
                let _ = (frame.is_response(), frame.first_string());
                frames = frames.wrapping_mul(31).wrapping_add(u64::from(u32::from(frame.id)) % 64);
                if let Some(deliver) = deliver::Deliver::read(frame.body) {
                    frames = frames.wrapping_add(7 + u64::from(deliver.is_receipt()));
                }
            }
            Ok(None) if from.len() == before => return Ok(frames),
            Ok(None) => return Err("an incomplete frame was taken".to_owned()),
            Err(_) => return Ok(frames.wrapping_add(1_000)),
        }
    }
}

/// Any bytes as the body of a `deliver_sm`: what comes of it is bounded by what came.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz_deliver(bytes: &[u8], now: std::time::Instant) -> Result<u64, String> {
    use tokio_util::bytes::Bytes;
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let ids = [settings::ReceiptId::AsGiven, settings::ReceiptId::Hex, settings::ReceiptId::Decimal];
    let ids = ids.get(usize::from(*first) % 3).copied().unwrap_or(settings::ReceiptId::AsGiven);
    let Some(deliver) = deliver::Deliver::read(Bytes::copy_from_slice(rest)) else { return Ok(0) };
    let receipt = receipt::read(&deliver, ids);
    if receipt.as_ref().is_some_and(|receipt| receipt.reference.len() > 4 * 64) {
        return Err("a reference is longer than an id can be".to_owned());
    }
    let mut joiner = inbound::Joiner::default();
    let texts: usize = joiner.take(&deliver, now).iter().map(|one| one.inbound.text.reveal().len()).sum();
    // A septet or an octet becomes four bytes of UTF-8 at most.
    if texts > 8 * rest.len() + 16 {
        return Err(format!("{} bytes became a text of {texts}", rest.len()));
    }
    let state = receipt.map_or(0, |receipt| 1 + receipt.state as u64);
    Ok(1 + state * 10 + u64::from(deliver.data_coding) * 100 + u64::from(deliver.sar.is_some()))
}
