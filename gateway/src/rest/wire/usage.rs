//! Limits of spending and what was spent. Amounts are millionths of a US dollar.

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::{ZERO_TIME, time};

/// Where the caller stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatUsageLimitStatus {
    pub is_limited: bool,
    /// `day`, `week` (from Monday) or `month`, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_limit_micros: Option<i64>,
    pub current_spend: i64,
    /// `0001-01-01T00:00:00Z` without a limit.
    pub period_start: String,
    /// When the spend begins anew.
    pub period_end: String,
}

impl From<Option<proto::SpendStatus>> for ChatUsageLimitStatus {
    fn from(status: Option<proto::SpendStatus>) -> Self {
        let Some(status) = status else {
            return Self {
                is_limited: false,
                period: None,
                spend_limit_micros: None,
                current_spend: 0,
                period_start: ZERO_TIME.to_owned(),
                period_end: ZERO_TIME.to_owned(),
            };
        };
        Self {
            is_limited: true,
            period: period(status.period()),
            spend_limit_micros: Some(status.limit_micros),
            current_spend: status.spent_micros,
            period_start: time(status.period_start.as_ref()),
            period_end: time(status.period_end.as_ref()),
        }
    }
}

/// The deployment's limit with everybody's own.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatUsageLimits {
    #[serde(flatten)]
    pub config: ChatUsageLimitConfig,
    /// Enabled models without any price: what they do costs nothing here.
    pub unpriced_model_count: i32,
    pub overrides: Vec<ChatUsageLimitOverride>,
    pub group_overrides: Vec<ChatUsageLimitGroupOverride>,
}

impl From<proto::GetSpendLimitsResponse> for ChatUsageLimits {
    fn from(limits: proto::GetSpendLimitsResponse) -> Self {
        Self {
            config: limits.limit.into(),
            unpriced_model_count: limits.unpriced_model_count,
            overrides: limits.users.into_iter().map(Into::into).collect(),
            group_overrides: limits.organizations.into_iter().map(Into::into).collect(),
        }
    }
}

/// The deployment's limit.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatUsageLimitConfig {
    /// Null: nobody has a limit.
    pub spend_limit_micros: Option<i64>,
    /// `day`, `week` or `month`; empty as long as none was ever set.
    pub period: &'static str,
    pub updated_at: String,
}

impl From<Option<proto::SpendLimit>> for ChatUsageLimitConfig {
    fn from(limit: Option<proto::SpendLimit>) -> Self {
        let Some(limit) = limit else {
            return Self {
                spend_limit_micros: None,
                period: "",
                updated_at: ZERO_TIME.to_owned(),
            };
        };
        Self {
            spend_limit_micros: limit.limit_micros,
            period: period(limit.period()).unwrap_or_default(),
            updated_at: time(limit.updated_at.as_ref()),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateChatUsageLimitConfigRequest {
    /// Above 0; null switches all limits off.
    pub spend_limit_micros: Option<i64>,
    /// `day`, `week` or `month`. Optional where the limit is null.
    pub period: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub struct UpsertChatUsageLimitOverrideRequest {
    /// Above 0.
    #[serde(default)]
    pub spend_limit_micros: i64,
}

/// The limit of one user, which wins over all others.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatUsageLimitOverride {
    pub user_id: String,
    pub username: String,
    pub name: String,
    pub avatar_url: &'static str,
    pub spend_limit_micros: Option<i64>,
}

impl From<proto::UserSpendLimit> for ChatUsageLimitOverride {
    fn from(limit: proto::UserSpendLimit) -> Self {
        Self {
            user_id: limit.user_id,
            username: limit.username,
            name: limit.name,
            avatar_url: "",
            spend_limit_micros: Some(limit.limit_micros),
        }
    }
}

/// What each member of an organisation may spend in it. Organisations are the groups there are.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatUsageLimitGroupOverride {
    pub group_id: String,
    pub group_name: String,
    pub group_display_name: String,
    pub group_avatar_url: &'static str,
    pub member_count: i32,
    pub spend_limit_micros: Option<i64>,
}

impl From<proto::OrganizationSpendLimit> for ChatUsageLimitGroupOverride {
    fn from(limit: proto::OrganizationSpendLimit) -> Self {
        Self {
            group_id: limit.organization_id,
            group_name: limit.name,
            group_display_name: limit.display_name,
            group_avatar_url: "",
            member_count: limit.member_count,
            spend_limit_micros: Some(limit.limit_micros),
        }
    }
}

/// What a user has spent from `start_date` on and before `end_date`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCostSummary {
    pub start_date: String,
    pub end_date: String,
    pub priced_message_count: i64,
    /// Answers of models without a price.
    pub unpriced_message_count: i64,
    #[serde(flatten)]
    pub total: Spent,
    /// The dearest first.
    pub by_model: Vec<ChatCostModelBreakdown>,
    /// The dearest first.
    pub by_chat: Vec<ChatCostChatBreakdown>,
    /// Where the caller stands; left out without a limit, and for others than the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_limit: Option<ChatUsageLimitStatus>,
}

impl ChatCostSummary {
    /// * `usage_limit`: where the user stands, if they have a limit and ask for themselves.
    pub fn new(
        (start_date, end_date): (String, String),
        costs: proto::GetCostSummaryResponse,
        usage_limit: Option<ChatUsageLimitStatus>,
    ) -> Self {
        let total = costs.total.unwrap_or_default();
        Self {
            start_date,
            end_date,
            priced_message_count: total.priced_call_count,
            unpriced_message_count: total.call_count - total.priced_call_count,
            total: Spent::from(total),
            by_model: costs.models.into_iter().map(Into::into).collect(),
            by_chat: costs.chats.into_iter().map(Into::into).collect(),
            usage_limit,
        }
    }
}

/// The sums that stand in every object about costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spent {
    pub total_cost_micros: i64,
    pub total_input_tokens: i64,
    pub total_output_tokens: i64,
    pub total_cache_read_tokens: i64,
    pub total_cache_creation_tokens: i64,
    pub total_runtime_ms: i64,
}

impl From<proto::Costs> for Spent {
    fn from(costs: proto::Costs) -> Self {
        let runtime = costs.runtime.unwrap_or_default();
        Self {
            total_cost_micros: costs.cost_micros,
            total_input_tokens: costs.input_tokens,
            total_output_tokens: costs.output_tokens,
            total_cache_read_tokens: costs.cache_read_tokens,
            total_cache_creation_tokens: costs.cache_creation_tokens,
            total_runtime_ms: runtime.seconds.saturating_mul(1_000) + i64::from(runtime.nanos / 1_000_000),
        }
    }
}

/// What a model has cost.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCostModelBreakdown {
    pub model_config_id: String,
    pub display_name: String,
    pub provider: String,
    pub model: String,
    pub message_count: i64,
    #[serde(flatten)]
    pub spent: Spent,
}

impl From<proto::ModelCosts> for ChatCostModelBreakdown {
    fn from(model: proto::ModelCosts) -> Self {
        let costs = model.costs.unwrap_or_default();
        Self {
            model_config_id: model.model_config_id,
            display_name: model.display_name,
            provider: model.provider_type,
            model: model.model,
            message_count: costs.call_count,
            spent: costs.into(),
        }
    }
}

/// What a chat with its children has cost.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCostChatBreakdown {
    /// Empty for calls outside chats.
    pub root_chat_id: String,
    pub chat_title: String,
    pub message_count: i64,
    #[serde(flatten)]
    pub spent: Spent,
}

impl From<proto::ChatCosts> for ChatCostChatBreakdown {
    fn from(chat: proto::ChatCosts) -> Self {
        let costs = chat.costs.unwrap_or_default();
        Self {
            root_chat_id: chat.root_chat_id,
            chat_title: chat.title,
            message_count: costs.call_count,
            spent: costs.into(),
        }
    }
}

/// A page of what each user has spent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCostUsersResponse {
    pub start_date: String,
    pub end_date: String,
    /// Of all pages.
    pub count: i64,
    /// The dearest first, then by username.
    pub users: Vec<ChatCostUserRollup>,
}

/// What a user has spent.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatCostUserRollup {
    pub user_id: String,
    pub username: String,
    pub name: String,
    pub avatar_url: &'static str,
    pub message_count: i64,
    pub chat_count: i64,
    #[serde(flatten)]
    pub spent: Spent,
}

impl From<proto::UserCosts> for ChatCostUserRollup {
    fn from(user: proto::UserCosts) -> Self {
        let costs = user.costs.unwrap_or_default();
        Self {
            user_id: user.user_id,
            username: user.username,
            name: user.name,
            avatar_url: "",
            message_count: costs.call_count,
            chat_count: user.chat_count,
            spent: costs.into(),
        }
    }
}

fn period(period: proto::SpendPeriod) -> Option<&'static str> {
    match period {
        proto::SpendPeriod::Unspecified => None,
        proto::SpendPeriod::Day => Some("day"),
        proto::SpendPeriod::Week => Some("week"),
        proto::SpendPeriod::Month => Some("month"),
    }
}
