//! What a protocol needs to know of a model and of who serves it.

use std::sync::Arc;

use serde_json::{Map, Value};
use tandem_chat_core::id::{ModelConfigId, ProviderId};
use url::Url;

use crate::Kind;

/// A model that can be asked.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its row.
    pub id: ModelConfigId,
    /// The vendor's name for it.
    pub model: String,
    /// Context window in tokens; `None` when unknown.
    pub context_limit: Option<i64>,
    /// Call options, as the REST API shows them.
    pub options: Map<String, Value>,
    /// Who serves it.
    pub provider: Arc<Provider>,
}

/// Who serves models.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its row.
    pub id: ProviderId,
    /// What it is.
    pub kind: Kind,
    /// Its unique name.
    pub name: String,
    /// Where it is.
    pub base_url: Url,
}
