//! The whole system under test: real processes in a private directory, a fake LLM beside them, and clients.
//!
//! It knows the public faces only (environment, REST, WebSocket), so the same tests hold for one process and for many.
//! Everything is private to a world: data directory, database, ports.

mod builder;
mod chats;
mod cluster;
mod database;
mod faults;
mod mode;
mod network;
mod ports;
mod process;
mod rest;
mod stream;
mod transcript;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::process::Process;
pub use self::{
    builder::Builder,
    chats::{id_of, text, wait_for_status},
    database::Database,
    faults::Faults,
    mode::{Mode, Service},
    network::{Network, Wire},
    ports::free_address,
    rest::{Answer, Rest, finish},
    stream::Stream,
    transcript::{Transcript, lines},
};
use crate::fake_llm::FakeLlm;

/// From start to `/readyz`, with a new database on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// Pause between two looks at `/readyz`.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// For an orderly end.
const TERMINATE_LIMIT: Duration = Duration::from_secs(45);
/// A database whose owner was killed stops by itself within this time.
const ORPHAN_LIMIT: Duration = Duration::from_secs(5);
/// The model every world offers.
const MODEL: &str = "fake-model";

/// Somebody with a token.
#[derive(Clone)]
pub struct User {
    pub id: String,
    /// The first organisation the user belongs to.
    pub organization_id: String,
    pub rest: Rest,
}

/// A running system. Dropping it kills every process, and shows the logs when a test is failing.
pub struct World {
    mode: Mode,
    processes: Vec<Process>,
    /// Addresses of the gateways, as `host:port`.
    listen: Vec<String>,
    admin: User,
    fake: FakeLlm,
    provider_id: String,
    model_config_id: String,
    data: PathBuf,
    faults: Faults,
    network: Option<Network>,
    database: Option<Database>,
    directory: TempDir,
}

impl World {
    /// A world of your own making.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A world with the defaults.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The fake LLM behind the registered provider.
    pub fn fake(&self) -> &FakeLlm {
        &self.fake
    }

    /// The administrator.
    pub fn admin(&self) -> &User {
        &self.admin
    }

    /// The administrator at the gateway of one replica.
    pub fn admin_at(&self, replica: usize) -> User {
        let base = format!("http://{}", self.listen[replica]);
        User {
            rest: self.admin.rest.at(base),
            ..self.admin.clone()
        }
    }

    /// The administrator's REST client.
    pub fn rest(&self) -> &Rest {
        &self.admin.rest
    }

    /// Id of the provider behind which the fake answers.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    /// Id of the default model.
    pub fn model_config_id(&self) -> &str {
        &self.model_config_id
    }

    /// Where faults are armed.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The system's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Ids of the processes that run, each after those it calls.
    pub fn process_ids(&self) -> Vec<u32> {
        self.processes.iter().filter_map(Process::id).collect()
    }

    /// Id of the process of one service, if it runs; of the only process when all run in one.
    pub fn service_process_id(&mut self, service: Service) -> Option<u32> {
        self.process(service, 0).ok()?.id()
    }

    /// `kill -9` of every process at once.
    ///
    /// # Errors
    /// When a process outlives it.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            process.kill().await?;
        }
        Ok(())
    }

    /// `kill -9` of one service; of everything when all run in one process.
    ///
    /// # Errors
    /// When the process outlives it.
    pub async fn kill9_service(&mut self, service: Service) -> anyhow::Result<()> {
        self.kill9_replica(service, 0).await
    }

    /// `kill -9` of one of several processes of a service.
    ///
    /// # Errors
    /// When the process outlives it.
    pub async fn kill9_replica(&mut self, service: Service, replica: usize) -> anyhow::Result<()> {
        self.process(service, replica)?.kill().await
    }

    /// Starts every process that does not run and waits until all is ready.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            if process.id().is_none() {
                process.start()?;
            }
        }
        self.wait_ready().await
    }

    /// Changes a variable of one process's environment; from its next start on.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn set_env(&mut self, service: Service, replica: usize, name: &str, value: &str) -> anyhow::Result<()> {
        let environment = &mut self.process(service, replica)?.plan.environment;
        environment.retain(|(known, _)| known != name);
        environment.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// SIGTERM to every process, callers before those they call; the exit statuses in that order.
    ///
    /// # Errors
    /// When one does not end in time.
    pub async fn terminate(&mut self) -> anyhow::Result<Vec<ExitStatus>> {
        let mut statuses = Vec::new();
        for process in self.processes.iter_mut().rev() {
            statuses.push(process.terminate(TERMINATE_LIMIT).await?);
        }
        Ok(statuses)
    }

    /// SIGTERM to one service; its exit status.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn terminate_service(&mut self, service: Service) -> anyhow::Result<ExitStatus> {
        self.terminate_replica(service, 0).await
    }

    /// SIGTERM to one of several processes of a service, and its orderly end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn terminate_replica(&mut self, service: Service, replica: usize) -> anyhow::Result<ExitStatus> {
        self.process(service, replica)?.terminate(TERMINATE_LIMIT).await
    }

    /// Stops a service in its tracks (SIGSTOP).
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze(&mut self, service: Service) -> anyhow::Result<()> {
        self.freeze_replica(service, 0)
    }

    /// Stops one of several processes of a service in its tracks.
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze_replica(&mut self, service: Service, replica: usize) -> anyhow::Result<()> {
        self.process(service, replica)?.signal(Signal::STOP)
    }

    /// Lets a frozen service go on (SIGCONT).
    ///
    /// # Errors
    /// When it is not running.
    pub fn thaw(&mut self, service: Service) -> anyhow::Result<()> {
        self.thaw_replica(service, 0)
    }

    /// Lets one of several frozen processes of a service go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn thaw_replica(&mut self, service: Service, replica: usize) -> anyhow::Result<()> {
        self.process(service, replica)?.signal(Signal::CONT)
    }

    /// Everything the processes have logged.
    pub fn logs(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// Creates a user with a password and signs in as it.
    ///
    /// # Errors
    /// When an answer is not 201.
    pub async fn create_user(&self, username: &str) -> anyhow::Result<User> {
        let password = random_hex(16)?;
        let email = format!("{username}@example.com");
        let body = json!({
            "username": username,
            "email": email,
            "password": password,
            "login_type": "password",
            "organization_ids": [self.admin.organization_id],
        });
        let user = self.rest().post("/api/v2/users", &body).await?.expect(201)?;
        let login = json!({ "email": email, "password": password });
        let nobody = self.rest().without_token();
        let session = nobody.post("/api/v2/users/login", &login).await?.expect(201)?;
        Ok(User {
            id: member(&user, "id")?,
            organization_id: self.admin.organization_id.clone(),
            rest: self.rest().with_token(member(&session, "session_token")?),
        })
    }

    /// Registers a provider that speaks Chat Completions; its id.
    ///
    /// # Errors
    /// When the answer is not 201.
    pub async fn register_provider(&self, name: &str, base_url: &str, keys: &[&str]) -> anyhow::Result<String> {
        let body = json!({
            "type": "openai-compat",
            "name": name,
            "display_name": name,
            "enabled": true,
            "base_url": base_url,
            "api_keys": keys,
        });
        let provider = self.rest().post("/api/v2/ai/providers", &body).await?.expect(201)?;
        member(&provider, "id")
    }

    /// Registers a model of a provider; its id.
    ///
    /// # Errors
    /// When the answer is not 201.
    pub async fn register_model(&self, provider_id: &str, model: &str) -> anyhow::Result<String> {
        let body = json!({
            "ai_provider_id": provider_id,
            "model": model,
            "display_name": model,
            "context_limit": 128_000,
        });
        let config = self
            .rest()
            .post("/api/v1/chats/model-configs", &body)
            .await?
            .expect(201)?;
        member(&config, "id")
    }

    async fn register_fake(&mut self) -> anyhow::Result<()> {
        let base_url = self.fake.base_url();
        let keys = [self.fake.api_key()];
        self.provider_id = self.register_provider("fake", &base_url, &keys).await?;
        self.model_config_id = self.register_model(&self.provider_id, MODEL).await?;
        Ok(())
    }

    async fn learn_admin(&mut self) -> anyhow::Result<()> {
        let me = self.rest().get("/api/v2/users/me").await?.expect(200)?;
        self.admin.id = member(&me, "id")?;
        let organization = me["organization_ids"][0].as_str();
        self.admin.organization_id = organization
            .with_context(|| format!("no organisation in {me}"))?
            .to_owned();
        Ok(())
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut last = "no answer".to_owned();
        while started.elapsed() < READY_LIMIT {
            for process in &mut self.processes {
                process.check_alive()?;
            }
            match self.not_ready().await {
                None => return Ok(()),
                Some(why) => last = why,
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
        bail!(
            "not ready after {READY_LIMIT:?}, last seen: {last}\n{}",
            self.log_tails()
        )
    }

    /// What the first gateway that is not ready says.
    async fn not_ready(&self) -> Option<String> {
        for replica in 0..self.listen.len() {
            match self.admin_at(replica).rest.without_token().get("/readyz").await {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => return Some(format!("{}: {}", answer.status, answer.text)),
                Err(error) => return Some(format!("{error:#}")),
            }
        }
        None
    }

    fn process(&mut self, service: Service, replica: usize) -> anyhow::Result<&mut Process> {
        let name = match self.mode {
            Mode::AllInOne => "tandem".to_owned(),
            Mode::Separate => service.instance(replica),
        };
        let mut processes = self.processes.iter_mut();
        let found = processes.find(|process| process.plan.name == name);
        found.with_context(|| format!("no process {name}"))
    }

    fn log_tails(&self) -> String {
        let tails: Vec<String> = self.processes.iter().map(Process::log_tail).collect();
        let database = self.database.iter().map(Database::log_tail);
        tails.into_iter().chain(database).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tails = self.log_tails();
            let text = format!("{tails}\nin {}\n", self.directory.path().display());
            std::io::stderr().write_all(text.as_bytes()).ok();
        }
        for process in &mut self.processes {
            process.kill_now();
        }
        if let Some(database) = &mut self.database {
            database.kill_now();
        }
        wait_for_orphans(&self.data);
    }
}

/// A database left alone stops by itself; its files can only be removed after that.
fn wait_for_orphans(data: &Path) {
    let pid_file = ["postgres/data/postmaster.pid", "postgres/postmaster.pid"]
        .map(|path| data.join(path))
        .into_iter()
        .find(|path| path.exists());
    let Some(pid) = pid_file
        .and_then(|path| std::fs::read_to_string(path).ok())
        .and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
    else {
        return;
    };
    let started = Instant::now();
    while started.elapsed() < ORPHAN_LIMIT && Path::new(&format!("/proc/{pid}")).exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn member(object: &Value, name: &str) -> anyhow::Result<String> {
    let text = object[name].as_str();
    Ok(text.with_context(|| format!("no {name} in {object}"))?.to_owned())
}

fn random_hex(bytes: usize) -> anyhow::Result<String> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
