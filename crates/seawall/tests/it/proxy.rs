//! A proxy that does to connections what networks do: it delays, throttles, stalls, cuts, loses one direction, and
//! corrupts or repeats what comes back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

/// What happens to everything that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Each piece waits so long.
    Delay(Duration),
    /// So many bytes a second.
    Throttle(u64),
    /// Connections are taken, and no byte passes.
    Stall,
    /// Connections break, and new ones break at once.
    Cut,
    /// What is asked arrives, and no answer does.
    HalfOpen,
    /// One byte of each piece of an answer is another.
    Corrupt,
    /// Each piece of an answer comes twice.
    Duplicate,
}

/// A running proxy; its connections end with it.
pub struct Proxy {
    fault: Arc<watch::Sender<Fault>>,
    /// Where it listens, over TCP.
    pub addr: Option<SocketAddr>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Target::Tcp(addr) => Box::new(TcpStream::connect(addr).await?),
            Target::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

impl Proxy {
    /// In front of an address.
    pub async fn tcp(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let fault = Arc::new(watch::channel(Fault::None).0);
        let own = fault.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(Box::new(stream), Target::Tcp(target), own.subscribe()));
            }
        });
        Proxy { fault, addr: Some(addr) }
    }

    /// In front of the PostgreSQL of a URL that names the directory of its socket; gives the URL through it, and the directory
    /// of its own socket.
    pub async fn postgres(url: &str) -> (Self, String, tempfile::TempDir) {
        let (before, rest) = url.split_once("host=").unwrap();
        let (dir, rest) = rest.split_once('&').unwrap();
        let sockets = tempfile::tempdir().unwrap();
        let name = ".s.PGSQL.5432";
        let proxy = Self::unix(&sockets.path().join(name), Path::new(dir).join(name)).await;
        let url = format!("{before}host={}&{rest}", sockets.path().display());
        (proxy, url, sockets)
    }

    /// In front of a socket in the file system, at another place there.
    pub async fn unix(at: &Path, target: PathBuf) -> Self {
        let listener = UnixListener::bind(at).unwrap();
        let fault = Arc::new(watch::channel(Fault::None).0);
        let own = fault.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(Box::new(stream), Target::Unix(target.clone()), own.subscribe()));
            }
        });
        Proxy { fault, addr: None }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn carry(client: Box<dyn Stream>, target: Target, faults: watch::Receiver<Fault>) {
    if *faults.borrow() == Fault::Cut {
        return;
    }
    let Ok(server) = target.connect().await else { return };
    let (asks, answers) = (tokio::io::split(client), tokio::io::split(server));
    let mut broken = faults.clone();
    tokio::select! {
        () = pass(asks.0, answers.1, faults.clone(), false) => {}
        () = pass(answers.0, asks.1, faults, true) => {}
        _ = broken.wait_for(|fault| *fault == Fault::Cut) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut faults: watch::Receiver<Fault>,
    answers: bool,
) {
    let mut buffer = vec![0u8; 16 * 1024];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        let mut piece = buffer[..read].to_vec();
        let fault = *faults.borrow_and_update();
        match fault {
            Fault::Delay(long) => tokio::time::sleep(long).await,
            Fault::Throttle(a_second) => {
                tokio::time::sleep(Duration::from_micros(1_000_000 * read as u64 / a_second.max(1))).await;
            }
            Fault::Stall => {
                // What was held arrives late, when it is over.
                let _ = faults.wait_for(|fault| *fault != Fault::Stall).await;
            }
            Fault::HalfOpen if answers => continue,
            Fault::Corrupt if answers => piece[read / 2] ^= 0x41,
            Fault::Duplicate if answers => piece.extend_from_within(..),
            _ => {}
        }
        if to.write_all(&piece).await.is_err() {
            return;
        }
    }
}
