//! Finding out where a server's accounts live, and registering a client there.
//!
//! Source: RFC 9728 (which authorization server), RFC 8414 (its addresses), RFC 7591 (registration).

use http::header::{ACCEPT, WWW_AUTHENTICATE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tandem_chassis::outbound::Outbound;
use url::Url;

use super::{LIMIT, endpoint, unreachable, whole};

/// Authorization servers of one resource that are tried.
const MAX_ISSUERS: usize = 4;

/// Longest list of scopes that is taken over, in bytes.
const MAX_SCOPES_BYTES: usize = 2_048;

/// What is known of a server's accounts, with a client registered for us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// Empty for clients without one.
    pub(crate) client_secret: String,
    pub(crate) auth_url: String,
    pub(crate) token_url: String,
    /// Empty where tokens cannot be revoked.
    pub(crate) revocation_url: String,
    /// Separated by spaces.
    pub(crate) scopes: String,
}

#[derive(Default, Deserialize)]
struct Resource {
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

#[derive(Deserialize)]
struct Issuer {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

/// Finds out where accounts of the server live, and registers a client whose users come back to `redirect_uri`.
///
/// # Errors
/// Which step failed, for administrators.
pub(crate) async fn register(outbound: &Outbound, server: &Url, redirect_uri: &Url) -> Result<Client, String> {
    let resource = resource(outbound, server).await;
    let mut issuers: Vec<Url> = resource
        .authorization_servers
        .iter()
        .filter_map(|issuer| endpoint(issuer))
        .take(MAX_ISSUERS)
        .collect();
    if issuers.is_empty() {
        // Before there was RFC 9728, a server was its own authorization server.
        let mut origin = server.clone();
        origin.set_path("/");
        origin.set_query(None);
        issuers.push(origin);
    }
    let mut found = None;
    for issuer in &issuers {
        found = metadata(outbound, issuer).await;
        if found.is_some() {
            break;
        }
    }
    let found = found.ok_or("the server does not say where its users sign in")?;
    let registration = found
        .registration_endpoint
        .as_deref()
        .and_then(endpoint)
        .ok_or("the authorization server registers no clients by itself; enter a client id and both addresses")?;
    let mut scopes = resource.scopes_supported.join(" ");
    if scopes.len() > MAX_SCOPES_BYTES {
        scopes.clear();
    }
    let mut about = json!({
        "client_name": "Tandem",
        "redirect_uris": [redirect_uri.as_str()],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    if !scopes.is_empty() {
        about["scope"] = scopes.clone().into();
    }
    let asked = async {
        let request = outbound.post(registration).map_err(|refused| refused.to_string())?;
        let response = request.json(&about).send().await.map_err(unreachable)?;
        let status = response.status();
        let body = whole(response).await?;
        if !status.is_success() {
            return Err(format!("the authorization server answered {status}"));
        }
        serde_json::from_slice::<Registered>(&body).map_err(|_| "its answer does not follow RFC 7591".to_owned())
    };
    let registered = tokio::time::timeout(LIMIT, asked)
        .await
        .unwrap_or(Err("it did not answer in time".to_owned()))
        .map_err(|problem| format!("no client could be registered: {problem}"))?;
    Ok(Client {
        client_id: registered.client_id,
        client_secret: registered.client_secret,
        auth_url: found.authorization_endpoint,
        token_url: found.token_endpoint,
        revocation_url: found.revocation_endpoint.unwrap_or_default(),
        scopes,
    })
}

/// What the server says about its accounts: where it says so itself, and else in the usual places.
async fn resource(outbound: &Outbound, server: &Url) -> Resource {
    let mut places: Vec<Url> = challenged(outbound, server).await.into_iter().collect();
    places.extend(well_known(server, "oauth-protected-resource"));
    for place in places {
        if let Some(resource) = get::<Resource>(outbound, place).await
            && !resource.authorization_servers.is_empty()
        {
            return resource;
        }
    }
    Resource::default()
}

/// The address in the server's answer to somebody it does not know.
async fn challenged(outbound: &Outbound, server: &Url) -> Option<Url> {
    let request = outbound.post(server.clone()).ok()?;
    let sent = request
        .header(ACCEPT, "application/json, text/event-stream")
        .json(&json!({"jsonrpc": "2.0", "id": 0, "method": "ping"}))
        .send();
    let response = tokio::time::timeout(LIMIT, sent).await.ok()?.ok()?;
    let challenge = response.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
    parameter(challenge, "resource_metadata").and_then(|text| endpoint(&text))
}

/// A parameter of a challenge, with or without quotes.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let (_, rest) = challenge.split_once(&format!("{name}="))?;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => rest.split([',', ' ']).next(),
    };
    value.map(str::to_owned)
}

async fn metadata(outbound: &Outbound, issuer: &Url) -> Option<Issuer> {
    let mut places = well_known(issuer, "oauth-authorization-server");
    places.extend(well_known(issuer, "openid-configuration"));
    let path = issuer.path().trim_end_matches('/');
    if !path.is_empty() {
        let mut behind = issuer.clone();
        behind.set_path(&format!("{path}/.well-known/openid-configuration"));
        places.push(behind);
    }
    for place in places {
        let Some(found) = get::<Issuer>(outbound, place).await else {
            continue;
        };
        // Somebody else's description would lead our users to somebody else.
        let is_same = found.issuer.trim_end_matches('/') == issuer.as_str().trim_end_matches('/');
        let has_challenge = found
            .code_challenge_methods_supported
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|method| method == "S256"));
        let has_addresses = [&found.authorization_endpoint, &found.token_endpoint]
            .iter()
            .all(|address| endpoint(address).is_some());
        if is_same && has_challenge && has_addresses {
            return Some(found);
        }
    }
    None
}

/// The usual places of a description: with the path of what it describes, and without.
fn well_known(of: &Url, name: &str) -> Vec<Url> {
    let path = of.path().trim_end_matches('/');
    let mut place = of.clone();
    place.set_query(None);
    place.set_fragment(None);
    let mut places = Vec::with_capacity(2);
    if !path.is_empty() {
        let mut with_path = place.clone();
        with_path.set_path(&format!("/.well-known/{name}{path}"));
        places.push(with_path);
    }
    place.set_path(&format!("/.well-known/{name}"));
    places.push(place);
    places
}

async fn get<T: DeserializeOwned>(outbound: &Outbound, url: Url) -> Option<T> {
    let asked = async {
        let response = outbound
            .get(url)
            .ok()?
            .header(ACCEPT, "application/json")
            .send()
            .await
            .ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = whole(response).await.ok()?;
        serde_json::from_slice(&body).ok()
    };
    tokio::time::timeout(LIMIT, asked).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_looked_for_with_the_path_first() {
        let places = |url: &str, name| -> Vec<String> {
            let url = url.parse().unwrap();
            well_known(&url, name).iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            places("https://h/mcp/a?x=1", "oauth-protected-resource"),
            [
                "https://h/.well-known/oauth-protected-resource/mcp/a",
                "https://h/.well-known/oauth-protected-resource",
            ]
        );
        assert_eq!(
            places("https://h/", "openid-configuration"),
            ["https://h/.well-known/openid-configuration"]
        );
    }

    #[test]
    fn a_challenge_names_the_description() {
        for challenge in [
            r#"Bearer error="invalid_token", resource_metadata="https://h/x""#,
            "Bearer resource_metadata=https://h/x, error=none",
        ] {
            assert_eq!(
                parameter(challenge, "resource_metadata").as_deref(),
                Some("https://h/x")
            );
        }
        assert_eq!(parameter("Bearer", "resource_metadata"), None);
    }
}
