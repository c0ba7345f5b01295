//! Who is measured: Tandem, and gateways that others would use in its place. Each runs on a core of its own.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{
    OURS, WITHOUT_RECORDS,
    load::{self, Target},
    upstream::MODEL,
};
use crate::{
    bench::{
        database,
        process::{Family, memory, running_time},
    },
    world::{Service, World, free_address},
};

/// From start to the first answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// From the last answer until everything is metered.
const METERED_LIMIT: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const PATH: &str = "/v1/chat/completions";
/// Runs what is written in JavaScript.
const NODE: &str = "node";
/// Where Tandem's own listener has it.
const BRIDGE_PATH: &str = "/openai/v1/chat/completions";
const KIB_PER_MIB: f64 = 1024.0;

/// Which processor cores are for what.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// For the gateway that is measured, alone.
    pub gateway: usize,
    /// For everything else: load, upstream, databases.
    pub rest: usize,
}

/// A gateway that runs, or none.
pub struct Peer {
    pub name: String,
    pub target: Target,
    /// The process that is measured.
    process: Option<u32>,
    /// The process beside it that works for it, with all below it.
    beside: Option<u32>,
    kept: Kept,
}

/// What must live as long as the peer.
enum Kept {
    Nothing,
    Program { _child: Child, _directory: TempDir },
    Tandem { world: Box<World>, _directory: TempDir },
}

impl Peer {
    /// No gateway: the upstream itself.
    pub fn direct(upstream: SocketAddr) -> Self {
        Self {
            name: "direct".to_owned(),
            target: target(upstream.to_string(), None),
            process: None,
            beside: None,
            kept: Kept::Nothing,
        }
    }

    /// nginx as a plain proxy of one process that keeps its connections.
    pub async fn nginx(program: &Path, upstream: SocketAddr, cores: Cores) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let root = directory.path().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {root}/{name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {root}/pid;\nerror_log {root}/error.log;\nevents {{ worker_connections 1024; }}\n\
             http {{\naccess_log off;\n{paths}\
             upstream vendor {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}\n\
             server {{\nlisten {address};\nkeepalive_requests 100000000;\ntcp_nodelay on;\n\
             location / {{ proxy_pass http://vendor; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }}\n\
             }}\n}}\n"
        );
        let path = directory.path().join("nginx.conf");
        std::fs::write(&path, config)?;
        let arguments = ["-c".into(), path, "-p".into(), directory.path().to_owned()];
        Self::program("nginx", program, &arguments, address, directory, cores).await
    }

    /// crabllm with one provider and no keys.
    pub async fn crabllm(program: &Path, upstream: SocketAddr, cores: Cores) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let config = format!(
            "listen = \"{address}\"\n[providers.openai]\napi_key = \"sk-bench\"\nbase_url = \"http://{upstream}/v1\"\n\
             models = [\"{MODEL}\"]\n"
        );
        let path = directory.path().join("crabllm.toml");
        std::fs::write(&path, config)?;
        let arguments = ["serve".into(), "--config".into(), path];
        Self::program("crabllm", program, &arguments, address, directory, cores).await
    }

    /// smg with one worker and no history.
    pub async fn smg(program: &Path, upstream: SocketAddr, cores: Cores) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let (host, port) = address.rsplit_once(':').context("an address has a port")?;
        let worker = format!("http://{upstream}");
        let arguments: Vec<PathBuf> = [
            "launch",
            "--host",
            host,
            "--port",
            port,
            "--worker-urls",
            &worker,
            "--backend",
            "openai",
            "--policy",
            "round_robin",
            "--history-backend",
            "none",
            "--log-level",
            "error",
        ]
        .map(PathBuf::from)
        .to_vec();
        Self::program("smg", program, &arguments, address, directory, cores).await
    }

    /// LiteLLM with one model, one worker and no database.
    pub async fn litellm(program: &Path, upstream: SocketAddr, cores: Cores) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let (host, port) = address.rsplit_once(':').context("an address has a port")?;
        let vendor = json!({ "model": format!("openai/{MODEL}"), "api_key": "sk-bench", "api_base": format!("http://{upstream}/v1") });
        let settings = json!({
            "model_list": [{ "model_name": MODEL, "litellm_params": vendor }],
            "general_settings": { "master_key": "sk-bench" },
            "litellm_settings": { "telemetry": false },
        });
        let path = directory.path().join("config.yaml");
        // JSON is YAML.
        std::fs::write(&path, settings.to_string())?;
        let arguments = ["--host", host, "--port", port, "--num_workers", "1", "--config"].map(PathBuf::from);
        let arguments = [arguments.as_slice(), &[path]].concat();
        Self::program("LiteLLM", program, &arguments, address, directory, cores).await
    }

    /// Portkey, which is told the vendor with each request.
    ///
    /// * `program`: its script for Node.
    pub async fn portkey(program: &Path, upstream: SocketAddr, cores: Cores) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let address = free_address()?;
        let (_, port) = address.rsplit_once(':').context("an address has a port")?;
        let arguments = [program.to_owned(), format!("--port={port}").into(), "--headless".into()];
        let headers = vec![
            ("x-portkey-provider", "openai".to_owned()),
            ("x-portkey-custom-host", format!("http://{upstream}/v1")),
        ];
        let target = Target {
            headers,
            ..target(address, Some("sk-bench".to_owned()))
        };
        Self::program_at("Portkey", Path::new(NODE), &arguments, target, directory, cores).await
    }

    async fn program(
        name: &str,
        program: &Path,
        arguments: &[PathBuf],
        address: String,
        directory: TempDir,
        cores: Cores,
    ) -> anyhow::Result<Self> {
        let target = target(address, Some("sk-bench".to_owned()));
        Self::program_at(name, program, arguments, target, directory, cores).await
    }

    async fn program_at(
        name: &str,
        program: &Path,
        arguments: &[PathBuf],
        target: Target,
        directory: TempDir,
        cores: Cores,
    ) -> anyhow::Result<Self> {
        let log = std::fs::File::create(directory.path().join("log"))?;
        let child = Command::new("taskset")
            .args(["--cpu-list", &cores.gateway.to_string()])
            .arg(program)
            .args(arguments)
            // One of them would fetch prices from elsewhere.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let log = directory.path().join("log");
        let mut peer = Self {
            name: name.to_owned(),
            target,
            process: child.id(),
            beside: None,
            kept: Kept::Program {
                _child: child,
                _directory: directory,
            },
        };
        let begun = peer.wait().await;
        begun.with_context(|| {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            format!("{name} does not answer; it said:\n{said}")
        })?;
        // What was started by a script is its child.
        peer.process = peer.process.map(newest_descendant).transpose()?;
        Ok(peer)
    }

    /// Tandem: its bridge's own listener, with storage and everything else as processes of their own on the other core.
    ///
    /// * `records`: whether every exchange is recorded, which is the default of the product.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub async fn tandem(program: &Path, upstream: SocketAddr, cores: Cores, records: bool) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let wrapper = directory.path().join("tandem");
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in provider-gateway) core={};; *) core={};; esac\nexec taskset --cpu-list $core '{}' \"$@\"\n",
            cores.gateway,
            cores.rest,
            program.display()
        );
        std::fs::write(&wrapper, script)?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
        let address = free_address()?;
        let mut world = World::builder()
            .program(&wrapper)
            .separate_processes()
            .without_provider()
            .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__LISTEN", format!("http://{address}"))
            .env("TANDEM_PROVIDER_GATEWAY__BRIDGE__RECORD", records.to_string())
            .start()
            .await?;
        let vendor = format!("http://{upstream}/v1");
        let provider = world.register_provider("upstream", &vendor, &["sk-bench"]).await?;
        let body = json!({
            "ai_provider_id": provider,
            "model": MODEL,
            "display_name": MODEL,
            "context_limit": 128_000,
            "model_config": { "cost": { "input_price_per_million_tokens": "1", "output_price_per_million_tokens": "2" } },
        });
        world
            .rest()
            .post("/api/v1/chats/model-configs", &body)
            .await?
            .expect(201)?;
        // Nobody chats here.
        for service in [Service::Gateway, Service::Orchestrator, Service::ToolRunner] {
            world.terminate_service(service).await?;
        }
        let mut target = target(address, world.rest().token().map(str::to_owned));
        target.path = BRIDGE_PATH.to_owned();
        let name = if records { OURS } else { WITHOUT_RECORDS };
        let peer = Self {
            name: name.to_owned(),
            target,
            process: world.service_process_id(Service::ProviderGateway),
            beside: world.service_process_id(Service::Storage),
            kept: Kept::Tandem {
                world: Box::new(world),
                _directory: directory,
            },
        };
        peer.wait().await.context("Tandem's bridge does not answer")?;
        Ok(peer)
    }

    /// Waits until it answers as it should.
    async fn wait(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut last = "nobody listens".to_owned();
        while started.elapsed() < START_LIMIT {
            if TcpStream::connect(&self.target.address).await.is_ok() {
                match load::run(&self.target, false, 1, Duration::from_millis(1)).await {
                    Ok(outcome) if outcome.errors == 0 => return Ok(()),
                    Ok(outcome) => last = outcome.an_error.unwrap_or_default(),
                    Err(error) => last = format!("{error:#}"),
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        bail!("not after {START_LIMIT:?}, last seen: {last}")
    }

    /// Processor time so far; nothing where there is no gateway.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn processor_time(&self) -> anyhow::Result<Option<Duration>> {
        let gone = || format!("{} is gone", self.name);
        self.process
            .map(|process| running_time(process).with_context(gone))
            .transpose()
    }

    /// Processor time so far of what works for the gateway beside it; nothing where nothing does.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn beside_time(&self) -> anyhow::Result<Option<Duration>> {
        let time = |process| Ok(Family::of(process)?.all_time());
        self.beside.map(time).transpose()
    }

    /// Waits until everything that was answered is metered, where that is done.
    ///
    /// # Errors
    /// When it is not, after a while.
    pub async fn check_metered(&self, answered: usize) -> anyhow::Result<()> {
        let Kept::Tandem { world, .. } = &self.kept else {
            return Ok(());
        };
        let started = Instant::now();
        loop {
            let count = database::sql(world.data(), "SELECT count(*) FROM usage_records").await?;
            let count: usize = count.trim().parse().context("a count that is no number")?;
            if count >= answered {
                return Ok(());
            }
            let name = &self.name;
            ensure!(
                started.elapsed() < METERED_LIMIT,
                "{name} has metered {count} exchanges of {answered}"
            );
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Resident memory in MiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory_mib(&self) -> anyhow::Result<Option<f64>> {
        self.process
            .map(|process| Ok(memory(process)?.resident as f64 / KIB_PER_MIB))
            .transpose()
    }

    /// The process, for who wants to look into it.
    pub fn process(&self) -> Option<u32> {
        self.process
    }

    /// An orderly end.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Kept::Tandem { mut world, .. } = self.kept {
            world.kill9().await?;
        }
        Ok(())
    }
}

fn target(address: String, token: Option<String>) -> Target {
    Target {
        address,
        path: PATH.to_owned(),
        token,
        model: MODEL.to_owned(),
        headers: Vec::new(),
    }
}

/// The process itself, or the one at the end of the chain of processes it started.
fn newest_descendant(process: u32) -> anyhow::Result<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(&path).with_context(|| format!("could not read {path}"))?;
    match children
        .split_whitespace()
        .next_back()
        .and_then(|child| child.parse().ok())
    {
        Some(child) => newest_descendant(child),
        None => Ok(process),
    }
}
