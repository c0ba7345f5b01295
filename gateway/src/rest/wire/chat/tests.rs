use super::*;

fn chat() -> proto::Chat {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    proto::Chat {
        id: "c".to_owned(),
        organization_id: "o".to_owned(),
        owner_id: "u".to_owned(),
        last_model_config_id: "m".to_owned(),
        title: "Hello".to_owned(),
        status: proto::ChatStatus::Waiting.into(),
        created_at: at(1),
        updated_at: at(2),
        client_type: proto::ClientType::Api.into(),
        ..Default::default()
    }
}

#[test]
fn a_bare_chat_has_every_key_a_client_may_read() {
    insta::assert_json_snapshot!(Chat::from(chat()), @r#"
    {
      "id": "c",
      "organization_id": "o",
      "owner_id": "u",
      "last_model_config_id": "m",
      "title": "Hello",
      "status": "waiting",
      "last_turn_summary": null,
      "created_at": "1970-01-01T00:00:01Z",
      "updated_at": "1970-01-01T00:00:02Z",
      "archived": false,
      "pin_order": 0,
      "mcp_server_ids": [],
      "labels": {},
      "has_unread": false,
      "client_type": "api",
      "approval_mode": "never",
      "children": []
    }
    "#);
}

#[test]
fn a_full_chat_shows_all_it_has() {
    let full = proto::Chat {
        owner_username: "ada".to_owned(),
        owner_name: "Ada".to_owned(),
        workspace_id: "w".to_owned(),
        parent_chat_id: "p".to_owned(),
        root_chat_id: "r".to_owned(),
        status: proto::ChatStatus::Error.into(),
        plan_mode: proto::PlanMode::Plan.into(),
        last_error: Some(proto::ChatError {
            message: "no".to_owned(),
            detail: "d".to_owned(),
            kind: proto::ErrorKind::RateLimit.into(),
            provider: "openai".to_owned(),
            is_retryable: true,
            status_code: 429,
        }),
        last_turn_summary: "Fixed it".to_owned(),
        is_archived: true,
        pin_order: 2,
        mcp_server_ids: vec!["s".to_owned()],
        labels: [("k".to_owned(), "v".to_owned())].into(),
        has_unread: true,
        client_type: proto::ClientType::Ui.into(),
        approval_mode: proto::ApprovalMode::Risky.into(),
        children: vec![chat()],
        files: vec![proto::FileMetadata {
            id: "f".to_owned(),
            name: "a.txt".to_owned(),
            media_type: "text/plain".to_owned(),
            size_bytes: 5,
            ..Default::default()
        }],
        version: 9,
        epoch: 3,
        ..chat()
    };
    let mut value = serde_json::to_value(Chat::from(full)).unwrap();
    let children = value["children"].take();
    assert_eq!(children.as_array().map(Vec::len), Some(1));
    insta::assert_json_snapshot!(value, @r#"
    {
      "approval_mode": "risky",
      "archived": true,
      "children": null,
      "client_type": "ui",
      "created_at": "1970-01-01T00:00:01Z",
      "files": [
        {
          "created_at": "0001-01-01T00:00:00Z",
          "id": "f",
          "mime_type": "text/plain",
          "name": "a.txt",
          "organization_id": "",
          "owner_id": ""
        }
      ],
      "has_unread": true,
      "id": "c",
      "labels": {
        "k": "v"
      },
      "last_error": {
        "detail": "d",
        "kind": "rate_limit",
        "message": "no",
        "provider": "openai",
        "retryable": true,
        "status_code": 429
      },
      "last_model_config_id": "m",
      "last_turn_summary": "Fixed it",
      "mcp_server_ids": [
        "s"
      ],
      "organization_id": "o",
      "owner_id": "u",
      "owner_name": "Ada",
      "owner_username": "ada",
      "parent_chat_id": "p",
      "pin_order": 2,
      "plan_mode": "plan",
      "root_chat_id": "r",
      "status": "error",
      "title": "Hello",
      "updated_at": "1970-01-01T00:00:02Z",
      "workspace_id": "w"
    }
    "#);
}

#[test]
fn a_chat_says_what_is_asked_and_how_long_it_waits() {
    let shown = |approval_mode: i32| {
        let waiting = proto::Chat {
            status: proto::ChatStatus::RequiresAction.into(),
            approval_mode,
            action_expires_at: Some(prost_types::Timestamp { seconds: 300, nanos: 0 }),
            ..chat()
        };
        serde_json::to_value(Chat::from(waiting)).unwrap()
    };
    let modes = [0, 1, 2, 3, 99].map(|mode| shown(mode)["approval_mode"].clone());
    assert_eq!(modes, ["never", "never", "risky", "always", "always"]);
    assert_eq!(shown(1)["action_expires_at"], "1970-01-01T00:05:00Z");
}

#[test]
fn every_status_has_a_word_clients_know() {
    use proto::ChatStatus;
    let words: Vec<&str> = [
        ChatStatus::Waiting,
        ChatStatus::Pending,
        ChatStatus::Running,
        ChatStatus::Interrupting,
        ChatStatus::RequiresAction,
        ChatStatus::Error,
    ]
    .into_iter()
    .map(|found| status(found.into()))
    .collect();
    assert_eq!(
        words,
        ["waiting", "pending", "running", "running", "requires_action", "error"]
    );
}
