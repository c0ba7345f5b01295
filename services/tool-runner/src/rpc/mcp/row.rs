//! Rows of servers, changed as administrators ask for it.

use tandem_proto::storage::v1::{McpAuthType, McpServer};
use tandem_proto::tool::v1::{McpSecrets, McpServerChanges};
use tonic::Status;
use url::Url;

use super::invalid;

/// Only storage fills these in.
pub(super) fn without_secrets(row: &mut McpServer) {
    row.revision = 0;
    row.sealed_oauth2_secret.clear();
    row.sealed_api_key.clear();
    row.sealed_custom_headers.clear();
}

/// Removes what belongs to other kinds of authentication.
pub(super) fn keep_only_own(row: &mut McpServer) {
    let auth_type = row.auth_type();
    if auth_type != McpAuthType::Oauth2 {
        row.sealed_oauth2_secret.clear();
        for text in [
            &mut row.oauth2_client_id,
            &mut row.oauth2_auth_url,
            &mut row.oauth2_token_url,
            &mut row.oauth2_scopes,
            &mut row.oauth2_revocation_url,
        ] {
            text.clear();
        }
    }
    if auth_type != McpAuthType::ApiKey {
        row.api_key_header.clear();
        row.sealed_api_key.clear();
    }
    if auth_type != McpAuthType::CustomHeaders {
        row.sealed_custom_headers.clear();
    }
}

/// Puts in what is given.
pub(super) fn apply(row: &mut McpServer, changes: McpServerChanges) {
    fn set<T>(place: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *place = value;
        }
    }
    set(&mut row.display_name, changes.display_name);
    set(&mut row.slug, changes.slug);
    set(&mut row.description, changes.description);
    set(&mut row.icon_url, changes.icon_url);
    set(&mut row.url, changes.url);
    set(&mut row.transport, changes.transport);
    set(&mut row.auth_type, changes.auth_type);
    set(&mut row.availability, changes.availability);
    set(&mut row.is_enabled, changes.is_enabled);
    set(&mut row.has_model_intent, changes.has_model_intent);
    set(&mut row.is_allowed_in_plan_mode, changes.is_allowed_in_plan_mode);
    set(&mut row.forwards_identity, changes.forwards_identity);
    set(&mut row.tool_allow_list, changes.tool_allow_list.map(|list| list.names));
    set(&mut row.tool_deny_list, changes.tool_deny_list.map(|list| list.names));
    set(&mut row.oauth2_client_id, changes.oauth2_client_id);
    set(&mut row.oauth2_auth_url, changes.oauth2_auth_url);
    // Found out together with the token address; of another place it would be told that place's secrets.
    if changes
        .oauth2_token_url
        .as_ref()
        .is_some_and(|to| is_other_origin(to, &row.oauth2_token_url))
    {
        row.oauth2_revocation_url.clear();
    }
    set(&mut row.oauth2_token_url, changes.oauth2_token_url);
    set(&mut row.oauth2_scopes, changes.oauth2_scopes);
    set(&mut row.api_key_header, changes.api_key_header);
    set(&mut row.is_pinned, changes.is_pinned);
}

/// Secrets are not sent to another place than the one they were typed for, unless they are typed again: whoever may change an address
/// could else have them sent to a place of their own.
pub(super) fn moves_no_secret(row: &McpServer, changes: &McpServerChanges, secrets: &McpSecrets) -> Result<(), Status> {
    let moves = |to: &Option<String>, from: &str| to.as_ref().is_some_and(|to| is_other_origin(to, from));
    let has_headers = (row.has_api_key && secrets.api_key.is_none())
        || (row.has_custom_headers && secrets.custom_headers_json.is_none());
    if has_headers && moves(&changes.url, &row.url) {
        return Err(invalid(
            "url",
            "is another place: enter the API key or the headers again",
        ));
    }
    let has_client_secret = row.has_oauth2_secret && secrets.oauth2_client_secret.is_none();
    if has_client_secret && moves(&changes.oauth2_token_url, &row.oauth2_token_url) {
        return Err(invalid(
            "oauth2_token_url",
            "is another place: enter the client secret again",
        ));
    }
    Ok(())
}

fn is_other_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() != other.origin(),
        _ => true,
    }
}
