//! An SMSC for tests, on `rusmpp`'s own codec: it does what a script says, faults included.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rusmpp::pdus::{
    BindReceiverResp, BindTransceiverResp, BindTransmitterResp, DeliverSm, SubmitSm, SubmitSmResp,
};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::types::COctetString;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

/// What the SMSC does with a `submit_sm`.
pub(super) enum Reaction {
    Take(&'static str),
    Refuse(u32),
    Nack(u32),
    Ignore,
    HangUp,
}

/// What a test makes the SMSC do by itself.
pub(super) enum Act {
    Send(Box<Command>),
    Bytes(Vec<u8>),
    HangUp,
}

/// How the SMSC behaves; `submit` gets the number of the `submit_sm`, from 0.
pub(super) struct Script {
    pub(super) submit: fn(usize) -> Reaction,
    pub(super) bind_status: u32,
    pub(super) answers_enquire_link: bool,
    pub(super) tls: bool,
}

impl Default for Script {
    fn default() -> Self {
        Script { submit: |_| Reaction::Take("id-1"), bind_status: 0, answers_enquire_link: true, tls: false }
    }
}

/// A running SMSC.
pub(super) struct Smsc {
    pub(super) port: u16,
    seen: mpsc::UnboundedReceiver<Command>,
    acts: Arc<Mutex<Option<mpsc::UnboundedSender<Act>>>>,
    connections: Arc<AtomicUsize>,
}

impl Smsc {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (see, seen) = mpsc::unbounded_channel();
        let acts = Arc::new(Mutex::new(None));
        let connections = Arc::new(AtomicUsize::new(0));
        let (shared, counted) = (acts.clone(), connections.clone());
        tokio::spawn(async move {
            let submits = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (act, acting) = mpsc::unbounded_channel();
                *shared.lock().unwrap() = Some(act);
                if script.tls {
                    if let Ok(stream) = acceptor().accept(stream).await {
                        serve(stream, &script, &see, acting, &submits).await;
                    }
                } else {
                    serve(stream, &script, &see, acting, &submits).await;
                }
            }
        });
        Smsc { port, seen, acts, connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(super) fn act(&self, act: Act) {
        let _ = self.acts.lock().unwrap().as_ref().unwrap().send(act);
    }

    pub(super) fn send(&self, command: Command) {
        self.act(Act::Send(Box::new(command)));
    }

    /// The next PDU of a kind that the SMSC received.
    pub(super) async fn next(&mut self, id: CommandId) -> Command {
        let wait = async {
            loop {
                let command = self.seen.recv().await.unwrap();
                if command.id() == id {
                    return command;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(8), wait).await.unwrap_or_else(|_| panic!("no {id:?} came"))
    }

    pub(super) async fn next_submit(&mut self) -> SubmitSm {
        match self.next(CommandId::SubmitSm).await.pdu() {
            Some(Pdu::SubmitSm(submit)) => submit.clone(),
            other => panic!("{other:?}"),
        }
    }
}

/// TLS with the certificate of `testdata`.
fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::from_pem_slice(include_bytes!("../../testdata/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../testdata/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.unwrap().with_no_client_auth().with_single_cert(vec![chain], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    script: &Script,
    see: &mpsc::UnboundedSender<Command>,
    mut acts: mpsc::UnboundedReceiver<Act>,
    submits: &AtomicUsize,
) {
    let mut framed = Framed::new(stream, CommandCodec::new());
    loop {
        let answer = tokio::select! {
            received = framed.next() => match received {
                Some(Ok(command)) => {
                    let _ = see.send(command.clone());
                    match react(&command, script, submits) {
                        Ok(answer) => answer,
                        Err(()) => return,
                    }
                }
                _ => return,
            },
            act = acts.recv() => match act {
                Some(Act::Send(command)) => Some(*command),
                Some(Act::Bytes(bytes)) => {
                    framed.get_mut().write_all(&bytes).await.unwrap();
                    None
                }
                Some(Act::HangUp) | None => return,
            },
        };
        if let Some(answer) = answer {
            let unbound = answer.id() == CommandId::UnbindResp;
            if framed.send(answer).await.is_err() || unbound {
                return;
            }
        }
    }
}

/// The answer to a PDU; `Err` hangs up.
fn react(command: &Command, script: &Script, submits: &AtomicUsize) -> Result<Option<Command>, ()> {
    let sequence = command.sequence_number();
    let answer = |status: u32, pdu: Pdu| Ok(Some(Command::new(CommandStatus::from(status), sequence, pdu)));
    match command.id() {
        CommandId::BindTransceiver => answer(script.bind_status, BindTransceiverResp::default().into()),
        CommandId::BindTransmitter => answer(script.bind_status, BindTransmitterResp::default().into()),
        CommandId::BindReceiver => answer(script.bind_status, BindReceiverResp::default().into()),
        CommandId::EnquireLink if script.answers_enquire_link => answer(0, Pdu::EnquireLinkResp),
        CommandId::Unbind => answer(0, Pdu::UnbindResp),
        CommandId::SubmitSm => match (script.submit)(submits.fetch_add(1, Ordering::SeqCst)) {
            Reaction::Take(id) => answer(0, submit_resp(id)),
            Reaction::Refuse(status) => answer(status, submit_resp("")),
            Reaction::Nack(status) => answer(status, Pdu::GenericNack),
            Reaction::Ignore => Ok(None),
            Reaction::HangUp => Err(()),
        },
        _ => Ok(None),
    }
}

pub(super) fn submit_resp(id: &str) -> Pdu {
    SubmitSmResp::new(COctetString::from_string(id.to_owned()).unwrap(), Vec::new()).into()
}

/// A `deliver_sm` with an ASCII or Latin-1 text.
pub(super) fn deliver(sequence: u32, esm_class: u8, text: &[u8]) -> Command {
    let deliver = DeliverSm::builder()
        .source_addr(COctetString::from_string("6591234567".to_owned()).unwrap())
        .destination_addr(COctetString::from_string("74000".to_owned()).unwrap())
        .esm_class(rusmpp::values::EsmClass::from(esm_class))
        .data_coding(rusmpp::values::DataCoding::Latin1)
        .short_message(rusmpp::types::OctetString::from_slice(text).unwrap())
        .build();
    Command::new(CommandStatus::EsmeRok, sequence, deliver)
}
