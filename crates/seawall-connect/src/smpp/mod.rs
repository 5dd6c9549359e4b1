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
