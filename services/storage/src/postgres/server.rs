//! The server's process.

use std::fs::OpenOptions;
use std::process::Stdio;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::process::{Child, Command};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::{Error, START_LIMIT, STOP_LIMIT};

pub(super) struct Server {
    child: std::sync::Mutex<Child>,
}

impl Server {
    /// Starts `postgres` itself, so that its end is seen, with nothing but a Unix socket.
    pub(super) async fn start(
        binaries: &Binaries,
        cluster: &Cluster,
        settings: &[(&str, &str)],
    ) -> Result<Self, Error> {
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
        for (name, value) in own.iter().chain(settings) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also);
        cluster.owner.apply(&mut command);
        end_with_parent(&mut command);
        let child = command.spawn().map_err(Error::io("start PostgreSQL"))?;
        Ok(Self {
            child: std::sync::Mutex::new(child),
        })
    }

    /// Waits for the first connection.
    pub(super) async fn wait_until_up(&self, options: &PgConnectOptions, cluster: &Cluster) -> Result<(), Error> {
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        while tokio::time::Instant::now() < deadline && !self.has_ended() {
            if options.connect().await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(Error::NotUp {
            log: cluster.log.clone(),
        })
    }

    /// Ends the server: fast first, immediate when that takes too long.
    pub(super) async fn stop(&self) {
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::QUIT] {
            self.signal(signal);
            let deadline = tokio::time::Instant::now() + STOP_LIMIT;
            while tokio::time::Instant::now() < deadline {
                if self.has_ended() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        tracing::error!("the private database server does not end");
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let id = self.lock().id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
            // The process may have ended by itself, which is what is wanted.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    fn has_ended(&self) -> bool {
        !matches!(self.lock().try_wait(), Ok(None))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(rustix::process::Signal::INT);
        }
    }
}

/// Asks the kernel to stop the server cleanly when the thread that started it ends, also by SIGKILL.
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
