use serde_json::{Value, json};

use super::*;

fn created(body: Value) -> Result<proto::CreateMcpServerRequest, Problem> {
    let request: CreateMCPServerConfigRequest = serde_json::from_value(body).unwrap();
    request.into_wire("https://tandem.example.com".to_owned())
}

fn minimal() -> Value {
    json!({"display_name": "Files", "slug": "files", "transport": "streamable_http", "url": "https://h/mcp",
        "auth_type": "none", "availability": "default_on"})
}

#[test]
fn a_server_goes_in_with_its_words_and_comes_out_with_them() {
    let request = created(minimal()).unwrap();
    let mut server = request.server.unwrap();
    assert!(!server.is_enabled, "a server is off until it is switched on");
    server.id = "5f3a1b6c-0000-4000-8000-000000000000".to_owned();
    let view = proto::McpServerView {
        server: Some(server),
        is_connected: true,
        ..proto::McpServerView::default()
    };
    let shown = serde_json::to_value(MCPServerConfig::from(view)).unwrap();
    let expected = json!({
        "id": "5f3a1b6c-0000-4000-8000-000000000000", "display_name": "Files", "slug": "files", "description": "",
        "icon_url": "", "transport": "streamable_http", "url": "https://h/mcp", "auth_type": "none",
        "has_oauth2_secret": false, "has_api_key": false, "has_custom_headers": false, "tool_allow_list": [],
        "tool_deny_list": [], "availability": "default_on", "enabled": false, "model_intent": false,
        "allow_in_plan_mode": false, "forward_coder_headers": false, "pinned": true, "created_at": "0001-01-01T00:00:00Z",
        "updated_at": "0001-01-01T00:00:00Z", "auth_connected": true,
    });
    assert_eq!(shown, expected);
}

#[test]
fn words_that_are_none_are_refused_with_those_there_are() {
    for (field, word) in [
        ("transport", "SSE"),
        ("transport", "unspecified"),
        ("transport", "ws"),
        ("auth_type", "basic"),
        ("availability", ""),
    ] {
        let mut body = minimal();
        body[field] = word.into();
        let problem = created(body).unwrap_err();
        assert!(format!("{problem:?}").contains(field), "{problem:?}");
    }
}

#[test]
fn secrets_are_absent_empty_or_given() {
    let secrets = |body: Value| {
        let request: UpdateMCPServerConfigRequest = serde_json::from_value(body).unwrap();
        request.into_wire("id".to_owned()).unwrap().secrets.unwrap()
    };
    assert_eq!(secrets(json!({})), proto::McpSecrets::default());
    assert_eq!(
        secrets(json!({"custom_headers": {}})).custom_headers_json.as_deref(),
        Some("")
    );
    let given = secrets(json!({"custom_headers": {"X-A": "b"}, "api_key_value": ""}));
    assert_eq!(given.custom_headers_json.as_deref(), Some(r#"{"X-A":"b"}"#));
    assert_eq!(given.api_key.as_deref(), Some(""));
}
