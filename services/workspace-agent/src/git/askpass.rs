//! Credentials for git, asked for and given through a socket of the agent's.
//!
//! Git runs the program that `GIT_ASKPASS` names when it needs a user name or a password, and reads the answer from its output. That
//! program is this one. It asks the agent, the agent looks who is asking, and asks tool-runner, which alone has the secret. No secret is
//! in an environment, in a file or in a command line.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream as Connection;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::{GitCredentialAnswer, GitCredentialQuestion, LinkRequest};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::process_tree;
use crate::process::Manager;

/// Names the socket to the program that git runs.
const SOCKET: &str = "TANDEM_ASKPASS";

/// Longest question of git's, in bytes.
const MAX_PROMPT_BYTES: usize = 4 * 1024;

/// Longest answer, in bytes.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Time for an answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// Questions under way at once.
const MAX_QUESTIONS: usize = 32;

/// User name where none is given: hosts look at the token alone.
const ANY_USER: &str = "x-access-token";

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Username,
    Password,
}

/// Answers git, if it is git that has started this program; `None` otherwise. Blocks until the agent has answered.
#[expect(clippy::print_stdout, reason = "git reads the answer there")]
pub fn answer_if_asked() -> Option<ExitCode> {
    let socket = std::env::var_os(SOCKET)?;
    let mut arguments = std::env::args_os().skip(1);
    let (prompt, None) = (arguments.next()?.into_string().ok()?, arguments.next()) else {
        return None;
    };
    parse(&prompt)?;
    match ask(Path::new(&socket), &prompt) {
        Ok(answer) if !answer.expose_secret().is_empty() => {
            println!("{}", answer.expose_secret());
            Some(ExitCode::SUCCESS)
        }
        Ok(_) | Err(_) => Some(ExitCode::FAILURE),
    }
}

fn ask(socket: &Path, prompt: &str) -> std::io::Result<SecretString> {
    let mut connection = Connection::connect(socket)?;
    connection.set_read_timeout(Some(2 * ANSWER_TIME))?;
    connection.set_write_timeout(Some(ANSWER_TIME))?;
    connection.write_all(format!("{prompt}\n").as_bytes())?;
    let mut answer = String::new();
    connection.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer.into())
}

/// What git asks for, and of which host. `None` for everything but a secret for a host that keeps it secret on its way.
fn parse(prompt: &str) -> Option<(Wanted, String)> {
    let (wanted, rest) = match prompt.strip_prefix("Username for '") {
        Some(rest) => (Wanted::Username, rest),
        None => (Wanted::Password, prompt.strip_prefix("Password for '")?),
    };
    let address = rest.trim_end().strip_suffix("':")?;
    if address.len() > MAX_PROMPT_BYTES || address.contains(['\'', '\n', '\r', '\0']) {
        return None;
    }
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.to_ascii_lowercase();
    let is_host = !host.is_empty()
        && host
            .bytes()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'.' | b'-' | b':' | b'[' | b']'));
    let is_private = match scheme {
        "https" => true,
        // It does not leave this machine.
        "http" => is_loopback(&host),
        _ => false,
    };
    let host = host.strip_suffix(":443").map_or(host.clone(), str::to_owned);
    (is_host && is_private).then_some((wanted, host))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Questions to tool-runner over whatever link there is. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Questions(Arc<Asked>);

#[derive(Default)]
struct Asked {
    last_id: AtomicU64,
    link: Mutex<Option<mpsc::Sender<LinkRequest>>>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<GitCredentialAnswer>>>,
}

impl Questions {
    /// From now on questions go over this link.
    pub(crate) fn use_link(&self, link: &mpsc::Sender<LinkRequest>) {
        *self.0.link.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        // Whoever still waits was asked over another.
        self.waiting().clear();
    }

    /// An answer came.
    pub(crate) fn answered(&self, answer: GitCredentialAnswer) {
        if let Some(waiting) = self.waiting().remove(&answer.question_id) {
            // Who asked may be gone.
            let _ = waiting.send(answer);
        }
    }

    async fn ask(&self, chat_id: String, host: String) -> Option<GitCredentialAnswer> {
        let link = self.0.link.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        self.waiting().insert(id, sender);
        let question = GitCredentialQuestion { id, chat_id, host };
        let asking = async {
            let message = Some(Message::GitCredentialQuestion(question));
            link.send(LinkRequest { message }).await.ok()?;
            answer.await.ok()
        };
        let answer = tokio::time::timeout(ANSWER_TIME, asking).await.ok().flatten();
        self.waiting().remove(&id);
        answer
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<GitCredentialAnswer>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agent's side of the socket.
pub(crate) struct Askpass {
    socket: PathBuf,
    program: PathBuf,
    listener: UnixListener,
}

impl Askpass {
    /// Listens below the home directory.
    ///
    /// # Errors
    /// As the system says, for example that the path is too long for a socket.
    pub(crate) fn open(home: &Path) -> std::io::Result<Self> {
        let directory = home.join(".tmp");
        std::fs::create_dir_all(&directory)?;
        for entry in std::fs::read_dir(&directory)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(".askpass-") {
                // Of an agent that is gone.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let name = uuid::Uuid::new_v4().simple().to_string();
        let socket = directory.join(format!(".askpass-{}", &name[..8]));
        let listener = UnixListener::bind(&socket)?;
        Ok(Self {
            socket,
            program: std::env::current_exe()?,
            listener,
        })
    }

    /// What makes git ask here.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("GIT_ASKPASS".to_owned(), text(&self.program)),
            (SOCKET.to_owned(), text(&self.socket)),
        ]
    }

    /// Answers until the future is dropped.
    pub(crate) async fn serve(self, processes: Arc<Manager>, questions: Questions) {
        let permits = Arc::new(Semaphore::new(MAX_QUESTIONS));
        loop {
            let Ok((connection, _)) = self.listener.accept().await else {
                // For want of file numbers, usually; others may be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                continue;
            };
            let (processes, questions, program) = (Arc::clone(&processes), questions.clone(), self.program.clone());
            tokio::spawn(async move {
                let answering = answer(connection, &program, &processes, &questions);
                if tokio::time::timeout(2 * ANSWER_TIME, answering).await.is_err() {
                    tracing::debug!("a question of git's was not answered in time");
                }
                drop(permit);
            });
        }
    }
}

async fn answer(mut connection: UnixStream, program: &Path, processes: &Manager, questions: &Questions) -> Option<()> {
    let asker = connection.peer_cred().ok()?.pid()?;
    let (reading, mut writing) = connection.split();
    let mut prompt = String::new();
    let most = u64::try_from(MAX_PROMPT_BYTES).unwrap_or(u64::MAX);
    BufReader::new(reading.take(most)).read_line(&mut prompt).await.ok()?;
    let (wanted, host) = parse(prompt.trim_end_matches('\n'))?;
    let chat_id = chat_of_git(asker, program, processes)?;
    let answer = questions.ask(chat_id, host).await?;
    if answer.password.is_empty() {
        return None;
    }
    let text = match wanted {
        Wanted::Username if answer.username.is_empty() => ANY_USER.to_owned(),
        Wanted::Username => answer.username,
        Wanted::Password => answer.password,
    };
    let text = SecretString::from(text);
    writing.write_all(text.expose_secret().as_bytes()).await.ok()
}

/// The chat in whose process git asks. `None` unless our own program asks, started by git, started by a chat.
fn chat_of_git(asker: i32, program: &Path, processes: &Manager) -> Option<String> {
    let is_ours = process_tree::program(asker)? == program;
    let parent = process_tree::look(asker)?.parent;
    if !is_ours || !is_git(&process_tree::program(parent)?) {
        tracing::debug!(asker, "a credential was asked for, but not by git");
        return None;
    }
    let lineage = process_tree::lineage(asker);
    // A process is in its shell's group, or the shell is above it.
    lineage
        .iter()
        .find_map(|(id, group)| processes.chat_of(*id).or_else(|| processes.chat_of(*group)))
}

/// Whether it is a program of git's own, where programs of the system are.
fn is_git(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let is_named = name == "git" || name.starts_with("git-remote-http");
    is_named
        && ["/usr", "/bin", "/opt", "/nix", "/lib"]
            .iter()
            .any(|place| program.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_what_is_wanted_and_the_host() {
        let cases = [
            (
                "Username for 'https://github.com': ",
                Some((Wanted::Username, "github.com")),
            ),
            (
                "Password for 'https://me@GitHub.com': ",
                Some((Wanted::Password, "github.com")),
            ),
            (
                "Password for 'https://me@h.example:8443/a/b': ",
                Some((Wanted::Password, "h.example:8443")),
            ),
            (
                "Password for 'https://h.example:443': ",
                Some((Wanted::Password, "h.example")),
            ),
            (
                "Username for 'http://127.0.0.1:3000': ",
                Some((Wanted::Username, "127.0.0.1:3000")),
            ),
            (
                "Username for 'http://[::1]:3000': ",
                Some((Wanted::Username, "[::1]:3000")),
            ),
            // Others on the way would read it.
            ("Username for 'http://h.example': ", None),
            ("Username for 'http://127.0.0.1.h.example': ", None),
            ("Enter passphrase for key '/home/me/.ssh/id': ", None),
            ("Password for 'https://a.example\nhost=b.example': ", None),
            ("Password for 'https://': ", None),
            ("Password for 'https://a.example%0ahost=b': ", None),
            ("Password for 'https://a.example' b.example': ", None),
        ];
        for (prompt, expected) in cases {
            let expected = expected.map(|(wanted, host)| (wanted, host.to_owned()));
            assert_eq!(parse(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn git_is_a_program_of_the_system() {
        assert!(is_git(Path::new("/usr/lib/git-core/git-remote-http")));
        assert!(is_git(Path::new("/usr/bin/git")));
        assert!(!is_git(Path::new("/home/me/bin/git")));
        assert!(!is_git(Path::new("/usr/bin/env")));
    }
}
