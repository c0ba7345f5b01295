use tandem_chassis::seal::keyring::{KEY_BYTES, Kek};
use tandem_proto::storage::v1::McpTransport;

use super::*;

fn keyring() -> Keyring {
    Keyring::new(Some(Kek::new([7; KEY_BYTES])), Vec::new())
}

fn row(auth_type: McpAuthType) -> McpServer {
    McpServer {
        id: Uuid::from_u128(1).to_string(),
        slug: "files".to_owned(),
        url: "https://mcp.example.com/mcp?key=query-secret".to_owned(),
        transport: McpTransport::StreamableHttp.into(),
        auth_type: auth_type.into(),
        is_enabled: true,
        ..McpServer::default()
    }
}

fn seal(field: Field, text: &str) -> Vec<u8> {
    sealed::seal(&keyring(), Uuid::from_u128(1), field, text).unwrap()
}

fn identity() -> Identity {
    Identity {
        owner_id: "o".to_owned(),
        chat_id: "c".to_owned(),
        root_chat_id: "r".to_owned(),
        workspace_id: String::new(),
    }
}

#[test]
fn an_allow_list_decides_alone() {
    let mut server = Server::open(row(McpAuthType::None), &keyring()).unwrap();
    assert!(server.allows("a"));
    server.denied = vec!["a".to_owned()];
    assert!(!server.allows("a") && server.allows("b"));
    server.allowed = vec!["a".to_owned()];
    assert!(server.allows("a") && !server.allows("b"));
}

#[test]
fn identity_is_told_when_asked_for_and_never_in_place_of_the_proof() {
    let mut sent = row(McpAuthType::CustomHeaders);
    sent.sealed_custom_headers = seal(Field::CustomHeaders, r#"{"X-Coder-Owner-Id": "mine", "X-Key": "k"}"#);
    sent.forwards_identity = true;
    let headers = Server::open(sent, &keyring())
        .unwrap()
        .headers(&identity(), None)
        .unwrap();
    let value = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value("x-coder-owner-id"), Some("mine"));
    assert_eq!(value("x-coder-chat-id"), Some("r"));
    assert_eq!(value("x-coder-subchat-id"), Some("c"));
    assert_eq!(value("x-coder-workspace-id"), None);
    assert_eq!(value("x-key"), Some("k"));
    assert!(
        !format!("{headers:?}").contains("mine"),
        "sensitive values are not printed"
    );

    let silent = Server::open(row(McpAuthType::None), &keyring()).unwrap();
    assert!(silent.headers(&identity(), None).unwrap().is_empty());
}

#[test]
fn tokens_are_sent_under_their_type_with_one_spelling_of_bearer() {
    let server = Server::open(row(McpAuthType::Oauth2), &keyring()).unwrap();
    for (kind, expected) in [("", "Bearer t"), ("bEaReR", "Bearer t"), ("DPoP", "DPoP t")] {
        let token = Token {
            token_type: kind.to_owned(),
            access_token: "t".to_owned().into(),
            revision: 1,
        };
        let headers = server.headers(&identity(), Some(&token)).unwrap();
        assert_eq!(headers[AUTHORIZATION], expected);
    }
}

#[test]
fn headers_of_the_transport_and_broken_ones_are_refused() {
    for bad in [
        "{}",
        "[]",
        r#"{"Host": "x"}"#,
        r#"{"mcp-session-id": "x"}"#,
        r#"{"a b": "x"}"#,
        "{\"X-A\": \"a\\r\\nb: c\"}",
    ] {
        assert!(headers(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_secret_vanishes_from_texts() {
    let mut sent = row(McpAuthType::ApiKey);
    sent.api_key_header = "Authorization".to_owned();
    sent.sealed_api_key = seal(Field::ApiKey, "Bearer canary-0123456789");
    let server = Server::open(sent, &keyring()).unwrap();
    let shown = server.redact("401: canary-0123456789 at ?key=query-secret", None);
    assert_eq!(shown, "401: [REDACTED] at ?[REDACTED]");
    assert!(!format!("{server:?}").contains("canary"));
    assert!(server.redact(&"x".repeat(10_000), None).len() <= 512);
}

#[test]
fn a_secret_of_another_row_or_field_does_not_open() {
    let mut sent = row(McpAuthType::ApiKey);
    sent.api_key_header = "X-Key".to_owned();
    sent.sealed_api_key = seal(Field::CustomHeaders, "k");
    assert!(Server::open(sent.clone(), &keyring()).is_err());
    sent.sealed_api_key = seal(Field::ApiKey, "k");
    sent.id = Uuid::from_u128(2).to_string();
    assert!(Server::open(sent, &keyring()).is_err());
}
