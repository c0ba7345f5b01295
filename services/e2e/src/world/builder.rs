//! How a world is made, and the making of it.

use std::path::PathBuf;

use super::{
    Database, Faults, Mode, Network, Rest, User, World, cluster, free_address,
    mode::{self, Site},
    process::{Process, program},
    random_hex,
};
use crate::{fake_llm, http};

/// What a model does beside turns, as variables of the environment.
const SIDE_JOBS: [&str; 2] = [
    "TANDEM_ORCHESTRATOR__SIDE_JOBS__TITLES",
    "TANDEM_ORCHESTRATOR__SIDE_JOBS__SUMMARIES",
];

/// How a world is made. The defaults: mode from the environment, a fake LLM registered as provider.
#[derive(Default)]
pub struct Builder {
    mode: Option<Mode>,
    environment: Vec<(String, String)>,
    replicas: Option<usize>,
    provider_gateways: Option<usize>,
    replica_environment: Vec<(usize, String, String)>,
    fake: fake_llm::Builder,
    without_provider: bool,
    program: Option<PathBuf>,
    pub(super) has_network: bool,
    pub(super) has_database: bool,
}

impl Builder {
    /// Another program than the one just built, such as that of the release before.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// All services in one process, whatever the environment says.
    pub fn all_in_one(mut self) -> Self {
        self.mode = Some(Mode::AllInOne);
        self
    }

    /// Every service a process of its own, whatever the environment says.
    pub fn separate_processes(mut self) -> Self {
        self.mode = Some(Mode::Separate);
        self
    }

    /// This many orchestrators, each behind a gateway of its own, over one storage. Separate processes.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = Some(count);
        self.separate_processes()
    }

    /// This many provider gateways, which every orchestrator knows. Separate processes.
    pub fn provider_gateways(mut self, count: usize) -> Self {
        self.provider_gateways = Some(count);
        self.separate_processes()
    }

    /// One more environment variable for the orchestrator and the gateway of one replica, counted from 0. Services that are not
    /// replicated belong to replica 0.
    pub fn replica_env(mut self, replica: usize, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.replica_environment.push((replica, name.into(), value.into()));
        self
    }

    /// One more environment variable for every process.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Has models name chats and label turns, as the product does unless told otherwise.
    pub fn side_jobs(mut self) -> Self {
        self.environment
            .extend(SIDE_JOBS.map(|name| (name.to_owned(), "true".to_owned())));
        self
    }

    /// A fake LLM of your own making.
    pub fn fake(mut self, fake: fake_llm::Builder) -> Self {
        self.fake = fake;
        self
    }

    /// Registers no provider; the fake runs all the same.
    pub fn without_provider(mut self) -> Self {
        self.without_provider = true;
        self
    }

    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When a process ends, nothing is ready in time, or the provider cannot be registered; with the ends of the logs.
    pub async fn start(self) -> anyhow::Result<World> {
        let mode = match self.mode {
            Some(mode) => mode,
            None => Mode::from_environment()?,
        };
        let directory = tempfile::Builder::new().prefix("tandem-e2e-").tempdir()?;
        let data = directory.path().join("data");
        let sockets = directory.path().join("s");
        let logs = directory.path().join("logs");
        let faults = directory.path().join("faults");
        for path in [&data, &sockets, &logs, &faults] {
            std::fs::create_dir(path)?;
        }
        let (token, secret) = (random_hex(20)?, random_hex(32)?);
        let listen = (0..self.replicas.unwrap_or(1)).map(|_| free_address().map_err(anyhow::Error::from));
        let listen = listen.collect::<anyhow::Result<Vec<String>>>()?;
        let program = match self.program {
            Some(program) => program,
            None => {
                let program = program()?;
                cluster::plant(&program, &data).await?;
                program
            }
        };
        let database = match self.has_database {
            true => Some(Database::start(&program, &data, &logs).await?),
            false => None,
        };
        let socket = database.as_ref().map(Database::socket);
        let network = match self.has_network || self.has_database {
            true => Some(Network::start(&sockets, socket.as_deref(), self.has_network).await?),
            false => None,
        };
        // Scripts and counts of requests are about turns; a test of what runs beside them switches it on.
        let mut environment = SIDE_JOBS.map(|name| (name.to_owned(), "false".to_owned())).to_vec();
        environment.extend(self.environment);
        environment.push(("TANDEM_FAULTS".to_owned(), faults.display().to_string()));
        let site = Site {
            program: &program,
            data: &data,
            sockets: &sockets,
            listen: &listen,
            provider_gateways: self.provider_gateways.unwrap_or(1),
            bootstrap_token: &token,
            service_secret: &secret,
            extra: &environment,
            replica_extra: &self.replica_environment,
            network: network.as_ref(),
        };
        let processes = mode::plans(mode, &site)
            .into_iter()
            .map(|plan| Process::new(plan, &logs))
            .collect();
        let rest = Rest::new(http::client()?, format!("http://{}", listen[0]), Some(token));
        let mut world = World {
            mode,
            processes,
            listen,
            admin: User {
                id: String::new(),
                organization_id: String::new(),
                rest,
            },
            fake: self.fake.start().await?,
            provider_id: String::new(),
            model_config_id: String::new(),
            data,
            faults: Faults::new(faults),
            network,
            database,
            directory,
        };
        for process in &mut world.processes {
            process.start()?;
        }
        world.wait_ready().await?;
        world.learn_admin().await?;
        if !self.without_provider {
            world.register_fake().await?;
        }
        Ok(world)
    }
}
