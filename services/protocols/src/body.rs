//! An answer's bytes as events, as one document, or as what is no answer at all.
//!
//! Pure: no IO and no clock. Owns how the form is recognised and its bounds; what events and documents mean is each protocol's
//! [`Answer`]. It never panics and never waits. Reading the socket is [`super::http`]'s.

use tandem_chat_core::{classify::Cause, error::ErrorKind};

use super::{
    Delta, Failure,
    bedrock::frame,
    sse::{Cutter, SseEvent},
};

/// Largest answer that is not streamed.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// How much of a page that is no answer is kept for the error.
const MAX_PAGE_BYTES: usize = 2048;

/// What a protocol makes of the events of one answer. After a failure nothing more is understood; what was appended before it stands.
pub(crate) trait Answer: Send + 'static {
    /// The protocol's name, for sentences: "not in the … format".
    const FORMAT: &'static str;

    /// Takes an event in and appends what it says to `deltas`.
    ///
    /// * `is_whole`: a blank line ended the event; otherwise the stream broke off, possibly within it.
    ///
    /// # Errors
    /// The vendor's own error, or an event that makes no sense.
    fn event(&mut self, event: &SseEvent, is_whole: bool, deltas: &mut Vec<Delta>) -> Result<(), Failure>;

    /// Takes a whole answer in that was not streamed.
    ///
    /// # Errors
    /// As [`Answer::event`], or a document that was cut off.
    fn document(&mut self, text: &str, deltas: &mut Vec<Delta>) -> Result<(), Failure>;

    /// Whether the vendor has said that nothing follows.
    fn is_done(&self) -> bool;

    /// Whether the model has said why it stopped; only usage and the end can follow.
    fn is_finished(&self) -> bool;

    /// The end: appends the last increments, [`Delta::Finish`] as the very last.
    ///
    /// # Errors
    /// The answer was not complete; cut off, it is worth another try.
    fn finish(self, deltas: &mut Vec<Delta>) -> Result<(), Failure>;
}

/// An answer being understood.
#[derive(Debug)]
pub(crate) struct Parser<A> {
    form: Form,
    answer: A,
}

/// How the answer comes. Known with its first visible byte, whatever the headers say.
#[derive(Debug)]
enum Form {
    /// White space so far.
    Unknown,
    Events(Cutter),
    /// Events in AWS's frames, which begin with a zero.
    Frames(frame::Cutter),
    /// One JSON document, from servers that do not stream.
    Document(Vec<u8>),
    /// A web page: a proxy, or an address that is no API.
    Page(Vec<u8>),
}

impl<A: Answer> Parser<A> {
    /// Ready for the first byte.
    pub(crate) fn of(answer: A) -> Self {
        Self {
            form: Form::Unknown,
            answer,
        }
    }

    /// Takes bytes in, cut anywhere; appends what they say to `deltas`.
    ///
    /// # Errors
    /// A [`Failure`] after which nothing more is understood; what was appended before it stands.
    pub(crate) fn push(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        let bytes = match self.form {
            Form::Unknown => self.recognise(bytes),
            Form::Events(_) | Form::Frames(_) | Form::Document(_) | Form::Page(_) => bytes,
        };
        match &mut self.form {
            Form::Unknown => Ok(()),
            Form::Events(cutter) => take_events(&mut self.answer, deltas, |on_event| {
                let cut = cutter.push(bytes, on_event);
                cut.map_err(|too_long| Failure::known(ErrorKind::Generic, too_long.to_string()))
            }),
            Form::Frames(cutter) => take_events(&mut self.answer, deltas, |on_event| cutter.push(bytes, on_event)),
            Form::Document(document) => {
                if document.len() + bytes.len() > MAX_BODY_BYTES {
                    let text = format!("the answer is longer than {MAX_BODY_BYTES} bytes");
                    return Err(Failure::known(ErrorKind::Generic, text));
                }
                document.extend_from_slice(bytes);
                Ok(())
            }
            Form::Page(page) => {
                let room = MAX_PAGE_BYTES.saturating_sub(page.len());
                page.extend_from_slice(&bytes[..bytes.len().min(room)]);
                if page.len() < MAX_PAGE_BYTES {
                    Ok(())
                } else {
                    Err(not_an_api::<A>(page))
                }
            }
        }
    }

    /// As [`Answer::is_done`].
    pub(crate) fn is_done(&self) -> bool {
        self.answer.is_done()
    }

    /// As [`Answer::is_finished`].
    pub(crate) fn is_finished(&self) -> bool {
        self.answer.is_finished()
    }

    /// The end of the bytes: appends the last increments, [`Delta::Finish`] as the very last.
    ///
    /// # Errors
    /// A [`Failure`] if the answer was not complete; cut off, it is worth another try.
    pub(crate) fn finish(mut self, deltas: &mut Vec<Delta>) -> Result<(), Failure> {
        match self.form {
            Form::Unknown => return Err(truncated("the vendor closed the connection without an answer")),
            Form::Events(cutter) => {
                if !self.answer.is_done()
                    && let Some(event) = cutter.finish()
                {
                    self.answer.event(&event, false, deltas)?;
                }
            }
            // Half a frame says nothing.
            Form::Frames(_) => {}
            Form::Document(document) => self.answer.document(&String::from_utf8_lossy(&document), deltas)?,
            Form::Page(page) => return Err(not_an_api::<A>(&page)),
        }
        self.answer.finish(deltas)
    }

    /// Decides the form by the first visible byte and returns what of `bytes` belongs to it.
    fn recognise<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        let is_blank = |byte: &u8| byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(byte);
        let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
        let bytes = &bytes[start..];
        self.form = match bytes.first() {
            None => return bytes,
            Some(b'{' | b'[') => Form::Document(Vec::new()),
            Some(b'<') => Form::Page(Vec::new()),
            Some(0) => Form::Frames(frame::Cutter::default()),
            Some(_) => Form::Events(Cutter::default()),
        };
        bytes
    }
}

/// Hands each event that `cut` finds to the answer. What is wrong behind the answer's end does not matter, also if it came in one piece
/// with the end.
fn take_events<A: Answer>(
    answer: &mut A,
    deltas: &mut Vec<Delta>,
    cut: impl FnOnce(&mut dyn FnMut(SseEvent)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut outcome = Ok(());
    let whole = cut(&mut |event| {
        if outcome.is_ok() {
            outcome = answer.event(&event, true, deltas);
        }
    });
    outcome?;
    if answer.is_done() { Ok(()) } else { whole }
}

/// An answer that broke off: worth another try.
pub(crate) fn truncated(text: &str) -> Failure {
    Failure::new(Cause::Truncated, text)
}

/// An event or document that is no JSON of the expected shape. The parser's message quotes nothing of the answer.
pub(crate) fn garbage<A: Answer>(error: &serde_json::Error) -> Failure {
    let text = format!("the answer is not in the {} format: {error}", A::FORMAT);
    Failure::known(ErrorKind::Generic, text)
}

fn not_an_api<A: Answer>(page: &[u8]) -> Failure {
    let page = String::from_utf8_lossy(page);
    let title = page
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"))
        .map(|(title, _)| format!(" (\"{}\")", title.trim()))
        .unwrap_or_default();
    let text = format!(
        "the address answered with a web page{title}, not with the {} API; check the base URL",
        A::FORMAT
    );
    Failure::known(ErrorKind::Config, text)
}
