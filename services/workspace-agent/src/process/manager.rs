//! Starting, finding, waiting for and signalling processes.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};
use tandem_chassis::clock::Clock;
use tandem_proto::workspace::v1::{
    ListProcessesResult, OperationErrorKind, ProcessSignal, ProcessSnapshot, SignalProcess, StartProcess,
    StartProcessResult,
};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio::sync::watch;

use super::environment::{TEMPORARY, environment};
use super::leftovers;
use super::memory::Memory;
use super::output::Output;
use super::snapshot::{self, Exit};
use crate::error::Failure;
use crate::files::Root;

/// What runs commands.
const SHELL: &str = "/bin/sh";

/// Processes the agent remembers, and how many of them may run.
const MAX_KNOWN: usize = 256;
const MAX_RUNNING: usize = 64;

/// Processes in one listing.
const MAX_LISTED: usize = 10;

/// How long an ended process is remembered after a listing.
const REMEMBERED: time::Duration = time::Duration::minutes(5);

/// Longest command, in bytes.
const MAX_COMMAND_BYTES: usize = 128 * 1024;

/// Variables one command may bring.
const MAX_VARIABLES: usize = 256;

/// How long the rest of the output is awaited after the shell ended; something it left behind may hold the pipe for ever.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// Bytes read from a process at a time.
const READ_BYTES: usize = 16 * 1024;

/// All processes of the workspace.
pub(crate) struct Manager {
    files: Arc<Root>,
    known: Mutex<HashMap<String, Arc<Process>>>,
    clock: Arc<dyn Clock>,
    memory: Option<Arc<Memory>>,
}

/// One process, running or ended.
pub(crate) struct Process {
    pub(super) request: StartProcess,
    pub(super) chat_id: String,
    pub(super) directory: PathBuf,
    pub(super) started_at: OffsetDateTime,
    pub(super) output: Mutex<Output>,
    pub(super) exit: watch::Sender<Option<Exit>>,
    group: Pid,
    /// We were asked to kill it: then it was not the kernel that did, whatever it has killed elsewhere.
    was_killed: AtomicBool,
}

impl Manager {
    pub(crate) fn new(files: Arc<Root>, clock: Arc<dyn Clock>, memory: Option<Memory>) -> Arc<Self> {
        Arc::new(Self {
            files,
            known: Mutex::default(),
            clock,
            memory: memory.map(Arc::new),
        })
    }

    /// Starts a process, or finds the one of that id.
    ///
    /// # Errors
    /// The request is wrong, the id is taken by something else, or a limit is reached.
    pub(crate) fn start(&self, chat_id: &str, request: StartProcess) -> Result<StartProcessResult, Failure> {
        check(&request)?;
        let process_id = request.process_id.clone();
        // Held over the spawn, which is short, so that one id never starts two.
        let mut known = self.lock();
        if let Some(process) = known.get(&process_id) {
            if process.chat_id != chat_id || process.request != request {
                return Err(Failure::new(
                    OperationErrorKind::Conflict,
                    "the process id belongs to another command",
                ));
            }
            return Ok(StartProcessResult {
                process_id,
                is_existing: true,
            });
        }
        make_room(&mut known)?;
        let process = match self.spawn(chat_id, request.clone()) {
            // What has ended and was not collected yet may take all the room there is.
            Err(failure) if failure.kind == OperationErrorKind::Limit => {
                collect(&known);
                self.spawn(chat_id, request)?
            }
            other => other?,
        };
        known.insert(process_id.clone(), process);
        Ok(StartProcessResult {
            process_id,
            is_existing: false,
        })
    }

    fn spawn(&self, chat_id: &str, request: StartProcess) -> Result<Arc<Process>, Failure> {
        let directory = self.working_directory(&request.working_directory)?;
        let home = self.files.home();
        // A failure shows where it matters: in programs that want temporary files.
        let _ = std::fs::create_dir_all(home.join(TEMPORARY));
        let io = |error: std::io::Error| Failure::io("the command could not be started", &error);
        let (reader, writer) = std::io::pipe().map_err(io)?;
        // Before it runs, so that it never seems to have run for less than it did.
        let started_at = self.clock.now();
        let kills_before = self.memory.as_ref().map_or(0, |memory| memory.kills());
        let mut child = Command::new(SHELL)
            .arg("-c")
            .arg(&request.command)
            .env_clear()
            .envs(environment(home, chat_id, &request.environment))
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(io)?)
            .stderr(writer)
            .process_group(0)
            .spawn()
            .map_err(|error| not_started(&directory, &error))?;
        let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(io)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let Some(group) = group else {
            return Err(Failure::new(OperationErrorKind::Io, "the command could not be started"));
        };
        let process = Arc::new(Process {
            request,
            chat_id: chat_id.to_owned(),
            directory,
            started_at,
            output: Mutex::default(),
            exit: watch::Sender::new(None),
            group,
            was_killed: AtomicBool::new(false),
        });
        let reading = tokio::spawn(read_output(output, Arc::clone(&process)));
        let ended = Arc::clone(&process);
        let clock = Arc::clone(&self.clock);
        let memory = self.memory.clone();
        tokio::spawn(async move {
            let status = child.wait().await.ok();
            // The kernel counts before it kills, so whoever was killed is counted by now.
            let kills = match ended.was_killed.load(Ordering::SeqCst) {
                true => kills_before,
                false => memory.as_ref().map_or(0, |memory| memory.kills()),
            };
            // What is still in the pipe belongs to the snapshot of the end.
            let _ = tokio::time::timeout(OUTPUT_GRACE, reading).await;
            ended.exit.send_replace(Some(Exit {
                code: status.and_then(|status| status.code()).unwrap_or(-1),
                signal: status.and_then(|status| status.signal()).unwrap_or(0),
                out_of_memory_kills: kills.saturating_sub(kills_before),
                memory_limit_bytes: memory.map_or(0, |memory| memory.limit_bytes()),
                at: clock.now(),
            }));
        });
        Ok(process)
    }

    /// The home directory, a directory below it, or any other directory the confinement lets a process enter.
    fn working_directory(&self, asked: &str) -> Result<PathBuf, Failure> {
        if asked.is_empty() {
            return Ok(self.files.home().to_owned());
        }
        let directory = match self.files.relative(asked) {
            Ok(below) => self.files.home().join(below),
            Err(failure) if failure.kind == OperationErrorKind::OutsideWorkspace => PathBuf::from(asked),
            Err(failure) => return Err(failure),
        };
        if directory.is_dir() {
            Ok(directory)
        } else {
            Err(Failure::new(
                OperationErrorKind::NotFound,
                format!("working directory {asked} does not exist"),
            ))
        }
    }

    /// The process of that id, if it is the chat's; whoever names no chat may look at all.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn find(&self, chat_id: &str, process_id: &str) -> Result<Arc<Process>, Failure> {
        let known = self.lock();
        let is_theirs = |process: &&Arc<Process>| chat_id.is_empty() || process.chat_id == chat_id;
        let process = known.get(process_id).filter(is_theirs);
        process.cloned().ok_or_else(|| {
            let shown: String = process_id.chars().take(64).collect();
            Failure::new(OperationErrorKind::NotFound, format!("there is no process {shown:?}"))
        })
    }

    /// The chat whose shell this is, while it runs.
    pub(crate) fn chat_of(&self, id: i32) -> Option<String> {
        let known = self.lock();
        let mut running = known.values().filter(|process| process.is_running());
        let found = running.find(|process| process.group.as_raw_nonzero().get() == id);
        found.map(|process| process.chat_id.clone())
    }

    /// The chat's processes, or those of all chats if it is empty: running ones first, then the newest. Forgets what ended long ago.
    pub(crate) fn list(&self, chat_id: &str) -> ListProcessesResult {
        let forgotten = self.clock.now() - REMEMBERED;
        let mut known = self.lock();
        known.retain(|_, process| process.exit.borrow().as_ref().is_none_or(|exit| exit.at > forgotten));
        let mut processes: Vec<Arc<Process>> = known
            .values()
            .filter(|process| chat_id.is_empty() || process.chat_id == chat_id)
            .cloned()
            .collect();
        drop(known);
        processes.sort_by_key(|process| (!process.is_running(), std::cmp::Reverse(process.started_at)));
        processes.truncate(MAX_LISTED);
        let without_output = |process: &Arc<Process>| ProcessSnapshot {
            output: String::new(),
            truncation: None,
            ..snapshot::take(process)
        };
        ListProcessesResult {
            processes: processes.iter().map(without_output).collect(),
        }
    }

    /// Signals a process and everything in its group.
    ///
    /// # Errors
    /// No such process, or nothing of it runs any more.
    pub(crate) fn signal(&self, chat_id: &str, request: &SignalProcess) -> Result<(), Failure> {
        let process = self.find(chat_id, &request.process_id)?;
        let signal = match request.signal() {
            ProcessSignal::Terminate => Signal::TERM,
            ProcessSignal::Kill => Signal::KILL,
            ProcessSignal::Unspecified => return Err(Failure::invalid("signal must be terminate or kill")),
        };
        if !process.is_running() {
            return Err(Failure::new(OperationErrorKind::Conflict, "the process is not running"));
        }
        match process.send(signal) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(Failure::new(OperationErrorKind::Conflict, "the process is not running")),
            Err(errno) => Err(Failure::system("the process could not be signalled", errno)),
        }
    }

    /// Ends everything that runs. What ended shells left behind is `leftovers`': their groups' numbers may be others' by now.
    pub(crate) fn kill_all(&self) {
        for process in self.lock().values().filter(|process| process.is_running()) {
            // It may have ended meanwhile.
            let _ = process.send(Signal::KILL);
        }
    }

    /// Collects ended processes that were left behind, from time to time, until the future is dropped.
    pub(crate) async fn collect_leftovers(&self) {
        let mut ticks = tokio::time::interval(leftovers::COLLECT_INTERVAL);
        loop {
            ticks.tick().await;
            // Held meanwhile, so that no process starts that is not known yet.
            let known = self.lock();
            collect(&known);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Process>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    pub(crate) fn is_running(&self) -> bool {
        self.exit.borrow().is_none()
    }

    /// Signals its group.
    fn send(&self, signal: Signal) -> Result<(), Errno> {
        let is_kill = signal == Signal::KILL;
        // Before it is sent: its end may be seen at once.
        let was_killed = is_kill && self.was_killed.swap(true, Ordering::SeqCst);
        let sent = kill_process_group(self.group, signal);
        if is_kill && sent.is_err() {
            self.was_killed.store(was_killed, Ordering::SeqCst);
        }
        sent
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn started_at(&self) -> OffsetDateTime {
        self.started_at
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        // The sender is ours.
        let _ = self.exit.subscribe().wait_for(Option::is_some).await;
    }

    pub(super) fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Collects what has ended and is nobody's, which those that run are not.
fn collect(known: &HashMap<String, Arc<Process>>) {
    let running = known.values().filter(|process| process.is_running());
    leftovers::collect(&running.map(|process| process.group.as_raw_nonzero().get()).collect());
}

/// Why no shell came up: no directory to start in, no shell, or no room for another process.
fn not_started(directory: &Path, error: &std::io::Error) -> Failure {
    const WHAT: &str = "the command could not be started";
    match error.kind() {
        std::io::ErrorKind::NotFound if directory.is_dir() => Failure::new(
            OperationErrorKind::NotFound,
            format!(
                "{WHAT}: the workspace has no {SHELL}. Install a shell, for example the package dash, bash or busybox, in the image \
                 or on the machine the workspace runs on."
            ),
        ),
        std::io::ErrorKind::WouldBlock => Failure::limit(format!(
            "{WHAT}: the workspace runs as many processes as it may. End some with process_signal, or stop the workspace."
        )),
        std::io::ErrorKind::OutOfMemory => Failure::limit(format!("{WHAT}: the workspace has no memory left")),
        _ => Failure::io(WHAT, error),
    }
}

fn check(request: &StartProcess) -> Result<(), Failure> {
    if request.process_id.is_empty() || request.process_id.len() > 64 {
        return Err(Failure::invalid("process_id must be 1 to 64 bytes"));
    }
    if request.command.trim().is_empty() {
        return Err(Failure::invalid("command is required"));
    }
    if request.command.len() > MAX_COMMAND_BYTES || request.command.contains('\0') {
        let message =
            format!("command must be at most {MAX_COMMAND_BYTES} bytes without NUL; write a script file instead");
        return Err(Failure::invalid(message));
    }
    let is_named = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
    let is_sound = request
        .environment
        .iter()
        .all(|(name, value)| is_named(name) && !value.contains('\0'));
    if request.environment.len() > MAX_VARIABLES || !is_sound {
        return Err(Failure::invalid("the environment is not valid"));
    }
    Ok(())
}

/// Forgets the process that ended first, if the memory is full.
fn make_room(known: &mut HashMap<String, Arc<Process>>) -> Result<(), Failure> {
    let running = known.values().filter(|process| process.is_running()).count();
    if running >= MAX_RUNNING {
        let message = format!("{MAX_RUNNING} processes are running; end some with process_signal first");
        return Err(Failure::limit(message));
    }
    if known.len() >= MAX_KNOWN {
        let ended = |process: &Arc<Process>| process.exit.borrow().as_ref().map(|exit| exit.at);
        let oldest = known
            .iter()
            .filter_map(|(id, process)| Some((ended(process)?, id.clone())))
            .min();
        if let Some((_, id)) = oldest {
            known.remove(&id);
        }
    }
    Ok(())
}

async fn read_output(mut pipe: pipe::Receiver, process: Arc<Process>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => process.output().write(&buffer[..count]),
        }
    }
}
