//! One request on a connection of its own, from an address that is not the proxy's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Where clients and attackers sit.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// What they call the gateway.
pub const HOST: &str = "sms.example.com";
/// A whole answer takes at most this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// An answer that does not end the connection is over after this long.
const SILENCE: Duration = Duration::from_millis(1000);

/// What came back.
#[derive(Debug, Default)]
pub struct Answer {
    /// HTTP status; 0 without one.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Without its chunks.
    pub body: Vec<u8>,
}

/// A request that ends its connection. `bearer` may be empty; a header with an empty value is left out.
pub fn request(method: &str, path: &str, bearer: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let given = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n");
    for (name, value) in [("User-Agent", "acme-backend/2.1"), ("Accept", "application/json")] {
        if !given(name) {
            let _ = write!(text, "{name}: {value}\r\n");
        }
    }
    if !bearer.is_empty() && !given("Authorization") {
        let _ = write!(text, "Authorization: Bearer {bearer}\r\n");
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let chunked = given("Transfer-Encoding");
    if !chunked && (!body.is_empty() || method == "POST") {
        let _ = write!(text, "Content-Length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    if chunked {
        for piece in body.chunks(20) {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(body);
    }
    bytes
}

/// Sends a request and reads the answer to the end of the connection.
pub async fn ask(to: SocketAddr, request: &[u8]) -> Result<Answer, String> {
    let read = timeout(PATIENCE, exchange(to, request, PATIENCE)).await;
    let bytes = read.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())?;
    Ok(understood(&bytes))
}

/// Sends bytes that may be no request, and reads until the end of the connection or a silence.
pub async fn provoke(to: SocketAddr, bytes: &[u8]) -> Answer {
    understood(&exchange(to, bytes, SILENCE).await.unwrap_or_default())
}

async fn exchange(to: SocketAddr, bytes: &[u8], silence: Duration) -> io::Result<Vec<u8>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(CLIENT, 0))?;
    let (mut read, mut write) = socket.connect(to).await?.into_split();
    // Whoever refuses a long request may answer before it is written, and close.
    let bytes = bytes.to_vec();
    let writing = tokio::spawn(async move {
        let _ = write.write_all(&bytes).await;
        write
    });
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(Ok(length @ 1..)) = timeout(silence, read.read(&mut buffer)).await {
        answer.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    writing.abort();
    Ok(answer)
}

fn understood(bytes: &[u8]) -> Answer {
    let bytes = bytes.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(bytes);
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answer::default();
    };
    let head = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let header = |line: &str| {
        line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let body = bytes.get(end + 4..).unwrap_or_default();
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if chunked { joined(body) } else { body.to_vec() };
    Answer { status, headers, body }
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|two| two == b"\r\n") {
        let size = chunks.get(..end).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(size @ 1..) = size.and_then(|digits| usize::from_str_radix(digits, 16).ok()) else { break };
        body.extend_from_slice(chunks.get(end + 2..end + 2 + size).unwrap_or_default());
        chunks = chunks.get(end + 4 + size..).unwrap_or_default();
    }
    body
}

/// Connects as the tap does.
pub async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_or_without_chunks() {
        let plain = understood(b"HTTP/1.1 404 Not Found\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!((plain.status, plain.headers["content-type"].as_str()), (404, "a/b"));
        assert_eq!(plain.body, b"ok");
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\na\r\n0123456789\r\n0\r\n\r\n";
        assert_eq!(understood(chunked).body, b"ok0123456789");
        assert_eq!(understood(b"nonsense").status, 0);
    }

    #[test]
    fn requests_say_what_they_are_told_to() {
        let text =
            String::from_utf8(request("POST", "/x", "k", &[("Accept", ""), ("A", "b")], b"{}")).unwrap();
        assert!(text.contains("Bearer k\r\n") && text.contains("A: b\r\n") && !text.contains("Accept"));
        assert!(text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
        let chunked = request("POST", "/x", "", &[("Transfer-Encoding", "chunked")], b"{}");
        assert!(chunked.ends_with(b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
    }
}
