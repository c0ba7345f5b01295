//! Providers as administrators manage them.

use tandem_chassis::status::Fault;
use tandem_proto::provider::v1::{
    CreateProviderRequest, DeleteProviderRequest, GetProviderRequest, KeyMutation, KeyMutationSet, ListCatalogRequest,
    ListProvidersRequest, TestProviderRequest, UpdateProviderRequest,
};
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Vendor},
    world::{World, text_of},
};

const SECRET: &str = "sk-canary-0123456789f3Qa";

#[tokio::test]
async fn keys_go_in_sealed_and_never_come_out() {
    let world = World::start().await;
    let provider = world.provider("openai", "", &[SECRET]).await;
    assert_eq!(provider.keys[0].masked, "sk-…f3Qa");
    assert_eq!(provider.base_url, "https://api.openai.com/v1");

    let stored = world.storage.providers.lock().unwrap()[&provider.id].clone();
    assert!(!stored.keys[0].sealed.is_empty());
    assert!(!stored.keys[0].sealed.windows(6).any(|bytes| bytes == b"canary"));
    let message = GetProviderRequest {
        id_or_name: provider.name.clone(),
    };
    let shown = world.admin.clone().get_provider(world.as_admin(message)).await.unwrap();
    assert!(!format!("{shown:?}").contains("canary"));
}

#[tokio::test]
async fn only_administrators_manage_providers() {
    let world = World::start().await;
    let refused = world
        .admin
        .clone()
        .list_providers(world.as_member(ListProvidersRequest {}))
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
    let catalog = world
        .admin
        .clone()
        .list_catalog(world.as_member(ListCatalogRequest {}))
        .await;
    assert!(catalog.unwrap().into_inner().providers.is_empty());
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let world = World::start().await;
    let message = CreateProviderRequest {
        r#type: "openai-compat".to_owned(),
        name: "No Name".to_owned(),
        base_url: "ftp://x".to_owned(),
        api_keys: vec![" key".to_owned()],
        ..CreateProviderRequest::default()
    };
    let refused = world
        .admin
        .clone()
        .create_provider(world.as_admin(message))
        .await
        .unwrap_err();
    let fault = Fault::from(refused);
    let fields: Vec<&str> = fault
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert!(fields.contains(&"name") && fields.contains(&"base_url"), "{fields:?}");
    assert!(fields.iter().any(|field| field.starts_with("api_keys")), "{fields:?}");
}

#[tokio::test]
async fn keys_stay_with_their_host() {
    let world = World::start().await;
    let provider = world
        .provider("openai-compat", "http://127.0.0.1:9/v1", &[SECRET])
        .await;
    let update = |base_url: &str, api_keys| UpdateProviderRequest {
        id_or_name: provider.id.clone(),
        base_url: Some(base_url.to_owned()),
        api_keys,
        ..UpdateProviderRequest::default()
    };
    let change = |message| {
        let request = world.as_admin(message);
        let mut admin = world.admin.clone();
        async move {
            admin
                .update_provider(request)
                .await
                .unwrap()
                .into_inner()
                .provider
                .unwrap()
        }
    };
    assert_eq!(change(update("http://127.0.0.1:9/v2", None)).await.keys.len(), 1);
    assert_eq!(change(update("http://127.0.0.1:10/v2", None)).await.keys.len(), 0);
    let new_key = KeyMutation {
        id: String::new(),
        api_key: "another-key-0123".to_owned(),
    };
    let keys = KeyMutationSet { keys: vec![new_key] };
    assert_eq!(
        change(update("http://127.0.0.1:11/v2", Some(keys))).await.keys[0].masked,
        "…0123"
    );
}

#[tokio::test]
async fn a_change_of_keys_is_seen_by_the_next_completion() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai-compat", &base, &["first-key-0123"]).await;
    let model = world.model(&provider, "");
    vendor.stream(HELLO);
    world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    let keys = KeyMutationSet {
        keys: vec![KeyMutation {
            id: String::new(),
            api_key: "second-key-0123".to_owned(),
        }],
    };
    let message = UpdateProviderRequest {
        id_or_name: provider.id.clone(),
        api_keys: Some(keys),
        ..UpdateProviderRequest::default()
    };
    world
        .admin
        .clone()
        .update_provider(world.as_admin(message))
        .await
        .unwrap();
    vendor.stream(HELLO);
    let events = world.complete(Uuid::new_v4(), &model, "hi").await.unwrap().all().await;
    assert_eq!(text_of(&events), "hello world");
    assert_eq!(vendor.asked()[1].key, "second-key-0123");
}

#[tokio::test]
async fn a_disabled_provider_or_a_missing_key_is_refused_by_name() {
    let world = World::start().await;
    let keyless = world.provider("openai", "http://127.0.0.1:9/v1", &[]).await;
    let model = world.model(&keyless, "");
    let refused = world.complete(Uuid::new_v4(), &model, "hi").await.err().unwrap();
    assert_eq!(Fault::from(refused).reason, "MISSING_KEY");

    let message = UpdateProviderRequest {
        id_or_name: keyless.id.clone(),
        is_enabled: Some(false),
        ..UpdateProviderRequest::default()
    };
    world
        .admin
        .clone()
        .update_provider(world.as_admin(message))
        .await
        .unwrap();
    let refused = world.complete(Uuid::new_v4(), &model, "hi").await.err().unwrap();
    assert_eq!(Fault::from(refused).reason, "PROVIDER_DISABLED");
}

#[tokio::test]
async fn a_test_says_what_is_wrong_in_words() {
    let world = World::start().await;
    let (_vendor, base) = Vendor::start().await;
    let test = |kind: &str, base_url: &str, api_key: &str| {
        let message = TestProviderRequest {
            provider_id: String::new(),
            r#type: kind.to_owned(),
            base_url: base_url.to_owned(),
            api_key: api_key.to_owned(),
        };
        let request = world.as_admin(message);
        let mut admin = world.admin.clone();
        async move { admin.test_provider(request).await.unwrap().into_inner() }
    };
    let good = test("openai-compat", &base, "good-key").await;
    assert!(good.is_ok, "{good:?}");
    assert_eq!(good.models, ["m-2", "m-1"], "in the server's order");
    let bad = test("openai-compat", &base, "bad-key").await;
    assert!(!bad.is_ok && bad.message.to_lowercase().contains("key"), "{bad:?}");
    assert!(!bad.message.contains("bad-key"));
    let nobody = test("openai-compat", "http://127.0.0.1:1/v1", "").await;
    assert!(!nobody.is_ok && !nobody.message.is_empty(), "{nobody:?}");
    assert!(test("demo", "", "").await.is_ok);
}

#[tokio::test]
async fn the_model_of_a_deleted_provider_counts_as_disabled() {
    let world = World::start().await;
    let provider = world.provider("demo", "", &[]).await;
    let model = world.model(&provider, "");
    let message = DeleteProviderRequest {
        id_or_name: provider.name.clone(),
    };
    world
        .admin
        .clone()
        .delete_provider(world.as_admin(message))
        .await
        .unwrap();
    let refused = world.complete(Uuid::new_v4(), &model, "hi").await.err().unwrap();
    assert_eq!(Fault::from(refused).reason, "PROVIDER_DISABLED");
    let refused = world
        .complete(Uuid::new_v4(), &Uuid::nil().to_string(), "hi")
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn a_key_that_cannot_be_opened_is_a_clear_error_of_its_provider_alone() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let first = world.provider("openai", &base, &["first-key-0123"]).await;
    let second = world.provider("openai", &base, &["second-key-0123"]).await;
    let (model, other_model) = (world.model(&first, ""), world.model(&second, ""));
    {
        let mut providers = world.storage.providers.lock().unwrap();
        let stolen = providers[&second.id].keys[0].sealed.clone();
        providers.get_mut(&first.id).unwrap().keys[0].sealed = stolen;
    }

    let refused = world.complete(Uuid::new_v4(), &model, "hi").await.err().unwrap();

    let fault = Fault::from(refused);
    assert_eq!(fault.reason, "KEYS_UNREADABLE");
    assert!(fault.message.contains(&first.name), "{fault}");
    let message = TestProviderRequest {
        provider_id: first.id.clone(),
        ..TestProviderRequest::default()
    };
    let report = world
        .admin
        .clone()
        .test_provider(world.as_admin(message))
        .await
        .unwrap()
        .into_inner();
    assert!(
        !report.is_ok && report.message.contains("cannot be opened"),
        "{report:?}"
    );
    vendor.stream(HELLO);
    let events = world
        .complete(Uuid::new_v4(), &other_model, "hi")
        .await
        .unwrap()
        .all()
        .await;
    assert_eq!(text_of(&events), "hello world");
    assert_eq!(vendor.asked().len(), 1, "nothing was asked with a foreign key");
}
