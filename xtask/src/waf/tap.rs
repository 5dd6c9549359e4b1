//! Between the firewall and the gateway: passes everything on and counts what goes to the gateway.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::http;

/// A running tap.
pub struct Tap {
    /// Where the firewall connects to.
    pub addr: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    last: Mutex<Vec<u8>>,
}

impl Tap {
    /// Begins to listen, for a gateway.
    pub async fn open(gateway: SocketAddr) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no tap: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let seen = Arc::new(Seen::default());
        tokio::spawn({
            let seen = seen.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(pass(stream, gateway, seen.clone()));
                }
            }
        });
        Ok(Tap { addr, seen })
    }

    /// Bytes that went to the gateway so far.
    pub fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::SeqCst)
    }

    /// What went there last, as it was read at once.
    pub fn last(&self) -> String {
        let last = self.seen.last.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&last).into_owned()
    }
}

async fn pass(stream: TcpStream, gateway: SocketAddr, seen: Arc<Seen>) {
    let Ok(upstream) = http::connect(gateway).await else { return };
    let _ = stream.set_nodelay(true);
    let (mut from_client, mut to_client) = stream.into_split();
    let (mut from_gateway, mut to_gateway) = upstream.into_split();
    let answers = tokio::spawn(async move { tokio::io::copy(&mut from_gateway, &mut to_client).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
        let read = buffer.get(..length).unwrap_or_default();
        seen.bytes.fetch_add(u64::try_from(length).unwrap_or(u64::MAX), Ordering::SeqCst);
        *seen.last.lock().unwrap_or_else(PoisonError::into_inner) = read.to_vec();
        if to_gateway.write_all(read).await.is_err() {
            break;
        }
    }
    let _ = to_gateway.shutdown().await;
    let _ = answers.await;
}
