//! Finding out where a server's accounts live, and registering a client there.
//!
//! Source: RFC 9728 (which authorization server), RFC 8414 (its addresses), RFC 7591 (registration).

use std::time::Duration;

use http::header::{ACCEPT, WWW_AUTHENTICATE};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tandem_chassis::outbound::{self, Outbound, Policy};
use url::{Host, Url};

use super::{LIMIT, endpoint, unreachable, whole};

/// Time for all of it.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(40);

/// Authorization servers of one resource that are tried.
const MAX_ISSUERS: usize = 4;

/// Longest list of scopes that is taken over, in bytes.
const MAX_SCOPES_BYTES: usize = 2_048;

/// What is known of a server's accounts, with a client registered for us.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// Empty for clients without one.
    pub(crate) client_secret: SecretString,
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

/// Which addresses a server may name.
///
/// A server in the open must not lead us into this network: what it names has to be in the open too, and to speak TLS. One that is here
/// itself may name what it likes within the installation's own rule.
#[derive(Clone, Debug)]
struct Trust {
    outbound: Outbound,
    is_open: bool,
}

impl Trust {
    async fn of(outbound: &Outbound, server: &Url) -> Result<Self, String> {
        let strict = outbound::Config {
            allow_loopback: false,
            allow_private_networks: false,
            ..outbound::Config::default()
        };
        let is_open = server.scheme() == "https" && is_public(Policy::new(&strict), server).await;
        let outbound = match is_open {
            true => Outbound::new(&strict).map_err(|_| "TLS cannot be set up".to_owned())?,
            false => outbound.clone(),
        };
        Ok(Self { outbound, is_open })
    }

    /// An address the server has named, if it may.
    async fn told(&self, text: &str) -> Option<Url> {
        let url = endpoint(text)?;
        let is_fine = !self.is_open || (url.scheme() == "https" && is_public(self.outbound.policy(), &url).await);
        is_fine.then_some(url)
    }
}

/// Whether a host is in the open, as the strict rule sees it. Names are looked up; one that has no address is not.
async fn is_public(strict: Policy, url: &Url) -> bool {
    if strict.check_url(url).is_err() {
        return false;
    }
    let Some(Host::Domain(name)) = url.host() else {
        return true;
    };
    let port = url.port_or_known_default().unwrap_or(443);
    match tokio::time::timeout(LIMIT, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(found)) => {
            let mut found = found.peekable();
            found.peek().is_some() && found.all(|address| strict.check(address.ip(), name).is_ok())
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Finds out where accounts of the server live, and registers a client whose users come back to `redirect_uri`. Takes at most 40 s.
///
/// # Errors
/// Which step failed, for administrators.
pub(crate) async fn register(outbound: &Outbound, server: &Url, redirect_uri: &Url) -> Result<Client, String> {
    let registered = tokio::time::timeout(DISCOVERY_LIMIT, register_unbounded(outbound, server, redirect_uri));
    let late = || Err("the server and its authorization server took too long".to_owned());
    registered.await.unwrap_or_else(|_| late())
}

async fn register_unbounded(outbound: &Outbound, server: &Url, redirect_uri: &Url) -> Result<Client, String> {
    let trust = Trust::of(outbound, server).await?;
    let resource = resource(&trust, server).await;
    let mut issuers: Vec<Url> = Vec::new();
    for issuer in resource.authorization_servers.iter().take(MAX_ISSUERS) {
        issuers.extend(trust.told(issuer).await);
    }
    if issuers.is_empty() {
        // Before there was RFC 9728, a server was its own authorization server.
        let mut origin = server.clone();
        origin.set_path("/");
        origin.set_query(None);
        issuers.push(origin);
    }
    let mut found = None;
    for issuer in &issuers {
        found = metadata(&trust, issuer).await;
        if found.is_some() {
            break;
        }
    }
    let found = found.ok_or("the server does not say where its users sign in")?;
    let registration = match &found.registration_endpoint {
        Some(text) => trust.told(text).await,
        None => None,
    };
    let registration = registration
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
        let request = trust
            .outbound
            .post(registration)
            .map_err(|refused| refused.to_string())?;
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
    let revocation_url = match found.revocation_endpoint {
        Some(text) if trust.told(&text).await.is_some() => text,
        Some(_) | None => String::new(),
    };
    Ok(Client {
        client_id: registered.client_id,
        client_secret: registered.client_secret.into(),
        auth_url: found.authorization_endpoint,
        token_url: found.token_endpoint,
        revocation_url,
        scopes,
    })
}

/// What the server says about its accounts: where it says so itself, and else in the usual places.
async fn resource(trust: &Trust, server: &Url) -> Resource {
    let mut places: Vec<Url> = challenged(trust, server).await.into_iter().collect();
    places.extend(well_known(server, "oauth-protected-resource"));
    for place in places {
        if let Some(resource) = get::<Resource>(&trust.outbound, place).await
            && !resource.authorization_servers.is_empty()
        {
            return resource;
        }
    }
    Resource::default()
}

/// The address in the server's answer to somebody it does not know.
async fn challenged(trust: &Trust, server: &Url) -> Option<Url> {
    let request = trust.outbound.post(server.clone()).ok()?;
    let sent = request
        .header(ACCEPT, "application/json, text/event-stream")
        .json(&json!({"jsonrpc": "2.0", "id": 0, "method": "ping"}))
        .send();
    let response = tokio::time::timeout(LIMIT, sent).await.ok()?.ok()?;
    let challenge = response.headers().get(WWW_AUTHENTICATE)?.to_str().ok()?;
    trust.told(&parameter(challenge, "resource_metadata")?).await
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

async fn metadata(trust: &Trust, issuer: &Url) -> Option<Issuer> {
    let mut places = well_known(issuer, "oauth-authorization-server");
    places.extend(well_known(issuer, "openid-configuration"));
    let path = issuer.path().trim_end_matches('/');
    if !path.is_empty() {
        let mut behind = issuer.clone();
        behind.set_path(&format!("{path}/.well-known/openid-configuration"));
        places.push(behind);
    }
    for place in places {
        let Some(found) = get::<Issuer>(&trust.outbound, place).await else {
            continue;
        };
        // Somebody else's description would lead our users to somebody else.
        let is_same = found.issuer.trim_end_matches('/') == issuer.as_str().trim_end_matches('/');
        let has_challenge = found
            .code_challenge_methods_supported
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|method| method == "S256"));
        let has_addresses = trust.told(&found.authorization_endpoint).await.is_some()
            && trust.told(&found.token_endpoint).await.is_some();
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

    #[tokio::test]
    async fn a_server_in_the_open_leads_nobody_into_this_network() {
        let own = Outbound::new(&outbound::Config::default()).unwrap();
        let open = Trust::of(&own, &"https://93.184.215.14/mcp".parse().unwrap())
            .await
            .unwrap();
        assert!(open.is_open);
        for inside in [
            "http://93.184.215.14/register",
            "https://127.0.0.1/register",
            "https://localhost/register",
            "https://10.0.0.1/register",
            "https://192.168.1.1/register",
            "https://[::1]/register",
            "https://[::ffff:10.0.0.1]/register",
            "https://169.254.169.254/latest",
            "https://metadata.google.internal/",
            "ftp://93.184.215.14/",
            "/relative",
        ] {
            assert_eq!(open.told(inside).await, None, "{inside}");
            if let Some(url) = endpoint(inside).filter(|url| url.scheme() == "https") {
                let literal = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
                assert!(!literal || open.outbound.get(url).is_err(), "{inside}");
            }
        }
        assert!(open.told("https://93.184.215.15/register").await.is_some());

        let here = Trust::of(&own, &"http://127.0.0.1:8080/mcp".parse().unwrap())
            .await
            .unwrap();
        assert!(!here.is_open);
        assert!(here.told("http://127.0.0.1:9090/register").await.is_some());
        let inside = Trust::of(&own, &"https://10.1.2.3/mcp".parse().unwrap()).await.unwrap();
        assert!(inside.told("https://10.1.2.4/register").await.is_some());
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
