//! In whose name an exchange is.

use tandem_chassis::identity;
use tandem_chat_core::id::UserId;

/// A caller who has proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user, who pays.
    pub user: UserId,
    /// The same, as services of ours are told.
    pub identity: identity::User,
    /// For records.
    pub username: String,
    /// The API token or session in use.
    pub credential_id: String,
    /// They brought their own vendor credential in the request's headers, and ask with that.
    pub is_byok: bool,
}
