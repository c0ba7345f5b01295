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
      "central_api_key_enabled": true,
      "allow_user_api_key": false,
      "allow_central_api_key_fallback": false,
      "max_concurrent": 0,
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

#[test]
fn health_names_states_and_leaves_out_no_field() {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let health = proto::ProviderHealth {
        provider_id: "p".to_owned(),
        keys: vec![
            proto::KeyHealth {
                id: "k1".to_owned(),
                masked: "sk-\u{2026}f3Qa".to_owned(),
                state: proto::KeyState::Limited.into(),
                resting_until: at(60),
                last_error: "status 429: slow down".to_owned(),
                last_error_at: at(0),
            },
            proto::KeyHealth {
                id: "k2".to_owned(),
                masked: "\u{2026}".to_owned(),
                state: proto::KeyState::Healthy.into(),
                ..Default::default()
            },
        ],
        breakers: vec![proto::BreakerHealth {
            model: "m".to_owned(),
            state: proto::BreakerState::HalfOpen.into(),
            failures: 5,
            last_failure: "status 503".to_owned(),
            retry_at: None,
        }],
        running: 1,
        max_running: 2,
        queued: 3,
    };
    insta::assert_json_snapshot!(health::AIProviderHealth::from(health), @r#"
    {
      "provider_id": "p",
      "keys": [
        {
          "id": "k1",
          "masked": "sk-…f3Qa",
          "state": "limited",
          "resting_until": "1970-01-01T00:01:00Z",
          "last_error": "status 429: slow down",
          "last_error_at": "1970-01-01T00:00:00Z"
        },
        {
          "id": "k2",
          "masked": "…",
          "state": "healthy",
          "resting_until": null,
          "last_error": "",
          "last_error_at": null
        }
      ],
      "breakers": [
        {
          "model": "m",
          "state": "half_open",
          "failures": 5,
          "last_failure": "status 503",
          "retry_at": null
        }
      ],
      "running": 1,
      "max_running": 2,
      "queued": 3
    }
    "#);
}
