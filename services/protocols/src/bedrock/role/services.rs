//! AWS's services that give credentials: where they are, and the client that speaks to them. Only hosts of AWS's and what the
//! environment names are reached, by HTTPS (without it only on this machine).

use std::time::Duration as Limit;

use reqwest::Client;
use url::Url;

use super::{super::address::is_region, endpoint::is_own_or_https, sts::Sts};

/// Time to connect. A service is in the same region, or in none.
const CONNECT_TIMEOUT: Limit = Limit::from_secs(5);

/// Time for one answer.
const ANSWER_TIMEOUT: Limit = Limit::from_secs(10);

/// Variables that name another address of a service.
const STS: &str = "AWS_ENDPOINT_URL_STS";
const PORTAL: &str = "AWS_ENDPOINT_URL_SSO";
const OIDC: &str = "AWS_ENDPOINT_URL_SSO_OIDC";

/// Where the token service is for all regions, and the region its signatures name then.
const GLOBAL_STS: &str = "https://sts.amazonaws.com/";
const GLOBAL_REGION: &str = "us-east-1";

/// Addresses that the environment names instead of AWS's own.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    sts: Option<String>,
    portal: Option<String>,
    oidc: Option<String>,
}

impl Services {
    /// * `variable`: its value by name; blank counts as not set.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            sts: variable(STS),
            portal: variable(PORTAL),
            oidc: variable(OIDC),
        }
    }

    /// The token service of a region, or of all of them.
    ///
    /// # Errors
    /// What cannot be an address.
    pub(super) fn sts(&self, region: Option<&str>) -> Result<Sts, String> {
        if region.is_some_and(|region| !is_region(region)) {
            return Err("AWS_REGION, or the profile's region, is no name of a region".to_owned());
        }
        let usual = || region.map_or_else(|| parsed(GLOBAL_STS), |region| at_aws("sts", region));
        let url = address(STS, self.sts.as_deref(), usual)?;
        Ok(Sts::new(url, region.unwrap_or(GLOBAL_REGION)))
    }

    /// The portal that gives the credentials of roles to who has signed on.
    ///
    /// # Errors
    /// As [`Self::sts`].
    pub(super) fn portal(&self, region: &str) -> Result<Url, String> {
        address(PORTAL, self.portal.as_deref(), || of_session("portal.sso", region))
    }

    /// The service that renews what somebody has signed on with.
    ///
    /// # Errors
    /// As [`Self::sts`].
    pub(super) fn oidc(&self, region: &str) -> Result<Url, String> {
        address(OIDC, self.oidc.as_deref(), || of_session("oidc", region))
    }
}

/// A client for one exchange.
///
/// # Errors
/// Why there is none.
pub(super) fn client() -> Result<Client, String> {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .build()
        .map_err(|error| format!("no client for it: {error}"))
}

fn address(variable: &str, value: Option<&str>, usual: impl FnOnce() -> Result<Url, String>) -> Result<Url, String> {
    let Some(value) = value else { return usual() };
    let url = Url::parse(value).ok().filter(is_own_or_https);
    url.ok_or_else(|| format!("{variable} is no address that is reached by https"))
}

fn of_session(service: &str, region: &str) -> Result<Url, String> {
    match is_region(region) {
        true => at_aws(service, region),
        false => Err("sso_region is no name of a region".to_owned()),
    }
}

/// A service in a region whose name can be part of a host.
fn at_aws(service: &str, region: &str) -> Result<Url, String> {
    // China's regions are in a partition of their own.
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    parsed(&format!("https://{service}.{region}.amazonaws.com{end}/"))
}

fn parsed(address: &str) -> Result<Url, String> {
    Url::parse(address).map_err(|error| format!("{address} is no address: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(variables: &[(&str, &str)]) -> Services {
        Services::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_region_has_its_own_services() {
        let none = services(&[]);
        for (region, host) in [
            ("eu-west-1", "eu-west-1.amazonaws.com"),
            ("cn-north-1", "cn-north-1.amazonaws.com.cn"),
        ] {
            assert_eq!(
                none.sts(Some(region)).unwrap().url().as_str(),
                format!("https://sts.{host}/")
            );
            assert_eq!(
                none.portal(region).unwrap().as_str(),
                format!("https://portal.sso.{host}/")
            );
            assert_eq!(none.oidc(region).unwrap().as_str(), format!("https://oidc.{host}/"));
        }
        assert_eq!(none.sts(None).unwrap().url().as_str(), GLOBAL_STS);
    }

    #[test]
    fn a_region_cannot_lead_elsewhere() {
        let none = services(&[]);
        for region in ["evil.example/", "evil.example", "a@b", "", "a#", "-"] {
            assert!(none.sts(Some(region)).is_err(), "{region}");
            let told = [none.portal(region).unwrap_err(), none.oidc(region).unwrap_err()];
            assert!(told.iter().all(|told| told.starts_with("sso_region")), "{told:?}");
        }
    }

    #[test]
    fn an_environment_names_other_addresses_and_none_in_clear() {
        for address in ["https://vpce.example/x", "http://127.0.0.1:8/"] {
            let named = services(&[(STS, address), (PORTAL, address), (OIDC, address)]);
            let found = [named.portal("r").unwrap(), named.oidc("r").unwrap()];
            assert!(found.iter().all(|url| url.as_str() == address), "{found:?}");
            assert_eq!(named.sts(None).unwrap().url().as_str(), address);
        }
        for address in ["http://aws.example/", "ftp://127.0.0.1/", "nowhere"] {
            let named = services(&[(STS, address), (PORTAL, address), (OIDC, address)]);
            assert!(named.sts(None).unwrap_err().starts_with(STS));
            assert!(named.portal("r").unwrap_err().starts_with(PORTAL));
            assert!(named.oidc("r").unwrap_err().starts_with(OIDC));
        }
    }
}
