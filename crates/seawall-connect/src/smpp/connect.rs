//! From settings to a bound connection: TCP, TLS, bind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rusmpp::{CommandId, CommandStatus, Pdu};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;

use super::pdu;
use super::settings::Settings;
use super::status::describe;
use super::wire::{Wire, command};
use crate::{Secret, SettingsError, web};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// TCP or TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The bytes of a connection.
pub(super) type Stream = Box<dyn Duplex>;

/// All that connecting needs, with secrets and certificates resolved.
pub(super) struct Connection {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    bind: Pdu,
    response_timeout: Duration,
}

impl Connection {
    pub(super) fn new(settings: &Settings, password: &Secret) -> Result<Self, SettingsError> {
        let bind = pdu::bind(settings, password).ok_or_else(|| SettingsError {
            key: "password".to_owned(),
            problem: "does not fit into a bind PDU".to_owned(),
        })?;
        Ok(Connection {
            host: settings.host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: settings.port,
            tls: if settings.tls { Some(tls(settings)?) } else { None },
            bind,
            response_timeout: settings.response_timeout,
        })
    }

    /// Connects and binds. The error is for the operator.
    pub(super) async fn open(&self) -> Result<Framed<Stream, Wire>, String> {
        let stream = timeout(CONNECT_TIMEOUT, self.connect())
            .await
            .map_err(|_| "connecting timed out".to_owned())??;
        let mut framed = Framed::new(stream, Wire::default());
        match timeout(self.response_timeout, self.bind(&mut framed)).await {
            Ok(Ok(())) => Ok(framed),
            Ok(Err(problem)) => Err(problem),
            Err(_) => Err("the SMSC did not answer the bind".to_owned()),
        }
    }

    async fn connect(&self) -> Result<Stream, String> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        // Without it Nagle holds back each submission until the previous one is acknowledged.
        tcp.set_nodelay(true).map_err(|error| format!("cannot set TCP_NODELAY: {error}"))?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some((connector, name)) => {
                let tls = connector.connect(name.clone(), tcp).await;
                Ok(Box::new(tls.map_err(|error| format!("TLS handshake failed: {error}"))?))
            }
        }
    }

    async fn bind(&self, framed: &mut Framed<Stream, Wire>) -> Result<(), String> {
        framed.send(command(1, self.bind.clone())).await.map_err(|error| format!("cannot bind: {error}"))?;
        loop {
            let frame = match framed.next().await {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Err(format!("cannot bind: {error}")),
                None => return Err("the SMSC hung up instead of answering the bind".to_owned()),
            };
            // Before the bind is answered, nothing else of the peer is handled.
            let answers = frame.is_response() && (frame.sequence == 1 || frame.id == CommandId::GenericNack);
            if !answers {
                continue;
            }
            let accepted = frame.status == CommandStatus::EsmeRok && frame.id != CommandId::GenericNack;
            let refused = || format!("the SMSC refused the bind: {}", describe(frame.status));
            return if accepted { Ok(()) } else { Err(refused()) };
        }
    }
}

fn tls(settings: &Settings) -> Result<(TlsConnector, ServerName<'static>), SettingsError> {
    let problem = |key: &str, problem: String| SettingsError { key: key.to_owned(), problem };
    let config =
        web::tls_config(settings.tls_ca_file.as_deref()).map_err(|why| problem("tls_ca_file", why))?;
    let name = settings.tls_server_name.as_deref().unwrap_or(&settings.host);
    let name = ServerName::try_from(name.trim_start_matches('[').trim_end_matches(']').to_owned()).map_err(
        |_| problem("host", "is neither a name nor an address that a certificate can hold".to_owned()),
    )?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
