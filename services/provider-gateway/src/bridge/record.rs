//! What is kept of an exchange: who asked what, which tools were called, what it used.
//!
//! Exchanges hand over what happened and go on; [`scribe`] tells it to storage, many at a time. What waits is bounded, and an exchange
//! for which there is no room does not begin, so that nothing goes by unseen while storage only is slow. If storage refuses or is away
//! for long, what has waited longest is given up and counted: records are not worth an outage.

pub mod retention;
mod scribe;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tandem_chassis::{client::Outbound, with_message_limits};
use tandem_chat_core::{message::Usage, wire::time_to_wire};
use tandem_proto::storage::v1::{
    Interception, InterceptionEnd, ModelThought, RecordInterceptionsRequest, TokenUsage, ToolUsage, UserPrompt,
    interception_service_client::InterceptionServiceClient,
};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;
use uuid::Uuid;

pub use self::scribe::Scribe;
use super::{metrics::Metrics, sniff::Heard};

/// Beginnings and ends on their way to the scribe, and ends to come.
const MAX_QUEUED: usize = 32_768;

/// What all of them may hold, those the scribe has taken included.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// Counts only one vendor has, in one record.
const MAX_EXTRA: usize = 16;

/// Takes records. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(Option<Arc<Parts>>);

struct Parts {
    queue: mpsc::Sender<Entry>,
    held: Arc<AtomicUsize>,
    metrics: Metrics,
}

/// An exchange whose beginning is recorded. The place of its end is kept free, so that none stays without one.
pub struct Recording {
    interception: Uuid,
    place: mpsc::OwnedPermit<Entry>,
    parts: Arc<Parts>,
}

/// There is no room for the records of another exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many records wait for storage")]
pub struct Full;

/// What comes to the scribe.
enum Entry {
    /// `Held` counts its bytes until it is gone.
    Records(Box<Records>, Held),
    /// No more will come; answered when all is told, or given up.
    Close(oneshot::Sender<()>),
}

/// What is told of an exchange at one moment.
enum Records {
    Began {
        start: Interception,
        prompt: Option<UserPrompt>,
    },
    Ended {
        end: InterceptionEnd,
        tokens: Option<TokenUsage>,
        tools: Vec<ToolUsage>,
        thoughts: Vec<ModelThought>,
    },
}

impl Records {
    /// How many they are.
    fn count(&self) -> usize {
        match self {
            Self::Began { prompt, .. } => 1 + usize::from(prompt.is_some()),
            Self::Ended {
                tokens,
                tools,
                thoughts,
                ..
            } => 1 + usize::from(tokens.is_some()) + tools.len() + thoughts.len(),
        }
    }

    /// Puts them into a message.
    fn add_to(self, message: &mut RecordInterceptionsRequest) {
        match self {
            Self::Began { start, prompt } => {
                message.starts.push(start);
                message.user_prompts.extend(prompt);
            }
            Self::Ended {
                end,
                tokens,
                tools,
                thoughts,
            } => {
                message.ends.push(end);
                message.token_usages.extend(tokens);
                message.tool_usages.extend(tools);
                message.model_thoughts.extend(thoughts);
            }
        }
    }
}

/// Bytes that are held. Given back when dropped.
struct Held {
    bytes: usize,
    held: Arc<AtomicUsize>,
}

impl Held {
    fn new(held: &Arc<AtomicUsize>, bytes: usize) -> Self {
        held.fetch_add(bytes, Ordering::Relaxed);
        Self {
            bytes,
            held: Arc::clone(held),
        }
    }

    /// What is held altogether is more than half of what may be.
    fn is_much(&self) -> bool {
        self.held.load(Ordering::Relaxed) > MAX_HELD_BYTES / 2
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Recorder {
    /// A recorder, and the end of it that has to run.
    pub fn new(outbound: Outbound, storage: Channel, metrics: Metrics) -> (Self, Scribe) {
        let (recorder, queue) = Self::over(MAX_QUEUED, metrics.clone());
        let scribe = Scribe {
            outbound,
            interceptions: with_message_limits!(InterceptionServiceClient::new(storage)),
            metrics,
            queue,
        };
        (recorder, scribe)
    }

    fn over(places: usize, metrics: Metrics) -> (Self, mpsc::Receiver<Entry>) {
        let (queue, entries) = mpsc::channel(places);
        let parts = Parts {
            queue,
            held: Arc::default(),
            metrics,
        };
        (Self(Some(Arc::new(parts))), entries)
    }

    /// Keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// An exchange begins; `None` where nothing is kept.
    ///
    /// * `prompt`: what a person said with it.
    ///
    /// # Errors
    /// [`Full`]: it should not, and nothing of it is recorded.
    pub fn begin(
        &self,
        interception: Uuid,
        start: Interception,
        prompt: Option<String>,
    ) -> Result<Option<Recording>, Full> {
        let Some(parts) = &self.0 else { return Ok(None) };
        if parts.held.load(Ordering::Relaxed) > MAX_HELD_BYTES {
            return Err(Full);
        }
        let bytes = size_of::<Interception>() + 256 + prompt.as_ref().map_or(0, String::len);
        let prompt = prompt.map(|prompt| UserPrompt {
            id: id(),
            interception_id: start.id.clone(),
            message_id: String::new(),
            prompt,
            created_at: start.started_at,
        });
        let records = Records::Began { start, prompt };
        let place = parts.queue.clone().try_reserve_owned().map_err(|_| Full)?;
        let entry = Entry::Records(Box::new(records), Held::new(&parts.held, bytes));
        parts.queue.try_send(entry).map_err(|_| Full)?;
        Ok(Some(Recording {
            interception,
            place,
            parts: Arc::clone(parts),
        }))
    }

    /// Tells what is left. Nothing may be recorded after this.
    pub async fn close(&self) {
        let Some(parts) = &self.0 else { return };
        let (told, wait) = oneshot::channel();
        if parts.queue.send(Entry::Close(told)).await.is_ok() {
            // The scribe is gone, or has answered.
            let _ = wait.await;
        }
    }
}

impl Recording {
    /// It has ended with that status; what was heard of its answer is moved out.
    pub fn end(self, at: OffsetDateTime, status: u16, usage: Option<&Usage>, heard: &mut Heard) {
        let (mut records, mut bytes) = ended(self.interception, at, status, usage, heard);
        if self.parts.held.load(Ordering::Relaxed) > MAX_HELD_BYTES {
            // That it ended, and what it used, is little and worth more than texts.
            let whole = records.count();
            if let Records::Ended { tools, thoughts, .. } = &mut records {
                tools.clear();
                thoughts.clear();
            }
            self.parts.metrics.records_lost(whole - records.count());
            bytes = size_of::<Records>();
        }
        let held = Held::new(&self.parts.held, bytes);
        // If the recorder has closed meanwhile, nobody reads it.
        let _ = self.place.send(Entry::Records(Box::new(records), held));
    }
}

fn ended(
    interception: Uuid,
    at: OffsetDateTime,
    status: u16,
    usage: Option<&Usage>,
    heard: &mut Heard,
) -> (Records, usize) {
    let interception_id = interception.to_string();
    let created_at = Some(time_to_wire(at));
    let message_id = std::mem::take(&mut heard.message_id);
    let mut bytes = size_of::<Records>();
    let extra = std::mem::take(&mut heard.extra);
    let tokens = usage.filter(|usage| !usage.is_empty()).map(|usage| TokenUsage {
        id: id(),
        interception_id: interception_id.clone(),
        message_id: message_id.clone(),
        input_tokens: usage.input_tokens.unwrap_or(0),
        output_tokens: usage.output_tokens.unwrap_or(0),
        cache_read_tokens: usage.cache_read_tokens.unwrap_or(0),
        cache_write_tokens: usage.cache_creation_tokens.unwrap_or(0),
        extra: extra
            .into_iter()
            .take(MAX_EXTRA)
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
        created_at,
    });
    let mut tools = Vec::with_capacity(heard.calls.len());
    for call in std::mem::take(&mut heard.calls) {
        bytes += size_of::<ToolUsage>() + call.arguments.len();
        tools.push(ToolUsage {
            id: id(),
            interception_id: interception_id.clone(),
            message_id: message_id.clone(),
            tool_name: call.name,
            tool_call_id: call.id,
            is_injected: call.server_url.is_some(),
            server_url: call.server_url.unwrap_or_default(),
            arguments_json: call.arguments,
            invocation_error: call.not_run,
            created_at,
        });
    }
    let mut thoughts = Vec::with_capacity(heard.thoughts.len());
    for thought in std::mem::take(&mut heard.thoughts) {
        bytes += size_of::<ModelThought>() + thought.content.len();
        thoughts.push(ModelThought {
            id: id(),
            interception_id: interception_id.clone(),
            content: thought.content,
            source: thought.source.to_owned(),
            created_at,
        });
    }
    let end = InterceptionEnd {
        interception_id,
        ended_at: created_at,
        status: i32::from(status),
    };
    let records = Records::Ended {
        end,
        tokens,
        tools,
        thoughts,
    };
    (records, bytes)
}

fn id() -> String {
    Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use tandem_chassis::metrics::Registry;

    use super::*;

    fn begin(recorder: &Recorder) -> Result<Recording, Full> {
        let begun = recorder.begin(Uuid::now_v7(), Interception::default(), None);
        begun.map(|recording| recording.expect("it is on"))
    }

    fn end(recording: Recording) {
        recording.end(OffsetDateTime::UNIX_EPOCH, 200, None, &mut Heard::default());
    }

    /// Beginnings and ends that have come.
    fn come(queue: &mut mpsc::Receiver<Entry>) -> (usize, usize) {
        let (mut starts, mut ends) = (0, 0);
        while let Ok(Entry::Records(records, _)) = queue.try_recv() {
            match *records {
                Records::Began { .. } => starts += 1,
                Records::Ended { .. } => ends += 1,
            }
        }
        (starts, ends)
    }

    #[test]
    fn what_begins_can_end_and_what_has_no_room_for_both_does_not_begin() {
        let (recorder, mut queue) = Recorder::over(5, Metrics::new(&Registry::default()));
        let (one, two) = (begin(&recorder).unwrap(), begin(&recorder).unwrap());
        assert!(
            matches!(begin(&recorder), Err(Full)),
            "one place is left, for a beginning without an end"
        );
        end(one);
        end(two);
        assert_eq!(come(&mut queue), (2, 2));
        let one = begin(&recorder).unwrap();
        assert_eq!(come(&mut queue), (1, 0));
        end(one);
        assert_eq!(come(&mut queue), (0, 1));
    }

    #[test]
    fn while_too_much_is_held_nothing_begins_and_ends_come_without_texts() {
        let (recorder, mut queue) = Recorder::over(8, Metrics::new(&Registry::default()));
        let running = begin(&recorder).unwrap();
        let held = Arc::clone(&recorder.0.as_ref().unwrap().held);
        let room = MAX_HELD_BYTES - held.load(Ordering::Relaxed);
        let large = Held::new(&held, room);
        let second = begin(&recorder).expect("just as much as may be");
        assert!(matches!(begin(&recorder), Err(Full)));
        let mut heard = Heard::new(super::super::sniff::Keep::Texts);
        heard.thought(0, "thinking", Some("Hm."));
        second.end(OffsetDateTime::UNIX_EPOCH, 200, None, &mut heard);
        drop(large);
        end(running);
        let mut thoughts = 0;
        while let Ok(Entry::Records(records, _)) = queue.try_recv() {
            if let Records::Ended { thoughts: told, .. } = *records {
                thoughts += told.len();
            }
        }
        assert_eq!(thoughts, 0);
        assert!(begin(&recorder).is_ok());
    }
}
