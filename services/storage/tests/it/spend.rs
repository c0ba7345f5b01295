//! Spend limits: who has which, what is set aside under them, and who is refused.

use tandem_chassis::identity::ServiceName::{Orchestrator, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_proto::common::v1::Usage;
use tandem_proto::storage::v1::*;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::harness::{Harness, reason};
use crate::stage::{Stage, says, sends};

mod costs;
mod reservations;
mod retention;

/// One method for each thing an administrator, or a user, asks.
macro_rules! as_user {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        impl Harness {
            $(
                async fn $method(&self, user: &User, message: $request) -> Result<$response, Status> {
                    let request = self.as_user(user, message);
                    self.usage.clone().$method(request).await.map(Response::into_inner)
                }
            )*
        }
    };
}

as_user! {
    get_spend_status(GetSpendStatusRequest) -> GetSpendStatusResponse;
    get_spend_limits(GetSpendLimitsRequest) -> GetSpendLimitsResponse;
    set_spend_limit(SetSpendLimitRequest) -> SetSpendLimitResponse;
    set_user_spend_limit(SetUserSpendLimitRequest) -> SetUserSpendLimitResponse;
    delete_user_spend_limit(DeleteUserSpendLimitRequest) -> DeleteUserSpendLimitResponse;
    set_organization_spend_limit(SetOrganizationSpendLimitRequest) -> SetOrganizationSpendLimitResponse;
    delete_organization_spend_limit(DeleteOrganizationSpendLimitRequest) -> DeleteOrganizationSpendLimitResponse;
    get_cost_summary(GetCostSummaryRequest) -> GetCostSummaryResponse;
    list_user_costs(ListUserCostsRequest) -> ListUserCostsResponse;
}

impl Harness {
    async fn limit(&self, admin: &User, micros: i64, period: SpendPeriod) {
        let message = SetSpendLimitRequest {
            limit_micros: Some(micros),
            period: period.into(),
        };
        self.set_spend_limit(admin, message).await.unwrap();
    }

    async fn limit_of(&self, admin: &User, user: &User, micros: i64) {
        let message = SetUserSpendLimitRequest {
            user_id: user.id.to_string(),
            limit_micros: micros,
        };
        self.set_user_spend_limit(admin, message).await.unwrap();
    }

    async fn limit_in(&self, admin: &User, organization: Uuid, micros: i64) {
        let message = SetOrganizationSpendLimitRequest {
            organization_id: organization.to_string(),
            limit_micros: micros,
        };
        self.set_organization_spend_limit(admin, message).await.unwrap();
    }

    async fn status(&self, user: &User) -> Option<SpendStatus> {
        let answer = self.get_spend_status(user, GetSpendStatusRequest {}).await.unwrap();
        answer.status
    }

    /// What the status says of limit and spend.
    async fn numbers(&self, user: &User) -> Option<(i64, i64)> {
        let status = self.status(user).await?;
        Some((status.limit_micros, status.spent_micros))
    }

    async fn settle(&self, records: Vec<UsageRecord>) -> Result<(), Status> {
        let message = SettleSpendRequest {
            records,
            released_completion_ids: Vec::new(),
        };
        self.usage
            .clone()
            .settle_spend(self.of(ProviderGateway, message))
            .await
            .map(|_| ())
    }

    /// A user has spent so much outside chats.
    async fn spend(&self, user: &User, micros: i64) -> String {
        let record = record(user, micros);
        let id = record.completion_id.clone();
        self.settle(vec![record]).await.unwrap();
        id
    }

    /// Another organisation, with this member.
    async fn organization(&self, admin: &User, name: &str, member: &User) -> Uuid {
        let message = CreateOrganizationRequest {
            name: name.to_owned(),
            display_name: String::new(),
        };
        let created = self
            .users
            .clone()
            .create_organization(self.as_user(admin, message))
            .await
            .unwrap();
        let organization_id = created.into_inner().organization.unwrap().id;
        let message = AddMemberRequest {
            organization_id: organization_id.clone(),
            user_id: member.id.to_string(),
        };
        self.users
            .clone()
            .add_member(self.as_user(admin, message))
            .await
            .unwrap();
        organization_id.parse().unwrap()
    }
}

fn record(user: &User, micros: i64) -> UsageRecord {
    UsageRecord {
        completion_id: Uuid::new_v4().to_string(),
        owner_id: user.id.to_string(),
        model_config_id: Uuid::from_u128(7).to_string(),
        provider_type: "demo".to_owned(),
        model: "demo".to_owned(),
        purpose: "answer".to_owned(),
        usage: Some(Usage {
            input_tokens: Some(10),
            output_tokens: Some(4),
            ..Usage::default()
        }),
        cost_micros: Some(micros),
        ..UsageRecord::default()
    }
}

#[tokio::test]
async fn limits_are_set_shown_and_removed_by_administrators() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let before = world.get_spend_limits(&admin, GetSpendLimitsRequest {}).await.unwrap();
    assert_eq!(before, GetSpendLimitsResponse::default(), "nobody has set one");

    world.limit(&admin, 500, SpendPeriod::Week).await;
    world.limit_of(&admin, &mia, 900).await;
    world.limit_of(&admin, &mia, 901).await;
    world.limit_in(&admin, mia.organization_ids[0], 700).await;
    let limits = world.get_spend_limits(&admin, GetSpendLimitsRequest {}).await.unwrap();
    let limit = limits.limit.unwrap();
    assert_eq!((limit.limit_micros, limit.period()), (Some(500), SpendPeriod::Week));
    let users: Vec<_> = limits
        .users
        .iter()
        .map(|it| (it.username.as_str(), it.limit_micros))
        .collect();
    assert_eq!(users, [("mia", 901)]);
    let organizations: Vec<_> = limits
        .organizations
        .iter()
        .map(|it| (it.organization_id.clone(), it.member_count, it.limit_micros))
        .collect();
    assert_eq!(organizations, [(mia.organization_ids[0].to_string(), 2, 700)]);

    // Off and on again: the period and the other limits stay.
    let off = world
        .set_spend_limit(&admin, SetSpendLimitRequest::default())
        .await
        .unwrap()
        .limit
        .unwrap();
    assert_eq!((off.limit_micros, off.period()), (None, SpendPeriod::Week));
    assert_eq!(world.status(&mia).await, None);
    world.limit(&admin, 500, SpendPeriod::Unspecified).await;
    assert_eq!(world.status(&mia).await.unwrap().period(), SpendPeriod::Week);

    let user_id = mia.id.to_string();
    let delete = || DeleteUserSpendLimitRequest {
        user_id: user_id.clone(),
    };
    world.delete_user_spend_limit(&admin, delete()).await.unwrap();
    assert_eq!(
        reason(world.delete_user_spend_limit(&admin, delete()).await),
        "SPEND_LIMIT_NOT_FOUND"
    );
    let organization_id = mia.organization_ids[0].to_string();
    let delete = || DeleteOrganizationSpendLimitRequest {
        organization_id: organization_id.clone(),
    };
    world.delete_organization_spend_limit(&admin, delete()).await.unwrap();
    let again = world.delete_organization_spend_limit(&admin, delete()).await;
    assert_eq!(reason(again), "SPEND_LIMIT_NOT_FOUND");
}

#[tokio::test]
async fn limits_are_above_zero_for_somebody_who_is_there_and_nobody_elses_business() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let nobody = Uuid::new_v4().to_string();
    let user = |user_id: &str, limit_micros| SetUserSpendLimitRequest {
        user_id: user_id.to_owned(),
        limit_micros,
    };
    let organization = |limit_micros| SetOrganizationSpendLimitRequest {
        organization_id: nobody.clone(),
        limit_micros,
    };
    let zero = SetSpendLimitRequest {
        limit_micros: Some(0),
        period: SpendPeriod::Day.into(),
    };
    assert_eq!(reason(world.set_spend_limit(&admin, zero).await), "INVALID_REQUEST");
    assert_eq!(
        reason(world.set_user_spend_limit(&admin, user(&mia.id.to_string(), 0)).await),
        "INVALID_REQUEST"
    );
    assert_eq!(
        reason(world.set_user_spend_limit(&admin, user(&nobody, 1)).await),
        "USER_NOT_FOUND"
    );
    assert_eq!(
        reason(world.set_organization_spend_limit(&admin, organization(1)).await),
        "ORGANIZATION_NOT_FOUND"
    );

    assert_eq!(
        reason(world.get_spend_limits(&mia, GetSpendLimitsRequest {}).await),
        "ADMIN_ONLY"
    );
    assert_eq!(reason(world.set_spend_limit(&mia, zero).await), "ADMIN_ONLY");
    assert_eq!(
        reason(world.set_user_spend_limit(&mia, user(&mia.id.to_string(), 1)).await),
        "ADMIN_ONLY"
    );
    let settle = world
        .usage
        .clone()
        .settle_spend(world.of(Orchestrator, SettleSpendRequest::default()))
        .await;
    assert_eq!(reason(settle), "SERVICE_NOT_ALLOWED");
}

#[tokio::test]
async fn the_users_own_limit_wins_over_the_lowest_of_their_organisations_and_that_over_the_deployments() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let lab = world.organization(&admin, "lab", &mia).await;
    world.spend(&mia, 30).await;
    world.limit_in(&admin, lab, 1_000).await;
    assert_eq!(world.status(&mia).await, None, "no limits at all");
    world.limit(&admin, 50, SpendPeriod::Month).await;
    // What was spent outside of the organisation does not count in it.
    assert_eq!(world.numbers(&mia).await, Some((1_000, 0)));
    world.limit_in(&admin, mia.organization_ids[0], 400).await;
    assert_eq!(world.numbers(&mia).await, Some((400, 0)));
    world.limit_of(&admin, &mia, 2_000).await;
    assert_eq!(world.numbers(&mia).await, Some((2_000, 30)));
    let noa = world.member(&admin, "noa").await;
    assert_eq!(world.numbers(&noa).await, Some((400, 0)));
}

/// How a stage's administrator is refused for each thing that costs money.
async fn refusals(stage: &Stage, chat: &str, message_id: i64) -> [Option<String>; 4] {
    let create = CreateChatRequest {
        organization_id: stage.admin.organization_ids[0].to_string(),
        message: says("new"),
        ..CreateChatRequest::default()
    };
    let edit = EditMessageRequest {
        chat_id: chat.to_owned(),
        message_id,
        message: says("other"),
    };
    let title = BeginTitleRequest {
        chat_id: chat.to_owned(),
    };
    let title = stage.world.by(Orchestrator, &stage.admin, title);
    let begun = stage.world.titles.clone().begin_title(title).await;
    let created = stage.create_chat(&stage.admin, create).await;
    let sent = stage
        .send_message(&stage.admin, sends(chat, "more", BusyBehavior::Queue))
        .await;
    let edited = stage.edit_message(&stage.admin, edit).await;
    [created.err(), sent.err(), edited.err(), begun.err()]
        .map(|refusal| refusal.map(|status| reason(Err::<(), _>(status))))
}

#[tokio::test]
async fn whoever_has_spent_the_limit_begins_nothing_and_what_was_admitted_goes_on() {
    let stage = Stage::start().await;
    let turn = stage.running("first").await;
    stage.send(&turn.chat, "queued").await.unwrap();
    let snapshot = stage.snapshot(&turn.chat).await;
    let message_id = snapshot.messages[0].id;

    stage.world.limit(&stage.admin, 100, SpendPeriod::Month).await;
    stage.world.spend(&stage.admin, 99).await;
    stage.send(&turn.chat, "the last").await.unwrap();
    stage.world.spend(&stage.admin, 1).await;
    let refused = refusals(&stage, &turn.chat, message_id).await;
    assert_eq!(refused, [(); 4].map(|()| Some("USAGE_LIMIT_EXCEEDED".to_owned())));

    let fault = tandem_chassis::status::Fault::from(stage.send(&turn.chat, "more").await.unwrap_err());
    assert_eq!(fault.code, tandem_chassis::status::Code::WrongState);
    assert_eq!(
        (
            fault.metadata["spent_micros"].as_str(),
            fault.metadata["limit_micros"].as_str()
        ),
        ("100", "100")
    );
    assert!(
        fault.metadata["resets_at"].ends_with("-01T00:00:00Z"),
        "{}",
        fault.metadata["resets_at"]
    );
    // The queue was admitted before.
    stage.finish(&turn, "Done.").await;
    let after = stage.snapshot(&turn.chat).await;
    assert_eq!(crate::stage::waiting_texts(&after.queue), ["the last"]);

    // Somebody else is not concerned.
    let mia = stage.world.member(&stage.admin, "mia").await;
    stage.chat_of(&mia, "hers").await;
    // Off is off.
    stage
        .world
        .set_spend_limit(&stage.admin, SetSpendLimitRequest::default())
        .await
        .unwrap();
    stage.send(&turn.chat, "more").await.unwrap();
}

#[tokio::test]
async fn a_limit_in_an_organisation_counts_what_was_spent_there() {
    let stage = Stage::start().await;
    let lab = stage.world.organization(&stage.admin, "lab", &stage.admin).await;
    let there = User {
        organization_ids: vec![lab],
        ..stage.admin.clone()
    };
    let chat = stage.chat_of(&there, "in the lab").await;
    let elsewhere = stage.chat("elsewhere").await;
    stage.world.limit(&stage.admin, 1_000, SpendPeriod::Day).await;
    stage.world.limit_in(&stage.admin, lab, 50).await;
    let of_chat = UsageRecord {
        chat_id: chat.id.clone(),
        ..record(&stage.admin, 60)
    };
    stage.world.settle(vec![of_chat]).await.unwrap();
    assert_eq!(
        reason(
            stage
                .send_message(&there, sends(&chat.id, "more", BusyBehavior::Queue))
                .await
        ),
        "USAGE_LIMIT_EXCEEDED"
    );
    stage.send(&elsewhere, "more").await.unwrap();
    stage.world.spend(&stage.admin, 940).await;
    assert_eq!(reason(stage.send(&elsewhere, "more").await), "USAGE_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn a_new_period_begins_with_nothing_spent() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let id: Uuid = world.spend(&mia, 70).await.parse().unwrap();
    for (period, name) in [
        (SpendPeriod::Day, "day"),
        (SpendPeriod::Week, "week"),
        (SpendPeriod::Month, "month"),
    ] {
        world.limit(&admin, 100, period).await;
        // The first and the last moment of the present period, and those beside it, by the database's clock.
        for (moment, spent) in [
            ("date_trunc($2, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'", 70),
            (
                "date_trunc($2, now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 microsecond'",
                0,
            ),
        ] {
            let statement = format!("UPDATE usage_records SET ended_at = {moment} WHERE completion_id = $1");
            let moved = sqlx::query(sqlx::AssertSqlSafe(statement))
                .bind(id)
                .bind(name)
                .execute(&world.pool)
                .await;
            assert_eq!(moved.unwrap().rows_affected(), 1);
            assert_eq!(world.numbers(&mia).await, Some((100, spent)), "{name} {moment}");
        }
        let status = world.status(&mia).await.unwrap();
        assert_eq!(status.period(), period);
        let (start, end) = (status.period_start.unwrap(), status.period_end.unwrap());
        let now: i64 = sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert!((start.seconds..end.seconds).contains(&now));
        assert_eq!(start.seconds % 86_400, 0, "periods begin at midnight in UTC");
        let days = (end.seconds - start.seconds) / 86_400;
        match period {
            SpendPeriod::Day => assert_eq!(days, 1),
            // The epoch was a Thursday.
            SpendPeriod::Week => assert_eq!((days, (start.seconds / 86_400 + 3) % 7), (7, 0)),
            SpendPeriod::Month | SpendPeriod::Unspecified => assert!((28..=31).contains(&days), "{days}"),
        }
    }
}
