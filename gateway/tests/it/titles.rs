//! Titles that a model makes on request, and the model chosen for them: what is asked of whom, and how answers and failures look.

use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::{
    common::v1::{Chat, ModelConfig},
    orchestrator::v1::{ProposeTitleRequest, ProposeTitleResponse, RegenerateTitleRequest, RegenerateTitleResponse},
    storage::v1::{
        GetModelConfigRequest, GetModelConfigResponse, GetSettingRequest, GetSettingResponse, SetSettingRequest,
        SetSettingResponse, SettingScope,
    },
};
use uuid::Uuid;

use crate::world::{ADA, ADMINS_TOKEN, Answer, CHAT, COMMANDS, World, answer};

const SETTINGS: &str = "tandem.storage.v1.SettingsService";
const OVERRIDE: &str = "/api/v1/chats/config/model-override/title_generation";
const MODEL: Uuid = Uuid::from_u128(0x30de1);

async fn as_admin(world: &World, method: Method, path: &str, body: &Value) -> Answer {
    answer(world.request(method, path).bearer_auth(ADMINS_TOKEN).json(body)).await
}

/// How each way to ask for a title is answered when making one ends so.
async fn failures(fault: impl Fn() -> Fault + Clone + Send + Sync + 'static) -> Vec<(u16, Value)> {
    let world = World::start().await;
    let (regenerate, propose) = (fault.clone(), fault);
    let method = format!("{COMMANDS}/RegenerateTitle");
    world.stubs.on(&method, move |_: RegenerateTitleRequest| {
        Err::<RegenerateTitleResponse, _>(regenerate())
    });
    let method = format!("{COMMANDS}/ProposeTitle");
    world.stubs.on(&method, move |_: ProposeTitleRequest| {
        Err::<ProposeTitleResponse, _>(propose())
    });
    let mut seen = Vec::new();
    for action in ["regenerate", "propose"] {
        let path = format!("/api/v1/chats/{CHAT}/title/{action}");
        let got = world.send(Method::POST, &path, &json!({})).await;
        seen.push((got.status, got.json["message"].clone()));
    }
    seen
}

#[tokio::test]
async fn a_chat_is_named_anew_for_whoever_asks_and_shown_as_it_is_then() {
    let world = World::start().await;
    let method = format!("{COMMANDS}/RegenerateTitle");
    world.stubs.on(&method, |request: RegenerateTitleRequest| {
        assert_eq!(request.chat_id, CHAT.to_string());
        let chat = Chat {
            id: request.chat_id,
            title: "Tides and moons".to_owned(),
            ..Chat::default()
        };
        Ok(RegenerateTitleResponse { chat: Some(chat) })
    });
    for prefix in ["/api/v1", "/api/experimental", "/api/v2"] {
        let path = format!("{prefix}/chats/{CHAT}/title/regenerate");
        let got = world.send(Method::POST, &path, &json!({})).await;
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(got.json["title"], "Tides and moons");
        assert_eq!(got.json["id"], CHAT.to_string());
    }
    let asked = world.stubs.calls("RegenerateTitle");
    let whose: Vec<_> = asked.into_iter().map(|call| call.user.unwrap().id).collect();
    assert_eq!(whose, [ADA; 3]);
}

#[tokio::test]
async fn a_title_is_proposed_without_changing_anything() {
    let world = World::start().await;
    let method = format!("{COMMANDS}/ProposeTitle");
    world.stubs.on(&method, |_: ProposeTitleRequest| {
        Ok(ProposeTitleResponse {
            title: "Tides".to_owned(),
        })
    });
    let path = format!("/api/v1/chats/{CHAT}/title/propose");
    let got = world.send(Method::POST, &path, &json!({})).await;
    assert_eq!((got.status, got.json), (200, json!({ "title": "Tides" })));
    assert_eq!(world.stubs.calls("RegenerateTitle").len(), 0);

    let nobody = answer(world.request(Method::POST, &path)).await;
    assert_eq!(nobody.status, 401);
    let path = "/api/v1/chats/not-a-chat/title/propose";
    assert_eq!(world.send(Method::POST, path, &json!({})).await.status, 400);
    assert_eq!(world.stubs.calls("ProposeTitle").len(), 1);
}

#[tokio::test]
async fn a_title_that_cannot_be_made_is_refused_with_what_stands_in_its_way() {
    let failed = || Fault::unavailable("TITLE_FAILED", "no model gave a title");
    assert_eq!(failures(failed).await[0], (502, json!("No model gave a title.")));
    assert_eq!(failures(failed).await[1].0, 502);

    let away = || Fault::unavailable("DATABASE_UNREACHABLE", "the database cannot be reached");
    let pending = || Fault::conflict("TITLE_PENDING", "a title is being made already");
    let limit = || Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "the spend limit is reached");
    let missing = || Fault::not_found("CHAT_NOT_FOUND", "there is no such chat");
    let statuses = |seen: Vec<(u16, Value)>| seen.into_iter().map(|(status, _)| status).collect::<Vec<_>>();
    assert_eq!(statuses(failures(away).await), [503; 2]);
    assert_eq!(statuses(failures(pending).await), [409; 2]);
    assert_eq!(statuses(failures(limit).await), [409; 2]);
    assert_eq!(statuses(failures(missing).await), [404; 2]);
}

#[tokio::test]
async fn the_model_chosen_for_titles_is_shown_to_administrators_only() {
    let world = World::start().await;
    let stored = Arc::new(Mutex::new(String::new()));
    let method = format!("{SETTINGS}/GetSetting");
    let tell = Arc::clone(&stored);
    world.stubs.on(&method, move |request: GetSettingRequest| {
        assert_eq!(request.scope(), SettingScope::Deployment);
        assert_eq!(request.key, "model_override:title_generation");
        Ok(GetSettingResponse {
            value_json: tell.lock().unwrap().clone(),
        })
    });
    assert_eq!(world.get(OVERRIDE).await.status, 404);
    assert_eq!(world.stubs.calls("GetSetting").len(), 0);

    for (kept, model, is_malformed) in [
        (String::new(), String::new(), false),
        (format!("\"{MODEL}\""), MODEL.to_string(), false),
        ("\"gpt\"".to_owned(), String::new(), true),
        ("{}".to_owned(), String::new(), true),
    ] {
        stored.lock().unwrap().clone_from(&kept);
        let got = as_admin(&world, Method::GET, OVERRIDE, &Value::Null).await;
        let shown = json!({"context": "title_generation", "model_config_id": model, "is_malformed": is_malformed});
        assert_eq!((got.status, got.json), (200, shown), "{kept}");
    }
    let other = "/api/v1/chats/config/model-override/something_else";
    assert_eq!(as_admin(&world, Method::GET, other, &Value::Null).await.status, 400);
}

#[tokio::test]
async fn a_model_is_chosen_for_titles_if_it_can_be_used() {
    let world = World::start().await;
    let model = Arc::new(Mutex::new(ModelConfig {
        id: MODEL.to_string(),
        is_enabled: true,
        is_provider_enabled: true,
        ..ModelConfig::default()
    }));
    let method = format!("{SETTINGS}/GetModelConfig");
    let known = Arc::clone(&model);
    world.stubs.on(&method, move |request: GetModelConfigRequest| {
        if request.id != MODEL.to_string() {
            return Err(Fault::not_found("MODEL_NOT_FOUND", "there is no such model"));
        }
        Ok(GetModelConfigResponse {
            model_config: Some(known.lock().unwrap().clone()),
            ..GetModelConfigResponse::default()
        })
    });
    let stored = Arc::new(Mutex::new(Vec::new()));
    let method = format!("{SETTINGS}/SetSetting");
    let keep = Arc::clone(&stored);
    world.stubs.on(&method, move |request: SetSettingRequest| {
        keep.lock().unwrap().push((request.key, request.value_json));
        Ok(SetSettingResponse::default())
    });
    let choose = |id: String| json!({ "model_config_id": id });

    let got = world.send(Method::PUT, OVERRIDE, &choose(MODEL.to_string())).await;
    assert_eq!(got.status, 403, "{}", got.text);
    let unknown = Uuid::from_u128(1).to_string();
    for refused in [choose("gpt".to_owned()), choose(unknown)] {
        let got = as_admin(&world, Method::PUT, OVERRIDE, &refused).await;
        assert_eq!(got.status, 400, "{refused}: {}", got.text);
    }
    for spoil in [
        |model: &mut ModelConfig| model.is_enabled = false,
        |model: &mut ModelConfig| model.is_provider_enabled = false,
        |model: &mut ModelConfig| model.is_deleted = true,
    ] {
        let sound = model.lock().unwrap().clone();
        spoil(&mut model.lock().unwrap());
        let got = as_admin(&world, Method::PUT, OVERRIDE, &choose(MODEL.to_string())).await;
        assert_eq!(got.status, 400, "{}", got.text);
        *model.lock().unwrap() = sound;
    }
    assert_eq!(*stored.lock().unwrap(), [], "something refused was stored");

    for chosen in [choose(MODEL.to_string()), choose(String::new()), json!({})] {
        let got = as_admin(&world, Method::PUT, OVERRIDE, &chosen).await;
        assert_eq!((got.status, got.text.as_str()), (204, ""), "{chosen}");
    }
    let key = || "model_override:title_generation".to_owned();
    let expected = [
        (key(), format!("\"{MODEL}\"")),
        (key(), String::new()),
        (key(), String::new()),
    ];
    assert_eq!(*stored.lock().unwrap(), expected);
}
