//! Forms of answers that no vendor enforces: a tool that nobody but the model sees takes the answer.
//!
//! The request offers one tool more, whose input is the form, and leaves the model no choice but to call a tool. The arguments of that call
//! are the answer's text, as they come. Protocols see a request like any other, and callers an answer like any other. Who is asked in this
//! way is [`output`]'s to know.
//!
//! What the model says beside the call is left out, since programs parse all of the text; it is paid for like everything else. Of several
//! calls of the form the first one counts. Where the caller's own tools are called as well, both are handed on: the text is of the form,
//! and the caller goes on with the calls. How well the arguments keep to the schema is the model's doing, as with any tool; that they are one
//! JSON object is made sure of at the end.

use std::{collections::VecDeque, iter, sync::Arc};

use futures::{StreamExt as _, stream};
use serde_json::{Map, Value};
use tandem_chat_core::{
    error::ErrorKind,
    id::ToolCallId,
    part::{Part, ReasoningPart, ToolCallPart},
};

use crate::{
    Call, Delta, Deltas, Failure, Finish, Model, Protocol,
    call::{FinishReason, OutputFormat, OutputSchema, Request, Tool, ToolCallDelta, ToolChoice},
    output::{self, Keeper},
    tool_call,
};

/// What the tool is called where a caller names no schema.
const NAME: &str = "answer";

/// Longest name of a tool.
const MAX_NAME_BYTES: usize = 64;

/// What the model is told of the tool.
const DESCRIPTION: &str = "Takes your answer. When you know the answer, call this once, with the whole answer as the input, in place of writing text.";

/// What vendors leave out at the top of a tool's input, so that nobody would keep to it.
const LEFT_OUT_AT_TOP: [&str; 6] = ["anyOf", "oneOf", "allOf", "$ref", "enum", "const"];

/// Said of an answer without the form.
const NOT_GIVEN: &str = "the model did not answer in the form that was asked for";

/// Said of an answer that broke the form.
const BROKEN: &str = "the model's answer is no JSON object, or too long for one";

/// Whether everything that a schema says can be said of a tool's input, which is an object.
pub(crate) fn is_input(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return false };
    let is_object = match fields.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
    };
    is_object && !LEFT_OUT_AT_TOP.iter().any(|word| fields.contains_key(*word))
}

/// The call as its protocol shall send it, and the form that its answer is then to be [told](Form::told) in; `None` where the vendor
/// sees to the form, or none is asked for.
///
/// # Errors
/// Nobody keeps this model to the form.
pub(crate) fn prepared(protocol: Protocol, call: Call) -> Result<(Call, Option<Form>), Failure> {
    let Some(format) = &call.request.output else {
        return Ok((call, None));
    };
    match output::keeper(protocol, format, &call.model, !call.request.tools.is_empty()) {
        Keeper::Vendor => Ok((call, None)),
        Keeper::Nobody(why) => Err(Failure::known(ErrorKind::Config, why)),
        Keeper::Tool => {
            let (request, form) = asked(&call.request, format);
            let prepared = Call {
                request: Arc::new(request),
                model: without_search(&call.model),
                key: call.key,
            };
            Ok((prepared, Some(form)))
        }
    }
}

/// The request with the form as a tool. Where the caller wants its own tools called, that comes first, and nothing is answered yet.
fn asked(request: &Request, format: &OutputFormat) -> (Request, Form) {
    let mut request = Request {
        output: None,
        ..request.clone()
    };
    let is_answered = matches!(request.tool_choice, ToolChoice::Auto | ToolChoice::None);
    let name = is_answered.then(|| {
        let tool = tool(format, &request.tools);
        let name = tool.name.clone();
        let may_call_others = request.tool_choice == ToolChoice::Auto && !request.tools.is_empty();
        request.tool_choice = match may_call_others {
            true => ToolChoice::Required,
            false => ToolChoice::Named(name.clone()),
        };
        // Behind the others, so that vendors' caches of them hold.
        request.tools.push(tool);
        name
    });
    (request, Form::new(name))
}

/// The tool that takes the answer, under a name that none of `others` has.
fn tool(format: &OutputFormat, others: &[Tool]) -> Tool {
    let (wanted, description, input_schema) = match format {
        OutputFormat::Json => (NAME, "", opened(Map::new())),
        OutputFormat::Schema(OutputSchema {
            name,
            description,
            schema,
            is_strict: _,
        }) => {
            let fields = schema.as_object().cloned().unwrap_or_default();
            (name.as_str(), description.as_str(), opened(fields))
        }
    };
    let is_taken = |name: &String| others.iter().any(|other| other.name == *name);
    let mut names = iter::once(wanted.to_owned()).chain((2_u32..).map(|count| numbered(wanted, count)));
    Tool {
        // There are more numbers than tools.
        name: names.find(|name| !is_taken(name)).unwrap_or_default(),
        description: match description {
            "" => DESCRIPTION.to_owned(),
            told => format!("{DESCRIPTION}\n\n{told}"),
        },
        input_schema,
        computer: None,
    }
}

/// The schema of an input. An object of which nothing is said may have any fields; to some vendors it has none unless that is said.
fn opened(mut fields: Map<String, Value>) -> Value {
    fields.insert("type".to_owned(), "object".into());
    if !fields.contains_key("properties") {
        fields.entry("additionalProperties").or_insert(Value::Bool(true));
    }
    Value::Object(fields)
}

fn numbered(name: &str, count: u32) -> String {
    let suffix = format!("_{count}");
    let kept = name.floor_char_boundary(MAX_NAME_BYTES - suffix.len());
    format!("{}{suffix}", &name[..kept])
}

/// The model without the vendor's search of the web: a model that must call a tool could call that one, and answer nothing.
fn without_search(model: &Arc<Model>) -> Arc<Model> {
    let mut silent = Model::clone(model);
    let all = silent.options.get_mut("provider_options");
    let own = all.and_then(|all| all.get_mut("anthropic")?.as_object_mut());
    match own.and_then(|own| own.remove("web_search_enabled")) {
        Some(_) => Arc::new(silent),
        None => Arc::clone(model),
    }
}

/// A form that a tool takes, while its answer comes.
#[derive(Debug)]
pub(crate) struct Form {
    /// The tool's name; `None` where the caller's own tools are to be called.
    tool: Option<String>,
    /// The call that is the answer.
    call: Option<ToolCallId>,
    /// Something of it has been told.
    is_told: bool,
    /// The whole answer, where it came without pieces.
    whole: Option<Value>,
    is_broken: bool,
    /// The caller's own tools were called.
    has_calls: bool,
}

/// An answer that is told in its form.
struct Telling {
    form: Form,
    deltas: Deltas,
    ready: VecDeque<Result<Delta, Failure>>,
}

impl Form {
    fn new(tool: Option<String>) -> Self {
        Self {
            tool,
            call: None,
            is_told: false,
            whole: None,
            is_broken: false,
            has_calls: false,
        }
    }

    /// The answer with the form as its text.
    pub(crate) fn told(self, deltas: Deltas) -> Deltas {
        let telling = Telling {
            form: self,
            deltas,
            ready: VecDeque::new(),
        };
        let next = |mut telling: Telling| async move {
            let next = telling.next().await?;
            Some((next, telling))
        };
        stream::unfold(telling, next).boxed()
    }

    /// What an increment is to the caller: nothing, itself, or text.
    fn take(&mut self, delta: Delta, told: &mut VecDeque<Result<Delta, Failure>>) {
        match delta {
            Delta::ToolCall(piece) if self.is_form(&piece.tool_name) => {
                told.extend(self.piece(piece).map(Ok));
            }
            Delta::Part(Part::ToolCall(call)) if !call.provider_executed => {
                if self.is_form(&call.tool_name) {
                    self.end(call);
                } else {
                    self.has_calls = true;
                    told.push_back(Ok(Delta::Part(Part::ToolCall(call))));
                }
            }
            // Words, and what becomes words at the caller, would be in the way of whoever parses the text.
            Delta::Text(_) | Delta::Part(Part::Text(_) | Part::File(_) | Part::Source(_)) => {}
            // What proves thinking proves what was said behind it, which the caller does not get as it was.
            Delta::ReasoningDone(part) => {
                let unproved = ReasoningPart {
                    signature: String::new(),
                    provider_metadata: Default::default(),
                    ..part
                };
                told.push_back(Ok(Delta::ReasoningDone(unproved)));
            }
            Delta::Finish(finish) => self.finish(finish, told),
            other @ (Delta::Reasoning(_) | Delta::ToolCall(_) | Delta::Part(_) | Delta::Spent(_) | Delta::Resumed) => {
                told.push_back(Ok(other))
            }
        }
    }

    fn is_form(&self, tool: &str) -> bool {
        self.tool.as_deref() == Some(tool)
    }

    /// Whether a call is the answer: the first one of the form.
    fn is_answer(&mut self, call: &ToolCallId) -> bool {
        self.call.get_or_insert_with(|| call.clone()) == call
    }

    /// More of the answer. Its beginning is told even if it is empty, so that nobody takes a model that thinks of the first word for one
    /// that is away.
    fn piece(&mut self, piece: ToolCallDelta) -> Option<Delta> {
        let is_first = self.call.is_none();
        if !self.is_answer(&piece.tool_call_id) {
            return None;
        }
        self.is_told |= !piece.arguments.trim().is_empty();
        (is_first || !piece.arguments.is_empty()).then_some(Delta::Text(piece.arguments))
    }

    /// A call of the form is over.
    fn end(&mut self, call: ToolCallPart) {
        if self.is_answer(&call.tool_call_id) {
            self.is_broken = tool_call::is_invalid(&call);
            self.whole = Some(call.args).filter(|_| !self.is_told && !self.is_broken);
        }
    }

    fn finish(&mut self, finish: Finish, told: &mut VecDeque<Result<Delta, Failure>>) {
        let reason = match finish.reason {
            // The caller gets what came and is told why that is not all.
            FinishReason::Length | FinishReason::ContentFilter => finish.reason,
            FinishReason::Stop | FinishReason::ToolCalls => {
                let trouble = match &self.call {
                    Some(_) if self.is_broken => Some(BROKEN),
                    None if !self.has_calls => Some(NOT_GIVEN),
                    Some(_) | None => None,
                };
                if let Some(trouble) = trouble {
                    // All of it was said, if for nothing.
                    told.push_back(Ok(Delta::Spent(finish.usage)));
                    told.push_back(Err(Failure::known(ErrorKind::Generic, trouble)));
                    return;
                }
                told.extend(self.whole.take().map(|whole| Ok(Delta::Text(whole.to_string()))));
                match self.has_calls {
                    true => finish.reason,
                    false => FinishReason::Stop,
                }
            }
        };
        told.push_back(Ok(Delta::Finish(Finish { reason, ..finish })));
    }
}

impl Telling {
    async fn next(&mut self) -> Option<Result<Delta, Failure>> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            match self.deltas.next().await? {
                Ok(delta) => self.form.take(delta, &mut self.ready),
                Err(failure) => return Some(Err(failure)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
