//! The two floors as processes.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::SERVER_CORE;
use crate::live::{Scratch, free_address, pinned};

/// A running floor.
pub struct Floor {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
    _scratch: Scratch,
}

impl Floor {
    /// Starts `examples/floor` beside the gateway's binary: bare, or with a durable row a request.
    pub async fn start(gateway: &Path, durable: bool) -> Result<Self, String> {
        let scratch = Scratch::new()?;
        let addr = free_address()?;
        let mut command = pinned(&gateway.with_file_name("examples").join("floor"), Some(SERVER_CORE));
        command.arg(if durable { "bound" } else { "floor" }).arg(addr.to_string()).stdin(Stdio::null());
        if durable {
            command.arg(scratch.0.join("rows"));
        }
        let child = command.spawn().map_err(|error| format!("the floor cannot be started: {error}"))?;
        let floor = Floor { child, addr, _scratch: scratch };
        let begun = Instant::now();
        while TcpStream::connect(addr).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("the floor does not answer".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(floor)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
