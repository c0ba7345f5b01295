//! A session with its threads: what was asked, and what the model did about it, step by step.

use serde::Serialize;
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::{
    super::{some_text, some_time, time},
    AIBridgeModelThought, AIBridgeTokenSums, AIBridgeToolUsage, Counts, Empty, MinimalUser, credential_kind, sums,
};

/// One session and a page of its threads.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeSessionThreadsResponse {
    pub id: String,
    pub initiator: MinimalUser,
    /// Names, sorted.
    pub providers: Vec<String>,
    pub models: Vec<String>,
    /// Of its first exchange; left out when unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    pub metadata: Empty,
    /// Left out of an empty page, as the next.
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_started_at: Option<String>,
    #[schema(format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_ended_at: Option<String>,
    #[schema(format = DateTime)]
    pub started_at: String,
    #[schema(format = DateTime)]
    pub ended_at: String,
    /// Of the whole session; without counts of single vendors.
    pub token_usage_summary: AIBridgeThreadTokens,
    /// The oldest first.
    pub threads: Vec<AIBridgeThread>,
    /// There are threads behind these.
    pub has_more: bool,
}

/// Exchanges that answer each other's tool calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeThread {
    /// That of its first exchange.
    #[schema(format = Uuid)]
    pub id: String,
    /// What a person asked for, if anything was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Of its first exchange, as the next four.
    pub model: String,
    /// The type of the provider.
    pub provider: String,
    pub provider_name: String,
    pub credential_kind: &'static str,
    pub credential_hint: String,
    #[schema(format = DateTime)]
    pub started_at: String,
    #[schema(format = DateTime)]
    pub ended_at: String,
    pub token_usage: AIBridgeThreadTokens,
    /// Those exchanges in which the model thought or called tools, in order.
    pub agentic_actions: Vec<AIBridgeAgenticAction>,
    /// How many exchanges there are.
    pub interception_count: usize,
}

/// What a model did in one exchange.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIBridgeAgenticAction {
    pub model: String,
    pub token_usage: AIBridgeThreadTokens,
    pub thinking: Vec<AIBridgeModelThought>,
    pub tool_calls: Vec<AIBridgeToolUsage>,
}

/// Tokens of one kind each, with the counts only one vendor has.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct AIBridgeThreadTokens {
    #[serde(flatten)]
    pub tokens: AIBridgeTokenSums,
    /// Counts only one vendor has, by name.
    pub metadata: Counts,
}

impl AIBridgeThreadTokens {
    fn add(&mut self, usages: &[proto::TokenUsage]) {
        for usage in usages {
            self.tokens.add(usage);
            for (name, count) in &usage.extra {
                let sum = self.metadata.entry(name.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }
}

impl AIBridgeSessionThreadsResponse {
    /// * `exchanges`: of the page's threads, thread by thread, the oldest first.
    pub fn new(session: proto::InterceptionSession, exchanges: Vec<proto::InterceptionDetail>, has_more: bool) -> Self {
        let of = |detail: &proto::InterceptionDetail| detail.interception.clone().unwrap_or_default();
        let seconds = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
        let started = exchanges.iter().filter_map(|detail| of(detail).started_at);
        let ended = exchanges.iter().filter_map(|detail| of(detail).ended_at);
        Self {
            page_started_at: some_time(started.min_by_key(seconds).as_ref()),
            page_ended_at: some_time(ended.max_by_key(seconds).as_ref()),
            token_usage_summary: AIBridgeThreadTokens {
                tokens: sums(&session),
                metadata: Counts::new(),
            },
            id: session.id,
            initiator: MinimalUser::new(session.initiator_id, session.initiator_username, session.initiator_name),
            providers: session.provider_names,
            models: session.models,
            client: some_text(session.client),
            metadata: Empty {},
            started_at: time(session.started_at.as_ref()),
            ended_at: time(session.ended_at.as_ref()),
            threads: threads(exchanges),
            has_more,
        }
    }
}

fn threads(exchanges: Vec<proto::InterceptionDetail>) -> Vec<AIBridgeThread> {
    let mut threads: Vec<AIBridgeThread> = Vec::new();
    for mut detail in exchanges {
        let Some(exchange) = detail.interception.take() else {
            continue;
        };
        let is_next = threads.last().is_none_or(|last| last.id != exchange.thread_root_id);
        if is_next {
            threads.push(AIBridgeThread::new(&exchange));
        }
        if let Some(thread) = threads.last_mut() {
            thread.add(exchange, detail);
        }
    }
    threads
}

impl AIBridgeThread {
    fn new(first: &proto::Interception) -> Self {
        Self {
            id: first.thread_root_id.clone(),
            prompt: None,
            model: first.model.clone(),
            provider: first.provider_type.clone(),
            provider_name: first.provider_name.clone(),
            credential_kind: credential_kind(first),
            credential_hint: first.credential_hint.clone(),
            started_at: time(first.started_at.as_ref()),
            ended_at: time(first.ended_at.as_ref()),
            token_usage: AIBridgeThreadTokens::default(),
            agentic_actions: Vec::new(),
            interception_count: 0,
        }
    }

    fn add(&mut self, exchange: proto::Interception, detail: proto::InterceptionDetail) {
        self.interception_count += 1;
        self.ended_at = time(exchange.ended_at.as_ref());
        self.token_usage.add(&detail.token_usages);
        if self.prompt.is_none() {
            self.prompt = detail.user_prompts.into_iter().next().map(|prompt| prompt.prompt);
        }
        if detail.tool_usages.is_empty() && detail.model_thoughts.is_empty() {
            return;
        }
        let mut token_usage = AIBridgeThreadTokens::default();
        token_usage.add(&detail.token_usages);
        self.agentic_actions.push(AIBridgeAgenticAction {
            model: exchange.model,
            token_usage,
            thinking: detail.model_thoughts.into_iter().map(Into::into).collect(),
            tool_calls: detail.tool_usages.into_iter().map(Into::into).collect(),
        });
    }
}
