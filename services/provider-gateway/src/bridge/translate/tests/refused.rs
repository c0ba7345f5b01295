//! What cannot be carried is refused by its name.

use super::*;

fn field(dialect: Dialect, changes: Value) -> String {
    let mut body = match dialect {
        Dialect::Responses => json!({"model": "m", "input": "Hi"}),
        Dialect::ChatCompletions | Dialect::Messages => {
            json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        }
    };
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    match read(dialect, body.to_string().as_bytes()) {
        Ok(asked) => panic!("it is understood: {asked:?}"),
        Err(refused) => {
            assert!(refused.message.ends_with('.'), "a sentence: {refused}");
            refused.field
        }
    }
}

#[test]
fn chat_completions() {
    let url = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x.png"}}]}]);
    let audio = json!([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]);
    let look = json!([{"type": "function", "function": {"name": "look"}}]);
    for (changes, expected) in [
        (json!({"model": ""}), "model"),
        (json!({"model": 7}), "model"),
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "Hi"}), "messages"),
        (json!({"messages": [7]}), "messages[0]"),
        (json!({"messages": [{"content": "Hi"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
        ),
        (json!({ "messages": url }), "messages[0].content[0].image_url"),
        (json!({ "messages": audio }), "messages[0].content[0].type"),
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"top_logprobs": 3}), "top_logprobs"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.type"),
        (json!({"response_format": "json"}), "response_format"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
            "response_format.json_schema.schema",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}}),
            "response_format.json_schema.name",
        ),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"web_search_options": {}}), "web_search_options"),
        (json!({"functions": [{}]}), "functions"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"stop": [1]}), "stop"),
        (json!({"reasoning_effort": "huge"}), "reasoning_effort"),
        (json!({"tools": [{"type": "shell"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "custom"}]}), "tools[0].custom"),
        (
            json!({"tools": [{"type": "custom", "custom": {}}]}),
            "tools[0].custom.name",
        ),
        (
            json!({"tools": [{"type": "custom", "custom": {"name": "a", "format": {"type": "grammar"}}}]}),
            "tools[0].custom.format.syntax",
        ),
        (
            json!({"tools": [{"type": "custom", "custom": {"name": "a", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}}]}),
            "tools[0].custom.format.grammar.definition",
        ),
        (
            json!({"tools": look, "tool_choice": {"type": "custom", "custom": {"name": "x"}}}),
            "tool_choice.custom.name",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}),
            "tools[0].function.name",
        ),
        (json!({"tools": [look[0], look[0]]}), "tools[1].function.name"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": "sometimes"}), "tool_choice"),
        (
            json!({"tools": look, "tool_choice": {"type": "function", "function": {"name": "x"}}}),
            "tool_choice.function.name",
        ),
        (json!({"brand_new": {"x": 1}}), "brand_new"),
    ] {
        assert_eq!(field(Dialect::ChatCompletions, changes.clone()), expected, "{changes}");
    }
}

#[test]
fn responses() {
    for (changes, expected) in [
        (json!({"input": null}), "input"),
        (
            json!({"input": [{"type": "item_reference", "id": "x"}]}),
            "input[0].type",
        ),
        (json!({"input": [{"type": "computer_call"}]}), "input[0].type"),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
            "input[0].content[0].image_url",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]}),
            "input[0].content[0].file_url",
        ),
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"background": true}), "background"),
        (json!({"prompt": {"id": "x"}}), "prompt"),
        (
            json!({"text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
        (json!({"text": {"colour": "red"}}), "text.colour"),
        (json!({"include": ["message.output_text.logprobs"]}), "include[0]"),
        (json!({"tools": [{"type": "file_search"}]}), "tools[0].type"),
        (json!({"tools": [{"type": "computer"}]}), "tools[0].type"),
        (
            json!({"tools": [{"type": "computer_use_preview", "display_width": 9, "display_height": 9}]}),
            "tools[0].type",
        ),
        (json!({"tools": [{"type": "custom", "name": "a b"}]}), "tools[0].name"),
        (
            json!({"tools": [{"type": "custom", "name": "a", "format": {"type": "ebnf"}}]}),
            "tools[0].format.type",
        ),
        (
            json!({"tools": [{"type": "custom", "name": "a", "format": {"type": "grammar", "syntax": "ebnf"}}]}),
            "tools[0].format.syntax",
        ),
        (
            json!({"tools": [{"type": "custom", "name": "a", "format": {"type": "grammar", "syntax": "regex", "definition": "x".repeat(40_000)}}]}),
            "tools[0].format.definition",
        ),
        (
            json!({"tools": [{"type": "custom", "name": "a"}, {"type": "function", "name": "a"}]}),
            "tools[1].name",
        ),
        (
            json!({"input": [{"type": "custom_tool_call", "name": "a", "input": "x"}]}),
            "input[0].call_id",
        ),
        (
            json!({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "a", "input": {}}]}),
            "input[0].input",
        ),
        (
            json!({"tool_choice": {"type": "function", "name": "x"}}),
            "tool_choice.name",
        ),
        (json!({"tool_choice": {"type": "mcp"}}), "tool_choice"),
        (json!({"reasoning": {"effort": 7}}), "reasoning.effort"),
    ] {
        assert_eq!(field(Dialect::Responses, changes.clone()), expected, "{changes}");
    }
}

#[test]
fn messages() {
    let begun = json!([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Well,"}]);
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    for (changes, expected) in [
        (json!({ "messages": begun }), "messages"),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].role",
        ),
        (
            block(json!({"type": "image", "source": {"type": "url", "url": "gs://a/b"}})),
            "messages[0].content[0].source.url",
        ),
        (
            block(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages[0].content[0].source",
        ),
        (
            block(json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "%"}})),
            "messages[0].content[0].source.data",
        ),
        (
            block(json!({"type": "document", "citations": {"enabled": true}})),
            "messages[0].content[0].citations",
        ),
        (
            block(json!({"type": "container_upload"})),
            "messages[0].content[0].type",
        ),
        (
            block(json!({"type": "tool_result", "content": "x"})),
            "messages[0].content[0].tool_use_id",
        ),
        (json!({"system": 7}), "system"),
        (json!({"system": [{"type": "image"}]}), "system[0].type"),
        (json!({"thinking": {"type": "enabled"}}), "thinking.budget_tokens"),
        (json!({"thinking": {"type": "deep"}}), "thinking.type"),
        (
            json!({"output_config": {"format": {"type": "json_schema"}}}),
            "output_config.format.schema",
        ),
        (
            json!({"output_format": {"type": "json_schema"}}),
            "output_format.schema",
        ),
        (json!({"mcp_servers": [{}]}), "mcp_servers"),
        (
            json!({"tools": [{"type": "bash_20250124", "name": "bash"}]}),
            "tools[0].type",
        ),
        (
            json!({"tools": [{"type": "computer_20251124", "name": "computer", "display_width_px": 9, "display_height_px": 9}]}),
            "tools[0].type",
        ),
        (
            json!({"tool_choice": {"type": "tool", "name": "x"}}),
            "tool_choice.name",
        ),
        (json!({"tool_choice": {"type": "any"}}), "tool_choice"),
        (json!({"brand_new": 1}), "brand_new"),
    ] {
        assert_eq!(field(Dialect::Messages, changes.clone()), expected, "{changes}");
    }
}
