//! Who changed what, as it is written with every change.

use seawall_core::time::Timestamp;
use seawall_store::records::AuditEntry;
use serde_json::Value;

/// Who makes a change.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `admin-token`, `key_…`, `inbound`, `system`, `cli`.
    pub name: String,
    /// From which address, when there is one.
    pub ip: Option<String>,
}

impl Actor {
    /// The gateway itself.
    pub fn system() -> Self {
        Actor { name: "system".to_owned(), ip: None }
    }

    /// An entry of the audit log. `detail` must hold no secrets.
    pub fn entry(&self, at: Timestamp, action: &str, target: &str, detail: Value) -> AuditEntry {
        AuditEntry {
            at,
            actor: self.name.clone(),
            action: action.to_owned(),
            target: target.to_owned(),
            detail,
            ip: self.ip.clone(),
        }
    }
}
