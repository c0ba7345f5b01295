//! Limits and costs: shapes, who may see them, and what is refused before anybody is asked.

use reqwest::Method;
use serde_json::{Value, json};
use tandem_chassis::status::Fault;
use tandem_proto::orchestrator::v1::RegenerateTitleRequest;
use tandem_proto::storage::v1::*;
use uuid::Uuid;

use crate::world::{ADA, ADMINS_TOKEN, Answer, CHAT, COMMANDS, World, answer};

const USAGE: &str = "tandem.storage.v1.UsageService";
const PREFIXES: [&str; 3] = ["/api/v1", "/api/experimental", "/api/v2"];
const GROUP: Uuid = Uuid::from_u128(0x66);

async fn as_admin(world: &World, method: Method, path: &str, body: &Value) -> Answer {
    answer(world.request(method, path).bearer_auth(ADMINS_TOKEN).json(body)).await
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn costs(micros: i64) -> Option<Costs> {
    Some(Costs {
        cost_micros: micros,
        call_count: 3,
        priced_call_count: 2,
        input_tokens: 1,
        output_tokens: 2,
        cache_read_tokens: 3,
        cache_creation_tokens: 4,
        runtime: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
    })
}

/// The members every object about costs has.
fn with_costs(micros: i64, mut object: Value) -> Value {
    let sums = json!({
        "total_cost_micros": micros, "total_input_tokens": 1, "total_output_tokens": 2, "total_cache_read_tokens": 3,
        "total_cache_creation_tokens": 4, "total_runtime_ms": 1500,
    });
    for (name, value) in sums.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

#[tokio::test]
async fn the_callers_standing_is_told_below_every_prefix() {
    let world = World::start().await;
    world
        .stubs
        .on(&format!("{USAGE}/GetSpendStatus"), |_: GetSpendStatusRequest| {
            Ok(GetSpendStatusResponse { status: None })
        });
    for prefix in PREFIXES {
        let got = world.get(&format!("{prefix}/chats/usage-limits/status")).await;
        assert_eq!(got.status, 200, "{}", got.text);
        assert_eq!(
            got.json,
            json!({"is_limited": false, "current_spend": 0, "period_start": "0001-01-01T00:00:00Z",
                "period_end": "0001-01-01T00:00:00Z"})
        );
    }
    world
        .stubs
        .on(&format!("{USAGE}/GetSpendStatus"), |_: GetSpendStatusRequest| {
            Ok(GetSpendStatusResponse {
                status: Some(SpendStatus {
                    period: SpendPeriod::Week.into(),
                    limit_micros: 500,
                    spent_micros: 20,
                    reserved_micros: 7,
                    period_start: at(0),
                    period_end: at(86_400),
                }),
            })
        });
    let got = world.get("/api/v1/chats/usage-limits/status").await;
    assert_eq!(
        got.json,
        json!({"is_limited": true, "period": "week", "spend_limit_micros": 500, "current_spend": 20,
            "period_start": "1970-01-01T00:00:00Z", "period_end": "1970-01-02T00:00:00Z"})
    );
}

#[tokio::test]
async fn limits_are_shown_and_set_by_administrators() {
    let world = World::start().await;
    world
        .stubs
        .on(&format!("{USAGE}/GetSpendLimits"), |_: GetSpendLimitsRequest| {
            Ok(GetSpendLimitsResponse {
                limit: None,
                unpriced_model_count: 2,
                users: vec![UserSpendLimit {
                    user_id: ADA.to_string(),
                    username: "ada".to_owned(),
                    name: "ADA".to_owned(),
                    limit_micros: 9,
                }],
                organizations: vec![OrganizationSpendLimit {
                    organization_id: GROUP.to_string(),
                    name: "lab".to_owned(),
                    display_name: "Lab".to_owned(),
                    member_count: 4,
                    limit_micros: 8,
                }],
            })
        });
    world
        .stubs
        .on(&format!("{USAGE}/SetSpendLimit"), |request: SetSpendLimitRequest| {
            let limit = SpendLimit {
                limit_micros: request.limit_micros,
                period: match request.period() {
                    SpendPeriod::Unspecified => SpendPeriod::Month.into(),
                    period => period.into(),
                },
                updated_at: at(0),
            };
            Ok(SetSpendLimitResponse { limit: Some(limit) })
        });
    for prefix in PREFIXES {
        let path = format!("{prefix}/chats/usage-limits");
        assert_eq!(world.get(&path).await.status, 403);
        let got = as_admin(&world, Method::GET, &path, &Value::Null).await;
        let user = json!({"user_id": ADA, "username": "ada", "name": "ADA", "avatar_url": "", "spend_limit_micros": 9});
        let group = json!({"group_id": GROUP, "group_name": "lab", "group_display_name": "Lab", "group_avatar_url": "",
            "member_count": 4, "spend_limit_micros": 8});
        assert_eq!(
            got.json,
            json!({"spend_limit_micros": null, "period": "", "updated_at": "0001-01-01T00:00:00Z",
                "unpriced_model_count": 2, "overrides": [user], "group_overrides": [group]})
        );
        for (body, status) in [
            (json!({"spend_limit_micros": 5, "period": "day"}), 200),
            (json!({"spend_limit_micros": null}), 200),
            (json!({"spend_limit_micros": 0, "period": "day"}), 400),
            (json!({"spend_limit_micros": -1, "period": "day"}), 400),
            (json!({"spend_limit_micros": 5}), 400),
            (json!({"spend_limit_micros": 5, "period": "year"}), 400),
            (json!({"spend_limit_micros": "5", "period": "day"}), 400),
        ] {
            if !body["spend_limit_micros"].is_string() {
                assert_eq!(world.send(Method::PUT, &path, &body).await.status, 403);
            }
            let got = as_admin(&world, Method::PUT, &path, &body).await;
            assert_eq!(got.status, status, "{body}: {}", got.text);
            if status == 200 {
                let period = body["period"].as_str().unwrap_or("month");
                let expected = json!({"spend_limit_micros": body["spend_limit_micros"], "period": period,
                    "updated_at": "1970-01-01T00:00:00Z"});
                assert_eq!(got.json, expected);
            }
        }
    }
}

#[tokio::test]
async fn overrides_of_nobody_are_missing_and_those_that_are_not_there_cannot_be_removed() {
    let world = World::start().await;
    let nobody = || Fault::not_found("USER_NOT_FOUND", "There is no such user.");
    world.stubs.on(
        &format!("{USAGE}/SetUserSpendLimit"),
        move |request: SetUserSpendLimitRequest| match request.user_id == ADA.to_string() {
            true => Ok(SetUserSpendLimitResponse {
                limit: Some(UserSpendLimit {
                    user_id: request.user_id,
                    username: "ada".to_owned(),
                    name: String::new(),
                    limit_micros: request.limit_micros,
                }),
            }),
            false => Err(nobody()),
        },
    );
    let unset = |request: DeleteUserSpendLimitRequest| match request.user_id == ADA.to_string() {
        true => Ok(DeleteUserSpendLimitResponse {}),
        false => Err(Fault::not_found("SPEND_LIMIT_NOT_FOUND", "There is no such limit.")),
    };
    world.stubs.on(&format!("{USAGE}/DeleteUserSpendLimit"), unset);
    world.stubs.on(
        &format!("{USAGE}/SetOrganizationSpendLimit"),
        |_: SetOrganizationSpendLimitRequest| -> Result<SetOrganizationSpendLimitResponse, Fault> {
            Err(Fault::not_found(
                "ORGANIZATION_NOT_FOUND",
                "There is no such organization.",
            ))
        },
    );
    world.stubs.on(
        &format!("{USAGE}/DeleteOrganizationSpendLimit"),
        |_: DeleteOrganizationSpendLimitRequest| Ok(DeleteOrganizationSpendLimitResponse {}),
    );
    let (users, groups) = ("/chats/usage-limits/overrides", "/chats/usage-limits/group-overrides");
    for prefix in PREFIXES {
        for (method, path, micros, status) in [
            (Method::PUT, format!("{users}/{ADA}"), 7, 200),
            (Method::PUT, format!("{users}/{ADA}"), 0, 400),
            (Method::PUT, format!("{users}/ada"), 7, 400),
            (Method::PUT, format!("{users}/{GROUP}"), 7, 404),
            (Method::DELETE, format!("{users}/{ADA}"), 0, 204),
            (Method::DELETE, format!("{users}/{GROUP}"), 0, 400),
            (Method::DELETE, format!("{users}/ada"), 0, 400),
            (Method::PUT, format!("{groups}/{GROUP}"), 7, 404),
            (Method::PUT, format!("{groups}/{GROUP}"), -7, 400),
            (Method::PUT, format!("{groups}/lab"), 7, 400),
            (Method::DELETE, format!("{groups}/{GROUP}"), 0, 204),
        ] {
            let (path, body) = (format!("{prefix}{path}"), json!({ "spend_limit_micros": micros }));
            let got = as_admin(&world, method.clone(), &path, &body).await;
            assert_eq!(got.status, status, "{method} {path} {micros}: {}", got.text);
            assert_eq!(world.send(method, &path, &body).await.status, 403, "{path}");
            if status == 200 {
                assert_eq!(
                    got.json,
                    json!({"user_id": ADA, "username": "ada", "name": "", "avatar_url": "", "spend_limit_micros": 7})
                );
            }
        }
    }
}

#[tokio::test]
async fn a_summary_of_costs_is_ones_own_or_an_administrators_to_see() {
    let world = World::start().await;
    world
        .stubs
        .on(&format!("{USAGE}/GetSpendStatus"), |_: GetSpendStatusRequest| {
            Ok(GetSpendStatusResponse::default())
        });
    world
        .stubs
        .on(&format!("{USAGE}/GetCostSummary"), |request: GetCostSummaryRequest| {
            assert_eq!(request.user_id, ADA.to_string());
            Ok(GetCostSummaryResponse {
                total: costs(60),
                models: vec![ModelCosts {
                    model_config_id: GROUP.to_string(),
                    display_name: "Big".to_owned(),
                    provider_type: "openai".to_owned(),
                    model: "big-1".to_owned(),
                    costs: costs(60),
                }],
                chats: vec![ChatCosts {
                    root_chat_id: CHAT.to_string(),
                    title: "Hello".to_owned(),
                    costs: costs(60),
                }],
            })
        });
    let asked = "start_date=2026-01-01T00:00:00Z&end_date=2026-02-01T00:00:00Z";
    for prefix in PREFIXES {
        let got = world.get(&format!("{prefix}/chats/cost/me/summary?{asked}")).await;
        assert_eq!(got.status, 200, "{}", got.text);
        let model = json!({"model_config_id": GROUP, "display_name": "Big", "provider": "openai", "model": "big-1",
            "message_count": 3});
        let chat = json!({"root_chat_id": CHAT, "chat_title": "Hello", "message_count": 3});
        let expected = json!({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-02-01T00:00:00Z",
            "priced_message_count": 2, "unpriced_message_count": 1,
            "by_model": [with_costs(60, model)], "by_chat": [with_costs(60, chat)]});
        assert_eq!(got.json, with_costs(60, expected));
    }
    for (query, status) in [
        (String::new(), 200),
        (format!("?start_date=&{}", "end_date=2026-02-01T00:00:00Z"), 200),
        ("?start_date=yesterday".to_owned(), 400),
        (format!("?{asked}&start_date=2026-01-01T00:00:00Z"), 400),
        (
            "?start_date=2026-03-01T00:00:00Z&end_date=2026-02-01T00:00:00Z".to_owned(),
            400,
        ),
        ("?from=2026-03-01T00:00:00Z".to_owned(), 400),
    ] {
        let got = world.get(&format!("/api/v1/chats/cost/ada/summary{query}")).await;
        assert_eq!(got.status, status, "{query}: {}", got.text);
    }
    let path = format!("/api/v1/chats/cost/{ADA}/summary");
    assert_eq!(as_admin(&world, Method::GET, &path, &Value::Null).await.status, 200);
    for other in ["admin", &GROUP.to_string()] {
        assert_eq!(
            world.get(&format!("/api/v1/chats/cost/{other}/summary")).await.status,
            403
        );
    }
}

#[tokio::test]
async fn the_costs_of_all_are_listed_for_administrators() {
    let world = World::start().await;
    world
        .stubs
        .on(&format!("{USAGE}/ListUserCosts"), |request: ListUserCostsRequest| {
            let user = UserCosts {
                user_id: ADA.to_string(),
                username: format!("{}/{}/{}", request.search, request.limit, request.offset),
                name: "Ada".to_owned(),
                chat_count: 2,
                costs: costs(60),
            };
            Ok(ListUserCostsResponse {
                users: vec![user],
                count: 21,
            })
        });
    let path = "/chats/cost/users?end_date=2026-01-31T00:00:00Z&username=a&limit=5&offset=20";
    for prefix in PREFIXES {
        assert_eq!(world.get(&format!("{prefix}{path}")).await.status, 403);
        let got = as_admin(&world, Method::GET, &format!("{prefix}{path}"), &Value::Null).await;
        let user = json!({"user_id": ADA, "username": "a/5/20", "name": "Ada", "avatar_url": "", "message_count": 3,
            "chat_count": 2});
        assert_eq!(
            got.json,
            json!({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-01-31T00:00:00Z", "count": 21,
                "users": [with_costs(60, user)]})
        );
    }
    for (query, status) in [
        ("limit=0", 200),
        ("limit=-3", 200),
        ("limit=x", 400),
        ("limit=2147483648", 400),
        ("offset=-1", 400),
        ("offset=2147483648", 400),
        ("user=a", 400),
    ] {
        let got = as_admin(
            &world,
            Method::GET,
            &format!("/api/v1/chats/cost/users?{query}"),
            &Value::Null,
        )
        .await;
        assert_eq!(got.status, status, "{query}: {}", got.text);
    }
}

#[tokio::test]
async fn a_reached_limit_is_a_conflict_with_its_numbers_wherever_it_is_met() {
    fn reached<T>() -> Result<T, Fault> {
        Err(
            Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "You have reached your spend limit.")
                .with("spent_micros", 120)
                .with("limit_micros", 100)
                .with("resets_at", "2026-03-02T00:00:00Z"),
        )
    }
    let world = World::start().await;
    let on = |method: &str| format!("{COMMANDS}/{method}");
    world.stubs.on(&on("CreateChat"), |_: CreateChatRequest| {
        reached::<CreateChatResponse>()
    });
    world.stubs.on(&on("SendMessage"), |_: SendMessageRequest| {
        reached::<SendMessageResponse>()
    });
    world.stubs.on(&on("EditMessage"), |_: EditMessageRequest| {
        reached::<EditMessageResponse>()
    });
    world.stubs.on(&on("RegenerateTitle"), |_: RegenerateTitleRequest| {
        reached::<tandem_proto::orchestrator::v1::RegenerateTitleResponse>()
    });
    let content = json!([{"type": "text", "text": "hi"}]);
    for prefix in PREFIXES {
        for (method, path, body) in [
            (
                Method::POST,
                "/chats".to_owned(),
                json!({"organization_id": crate::world::ORGANIZATION, "content": content}),
            ),
            (
                Method::POST,
                format!("/chats/{CHAT}/messages"),
                json!({"content": content}),
            ),
            (
                Method::PATCH,
                format!("/chats/{CHAT}/messages/1"),
                json!({"content": content}),
            ),
            (Method::POST, format!("/chats/{CHAT}/title/regenerate"), json!({})),
        ] {
            let got = world.send(method, &format!("{prefix}{path}"), &body).await;
            assert_eq!(got.status, 409, "{path}: {}", got.text);
            assert_eq!(
                got.json,
                json!({"message": "You have reached your spend limit.", "spent_micros": 120, "limit_micros": 100,
                    "resets_at": "2026-03-02T00:00:00Z"})
            );
        }
    }
}
