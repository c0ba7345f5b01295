//! How many tokens a completion may come to, before it is known.
//!
//! Four bytes to a token: near enough for English and code, and too many rather than too few for most of the rest. Vendors count what was
//! really used; that settles the matter.

use prost::Message as _;
use serde_json::{Map, Value};
use tandem_chat_core::{message::Usage, part::Part, wire};
use tandem_protocols::{call::Request, remote::Remote};

use super::{Order, Prompt};
use crate::{catalog::Model, meter};

const BYTES_PER_TOKEN: usize = 4;

/// What a picture or document comes to at most, whatever its bytes say.
const MAX_FILE_TOKENS: usize = 20_000;

/// What an answer is assumed to come to where nothing bounds it.
const DEFAULT_OUTPUT_TOKENS: i64 = 4_096;

/// Options that bound an answer.
const OUTPUT_LIMITS: [&str; 2] = ["max_output_tokens", "max_completion_tokens"];

/// Tokens of the prompt.
pub fn input_tokens(order: &Order<'_>) -> i64 {
    match order.prompt {
        Prompt::Neutral(request) => request_tokens(request),
        Prompt::Bytes(bytes) => i64::try_from(bytes / BYTES_PER_TOKEN).unwrap_or(i64::MAX),
    }
}

fn request_tokens(request: &Request) -> i64 {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let said: usize = parts.map(part_tokens).sum();
    let tools: usize = request
        .tools
        .iter()
        .map(|tool| (tool.name.len() + tool.description.len() + tool.input_schema.to_string().len()) / BYTES_PER_TOKEN)
        .sum();
    i64::try_from(said + tools).unwrap_or(i64::MAX)
}

/// Tokens of so much of an answer.
pub fn output_tokens(bytes: u64) -> i64 {
    i64::try_from(bytes.div_ceil(BYTES_PER_TOKEN as u64)).unwrap_or(i64::MAX)
}

/// What a completion may cost at most, at least a millionth of a dollar: one without a price counts as the least there is.
pub fn cost_usd_micros(order: &Order<'_>, model: &Model) -> i64 {
    let usage = Usage {
        input_tokens: Some(input_tokens(order)),
        output_tokens: Some(max_output_tokens(order, model)),
        ..Usage::default()
    };
    meter::cost_usd_micros(&model.options, &usage).unwrap_or(1).max(1)
}

fn part_tokens(part: &Part) -> usize {
    match part {
        Part::Text(text) => text.text.len() / BYTES_PER_TOKEN,
        // What is behind an address is only known to the vendor, who fetches it.
        Part::File(file) if Remote::of(file).is_some() => MAX_FILE_TOKENS,
        Part::File(file) => (file.data.len() / BYTES_PER_TOKEN).min(MAX_FILE_TOKENS),
        _ => wire::part_to_wire(part).encoded_len() / BYTES_PER_TOKEN,
    }
}

fn max_output_tokens(order: &Order<'_>, model: &Model) -> i64 {
    let asked = order.max_output_tokens.map(i64::from);
    let configured = asked.or_else(|| configured_output_tokens(&model.options));
    let window = model.context_limit.unwrap_or(i64::MAX);
    configured.unwrap_or(DEFAULT_OUTPUT_TOKENS).min(window)
}

fn configured_output_tokens(options: &Map<String, Value>) -> Option<i64> {
    let limits = OUTPUT_LIMITS.iter().filter_map(|name| options.get(*name));
    limits.filter_map(Value::as_i64).find(|limit| *limit > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_chat_core::{
        id::{CompletionId, ModelConfigId},
        message::{Message, Role},
        part::FilePart,
    };
    use tandem_protocols::{
        Kind,
        call::{Purpose, ToolChoice},
    };
    use uuid::Uuid;

    use super::*;
    use crate::catalog::test_support;

    fn asked(parts: Vec<Part>, max_output_tokens: Option<u32>) -> Request {
        Request {
            id: CompletionId::new(Uuid::nil()),
            model_config_id: ModelConfigId::new(Uuid::nil()),
            messages: vec![Message::new(Role::User, parts)],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            max_output_tokens,
            chat_id: None,
            purpose: Purpose::Answer,
            continues: None,
            output: None,
        }
    }

    fn cost(request: &Request, options: Value) -> i64 {
        cost_usd_micros(&request.into(), &test_support::model(Kind::OpenAi, options))
    }

    #[test]
    fn a_reservation_covers_the_prompt_and_the_longest_answer() {
        let prices = |limit: Value| {
            json!({"max_output_tokens": limit, "cost": {"input_price_per_million_tokens": "1",
            "output_price_per_million_tokens": "10"}})
        };
        let text = || vec![Part::text("a".repeat(400))];
        assert_eq!(
            cost(&asked(text(), Some(50)), prices(json!(9))),
            100 + 500,
            "what the caller asks for wins"
        );
        assert_eq!(cost(&asked(text(), None), prices(json!(9))), 100 + 90);
        assert_eq!(cost(&asked(text(), None), prices(Value::Null)), 100 + 40_960);
        assert_eq!(
            cost(&asked(text(), Some(1_000_000)), prices(Value::Null)),
            100 + 81_920,
            "within the window"
        );
    }

    #[test]
    fn what_has_no_price_still_takes_a_place() {
        assert_eq!(cost(&asked(vec![Part::text("hi")], None), json!({})), 1);
        assert_eq!(
            cost(
                &asked(vec![Part::text("hi")], None),
                json!({"cost": {"input_price_per_million_tokens": "0"}})
            ),
            1
        );
    }

    #[test]
    fn files_count_for_no_more_than_vendors_make_of_them() {
        let file = FilePart {
            media_type: "image/png".to_owned(),
            name: String::new(),
            file_id: None,
            data: vec![0; 4_000_000],
        };
        assert_eq!(input_tokens(&(&asked(vec![Part::File(file)], None)).into()), 20_000);
        let elsewhere = Remote::Document("https://example.com/a.pdf").file("a.pdf").unwrap();
        assert_eq!(
            input_tokens(&(&asked(vec![Part::File(elsewhere)], None)).into()),
            20_000,
            "nobody knows how long it is"
        );
        assert_eq!(output_tokens(5), 2);
    }
}
