//! Looks after the connection: reads the server's time and the news some times a second, sees when the windows are
//! gone, and connects again by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};
use seawall_core::time::Timestamp;

use super::link::{Connected, Link, Shared, State, connect, reason};
use super::news::{self, Told};
use super::refill::LOCK;
use super::refusals::Refusals;
use super::wire::{By, Deed};
use super::{scripts, wire};
use crate::Counters;
use crate::memory::MemoryCounters;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
/// Between two checks of the server's settings.
const CHECK: Duration = Duration::from_secs(2);
/// Between two tries to connect: at first, and at most.
const FIRST_TRY: Duration = Duration::from_millis(50);
const LAST_TRY: Duration = Duration::from_millis(500);
/// News from before this node was there.
const OLD_NEWS: Duration = Duration::from_secs(60);
/// A node that was not heard of for so long is not there.
const NODE_GONE: Duration = Duration::from_secs(15);
/// Charges that waited, in one call.
const CHUNK: usize = 500;

/// What looks after the connection.
pub(super) struct Tender {
    shared: Arc<Shared>,
    refusals: Arc<Refusals>,
    local: Arc<MemoryCounters>,
    /// The last news that was read.
    read: Option<String>,
    checked: Instant,
}

impl Tender {
    pub(super) fn new(shared: Arc<Shared>, refusals: Arc<Refusals>, local: Arc<MemoryCounters>) -> Self {
        Tender { shared, refusals, local, read: None, checked: Instant::now() }
    }

    /// Goes on for ever.
    pub(super) async fn run(mut self, connected: Connected) {
        let mut connected = Some(connected);
        let mut pause = FIRST_TRY;
        loop {
            let next = match connected.take() {
                Some(connected) => Ok(connected),
                None => connect(&self.shared.options, &self.shared.names).await,
            };
            let why = match next {
                Ok(next) => {
                    pause = FIRST_TRY;
                    self.tend(&next).await
                }
                Err(why) => why,
            };
            self.shared.link.store(None);
            self.shared.connected.store(None);
            self.shared.go_to(State::Down(why));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_TRY);
        }
    }

    /// Tends one connection until it breaks; gives why.
    async fn tend(&mut self, connected: &Connected) -> String {
        self.shared.connected.store(Some(Arc::new(connected.clone())));
        self.checked = Instant::now();
        loop {
            if let Err(why) = self.look(connected).await {
                return why;
            }
            if let Err(error) = self.shared.clear(&self.shared.take_cleared()).await {
                return error.to_string();
            }
            let _ = tokio::time::timeout(LOOK, self.shared.trouble.notified()).await;
            // Somebody met an error on this connection.
            let current = self.shared.state.borrow().clone();
            if let State::Down(why) = current {
                return why;
            }
        }
    }

    async fn look(&mut self, connected: &Connected) -> Result<(), String> {
        let shared = self.shared.clone();
        let mut connection = connected.connection.clone();
        if self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            if super::link::check(&mut connection).await? != connected.run {
                return Err("it was replaced by another".to_owned());
            }
        }
        let notes = shared.news.take();
        let answers = self.ask(&mut connection, &notes).await.map_err(|error| {
            shared.news.put_back(&notes);
            reason(&error)
        })?;
        let [time, mark, nodes, told] = answers.as_slice() else {
            return Err("it answered in a way that is not understood".to_owned());
        };
        let time = <(i64, i64)>::from_redis_value_ref(time).map_err(|error| error.to_string())?;
        shared.read_time(Timestamp::from_millis(time.0 * 1000 + time.1 / 1000));
        if let Value::Int(nodes) = nodes {
            shared.nodes.store(u32::try_from(*nodes).unwrap_or(1).max(1), Ordering::Relaxed);
        }
        self.hear(told).await;
        self.adopt(connected, mark).await?;
        self.charge_later().await
    }

    async fn ask(
        &mut self,
        connection: &mut redis::aio::MultiplexedConnection,
        notes: &[u8],
    ) -> Result<Vec<Value>, redis::RedisError> {
        let names = &self.shared.names;
        let now = self.shared.time().unwrap_or_default();
        let mut pipe = redis::pipe();
        if !notes.is_empty() {
            news::add(&mut pipe, &names.news, "numbers", notes);
        }
        if now > Timestamp::default() {
            pipe.cmd("ZADD").arg(&names.nodes).arg(now.as_millis()).arg(&self.shared.node);
            pipe.cmd("PEXPIRE").arg(&names.nodes).arg(3_600_000);
            let gone = now.minus(NODE_GONE).as_millis();
            pipe.cmd("ZREMRANGEBYSCORE").arg(&names.nodes).arg("-inf").arg(gone);
        }
        if self.shared.filling().is_some() {
            const RENEW: &str =
                "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
            let lock = u64::try_from(LOCK.as_millis()).unwrap_or(10_000);
            pipe.cmd("EVAL").arg(RENEW).arg(1).arg(&names.lock).arg(&self.shared.node).arg(lock);
        }
        let before = pipe.len();
        let since = self.read.clone().unwrap_or_else(|| match now.as_millis() {
            0 => "$".to_owned(),
            _ => format!("{}-0", now.minus(OLD_NEWS).as_millis()),
        });
        pipe.cmd("TIME");
        pipe.cmd("GET").arg(&names.mark);
        pipe.cmd("ZCARD").arg(&names.nodes);
        pipe.cmd("XREAD").arg("COUNT").arg(1000).arg("STREAMS").arg(&names.news).arg(since);
        let answers = connection.send_packed_commands(&pipe, 0, before + 4).await?;
        let answers = answers.into_iter().map(Value::extract_error).collect::<Result<Vec<_>, _>>()?;
        Ok(answers.into_iter().skip(before).collect())
    }

    async fn hear(&mut self, answer: &Value) {
        let (told, last) = news::read(answer);
        self.read = last.or(self.read.take());
        for one in told {
            match one {
                Told::Freed(keys) => self.refusals.forget(keys.into_iter()),
                Told::Numbers(notes) => {
                    for (ip, number, confirmed, at) in notes {
                        let _ = self.local.note_number(ip, number, confirmed, at).await;
                    }
                }
            }
        }
    }

    /// Goes by the mark that is there.
    async fn adopt(&self, connected: &Connected, mark: &Value) -> Result<(), String> {
        let shared = &self.shared;
        let mark: &[u8] = if let Value::BulkString(mark) = mark { mark } else { &[] };
        if shared.bypassed.load(Ordering::Relaxed) {
            // Some charges are only in the ledger: the windows are worth nothing.
            let mut connection = connected.connection.clone();
            let gone = redis::cmd("DEL").arg(&shared.names.mark).query_async::<i64>(&mut connection).await;
            gone.map_err(|error| reason(&error))?;
            shared.bypassed.store(false, Ordering::Relaxed);
            return self.gone();
        }
        let Some(epoch) = connected.epoch(mark) else { return self.gone() };
        let current = shared.link.load_full();
        if current.is_none_or(|link| link.mark != mark) {
            self.refusals.forget_all();
            shared.link.store(Some(Arc::new(Link::new(connected, &shared.names, epoch))));
        }
        shared.go_to(State::Up);
        Ok(())
    }

    fn gone(&self) -> Result<(), String> {
        self.shared.link.store(None);
        self.shared.go_to(State::Gone);
        Ok(())
    }

    /// Makes the charges that waited because their request was refused from memory.
    async fn charge_later(&self) -> Result<(), String> {
        let Ok(link) = self.shared.link() else { return Ok(()) };
        let later = self.refusals.take_later();
        let by = match self.shared.options.callers_time {
            true => By::Caller(self.shared.time().unwrap_or_default()),
            false => By::Server,
        };
        for charges in later.chunks(CHUNK) {
            let keys = charges.iter().map(|(charge, _)| link.key(charge.key));
            let charges = charges.iter().map(|(charge, times)| (charge, *times));
            let request = wire::request(Deed::Note, by, charges);
            let done = self.shared.run(&link, &scripts::CHARGE, keys, &[b"", &request]).await;
            done.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
