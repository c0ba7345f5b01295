use tandem_proto::provider::v1::KeyMutation;

use super::*;
use crate::outbound;

fn checker() -> Checker {
    Checker::new(Policy::new(&outbound::Config::default()))
}

fn create(change: impl FnOnce(&mut CreateProviderRequest)) -> Result<Wanted, Vec<String>> {
    let mut request = CreateProviderRequest {
        r#type: "openai-compat".to_owned(),
        name: "my-server".to_owned(),
        base_url: "http://127.0.0.1:8000/v1".to_owned(),
        api_keys: vec!["sk-one".to_owned()],
        ..CreateProviderRequest::default()
    };
    change(&mut request);
    checker().create(request).map_err(fields)
}

fn fields(fault: Fault) -> Vec<String> {
    fault.violations.into_iter().map(|violation| violation.field).collect()
}

fn refused(change: impl FnOnce(&mut CreateProviderRequest)) -> Vec<String> {
    create(change).unwrap_err()
}

fn row() -> storage::Provider {
    storage::Provider {
        r#type: "openai".to_owned(),
        name: "mine".to_owned(),
        base_url: "https://api.openai.com/v1".to_owned(),
        keys: vec![storage::ProviderKey {
            id: "k1".to_owned(),
            ..storage::ProviderKey::default()
        }],
        ..storage::Provider::default()
    }
}

fn update(request: UpdateProviderRequest) -> Result<Change, Vec<String>> {
    checker().update(request, &row()).map_err(fields)
}

fn keys(keys: &[(&str, &str)]) -> Option<KeyMutationSet> {
    let key = |(id, api_key): &(&str, &str)| KeyMutation {
        id: (*id).to_owned(),
        api_key: (*api_key).to_owned(),
    };
    Some(KeyMutationSet {
        keys: keys.iter().map(key).collect(),
    })
}

#[test]
fn a_good_provider_is_accepted_and_named_for_people() {
    let wanted = create(|_| {}).unwrap();
    assert_eq!(
        (wanted.kind, wanted.display_name.as_str()),
        (Kind::OpenAiCompat, "my-server")
    );
    assert_eq!(wanted.base_url, "http://127.0.0.1:8000/v1");
}

#[test]
fn each_bad_field_is_named() {
    assert_eq!(refused(|request| request.r#type = "cohere".to_owned()), ["type"]);
    for name in ["", "My", "a--b", "-a", "a-", "a_b", "ä", &"a".repeat(65)] {
        assert_eq!(refused(|request| request.name = name.to_owned()), ["name"], "{name}");
    }
    for url in [
        "",
        "localhost:8000",
        "/v1",
        "ftp://host/v1",
        "file:///etc/passwd",
        "http://",
        "https://user:pass@host/v1",
        "https://host/v1?key=x",
        "https://host/v1#x",
        "http://169.254.169.254/",
        "http://metadata.google.internal/",
    ] {
        assert_eq!(
            refused(|request| request.base_url = url.to_owned()),
            ["base_url"],
            "{url}"
        );
    }
    for key in ["", " sk", "sk ", "a\nb", &"x".repeat(10_241)] {
        assert_eq!(
            refused(|request| request.api_keys = vec![key.to_owned()]),
            ["api_keys[0]"],
            "{key}"
        );
    }
    assert_eq!(
        refused(|request| request.api_keys = (0..33).map(|key| key.to_string()).collect()),
        ["api_keys"]
    );
    assert_eq!(
        refused(|request| request.api_keys = vec!["a".to_owned(), "a".to_owned()]),
        ["api_keys"]
    );
    for settings in ["[]", "x", "{\"access_key\": \"x\"}"] {
        let field = refused(|request| request.settings_json = settings.to_owned());
        assert!(field[0].starts_with("settings"), "{settings}");
    }
}

#[test]
fn what_is_asked_with_users_own_credentials_has_no_keys() {
    for (kind, name) in [("copilot", "copilot-business"), ("openai", "chatgpt")] {
        let of_kind = |request: &mut CreateProviderRequest| {
            request.r#type = kind.to_owned();
            request.name = name.to_owned();
            request.base_url = String::new();
        };
        assert_eq!(refused(of_kind), ["api_keys"], "{name}");
        let wanted = create(|request| {
            of_kind(request);
            request.api_keys.clear();
        });
        let at = Kind::find(kind).and_then(|kind| kind.default_base_url(name)).unwrap();
        assert_eq!(wanted.unwrap().base_url.trim_end_matches('/'), at);
        let row = storage::Provider {
            r#type: kind.to_owned(),
            name: name.to_owned(),
            ..row()
        };
        let change = |keys| UpdateProviderRequest {
            api_keys: keys,
            ..UpdateProviderRequest::default()
        };
        let refused = checker().update(change(keys(&[("", "sk-new")])), &row).map_err(fields);
        assert_eq!(refused.unwrap_err(), ["api_keys"], "{name}");
        assert!(checker().update(change(keys(&[])), &row).is_ok());
    }
}

#[test]
fn all_violations_are_told_at_once() {
    let all = refused(|request| {
        request.name = "A".to_owned();
        request.base_url = "x".to_owned();
        request.api_keys = vec![String::new()];
    });
    assert_eq!(all, ["name", "base_url", "api_keys[0]"]);
}

#[test]
fn known_vendors_need_no_address_and_the_demo_needs_no_key() {
    let openai = create(|request| {
        request.r#type = "openai".to_owned();
        request.base_url = String::new();
    });
    assert_eq!(openai.unwrap().base_url, "https://api.openai.com/v1");
    let demo = |keys: Vec<String>| {
        create(|request| {
            request.r#type = "demo".to_owned();
            request.base_url = String::new();
            request.api_keys = keys;
        })
    };
    assert_eq!(demo(Vec::new()).unwrap().base_url, "");
    assert_eq!(demo(vec!["k".to_owned()]).unwrap_err(), ["api_keys"]);
    let azure = refused(|request| {
        request.r#type = "azure".to_owned();
        request.base_url = String::new();
    });
    assert_eq!(azure, ["base_url"]);
}

#[test]
fn a_new_origin_drops_keys_that_are_not_entered_again() {
    for url in [
        "https://evil.example/v1",
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
    ] {
        let moved = |api_keys| UpdateProviderRequest {
            base_url: Some(url.to_owned()),
            api_keys,
            ..UpdateProviderRequest::default()
        };
        assert_eq!(update(moved(None)).unwrap().keys, Some(Vec::new()), "{url}");
        let kept_and_new = update(moved(keys(&[("k1", ""), ("", "sk-new")]))).unwrap().keys;
        assert_eq!(
            kept_and_new,
            Some(vec![KeyChange::Insert("sk-new".to_owned())]),
            "{url}"
        );
    }
    for url in ["https://api.openai.com/v2", "https://API.openai.com:443/v1"] {
        let request = UpdateProviderRequest {
            base_url: Some(url.to_owned()),
            ..UpdateProviderRequest::default()
        };
        assert_eq!(update(request).unwrap().keys, None, "{url}");
    }
}

#[test]
fn key_changes_are_checked() {
    let change = |set| {
        update(UpdateProviderRequest {
            api_keys: set,
            ..UpdateProviderRequest::default()
        })
    };
    assert_eq!(change(keys(&[])).unwrap().keys, Some(Vec::new()));
    assert_eq!(
        change(keys(&[("k1", "")])).unwrap().keys,
        Some(vec![KeyChange::Keep("k1".to_owned())])
    );
    assert_eq!(change(keys(&[("k2", "")])).unwrap_err(), ["api_keys[0].id"]);
    assert_eq!(change(keys(&[("k1", "sk")])).unwrap_err(), ["api_keys[0]"]);
    assert_eq!(change(keys(&[("", "")])).unwrap_err(), ["api_keys[0]"]);
    assert_eq!(change(keys(&[("k1", ""), ("k1", "")])).unwrap_err(), ["api_keys"]);
    assert_eq!(update(UpdateProviderRequest::default()).unwrap_err(), ["provider"]);
}

#[test]
fn an_empty_display_name_falls_back_to_the_name() {
    let request = UpdateProviderRequest {
        display_name: Some(" ".to_owned()),
        ..UpdateProviderRequest::default()
    };
    assert_eq!(update(request).unwrap().display_name.as_deref(), Some("mine"));
}

#[test]
fn nothing_prints_a_key() {
    assert!(!format!("{:?}", KeyChange::Insert("canary".to_owned())).contains("canary"));
}

#[test]
fn there_must_be_a_key_to_use_and_a_fallback_needs_two_sources() {
    let policy = |uses_central_keys, allows_user_keys, allows_central_fallback| tandem_proto::common::v1::KeyPolicy {
        uses_central_keys,
        allows_user_keys,
        allows_central_fallback,
    };
    let created =
        |central, users, fallback| create(|request| request.key_policy = Some(policy(central, users, fallback)));
    for (central, users, fallback) in [
        (true, false, false),
        (true, true, false),
        (true, true, true),
        (false, true, false),
    ] {
        assert!(
            created(central, users, fallback).is_ok(),
            "{central} {users} {fallback}"
        );
    }
    assert_eq!(created(false, false, false).unwrap_err(), ["central_api_key_enabled"]);
    for (central, users) in [(true, false), (false, true)] {
        assert_eq!(
            created(central, users, true).unwrap_err(),
            ["allow_central_api_key_fallback"]
        );
    }
    assert_eq!(create(|_| {}).unwrap().policy, credentials::Policy::default());
}

#[test]
fn a_change_of_policy_keeps_what_it_does_not_name() {
    let change = update(UpdateProviderRequest {
        allows_user_keys: Some(true),
        ..UpdateProviderRequest::default()
    });
    let expected = credentials::Policy {
        allows_users: true,
        ..credentials::Policy::default()
    };
    assert_eq!(change.unwrap().policy, Some(expected));
    let unchanged = update(UpdateProviderRequest {
        uses_central_keys: Some(true),
        ..UpdateProviderRequest::default()
    });
    assert_eq!(unchanged.unwrap().policy, None);
    let off = update(UpdateProviderRequest {
        uses_central_keys: Some(false),
        ..UpdateProviderRequest::default()
    });
    assert_eq!(off.unwrap_err(), ["central_api_key_enabled"]);
}

#[test]
fn completions_at_once_have_a_bound() {
    for (count, is_fine) in [(0, true), (10_000, true), (-1, false), (10_001, false)] {
        let created = create(|request| request.max_concurrent = count);
        assert_eq!(created.is_ok(), is_fine, "{count}");
        let changed = update(UpdateProviderRequest {
            max_concurrent: Some(count),
            ..UpdateProviderRequest::default()
        });
        assert_eq!(changed.is_ok(), is_fine, "{count}");
    }
}
