//! Group reads: what screening asks about a number is asked together for all requests that wait for it, so the number of
//! statements does not depend on how many they are. Nothing is remembered: another node may have heard a STOP.

use std::future::Future;
use std::sync::Arc;

use super::conn::{Conn, Db, SOON};
use crate::Result;
use crate::line::{Brought, Line, failed};
use crate::vault::Vault;

/// Groups of one question that are read at the same time. One: what comes meanwhile makes the next group larger.
const READERS: usize = 1;
/// Questions of a group.
const GROUP: usize = 256;

/// Something that is asked about many numbers at a time.
pub(super) trait Question: Sized + Send + Sync + 'static {
    type Answer: Send + 'static;

    /// The answers in the order of the questions. What cannot be read of one of them is its own error.
    fn ask(
        all: &[Self],
        conn: &mut Conn,
        vault: &Vault,
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer>>>> + Send;
}

/// The way to the readers of one question.
pub(super) struct Reader<Q: Question>(Line<Q, Q::Answer>);

impl<Q: Question> Reader<Q> {
    /// Starts them.
    pub(super) fn start(db: &Arc<Db>) -> Self {
        let (line, brought) = Line::new("PostgreSQL", SOON, GROUP);
        for _ in 0..READERS {
            db.keep(tokio::spawn(run(db.clone(), brought.clone())));
        }
        Reader(line)
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, question: Q) -> Result<Q::Answer> {
        self.0.bring(question).await
    }
}

async fn run<Q: Question>(db: Arc<Db>, brought: Arc<Brought<Q, Q::Answer>>) {
    while let Some((jobs, until)) = brought.group().await {
        let (all, waits): (Vec<Q>, Vec<_>) = jobs.into_iter().map(|job| (job.what, job.waits)).unzip();
        let asked = async { Q::ask(&all, &mut db.until(until).await?, &db.vault).await }.await;
        match asked {
            Ok(answers) => {
                answers.into_iter().zip(waits).for_each(|(answer, waits)| drop(waits.send(answer)));
            }
            Err(error) => failed(waits, &error),
        }
    }
}
