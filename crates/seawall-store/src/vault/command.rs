//! A program of the operator's that wraps and unwraps keys, for instance with a key management service. It is started with
//! `wrap` or `unwrap` as its last argument, reads base64 from its standard input and writes base64 to its output.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::{Result, StoreError};

/// Bytes of an answer that are read at most.
const ANSWER: u64 = 64 * 1024;
/// Why a program did not do it.
type Said<T> = std::result::Result<T, String>;
const PAUSE: Duration = Duration::from_millis(5);

/// A program, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its first arguments.
    pub words: Vec<String>,
    /// It is ended then.
    pub deadline: Duration,
}

impl Command {
    /// What it is called.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Runs it once.
    pub(super) fn run(&self, what: &str, input: &[u8]) -> Result<Vec<u8>> {
        self.answer(what, input)
            .map_err(|why| StoreError::Unavailable(format!("keys.command `{} {what}` {why}", self.name())))
    }

    fn answer(&self, what: &str, input: &[u8]) -> Said<Vec<u8>> {
        let mut child = std::process::Command::new(self.name())
            .args(self.words.get(1..).unwrap_or_default())
            .arg(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("could not be started: {e}"))?;
        let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read is told by what it answers.
            let _ = stdin.write_all((BASE64.encode(input) + "\n").as_bytes());
        }
        let status = self.wait(&mut child)?;
        let text = |pipe: std::thread::JoinHandle<Vec<u8>>| {
            String::from_utf8_lossy(&pipe.join().unwrap_or_default()).trim().to_owned()
        };
        if !status.success() {
            let said: String = text(err).lines().next().unwrap_or_default().chars().take(200).collect();
            return Err(format!("ended with {status}: {said}"));
        }
        let answer = BASE64.decode(text(out)).map_err(|_| "did not answer in base64".to_owned())?;
        if answer.is_empty() { Err("answered nothing".to_owned()) } else { Ok(answer) }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a deadline for a program, not a time that anything is told"
    )]
    fn wait(&self, child: &mut Child) -> Said<std::process::ExitStatus> {
        let begun = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if begun.elapsed() < self.deadline => std::thread::sleep(PAUSE),
                Ok(None) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("did not answer within {} s", self.deadline.as_secs_f32()));
                }
                Err(error) => return Err(format!("was lost: {error}")),
            }
        }
    }
}

fn read(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(ANSWER).read_to_end(&mut bytes);
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline: u64) -> Command {
        let words = ["sh", "-c", script, "sh"].map(str::to_owned).to_vec();
        Command { words, deadline: Duration::from_millis(deadline) }
    }

    #[test]
    fn a_program_wraps_or_says_why_not() {
        assert_eq!(sh("cat", 5000).run("wrap", b"key").unwrap(), b"key");
        let which = sh("test \"$1\" = unwrap && cat", 5000);
        assert_eq!(which.run("unwrap", b"key").unwrap(), b"key");
        for (script, says) in [
            ("echo no such key >&2; exit 3", "no such key"),
            ("sleep 5", "did not answer within"),
            ("echo ???", "base64"),
            ("true", "answered nothing"),
        ] {
            let error = sh(script, 300).run("wrap", b"key").unwrap_err().to_string();
            assert!(error.contains(says), "{script}: {error}");
        }
        let none = Command { words: vec!["/nowhere/kms".to_owned()], deadline: Duration::from_secs(1) };
        assert!(none.run("wrap", b"x").unwrap_err().to_string().contains("could not be started"));
    }
}
