//! The rounds of an exchange that goes through the neutral request. Each is a completion of its own, with all that belongs to one:
//! spend limit, breaker, keys, guards, and its own place in the ledger.

use std::{future::ready, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;
use tandem_chat_core::{
    error::ChatError,
    id::CompletionId,
    message::{Message, Role, Usage},
    part::{Part, ProviderMetadata, ToolCallPart, ToolResultPart},
};
use tandem_protocols::{
    Protocol,
    call::{FinishReason, Request, ToolChoice},
};
use uuid::Uuid;

use super::{Call, Done, Offer, budget::Budget};
use crate::{
    bridge::{Parts, directory, sniff::Heard},
    catalog::Model,
    completion::{Event, Failed, Finished, buffer::Reader, registry::Completion},
    meter,
    spend::Payer,
};

/// What is needed to ask once more.
pub(in crate::bridge) struct Asking {
    pub(in crate::bridge) parts: Arc<Parts>,
    /// The first request, with the tools in it.
    pub(in crate::bridge) request: Request,
    pub(in crate::bridge) payer: Option<Payer>,
    pub(in crate::bridge) model: Arc<Model>,
    pub(in crate::bridge) protocol: Protocol,
}

impl Asking {
    /// Asks, under another id than before, when what was set aside before is not in the way.
    ///
    /// # Errors
    /// There is no room for it, or the service stops.
    pub(in crate::bridge) async fn again(&mut self) -> Result<(Arc<Completion>, Reader), Box<Failed>> {
        self.parts.ledger.settled(self.payer, &self.model).await;
        self.request.id = CompletionId::new(Uuid::now_v7());
        let (request, model) = (self.request.clone(), Arc::clone(&self.model));
        let started = self.parts.runner.start(request, self.payer, model, self.protocol);
        let completion = started.map_err(|error| failed(directory::refusal(error).message))?;
        let reader = completion.buffer.read(None);
        let reader = reader.ok_or_else(|| failed("The answer is not held any more."))?;
        Ok((completion, reader))
    }
}

/// The rounds so far.
pub(in crate::bridge) struct Rounds {
    offer: Arc<Offer>,
    is_later: bool,
    is_last: bool,
    /// Of all rounds.
    usage: Usage,
    /// What the model said in this one.
    said: Vec<Part>,
    calls: Vec<ToolCallPart>,
    /// Calls of the client's own tools.
    shown_calls: usize,
    state: State,
}

enum State {
    Asked(Box<(Asking, Budget)>),
    Running(BoxFuture<'static, Ran>),
    /// Tools have run, and the model is asked.
    Asking(BoxFuture<'static, Began>),
    /// It cannot be asked again.
    Over,
}

/// What came of the tools, and how the model is asked then.
type Ran = (Vec<Done>, BoxFuture<'static, Began>);

type Began = Result<Next, Box<Failed>>;

/// A round that has begun.
struct Next {
    asking: Asking,
    budget: Budget,
    /// The model may call nothing in it.
    is_last: bool,
    completion: Arc<Completion>,
    reader: Reader,
}

impl Rounds {
    /// Rounds of which the first has begun.
    pub(in crate::bridge) fn new(asking: Asking, offer: Offer) -> Self {
        Self {
            offer: Arc::new(offer),
            is_later: false,
            is_last: false,
            usage: Usage::default(),
            said: Vec::new(),
            calls: Vec::new(),
            shown_calls: 0,
            state: State::Asked(Box::new((asking, Budget::new()))),
        }
    }

    /// The request without our tools; `None` once they have been used.
    pub(in crate::bridge) fn without_tools(self) -> Option<Asking> {
        let State::Asked(asked) = self.state else { return None };
        let (mut asking, _) = *asked;
        asking
            .request
            .tools
            .retain(|tool| self.offer.find(&tool.name).is_none());
        Some(asking).filter(|_| !self.is_later)
    }

    /// Whether tools run, or have run.
    pub(in crate::bridge) fn has_gone_on(&self) -> bool {
        self.is_later || self.is_between()
    }

    /// Whether the next round has yet to begin: [`Rounds::next`] is to be waited for.
    pub(in crate::bridge) fn is_between(&self) -> bool {
        matches!(self.state, State::Running(_) | State::Asking(_))
    }

    /// Where the next round is read. Nothing is lost if it is not waited for to its end.
    ///
    /// # Errors
    /// It could not begin.
    pub(in crate::bridge) async fn next(
        &mut self,
        heard: &mut Heard,
    ) -> Result<(Arc<Completion>, Reader), Box<Failed>> {
        if let State::Running(running) = &mut self.state {
            let (done, asking) = running.await;
            // Whoever leaves from now on has had them run.
            self.offer.mark(heard, &done);
            self.state = State::Asking(asking);
        }
        let State::Asking(asking) = &mut self.state else {
            return Err(failed("The answer broke off."));
        };
        let began = asking.await;
        self.state = State::Over;
        let next = began?;
        self.is_last = next.is_last;
        self.state = State::Asked(Box::new((next.asking, next.budget)));
        self.is_later = true;
        Ok((next.completion, next.reader))
    }

    /// The exchange ends here, wherever it is.
    pub(in crate::bridge) fn leave(&self, heard: &mut Heard) {
        self.offer.mark(heard, &[]);
    }

    /// Takes in what happens; what of it the client sees.
    pub(in crate::bridge) fn take(&mut self, event: Arc<Event>, heard: &mut Heard) -> Option<Arc<Event>> {
        match &*event {
            Event::Started(_) => (!self.is_later).then_some(event),
            Event::TextDelta(text) => {
                match self.said.last_mut() {
                    Some(Part::Text(said)) => said.text.push_str(text),
                    _ => self.said.push(Part::text(text.as_str())),
                }
                Some(event)
            }
            Event::ReasoningDone(part) => {
                self.said.push(Part::Reasoning((**part).clone()));
                Some(event)
            }
            Event::ToolCallDelta(delta) => self.offer.find(&delta.tool_name).is_none().then_some(event),
            Event::Part(part) => {
                self.said.push((**part).clone());
                match &**part {
                    Part::ToolCall(call) if self.offer.find(&call.tool_name).is_some() => {
                        heard.whole_call(call);
                        self.calls.push(call.clone());
                        None
                    }
                    Part::ToolCall(call) => {
                        self.shown_calls += usize::from(!call.provider_executed);
                        Some(event)
                    }
                    _ => Some(event),
                }
            }
            Event::Finished(finished) => self.finished(finished, heard),
            Event::Failed(_) => {
                // What the rounds before have used is not forgotten.
                heard.usage = self.usage;
                self.offer.mark(heard, &[]);
                Some(event)
            }
            Event::ReasoningDelta(_) => Some(event),
        }
    }

    fn finished(&mut self, finished: &Finished, heard: &mut Heard) -> Option<Arc<Event>> {
        meter::add(&mut self.usage, &finished.usage);
        heard.usage = self.usage;
        let (said, calls) = (std::mem::take(&mut self.said), std::mem::take(&mut self.calls));
        // Where the program's own tools are called too, it goes on from there.
        let goes_on =
            !calls.is_empty() && self.shown_calls == 0 && !self.is_last && finished.reason == FinishReason::ToolCalls;
        if goes_on && let State::Asked(asked) = std::mem::replace(&mut self.state, State::Over) {
            let (asking, budget) = *asked;
            let running = run(asking, budget, Arc::clone(&self.offer), said, calls);
            self.state = State::Running(Box::pin(running));
            return None;
        }
        self.offer.mark(heard, &[]);
        let mut last = finished.clone();
        last.usage = self.usage;
        if last.reason == FinishReason::ToolCalls && self.shown_calls == 0 {
            last.reason = FinishReason::Stop;
        }
        Some(Arc::new(Event::Finished(Box::new(last))))
    }
}

/// Runs the calls of a round, so that the model can be asked with their results.
async fn run(
    mut asking: Asking,
    mut budget: Budget,
    offer: Arc<Offer>,
    said: Vec<Part>,
    calls: Vec<ToolCallPart>,
) -> Ran {
    let parts = Arc::clone(&asking.parts);
    let Some(injector) = &parts.injector else {
        return (Vec::new(), Box::pin(ready(Err(failed("The answer broke off.")))));
    };
    let asked = calls.iter().map(|call| Call {
        id: call.tool_call_id.as_str().to_owned(),
        name: call.tool_name.clone(),
        arguments: call.args.to_string(),
    });
    let done = budget.run(injector, &offer, asked.collect()).await;
    let results = calls.iter().zip(&done).map(|(call, (_, outcome))| {
        Part::ToolResult(ToolResultPart {
            tool_call_id: call.tool_call_id.clone(),
            tool_name: call.tool_name.clone(),
            result: Value::from(outcome.text.as_str()),
            is_error: outcome.is_error,
            is_media: false,
            provider_executed: false,
            mcp_server_config_id: None,
            created_at: None,
            provider_metadata: ProviderMetadata::new(),
        })
    });
    let results = Message::new(Role::Tool, results.collect());
    let request = &mut asking.request;
    request.messages.push(Message::new(Role::Assistant, said));
    request.messages.push(results);
    let is_last = !budget.has_more();
    if is_last {
        request.tool_choice = ToolChoice::None;
    }
    (done, Box::pin(begin(asking, budget, is_last)))
}

async fn begin(mut asking: Asking, budget: Budget, is_last: bool) -> Began {
    let (completion, reader) = asking.again().await?;
    Ok(Next {
        asking,
        budget,
        is_last,
        completion,
        reader,
    })
}

fn failed(message: impl Into<String>) -> Box<Failed> {
    Box::new(Failed {
        error: ChatError::generic(message),
        retry_after: Duration::ZERO,
        is_cancelled: false,
        is_context_exceeded: false,
    })
}
