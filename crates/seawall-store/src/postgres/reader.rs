//! Group reads: what screening asks about a number is asked together for all requests that wait for it, in one trip, so
//! neither statements nor trips grow with their number. Nothing is remembered: another node may have heard a STOP.

use std::future::Future;
use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::Instant;

use super::conn::{Conn, Db, SOON};
use super::known::Known;
use super::opt_outs::Scopes;
use super::verifications::Open;
use crate::Result;
use crate::line::{Brought, Job, Line, failed};
use crate::vault::Vault;

/// Questions of one kind in a group.
const GROUP: usize = 256;

/// Something that is asked about many numbers at a time.
pub(super) trait Question: Sized + Send + Sync + 'static {
    type Answer: Send + 'static;

    /// The answers in the order of the questions. What cannot be read of one of them is its own error.
    fn ask(
        all: &[Self],
        conn: &Conn,
        vault: &Vault,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer>>>> + Send;
}

/// Those that wait for answers.
type Asked<Q> = Vec<Job<Q, <Q as Question>::Answer>>;
/// Where one kind of question is asked.
type Asking<Q> = Line<Q, <Q as Question>::Answer>;
/// Where its questions wait for the reader.
type Waiting<Q> = Arc<Brought<Q, <Q as Question>::Answer>>;

/// The ways to the reader.
pub(super) struct Reader {
    /// How far opt-outs of a number reach.
    pub(super) scopes: Asking<Scopes>,
    /// Whether a number was verified.
    pub(super) known: Asking<Known>,
    /// The verification of a number that is pending.
    pub(super) open: Asking<Open>,
}

impl Reader {
    /// Starts it. There is one: what comes while a group is read makes the next one larger.
    pub(super) fn start(db: &Arc<Db>) -> Self {
        let (scopes, of_scopes) = Line::new("PostgreSQL", SOON, GROUP);
        let (known, of_known) = Line::new("PostgreSQL", SOON, GROUP);
        let (open, of_open) = Line::new("PostgreSQL", SOON, GROUP);
        db.keep(tokio::spawn(run(db.clone(), (of_scopes, of_known, of_open))));
        Reader { scopes, known, open }
    }
}

async fn run(db: Arc<Db>, brought: (Waiting<Scopes>, Waiting<Known>, Waiting<Open>)) {
    let (scopes, known, open) = brought;
    loop {
        let (mut of_scopes, mut of_known, mut of_open) = (Vec::new(), Vec::new(), Vec::new());
        let any = tokio::select! {
            any = scopes.first(&mut of_scopes) => any,
            any = known.first(&mut of_known) => any,
            any = open.first(&mut of_open) => any,
        };
        if !any {
            return;
        }
        // Whoever is about to bring something does so first; where nobody is, this takes no time.
        yield_now().await;
        scopes.more(&mut of_scopes).await;
        known.more(&mut of_known).await;
        open.more(&mut of_open).await;
        let until = [soonest(&of_scopes), soonest(&of_known), soonest(&of_open)].into_iter().flatten().min();
        let Some(until) = until else { continue };
        match db.until(until).await {
            Ok(conn) => {
                let (conn, vault) = (&conn, &*db.vault);
                tokio::join!(
                    answer(of_scopes, conn, vault),
                    answer(of_known, conn, vault),
                    answer(of_open, conn, vault)
                );
            }
            Err(error) => {
                failed(of_scopes.into_iter().map(|job| job.waits), &error);
                failed(of_known.into_iter().map(|job| job.waits), &error);
                failed(of_open.into_iter().map(|job| job.waits), &error);
            }
        }
    }
}

fn soonest<Q, A>(jobs: &[Job<Q, A>]) -> Option<Instant> {
    jobs.iter().map(|job| job.until).min()
}

async fn answer<Q: Question>(jobs: Asked<Q>, conn: &Conn, vault: &Vault) {
    if jobs.is_empty() {
        return;
    }
    let (all, waits): (Vec<Q>, Vec<_>) = jobs.into_iter().map(|job| (job.what, job.waits)).unzip();
    match Q::ask(&all, conn, vault).await {
        Ok(answers) => answers.into_iter().zip(waits).for_each(|(answer, waits)| drop(waits.send(answer))),
        Err(error) => failed(waits, &error),
    }
}
