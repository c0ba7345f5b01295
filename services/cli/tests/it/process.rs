//! One run of the program, private to its test.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Far longer than anything here takes, a first start of PostgreSQL included.
pub const LIMIT: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);

/// A directory and what is told to every process in it.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            // Short, for the limit on paths of sockets.
            folder: tempfile::Builder::new().prefix("tdm-").tempdir_in("/tmp").unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `tandem WORDS` with `environment` and nothing of the test's own.
    pub fn command(&self, words: &[&str], environment: &[(&str, String)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("TANDEM_DATA_DIR", self.path("data"))
            .envs(environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str], environment: &[(&str, String)]) -> Output {
        self.command(words, environment).output().unwrap()
    }

    /// Starts it; it is killed with the value.
    pub fn start(&self, words: &[&str], environment: &[(&str, String)]) -> Process {
        let log = std::fs::File::create(self.path(&format!("{}.log", words[0]))).unwrap();
        let child = self
            .command(words, environment)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Process {
            child,
            log: self.path(&format!("{}.log", words[0])),
        }
    }
}

pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM; it goes on until its end is waited for.
    pub fn terminate(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits until `look` finds something.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if let Some(found) = look() {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{status} before {what}\n{}", self.log());
            }
            std::thread::sleep(PAUSE);
        }
        panic!("never {what}\n{}", self.log());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An orderly end takes a private PostgreSQL along; killing is for what does not end.
        if self.child.try_wait().unwrap().is_none() {
            self.terminate();
        }
        let started = Instant::now();
        while started.elapsed() < LIMIT && self.child.try_wait().unwrap().is_none() {
            std::thread::sleep(PAUSE);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Status line and body of `GET path` at a Unix socket, if somebody answers there.
pub fn get(socket: &Path, path: &str) -> Option<(String, String)> {
    let mut stream = UnixStream::connect(socket).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: tandem\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.lines().next()?.to_owned(), body.to_owned()))
}
