use super::*;

#[test]
fn a_user_has_the_shape_clients_know() {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let user = proto::User {
        id: "u".to_owned(),
        username: "ada".to_owned(),
        email: "ada@example.com".to_owned(),
        name: "Ada".to_owned(),
        is_admin: true,
        status: proto::UserStatus::Active.into(),
        created_at: at(1),
        updated_at: at(2),
        organization_ids: vec!["o".to_owned()],
        has_password: true,
        ..Default::default()
    };
    insta::assert_json_snapshot!(User::from(user), @r#"
    {
      "id": "u",
      "username": "ada",
      "name": "Ada",
      "email": "ada@example.com",
      "avatar_url": "",
      "created_at": "1970-01-01T00:00:01Z",
      "updated_at": "1970-01-01T00:00:02Z",
      "last_seen_at": "0001-01-01T00:00:00Z",
      "status": "active",
      "login_type": "password",
      "organization_ids": [
        "o"
      ],
      "roles": [
        {
          "name": "owner",
          "display_name": "Owner"
        }
      ]
    }
    "#);
}

#[test]
fn a_token_is_listed_without_its_secret() {
    let token = proto::ApiToken {
        id: "abcdefghij".to_owned(),
        user_id: "u".to_owned(),
        name: "ci".to_owned(),
        lifetime: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        ..Default::default()
    };
    insta::assert_json_snapshot!(ApiKey::from(token), @r#"
    {
      "id": "abcdefghij",
      "user_id": "u",
      "token_name": "ci",
      "created_at": "0001-01-01T00:00:00Z",
      "updated_at": "0001-01-01T00:00:00Z",
      "expires_at": "0001-01-01T00:00:00Z",
      "last_used": "0001-01-01T00:00:00Z",
      "lifetime_seconds": 60,
      "login_type": "token",
      "scope": "all"
    }
    "#);
}
