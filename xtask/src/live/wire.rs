//! A keep-alive HTTP/1.1 connection that costs as little as can be: whoever measures a server must not be
//! what is measured. One request at a time; bodies must state their length, as axum's do.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// An open connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back.
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

/// A whole request as bytes. `bearer` may be empty.
pub fn request(method: &str, path: &str, bearer: &str, body: &str) -> Vec<u8> {
    request_with(method, path, bearer, "", body)
}

/// The same with more headers, each ended by a line break.
pub fn request_with(method: &str, path: &str, bearer: &str, headers: &str, body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}");
    if !bearer.is_empty() {
        let _ = write!(text, "authorization: Bearer {bearer}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "content-type: application/json\r\n");
    }
    let _ = write!(text, "content-length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

impl Wire {
    /// Connects.
    pub async fn open(to: SocketAddr) -> io::Result<Self> {
        Self::of(TcpStream::connect(to).await?)
    }

    /// Connects from a given address of this machine.
    pub async fn open_from(from: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        Self::of(socket.connect(to).await?)
    }

    fn of(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Wire { stream, buffer: Vec::with_capacity(4096) })
    }

    /// One request and its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(head) = Head::find(&self.buffer)? {
                break head;
            }
            self.more().await?;
        };
        let end = head.length + head.body;
        while self.buffer.len() < end {
            self.more().await?;
        }
        let body = self.buffer.get(head.length..end).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

struct Head {
    status: u16,
    length: usize,
    body: usize,
}

impl Head {
    /// The head at the start of `bytes`, once it is complete.
    fn find(bytes: &[u8]) -> io::Result<Option<Head>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = bytes.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head).map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?;
        let mut body = 0;
        for (name, value) in head.lines().filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err(io::Error::new(ErrorKind::Unsupported, "a chunked answer"));
            }
        }
        Ok(Some(Head { status, length: end + 4, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_whole() {
        assert!(Head::find(b"HTTP/1.1 201 Created\r\nContent-Le").unwrap().is_none());
        let head = Head::find(b"HTTP/1.1 201 Created\r\nContent-Length: 7\r\n\r\n{").unwrap().unwrap();
        assert_eq!((head.status, head.length, head.body), (201, 43, 7));
        assert!(Head::find(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn requests_state_their_length() {
        let text = String::from_utf8(request("POST", "/v1/x", "k", "{}")).unwrap();
        assert!(text.ends_with("content-length: 2\r\n\r\n{}") && text.contains("Bearer k\r\n"), "{text}");
        assert!(!String::from_utf8(request("GET", "/", "", "")).unwrap().contains("authorization"));
    }
}
