//! Charges of requests that wait at the same time go to the server together, in one script: each request is charged as if
//! it were alone, and the server and this node pay for one call.

use std::sync::Arc;

use super::link::{Link, Shared, late};
use super::scripts;
use super::wire::split;
use crate::line::{Brought, Job, Line, failed};

/// Groups on their way at the same time. One: what comes meanwhile makes the next group larger, and each request cheaper.
const ASKERS: usize = 1;
/// Requests of a group: nobody else is served while a script runs.
const GROUP: usize = 64;

/// A request: its windows' keys, and what the script is told.
pub(super) struct Asked {
    pub(super) keys: Vec<u64>,
    pub(super) request: Vec<u8>,
}

/// The script's answer to one request, and which way it was got.
pub(super) type Answered = (Arc<Link>, Vec<u8>);

/// The way to the askers.
pub(super) type Asker = Line<Asked, Answered>;

/// Starts them; they end when the line does.
pub(super) fn start(shared: &Arc<Shared>) -> Asker {
    let (line, brought) = Line::new("Redis", shared.options.patience, GROUP);
    for _ in 0..ASKERS {
        tokio::spawn(run(shared.clone(), brought.clone()));
    }
    line
}

async fn run(shared: Arc<Shared>, brought: Arc<Brought<Asked, Answered>>) {
    while let Some((jobs, _)) = brought.group().await {
        let asked = async {
            let link = shared.link()?;
            let keys = jobs.iter().flat_map(|job| &job.what.keys).map(|key| link.key(*key));
            let requests: Vec<&[u8]> = jobs.iter().map(|job| job.what.request.as_slice()).collect();
            let requests = requests.concat();
            let bytes = shared.run(&link, &scripts::CHARGE, keys, &[b"", &requests]).await?;
            Ok((link, bytes))
        };
        // The connection has its own patience; without an answer the way is cut, and all are told.
        match asked.await {
            Ok((link, bytes)) => answer(&shared, &link, jobs, &bytes),
            Err(error) => failed(jobs.into_iter().map(|job| job.waits), &error),
        }
    }
}

fn answer(shared: &Shared, link: &Arc<Link>, jobs: Vec<Job<Asked, Answered>>, mut bytes: &[u8]) {
    for job in jobs {
        let answer = match split(&mut bytes, job.what.keys.len()) {
            Some(own) => Ok((link.clone(), own.to_vec())),
            None => {
                shared.trouble.notify_one();
                Err(late())
            }
        };
        drop(job.waits.send(answer));
    }
}
