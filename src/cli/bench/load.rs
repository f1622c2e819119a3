//! A load of keep-alive connections, each of which sends its next request when it has the answer to the one before.
//!
//! The generator shares the machine with what it measures, so it parses as little as it can.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};

use crate::cli::CliError;

/// The next request, given the body of the answer before it (none for the first).
pub type Next = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// A connection to a server.
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn to(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: Vec::with_capacity(1 << 16) })
    }

    /// Sends a request; status and body of its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.input.clear();
        let (status, body) = loop {
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = head(&self.input) {
                break head;
            }
        };
        while self.input.len() < body.end {
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((status, &self.input[body]))
    }
}

/// Status and place of the body, once the head is complete.
fn head(input: &[u8]) -> Option<(u16, std::ops::Range<usize>)> {
    let end = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&input[..end]).ok()?;
    let status = text.get(9..12)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end..end + length.unwrap_or(0)))
}

/// A request as bytes.
pub fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n{kind}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

/// A connection and what it asks.
pub struct Caller {
    connection: Connection,
    next: Next,
}

/// What a load came to.
#[derive(Default)]
pub struct Tally {
    /// Requests that were answered.
    pub requests: usize,
    /// How long each took, µs.
    pub latencies: Vec<f64>,
    /// Answers with a status of 400 or more.
    pub failed: usize,
}

/// A load that can be taken up again.
pub struct Load {
    callers: Vec<Caller>,
}

impl Load {
    /// Connects callers to a server; `next` makes what each asks.
    pub async fn connect(address: SocketAddr, callers: usize, next: &dyn Fn() -> Next) -> io::Result<Self> {
        let mut list = Vec::with_capacity(callers);
        for _ in 0..callers {
            list.push(Caller { connection: Connection::to(address).await?, next: next() });
        }
        Ok(Self { callers: list })
    }

    /// Sends until that instant.
    pub async fn run(&mut self, until: Instant) -> Result<Tally, CliError> {
        let mut calls = JoinSet::new();
        for caller in self.callers.drain(..) {
            calls.spawn(one(caller, until));
        }
        let mut all = Tally::default();
        while let Some(done) = calls.join_next().await {
            let (caller, tally) = done.map_err(|error| CliError::Internal(error.to_string()))??;
            self.callers.push(caller);
            all.requests += tally.requests;
            all.failed += tally.failed;
            all.latencies.extend(tally.latencies);
        }
        Ok(all)
    }
}

async fn one(mut caller: Caller, until: Instant) -> io::Result<(Caller, Tally)> {
    let (mut tally, mut began) = (Tally::default(), Instant::now());
    let mut request = (caller.next)(b"");
    while began < until {
        let (status, body) = caller.connection.exchange(&request).await?;
        let ended = Instant::now();
        tally.requests += 1;
        tally.failed += usize::from(status >= 400);
        tally.latencies.push((ended - began).as_secs_f64() * 1e6);
        request = (caller.next)(body);
        began = ended;
    }
    Ok((caller, tally))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 429 Too Many\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(head(answer), Some((429, 44..47)));
        assert_eq!(head(&answer[..20]), None);
    }
}
