//! Which processes make up the system, and what each is told.

use std::path::Path;

use anyhow::bail;

use super::{network::Network, process::Plan};

/// One process for everything, or one for each service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    AllInOne,
    Separate,
}

/// A service that is a process of its own in [`Mode::Separate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Storage,
    ProviderGateway,
    ToolRunner,
    Orchestrator,
    Gateway,
}

impl Service {
    /// All of them, each after those it calls.
    pub const ALL: [Self; 5] = [
        Self::Storage,
        Self::ToolRunner,
        Self::ProviderGateway,
        Self::Orchestrator,
        Self::Gateway,
    ];

    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::ProviderGateway => "provider-gateway",
            Self::ToolRunner => "tool-runner",
            Self::Orchestrator => "orchestrator",
            Self::Gateway => "gateway",
        }
    }

    /// The name of one of several processes of this service; the first is called like the service.
    pub(super) fn instance(self, replica: usize) -> String {
        match replica {
            0 => self.name().to_owned(),
            later => format!("{}-{}", self.name(), later + 1),
        }
    }

    /// Whether a world with several replicas runs several of this service.
    fn is_replicated(self) -> bool {
        matches!(self, Self::Orchestrator | Self::Gateway)
    }

    /// The word in names of environment variables.
    fn variable(self) -> String {
        self.name().replace('-', "_").to_uppercase()
    }

    /// The services this one calls.
    pub(super) fn peers(self) -> &'static [Self] {
        match self {
            Self::Storage => &[],
            Self::ToolRunner => &[Self::Storage],
            Self::ProviderGateway => &[Self::Storage, Self::ToolRunner],
            Self::Orchestrator => &[Self::Storage, Self::ProviderGateway, Self::ToolRunner],
            Self::Gateway => &[
                Self::Storage,
                Self::ProviderGateway,
                Self::ToolRunner,
                Self::Orchestrator,
            ],
        }
    }
}

impl Mode {
    /// `TANDEM_E2E_MODE`: `all-in-one`, which is also the default, or `separate`.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        match std::env::var("TANDEM_E2E_MODE").as_deref() {
            Err(_) | Ok("" | "all-in-one") => Ok(Self::AllInOne),
            Ok("separate") => Ok(Self::Separate),
            Ok(other) => bail!("TANDEM_E2E_MODE is {other:?}; write all-in-one or separate"),
        }
    }
}

/// What every process of one world shares.
pub(super) struct Site<'a> {
    pub program: &'a Path,
    /// Data directory of the system.
    pub data: &'a Path,
    /// Directory of the sockets between services; short, for the limit on their paths.
    pub sockets: &'a Path,
    /// Addresses of the REST and WebSocket faces, as `host:port`: one for each replica.
    pub listen: &'a [String],
    pub provider_gateways: usize,
    pub bootstrap_token: &'a str,
    /// Hexadecimal secret that services prove themselves with.
    pub service_secret: &'a str,
    pub extra: &'a [(String, String)],
    /// Variables of one replica's processes.
    pub replica_extra: &'a [(usize, String, String)],
    /// What lies between the processes of the first replica; nothing if absent.
    pub network: Option<&'a Network>,
}

/// The processes of a mode, each after those it calls.
pub(super) fn plans(mode: Mode, site: &Site<'_>) -> Vec<Plan> {
    match mode {
        Mode::AllInOne => vec![plan("tandem", site, 0, vec!["serve".to_owned()], database(site))],
        Mode::Separate => Service::ALL
            .into_iter()
            .flat_map(|service| {
                let count = match service {
                    Service::ProviderGateway => site.provider_gateways,
                    replicated if replicated.is_replicated() => site.listen.len(),
                    _ => 1,
                };
                (0..count).map(move |replica| (service, replica))
            })
            .map(|(service, replica)| {
                let prefix = format!("TANDEM_{}__", service.variable());
                let mut environment = vec![("TANDEM_SERVICE_SECRET".to_owned(), site.service_secret.to_owned())];
                if service != Service::Gateway {
                    environment.push((format!("{prefix}LISTEN"), socket(site, service, replica)));
                }
                if service == Service::Orchestrator {
                    let address = socket(site, service, replica);
                    environment.push((format!("{prefix}ADVERTISED_ADDRESS"), address));
                }
                for peer in service.peers() {
                    let caller = replica;
                    let name = format!("{prefix}PEERS__{}", peer.variable());
                    let replica = if peer.is_replicated() { replica } else { 0 };
                    let through = site.network.filter(|_| caller == 0);
                    let through = through.and_then(|network| network.address(service, *peer));
                    let all = (service, *peer) == (Service::Orchestrator, Service::ProviderGateway);
                    let direct = || match all {
                        true => (0..site.provider_gateways)
                            .map(|replica| socket(site, *peer, replica))
                            .collect::<Vec<_>>()
                            .join(","),
                        false => socket(site, *peer, replica),
                    };
                    environment.push((name, through.unwrap_or_else(direct)));
                }
                if service == Service::Storage {
                    environment.extend(database(site));
                }
                let arguments = vec![service.name().to_owned()];
                plan(&service.instance(replica), site, replica, arguments, environment)
            })
            .collect(),
    }
}

/// Where storage finds its database, unless it runs its own.
fn database(site: &Site<'_>) -> Vec<(String, String)> {
    let url = site.network.and_then(Network::database_url);
    url.into_iter().map(|url| ("DATABASE_URL".to_owned(), url)).collect()
}

fn socket(site: &Site<'_>, service: Service, replica: usize) -> String {
    let path = site.sockets.join(format!("{}.sock", service.instance(replica)));
    format!("unix:{}", path.display())
}

fn plan(
    name: &str,
    site: &Site<'_>,
    replica: usize,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
) -> Plan {
    let own = site.replica_extra.iter().filter(|(of, _, _)| *of == replica);
    let shared = [
        // Only gateways listen there, and each has its own.
        (
            "TANDEM_LISTEN",
            site.listen
                .get(replica)
                .or(site.listen.first())
                .cloned()
                .unwrap_or_default(),
        ),
        ("TANDEM_DATA_DIR", site.data.display().to_string()),
        ("TANDEM_BOOTSTRAP_TOKEN", site.bootstrap_token.to_owned()),
    ];
    Plan {
        name: name.to_owned(),
        program: site.program.to_owned(),
        arguments,
        environment: shared
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .chain(environment)
            .chain(site.extra.iter().cloned())
            .chain(own.map(|(_, name, value)| (name.clone(), value.clone())))
            .collect(),
    }
}
