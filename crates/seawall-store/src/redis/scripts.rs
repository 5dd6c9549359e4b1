//! The scripts, and how they are called: by their digest, and by their text when the server has forgotten it.

use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, ServerErrorKind, Value};

/// One script.
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            let text = concat!(include_str!("lua/windows.lua"), include_str!(concat!("lua/", $name, ".lua")));
            Script { text, digest: redis::Script::new(text).get_hash().to_owned() }
        })
    };
}

pub(super) static CHARGE: LazyLock<Script> = script!("charge");
pub(super) static REFUND: LazyLock<Script> = script!("refund");
pub(super) static FILL: LazyLock<Script> = script!("fill");

impl Script {
    /// Runs it.
    pub(super) async fn run(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[Vec<u8>],
        arguments: &[&[u8]],
    ) -> Result<Value, RedisError> {
        let known = call("EVALSHA", &self.digest, keys, arguments);
        match known.query_async(connection).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                call("EVAL", self.text, keys, arguments).query_async(connection).await
            }
            answer => answer,
        }
    }
}

fn call(command: &str, script: &str, keys: &[Vec<u8>], arguments: &[&[u8]]) -> Cmd {
    let keyed: usize = keys.iter().map(Vec::len).sum();
    let argued: usize = arguments.iter().map(|argument| argument.len()).sum();
    let mut cmd = Cmd::with_capacity(keys.len() + arguments.len() + 3, keyed + argued + script.len() + 64);
    cmd.arg(command).arg(script).arg(keys.len());
    keys.iter().for_each(|key| {
        cmd.arg(key.as_slice());
    });
    arguments.iter().for_each(|argument| {
        cmd.arg(*argument);
    });
    cmd
}
