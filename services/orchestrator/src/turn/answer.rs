//! What a completion has said so far, assembled from its events: the parts to be stored and, beside them, the deltas to be shown.

use prost_types::Timestamp;
use tandem_proto::common::v1::part::Kind;
use tandem_proto::common::v1::{
    LivePart, MessageVisibility, ModelConfig, Part, ReasoningPart, Role, TextPart, Usage, live_part::Content,
};
use tandem_proto::provider::v1::completion_event::Event;
use tandem_proto::provider::v1::{CompletionFinished, FinishReason};
use tandem_proto::storage::v1::NewMessage;

use super::Call;

/// An answer in the making.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    parts: Vec<Part>,
    usage: Option<Usage>,
    cost_micros: Option<i64>,
    provider_response_id: String,
    /// The model that answers; empty until it is known.
    model_config_id: String,
    pub(crate) finish_reason: FinishReason,
    pub(crate) runtime: std::time::Duration,
}

impl Answer {
    /// Takes an event in; returns what readers should see of it. The same events always give the same live parts, so that a place in
    /// the log survives a takeover.
    pub(crate) fn apply(&mut self, event: Event, now: Timestamp) -> Option<LivePart> {
        let content = match event {
            Event::Started(started) => {
                self.model_config_id = started.model_config_id;
                return None;
            }
            Event::Failed(_) => return None,
            Event::TextDelta(delta) => {
                if let Some(Kind::Text(open)) = self.open() {
                    open.text.push_str(&delta);
                } else {
                    self.push(Kind::Text(TextPart { text: delta.clone() }));
                }
                Content::TextDelta(delta)
            }
            Event::ReasoningDelta(delta) => {
                if let Some(Kind::Reasoning(open)) = self.open()
                    && open.completed_at.is_none()
                {
                    open.text.push_str(&delta);
                } else {
                    let open = ReasoningPart {
                        text: delta.clone(),
                        created_at: Some(now),
                        ..ReasoningPart::default()
                    };
                    self.push(Kind::Reasoning(open));
                }
                Content::ReasoningDelta(delta)
            }
            Event::ReasoningDone(done) => {
                self.close_reasoning(&done, now);
                return None;
            }
            Event::ToolCallDelta(delta) => Content::ToolCallDelta(delta),
            Event::Part(part) => {
                self.parts.push(part.clone());
                Content::Part(part)
            }
            Event::Finished(finished) => {
                self.finish(finished, now);
                return None;
            }
        };
        Some(LivePart {
            role: Role::Assistant.into(),
            content: Some(content),
            created_at: Some(now),
        })
    }

    /// Calls that are ours to run, in order.
    pub(crate) fn local_calls(&self) -> Vec<Call> {
        local_calls(&self.parts)
    }

    /// Whether there is anything worth storing.
    pub(crate) fn is_empty(&self) -> bool {
        !self.parts.iter().any(|part| match &part.kind {
            Some(Kind::Text(text)) => !text.text.trim().is_empty(),
            Some(_) => true,
            None => false,
        })
    }

    /// The message to store, as one of the model that has answered: `model`, which was asked, or one in its place.
    pub(crate) fn into_message(self, model: &ModelConfig) -> NewMessage {
        let usage = self.usage.map(|usage| Usage {
            context_limit: usage
                .context_limit
                .or(Some(model.context_limit))
                .filter(|limit| *limit > 0),
            ..usage
        });
        let model_config_id = if self.model_config_id.is_empty() {
            model.id.clone()
        } else {
            self.model_config_id
        };
        NewMessage {
            role: Role::Assistant.into(),
            parts: self.parts,
            usage,
            visibility: MessageVisibility::Both.into(),
            provider_response_id: self.provider_response_id,
            model_config_id,
            cost_micros: self.cost_micros,
            runtime: prost_types::Duration::try_from(self.runtime).ok(),
            is_compressed: false,
        }
    }

    /// The words of the answer, trimmed.
    pub(crate) fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match &part.kind {
            Some(Kind::Text(text)) => Some(text.text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().concat().trim().to_owned()
    }

    /// What is kept of an answer that was cut off: finished parts, with open reasoning closed at the time of the cut.
    pub(crate) fn into_partial(mut self, model: &ModelConfig, now: Timestamp) -> Option<NewMessage> {
        self.close_open_reasoning(now);
        (!self.is_empty()).then(|| self.into_message(model))
    }

    fn open(&mut self) -> Option<&mut Kind> {
        self.parts.last_mut().and_then(|part| part.kind.as_mut())
    }

    fn push(&mut self, kind: Kind) {
        self.parts.push(Part {
            kind: Some(kind),
            provider_metadata_json: String::new(),
        });
    }

    fn close_reasoning(&mut self, done: &Part, now: Timestamp) {
        let open = self
            .parts
            .iter_mut()
            .rev()
            .find(|part| matches!(part.kind, Some(Kind::Reasoning(_))));
        let Some(Part {
            kind: Some(Kind::Reasoning(open)),
            provider_metadata_json,
        }) = open
        else {
            return;
        };
        open.completed_at = Some(now);
        provider_metadata_json.clone_from(&done.provider_metadata_json);
        if let Some(Kind::Reasoning(done)) = &done.kind {
            open.signature.clone_from(&done.signature);
        }
    }

    fn close_open_reasoning(&mut self, now: Timestamp) {
        for part in &mut self.parts {
            if let Some(Kind::Reasoning(reasoning)) = &mut part.kind
                && reasoning.completed_at.is_none()
            {
                reasoning.completed_at = Some(now);
            }
        }
    }

    fn finish(&mut self, finished: CompletionFinished, now: Timestamp) {
        self.finish_reason = finished.reason();
        self.usage = finished.usage;
        self.cost_micros = finished.cost_micros;
        self.provider_response_id = finished.provider_response_id;
        self.close_open_reasoning(now);
    }
}

/// Calls among `parts` that the vendor does not run itself, in order.
pub(crate) fn local_calls(parts: &[Part]) -> Vec<Call> {
    parts
        .iter()
        .filter_map(|part| match &part.kind {
            Some(Kind::ToolCall(call)) if !call.provider_executed => Some(Call {
                id: call.tool_call_id.clone(),
                tool_name: call.tool_name.clone(),
                arguments_json: call.arguments_json.clone(),
                invalid_arguments: invalid_arguments(&part.provider_metadata_json),
            }),
            _ => None,
        })
        .collect()
}

/// Provider-gateway leaves here what the model sent in place of a JSON object.
fn invalid_arguments(provider_metadata_json: &str) -> Option<String> {
    if provider_metadata_json.is_empty() {
        return None;
    }
    let metadata: serde_json::Value = serde_json::from_str(provider_metadata_json).ok()?;
    metadata.get("invalid_arguments")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
