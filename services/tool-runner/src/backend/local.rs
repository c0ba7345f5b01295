//! Workspaces as directories of this machine, each with an agent process shut in with it.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tandem_chassis::lifecycle::{OnEnd, Tasks};
use tandem_chassis::transport::Address;
use tandem_proto::tool::v1::ConfinementMechanism;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;

use super::cgroup::{Group, Groups};
use super::passage;
use super::sandbox::{Room, Sandbox, resolve};
use super::spawner::Spawner;
use super::users::{Users, end_processes};
use crate::config::{Config, Limits, Network};
use crate::error::Error;

/// Time for an agent to end by itself after its input closed.
const END_TIME: Duration = Duration::from_secs(2);

/// Least size of a file system in memory, in bytes: programs expect to find some room there.
const MIN_MEMORY_FILES: u64 = 16 * 1024 * 1024;

/// What is logged of what an agent prints, in bytes.
const MAX_LOGGED: u64 = 16 * 1024;

/// Starts agents on this machine.
pub(crate) struct Local {
    directory: PathBuf,
    link: Address,
    program: Vec<String>,
    limits: Limits,
    sandbox: Sandbox,
    groups: Option<Groups>,
    users: Option<Users>,
    spawner: Spawner,
    tasks: Tasks,
}

/// A started agent. Dropping the last handle ends it.
#[derive(Clone)]
pub(crate) struct Running {
    has_ended: watch::Receiver<bool>,
    input: Arc<Mutex<Option<ChildStdin>>>,
}

impl Running {
    pub(crate) fn has_ended(&self) -> bool {
        *self.has_ended.borrow()
    }

    /// Waits until the process is gone.
    pub(crate) async fn ended(&self) {
        let mut has_ended = self.has_ended.clone();
        // The sender goes after the process did.
        let _ = has_ended.wait_for(|ended| *ended).await;
    }

    /// Asks the agent to end, with everything it started.
    pub(crate) fn stop(&self) {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Local {
    /// Prepares the directories and tries what this host can do to confine workspaces.
    ///
    /// # Errors
    /// A directory cannot be made, or the agent's program is not found.
    pub(crate) async fn new(config: &Config, link: Address, tasks: Tasks) -> Result<Self, Error> {
        let directory = &config.workspaces_dir;
        let failed = |source| Error::Directory {
            path: directory.clone(),
            source,
        };
        passage::make(directory).map_err(failed)?;
        let directory = directory.canonicalize().map_err(failed)?;
        let mut program = match &config.agent_command {
            Some(program) => program.clone(),
            None => {
                let current = std::env::current_exe().map_err(Error::Agent)?;
                vec![current.to_string_lossy().into_owned(), "workspace-agent".to_owned()]
            }
        };
        let first = program
            .first_mut()
            .ok_or_else(|| Error::Agent(io::ErrorKind::NotFound.into()))?;
        *first = resolve(first).map_err(Error::Agent)?.to_string_lossy().into_owned();
        let users = Users::new(&directory);
        let groups = tokio::task::spawn_blocking(Groups::probe).await.ok().flatten();
        // A quarter of what a workspace may use, for each of the two.
        let memory_files = groups
            .as_ref()
            .map(|_| (config.limits.max_memory_bytes / 4).max(MIN_MEMORY_FILES));
        let (user, network) = (users.as_ref().map(Users::first), config.limits.network);
        let sandbox = Sandbox::probe(user, groups.as_ref().map(Groups::version), network, memory_files).await;
        if network == Network::None && !sandbox.is_cut_off(user).await {
            // Isolation that is only believed in is worse than none.
            return Err(Error::Network);
        }
        // An open network is a choice, not a lack.
        let lacks = |mechanism: &&ConfinementMechanism| !mechanism.is_enforced && mechanism.name != "network";
        for mechanism in sandbox.mechanisms().iter().filter(lacks) {
            tracing::warn!(
                mechanism = mechanism.name,
                detail = mechanism.detail,
                "workspaces are not confined by this"
            );
        }
        if sandbox.has_users && !sandbox.has_namespaces {
            // Without a file system of its own an agent's user must be able to pass through to its home.
            for path in [Some(directory.as_path()), directory.parent()].into_iter().flatten() {
                passage::open(path).map_err(failed)?;
            }
            for (what, path) in [
                ("workspaces", directory.join("any")),
                ("agent", PathBuf::from(first_of(&program))),
            ] {
                if !passage::is_open(&path) {
                    tracing::warn!(what, path = %path.display(), "a directory above is closed to workspaces' users");
                }
            }
        }
        let spawner = Spawner::new().map_err(Error::Thread)?;
        Ok(Self {
            directory,
            link,
            program,
            limits: config.limits.clone(),
            sandbox,
            groups,
            users,
            spawner,
            tasks,
        })
    }

    pub(crate) fn mechanisms(&self) -> Vec<ConfinementMechanism> {
        self.sandbox.mechanisms()
    }

    /// Starts the agent of a workspace; it will dial in with `token`.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) async fn start(&self, workspace_id: &str, token: &SecretString) -> io::Result<Running> {
        let home = self.directory.join(workspace_id);
        let user = self
            .users
            .as_ref()
            .map(|users| users.settle(workspace_id))
            .transpose()?;
        std::fs::create_dir_all(&home)?;
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
        let link = match &self.link {
            Address::Unix(path) => path.parent(),
            _ => None,
        };
        let group = self
            .groups
            .as_ref()
            .map(|groups| groups.make(workspace_id, &self.limits))
            .transpose()?;
        let memory_events = group.as_ref().and_then(Group::memory_events);
        let room = Room {
            home: &home,
            link,
            user: user.unwrap_or_default(),
            memory_events: memory_events.as_deref(),
            doors: &group.as_ref().map(Group::doors).unwrap_or_default(),
        };
        let mut command = self.sandbox.command(&self.program, &room);
        command
            .current_dir(&home)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if self.sandbox.has_namespaces {
            // Keys of our terminal are not for the sandbox. An agent without one begins a session, which a group's leader cannot.
            command.process_group(0);
        }
        let mut child = self.spawner.spawn(command).await?;
        if let (false, Some(group), Some(process)) = (self.sandbox.has_namespaces, &group, child.id()) {
            // It does nothing before it is told its setup.
            group.admit(process)?;
        }
        let Some(mut input) = child.stdin.take() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let line = self.setup(workspace_id, token, &home, memory_events.as_deref());
        input.write_all(line.expose_secret().as_bytes()).await?;
        input.flush().await?;
        let input = Arc::new(Mutex::new(Some(input)));
        let (ended, has_ended) = watch::channel(false);
        let weak = Arc::downgrade(&input);
        let workspace_id = workspace_id.to_owned();
        // Namespaces end with all that is in them.
        let user = user.filter(|_| !self.sandbox.has_namespaces);
        self.tasks.spawn("agent process", OnEnd::Expected, async move {
            supervise(child, weak, &workspace_id).await;
            // A panic is logged by the runtime.
            let _ = tokio::task::spawn_blocking(move || {
                drop(group);
                if let Some(user) = user {
                    end_processes(user);
                }
            })
            .await;
            ended.send_replace(true);
        });
        Ok(Running { has_ended, input })
    }

    /// Deletes a workspace's directory with all that is in it; there may be none. Its agent must have ended.
    ///
    /// # Errors
    /// As the system says.
    pub(crate) async fn remove(&self, workspace_id: &str) -> io::Result<()> {
        // The id is the name of a directory, and nothing else is.
        let id = uuid::Uuid::try_parse(workspace_id).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let home = self.directory.join(id.to_string());
        let removed = tokio::task::spawn_blocking(move || match std::fs::remove_dir_all(&home) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        });
        removed.await.map_err(io::Error::other)?
    }

    fn setup(
        &self,
        workspace_id: &str,
        token: &SecretString,
        home: &Path,
        memory_events: Option<&Path>,
    ) -> SecretString {
        let writable: &[&str] = if self.sandbox.has_namespaces {
            &["/tmp", "/dev/shm"]
        } else {
            &[]
        };
        let setup = serde_json::json!({
            "link": self.link.to_string(),
            "workspace_id": workspace_id,
            "token": token.expose_secret(),
            "home": home,
            "writable": writable,
            "memory": memory_events.map(|events| serde_json::json!({
                "events": events,
                "limit_bytes": self.limits.max_memory_bytes,
            })),
            "limits": {
                "max_processes": self.limits.max_processes,
                "max_data_bytes": self.limits.max_data_bytes,
                "max_file_bytes": self.limits.max_file_bytes,
                "max_open_files": self.limits.max_open_files,
            },
        });
        format!("{setup}\n").into()
    }
}

/// Waits for an agent's end, and sees to it once its input is closed.
async fn supervise(mut child: Child, input: std::sync::Weak<Mutex<Option<ChildStdin>>>, workspace_id: &str) {
    let printed = child.stderr.take();
    let logging = async {
        let Some(mut printed) = printed else { return };
        let mut lines = BufReader::new((&mut printed).take(MAX_LOGGED)).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            tracing::warn!(workspace_id, line, "agent printed");
        }
        // Read on, or a talkative agent would stand still.
        let _ = tokio::io::copy(&mut printed, &mut tokio::io::sink()).await;
        std::future::pending::<()>().await;
    };
    let is_asked = || {
        let Some(input) = input.upgrade() else { return true };
        input.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    };
    let asked = async {
        while !is_asked() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(END_TIME).await;
    };
    let exit = tokio::select! {
        exit = child.wait() => Some(exit),
        () = logging => None,
        () = asked => None,
    };
    let exit = match exit {
        Some(exit) => exit,
        None => {
            tracing::warn!(workspace_id, "agent did not end by itself, killing it");
            if let Err(error) = child.start_kill() {
                tracing::debug!(workspace_id, %error, "agent cannot be killed");
            }
            child.wait().await
        }
    };
    match exit {
        Ok(status) => tracing::info!(workspace_id, %status, "agent ended"),
        Err(error) => tracing::warn!(workspace_id, %error, "agent was lost"),
    }
}

fn first_of(program: &[String]) -> &str {
    program.first().map_or("", String::as_str)
}
