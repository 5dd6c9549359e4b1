//! The outermost layer of the router: who calls, under which request id, and what every answer carries.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use seawall_core::client_ip::{self, ClientIp, Confidence, ForwardHeader, TrustedProxies};
use tower::{Layer, Service};

use super::fallback;
use super::request_id::{self, CURRENT, RequestId, RequestIds};
use crate::app::room::Room;
use crate::config::Config;
use crate::http::problem::Problem;
use crate::http::strict::{self, Fault};
use crate::metrics::{Metrics, Surface};

/// Who is connected to us: an extension that [`super::serve`] sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// Who calls, behind our proxies: an extension on every request. Limits, lists and the audit log use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerIp(pub ClientIp);

/// What the layer needs of the configuration.
pub(super) struct Door {
    trusted: TrustedProxies,
    forward: ForwardHeader,
    name: HeaderName,
    ids: RequestIds,
    metrics: Arc<Metrics>,
}

impl Door {
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let forward = config.server.client_ip_header.clone();
        Door {
            trusted: config.server.trusted_proxies.clone(),
            name: HeaderName::try_from(forward.name()).unwrap_or(HeaderName::from_static("x-forwarded-for")),
            forward,
            ids: RequestIds::new(),
            metrics,
        }
    }

    /// Notes on the request what all rooms after this one go by.
    fn admit(&self, request: &mut Request) -> RequestId {
        let nobody = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let peer: IpAddr = request.extensions().get::<PeerAddr>().map_or(nobody, |peer| peer.0).ip();
        let values = request.headers().get_all(&self.name).iter().map(HeaderValue::as_bytes);
        let caller = client_ip::resolve(peer, &self.trusted, &self.forward, values);
        if caller.ignored_headers || caller.confidence == Confidence::Low {
            tracing::debug!(%peer, caller = %caller.ip, header = %self.name, "forwarding header not believed");
        }
        let id = self.ids.next(request.headers());
        request.extensions_mut().insert(CallerIp(caller.ip));
        id
    }
}

/// Makes [`DoorService`]s.
#[derive(Clone)]
pub(super) struct DoorLayer(Arc<Door>);

impl DoorLayer {
    pub fn new(door: Arc<Door>) -> Self {
        DoorLayer(door)
    }
}

impl<S> Layer<S> for DoorLayer {
    type Service = DoorService<S>;

    fn layer(&self, inner: S) -> DoorService<S> {
        DoorService { inner, door: self.0.clone() }
    }
}

/// The layer around one route.
#[derive(Clone)]
pub(super) struct DoorService<S> {
    inner: S,
    door: Arc<Door>,
}

impl<S> Service<Request> for DoorService<S>
where
    S: Service<Request, Response = Response>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = self.door.admit(&mut request);
        let (route, door) = (Route::of(&request), self.door.clone());
        let handled = strict::head(&request).map(|()| self.inner.call(request));
        Box::pin(CURRENT.scope(id, async move {
            let handled = match handled {
                Ok(handled) => Room::holding(AssertUnwindSafe(handled).catch_unwind()).await,
                Err(fault) => return Ok(route.closed(route.unclear(fault), &door.metrics)),
            };
            let answer = match handled {
                Ok(answer) => answer?,
                Err(_) => route.broken(),
            };
            Ok(route.closed(answer, &door.metrics))
        }))
    }
}

/// What may be logged of a request: never its path, which can hold a number, and never its query, which can
/// hold a code.
struct Route {
    method: Method,
    template: Option<MatchedPath>,
    compatible: bool,
    surface: Surface,
}

impl Route {
    fn of(request: &Request) -> Self {
        Route {
            method: request.method().clone(),
            template: request.extensions().get::<MatchedPath>().cloned(),
            compatible: fallback::is_compatible(request.uri().path()),
            surface: Surface::of(request.uri().path()),
        }
    }

    fn template(&self) -> &str {
        self.template.as_ref().map_or("(no route)", MatchedPath::as_str)
    }

    fn broken(&self) -> Response {
        tracing::error!(method = %self.method, route = self.template(), request_id = %shown(), "the handler panicked");
        let detail = "Something went wrong here; report it with the request id.";
        fallback::answer(self.compatible, StatusCode::INTERNAL_SERVER_ERROR, "internal-error", detail)
    }

    /// The request can be read in two ways.
    fn unclear(&self, fault: Fault) -> Response {
        let ends = fault.code == strict::AMBIGUOUS;
        let mut answer = match self.compatible {
            true => fallback::answer(true, fault.status, fault.code, fault.detail),
            false => Problem::from(fault).into_response(),
        };
        if ends {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// What every answer carries.
    fn closed(&self, mut answer: Response, metrics: &Metrics) -> Response {
        let status = answer.status();
        metrics.answered(self.surface, status.as_u16());
        // What a 503 is about was logged where it came up, or is counted.
        if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            let (status, route) = (status.as_u16(), self.template());
            tracing::warn!(method = %self.method, route, status, request_id = %shown(), "answered with an error");
        } else {
            tracing::debug!(method = %self.method, route = self.template(), status = status.as_u16(), "answered");
        }
        let headers = answer.headers_mut();
        if let Some(id) = RequestId::current() {
            headers.insert(request_id::HEADER, id.header());
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        answer
    }
}

fn shown() -> String {
    RequestId::current().map(|id| id.as_str().to_owned()).unwrap_or_default()
}
