//! Which processes make up the system, and what each is told.

use std::path::Path;

use anyhow::bail;

use super::process::Plan;

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
        Self::ProviderGateway,
        Self::ToolRunner,
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

    /// The word in names of environment variables.
    fn variable(self) -> String {
        self.name().replace('-', "_").to_uppercase()
    }

    /// The services this one calls.
    fn peers(self) -> &'static [Self] {
        match self {
            Self::Storage => &[],
            Self::ProviderGateway | Self::ToolRunner => &[Self::Storage],
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
    /// Address of the REST and WebSocket face, as `host:port`.
    pub listen: String,
    pub bootstrap_token: &'a str,
    /// Hexadecimal secret that services prove themselves with.
    pub service_secret: &'a str,
    pub extra: &'a [(String, String)],
}

/// The processes of a mode, each after those it calls.
pub(super) fn plans(mode: Mode, site: &Site<'_>) -> Vec<Plan> {
    match mode {
        Mode::AllInOne => vec![plan("tandem", site, vec!["serve".to_owned()], Vec::new())],
        Mode::Separate => Service::ALL
            .into_iter()
            .map(|service| {
                let prefix = format!("TANDEM_{}__", service.variable());
                let mut environment = vec![("TANDEM_SERVICE_SECRET".to_owned(), site.service_secret.to_owned())];
                if service != Service::Gateway {
                    environment.push((format!("{prefix}LISTEN"), socket(site, service)));
                }
                for peer in service.peers() {
                    let name = format!("{prefix}PEERS__{}", peer.variable());
                    environment.push((name, socket(site, *peer)));
                }
                plan(service.name(), site, vec![service.name().to_owned()], environment)
            })
            .collect(),
    }
}

fn socket(site: &Site<'_>, service: Service) -> String {
    let path = site.sockets.join(format!("{}.sock", service.name()));
    format!("unix:{}", path.display())
}

fn plan(name: &str, site: &Site<'_>, arguments: Vec<String>, environment: Vec<(String, String)>) -> Plan {
    let shared = [
        ("TANDEM_LISTEN", site.listen.clone()),
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
            .collect(),
    }
}
