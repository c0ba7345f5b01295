//! The server's directory: made once, checked at every start.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};

use super::binaries::Binaries;
use super::owner::Owner;
use super::{Error, NAME, STOP_LIMIT};

/// The longest path a Unix socket can have, less the name PostgreSQL appends (`/.s.PGSQL.5432.lock`).
const MAX_SOCKET_DIRECTORY: usize = 107 - 20;

/// Bytes of the server's log kept from one start to the next.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// A private server's files.
pub(super) struct Cluster {
    pub(super) data: PathBuf,
    pub(super) sockets: PathBuf,
    pub(super) log: PathBuf,
    pub(super) owner: Owner,
}

impl Cluster {
    /// Makes what is missing, and stops a server that an earlier process left behind.
    pub(super) async fn prepare(directory: &Path, binaries: &Binaries) -> Result<Self, Error> {
        let owner = Owner::choose()?;
        make_directory(directory, 0o711)?;
        let directory = directory.canonicalize().map_err(Error::io("find the data directory"))?;
        let data = directory.join("data");
        let sockets = socket_directory(&directory);
        for private in [&data, &sockets] {
            owner.refuse_foreign(private)?;
            make_directory(private, 0o700)?;
            owner.own(private)?;
            owner.refuse_unreachable(private).await?;
        }
        let cluster = Self {
            data,
            sockets,
            log: directory.join("postgres.log"),
            owner,
        };
        cluster.init(binaries).await?;
        cluster.check_version(binaries)?;
        cluster.stop_survivor().await;
        Ok(cluster)
    }

    /// How to connect to the product's database, as its own role.
    pub(super) fn connect_options(&self) -> PgConnectOptions {
        self.maintenance_options().database(NAME)
    }

    /// How to connect to the database that a new cluster has.
    pub(super) fn maintenance_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.sockets)
            .username(NAME)
            .database("postgres")
            .disable_statement_logging()
    }

    /// Makes the database if this is a new cluster.
    pub(super) async fn ensure_database(&self) -> Result<(), Error> {
        let mut conn = self.maintenance_options().connect().await?;
        let exists = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS "exists!""#,
            NAME
        )
        .fetch_one(&mut conn)
        .await?;
        if !exists {
            conn.execute("CREATE DATABASE tandem").await?;
        }
        Ok(())
    }

    /// Sets a long log of earlier servers aside.
    pub(super) fn rotate_log(&self) -> Result<(), Error> {
        let is_long = std::fs::metadata(&self.log).is_ok_and(|metadata| metadata.len() > MAX_LOG_BYTES);
        if is_long {
            std::fs::rename(&self.log, self.log.with_extension("log.1"))
                .map_err(Error::io("rotate the database's log"))?;
        }
        Ok(())
    }

    async fn init(&self, binaries: &Binaries) -> Result<(), Error> {
        if self.data.join("PG_VERSION").exists() {
            return Ok(());
        }
        // A first start that was cut short left half a cluster, which initdb refuses to complete.
        if std::fs::read_dir(&self.data).is_ok_and(|mut entries| entries.next().is_some()) {
            std::fs::remove_dir_all(&self.data).map_err(Error::io("clear an unfinished data directory"))?;
            make_directory(&self.data, 0o700)?;
            self.owner.own(&self.data)?;
        }
        let mut command = tokio::process::Command::new(binaries.program("initdb"));
        command
            .args([
                "--username",
                NAME,
                "--auth-local=peer",
                "--auth-host=reject",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--data-checksums", "--pgdata"])
            .arg(&self.data)
            .env_clear()
            .current_dir("/");
        self.owner.apply(&mut command);
        let output = command.output().await.map_err(Error::io("run initdb"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let tail: String = text.chars().rev().take(500).collect::<String>().chars().rev().collect();
            return Err(Error::Program {
                program: "initdb",
                output: tail,
            });
        }
        // Only our own user and the server's get in, as one role.
        self.write("pg_hba.conf", &format!("local all all peer map={NAME}\n"))?;
        let map: String = self
            .owner
            .names
            .iter()
            .map(|name| format!("{NAME} {name} {NAME}\n"))
            .collect();
        self.write("pg_ident.conf", &map)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.data.join(name);
        std::fs::write(&path, text).map_err(Error::io(format!("write {name}")))?;
        self.owner.own(&path)
    }

    fn check_version(&self, binaries: &Binaries) -> Result<(), Error> {
        let found = std::fs::read_to_string(self.data.join("PG_VERSION")).map_err(Error::io("read PG_VERSION"))?;
        let found = found.trim();
        if found == binaries.version {
            return Ok(());
        }
        Err(Error::OtherVersion {
            data: self.data.clone(),
            found: found.to_owned(),
            installed: binaries.version.clone(),
        })
    }

    /// A server whose process lives although ours died: it ends cleanly, so that a new one can begin.
    async fn stop_survivor(&self) {
        let Some(pid) = self.survivor() else { return };
        tracing::warn!(
            pid = pid.as_raw_nonzero().get(),
            "stopping a database server left behind by an earlier process"
        );
        for (signal, limit) in [
            (rustix::process::Signal::INT, STOP_LIMIT),
            (rustix::process::Signal::QUIT, STOP_LIMIT),
        ] {
            if rustix::process::kill_process(pid, signal).is_err() {
                return;
            }
            let deadline = tokio::time::Instant::now() + limit;
            while tokio::time::Instant::now() < deadline {
                if self.survivor().is_none() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The process of `postmaster.pid`, if it is one and serves this directory.
    fn survivor(&self) -> Option<rustix::process::Pid> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = rustix::process::Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
        let command = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).ok()?;
        let data = self.data.to_string_lossy();
        String::from_utf8_lossy(&command).contains(data.as_ref()).then_some(pid)
    }
}

/// Sockets live beside the data, unless the path would be too long for one.
fn socket_directory(directory: &Path) -> PathBuf {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let beside = directory.join("run");
    if beside.as_os_str().len() <= MAX_SOCKET_DIRECTORY {
        return beside;
    }
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    let base = if rustix::process::getuid().is_root() {
        "/run"
    } else {
        "/tmp"
    };
    PathBuf::from(format!("{base}/tandem-{:x}", hasher.finish()))
}

fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::io(format!("make {}", path.display())))?;
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(path, permissions).map_err(Error::io(format!("protect {}", path.display())))
}
