//! A proxy between an app and the gateway that writes down every byte it carries.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The proxy.
#[derive(Clone)]
pub struct Relay {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Carries to an address from now on.
    pub async fn to(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay { addr: listener.local_addr().unwrap(), seen: Arc::default() };
        let carries = relay.clone();
        tokio::spawn(async move {
            while let Ok((app, _)) = listener.accept().await {
                let gateway = TcpStream::connect(gateway).await.unwrap();
                let ((from_app, to_app), (from_gateway, to_gateway)) =
                    (app.into_split(), gateway.into_split());
                tokio::spawn(carries.clone().carry(from_app, to_gateway));
                tokio::spawn(carries.clone().carry(from_gateway, to_app));
            }
        });
        relay
    }

    async fn carry(self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
        let mut bytes = vec![0; 16_384];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            self.seen.lock().unwrap().extend_from_slice(&bytes[..read]);
            if to.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    }

    /// Everything that was carried, in any direction.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().unwrap().clone()
    }
}
