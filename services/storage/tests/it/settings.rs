//! Providers, models, settings.

use tandem_chassis::identity::ServiceName::ProviderGateway;
use tandem_chassis::identity::User;
use tandem_proto::common::v1::ModelConfig;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::harness::{Harness, reason};

pub async fn provider(world: &Harness, admin: &User, name: &str) -> Provider {
    let key = ProviderKey {
        id: Uuid::now_v7().to_string(),
        masked: "sk-…1".to_owned(),
        sealed: vec![7; 40],
        created_at: None,
    };
    let provider = Provider {
        id: Uuid::now_v7().to_string(),
        r#type: "demo".to_owned(),
        name: name.to_owned(),
        is_enabled: true,
        keys: vec![key],
        sealed_settings: vec![9; 8],
        ..Provider::default()
    };
    let message = CreateProviderRequest {
        provider: Some(provider),
    };
    let stored = world
        .settings
        .clone()
        .create_provider(world.by(ProviderGateway, admin, message))
        .await
        .unwrap();
    stored.into_inner().provider.unwrap()
}

pub async fn model(world: &Harness, admin: &User, provider: &str, name: &str) -> Result<ModelConfig, tonic::Status> {
    let model_config = Some(ModelConfig {
        provider_id: provider.to_owned(),
        model: name.to_owned(),
        is_enabled: true,
        context_limit: 1_000,
        compression_threshold: 70,
        ..ModelConfig::default()
    });
    let message = CreateModelConfigRequest { model_config };
    let stored = world
        .settings
        .clone()
        .create_model_config(world.as_user(admin, message))
        .await?;
    Ok(stored.into_inner().model_config.unwrap())
}

pub async fn default(world: &Harness, user: &User) -> String {
    let message = GetModelConfigRequest { id: String::new() };
    let found = world
        .settings
        .clone()
        .get_model_config(world.as_user(user, message))
        .await
        .unwrap();
    found.into_inner().model_config.unwrap().model
}

#[tokio::test]
async fn only_provider_gateway_writes_and_reads_ciphertext() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let stored = provider(&world, &admin, "demo").await;
    assert_eq!(stored.keys[0].sealed, vec![7; 40]);
    let mut settings = world.settings.clone();
    let get = GetProviderRequest {
        id_or_name: "demo".to_owned(),
    };
    let seen = settings
        .get_provider(world.as_user(&admin, get))
        .await
        .unwrap()
        .into_inner()
        .provider
        .unwrap();
    assert_eq!(seen.keys[0].masked, "sk-…1");
    assert!(seen.keys[0].sealed.is_empty() && seen.sealed_settings.is_empty());
    let write = CreateProviderRequest {
        provider: Some(stored.clone()),
    };
    assert_eq!(
        reason(settings.create_provider(world.as_user(&admin, write.clone())).await),
        "SERVICE_NOT_ALLOWED"
    );
    let twin = Provider {
        id: Uuid::now_v7().to_string(),
        keys: Vec::new(),
        ..stored
    };
    let write = CreateProviderRequest { provider: Some(twin) };
    let taken = settings.create_provider(world.by(ProviderGateway, &admin, write)).await;
    assert_eq!(reason(taken), "PROVIDER_NAME_TAKEN");
}

#[tokio::test]
async fn the_wanted_set_of_keys_inserts_keeps_and_deletes() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let stored = provider(&world, &admin, "demo").await;
    let fresh = ProviderKey {
        id: Uuid::now_v7().to_string(),
        sealed: vec![8; 40],
        ..ProviderKey::default()
    };
    let kept = ProviderKey {
        sealed: Vec::new(),
        ..stored.keys[0].clone()
    };
    let update = |keys: Vec<ProviderKey>| {
        let keys = Some(ProviderKeySet { keys });
        let message = UpdateProviderRequest {
            id: stored.id.clone(),
            keys,
            ..UpdateProviderRequest::default()
        };
        let message = world.by(ProviderGateway, &admin, message);
        let mut settings = world.settings.clone();
        async move {
            settings
                .update_provider(message)
                .await
                .unwrap()
                .into_inner()
                .provider
                .unwrap()
                .keys
        }
    };
    let both = update(vec![kept, fresh.clone()]).await;
    assert_eq!(both.iter().map(|key| key.sealed[0]).collect::<Vec<_>>(), [7, 8]);
    let one = update(vec![ProviderKey {
        sealed: Vec::new(),
        ..fresh
    }])
    .await;
    assert_eq!(one.iter().map(|key| key.sealed[0]).collect::<Vec<_>>(), [8]);
}

#[tokio::test]
async fn there_is_one_default_model_and_another_takes_its_place() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let nowhere = model(&world, &admin, &Uuid::new_v4().to_string(), "lost").await;
    assert_eq!(reason(nowhere), "PROVIDER_UNAVAILABLE");
    let provider = provider(&world, &admin, "demo").await.id;
    let one = model(&world, &admin, &provider, "one").await.unwrap();
    assert!(one.is_default);
    let two = model(&world, &admin, &provider, "two").await.unwrap();
    assert!(!two.is_default);
    let mut settings = world.settings.clone();
    let unset = UpdateModelConfigRequest {
        id: one.id.clone(),
        is_default: Some(false),
        ..Default::default()
    };
    settings
        .update_model_config(world.as_user(&admin, unset))
        .await
        .unwrap();
    assert_eq!(default(&world, &admin).await, "two");
    settings
        .delete_model_config(world.as_user(&admin, DeleteModelConfigRequest { id: two.id.clone() }))
        .await
        .unwrap();
    assert_eq!(default(&world, &admin).await, "one");
    let got = settings
        .get_model_config(world.as_user(&admin, GetModelConfigRequest { id: two.id }))
        .await
        .unwrap();
    assert!(got.into_inner().model_config.unwrap().is_deleted);
}

#[tokio::test]
async fn members_see_the_models_they_can_use() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let provider = provider(&world, &admin, "demo").await.id;
    model(&world, &admin, &provider, "one").await.unwrap();
    let off = model(&world, &admin, &provider, "off").await.unwrap();
    let mut settings = world.settings.clone();
    let message = UpdateModelConfigRequest {
        id: off.id,
        is_enabled: Some(false),
        ..Default::default()
    };
    settings
        .update_model_config(world.as_user(&admin, message))
        .await
        .unwrap();
    for (user, count) in [(&admin, 2), (&mia, 1)] {
        let listed = settings
            .list_model_configs(world.as_user(user, ListModelConfigsRequest {}))
            .await
            .unwrap();
        assert_eq!(listed.into_inner().model_configs.len(), count);
    }
}

#[tokio::test]
async fn settings_are_the_deployments_or_a_users_own() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let mut settings = world.settings.clone();
    let set = |scope: SettingScope, text: &str| SetSettingRequest {
        scope: scope.into(),
        key: "prompt".to_owned(),
        value_json: text.to_owned(),
    };
    let refused = settings
        .set_setting(world.as_user(&mia, set(SettingScope::Deployment, "1")))
        .await;
    assert_eq!(reason(refused), "ADMIN_ONLY");
    settings
        .set_setting(world.as_user(&mia, set(SettingScope::User, "\"hers\"")))
        .await
        .unwrap();
    for (user, expected) in [(&mia, "\"hers\""), (&admin, "")] {
        let get = GetSettingRequest {
            scope: SettingScope::User.into(),
            key: "prompt".to_owned(),
        };
        let got = settings
            .get_setting(world.as_user(user, get))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(got.value_json, expected);
    }
    let broken = settings
        .set_setting(world.as_user(&mia, set(SettingScope::User, "{")))
        .await;
    assert_eq!(reason(broken), "INVALID_REQUEST");
}
