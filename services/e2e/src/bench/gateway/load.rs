//! Requests over connections that stay open, as fast as the answers come, by hand: a client library would cost more than what is measured.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::upstream::{TOKEN_MARK, TOKENS};

/// For one exchange; past this the other side hangs.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes of one answer.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Bytes of the head of one answer.
const MAX_HEAD_BYTES: usize = 64 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// Errors that are told in words; all are counted.
const TOLD_ERRORS: usize = 1;

/// Who is asked, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    pub path: String,
    /// Bearer token, where one is asked for.
    pub token: Option<String>,
    /// Name of the model there.
    pub model: String,
    /// What else its requests carry.
    pub headers: Vec<(&'static str, String)>,
}

impl Target {
    /// The bytes of a request.
    fn request(&self, is_stream: bool) -> Vec<u8> {
        let options = match is_stream {
            true => r#","stream":true,"stream_options":{"include_usage":true}"#,
            false => "",
        };
        let body = format!(
            r#"{{"model":"{}","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"Say hello and ask what you can do for me."}}],"temperature":0.7{options}}}"#,
            self.model
        );
        let token = self
            .token
            .as_ref()
            .map(|token| format!("authorization: Bearer {token}\r\n"));
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers: String = token.into_iter().chain(headers).collect();
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\n{headers}content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\ncontent-length: {}\r\n\r\n{body}",
            self.path,
            self.address,
            body.len()
        )
        .into_bytes()
    }
}

/// How long one exchange took.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// Until the first byte of the body.
    first: Duration,
    whole: Duration,
}

/// What a run showed.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Until the first byte of each body.
    pub first: Vec<Duration>,
    /// Until the end of each answer.
    pub whole: Vec<Duration>,
    pub errors: usize,
    /// What one of the errors said.
    pub an_error: Option<String>,
    pub took: Duration,
}

impl Outcome {
    pub fn per_second(&self) -> f64 {
        self.whole.len() as f64 / self.took.as_secs_f64()
    }

    fn add(&mut self, other: Self) {
        self.first.extend(other.first);
        self.whole.extend(other.whole);
        self.errors += other.errors;
        self.an_error = self.an_error.take().or(other.an_error);
    }
}

/// Asks over `connections` for that long, each connection again as soon as it is answered.
///
/// # Errors
/// When nobody can be reached. What goes wrong later is counted.
pub async fn run(target: &Target, is_stream: bool, connections: usize, time: Duration) -> anyhow::Result<Outcome> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(&target.address).await?);
    }
    let request: &[u8] = &target.request(is_stream);
    let started = Instant::now();
    let asking = open.into_iter().map(|mut connection| async move {
        let mut outcome = Outcome::default();
        while started.elapsed() < time {
            match connection.exchange(request, is_stream).await {
                Ok(timing) => {
                    outcome.first.push(timing.first);
                    outcome.whole.push(timing.whole);
                }
                Err(error) => {
                    outcome.errors += 1;
                    if outcome.errors <= TOLD_ERRORS {
                        outcome.an_error = Some(format!("{error:#}"));
                    }
                    match Connection::open(&target.address).await {
                        Ok(another) => connection = another,
                        Err(_) => break,
                    }
                }
            }
        }
        outcome
    });
    let mut all = Outcome::default();
    for outcome in futures::future::join_all(asking).await {
        all.add(outcome);
    }
    all.took = started.elapsed();
    Ok(all)
}

struct Connection {
    stream: TcpStream,
    /// What was read and not used yet.
    buffer: Vec<u8>,
    body: Vec<u8>,
}

/// How the end of a body is found.
enum Framing {
    Length(usize),
    Chunked,
}

impl Connection {
    async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("nobody answers at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(16 << 10),
            body: Vec::with_capacity(16 << 10),
        })
    }

    async fn exchange(&mut self, request: &[u8], is_stream: bool) -> anyhow::Result<Timing> {
        let exchange = self.exchange_once(request, is_stream);
        timeout(LIMIT, exchange).await.context("no answer in time")?
    }

    async fn exchange_once(&mut self, request: &[u8], is_stream: bool) -> anyhow::Result<Timing> {
        let asked = Instant::now();
        self.stream.write_all(request).await?;
        let (status, framing) = self.head().await?;
        let first = self.read_body(&framing, asked).await?;
        let whole = asked.elapsed();
        let text = || String::from_utf8_lossy(&self.body).into_owned();
        ensure!(status == 200, "status {status}: {}", text());
        if is_stream {
            let tokens = self
                .body
                .windows(TOKEN_MARK.len())
                .filter(|window| *window == TOKEN_MARK);
            let tokens = tokens.count();
            ensure!(tokens == TOKENS, "{tokens} words instead of {TOKENS}: {}", text());
        } else {
            ensure!(self.body.starts_with(b"{"), "no JSON: {}", text());
        }
        Ok(Timing { first, whole })
    }

    /// More of what the other side sends.
    async fn more(&mut self) -> anyhow::Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the connection was closed");
        Ok(())
    }

    /// Reads the head of an answer; its status and how the body ends.
    async fn head(&mut self) -> anyhow::Result<(u16, Framing)> {
        let end = loop {
            let found = self
                .buffer
                .windows(HEAD_END.len())
                .position(|window| window == HEAD_END);
            match found {
                Some(end) => break end + HEAD_END.len(),
                None => self.more().await?,
            }
            ensure!(self.buffer.len() < MAX_HEAD_BYTES, "a head without end");
        };
        let head = std::str::from_utf8(&self.buffer[..end]).context("a head that is no text")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.with_context(|| format!("no status in {head:?}"))?;
        let mut framing = None;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                framing = Some(Framing::Length(
                    value.trim().parse().context("a length that is no number")?,
                ));
            } else if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
                framing = Some(Framing::Chunked);
            }
        }
        let framing = framing.with_context(|| format!("no end of the body in {head:?}"))?;
        self.buffer.drain(..end);
        Ok((status, framing))
    }

    /// Reads the body; when its first byte was there.
    async fn read_body(&mut self, framing: &Framing, asked: Instant) -> anyhow::Result<Duration> {
        self.body.clear();
        match framing {
            Framing::Length(length) => {
                ensure!(*length < MAX_ANSWER_BYTES, "an answer of {length} bytes");
                if self.buffer.is_empty() && *length > 0 {
                    self.more().await?;
                }
                let first = asked.elapsed();
                while self.buffer.len() < *length {
                    self.more().await?;
                }
                self.body.extend(self.buffer.drain(..*length));
                Ok(first)
            }
            Framing::Chunked => self.read_chunks(asked).await,
        }
    }

    async fn read_chunks(&mut self, asked: Instant) -> anyhow::Result<Duration> {
        let mut first = None;
        let mut used = 0;
        loop {
            let line = self.buffer[used..].windows(2).position(|window| window == b"\r\n");
            let Some(line) = line else {
                self.buffer.drain(..used);
                used = 0;
                self.more().await?;
                continue;
            };
            let size =
                std::str::from_utf8(&self.buffer[used..used + line]).context("a chunk's size that is no text")?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(digits, 16).with_context(|| format!("a chunk of {digits:?} bytes"))?;
            if self.body.len() + size > MAX_ANSWER_BYTES {
                bail!("an answer without end");
            }
            let begin = used + line + 2;
            // The data and the line end behind it; the last chunk has only that, for nobody here sends trailers.
            while self.buffer.len() < begin + size + 2 {
                self.more().await?;
            }
            if size > 0 {
                first.get_or_insert_with(|| asked.elapsed());
                self.body.extend_from_slice(&self.buffer[begin..begin + size]);
            }
            used = begin + size + 2;
            if size == 0 {
                self.buffer.drain(..used);
                return first.context("an empty answer");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::upstream::Upstream, *};

    #[tokio::test]
    async fn answers_are_read_to_their_end_over_one_connection() {
        let upstream = Upstream::start().await.unwrap();
        let target = Target {
            address: upstream.address().to_string(),
            path: "/v1/chat/completions".to_owned(),
            token: Some("token".to_owned()),
            model: "bench".to_owned(),
            headers: vec![("x-more", "more".to_owned())],
        };
        let mut connection = Connection::open(&target.address).await.unwrap();
        for is_stream in [false, true, false, true] {
            let timing = connection
                .exchange(&target.request(is_stream), is_stream)
                .await
                .unwrap();
            assert!(timing.first <= timing.whole);
            assert!(connection.buffer.is_empty());
        }
        let error = connection.exchange(&target.request(false), true).await.unwrap_err();
        assert!(error.to_string().starts_with("1 words instead of 32"), "{error}");
    }
}
