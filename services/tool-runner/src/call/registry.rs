//! The calls that are running, by chat and call id.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, Stream};
use tandem_chassis::identity::User;
use tandem_chassis::lifecycle::OnEnd;
use tandem_chassis::status::Fault;
use tandem_proto::tool::v1::CallToolResponse;
use tandem_proto::tool::v1::call_tool_response::Event;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::digest;
use super::task::{End, Input, Shared, run};

/// Calls at once; more are refused.
const MAX_RUNNING: usize = 10_000;

/// Most live output of one call, in bytes. The result is bounded by itself.
const MAX_LIVE_BYTES: usize = 256 * 1024;

/// Most live output in one message, in bytes.
const MAX_DELTA_BYTES: usize = 32 * 1024;

const LIVE_CUT: &str = "\n... [further live output is not shown]\n";

type Key = (String, String);

/// All running calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Registry {
    shared: Arc<Shared>,
    running: Arc<Mutex<HashMap<Key, Arc<Call>>>>,
}

/// A running call: what it printed so far, and how it ended.
pub(crate) struct Call {
    pub(crate) input: Input,
    /// Of the arguments.
    pub(super) digest: Vec<u8>,
    pub(crate) cancelled: CancellationToken,
    live: Mutex<String>,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Default)]
struct Progress {
    printed: usize,
    end: Option<Result<End, Fault>>,
}

impl Registry {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: Arc::default(),
        }
    }

    /// The running call of that id, or a new one.
    ///
    /// # Errors
    /// The id is taken by other arguments or another user, or too much is running.
    pub(crate) fn open(&self, input: Input) -> Result<Arc<Call>, Status> {
        let key = (input.chat_id.clone(), input.tool_call_id.clone());
        let digest = digest::of(&input.arguments_json);
        let mut running = self.lock();
        if let Some(call) = running.get(&key) {
            return call
                .join(&input, &digest)
                .map(|()| Arc::clone(call))
                .map_err(Status::from);
        }
        if running.len() >= MAX_RUNNING {
            return Err(Fault::unavailable("OVERLOADED", "too many tool calls are running").into());
        }
        let call = Arc::new(Call {
            input,
            digest,
            cancelled: CancellationToken::new(),
            live: Mutex::default(),
            progress: watch::Sender::default(),
        });
        running.insert(key.clone(), Arc::clone(&call));
        drop(running);
        let entry = Entry {
            registry: self.clone(),
            key,
            call: Arc::clone(&call),
        };
        self.shared.tasks.spawn("tool call", OnEnd::Expected, async move {
            let metrics = &entry.registry.shared.metrics;
            let (running, begun) = (metrics.call_running(), std::time::Instant::now());
            let end = run(&entry.registry.shared, &entry.call).await;
            metrics.call_ended(&entry.call.input.tool_name, end.as_ref().ok(), begun.elapsed());
            drop(running);
            entry.leave(end.map_err(Fault::from));
        });
        Ok(call)
    }

    /// Asks a call to stop. `false` when it does not run here for this user.
    pub(crate) fn cancel(&self, user: &User, chat_id: &str, tool_call_id: &str) -> bool {
        let key = (chat_id.to_owned(), tool_call_id.to_owned());
        let running = self.lock();
        let Some(call) = running.get(&key).filter(|call| call.input.user.id == user.id) else {
            return false;
        };
        call.cancelled.cancel();
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Call>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call's place among the running ones. It leaves with its task, however that ends.
struct Entry {
    registry: Registry,
    key: Key,
    call: Arc<Call>,
}

impl Entry {
    /// Whoever hears of the end may ask for the call again, and must not find this one: a person may have allowed it meanwhile.
    fn leave(&self, end: Result<End, Fault>) {
        let mut running = self.registry.lock();
        if running.get(&self.key).is_some_and(|call| Arc::ptr_eq(call, &self.call)) {
            running.remove(&self.key);
        }
        drop(running);
        self.call.end(end);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.leave(Err(Fault::internal(
            "CALL_LOST",
            "the call's task ended without an outcome",
        )));
    }
}

impl Call {
    fn join(&self, input: &Input, digest: &[u8]) -> Result<(), Fault> {
        if self.input.user.id != input.user.id {
            return Err(Fault::not_found("CHAT_NOT_FOUND", "there is no such chat"));
        }
        if self.input.tool_name != input.tool_name || self.digest != digest {
            return Err(Fault::conflict(
                "INPUT_MISMATCH",
                "the call id is taken by a call with another input",
            ));
        }
        Ok(())
    }

    /// Shows live output to whoever follows the call.
    pub(crate) fn print(&self, text: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if text.is_empty() || live.len() >= MAX_LIVE_BYTES {
            return;
        }
        let room = text.floor_char_boundary((MAX_LIVE_BYTES - live.len()).min(text.len()));
        live.push_str(&text[..room]);
        if room < text.len() {
            live.push_str(LIVE_CUT);
            let filling = MAX_LIVE_BYTES.saturating_sub(live.len());
            live.extend(std::iter::repeat_n(' ', filling));
        }
        let printed = live.len();
        self.progress.send_modify(|progress| progress.printed = printed);
    }

    /// The first end stays.
    fn end(&self, end: Result<End, Fault>) {
        self.progress.send_if_modified(|progress| {
            let is_first = progress.end.is_none();
            if is_first {
                progress.end = Some(end);
            }
            is_first
        });
    }

    /// Live output from the beginning, then how it ended.
    pub(crate) fn follow(self: Arc<Self>) -> impl Stream<Item = Result<CallToolResponse, Status>> + Send + 'static {
        let progress = self.progress.subscribe();
        stream::unfold(Some((self, progress, 0_usize)), |state| async move {
            let (call, mut progress, position) = state?;
            let event = {
                let ready = pin!(progress.wait_for(|now| now.printed > position || now.end.is_some()));
                // The sender lives in the call, which is held here.
                ready.await.ok().map(|now| now.clone())?
            };
            if event.printed > position {
                let delta = call.printed_since(position);
                let next = position + delta.len();
                return Some((Ok(response(Event::OutputDelta(delta))), Some((call, progress, next))));
            }
            let last = event.end?.map(|end| response(end.into())).map_err(Status::from);
            Some((last, None))
        })
    }

    fn printed_since(&self, position: usize) -> String {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = &live[position..];
        rest[..rest.floor_char_boundary(MAX_DELTA_BYTES.min(rest.len()))].to_owned()
    }
}

fn response(event: Event) -> CallToolResponse {
    CallToolResponse { event: Some(event) }
}
