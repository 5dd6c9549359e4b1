//! Phones that put their number wherever there is room for it, and what they received.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::{MASK, Stage, free_port};

/// What sipp writes between two messages.
const RULE: &str = "-----------------------------------------------";
/// No scene takes longer.
const AT_MOST: Duration = Duration::from_secs(40);

/// What a phone that calls does.
#[derive(Clone, Copy)]
pub enum Caller {
    /// Speaks for a moment and hangs up.
    HangsUp,
    /// Waits until the other one hangs up.
    Waits,
    /// Hangs up while it rings.
    Cancels,
    /// Expects to be turned away.
    TurnedAway(u16),
}

/// What a phone that is called does.
#[derive(Clone, Copy)]
pub enum Callee {
    /// Answers and waits.
    Answers,
    /// Answers, and hangs up after a moment.
    HangsUp,
    /// Is busy.
    Busy,
    /// Rings until the caller gives up.
    Rings,
}

const IDENTITY: &str = "P-Asserted-Identity: \"[own]\" <sip:+65[own]@example.com>\n\
Remote-Party-ID: <sip:+65[own]@example.com>;party=calling\nDiversion: <tel:+65[own]>\nSubject: [own]\n\
Organization: [own]\nReply-To: <sip:[own]@example.com>\nHistory-Info: <sip:[own]@example.com>\nX-Number: [own]\n";

const SDP: &str = "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\n\
o=[own] [own] [own] IN IP[local_ip_type] [local_ip]\ns=call of [own]\ni=[own]\nu=http://[own].example.com\ne=[own]@example.com\n\
p=[own]\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\nm=audio [media_port] RTP/AVP 0\na=rtpmap:0 PCMU/8000\n";

const EMPTY: &str = "Content-Length: 0\n\n";

fn send(body: &str, again: bool) -> String {
    let retrans = if again { " retrans=\"500\"" } else { "" };
    format!("<send{retrans}><![CDATA[\n{body}]]></send>\n")
}

fn ask(method: &str, cseq: u32, within: bool, tail: &str) -> String {
    let (uri, to, routes) = match within {
        true => ("[next_url]", "[peer_tag_param]", "[routes]\n"),
        false => ("sip:[service]@[remote_ip]:[remote_port]", "", ""),
    };
    format!(
        "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n{routes}\
         From: \"[own]\" <sip:+65[own]@[local_ip]:[local_port]>;tag=[pid]t[call_number]\n\
         To: <sip:[service]@[remote_ip]>{to}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
         Contact: \"[own]\" <sip:+65[own]@[local_ip]:[local_port];x=[own]>\nUser-Agent: phone of [own]\n\
         {IDENTITY}Max-Forwards: 70\n{tail}"
    )
}

fn answer(line: &str, tag: &str, tail: &str) -> String {
    format!(
        "SIP/2.0 {line} of [own]\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n\
         [last_Record-Route:]\nContact: \"[own]\" <sip:+65[own]@[local_ip]:[local_port];x=[own]>\n\
         Server: phone of [own]\n{IDENTITY}{tail}"
    )
}

fn hears(what: &str) -> String {
    format!("<recv {what}/>\n")
}

const TAG: &str = ";tag=[pid]s[call_number]";

fn caller(how: Caller) -> String {
    let mut steps =
        vec![send(&ask("INVITE", 1, false, SDP), true), hears("response=\"100\" optional=\"true\"")];
    let end = |code: u16, steps: u32| {
        [
            hears(&format!("response=\"{code}\"")),
            send(&of_the_question("ACK", steps, "[peer_tag_param]"), false),
        ]
    };
    let ack = send(&ask("ACK", 1, true, EMPTY), false);
    let bye = hears("request=\"BYE\"") + &send(&answer("200 OK", "", EMPTY), false);
    let rings = hears("response=\"180\" optional=\"true\"");
    match how {
        Caller::HangsUp => steps.extend([
            rings,
            hears("response=\"200\" rrs=\"true\""),
            ack,
            "<pause milliseconds=\"300\"/>\n".to_owned(),
            send(&ask("BYE", 2, true, EMPTY), true),
            hears("response=\"200\""),
        ]),
        Caller::Waits => steps.extend([rings, hears("response=\"200\" rrs=\"true\""), ack, bye]),
        Caller::Cancels => {
            let cancel = of_the_question("CANCEL", 3, "");
            steps.extend([hears("response=\"180\""), send(&cancel, true), hears("response=\"200\"")]);
            steps.extend(end(487, 6));
        }
        Caller::TurnedAway(code) => {
            // Ringing, or early media with the reason in it.
            steps.extend([rings, hears("response=\"183\" optional=\"true\"")]);
            steps.extend(end(code, 5));
        }
    }
    steps.concat()
}

/// What goes hop by hop with the INVITE, so many steps after it, and has its branch.
fn of_the_question(method: &str, steps: u32, tag: &str) -> String {
    format!(
        "{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-{steps}]\n\
         From: \"[own]\" <sip:+65[own]@[local_ip]:[local_port]>;tag=[pid]t[call_number]\n\
         To: <sip:[service]@[remote_ip]>{tag}\nCall-ID: [call_id]\nCSeq: 1 {method}\nMax-Forwards: 70\n{EMPTY}"
    )
}

fn callee(how: Callee) -> String {
    let mut steps = vec![hears("request=\"INVITE\" rrs=\"true\"")];
    let ring = send(&answer("180 Ringing", TAG, EMPTY), false);
    let up = || send(&answer("200 OK", TAG, SDP), true);
    match how {
        Callee::Answers => steps.extend([
            ring,
            "<pause milliseconds=\"200\"/>\n".to_owned(),
            up(),
            hears("request=\"ACK\""),
            hears("request=\"BYE\""),
            send(&answer("200 OK", "", EMPTY), false),
        ]),
        Callee::HangsUp => {
            let bye = "BYE [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n[routes]\n\
                From: [$me]\nTo: [$other]\nCall-ID: [call_id]\nCSeq: 1 BYE\nUser-Agent: phone of [own]\nReason: Q.850;text=\"[own]\"\n\
                Max-Forwards: 70\nContent-Length: 0\n\n";
            steps = vec![
                "<recv request=\"INVITE\" rrs=\"true\"><action>\
                 <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"other\"/>\
                 <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"to\"/></action></recv>\n"
                    .to_owned(),
                ring,
                up(),
                "<recv request=\"ACK\"><action>\
                 <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"me\"/></action></recv>\n"
                    .to_owned(),
                "<pause milliseconds=\"300\"/>\n".to_owned(),
                send(bye, true),
                hears("response=\"200\""),
                "<Reference variables=\"to\"/>\n".to_owned(),
            ];
        }
        Callee::Busy => steps.extend([send(&answer("486 Busy", TAG, EMPTY), true), hears("request=\"ACK\"")]),
        // The answer to the INVITE goes the way of the INVITE, which is longer than that of the CANCEL.
        Callee::Rings => {
            let via = |n: u32| {
                format!(
                    "<ereg regexp=\".*\" search_in=\"hdr\" header=\"Via:\" occurrence=\"{n}\" assign_to=\"via{n}\"/>"
                )
            };
            let given_up = answer("487 Terminated", TAG, EMPTY)
                .replace("[last_Via:]", "Via: [$via1]\nVia: [$via2]")
                .replace("[last_CSeq:]", "CSeq: 1 INVITE");
            steps = vec![
                format!(
                    "<recv request=\"INVITE\" rrs=\"true\"><action>{}{}</action></recv>\n",
                    via(1),
                    via(2)
                ),
                ring,
                hears("request=\"CANCEL\""),
                send(&answer("200 OK", TAG, EMPTY), false),
                send(&given_up, true),
                hears("request=\"ACK\""),
            ];
        }
    }
    steps.concat()
}

/// A phone.
pub struct Phone {
    child: Child,
    messages: PathBuf,
    screen: PathBuf,
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a phone. `own`: the eight digits of its number.
fn start(
    stage: &Stage,
    name: &str,
    own: &str,
    scenario: &str,
    port: u16,
    more: &[String],
) -> Result<Phone, String> {
    let dir = &stage.scratch.0;
    let failed = |error: std::io::Error| format!("sipp: {error}");
    let file = dir.join(format!("{name}.xml"));
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n";
    std::fs::write(&file, format!("{head}<scenario name=\"{name}\">\n{scenario}</scenario>\n"))
        .map_err(failed)?;
    let (messages, screen) = (dir.join(format!("{name}.msg")), dir.join(format!("{name}.out")));
    let out = std::fs::File::create(&screen).map_err(failed)?;
    let mut command = Command::new("/usr/bin/sipp");
    command.arg("-sf").arg(&file).args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin", "-trace_msg"]);
    command.args(["-p", &port.to_string(), "-mp", &free_port()?.to_string(), "-key", "own", own]);
    command.args(["-timeout", "30", "-timeout_error"]).arg("-message_file").arg(&messages).args(more);
    command.stdin(Stdio::null()).stdout(out.try_clone().map_err(failed)?).stderr(out).current_dir(dir);
    let child = command.spawn().map_err(failed)?;
    Ok(Phone { child, messages, screen })
}

/// A phone that is called, so many times.
pub async fn called(stage: &Stage, name: &str, own: &str, how: Callee, times: u32) -> Result<Phone, String> {
    let phone = start(stage, name, own, &callee(how), stage.trunk, &["-m".to_owned(), times.to_string()])?;
    // It listens at once, or its port is taken.
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(phone)
}

/// A phone that calls, so many times at once.
pub fn calls(stage: &Stage, name: &str, own: &str, how: Caller, times: u32) -> Result<Phone, String> {
    let to = format!("127.0.0.1:{}", stage.proxy);
    let count = times.to_string();
    let more = ["-s", MASK, "-m", &count, "-l", &count, "-r", &count, &to].map(str::to_owned);
    start(stage, name, own, &caller(how), free_port()?, &more)
}

impl Phone {
    /// Waits until it did what it was to do.
    pub async fn done(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("sipp ended with {status}: {}", self.complaint())),
                Ok(None) if begun.elapsed() > AT_MOST => return Err("sipp does not end".to_owned()),
                Ok(None) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// The last lines that mean something.
    fn complaint(&self) -> String {
        let text = read(&self.screen);
        let telling = text
            .lines()
            .filter(|line| ["error", "Unexpected", "Aborting", "timeout"].iter().any(|w| line.contains(w)));
        let last = read(&self.messages);
        let last: Vec<&str> = last.split(RULE).collect();
        let last = last.get(last.len().saturating_sub(3)..).unwrap_or_default().join(RULE);
        format!("{}\n{last}", telling.take(4).collect::<Vec<_>>().join(" | "))
    }

    /// Everything that arrived at it.
    pub fn received(&self) -> String {
        let text = read(&self.messages);
        text.split(RULE).filter(|part| part.contains("message received")).collect()
    }
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
