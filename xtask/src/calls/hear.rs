//! A phone that listens: what a caller hears who is not put through.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use super::stage::{MASK, Stage};

/// No answer takes longer.
const AT_MOST: Duration = Duration::from_secs(10);

/// What came to the phone until the call was refused.
pub struct Heard {
    /// Status lines, in their order, and every header and body.
    pub answers: Vec<String>,
    /// Samples that were loud enough to be heard.
    pub loud: usize,
    /// Packets of sound.
    pub packets: usize,
}

/// Calls the virtual number and listens until it is over.
pub fn listen(stage: &Stage, own: &str) -> Result<Heard, String> {
    let failed = |error: std::io::Error| format!("a phone that listens: {error}");
    let (sip, media) =
        (UdpSocket::bind("127.0.0.1:0").map_err(failed)?, UdpSocket::bind("127.0.0.1:0").map_err(failed)?);
    for socket in [&sip, &media] {
        socket.set_read_timeout(Some(Duration::from_millis(20))).map_err(failed)?;
    }
    let (at, port) = (sip.local_addr().map_err(failed)?, media.local_addr().map_err(failed)?.port());
    let ask = |method: &str, tag: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{MASK}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKhear{own}\r\n\
             From: <sip:+65{own}@{at}>;tag=hear\r\nTo: <sip:{MASK}@127.0.0.1>{tag}\r\nCall-ID: hear-{own}-{port}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:+65{own}@{at}>\r\nMax-Forwards: 70\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let sdp = format!(
        "v=0\r\no={own} 1 1 IN IP4 127.0.0.1\r\ns={own}\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    );
    sip.send_to(ask("INVITE", "", &sdp).as_bytes(), ("127.0.0.1", stage.proxy)).map_err(failed)?;
    let mut heard = Heard { answers: Vec::new(), loud: 0, packets: 0 };
    let (begun, mut buffer) = (Instant::now(), [0; 4096]);
    while begun.elapsed() < AT_MOST {
        while let Ok(read) = media.recv(&mut buffer) {
            let sound = buffer.get(12..read).unwrap_or_default();
            heard.packets += 1;
            heard.loud += sound.iter().filter(|byte| is_loud(**byte)).count();
        }
        let Ok(read) = sip.recv(&mut buffer) else { continue };
        let answer = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default()).into_owned();
        let last = status(&answer) >= 200;
        let to =
            answer.lines().find_map(|line| line.strip_prefix("To: ")).and_then(|to| to.split_once(";tag="));
        let tag = to.map(|(_, tag)| format!(";tag={tag}")).unwrap_or_default();
        heard.answers.push(answer);
        if last {
            sip.send_to(ask("ACK", &tag, "").as_bytes(), ("127.0.0.1", stage.proxy)).map_err(failed)?;
            return Ok(heard);
        }
    }
    Err(format!("the call is not over: {:?}", heard.answers))
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// Whether a sample of μ-law is far from silence: its exponent is in the upper half.
fn is_loud(byte: u8) -> bool {
    (!byte & 0x70) >= 0x40
}
