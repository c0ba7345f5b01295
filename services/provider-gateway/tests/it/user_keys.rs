//! Users' own keys: whose is used, who may bring one, and how all of them are sealed anew.

use tandem_chassis::status::Fault;
use tandem_proto::provider::v1::{
    DeleteUserProviderKeyRequest, ListCatalogRequest, ListUserProviderKeysRequest, Provider, RotateSealingKeyRequest,
    RotateSealingKeyResponse, SetUserProviderKeyRequest, UpdateProviderRequest, UserProviderKey,
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    vendor::{HELLO, Reply, Vendor},
    world::{World, finished},
};

const CENTRAL: &str = "sk-canary-central-0001";
const OWN: &str = "sk-canary-of-mia-0002";

/// Nobody special.
const MIA: Uuid = Uuid::from_u128(77);
const BOB: Uuid = Uuid::from_u128(78);

async fn set(world: &World, who: Uuid, provider: &Provider, key: &str) -> Result<UserProviderKey, Status> {
    let message = SetUserProviderKeyRequest {
        user_id: who.to_string(),
        provider_id_or_name: provider.name.clone(),
        api_key: key.to_owned(),
    };
    let set = world
        .admin
        .clone()
        .set_user_provider_key(world.as_user(who, message))
        .await?;
    Ok(set.into_inner().key.unwrap())
}

async fn allow(world: &World, provider: &Provider, central: bool, users: bool, fallback: bool) {
    let change = UpdateProviderRequest {
        id_or_name: provider.id.clone(),
        uses_central_keys: Some(central),
        allows_user_keys: Some(users),
        allows_central_fallback: Some(fallback),
        ..UpdateProviderRequest::default()
    };
    let changed = world.update(change).await.unwrap().key_policy.unwrap();
    assert_eq!(
        (
            changed.uses_central_keys,
            changed.allows_user_keys,
            changed.allows_central_fallback
        ),
        (central, users, fallback)
    );
}

/// The key a completion of this user came with, or why there was none.
async fn used(world: &World, vendor: &Vendor, who: Uuid, model: &str) -> Result<String, String> {
    vendor.stream(HELLO);
    match world.complete_for(who, Uuid::new_v4(), model, "hi").await {
        Ok(events) => {
            assert!(finished(&events.all().await).is_some());
            Ok(vendor.asked().last().unwrap().key.clone())
        }
        Err(status) => {
            vendor.forget();
            Err(Fault::from(status).reason.into_owned())
        }
    }
}

async fn available(world: &World, who: Uuid) -> (bool, String) {
    let request = world.as_user(who, ListCatalogRequest {});
    let catalog = world.admin.clone().list_catalog(request).await.unwrap().into_inner();
    let entry = &catalog.providers[0];
    (entry.is_available, entry.unavailable_reason.clone())
}

#[tokio::test]
async fn a_users_own_key_comes_first_and_the_providers_where_it_is_allowed() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &[CENTRAL]).await;
    let model = world.model(&provider, "");
    assert_eq!(used(&world, &vendor, MIA, &model).await.unwrap(), CENTRAL);

    allow(&world, &provider, true, true, false).await;
    let missing = used(&world, &vendor, MIA, &model).await.unwrap_err();
    assert_eq!(missing, "USER_KEY_REQUIRED");
    assert_eq!(
        available(&world, MIA).await,
        (false, "user_api_key_required".to_owned())
    );

    let shown = set(&world, MIA, &provider, OWN).await.unwrap();
    assert!(shown.has_user_key && shown.is_allowed && !shown.has_central_key);
    assert_eq!(shown.masked, "sk-…0002");
    assert_eq!(used(&world, &vendor, MIA, &model).await.unwrap(), OWN);
    assert_eq!(available(&world, MIA).await, (true, String::new()));
    assert_eq!(
        used(&world, &vendor, BOB, &model).await.unwrap_err(),
        "USER_KEY_REQUIRED"
    );

    allow(&world, &provider, true, true, true).await;
    assert_eq!(used(&world, &vendor, BOB, &model).await.unwrap(), CENTRAL);
    assert_eq!(used(&world, &vendor, MIA, &model).await.unwrap(), OWN);

    allow(&world, &provider, true, false, false).await;
    assert_eq!(
        used(&world, &vendor, MIA, &model).await.unwrap(),
        CENTRAL,
        "own keys are off"
    );
}

#[tokio::test]
async fn what_is_stored_is_sealed_and_what_a_vendor_repeats_is_hidden() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &[CENTRAL]).await;
    let model = world.model(&provider, "");
    allow(&world, &provider, true, true, false).await;
    set(&world, MIA, &provider, OWN).await.unwrap();
    let stored = world.storage.user_keys.lock().unwrap()[0].clone();
    assert!(!stored.sealed.is_empty() && !format!("{stored:?}").contains("canary"));
    assert!(!stored.sealed.windows(6).any(|bytes| bytes == b"canary"));

    vendor.reply(Reply::Status(
        401,
        r#"{"error":{"message":"bad key sk-canary-of-mia-0002"}}"#,
    ));
    let events = world.complete_for(MIA, Uuid::new_v4(), &model, "hi").await.unwrap();
    let events = events.all().await;
    assert!(!format!("{events:?}").contains("canary"), "{events:?}");
    // It is the user's, so it is none of the administrators' business.
    let health = world.health(&provider).await;
    assert_eq!(health.keys.len(), 1);
    assert_eq!(health.keys[0].last_error, "");
    assert_eq!(
        used(&world, &vendor, MIA, &model).await.unwrap(),
        OWN,
        "it does not rest"
    );
}

#[tokio::test]
async fn a_key_is_listed_and_removed_and_both_as_often_as_one_likes() {
    let world = World::start().await;
    let (_, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &[CENTRAL]).await;
    allow(&world, &provider, true, true, true).await;
    set(&world, MIA, &provider, OWN).await.unwrap();
    set(&world, MIA, &provider, "sk-canary-of-mia-0003").await.unwrap();
    let list = || async {
        let message = ListUserProviderKeysRequest {
            user_id: MIA.to_string(),
        };
        let listed = world
            .admin
            .clone()
            .list_user_provider_keys(world.as_user(MIA, message))
            .await;
        let mut keys = listed.unwrap().into_inner().keys;
        assert_eq!(keys.len(), 1);
        keys.remove(0)
    };
    let key = list().await;
    assert_eq!((key.provider_name.as_str(), key.masked.as_str()), ("p0", "sk-…0003"));
    assert!(key.has_user_key && key.has_central_key && key.is_allowed && key.is_provider_enabled);
    for _ in 0..2 {
        let message = DeleteUserProviderKeyRequest {
            user_id: MIA.to_string(),
            provider_id_or_name: provider.id.clone(),
        };
        let deleted = world
            .admin
            .clone()
            .delete_user_provider_key(world.as_user(MIA, message))
            .await;
        deleted.unwrap();
    }
    let key = list().await;
    assert!(!key.has_user_key && key.masked.is_empty());
}

#[tokio::test]
async fn who_may_not_bring_a_key_is_told_why() {
    let reason = |refused: Result<UserProviderKey, Status>| Fault::from(refused.unwrap_err()).reason.into_owned();
    let world = World::start().await;
    let (_, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &[CENTRAL]).await;
    assert_eq!(reason(set(&world, MIA, &provider, OWN).await), "BYOK_DISABLED");
    allow(&world, &provider, true, true, false).await;
    for bad in ["", " sk", "sk\n", &"x".repeat(10_241)] {
        assert_eq!(
            reason(set(&world, MIA, &provider, bad).await),
            "INVALID_PROVIDER",
            "{bad:?}"
        );
    }
    let nobody = Provider {
        name: "nobody".to_owned(),
        ..provider.clone()
    };
    assert!(set(&world, MIA, &nobody, OWN).await.is_err());
    let others = SetUserProviderKeyRequest {
        user_id: BOB.to_string(),
        provider_id_or_name: provider.id.clone(),
        api_key: OWN.to_owned(),
    };
    let refused = world
        .admin
        .clone()
        .set_user_provider_key(world.as_user(MIA, others))
        .await;
    assert_eq!(Fault::from(refused.unwrap_err()).reason, "USER_NOT_FOUND");
    let off = UpdateProviderRequest {
        id_or_name: provider.id.clone(),
        is_enabled: Some(false),
        ..UpdateProviderRequest::default()
    };
    world.update(off).await.unwrap();
    assert_eq!(reason(set(&world, MIA, &provider, OWN).await), "PROVIDER_DISABLED");
}

#[tokio::test]
async fn a_deployment_can_switch_them_off_whatever_providers_say() {
    let world = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = world.provider("openai", &base, &[CENTRAL]).await;
    let model = world.model(&provider, "");
    allow(&world, &provider, true, true, false).await;
    set(&world, MIA, &provider, OWN).await.unwrap();
    let without = World::start_on(world.storage.clone(), |config| config.allow_user_keys = false).await;
    assert_eq!(used(&without, &vendor, MIA, &model).await.unwrap(), CENTRAL);
    let refused = set(&without, MIA, &provider, OWN).await.unwrap_err();
    assert_eq!(Fault::from(refused).reason, "BYOK_DISABLED");
}

#[tokio::test]
async fn all_keys_move_under_the_present_key_encryption_key_and_the_old_one_can_go() {
    let (old, new) = ("ab".repeat(32), "cd".repeat(32));
    let before = World::start().await;
    let (vendor, base) = Vendor::start().await;
    let provider = before
        .provider("openai", &base, &[CENTRAL, "sk-canary-second-0004"])
        .await;
    let model = before.model(&provider, "");
    allow(&before, &provider, true, true, true).await;
    set(&before, MIA, &provider, OWN).await.unwrap();

    let both = World::start_on(before.storage.clone(), |config| {
        config.kek = Some(new.as_str().into());
        config.previous_keks = vec![old.as_str().into()];
    })
    .await;
    assert_eq!(used(&both, &vendor, MIA, &model).await.unwrap(), OWN);
    let rotate = || async {
        let request = both.as_admin(RotateSealingKeyRequest {});
        both.admin
            .clone()
            .rotate_sealing_key(request)
            .await
            .unwrap()
            .into_inner()
    };
    let rotated = |resealed, current| RotateSealingKeyResponse {
        resealed,
        current,
        unreadable: 0,
    };
    assert_eq!(rotate().await, rotated(3, 0));
    assert_eq!(rotate().await, rotated(0, 3), "a second time changes nothing");

    let after = World::start_on(before.storage.clone(), |config| config.kek = Some(new.as_str().into())).await;
    assert_eq!(used(&after, &vendor, MIA, &model).await.unwrap(), OWN);
    assert_eq!(used(&after, &vendor, BOB, &model).await.unwrap(), CENTRAL);
    // Who only has the old one opens nothing any more, and seals nothing anew.
    let stale = World::start_on(before.storage.clone(), |_| {}).await;
    assert_eq!(used(&stale, &vendor, MIA, &model).await.unwrap_err(), "KEYS_UNREADABLE");
    let request = stale.as_admin(RotateSealingKeyRequest {});
    let stuck = stale
        .admin
        .clone()
        .rotate_sealing_key(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!((stuck.resealed, stuck.unreadable), (0, 3));
    let refused = stale
        .admin
        .clone()
        .rotate_sealing_key(stale.as_member(RotateSealingKeyRequest {}))
        .await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::PermissionDenied);
}
