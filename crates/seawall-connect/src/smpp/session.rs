//! One bound connection: a reader, a writer, a window of requests under way, and `enquire_link`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rusmpp::pdus::DeliverSmResp;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::connect::Stream;
use super::echo::Echoes;
use super::pending::{Pending, Reply};
use super::settings::{Bind, Settings};
use super::wire::{Frame, Wire, WireError, command};

/// PDUs that the writer puts into one flush at most.
const BATCH: usize = 64;
/// `deliver_sm` that wait for the echo queue; beyond these the SMSC is told to come back later.
const DELIVERS_AT_MOST: usize = 256;
/// How long an unbound or closing connection may linger.
const GRACE: Duration = Duration::from_secs(2);

enum Out {
    Request(u32, Pdu),
    Answer(Command),
}

/// The handle of a session, for submissions; [`Running`] is what makes it go.
pub(super) struct Session {
    out: mpsc::Sender<Out>,
    pending: Pending,
    window: Semaphore,
    width: u32,
    response_timeout: Duration,
    ended: CancellationToken,
}

/// A session's other half.
pub(super) struct Running {
    session: Arc<Session>,
    stream: Framed<Stream, Wire>,
    queue: mpsc::Receiver<Out>,
    echoes: Arc<Echoes>,
    bind: Bind,
    enquire_link: Duration,
}

/// Makes a session of a bound connection.
pub(super) fn session(
    stream: Framed<Stream, Wire>,
    settings: &Settings,
    echoes: Arc<Echoes>,
) -> (Arc<Session>, Running) {
    let (out, queue) = mpsc::channel(settings.window + BATCH);
    let session = Arc::new(Session {
        out,
        // 1 was the bind.
        pending: Pending::starting_at(2),
        window: Semaphore::new(settings.window),
        width: u32::try_from(settings.window).unwrap_or(u32::MAX),
        response_timeout: settings.response_timeout,
        ended: CancellationToken::new(),
    });
    let (bind, enquire_link) = (settings.bind, settings.enquire_link);
    (session.clone(), Running { session, stream, queue, echoes, bind, enquire_link })
}

impl Session {
    /// Sends a `submit_sm` when the window has room before `deadline`, and waits for its response.
    pub(super) async fn submit(&self, pdu: Pdu, deadline: Instant) -> Reply {
        match timeout_at(deadline, self.window.acquire()).await {
            Err(_) => Reply::NotSent("the window had no room in time"),
            Ok(Err(_)) => Reply::NotSent("the connection is ending"),
            Ok(Ok(_permit)) => self.request(pdu, CommandId::SubmitSmResp).await,
        }
    }

    /// Lets answers under way arrive, unbinds, and ends the session.
    pub(super) async fn close(&self) {
        // All permits together are free when nothing is under way; later submissions queue behind.
        let _ = timeout(self.response_timeout, self.window.acquire_many(self.width)).await;
        self.window.close();
        let _ = timeout(GRACE, self.request(Pdu::Unbind, CommandId::UnbindResp)).await;
        self.ended.cancel();
    }

    /// Ends what waits, each with what is known about it. For a connection that is gone.
    pub(super) fn abandon(&self) {
        self.window.close();
        self.pending.close("closed");
    }

    async fn request(&self, pdu: Pdu, expects: CommandId) -> Reply {
        let (sequence, mut answer) = match self.pending.open(expects) {
            Ok(opened) => opened,
            Err(why) => return Reply::NotSent(why),
        };
        // When the caller drops this future, the writer must not send what nobody waits for.
        let open = Open { pending: &self.pending, sequence };
        let answered = async {
            self.out.send(Out::Request(sequence, pdu)).await.ok()?;
            (&mut answer).await.ok()
        };
        match timeout(self.response_timeout, answered).await {
            Ok(Some(reply)) => reply,
            _ => match (open.pending.forget(sequence), answer.try_recv()) {
                (_, Ok(reply)) => reply,
                (Some(false), _) => Reply::NotSent("the connection did not take it in time"),
                _ => Reply::Lost("no response in time"),
            },
        }
    }

    async fn answer(&self, command: Command) {
        // A writer that is gone means that the session ends anyway.
        let _ = self.out.send(Out::Answer(command)).await;
    }

    async fn answer_deliver(&self, sequence: u32, status: CommandStatus) {
        self.answer(Command::new(status, sequence, DeliverSmResp::default())).await;
    }
}

/// Forgets a request when its future ends, however it ends.
struct Open<'s> {
    pending: &'s Pending,
    sequence: u32,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.pending.forget(self.sequence);
    }
}

impl Running {
    /// Runs the session to its end and says why it ended.
    pub(super) async fn run(self) -> &'static str {
        let Running { session, stream, queue, echoes, bind, enquire_link } = self;
        let (sink, source) = stream.split();
        let (delivers, delivered) = mpsc::channel(DELIVERS_AT_MOST);
        let why = tokio::select! {
            why = write(&session, sink, queue) => why,
            why = read(&session, source, bind, delivers) => why,
            why = keep(&session, &echoes, enquire_link) => why,
            why = deliver(&session, &echoes, delivered) => why,
            () = session.ended.cancelled() => "closed",
        };
        session.window.close();
        session.pending.close(why);
        why
    }
}

async fn write(
    session: &Session,
    mut sink: SplitSink<Framed<Stream, Wire>, Command>,
    mut queue: mpsc::Receiver<Out>,
) -> &'static str {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        match timeout(session.response_timeout, flush(session, &mut sink, &mut batch)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "the connection broke while writing",
            Err(_) => return "the SMSC stopped reading",
        }
    }
    "closed"
}

async fn flush(
    session: &Session,
    sink: &mut SplitSink<Framed<Stream, Wire>, Command>,
    batch: &mut Vec<Out>,
) -> Result<(), WireError> {
    for out in batch.drain(..) {
        match out {
            Out::Answer(answer) => sink.feed(answer).await?,
            Out::Request(sequence, pdu) if session.pending.writing(sequence) => {
                sink.feed(command(sequence, pdu)).await?;
            }
            Out::Request(..) => {}
        }
    }
    sink.flush().await
}

async fn read(
    session: &Session,
    mut source: SplitStream<Framed<Stream, Wire>>,
    bind: Bind,
    delivers: mpsc::Sender<Frame>,
) -> &'static str {
    let mut until: Option<Instant> = None;
    loop {
        let next = match until {
            None => source.next().await,
            Some(end) => timeout_at(end, source.next()).await.unwrap_or(None),
        };
        let frame = match next {
            Some(Ok(frame)) => frame,
            Some(Err(WireError::Length(_))) => return "the SMSC sent a malformed PDU",
            Some(Err(WireError::Io(_))) => return "the connection broke while reading",
            None if until.is_some() => return "the SMSC unbound",
            None => return "the SMSC closed the connection",
        };
        if frame.id == CommandId::Unbind {
            // No new submissions, but responses under way may still come before the SMSC hangs up.
            session.window.close();
            session.answer(command(frame.sequence, Pdu::UnbindResp)).await;
            until = Some(Instant::now() + GRACE);
        } else {
            dispatch(session, frame, bind, &delivers).await;
        }
    }
}

async fn dispatch(session: &Session, frame: Frame, bind: Bind, delivers: &mpsc::Sender<Frame>) {
    let sequence = frame.sequence;
    match frame.id {
        CommandId::EnquireLink => session.answer(command(sequence, Pdu::EnquireLinkResp)).await,
        CommandId::DeliverSm if bind == Bind::Transmitter => {
            session.answer_deliver(sequence, CommandStatus::EsmeRinvbndsts).await;
        }
        CommandId::DeliverSm => {
            // Waiting here would hold back responses to our own requests; the SMSC keeps the message.
            if delivers.try_send(frame).is_err() {
                session.answer_deliver(sequence, CommandStatus::EsmeRmsgqful).await;
            }
        }
        CommandId::AlertNotification | CommandId::Outbind => {}
        id if frame.is_response() => {
            if !session.pending.answer(frame) {
                debug!(?id, sequence, "a response that nobody waits for");
            }
        }
        id => {
            warn!(?id, "the SMSC sent a request that is not supported");
            session.answer(Command::new(CommandStatus::EsmeRinvcmdid, sequence, Pdu::GenericNack)).await;
        }
    }
}

/// `deliver_sm_resp` goes out only after what it brought is kept: a crash before leaves it with the SMSC.
async fn deliver(session: &Session, echoes: &Echoes, mut delivered: mpsc::Receiver<Frame>) -> &'static str {
    let mut waiting = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some((sequence, status)) = waiting.next() => session.answer_deliver(sequence, status).await,
            frame = delivered.recv(), if waiting.len() < DELIVERS_AT_MOST => {
                let Some(Frame { sequence, body, .. }) = frame else { return "closed" };
                let taken = echoes.take(body).await;
                waiting.push(async move { (sequence, taken.status().await) });
            }
        }
    }
}

async fn keep(session: &Session, echoes: &Echoes, every: Duration) -> &'static str {
    loop {
        tokio::time::sleep(every).await;
        echoes.flush_overdue().await;
        match session.request(Pdu::EnquireLink, CommandId::EnquireLinkResp).await {
            Reply::Answer(_) => {}
            Reply::NotSent(_) | Reply::Lost(_) => return "the SMSC did not answer enquire_link",
        }
    }
}
