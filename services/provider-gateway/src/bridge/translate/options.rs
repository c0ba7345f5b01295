//! What a client set, put beside what an administrator set for the model, in the words of the model's vendor.
//!
//! Owns which setting has which name for which kind of provider. A setting that the vendor's protocol has no field for is refused by
//! name, unless its value is what happens anyway. Where a protocol has the field but a model takes none of it (sampling, for models
//! that think), the protocol leaves it out as it does in chats.

use serde_json::{Map, Value, json};
use tandem_chat_core::part::Part;
use tandem_protocols::{
    Kind, Model, Protocol,
    output::{self, Beside},
    remote::Remote,
};

use super::{Asked, Effort, Refused, Thinking, asked::WantedOutput, read::elsewhere};

/// Budgets of thinking up to which an effort is low, or medium; for vendors that know no budgets.
const LOW_BUDGET: u64 = 4096;
const MEDIUM_BUDGET: u64 = 16_384;

/// What Gemini models may think with, where an effort was asked for: little, medium, much.
const GEMINI_BUDGETS: [u64; 3] = [1024, 8192, 24_576];

impl Asked {
    /// The call options for this request: the model's own with the client's in their place.
    ///
    /// # Errors
    /// [`Refused`] names the first field that the model's provider cannot be told.
    pub fn options(&self, model: &Model) -> Result<Map<String, Value>, Refused> {
        let kind = model.provider.kind;
        let mut options = model.options.clone();
        for (name, value) in &self.overrides {
            check_general(name, value, kind, Protocol::of(model))?;
            options.insert(name.clone(), value.clone());
        }
        if let Some(WantedOutput { field, format }) = &self.output
            && let Some(why) = output::refused(format, model, self.beside())
        {
            return Err(Refused::new(field, why));
        }
        self.check_files(kind, Protocol::of(model))?;
        let mut own = Own::take(&mut options, kind);
        own.think(self.effort, self.thinking, is_third_gemini(&model.model));
        own.say(self.verbosity)?;
        if self.is_serial {
            own.call_one_by_one();
        }
        if let Some(field) = &self.wants_search {
            own.check_search(field)?;
        }
        own.put_back(&mut options);
        Ok(options)
    }
}

impl Asked {
    /// What is asked for beside a form of the answer.
    fn beside(&self) -> Beside {
        let tries = self.effort.is_some_and(|effort| effort != Effort::None);
        Beside {
            has_tools: !self.tools.is_empty(),
            thinks: tries || matches!(self.thinking, Some(Thinking::Adaptive | Thinking::Budget(_))),
            searches: self.wants_search.is_some(),
        }
    }

    /// Refuses files elsewhere that the model's vendor does not fetch.
    fn check_files(&self, kind: Kind, protocol: Protocol) -> Result<(), Refused> {
        let parts = self.messages.iter().flat_map(|message| &message.parts);
        let files = parts.filter_map(|part| match part {
            Part::File(file) => Some((file, Remote::of(file)?)),
            _ => None,
        });
        let mut refused = files.filter(|(_, remote)| !remote.is_taken(protocol, kind));
        refused.next().map_or(Ok(()), |(file, _)| Err(elsewhere(&file.name)))
    }
}

/// Refuses a general option that a protocol has no field for.
fn check_general(name: &str, value: &Value, kind: Kind, protocol: Protocol) -> Result<(), Refused> {
    let is_openai = matches!(kind, Kind::OpenAi | Kind::Azure);
    let is_known = match (name, protocol) {
        (_, Protocol::Demo) | ("temperature" | "top_p", _) => true,
        ("top_k", Protocol::ChatCompletions) => !is_openai,
        ("top_k", Protocol::Responses) => false,
        ("presence_penalty" | "frequency_penalty", Protocol::Responses | Protocol::Messages | Protocol::Bedrock) => {
            value.as_f64() == Some(0.0)
        }
        ("stop_sequences", Protocol::Responses) => false,
        (_, Protocol::ChatCompletions | Protocol::Messages | Protocol::Bedrock | Protocol::Gemini) => true,
        (_, Protocol::Responses) => false,
    };
    let message = "This model's provider has no such setting. Leave it out.";
    is_known.then_some(()).ok_or_else(|| Refused::new(name, message))
}

/// Whether a model is one of those Gemini models that know levels.
fn is_third_gemini(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let version = name
        .strip_prefix("gemini-")
        .and_then(|rest| rest.split(['.', '-']).next());
    version
        .and_then(|version| version.parse::<u32>().ok())
        .is_some_and(|version| version >= 3)
}

/// The options of one vendor, taken out of all options.
struct Own {
    kind: Kind,
    name: &'static str,
    fields: Map<String, Value>,
}

impl Own {
    fn take(options: &mut Map<String, Value>, kind: Kind) -> Self {
        let name = match kind {
            Kind::OpenAi | Kind::Azure => "openai",
            Kind::Anthropic | Kind::Bedrock => "anthropic",
            Kind::Google => "google",
            Kind::OpenRouter => "openrouter",
            Kind::Vercel => "vercel",
            Kind::OpenAiCompat | Kind::Copilot | Kind::Demo => "openaicompat",
        };
        let all = options.get_mut("provider_options").and_then(Value::as_object_mut);
        let fields = match all.and_then(|all| all.remove(name)) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        Self { kind, name, fields }
    }

    fn put_back(self, options: &mut Map<String, Value>) {
        if self.fields.is_empty() {
            return;
        }
        let all = options.entry("provider_options").or_insert_with(|| json!({}));
        if !all.is_object() {
            *all = json!({});
        }
        all[self.name] = Value::Object(self.fields);
    }

    fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Takes an object out of the fields; an empty one where there is none.
    fn take_object(&mut self, name: &str) -> Map<String, Value> {
        match self.fields.remove(name) {
            Some(Value::Object(fields)) => fields,
            _ => Map::new(),
        }
    }

    /// How the model thinks. What nobody asks for stays as it was configured.
    fn think(&mut self, effort: Option<Effort>, thinking: Option<Thinking>, is_third: bool) {
        match self.kind {
            Kind::Demo => {}
            Kind::Anthropic | Kind::Bedrock => self.think_as_anthropic(effort, thinking),
            Kind::Google => self.think_as_google(effort, thinking, is_third),
            Kind::OpenRouter | Kind::Vercel => self.think_as_router(effort, thinking),
            Kind::OpenAi | Kind::Azure | Kind::OpenAiCompat | Kind::Copilot => {
                let word = match effort.or(thinking.and_then(effort_of)) {
                    None => return,
                    Some(Effort::Max) => Effort::XHigh.as_str(),
                    Some(effort) => effort.as_str(),
                };
                self.set("reasoning_effort", word);
            }
        }
    }

    fn think_as_anthropic(&mut self, effort: Option<Effort>, thinking: Option<Thinking>) {
        let word = match effort {
            None => None,
            Some(Effort::None) => None,
            Some(Effort::Minimal) => Some(Effort::Low.as_str()),
            Some(effort) => Some(effort.as_str()),
        };
        if effort == Some(Effort::None) || thinking == Some(Thinking::Off) {
            self.fields.remove("thinking");
            self.fields.remove("effort");
        }
        match thinking {
            Some(Thinking::Budget(tokens)) => self.set("thinking", json!({ "budget_tokens": tokens })),
            // What the vendor takes for granted where a model thinks as it sees fit.
            Some(Thinking::Adaptive) if word.is_none() => self.set("effort", Effort::High.as_str()),
            Some(Thinking::Adaptive | Thinking::Off) | None => {}
        }
        if let Some(word) = word {
            // Of two settings the vendor would take the budget.
            if !matches!(thinking, Some(Thinking::Budget(_))) {
                self.fields.remove("thinking");
            }
            self.set("effort", word);
        }
    }

    fn think_as_google(&mut self, effort: Option<Effort>, thinking: Option<Thinking>, is_third: bool) {
        let budget = match (effort, thinking) {
            (None, None | Some(Thinking::Adaptive)) => return,
            (None, Some(Thinking::Budget(tokens))) => tokens,
            (None, Some(Thinking::Off)) | (Some(Effort::None), _) => 0,
            (Some(Effort::Minimal | Effort::Low), _) => GEMINI_BUDGETS[0],
            (Some(Effort::Medium), _) => GEMINI_BUDGETS[1],
            (Some(Effort::High | Effort::XHigh | Effort::Max), _) => GEMINI_BUDGETS[2],
        };
        let mut config = self.take_object("thinking_config");
        config.remove("thinking_budget");
        config.remove("thinking_level");
        match effort.filter(|_| is_third) {
            Some(effort) => config.insert("thinking_level".to_owned(), effort.as_str().into()),
            None => config.insert("thinking_budget".to_owned(), budget.into()),
        };
        self.set("thinking_config", config);
    }

    fn think_as_router(&mut self, effort: Option<Effort>, thinking: Option<Thinking>) {
        let (field, value) = match (effort, thinking) {
            (None, None | Some(Thinking::Adaptive)) => return,
            (None, Some(Thinking::Budget(tokens))) => ("max_tokens", Value::from(tokens)),
            (None, Some(Thinking::Off)) | (Some(Effort::None), _) => ("enabled", Value::from(false)),
            (Some(Effort::Max), _) => ("effort", Value::from(Effort::XHigh.as_str())),
            (Some(effort), _) => ("effort", Value::from(effort.as_str())),
        };
        let mut reasoning = self.take_object("reasoning");
        for known in ["effort", "max_tokens", "enabled"] {
            reasoning.remove(known);
        }
        reasoning.insert(field.to_owned(), value);
        self.set("reasoning", reasoning);
    }

    /// How much the model says.
    fn say(&mut self, verbosity: Option<&'static str>) -> Result<(), Refused> {
        match (verbosity, self.kind) {
            (None, _) | (_, Kind::Demo) => Ok(()),
            (Some(word), Kind::OpenAi | Kind::Azure) => {
                self.set("text_verbosity", word);
                Ok(())
            }
            // What every model does by itself.
            (Some("medium"), _) => Ok(()),
            (Some(_), _) => Err(Refused::new(
                "verbosity",
                "This model's provider has no such setting. Leave it out, or say in the prompt how much you want to read.",
            )),
        }
    }

    /// Asks for one call at a time, where there is a field for it.
    fn call_one_by_one(&mut self) {
        match self.kind {
            Kind::Anthropic | Kind::Bedrock => self.set("disable_parallel_tool_use", true),
            Kind::OpenAi | Kind::Azure | Kind::OpenAiCompat | Kind::OpenRouter | Kind::Vercel | Kind::Copilot => {
                self.set("parallel_tool_calls", false);
            }
            Kind::Google | Kind::Demo => {}
        }
    }

    /// The vendor's search is the administrator's to switch on.
    fn check_search(&self, field: &str) -> Result<(), Refused> {
        let searches = self
            .fields
            .get("web_search_enabled")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let message = "This model does not search the web. Leave the tool out, or ask an administrator to switch the model's web search on.";
        searches.then_some(()).ok_or_else(|| Refused::new(field, message))
    }
}

/// The effort that comes nearest; `None` where there is none to choose.
fn effort_of(thinking: Thinking) -> Option<Effort> {
    match thinking {
        Thinking::Off | Thinking::Adaptive => None,
        Thinking::Budget(..LOW_BUDGET) => Some(Effort::Low),
        Thinking::Budget(LOW_BUDGET..MEDIUM_BUDGET) => Some(Effort::Medium),
        Thinking::Budget(_) => Some(Effort::High),
    }
}

#[cfg(test)]
mod tests;
