//! The least of a Redis client: sends packed commands, counts their replies. It does next to nothing for each reply, so
//! that the server, which is what is measured, is kept busy.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{cli::CliError, private_redis::PrivateRedis};

/// A connection.
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Client {
    /// Connects to a private server.
    pub async fn connect(redis: &PrivateRedis) -> Result<Self, CliError> {
        let path = redis.url().trim_start_matches("redis+unix://");
        Ok(Self { stream: UnixStream::connect(path).await?, input: Vec::with_capacity(1 << 16) })
    }

    /// Sends packed commands and waits for so many replies. Fails on the first error reply.
    pub async fn exchange(&mut self, commands: &[u8], replies: usize) -> io::Result<()> {
        self.stream.write_all(commands).await?;
        self.input.clear();
        let (mut at, mut seen) = (0, 0);
        while seen < replies {
            match reply_end(&self.input, at)? {
                Some(end) => (at, seen) = (end, seen + 1),
                None if self.stream.read_buf(&mut self.input).await? == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        }
        Ok(())
    }

    /// Sends one command, word by word.
    pub async fn ask<S: AsRef<[u8]>>(&mut self, words: &[S]) -> io::Result<Vec<u8>> {
        let mut command = Vec::new();
        pack(&mut command, words);
        self.send(&command).await
    }

    /// Sends one packed command; its reply as a string (the content of a bulk string).
    pub async fn send(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.exchange(command, 1).await?;
        let head = self.input.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let body = if self.input.first() == Some(&b'$') { head..self.input.len().saturating_sub(2).max(head) } else { 1..head };
        Ok(self.input[body].to_vec())
    }

    /// One figure of `INFO`, or of any reply of `name:value` lines.
    pub async fn info(&mut self, section: &str, name: &str) -> io::Result<f64> {
        let text = self.ask(&["INFO", section]).await?;
        let text = String::from_utf8_lossy(&text);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).ok_or_else(|| io::Error::other(format!("INFO has no {name}")))
    }
}

/// Appends a command.
pub fn pack<S: AsRef<[u8]>>(to: &mut Vec<u8>, words: &[S]) {
    to.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words.iter().map(AsRef::as_ref) {
        to.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        to.extend_from_slice(word);
        to.extend_from_slice(b"\r\n");
    }
}

/// Where the reply that begins at `at` ends; `None` while it is not complete.
fn reply_end(input: &[u8], at: usize) -> io::Result<Option<usize>> {
    let Some(line) = input[at..].iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let text = std::str::from_utf8(&input[at..at + line]).unwrap_or_default().trim_end();
    let (kind, rest) = text.split_at_checked(1).unwrap_or_default();
    let mut end = at + line + 1;
    let count: i64 = rest.parse().unwrap_or(-1);
    match kind {
        "-" => return Err(io::Error::other(format!("the server refused: {rest}"))),
        "$" => {
            if let Ok(length) = usize::try_from(count) {
                end += length + 2;
            }
        }
        "*" => {
            for _ in 0..count.max(0) {
                let Some(next) = reply_end(input, end)? else { return Ok(None) };
                end = next;
            }
        }
        _ => {}
    }
    Ok((end <= input.len()).then_some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_told_apart() {
        let input = b"+OK\r\n:12\r\n$3\r\nabc\r\n*2\r\n$1\r\na\r\n:1\r\n$-1\r\n";
        let mut ends = Vec::new();
        let mut at = 0;
        while at < input.len() {
            at = reply_end(input, at).unwrap().unwrap();
            ends.push(at);
        }
        assert_eq!(ends, [5, 10, 19, 34, 39]);
        assert_eq!(reply_end(b"$3\r\nab", 0).unwrap(), None);
        assert!(reply_end(b"-ERR no\r\n", 0).is_err());
    }
}
