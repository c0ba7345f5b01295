//! How providers do, as administrators see it.

use serde::Serialize;
use tandem_proto::provider::v1 as proto;
use utoipa::ToSchema;

use super::super::some_time;

/// How all providers do.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProvidersHealth {
    /// Who says so; what is known is kept in memory of each replica.
    pub replica: String,
    pub providers: Vec<AIProviderHealth>,
}

/// How one provider does.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProviderHealth {
    #[schema(format = Uuid)]
    pub provider_id: String,
    /// In the order of use.
    pub keys: Vec<AIProviderKeyHealth>,
    /// Only of models that have had trouble lately; all others are closed.
    pub breakers: Vec<AIProviderBreaker>,
    /// Completions under way.
    pub running: i32,
    /// How many may be at once; 0: no limit of its own.
    pub max_running: i32,
    /// Completions that wait for their turn.
    pub queued: i32,
}

/// How one key does.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProviderKeyHealth {
    #[schema(format = Uuid)]
    pub id: String,
    pub masked: String,
    pub state: AIProviderKeyState,
    /// Until it is tried again; null unless it rests.
    #[schema(required, format = DateTime)]
    pub resting_until: Option<String>,
    /// What the vendor said last against it, without secrets; at most 500 characters.
    pub last_error: String,
    #[schema(required, format = DateTime)]
    pub last_error_at: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AIProviderKeyState {
    Healthy,
    /// The vendor limits its rate.
    Limited,
    /// The vendor does not accept it.
    Refused,
    /// It was sealed with a key-encryption key that is not known.
    Unreadable,
}

/// The breaker of one model.
#[derive(Debug, Serialize, ToSchema)]
pub struct AIProviderBreaker {
    pub model: String,
    pub state: AIProviderBreakerState,
    /// In a row.
    pub failures: i32,
    pub last_failure: String,
    /// When a probe is let through; null unless open.
    #[schema(required, format = DateTime)]
    pub retry_at: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AIProviderBreakerState {
    Closed,
    Open,
    HalfOpen,
}

/// What became of the stored keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct RotatedKeys {
    /// Sealed anew.
    pub resealed: i32,
    /// Were under the present key already.
    pub current: i32,
    /// No known key opens them; they stay as they are.
    pub unreadable: i32,
}

impl From<proto::GetProviderHealthResponse> for AIProvidersHealth {
    fn from(health: proto::GetProviderHealthResponse) -> Self {
        Self {
            replica: health.replica,
            providers: health.providers.into_iter().map(AIProviderHealth::from).collect(),
        }
    }
}

impl From<proto::ProviderHealth> for AIProviderHealth {
    fn from(health: proto::ProviderHealth) -> Self {
        Self {
            provider_id: health.provider_id,
            keys: health.keys.into_iter().map(AIProviderKeyHealth::from).collect(),
            breakers: health.breakers.into_iter().map(AIProviderBreaker::from).collect(),
            running: health.running,
            max_running: health.max_running,
            queued: health.queued,
        }
    }
}

impl From<proto::KeyHealth> for AIProviderKeyHealth {
    fn from(key: proto::KeyHealth) -> Self {
        let state = match key.state() {
            // What a later release may invent is no trouble this one knows.
            proto::KeyState::Unspecified | proto::KeyState::Healthy => AIProviderKeyState::Healthy,
            proto::KeyState::Limited => AIProviderKeyState::Limited,
            proto::KeyState::Refused => AIProviderKeyState::Refused,
            proto::KeyState::Unreadable => AIProviderKeyState::Unreadable,
        };
        Self {
            state,
            resting_until: some_time(key.resting_until.as_ref()),
            last_error_at: some_time(key.last_error_at.as_ref()),
            id: key.id,
            masked: key.masked,
            last_error: key.last_error,
        }
    }
}

impl From<proto::BreakerHealth> for AIProviderBreaker {
    fn from(breaker: proto::BreakerHealth) -> Self {
        let state = match breaker.state() {
            proto::BreakerState::Unspecified | proto::BreakerState::Closed => AIProviderBreakerState::Closed,
            proto::BreakerState::Open => AIProviderBreakerState::Open,
            proto::BreakerState::HalfOpen => AIProviderBreakerState::HalfOpen,
        };
        Self {
            state,
            retry_at: some_time(breaker.retry_at.as_ref()),
            model: breaker.model,
            failures: breaker.failures,
            last_failure: breaker.last_failure,
        }
    }
}

impl From<proto::RotateSealingKeyResponse> for RotatedKeys {
    fn from(rotated: proto::RotateSealingKeyResponse) -> Self {
        Self {
            resealed: rotated.resealed,
            current: rotated.current,
            unreadable: rotated.unreadable,
        }
    }
}
