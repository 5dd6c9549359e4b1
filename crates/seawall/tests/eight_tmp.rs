#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, dead_code, missing_docs, reason = "temporary")]
#[path = "it/common.rs"]
mod common;
#[path = "it/eight_fields.rs"]
mod eight_fields;
#[path = "it/eight_sessions.rs"]
mod eight_sessions;
#[path = "it/eight_sms.rs"]
mod eight_sms;
#[path = "it/eight_webhooks.rs"]
mod eight_webhooks;

#[path = "/tmp/jsx/eight_oas.rs"]
mod eight_oas;
mod jsonschema {
    use serde_json::{Value, json};
    use std::io::Write;
    pub struct O; pub struct V(Value);
    #[derive(Debug)] pub struct E;
    impl std::fmt::Display for E { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
    impl E { pub fn instance_path(&self) -> &'static str { "" } }
    pub fn options() -> O { O }
    impl O { pub fn should_validate_formats(self, _: bool) -> O { self } pub fn build(self, s: &Value) -> Result<V, E> { Ok(V(s.clone())) } }
    impl V { pub fn iter_errors(&self, b: &Value) -> std::vec::IntoIter<E> {
        let mut f = std::fs::OpenOptions::new().create(true).append(true).open("/tmp/jsx/dump.jsonl").unwrap();
        f.write_all(format!("{}\n", json!({"s": self.0, "b": b})).as_bytes()).unwrap();
        Vec::new().into_iter() } }
}
