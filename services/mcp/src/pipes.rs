//! Messages as lines, over the pipes of a child process.

use std::future::Future;
use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Mutex;

use crate::http::MAX_ANSWER_BYTES;
use crate::session::Ended;
use crate::values;

/// A connection to a process: lines are read from `R` and written to `W`. A line that is no message is passed over, for servers that
/// print other things there; one that is longer than an answer may be, or has more values, ends the connection.
pub struct Pipes<R, W> {
    reader: R,
    writer: Arc<Mutex<W>>,
    line: Vec<u8>,
    ended: Ended,
}

impl<R, W> Pipes<R, W> {
    /// A connection; why it ends is told to `ended`.
    pub fn new(reader: R, writer: W, ended: Ended) -> Self {
        Self {
            reader,
            writer: Arc::new(Mutex::new(writer)),
            line: Vec::new(),
            ended,
        }
    }
}

impl<R: AsyncBufRead + Unpin, W> Pipes<R, W> {
    /// The next line that is a message. Dropping the future loses nothing: what was read of a line stays.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let available = self.reader.fill_buf().await.ok()?;
            if available.is_empty() {
                self.ended.say("the server's process ended");
                return None;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.line.len() + part.len() > MAX_ANSWER_BYTES {
                self.ended
                    .say(&format!("the server's answer is larger than {MAX_ANSWER_BYTES} bytes"));
                return None;
            }
            self.line.extend_from_slice(part);
            let read = part.len() + usize::from(end.is_some());
            self.reader.consume(read);
            if end.is_none() {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if values::are_too_many(&line) {
                self.ended.say(&values::too_many());
                return None;
            }
            if let Ok(message) = serde_json::from_slice(&line) {
                return Some(message);
            }
        }
    }
}

impl<R, W> Transport<RoleClient> for Pipes<R, W>
where
    R: AsyncBufRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let writer = Arc::clone(&self.writer);
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let mut writer = writer.lock().await;
            writer.write_all(&line).await?;
            writer.flush().await
        }
    }

    fn receive(&mut self) -> impl Future<Output = Option<RxJsonRpcMessage<RoleClient>>> + Send {
        self.next()
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.writer.lock().await.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    const PONG: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

    async fn read(text: &[u8]) -> (usize, Option<String>) {
        let ended = Ended::default();
        let mut pipes = Pipes::new(BufReader::with_capacity(7, text), tokio::io::sink(), ended.clone());
        let mut count = 0;
        while pipes.next().await.is_some() {
            count += 1;
        }
        (count, ended.why())
    }

    #[tokio::test]
    async fn lines_come_whole_however_they_are_cut_and_noise_is_passed_over() {
        let text = format!("starting…\n{PONG}\n\n{{\"no\": \"message\"}}\n{PONG}\n{PONG}");
        let (count, why) = read(text.as_bytes()).await;
        assert_eq!(count, 2, "the last line has no end");
        assert_eq!(why.as_deref(), Some("the server's process ended"));
    }

    #[tokio::test]
    async fn a_line_without_end_ends_the_connection() {
        let text = vec![b'x'; MAX_ANSWER_BYTES + 1];
        let (count, why) = read(&text).await;
        assert_eq!(count, 0);
        assert!(why.unwrap().contains("larger than"));
    }

    #[tokio::test]
    async fn a_line_of_too_many_values_ends_the_connection() {
        let text = format!("{PONG}\n[{}1]\n{PONG}\n", "1,".repeat(values::MAX_VALUES));
        let (count, why) = read(text.as_bytes()).await;
        assert_eq!(count, 1);
        assert!(why.unwrap().contains("values"));
    }
}
