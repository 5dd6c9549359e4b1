//! Whether a connection is still worth keeping. One timer a connection, looked at when it fires; requests
//! only store two numbers.
//!
//! hyper's own header timer is not used: it also runs while a connection is idle, and does not cover the
//! TLS handshake.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::framing::{Ambiguous, Framing};

/// Nothing was asked yet; handshakes count.
const FRESH: u8 = 0;
/// A request's headers are arriving.
const HEAD: u8 = 1;
/// A request is under way.
const BUSY: u8 = 2;
/// Between requests.
const IDLE: u8 = 3;

/// A body that is late is refused with an answer; the connection outlives its deadline by this, so that the
/// answer can still leave.
const TO_ANSWER: Duration = Duration::from_secs(1);

/// How long each phase may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub header: Duration,
    pub request: Duration,
    pub idle: Duration,
}

/// The state of one connection.
pub(super) struct Pulse {
    accepted: Instant,
    phase: AtomicU8,
    /// When the phase began, or in `BUSY` when a byte last moved: milliseconds after `accepted`.
    since: AtomicU64,
    under_way: AtomicU32,
    /// Requests that have begun.
    begun: AtomicU32,
    /// The first request whose framing is ambiguous, counted from one.
    ambiguous: OnceLock<(u32, Ambiguous)>,
    /// HTTP/1: bytes on an idle connection begin a request. HTTP/2 has bytes of its own.
    bytes_begin: bool,
}

impl Pulse {
    pub fn new(accepted: Instant, bytes_begin: bool) -> Arc<Self> {
        Arc::new(Pulse {
            accepted,
            phase: AtomicU8::new(FRESH),
            since: AtomicU64::new(0),
            under_way: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            ambiguous: OnceLock::new(),
            bytes_begin,
        })
    }

    fn enter(&self, phase: u8) {
        self.touch();
        self.phase.store(phase, Relaxed);
    }

    fn touch(&self) {
        self.since.store(u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A request has begun; it is over when the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Relaxed);
        self.begun.fetch_add(1, Relaxed);
        self.enter(BUSY);
        UnderWay(self.clone())
    }

    /// Whether the request that has begun last, or one before it, is ambiguous.
    pub fn ambiguous(&self) -> Option<Ambiguous> {
        let (number, why) = self.ambiguous.get()?;
        (self.begun.load(Relaxed) >= *number).then_some(*why)
    }

    fn moved(&self) {
        match self.phase.load(Relaxed) {
            BUSY => self.touch(),
            IDLE if self.bytes_begin => self.enter(HEAD),
            _ => {}
        }
    }

    fn deadline(&self, patience: Patience) -> Instant {
        let allowed = match self.phase.load(Relaxed) {
            FRESH | HEAD => patience.header,
            BUSY => patience.request + TO_ANSWER,
            _ => patience.idle,
        };
        self.accepted + Duration::from_millis(self.since.load(Relaxed)) + allowed
    }

    /// Waits until patience has run out.
    pub async fn overdue(&self, patience: Patience) {
        loop {
            let deadline = self.deadline(patience);
            if deadline <= Instant::now() {
                return;
            }
            // Looks again soon enough for every phase that may begin meanwhile.
            let next = Instant::now() + patience.header.min(patience.request).min(patience.idle);
            sleep_until(deadline.min(next)).await;
        }
    }
}

/// A request under way.
pub(super) struct UnderWay(Arc<Pulse>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Relaxed) == 1 {
            self.0.enter(IDLE);
        }
    }
}

/// A stream that tells its pulse when bytes move, and where requests cannot be told apart.
pub(super) struct Watched<T> {
    inner: T,
    pulse: Arc<Pulse>,
    /// HTTP/1 only: HTTP/2 says each length once.
    framing: Option<Framing>,
}

impl<T> Watched<T> {
    pub fn new(inner: T, pulse: Arc<Pulse>) -> Self {
        let framing = pulse.bytes_begin.then(Framing::default);
        Watched { inner, pulse, framing }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.pulse.moved();
        if let Some(found) = self.framing.as_mut().and_then(|framing| framing.feed(bytes)) {
            let _ = self.pulse.ambiguous.set(found);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Some(bytes) = buf.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.read(bytes);
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T> Watched<T> {
    /// Progress of a response keeps a connection; waiting for a slow reader does not.
    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.pulse.phase.load(Relaxed) == BUSY && matches!(polled, Poll::Ready(Ok(written)) if written > 0)
        {
            self.pulse.touch();
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        header: Duration::from_secs(10),
        request: Duration::from_secs(30),
        idle: Duration::from_secs(60),
    };

    async fn lasts(pulse: &Pulse) -> u64 {
        let start = Instant::now();
        pulse.overdue(PATIENCE).await;
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_patience() {
        let pulse = Pulse::new(Instant::now(), true);
        assert_eq!(lasts(&pulse).await, 10, "nothing was ever asked");
        let request = pulse.begin();
        assert_eq!(lasts(&pulse).await, 31, "nothing moves, and a second to say so");
        drop(request);
        assert_eq!(lasts(&pulse).await, 60, "idle");
        pulse.moved();
        assert_eq!(lasts(&pulse).await, 10, "headers that do not end");
    }

    #[tokio::test(start_paused = true)]
    async fn http2_bytes_do_not_begin_a_request_and_streams_overlap() {
        let pulse = Pulse::new(Instant::now(), false);
        let (one, two) = (pulse.begin(), pulse.begin());
        drop(one);
        assert_eq!(lasts(&pulse).await, 31);
        drop(two);
        pulse.moved();
        assert_eq!(lasts(&pulse).await, 60);
    }
}
