//! The rows of `mcp_servers` and `mcp_tokens`. Secrets are ciphertext that this room cannot open.

use sqlx::PgConnection;
use tandem_chat_core::wire::time_to_wire;
use tandem_proto::storage::v1::{McpAuthType, McpAvailability, McpServer, McpToken, McpTransport};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) mod accepted;

/// A server.
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) display_name: String,
    pub(crate) slug: String,
    pub(crate) description: String,
    pub(crate) icon_url: String,
    pub(crate) url: String,
    pub(crate) transport: String,
    pub(crate) auth_type: String,
    pub(crate) availability: String,
    pub(crate) is_enabled: bool,
    pub(crate) has_model_intent: bool,
    pub(crate) is_allowed_in_plan_mode: bool,
    pub(crate) forwards_identity: bool,
    pub(crate) tool_allow_list: Vec<String>,
    pub(crate) tool_deny_list: Vec<String>,
    pub(crate) oauth2_client_id: String,
    pub(crate) oauth2_auth_url: String,
    pub(crate) oauth2_token_url: String,
    pub(crate) oauth2_scopes: String,
    pub(crate) oauth2_revocation_url: String,
    pub(crate) api_key_header: String,
    pub(crate) sealed_oauth2_secret: Option<Vec<u8>>,
    pub(crate) sealed_api_key: Option<Vec<u8>>,
    pub(crate) sealed_custom_headers: Option<Vec<u8>>,
    pub(crate) is_pinned: bool,
    pub(crate) revision: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
}

/// A user's token.
pub(crate) struct TokenRow {
    pub(crate) server_id: Uuid,
    pub(crate) sealed: Vec<u8>,
    pub(crate) expires_at: Option<OffsetDateTime>,
    pub(crate) has_refresh_token: bool,
    pub(crate) failure: String,
    pub(crate) revision: i64,
}

/// One server; `is_admin` sees disabled ones too.
pub(crate) async fn find(conn: &mut PgConnection, id: Uuid, is_admin: bool) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, display_name, slug, description, icon_url, url, transport, auth_type, availability, is_enabled,
            has_model_intent, is_allowed_in_plan_mode, forwards_identity, tool_allow_list, tool_deny_list, oauth2_client_id,
            oauth2_auth_url, oauth2_token_url, oauth2_scopes, oauth2_revocation_url, api_key_header, sealed_oauth2_secret,
            sealed_api_key, sealed_custom_headers, is_pinned, revision, created_at, updated_at
        FROM mcp_servers WHERE id = $1 AND (is_enabled OR $2)",
        id,
        is_admin
    )
    .fetch_optional(conn)
    .await
}

/// All servers by slug; `is_admin` sees disabled ones too.
pub(crate) async fn list(conn: &mut PgConnection, is_admin: bool, limit: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "SELECT id, display_name, slug, description, icon_url, url, transport, auth_type, availability, is_enabled,
            has_model_intent, is_allowed_in_plan_mode, forwards_identity, tool_allow_list, tool_deny_list, oauth2_client_id,
            oauth2_auth_url, oauth2_token_url, oauth2_scopes, oauth2_revocation_url, api_key_header, sealed_oauth2_secret,
            sealed_api_key, sealed_custom_headers, is_pinned, revision, created_at, updated_at
        FROM mcp_servers WHERE is_enabled OR $1
        ORDER BY slug LIMIT $2",
        is_admin,
        limit
    )
    .fetch_all(conn)
    .await
}

/// Keeps servers from being added until the transaction ends, and counts them.
pub(crate) async fn lock_and_count(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query!("LOCK TABLE mcp_servers IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await?;
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM mcp_servers"#)
        .fetch_one(conn)
        .await
}

/// How many of these are enabled servers.
pub(crate) async fn count_enabled(conn: &mut PgConnection, ids: &[Uuid]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM mcp_servers WHERE is_enabled AND id = ANY($1)"#,
        ids
    )
    .fetch_one(conn)
    .await
}

/// Stores a server.
pub(crate) async fn insert(conn: &mut PgConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO mcp_servers (id, display_name, slug, description, icon_url, url, transport, auth_type, availability,
            is_enabled, has_model_intent, is_allowed_in_plan_mode, forwards_identity, tool_allow_list, tool_deny_list,
            oauth2_client_id, oauth2_auth_url, oauth2_token_url, oauth2_scopes, oauth2_revocation_url, api_key_header,
            sealed_oauth2_secret, sealed_api_key, sealed_custom_headers, is_pinned)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
            $25)",
        row.id,
        row.display_name,
        row.slug,
        row.description,
        row.icon_url,
        row.url,
        row.transport,
        row.auth_type,
        row.availability,
        row.is_enabled,
        row.has_model_intent,
        row.is_allowed_in_plan_mode,
        row.forwards_identity,
        &row.tool_allow_list,
        &row.tool_deny_list,
        row.oauth2_client_id,
        row.oauth2_auth_url,
        row.oauth2_token_url,
        row.oauth2_scopes,
        row.oauth2_revocation_url,
        row.api_key_header,
        row.sealed_oauth2_secret,
        row.sealed_api_key,
        row.sealed_custom_headers,
        row.is_pinned
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores a server in place of its revision `row.revision`. False: there is no such server, or another revision of it.
pub(crate) async fn update(conn: &mut PgConnection, row: &Row) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query!(
        "UPDATE mcp_servers SET display_name = $3, slug = $4, description = $5, icon_url = $6, url = $7, transport = $8,
            auth_type = $9, availability = $10, is_enabled = $11, has_model_intent = $12, is_allowed_in_plan_mode = $13,
            forwards_identity = $14, tool_allow_list = $15, tool_deny_list = $16, oauth2_client_id = $17, oauth2_auth_url = $18,
            oauth2_token_url = $19, oauth2_scopes = $20, oauth2_revocation_url = $21, api_key_header = $22,
            sealed_oauth2_secret = $23, sealed_api_key = $24, sealed_custom_headers = $25, is_pinned = $26,
            revision = revision + 1, updated_at = now()
        WHERE id = $1 AND revision = $2",
        row.id,
        row.revision,
        row.display_name,
        row.slug,
        row.description,
        row.icon_url,
        row.url,
        row.transport,
        row.auth_type,
        row.availability,
        row.is_enabled,
        row.has_model_intent,
        row.is_allowed_in_plan_mode,
        row.forwards_identity,
        &row.tool_allow_list,
        &row.tool_deny_list,
        row.oauth2_client_id,
        row.oauth2_auth_url,
        row.oauth2_token_url,
        row.oauth2_scopes,
        row.oauth2_revocation_url,
        row.api_key_header,
        row.sealed_oauth2_secret,
        row.sealed_api_key,
        row.sealed_custom_headers,
        row.is_pinned
    )
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() == 1)
}

/// Deletes a server and all tokens for it. False: there is none.
pub(crate) async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!("DELETE FROM mcp_servers WHERE id = $1", id)
        .execute(conn)
        .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Forgets all tokens for a server: it asks for others now.
pub(crate) async fn delete_tokens(conn: &mut PgConnection, server: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM mcp_tokens WHERE server_id = $1", server)
        .execute(conn)
        .await?;
    Ok(())
}

/// A user's tokens.
pub(crate) async fn tokens(conn: &mut PgConnection, user: Uuid) -> Result<Vec<TokenRow>, sqlx::Error> {
    sqlx::query_as!(
        TokenRow,
        "SELECT server_id, sealed, expires_at, has_refresh_token, failure, revision FROM mcp_tokens WHERE user_id = $1",
        user
    )
    .fetch_all(conn)
    .await
}

/// Stores a token in place of its revision `row.revision`, or of any for 0. `None`: it is another revision that is stored.
pub(crate) async fn put_token(
    conn: &mut PgConnection,
    user: Uuid,
    row: &TokenRow,
) -> Result<Option<TokenRow>, sqlx::Error> {
    if row.revision == 0 {
        return sqlx::query_as!(
            TokenRow,
            "INSERT INTO mcp_tokens (server_id, user_id, sealed, expires_at, has_refresh_token, failure)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (server_id, user_id) DO UPDATE SET sealed = $3, expires_at = $4, has_refresh_token = $5, failure = $6,
                revision = mcp_tokens.revision + 1, updated_at = now()
            RETURNING server_id, sealed, expires_at, has_refresh_token, failure, revision",
            row.server_id,
            user,
            row.sealed,
            row.expires_at,
            row.has_refresh_token,
            row.failure
        )
        .fetch_optional(conn)
        .await;
    }
    sqlx::query_as!(
        TokenRow,
        "UPDATE mcp_tokens SET sealed = $3, expires_at = $4, has_refresh_token = $5, failure = $6, revision = revision + 1,
            updated_at = now()
        WHERE server_id = $1 AND user_id = $2 AND revision = $7
        RETURNING server_id, sealed, expires_at, has_refresh_token, failure, revision",
        row.server_id,
        user,
        row.sealed,
        row.expires_at,
        row.has_refresh_token,
        row.failure,
        row.revision
    )
    .fetch_optional(conn)
    .await
}

/// Forgets a user's token, if there is one.
pub(crate) async fn delete_token(conn: &mut PgConnection, user: Uuid, server: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM mcp_tokens WHERE server_id = $1 AND user_id = $2",
        server,
        user
    )
    .execute(conn)
    .await?;
    Ok(())
}

const TRANSPORT: &str = "MCP_TRANSPORT_";
const AUTH_TYPE: &str = "MCP_AUTH_TYPE_";
const AVAILABILITY: &str = "MCP_AVAILABILITY_";

/// The word under which a value is stored: its name in the contract without `prefix`, in small letters. `None` where it is not given.
fn word(name: &str, prefix: &str) -> Option<String> {
    let word = name.strip_prefix(prefix)?.to_ascii_lowercase();
    (word != "unspecified").then_some(word)
}

/// The name in the contract of a stored word.
fn name(word: &str, prefix: &str) -> String {
    format!("{prefix}{}", word.to_ascii_uppercase())
}

impl Row {
    /// A server as it is to be stored. The name of the field whose value is none of those there are, otherwise.
    pub(crate) fn of_wire(id: Uuid, server: McpServer) -> Result<Self, &'static str> {
        let sealed = |bytes: Vec<u8>| Some(bytes).filter(|bytes| !bytes.is_empty());
        Ok(Self {
            id,
            transport: word(server.transport().as_str_name(), TRANSPORT).ok_or("transport")?,
            auth_type: word(server.auth_type().as_str_name(), AUTH_TYPE).ok_or("auth_type")?,
            availability: word(server.availability().as_str_name(), AVAILABILITY).ok_or("availability")?,
            display_name: server.display_name,
            slug: server.slug,
            description: server.description,
            icon_url: server.icon_url,
            url: server.url,
            is_enabled: server.is_enabled,
            has_model_intent: server.has_model_intent,
            is_allowed_in_plan_mode: server.is_allowed_in_plan_mode,
            forwards_identity: server.forwards_identity,
            tool_allow_list: server.tool_allow_list,
            tool_deny_list: server.tool_deny_list,
            oauth2_client_id: server.oauth2_client_id,
            oauth2_auth_url: server.oauth2_auth_url,
            oauth2_token_url: server.oauth2_token_url,
            oauth2_scopes: server.oauth2_scopes,
            oauth2_revocation_url: server.oauth2_revocation_url,
            api_key_header: server.api_key_header,
            sealed_oauth2_secret: sealed(server.sealed_oauth2_secret),
            sealed_api_key: sealed(server.sealed_api_key),
            sealed_custom_headers: sealed(server.sealed_custom_headers),
            is_pinned: server.is_pinned,
            revision: server.revision,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        })
    }

    /// The row as a message of the contract.
    pub(crate) fn into_wire(self) -> McpServer {
        let has_oauth2_secret = self.sealed_oauth2_secret.is_some();
        let has_api_key = self.sealed_api_key.is_some();
        let has_custom_headers = self.sealed_custom_headers.is_some();
        McpServer {
            id: self.id.to_string(),
            transport: McpTransport::from_str_name(&name(&self.transport, TRANSPORT))
                .unwrap_or_default()
                .into(),
            auth_type: McpAuthType::from_str_name(&name(&self.auth_type, AUTH_TYPE))
                .unwrap_or_default()
                .into(),
            availability: McpAvailability::from_str_name(&name(&self.availability, AVAILABILITY))
                .unwrap_or_default()
                .into(),
            display_name: self.display_name,
            slug: self.slug,
            description: self.description,
            icon_url: self.icon_url,
            url: self.url,
            is_enabled: self.is_enabled,
            has_model_intent: self.has_model_intent,
            is_allowed_in_plan_mode: self.is_allowed_in_plan_mode,
            forwards_identity: self.forwards_identity,
            tool_allow_list: self.tool_allow_list,
            tool_deny_list: self.tool_deny_list,
            oauth2_client_id: self.oauth2_client_id,
            oauth2_auth_url: self.oauth2_auth_url,
            oauth2_token_url: self.oauth2_token_url,
            oauth2_scopes: self.oauth2_scopes,
            oauth2_revocation_url: self.oauth2_revocation_url,
            api_key_header: self.api_key_header,
            sealed_oauth2_secret: self.sealed_oauth2_secret.unwrap_or_default(),
            sealed_api_key: self.sealed_api_key.unwrap_or_default(),
            sealed_custom_headers: self.sealed_custom_headers.unwrap_or_default(),
            revision: self.revision,
            created_at: Some(time_to_wire(self.created_at)),
            updated_at: Some(time_to_wire(self.updated_at)),
            has_oauth2_secret,
            has_api_key,
            has_custom_headers,
            is_pinned: self.is_pinned,
        }
    }
}

impl TokenRow {
    /// The row as a message of the contract.
    pub(crate) fn into_wire(self) -> McpToken {
        McpToken {
            server_id: self.server_id.to_string(),
            sealed: self.sealed,
            expires_at: self.expires_at.map(time_to_wire),
            has_refresh_token: self.has_refresh_token,
            failure: self.failure,
            revision: self.revision,
        }
    }
}
