//! One run of the cases of one SDK, in one language, as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tokio::{process::Command, time::timeout};

/// All cases of a suite together, on a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
/// Where `.ci/sdk` puts the SDKs for Python, below the home directory.
const PYTHON: &str = ".cache/tandem/sdk-python/bin/python";
/// What a run may know of the environment around it.
const KEPT_VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

/// Whose SDK, and which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suite {
    /// Chat Completions and models.
    OpenAi,
    Responses,
    /// Messages, token counts and models.
    Anthropic,
}

/// For which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Node,
    Python,
}

/// Names a run asks for; see `services/e2e/sdk/node/server.mjs`.
pub struct Models {
    pub plain: String,
    pub reasoning: String,
    pub limited: String,
    pub failing: String,
}

/// What a run is against.
pub struct Server {
    pub base_url: String,
    pub token: String,
    /// The fake LLM's root.
    pub fake: String,
    /// The model's vendor speaks another dialect than the SDK.
    pub is_translated: bool,
    pub models: Models,
}

impl Models {
    /// The same model for all but reasoning.
    pub fn plain(plain: &str, reasoning: &str) -> Self {
        Self {
            plain: plain.to_owned(),
            reasoning: reasoning.to_owned(),
            limited: plain.to_owned(),
            failing: plain.to_owned(),
        }
    }
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
        }
    }
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Node, Self::Python];

    /// The program of a suite, in the directory it runs in.
    fn command(self, suite: Suite) -> anyhow::Result<Command> {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let name = suite.name();
        let (program, directory, installed) = match self {
            Self::Node => (PathBuf::from("node"), sdk.join("node"), sdk.join("node_modules")),
            Self::Python => {
                let home = std::env::var_os("HOME").context("HOME is not set")?;
                let python = Path::new(&home).join(PYTHON);
                (python.clone(), sdk.join("python"), python)
            }
        };
        ensure!(
            installed.exists(),
            "{} is missing: install the SDKs with `.ci/sdk`, as `make sdk-test` does",
            installed.display()
        );
        let mut command = Command::new(program);
        command.current_dir(directory);
        match self {
            Self::Node => command
                .args(["--test", "--test-reporter=spec"])
                .arg(format!("{name}.test.mjs")),
            Self::Python => command.args(["-B", "-m", "unittest", "-v"]).arg(format!("test_{name}")),
        };
        Ok(command)
    }
}

/// Runs all, one after another; afterwards fails with what those said that failed.
pub async fn run_all(runs: Vec<(Suite, Language, Server)>) -> anyhow::Result<()> {
    let mut failures = Vec::new();
    for (suite, language, server) in runs {
        if let Err(error) = run(suite, language, &server).await {
            failures.push(format!("=== {suite:?} in {language:?} ===\n{error:#}"));
        }
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

async fn run(suite: Suite, language: Language, server: &Server) -> anyhow::Result<()> {
    let mut command = language.command(suite)?;
    let kept = KEPT_VARIABLES
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    command
        .env_clear()
        .envs(kept)
        .env("BASE_URL", &server.base_url)
        .env("TOKEN", &server.token)
        .env("FAKE_LLM", &server.fake)
        .env("MODEL", &server.models.plain)
        .env("REASONING_MODEL", &server.models.reasoning)
        .env("LIMITED_MODEL", &server.models.limited)
        .env("FAILING_MODEL", &server.models.failing)
        .env("IS_TRANSLATED", if server.is_translated { "yes" } else { "" })
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output())
        .await
        .with_context(|| format!("not done within {LIMIT:?}"))?
        .context("could not be started")?;
    if !output.status.success() {
        bail!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
