//! A request's body on its way in: it must arrive in time. Most bodies arrive with their headers, so the
//! timer is made only when one has to be waited for. What a refusal leaves unread is read and dropped, within
//! bounds: a connection that is closed over unread bytes is reset, and the answer can be lost on the way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// Wraps a body; one that is empty costs nothing.
pub(super) fn timed(body: Incoming, within: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(TimedBody {
        inner: Some(body.map_err(Into::into)),
        started: Instant::now(),
        within,
        timer: None,
    })
}

/// Bytes that are read for nothing, at most.
const UNREAD: usize = 4 * 1024 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Inner = http_body_util::combinators::MapErr<Incoming, fn(hyper::Error) -> BoxError>;

struct TimedBody {
    /// `None`: it has ended, or cannot be read.
    inner: Option<Inner>,
    started: Instant,
    within: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            if !matches!(frame, Some(Ok(_))) {
                self.inner = None;
            }
            return Poll::Ready(frame);
        }
        let until = self.started + self.within;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(timer.as_mut().poll(cx));
        self.inner = None;
        Poll::Ready(Some(Err(Box::new(TooSlow))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        let unread = self.inner.take().filter(|inner| !inner.is_end_stream());
        if let (Some(inner), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(timeout_at(self.started + self.within, discard(inner)));
        }
    }
}

async fn discard(mut body: Inner) {
    let mut left = UNREAD;
    while let Some(Ok(frame)) = body.frame().await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(1, Bytes::len)) else { return };
        left = rest;
    }
}

/// The body did not arrive in time.
#[derive(Debug)]
struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body did not arrive in time")
    }
}

impl std::error::Error for TooSlow {}

/// Whether a body could not be read because it was too slow: answer 408.
pub fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<TooSlow>())
}
