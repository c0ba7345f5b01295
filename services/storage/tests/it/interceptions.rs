//! What the bridge records: threads and sessions, whatever order things come in; who sees what; what is forgotten.

use tandem_chassis::identity::ServiceName::{Gateway, Orchestrator, ProviderGateway};
use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::harness::{Harness, reason};

mod lists;
mod threads;

/// Seconds of Unix time.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// One exchange with what was recorded of it. Its fields are what the tests look at.
#[derive(Clone)]
struct Exchange {
    id: Uuid,
    user: Uuid,
    started: i64,
    /// Tool calls in its answer.
    calls: Vec<String>,
    /// The call it answers.
    answers: String,
    session: String,
    model: String,
    provider: String,
    client: String,
    prompt: String,
    tokens: i64,
    is_ended: bool,
}

impl Exchange {
    /// Of `user`, that began then and ended a second later.
    fn new(user: &User, started: i64) -> Self {
        Self {
            id: Uuid::now_v7(),
            user: user.id,
            started,
            calls: Vec::new(),
            answers: String::new(),
            session: String::new(),
            model: "gpt-1".to_owned(),
            provider: "main".to_owned(),
            client: "Codex".to_owned(),
            prompt: String::new(),
            tokens: 0,
            is_ended: true,
        }
    }

    fn calling(mut self, calls: &[&str]) -> Self {
        self.calls = calls.iter().map(ToString::to_string).collect();
        self
    }

    fn answering(mut self, call: &str) -> Self {
        call.clone_into(&mut self.answers);
        self
    }

    fn in_session(mut self, session: &str) -> Self {
        session.clone_into(&mut self.session);
        self
    }

    fn asking(mut self, prompt: &str) -> Self {
        prompt.clone_into(&mut self.prompt);
        self
    }

    fn start(&self) -> Interception {
        Interception {
            id: self.id.to_string(),
            initiator_id: self.user.to_string(),
            credential_id: "token-1".to_owned(),
            provider_id: Uuid::from_u128(7).to_string(),
            provider_type: "openai".to_owned(),
            provider_name: self.provider.clone(),
            model: self.model.clone(),
            client: self.client.clone(),
            user_agent: "codex/1.0".to_owned(),
            client_session_id: self.session.clone(),
            correlating_tool_call_id: self.answers.clone(),
            credential_kind: CredentialKind::Centralized.into(),
            credential_hint: "sk-a...9f3c".to_owned(),
            started_at: at(self.started),
            ..Interception::default()
        }
    }

    fn end(&self) -> InterceptionEnd {
        InterceptionEnd {
            interception_id: self.id.to_string(),
            ended_at: at(self.started + 1),
            status: 200,
        }
    }

    fn tools(&self) -> Vec<ToolUsage> {
        let tool = |call: &String| ToolUsage {
            interception_id: self.id.to_string(),
            message_id: "m1".to_owned(),
            tool_name: "shell".to_owned(),
            tool_call_id: call.clone(),
            arguments_json: r#"{"command":"ls"}"#.to_owned(),
            created_at: at(self.started + 1),
            id: record_id(self.id, call),
            ..ToolUsage::default()
        };
        self.calls.iter().map(tool).collect()
    }

    /// All of it in one message.
    fn record(&self) -> RecordInterceptionsRequest {
        let prompt = UserPrompt {
            interception_id: self.id.to_string(),
            message_id: "m1".to_owned(),
            prompt: self.prompt.clone(),
            created_at: at(self.started),
            id: record_id(self.id, "prompt"),
        };
        let tokens = TokenUsage {
            interception_id: self.id.to_string(),
            message_id: "m1".to_owned(),
            input_tokens: self.tokens,
            output_tokens: 2 * self.tokens,
            cache_read_tokens: 3 * self.tokens,
            cache_write_tokens: 4 * self.tokens,
            extra: [("reasoning".to_owned(), 5)].into(),
            created_at: at(self.started + 1),
            id: record_id(self.id, "tokens"),
        };
        RecordInterceptionsRequest {
            starts: vec![self.start()],
            ends: Some(self.end()).filter(|_| self.is_ended).into_iter().collect(),
            user_prompts: Some(prompt).filter(|it| !it.prompt.is_empty()).into_iter().collect(),
            token_usages: Some(tokens).filter(|it| it.input_tokens > 0).into_iter().collect(),
            tool_usages: self.tools(),
            model_thoughts: Vec::new(),
        }
    }
}

/// The same for the same record, so that repeating it is repeating it.
fn record_id(interception: Uuid, what: &str) -> String {
    let mut bytes = *interception.as_bytes();
    for (at, byte) in what.bytes().enumerate() {
        bytes[at % 16] = bytes[at % 16].rotate_left(3) ^ byte;
    }
    Uuid::from_bytes(bytes).to_string()
}

/// Several messages as one.
fn together(all: impl IntoIterator<Item = RecordInterceptionsRequest>) -> RecordInterceptionsRequest {
    all.into_iter()
        .fold(RecordInterceptionsRequest::default(), |mut sum, more| {
            sum.starts.extend(more.starts);
            sum.ends.extend(more.ends);
            sum.token_usages.extend(more.token_usages);
            sum.user_prompts.extend(more.user_prompts);
            sum.tool_usages.extend(more.tool_usages);
            sum.model_thoughts.extend(more.model_thoughts);
            sum
        })
}

/// One method for each question of a user.
macro_rules! as_user {
    ($($method:ident($request:ident) -> $response:ident;)*) => {
        impl Harness {
            $(
                async fn $method(&self, user: &User, message: $request) -> Result<$response, Status> {
                    let request = self.as_user(user, message);
                    self.interceptions.clone().$method(request).await.map(Response::into_inner)
                }
            )*
        }
    };
}

as_user! {
    list_interceptions(ListInterceptionsRequest) -> ListInterceptionsResponse;
    list_sessions(ListSessionsRequest) -> ListSessionsResponse;
    get_session(GetSessionRequest) -> GetSessionResponse;
    list_interception_values(ListInterceptionValuesRequest) -> ListInterceptionValuesResponse;
}

impl Harness {
    async fn try_record(&self, message: RecordInterceptionsRequest) -> Result<(), Status> {
        let request = self.of(ProviderGateway, message);
        self.interceptions
            .clone()
            .record_interceptions(request)
            .await
            .map(|_| ())
    }

    async fn record(&self, exchanges: &[&Exchange]) {
        let all = exchanges.iter().map(|exchange| exchange.record());
        self.try_record(together(all)).await.unwrap();
    }

    async fn listed(&self, user: &User) -> Vec<InterceptionDetail> {
        let listed = self
            .list_interceptions(user, ListInterceptionsRequest::default())
            .await
            .unwrap();
        listed.interceptions
    }

    async fn rows(&self) -> Vec<(String, i64)> {
        sqlx::query_as(
            "SELECT 'interceptions', count(*) FROM interceptions UNION ALL SELECT 'tokens', count(*) FROM token_usages
            UNION ALL SELECT 'prompts', count(*) FROM user_prompts UNION ALL SELECT 'tools', count(*) FROM tool_usages
            UNION ALL SELECT 'thoughts', count(*) FROM model_thoughts",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn what_is_recorded_is_shown_as_it_was_told() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut exchange = Exchange::new(&admin, 1_000)
        .calling(&["call-1"])
        .asking("Hello?")
        .in_session("s1");
    exchange.tokens = 10;
    let mut message = exchange.record();
    message.model_thoughts.push(ModelThought {
        interception_id: exchange.id.to_string(),
        content: "Hm.".to_owned(),
        source: "thinking".to_owned(),
        created_at: at(1_001),
        id: Uuid::now_v7().to_string(),
    });
    world.try_record(message.clone()).await.unwrap();

    let id = exchange.id.to_string();
    let expected = InterceptionDetail {
        interception: Some(Interception {
            ended_at: at(1_001),
            session_id: "s1".to_owned(),
            thread_root_id: id.clone(),
            initiator_username: "admin".to_owned(),
            ..exchange.start()
        }),
        token_usages: message.token_usages.clone(),
        user_prompts: message.user_prompts.clone(),
        tool_usages: message.tool_usages.clone(),
        model_thoughts: message.model_thoughts.clone(),
        status: 200,
    };
    assert_eq!(world.listed(&admin).await, [expected]);

    // However often it comes.
    let rows = world.rows().await;
    world.try_record(message.clone()).await.unwrap();
    world.try_record(together([message.clone(), message])).await.unwrap();
    assert_eq!(world.rows().await, rows);
    assert!(rows.iter().all(|(_, count)| *count == 1), "{rows:?}");
}

#[tokio::test]
async fn texts_nobody_can_store_are_stored_as_well_as_possible() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut exchange = Exchange::new(&admin, 1_000).asking(&format!("a\0b{}", "x".repeat(70_000)));
    exchange.model = "m".repeat(300);
    let stranger = Exchange::new(&admin, 1_000).calling(&["lost"]);
    let mut message = exchange.record();
    message.tool_usages = stranger.tools();
    world.try_record(message).await.unwrap();
    let listed = world.listed(&admin).await.remove(0);
    let prompt = &listed.user_prompts[0].prompt;
    assert_eq!((prompt.starts_with("a\u{fffd}bx"), prompt.len()), (true, 64 * 1024));
    assert_eq!(listed.interception.unwrap().model.len(), 256);
    assert_eq!(listed.tool_usages, [], "of an interception nobody knows");
}

#[tokio::test]
async fn records_that_are_no_records_are_refused_whole() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let good = Exchange::new(&admin, 1_000);
    let table: [fn(&mut RecordInterceptionsRequest); 5] = [
        |message| message.starts[0].id.clear(),
        |message| message.starts[0].started_at = None,
        |message| message.ends[0].interception_id = "x".to_owned(),
        |message| message.starts = vec![message.starts[0].clone(); 1_024],
        |message| {
            message.model_thoughts.push(ModelThought {
                interception_id: message.starts[0].id.clone(),
                content: "x".repeat(9 * 1024 * 1024),
                ..ModelThought::default()
            });
        },
    ];
    for (case, spoil) in table.into_iter().enumerate() {
        let mut message = together([good.record(), Exchange::new(&admin, 1_001).record()]);
        spoil(&mut message);
        assert_eq!(reason(world.try_record(message).await), "INVALID_REQUEST", "{case}");
    }
    assert_eq!(world.rows().await[0].1, 0);
}

#[tokio::test]
async fn only_the_bridge_records_and_forgets() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let message = Exchange::new(&admin, 1_000).record();
    for service in [Gateway, Orchestrator] {
        let mut client = world.interceptions.clone();
        let recorded = client
            .record_interceptions(world.by(service, &admin, message.clone()))
            .await;
        assert_eq!(recorded.unwrap_err().code(), tonic::Code::PermissionDenied);
        let prunes = PruneInterceptionsRequest::default();
        let pruned = client.prune_interceptions(world.by(service, &admin, prunes)).await;
        assert_eq!(pruned.unwrap_err().code(), tonic::Code::PermissionDenied);
    }
    let mut client = world.interceptions.clone();
    let nobodys = client
        .list_interceptions(world.of(ProviderGateway, ListInterceptionsRequest::default()))
        .await;
    assert!(nobodys.is_err(), "lists are for people");
}

#[tokio::test]
async fn an_end_that_comes_with_a_beginning_told_before_is_stored() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mut exchange = Exchange::new(&admin, 1_000);
    exchange.is_ended = false;
    world.record(&[&exchange]).await;
    assert_eq!(world.listed(&admin).await.len(), 0, "what runs is in no list");
    exchange.is_ended = true;
    world.record(&[&exchange, &Exchange::new(&admin, 2_000)]).await;
    assert_eq!(world.listed(&admin).await.len(), 2);
}

#[tokio::test]
async fn what_is_too_old_is_forgotten_and_counted() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let now: i64 = sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let mut old = Exchange::new(&admin, now - 8_000)
        .calling(&["c1", "c2"])
        .asking("Hello?");
    old.tokens = 1;
    let mut abandoned = Exchange::new(&admin, now - 9_000);
    abandoned.is_ended = false;
    let older = Exchange::new(&admin, now - 10_000);
    let fresh = Exchange::new(&admin, now - 3_000).answering("c1").asking("And?");
    world.record(&[&old, &abandoned, &older, &fresh]).await;
    let prune = async |seconds, limit| {
        let message = PruneInterceptionsRequest {
            max_age: Some(prost_types::Duration { seconds, nanos: 0 }),
            limit,
        };
        let request = world.of(ProviderGateway, message);
        let answer = world.interceptions.clone().prune_interceptions(request).await;
        answer.map(|answer| {
            let answer = answer.into_inner();
            (answer.deleted_rows, answer.has_more)
        })
    };
    for (seconds, limit) in [(3_599, 10), (7_200, 0), (7_200, 10_001)] {
        assert_eq!(reason(prune(seconds, limit).await), "INVALID_REQUEST");
    }
    assert_eq!(prune(7_200, 2).await.unwrap(), (2, true));
    assert_eq!(prune(7_200, 2).await.unwrap(), (5, false));
    assert_eq!(prune(7_200, 2).await.unwrap(), (0, false));
    // What hung on something forgotten keeps its place.
    let left = world.listed(&admin).await;
    let [
        InterceptionDetail {
            interception: Some(left),
            ..
        },
    ] = left.as_slice()
    else {
        panic!("{left:?}");
    };
    assert_eq!(
        (&left.id, &left.thread_root_id, &left.session_id),
        (&fresh.id.to_string(), &old.id.to_string(), &old.id.to_string())
    );
    let asked = GetSessionRequest {
        session_id: old.id.to_string(),
        ..GetSessionRequest::default()
    };
    let session = world.get_session(&admin, asked).await.unwrap();
    assert_eq!(
        (session.session.unwrap().thread_count, session.interceptions.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn calls_through_the_bridge_are_metered_like_others() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let record = UsageRecord {
        completion_id: Uuid::new_v4().to_string(),
        owner_id: admin.id.to_string(),
        model_config_id: Uuid::from_u128(1).to_string(),
        purpose: "bridge".to_owned(),
        cost_micros: Some(12),
        ..UsageRecord::default()
    };
    let reserve = ReserveSpendRequest {
        completion_id: record.completion_id.clone(),
        owner_id: record.owner_id.clone(),
        micros: 5,
        ttl: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        purpose: "bridge".to_owned(),
        ..ReserveSpendRequest::default()
    };
    let mut usage = world.usage.clone();
    usage.reserve_spend(world.of(ProviderGateway, reserve)).await.unwrap();
    let settle = SettleSpendRequest {
        records: vec![record],
        released_completion_ids: Vec::new(),
    };
    usage.settle_spend(world.of(ProviderGateway, settle)).await.unwrap();
    let stored: Vec<(String, i64)> = sqlx::query_as("SELECT purpose, cost_micros FROM usage_records")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(stored, [("bridge".to_owned(), 12)]);
}
