//! One connection, from the handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

use super::address::PeerAddr;
use super::body::timed;
use super::pulse::{Patience, Pulse, UnderWay, Watched};

/// Bytes of a request's line and headers together. (100 headers are hyper's own bound.)
const MAX_HEAD: usize = 16 * 1024;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// HTTP/2 peers are asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);

/// What a connection needs to know.
pub(super) struct Connection {
    pub peer: SocketAddr,
    pub accepted: Instant,
    pub router: Router,
    pub patience: Patience,
    pub draining: watch::Receiver<bool>,
}

/// Serves a connection until it ends, is overdue, or has drained.
pub(super) async fn run(connection: Connection, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // Without it small answers wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http1(connection, stream).await,
        // Boxed, so that a connection without it does not keep its room.
        Some(tls) => Box::pin(encrypted(connection, stream, tls)).await,
    }
}

async fn encrypted(connection: Connection, stream: TcpStream, tls: TlsAcceptor) {
    let Ok(Ok(stream)) = timeout(connection.patience.header, tls.accept(stream)).await else {
        return;
    };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Box::pin(http2(connection, stream)).await,
        _ => http1(connection, stream).await,
    }
}

async fn http1(connection: Connection, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let pulse = Pulse::new(connection.accepted, true);
    let io = TokioIo::new(Watched::new(stream, pulse.clone()));
    let served = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(MAX_HEAD)
        .max_buf_size(2 * MAX_HEAD)
        // Head and body in one piece: answers are small, and two are gathered anew by each write.
        .writev(false)
        .serve_connection(io, service(&connection, pulse.clone()));
    drive(connection, pulse, served, |served| served.graceful_shutdown()).await;
}

async fn http2(connection: Connection, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let pulse = Pulse::new(connection.accepted, false);
    let io = TokioIo::new(Watched::new(stream, pulse.clone()));
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(io, service(&connection, pulse.clone()));
    drive(connection, pulse, served, |served| served.graceful_shutdown()).await;
}

/// Lets a connection run; asks it to end when the gateway shuts down; drops it when it is overdue.
async fn drive<C: Future>(
    mut connection: Connection,
    pulse: Arc<Pulse>,
    served: C,
    shut_down: impl Fn(Pin<&mut C>),
) {
    let mut served = pin!(served);
    let mut overdue = pin!(pulse.overdue(connection.patience));
    tokio::select! {
        biased;
        _ = served.as_mut() => return,
        () = &mut overdue => return,
        _ = connection.draining.wait_for(|draining| *draining) => shut_down(served.as_mut()),
    }
    tokio::select! {
        biased;
        _ = served => {}
        () = overdue => {}
    }
}

/// From hyper's requests to the router's.
fn service(
    connection: &Connection,
    pulse: Arc<Pulse>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Answer>, Infallible>> + Send + 'static + use<>,
> + use<> {
    let (router, peer, within) = (connection.router.clone(), connection.peer, connection.patience.request);
    service_fn(move |request: Request<Incoming>| {
        let under_way = pulse.begin();
        let mut request = request.map(|body| timed(body, within));
        request.extensions_mut().insert(PeerAddr(peer));
        if let Some(ambiguous) = pulse.ambiguous() {
            request.extensions_mut().insert(ambiguous);
        }
        let answered = router.clone().call(request);
        async move { answered.await.map(|answer| answer.map(|body| Answer { body, _under_way: under_way })) }
    })
}

/// A response's body. The request is under way until it has been written.
struct Answer {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
