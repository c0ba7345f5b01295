//! Requests as clients send them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;

fn png() -> String {
    STANDARD.encode(PNG)
}

#[test]
fn a_chat_completions_request_with_everything_in_it() {
    let image = format!("data:image/png;base64,{}", png());
    let asked = understood(
        Dialect::ChatCompletions,
        &json!({
            "model": "some/model", "stream": true, "stream_options": {"include_usage": true},
            "temperature": 0.2, "top_p": 0.9, "stop": ["END", ""], "seed": 7, "n": 1, "user": "u", "logprobs": false,
            "max_tokens": 10, "max_completion_tokens": 20, "reasoning_effort": "low", "parallel_tool_calls": false,
            "response_format": {"type": "text"}, "logit_bias": {}, "presence_penalty": null,
            "tools": [
                {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}, "strict": true}},
                {"type": "function", "function": {"name": "stop"}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "name": "ada", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": image, "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                ]},
                {"role": "assistant", "content": "I look.", "refusal": null, "annotations": [], "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{\"x\": 1}"}},
                    {"id": "b", "type": "function", "function": {"name": "stop", "arguments": "not JSON"}},
                ]},
                {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "stopped"}]},
                {"role": "tool", "tool_call_id": "a", "content": "{\"seen\": true}"},
                {"role": "assistant", "content": null, "refusal": "No more."},
                {"role": "user", "content": "Why?"},
            ],
        }),
    );
    let mut broken = tool_call("b", "stop", json!({}));
    broken
        .provider_metadata
        .insert("invalid_arguments".to_owned(), json!("not JSON"));
    let pdf = file("application/pdf", "a.pdf", b"%PDF-");
    let expected = vec![
        Message::new(Role::System, vec![Part::text("Be brief.")]),
        Message::new(
            Role::User,
            vec![
                Part::text("[ada says:]"),
                Part::text("What is this?"),
                file("image/png", "", PNG),
                pdf,
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Part::text("I look."),
                call("a", "look", json!({"x": 1})),
                Part::ToolCall(broken),
            ],
        ),
        returned("a", "look", json!("{\"seen\": true}")),
        returned("b", "stop", json!("stopped")),
        Message::new(Role::Assistant, vec![Part::text("No more.")]),
        user("Why?"),
    ];
    assert_eq!(asked.messages, expected);
    assert_eq!(asked.tools[1].input_schema, json!({"type": "object", "properties": {}}));
    assert_eq!(asked.tool_choice, ToolChoice::Named("look".to_owned()));
    assert_eq!(
        Value::Object(asked.overrides),
        json!({"temperature": 0.2, "top_p": 0.9, "stop_sequences": ["END"]})
    );
    assert_eq!((asked.max_output_tokens, asked.effort), (Some(20), Some(Effort::Low)));
    assert!(asked.is_stream && asked.wants_usage && asked.is_serial);
}

#[test]
fn a_messages_request_with_everything_in_it() {
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png()}});
    let asked = understood(
        Dialect::Messages,
        &json!({
            "model": "m", "max_tokens": 100, "stream": false, "stop_sequences": ["END"], "top_k": 5,
            "metadata": {"user_id": "u"}, "thinking": {"type": "enabled", "budget_tokens": 2048},
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "secret"},
                    {"type": "text", "text": "I look.", "citations": null},
                    {"type": "tool_use", "id": "a", "name": "look", "input": {"x": 1}},
                    {"type": "tool_use", "id": "b", "name": "look", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "taken"}, image, image]},
                    {"type": "tool_result", "tool_use_id": "b", "content": "broke", "is_error": true},
                    {"type": "text", "text": "And?"},
                    {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                ]},
            ],
        }),
    );
    let media = Part::ToolResult(ToolResultPart {
        is_media: true,
        ..tool_result(
            "a",
            "look",
            json!({"data": png(), "mime_type": "image/png", "text": "taken"}),
        )
    });
    let failed = Part::ToolResult(ToolResultPart {
        is_error: true,
        ..tool_result("b", "look", json!("broke"))
    });
    let redacted = reasoning("", "", json!({"anthropic": {"redacted_data": "secret"}}));
    let expected = vec![
        Message::new(Role::System, vec![Part::text("Be brief.")]),
        user("Hi"),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(reasoning("Hm.", "sig", Value::Null)),
                Part::Reasoning(redacted),
                Part::text("I look."),
                call("a", "look", json!({"x": 1})),
                call("b", "look", json!({})),
            ],
        ),
        Message::new(Role::Tool, vec![media]),
        Message::new(Role::Tool, vec![failed]),
        Message::new(
            Role::User,
            vec![
                Part::text("[Also returned by the tool look:]"),
                file("image/png", "", PNG),
            ],
        ),
        Message::new(Role::User, vec![Part::text("And?"), file("text/plain", "T", b"words")]),
    ];
    assert_eq!(asked.messages, expected);
    assert_eq!(asked.tool_choice, ToolChoice::Required);
    assert_eq!(asked.thinking, Some(Thinking::Budget(2048)));
    assert_eq!(
        Value::Object(asked.overrides),
        json!({"top_k": 5, "stop_sequences": ["END"]})
    );
    assert!(!asked.is_stream && asked.wants_usage && asked.is_serial);
}

#[test]
fn a_responses_request_with_everything_in_it() {
    let image = format!("data:image/png;base64,{}", png());
    let asked = understood(
        Dialect::Responses,
        &json!({
            "model": "m", "stream": true, "instructions": "Be brief.", "store": false, "max_output_tokens": 50,
            "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "xhigh", "summary": "auto"},
            "text": {"verbosity": "low", "format": {"type": "text"}}, "parallel_tool_calls": true, "truncation": "auto",
            "tools": [
                {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": false},
                {"type": "function", "name": "stop", "parameters": null},
            ],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "look"}]},
            "input": [
                {"role": "user", "content": "Hi"},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "enc"},
                {"type": "function_call", "id": "fc_1", "call_id": "a", "name": "look", "arguments": "{}", "status": "completed"},
                {"type": "function_call", "call_id": "b", "name": "look", "arguments": "{\"x\":2}"},
                {"type": "function_call_output", "call_id": "b", "output": [
                    {"type": "input_text", "text": "taken"}, {"type": "input_image", "image_url": image, "detail": "auto"}]},
                {"type": "function_call_output", "call_id": "a", "output": "seen"},
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                 "content": [{"type": "output_text", "text": "Done.", "annotations": []}]},
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "Thanks"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}]},
            ],
        }),
    );
    let media = Part::ToolResult(ToolResultPart {
        is_media: true,
        ..tool_result(
            "b",
            "look",
            json!({"data": png(), "mime_type": "image/png", "text": "taken"}),
        )
    });
    let expected = vec![
        Message::new(Role::System, vec![Part::text("Be brief.")]),
        user("Hi"),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(reasoning("Hm.", "enc", json!({"openai": {"item_id": "rs_1"}}))),
                call("a", "look", json!({})),
                call("b", "look", json!({"x": 2})),
            ],
        ),
        returned("a", "look", json!("seen")),
        Message::new(Role::Tool, vec![media]),
        Message::new(Role::Assistant, vec![Part::text("Done.")]),
        Message::new(
            Role::User,
            vec![Part::text("Thanks"), file("application/pdf", "a.pdf", b"%PDF-")],
        ),
    ];
    assert_eq!(asked.messages, expected);
    assert_eq!(asked.tools.len(), 1, "only what is allowed is offered");
    assert_eq!(asked.tool_choice, ToolChoice::Required);
    assert_eq!((asked.effort, asked.verbosity), (Some(Effort::XHigh), Some("low")));
    assert!(!asked.is_serial && asked.max_output_tokens == Some(50));
}

#[test]
fn settings_that_ask_for_what_happens_anyway_are_accepted() {
    let chat = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 1, "logprobs": false, "top_logprobs": 0,
        "modalities": ["text"], "audio": null, "logit_bias": {}, "functions": [], "function_call": "auto",
        "response_format": {"type": "text"}, "parallel_tool_calls": true, "tool_choice": "auto",
    });
    let responses = json!({
        "model": "m", "input": "Hi", "top_logprobs": 0, "background": false, "store": false, "truncation": "disabled",
        "include": ["reasoning.encrypted_content"], "text": {"format": {"type": "text"}}, "previous_response_id": null,
        "parallel_tool_calls": true, "tool_choice": "auto",
    });
    for (dialect, body) in [(Dialect::ChatCompletions, chat), (Dialect::Responses, responses)] {
        let asked = understood(dialect, &body);
        assert!(asked.overrides.is_empty() && asked.output.is_none() && !asked.is_serial);
    }
}

#[test]
fn the_shortest_requests_are_understood() {
    for (dialect, field, content) in [
        (
            Dialect::ChatCompletions,
            "messages",
            json!([{"role": "user", "content": "Hi"}]),
        ),
        (
            Dialect::Messages,
            "messages",
            json!([{"role": "user", "content": "Hi"}]),
        ),
        (Dialect::Responses, "input", json!("Hi")),
    ] {
        let asked = understood(dialect, &json!({"model": "m", field: content}));
        assert_eq!((asked.messages, asked.is_stream), (vec![user("Hi")], false));
        assert!(asked.wants_usage, "of a document always");
    }
    let stream = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    assert!(!understood(Dialect::ChatCompletions, &stream).wants_usage);
    assert!(understood(Dialect::Messages, &stream).wants_usage);
}

#[test]
fn a_result_without_its_call_and_a_call_without_its_result_are_mended() {
    let asked = understood(
        Dialect::Messages,
        &json!({"model": "m", "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "look", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "lost", "content": "?"}]},
        ]}),
    );
    let roles: Vec<Role> = asked.messages.iter().map(|message| message.role).collect();
    assert_eq!(
        roles,
        [Role::User, Role::Assistant, Role::Tool, Role::Assistant, Role::Tool]
    );
}
