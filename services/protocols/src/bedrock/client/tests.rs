use std::sync::Arc;

use tandem_chat_core::{
    message::{Message, Role},
    part::Part,
};

use super::*;
use crate::{
    Delta, Kind, Protocol,
    bedrock::frame::tests::{chunk, framed},
    by_tool,
    call::{OutputFormat, OutputSchema},
    test_support, test_support as asked,
};

const MODEL: &str = "us.anthropic.claude-opus-4-6-v1:0";

fn model(options: Value) -> Model {
    Model {
        model: MODEL.to_owned(),
        context_limit: Some(200_000),
        ..test_support::model(Kind::Bedrock, options)
    }
}

fn request() -> crate::call::Request {
    let messages = vec![Message::new(Role::User, vec![Part::text("Hi")])];
    asked::request(messages, vec![asked::tool("read_file")])
}

fn sent(options: Value) -> Value {
    let mut request = request();
    request.max_output_tokens = None;
    let written = anthropic::body(&request, &translated(&model(options))).unwrap();
    serde_json::from_slice(&body(written, None).unwrap()).unwrap()
}

#[test]
fn a_request_names_the_version_and_neither_model_nor_stream() {
    insta::assert_json_snapshot!(sent(json!({
        "temperature": 0.5,
        "provider_options": {"bedrock": {"effort": "high", "web_search_enabled": true, "disable_parallel_tool_use": true}},
    })));
}

#[test]
fn a_computer_is_offered_with_what_is_in_trial_in_the_body() {
    for (name, kind, beta) in [
        (MODEL, "computer_20251124", "computer-use-2025-11-24"),
        (
            "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "computer_20250124",
            "computer-use-2025-01-24",
        ),
    ] {
        let model = Model {
            model: name.to_owned(),
            ..model(json!({}))
        };
        let request = asked::request(request().messages, vec![asked::tool("read_file"), asked::computer()]);
        let beta_of = anthropic::beta(&request, &model.model);
        let written = anthropic::body(&request, &translated(&model)).unwrap();
        let sent: Value = serde_json::from_slice(&body(written, beta_of).unwrap()).unwrap();
        assert_eq!(sent["anthropic_beta"], json!([beta]));
        let offered = json!({
            "type": kind, "name": "computer", "display_width_px": 1600, "display_height_px": 900,
        });
        assert_eq!(sent["tools"][1], offered);
    }
    assert_eq!(sent(json!({}))["anthropic_beta"], Value::Null);
}

#[test]
fn options_may_have_the_protocols_name() {
    let own = json!({"disable_parallel_tool_use": true});
    let by_name = |name: &str| sent(json!({"provider_options": {name: own}}));
    assert_eq!(by_name("bedrock"), by_name("anthropic"));
    assert_eq!(by_name("bedrock")["tool_choice"]["disable_parallel_tool_use"], true);
}

#[test]
fn only_models_that_know_it_think_as_they_see_fit() {
    let thinking = |name: &str| {
        let model = Model {
            model: name.to_owned(),
            ..model(json!({"provider_options": {"anthropic": {"effort": "low"}}}))
        };
        let mut request = request();
        request.max_output_tokens = Some(10_000);
        let written = anthropic::body(&request, &translated(&model)).unwrap();
        let sent: Value = serde_json::from_slice(&body(written, None).unwrap()).unwrap();
        assert!(sent["output_config"].is_null());
        sent["thinking"].clone()
    };
    assert_eq!(thinking(MODEL), json!({"type": "adaptive"}));
    let budget = json!({"type": "enabled", "budget_tokens": 2000});
    assert_eq!(thinking("anthropic.claude-opus-4-1-20250805-v1:0"), budget);
    assert_eq!(thinking("anthropic.claude-3-5-sonnet-20241022-v2:0"), Value::Null);
}

#[test]
fn a_form_is_told_where_aws_takes_it_and_is_a_tool_elsewhere() {
    let sent = |name: &str| {
        let options = json!({"provider_options": {"bedrock": {"effort": "high"}}});
        let request = crate::call::Request {
            output: Some(OutputFormat::Schema(OutputSchema {
                name: "city".to_owned(),
                description: String::new(),
                schema: json!({"type": "object", "properties": {}}),
                is_strict: true,
            })),
            tools: Vec::new(),
            ..request()
        };
        let call = Call {
            request: Arc::new(request),
            model: Arc::new(Model {
                model: name.to_owned(),
                ..model(options)
            }),
            key: None,
        };
        let (call, _) = by_tool::prepared(Protocol::Bedrock, call).unwrap();
        let written = anthropic::body(&call.request, &translated(&call.model)).unwrap();
        serde_json::from_slice::<Value>(&body(written, None).unwrap()).unwrap()
    };
    let native = sent(MODEL);
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let form = json!({"format": {"type": "json_schema", "schema": schema}});
    assert_eq!(
        (&native["output_config"], &native["tools"]),
        (&form, &Value::Null),
        "no effort"
    );
    for name in [
        "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-opus-4-1-20250805-v1:0",
        "anthropic.claude-opus-4-8",
    ] {
        let by_tool = sent(name);
        assert!(
            by_tool["output_config"].is_null() && by_tool["thinking"].is_null(),
            "{by_tool}"
        );
        assert_eq!(
            by_tool["tool_choice"],
            json!({"type": "tool", "name": "city"}),
            "{name}"
        );
        assert_eq!(by_tool["tools"][0]["name"], "city", "{name}");
    }
}

#[test]
fn a_request_that_is_too_long_is_not_sent() {
    let long = Map::from_iter([("messages".to_owned(), Value::from("x".repeat(MAX_REQUEST_BYTES)))]);
    assert!(body(long, None).unwrap_err().text.contains("at most"));
}

fn parse(bytes: &[u8]) -> (Vec<Delta>, Option<Failure>) {
    let mut parser = anthropic::parser(&request(), &model(json!({})));
    let mut deltas = Vec::new();
    let failure = parser.push(bytes, &mut deltas).err();
    let failure = failure.or_else(|| parser.finish(&mut deltas).err());
    (deltas, failure)
}

fn recorded() -> Vec<u8> {
    [
        r#"{"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#,
        r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}"#,
    ]
    .map(chunk)
    .concat()
}

#[test]
fn an_answer_in_frames_is_understood_and_one_cut_off_is_worth_another_try() {
    let bytes = recorded();
    let (deltas, failure) = parse(&bytes);
    assert_eq!(failure, None);
    assert_eq!(deltas[0], Delta::Text("hi".to_owned()));
    assert!(matches!(deltas[1], Delta::Finish(_)));
    let has_finished = bytes.len()
        - chunk(r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}"#).len();
    for place in 0..bytes.len() {
        let (_, failure) = parse(&bytes[..place]);
        let cause = failure.map(|failure| failure.cause);
        let expected = (place < has_finished).then_some(tandem_chat_core::classify::Cause::Truncated);
        assert_eq!(cause, expected, "cut at {place}");
    }
}

#[test]
fn what_comes_behind_the_end_does_not_matter_in_one_piece_either() {
    let whole = recorded();
    let damaged = [whole.as_slice(), &[0, 0, 0, 20, 0, 0, 0, 0, 1, 2, 3, 4]].concat();
    assert_eq!(parse(&damaged), parse(&whole));
}

#[test]
fn an_exception_within_an_answer_has_its_status() {
    for (kind, status) in [
        ("throttlingException", 429),
        ("validationException", 400),
        ("serviceUnavailableException", 504),
        ("modelStreamErrorException", 500),
        ("internalServerException", 500),
    ] {
        let frame = framed(
            &[(":message-type", "exception"), (":exception-type", kind)],
            b"{\"message\":\"no\"}",
        );
        let (_, failure) = parse(&frame);
        assert_eq!(failure.and_then(|failure| failure.status), Some(status), "{kind}");
    }
}

#[test]
fn whatever_comes_has_one_meaning_and_one_end() {
    let parse = |pieces: &[&[u8]]| asked::parse(anthropic::parser(&request(), &model(json!({}))), pieces);
    asked::check_noise(parse, "bedrock", &[&recorded()]);
}

async fn proven_by(variables: &[(&str, &str)], base_url: &str) -> Result<(Url, HeaderMap), Failure> {
    let aws = Environment::read(|name| {
        let no_role = ("AWS_EC2_METADATA_DISABLED", "true");
        let found = [no_role]
            .iter()
            .chain(variables)
            .find(|(known, _)| *known == name)
            .copied();
        found.map(|(_, value)| value.to_owned())
    });
    let outbound = tandem_chassis::outbound::Outbound::new(&Default::default()).unwrap();
    let http = Http::new(outbound, Arc::new(tandem_chassis::clock::System));
    proven(&http, &aws, &base_url.parse().unwrap(), "m", b"{}").await
}

#[tokio::test]
async fn a_machines_own_credentials_need_a_region_and_tokens_do_not() {
    const US: &str = "https://bedrock-runtime.us-east-1.amazonaws.com/";
    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let kind = |failure: Failure| match failure.cause {
        tandem_chat_core::classify::Cause::Known(kind) => kind,
        _ => ErrorKind::Generic,
    };
    assert_eq!(
        proven_by(&[], US).await.map_err(kind).unwrap_err(),
        ErrorKind::MissingKey
    );
    assert_eq!(proven_by(&KEYS, US).await.map_err(kind).unwrap_err(), ErrorKind::Config);
    let other = "https://bedrock-runtime.us-west-2.amazonaws.com/";
    let (url, headers) = proven_by(&KEYS, other).await.unwrap();
    assert_eq!(url.host_str(), Some("bedrock-runtime.us-west-2.amazonaws.com"));
    assert!(
        headers["authorization"]
            .to_str()
            .unwrap()
            .contains("/us-west-2/bedrock/aws4_request")
    );
    assert!(headers.contains_key("x-amz-date"));
    let (url, _) = proven_by(&[KEYS[0], KEYS[1], ("AWS_REGION", "eu-west-1")], US)
        .await
        .unwrap();
    assert_eq!(
        url.host_str(),
        Some("bedrock-runtime.eu-west-1.amazonaws.com"),
        "where the machine is"
    );
    for more in [KEYS.as_slice(), &[("AWS_BEARER_TOKEN_BEDROCK", "canary")]] {
        let elsewhere = [more, &[("AWS_REGION", "evil.example/")]].concat();
        let failure = proven_by(&elsewhere, US).await.unwrap_err();
        assert!(failure.text.contains("is no region"), "{}", failure.text);
        assert_eq!(kind(failure), ErrorKind::Config);
        let (url, _) = proven_by(&elsewhere, other).await.unwrap();
        assert_eq!(
            url.host_str(),
            other.parse::<Url>().unwrap().host_str(),
            "its address says where it is"
        );
    }
    let (url, headers) = proven_by(&[("AWS_BEARER_TOKEN_BEDROCK", "canary")], US).await.unwrap();
    assert_eq!(url.host_str(), Some("bedrock-runtime.us-east-1.amazonaws.com"));
    assert_eq!(headers["authorization"], "Bearer canary");
    assert!(!format!("{headers:?}").contains("canary"));
}

#[tokio::test]
async fn what_somebody_has_to_do_is_no_reason_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let failed = async |profile: &str| {
        std::fs::write(&path, format!("[default]\n{profile}\n")).unwrap();
        let failure = proven_by(&[("AWS_CONFIG_FILE", path.to_str().unwrap())], "http://127.0.0.1/").await;
        failure.unwrap_err()
    };
    let failure = failed("role_arn = arn:x").await;
    assert_eq!(failure.cause, Cause::Known(ErrorKind::Config));
    assert!(
        failure.text.contains("had: profile default: role_arn needs"),
        "{}",
        failure.text
    );
    let failure = failed("credential_process = false").await;
    assert_eq!(failure.cause, Cause::Transport);
    assert!(
        failure.text.contains("credential_process: the program ended"),
        "{}",
        failure.text
    );
}
