//! `cargo xtask slow [--seconds S] [--binary FILE]`: thousands of connections that never finish a request, and
//! junk besides, while a well-behaved client at another address measures how long its answers take. Its 99th
//! percentile may at most double. `--binary FILE` takes a gateway that is built already.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::live::{Gateway, Profile, Random, Wire, address, build, median, mobile, open_files, request};

/// Slow connections, if this process may open as many files.
const SLOW: u64 = 10_000;
/// Files that are left for everything else.
const SPARE: u64 = 500;
/// New slow connections a second, to begin with and for those that were closed.
const OPENED_PER_SECOND: u64 = 2_000;
/// Connections a second that send what is not HTTP.
const JUNK_PER_SECOND: u64 = 200;
/// The well-behaved client.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// What it waits between two requests, in milliseconds: long, so that it measures the gateway and not itself,
/// and never in step with its attackers.
const PAUSE: RangeInclusive<u64> = 2..=8;
/// Stretches of each measurement.
const STRETCHES: u32 = 5;
/// What is waited before and after a siege.
const SETTLING: Duration = Duration::from_secs(2);
/// The client's 99th percentile may grow by this factor.
const BAR: f64 = 2.0;

/// Everything that the attackers share.
struct Siege {
    addr: SocketAddr,
    wanted: u64,
    open: AtomicU64,
    closed: AtomicU64,
    failed: AtomicU64,
    over: AtomicBool,
}

impl Siege {
    fn new(addr: SocketAddr, wanted: u64) -> Self {
        let none = || AtomicU64::new(0);
        Siege { addr, wanted, open: none(), closed: none(), failed: none(), over: AtomicBool::new(false) }
    }
}

/// Runs it.
pub fn run(arguments: &[String]) -> Result<(), String> {
    let (mut seconds, mut binary) = (10, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--seconds", Some(value)) => {
                seconds = value.parse().map_err(|_| "--seconds needs a whole number")?;
            }
            ("--binary", Some(file)) => binary = Some(PathBuf::from(file)),
            _ => return Err(format!("unknown option {word}: --seconds S, --binary FILE")),
        }
    }
    let binary = binary.map_or_else(|| build(Profile::Release, false), Ok)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(compare(&binary, Duration::from_secs(seconds)))
}

async fn compare(binary: &Path, time: Duration) -> Result<(), String> {
    let gateway = Gateway::start(binary, None).await?;
    gateway.lift_rates().await?;
    let mut calm = stretches(&gateway, time).await?;
    let wanted = SLOW.min(open_files().saturating_sub(SPARE));
    let siege = Arc::new(Siege::new(gateway.addr, wanted));
    // On a thread of its own, so that the client does not wait for its attackers' turns.
    let thread = std::thread::spawn({
        let siege = siege.clone();
        move || lay(siege)
    });
    tokio::time::sleep(SETTLING + Duration::from_secs(wanted / OPENED_PER_SECOND)).await;
    let before = siege.open.load(Ordering::Relaxed);
    let besieged = stretches(&gateway, time).await;
    let after = siege.open.load(Ordering::Relaxed);
    siege.over.store(true, Ordering::Relaxed);
    thread.join().map_err(|_| "the attackers broke down".to_owned())??;
    tokio::time::sleep(SETTLING).await;
    // Before and after, so that what else happens on the machine happens to both.
    calm.extend(stretches(&gateway, time).await?);
    report(&siege, (before, after), median(calm), median(besieged?))
}

fn report(siege: &Siege, open: (u64, u64), calm: Duration, besieged: Duration) -> Result<(), String> {
    let ratio = besieged.as_secs_f64() / calm.as_secs_f64().max(1e-6);
    println!(
        "{} slow connections wanted; {} open when the measurement began and {} when it ended, {} closed by the \
         gateway and opened anew, {} failed to open; {JUNK_PER_SECOND} junk connections a second",
        siege.wanted,
        open.0,
        open.1,
        siege.closed.load(Ordering::Relaxed),
        siege.failed.load(Ordering::Relaxed)
    );
    println!(
        "p99 of a client at {CLIENT}: {calm:?} quiet, {besieged:?} meanwhile: {ratio:.2}x (bar: {BAR}x)"
    );
    if ratio <= BAR { Ok(()) } else { Err(format!("p99 grew by a factor of {ratio:.2}, more than {BAR}")) }
}

/// The 99th percentiles of a client's decisions in several stretches, since other work on the machine comes in bursts.
async fn stretches(gateway: &Gateway, time: Duration) -> Result<Vec<Duration>, String> {
    let mut all = Vec::new();
    for _ in 0..STRETCHES {
        all.push(stretch(gateway, time / STRETCHES).await?);
    }
    Ok(all)
}

/// One stretch.
async fn stretch(gateway: &Gateway, time: Duration) -> Result<Duration, String> {
    let failed = |error: std::io::Error| format!("the well-behaved client was not served: {error}");
    let mut wire = Wire::open_from(CLIENT, gateway.addr).await.map_err(failed)?;
    let (begun, mut taken) = (Instant::now(), Vec::new());
    let mut random = Random::new(11);
    while begun.elapsed() < time {
        let span = PAUSE.end() - PAUSE.start() + 1;
        tokio::time::sleep(Duration::from_millis(PAUSE.start() + random.next() % span)).await;
        let number = mobile(taken.len() as u64);
        let ip = address(&mut Random::new(number));
        let body = format!(
            "{{\"to\":\"+{number}\",\"purpose\":\"login\",\"dry_run\":true,\"client\":{{\"ip\":\"{ip}\"}}}}"
        );
        let request = request("POST", "/v1/decisions", &gateway.api_key, &body);
        let asked = Instant::now();
        let status = wire.exchange(&request).await.map_err(failed)?.status;
        if status != 200 {
            return Err(format!("the well-behaved client was answered {status}"));
        }
        taken.push(asked.elapsed());
    }
    taken.sort();
    taken
        .get(taken.len().saturating_sub(1) * 99 / 100)
        .copied()
        .ok_or_else(|| "nothing was measured".to_owned())
}

/// The attackers' thread.
fn lay(siege: Arc<Siege>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        tokio::join!(besiege(siege.clone()), junk(siege));
    });
    Ok(())
}

/// Keeps so many slow connections open.
async fn besiege(siege: Arc<Siege>) {
    // One by one as far as a timer goes: attackers are many, and nothing makes them knock at the same instant.
    let mut ticks = tokio::time::interval(Duration::from_millis(1));
    let mut opened = 0u64;
    while !siege.over.load(Ordering::Relaxed) {
        ticks.tick().await;
        for _ in 0..(OPENED_PER_SECOND / 1000) {
            if siege.open.load(Ordering::Relaxed) < siege.wanted {
                opened += 1;
                siege.open.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(slow(siege.clone(), opened));
            }
        }
    }
}

/// One slow connection: a byte of a header every few seconds, until the gateway has had enough.
async fn slow(siege: Arc<Siege>, nth: u64) {
    match connect(siege.addr, nth).await {
        Ok(stream) => {
            drip(stream, nth).await;
            siege.closed.fetch_add(1, Ordering::Relaxed);
        }
        Err(_) => {
            siege.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    siege.open.fetch_sub(1, Ordering::Relaxed);
}

/// Ends when the gateway closes, or says anything at all.
async fn drip(mut stream: TcpStream, nth: u64) {
    let mut sent = stream.write_all(b"POST /v1/verifications HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
    while sent.is_ok() {
        let pause = Duration::from_millis(3000 + nth * 37 % 2000);
        tokio::select! {
            _ = stream.readable() => return,
            () = tokio::time::sleep(pause) => sent = stream.write_all(b"a").await,
        }
    }
}

/// From several addresses, since one has only so many ports.
async fn connect(to: SocketAddr, nth: u64) -> std::io::Result<TcpStream> {
    let last = u8::try_from(10 + nth % 20).unwrap_or(10);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    socket.connect(to).await
}

/// Connections that send anything but HTTP.
async fn junk(siege: Arc<Siege>) {
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / JUNK_PER_SECOND));
    let mut random = Random::new(7);
    while !siege.over.load(Ordering::Relaxed) {
        ticks.tick().await;
        let bytes: Vec<u8> = (0..16).flat_map(|_| random.next().to_le_bytes()).collect();
        let addr = siege.addr;
        tokio::spawn(async move {
            if let Ok(mut stream) = connect(addr, 5).await {
                let _ = stream.write_all(&bytes).await;
            }
        });
    }
}
