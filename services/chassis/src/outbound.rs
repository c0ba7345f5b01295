//! The one HTTP client with which a service reaches what people have typed an address of, and the rule about which addresses it may
//! reach.
//!
//! Such an address could point anywhere inside the network. Names are resolved here, every address is
//! judged, and the connection goes to a judged address: a name cannot change its meaning in between. Redirects are not followed and
//! no proxy is taken from the environment; both would move a request, and its key, to a place nobody judged.
//! What is sent is the caller's business.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::config::duration;

/// Idle connections kept per host, so that the next step needs no handshake.
const MAX_IDLE_PER_HOST: usize = 64;

/// How long an idle connection is kept. Shorter than most load balancers' own limit, so that we close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(55);

/// Silence after which the system probes a connection.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Which addresses may be called.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses of this machine, where local servers live.
    pub allow_loopback: bool,
    /// Addresses of private networks (RFC 1918, RFC 4193, RFC 6598).
    pub allow_private_networks: bool,
    /// Time to connect, TLS included.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow_loopback: true,
            allow_private_networks: true,
            connect_timeout: Duration::from_secs(5),
        }
    }
}

/// Why an address is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Cloud metadata, link-local, multicast, unspecified and the like: never a server of this kind.
    #[error("{host} is an address that is never called")]
    Never {
        /// The host as written.
        host: String,
    },
    /// This machine, which the configuration excludes.
    #[error("{host} is this machine, which this installation does not call (outbound.allow_loopback)")]
    Loopback {
        /// The host as written.
        host: String,
    },
    /// A private network, which the configuration excludes.
    #[error("{host} is in a private network, which this installation does not call (outbound.allow_private_networks)")]
    Private {
        /// The host as written.
        host: String,
    },
}

/// Names by which clouds serve credentials to whoever asks.
const METADATA_NAMES: [&str; 4] = ["metadata.google.internal", "metadata.goog", "metadata", "instance-data"];

/// Judges addresses. Cheap to clone.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    allow_loopback: bool,
    allow_private_networks: bool,
}

/// What an address is, as far as calling it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Public,
    Loopback,
    Private,
    Never,
}

impl Policy {
    /// The rule of a configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            allow_loopback: config.allow_loopback,
            allow_private_networks: config.allow_private_networks,
        }
    }

    /// Judges a host as far as its text says: literal addresses in any spelling, and names that are never called. Other names are
    /// judged when they are resolved.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check_url(self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check(IpAddr::V4(address), &address.to_string()),
            Some(Host::Ipv6(address)) => self.check(IpAddr::V6(address), &address.to_string()),
            Some(Host::Domain(name)) => check_name(name),
            None => Err(Refused::Never { host: String::new() }),
        }
    }

    /// Judges one address, which `host` stands for.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(self, address: IpAddr, host: &str) -> Result<(), Refused> {
        let host = host.to_owned();
        match place(address) {
            Place::Public => Ok(()),
            Place::Loopback if self.allow_loopback => Ok(()),
            Place::Private if self.allow_private_networks => Ok(()),
            Place::Loopback => Err(Refused::Loopback { host }),
            Place::Private => Err(Refused::Private { host }),
            Place::Never => Err(Refused::Never { host }),
        }
    }
}

/// Whether an address is on this machine, as far as its text says.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => place(IpAddr::V4(address)) == Place::Loopback,
        Some(Host::Ipv6(address)) => place(IpAddr::V6(address)) == Place::Loopback,
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn check_name(name: &str) -> Result<(), Refused> {
    let bare = name.trim_end_matches('.').to_ascii_lowercase();
    if METADATA_NAMES.contains(&bare.as_str()) {
        return Err(Refused::Never { host: name.to_owned() });
    }
    Ok(())
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

/// Source: IANA special-purpose address registry, and the metadata addresses of the large clouds.
fn place_v4(address: Ipv4Addr) -> Place {
    match address.octets() {
        // Link-local, which includes 169.254.169.254; "this network"; multicast, reserved, broadcast.
        [169, 254, ..] | [0, ..] | [224..=255, ..] => Place::Never,
        // Metadata of Alibaba, Oracle and Azure.
        [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => Place::Never,
        [127, ..] => Place::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Place::Private,
        [192, 0, 0, _] | [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Place::Never,
        _ => Place::Public,
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    /// Metadata of Amazon.
    const AMAZON: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    /// Metadata of Google.
    const GOOGLE: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
    if address.is_loopback() {
        return Place::Loopback;
    }
    if address.is_unspecified() || address.is_multicast() || address == AMAZON || address == GOOGLE {
        return Place::Never;
    }
    if let Some(embedded) = embedded_v4(address) {
        return place_v4(embedded);
    }
    match address.segments() {
        [0xfe80..=0xfebf, ..] => Place::Never,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Place::Private,
        // Protocols of the IETF, which include tunnels to IPv4 (Teredo); documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Place::Never,
        // Tunnels to an IPv4 address inside a site (RFC 5214).
        [0x2000..=0x3fff, _, _, _, 0 | 0x200, 0x5efe, high, low] => place_v4(joined(high, low)),
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Never,
    }
}

/// The IPv4 address that a translating, mapped or tunnelled IPv6 address leads to.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        // Mapped and compatible (RFC 4291), translated (RFC 6052, RFC 2765). Prefixes of a network's own translators (RFC 8215) hide
        // the address at places nobody else knows: they lead nowhere.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => Some(joined(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(joined(high, low)),
        _ => None,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// The client every such call goes through. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    http: reqwest::Client,
    policy: Policy,
}

impl Outbound {
    /// Builds the client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: &Config) -> Result<Self, reqwest::Error> {
        let policy = Policy::new(config);
        let http = reqwest::Client::builder()
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .no_gzip()
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(config.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(TCP_KEEPALIVE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .dns_resolver(JudgingResolver(policy))
            .build()?;
        Ok(Self { http, policy })
    }

    /// The rule this client keeps.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Starts a request.
    ///
    /// # Errors
    /// [`Refused`] when the address is not called.
    pub fn request(&self, method: reqwest::Method, url: Url) -> Result<reqwest::RequestBuilder, Refused> {
        self.policy.check_url(&url)?;
        Ok(self.http.request(method, url))
    }

    /// Starts a GET.
    ///
    /// # Errors
    /// [`Refused`] when the address is not called.
    pub fn get(&self, url: Url) -> Result<reqwest::RequestBuilder, Refused> {
        self.request(reqwest::Method::GET, url)
    }

    /// Starts a POST.
    ///
    /// # Errors
    /// [`Refused`] when the address is not called.
    pub fn post(&self, url: Url) -> Result<reqwest::RequestBuilder, Refused> {
        self.request(reqwest::Method::POST, url)
    }
}

/// The system's resolver, with the judged addresses only.
struct JudgingResolver(Policy);

impl Resolve for JudgingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            check_name(&host)?;
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map_err(|source| Unresolved {
                    host: host.clone(),
                    source,
                })?
                .collect();
            let mut refusal = None;
            let mut allowed = Vec::with_capacity(found.len());
            for address in found {
                match policy.check(address.ip(), &host) {
                    Ok(()) => allowed.push(address),
                    Err(refused) => refusal = Some(refused),
                }
            }
            match refusal {
                Some(refused) if allowed.is_empty() => Err(refused.into()),
                Some(_) | None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// No address is known for a name.
#[derive(Debug, thiserror::Error)]
#[error("no address is known for {host}")]
pub struct Unresolved {
    host: String,
    #[source]
    source: std::io::Error,
}

/// The first error of type `E` among an error and its sources.
pub fn find_source<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error with all its causes as one line: `a: b: c`, repeated texts left out.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: Policy = Policy {
        allow_loopback: false,
        allow_private_networks: false,
    };
    const OPEN: Policy = Policy {
        allow_loopback: true,
        allow_private_networks: true,
    };

    fn judge(policy: Policy, url: &str) -> Result<(), Refused> {
        policy.check_url(&url.parse().unwrap_or_else(|_| panic!("{url} is no URL")))
    }

    /// Every spelling a URL parser accepts for an address that must never be called.
    #[test]
    fn metadata_and_link_local_addresses_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "169.254.170.2",
            "2852039166",
            "0xa9fea9fe",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.16689662",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[::a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1:a9fe:a9:fe00:808:808]",
            "[2001:0:4136:e378:8000:63bf:5601:5601]",
            "[2001:db8::1]",
            "[3fff::1]",
            "[2600::5efe:a9fe:a9fe]",
            "[2002:a9fe:a9fe::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "metadata.google.internal",
            "METADATA.google.internal.",
            "metadata",
            "0.0.0.0",
            "0",
            "[::]",
            "255.255.255.255",
            "224.0.0.1",
            "[ff02::1]",
            "１６９.254.169.254",
            "user:pass@169.254.169.254",
        ] {
            let refused = judge(OPEN, &format!("http://{host}/latest/meta-data"));
            assert!(matches!(refused, Err(Refused::Never { .. })), "{host}: {refused:?}");
        }
    }

    #[test]
    fn this_machine_and_private_networks_follow_the_configuration() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2600::200:5efe:127.0.0.1]",
        ] {
            let url = format!("http://{host}:11434/v1");
            assert_eq!(judge(OPEN, &url), Ok(()), "{host}");
            assert!(matches!(judge(CLOSED, &url), Err(Refused::Loopback { .. })), "{host}");
        }
        for host in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.5",
            "100.64.0.1",
            "[fd12::1]",
            "[::ffff:10.0.0.1]",
        ] {
            let url = format!("http://{host}/v1");
            assert_eq!(judge(OPEN, &url), Ok(()), "{host}");
            assert!(matches!(judge(CLOSED, &url), Err(Refused::Private { .. })), "{host}");
        }
    }

    #[test]
    fn public_addresses_and_unknown_names_pass_the_text_check() {
        for host in [
            "1.1.1.1",
            "172.32.0.1",
            "[2606:4700::1111]",
            "api.openai.com",
            "localhost",
        ] {
            assert_eq!(judge(CLOSED, &format!("https://{host}/v1")), Ok(()), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_is_judged_by_what_it_resolves_to() {
        let config = Config {
            allow_loopback: false,
            ..Config::default()
        };
        let outbound = Outbound::new(&config).unwrap();
        let request = outbound.get("http://localhost:9/".parse().unwrap()).unwrap();
        let error = request.send().await.unwrap_err();
        let refused = find_source::<Refused>(&error);
        assert!(matches!(refused, Some(Refused::Loopback { .. })), "{}", chain(&error));
    }
}
