use super::*;

#[test]
fn a_provider_shows_masked_keys_and_null_settings() {
    let provider = proto::Provider {
        id: "p".to_owned(),
        r#type: "openai-compat".to_owned(),
        name: "mine".to_owned(),
        display_name: "Mine".to_owned(),
        is_enabled: true,
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        keys: vec![proto::MaskedKey {
            id: "k".to_owned(),
            masked: "sk-\u{2026}f3Qa".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    insta::assert_json_snapshot!(AIProvider::from(provider), @r#"
    {
      "id": "p",
      "type": "openai-compat",
      "name": "mine",
      "display_name": "Mine",
      "enabled": true,
      "base_url": "http://127.0.0.1:1/v1",
      "api_keys": [
        {
          "id": "k",
          "masked": "sk-…f3Qa",
          "created_at": "0001-01-01T00:00:00Z"
        }
      ],
      "settings": null,
      "created_at": "0001-01-01T00:00:00Z",
      "updated_at": "0001-01-01T00:00:00Z"
    }
    "#);
}

#[test]
fn a_checks_duration_is_in_milliseconds() {
    let outcome = proto::TestProviderResponse {
        is_ok: true,
        message: "ok".to_owned(),
        models: vec!["m".to_owned()],
        latency: Some(prost_types::Duration {
            seconds: 1,
            nanos: 250_000_000,
        }),
    };
    let shown = serde_json::to_value(TestAIProviderResponse::from(outcome)).unwrap();
    assert_eq!(
        shown,
        serde_json::json!({ "ok": true, "message": "ok", "models": ["m"], "latency_ms": 1250 })
    );
}
