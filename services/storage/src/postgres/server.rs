//! The server's process.

use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sqlx::ConnectOptions;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::{Error, START_LIMIT, STOP_LIMIT, Settings};

/// Pause between two attempts to connect to a server that starts.
const INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Server {
    child: Child,
}

impl Server {
    /// Starts `postgres` itself, so that its end is seen, with nothing but a Unix socket. Call it from a thread that lives as long as
    /// the server is to: the server ends with it.
    pub(super) fn start(binaries: &Binaries, cluster: &Cluster, settings: &Settings) -> Result<Self, Error> {
        cluster.rotate_log()?;
        let log = OpenOptions::new().create(true).append(true).open(&cluster.log);
        let log = log.map_err(Error::io("open the database's log"))?;
        let also = log.try_clone().map_err(Error::io("open the database's log"))?;
        let mut command = Command::new(binaries.program("postgres"));
        command.arg("-D").arg(&cluster.data).arg("-k").arg(&cluster.sockets);
        let own = [
            ("listen_addresses", ""),
            ("unix_socket_permissions", "0700"),
            ("max_connections", "200"),
            ("shared_buffers", "64MB"),
            ("timezone", "UTC"),
        ];
        for (name, value) in own.iter().chain(*settings) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .env_clear()
            // Ctrl-C is for us: the server goes on until everything has drained. The kernel still ends it with its thread.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also);
        cluster.owner.apply(&mut command);
        end_with_parent(&mut command);
        let child = command.spawn().map_err(Error::io("start PostgreSQL"))?;
        Ok(Self { child })
    }

    /// Waits for the first connection.
    pub(super) async fn wait_until_up(&mut self, cluster: &Cluster) -> Result<(), Error> {
        let options = cluster.maintenance_options();
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline && !self.has_ended() {
            if options.connect().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Err(Error::NotUp {
            log: cluster.log.clone(),
        })
    }

    /// Waits for the server's end, however it comes; how it ended, where the kernel tells.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Ends the server: fast first, immediate when that takes too long.
    pub(super) async fn stop(&mut self) {
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::QUIT] {
            self.signal(signal);
            if timeout(STOP_LIMIT, self.ended()).await.is_ok() {
                return;
            }
        }
        tracing::error!("the private database server does not end");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
            // The process may have ended by itself, which is what is wanted.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(rustix::process::Signal::INT);
        }
    }
}

/// Asks the kernel to stop the server cleanly when the thread that started it ends, also by SIGKILL: a worker of the runtime, which lives as
/// long as the process. It must not be started from a blocking task, whose thread ends when it has been idle.
#[expect(
    unsafe_code,
    reason = "pre_exec runs between fork and exec, where only async-signal-safe calls are allowed"
)]
fn end_with_parent(command: &mut Command) {
    let set = || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::INT))
            .map_err(std::io::Error::from)
    };
    // SAFETY: the closure makes one prctl call, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(set);
    }
}
