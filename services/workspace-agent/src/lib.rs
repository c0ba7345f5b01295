#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod confine;
mod context;
mod error;
mod files;
mod git;
mod link;
mod mcp;
mod operation;
mod process;
mod setup;

use std::io::Read;
use std::sync::Arc;

use tandem_chassis::clock;
use tokio::sync::oneshot;

pub use error::Error;
pub use git::answer_if_asked;
pub use setup::{Limits, Memory, Setup};

/// Runs an agent until standard input closes, then ends all its processes.
///
/// The agent lives on a thread of its own that is confined before anything else happens on it, because confinement is inherited by
/// threads started later and does not reach those already running.
///
/// # Errors
/// [`Error`] when the workspace cannot be used at all. A link that breaks is no error: the agent dials again.
pub async fn run(setup: Setup) -> Result<(), Error> {
    run_until(setup, input_closed()).await
}

/// Runs an agent until `end`, then ends all its processes. See [`run`].
///
/// # Errors
/// As [`run`].
pub async fn run_until(setup: Setup, end: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    let (sender, outcome) = oneshot::channel();
    std::thread::Builder::new()
        .name("workspace agent".to_owned())
        .spawn(move || {
            // Nobody waits any more when the receiver is gone.
            let _ = sender.send(run_confined(setup, end));
        })
        .map_err(Error::Thread)?;
    outcome.await.map_err(|_| Error::Panicked)?
}

fn run_confined(setup: Setup, end: impl Future<Output = ()>) -> Result<(), Error> {
    let memory = process::Memory::open(setup.memory.as_ref());
    let enforced = confine::apply(&setup)?;
    let files = Arc::new(files::Root::open(&setup.home)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let outcome = runtime.block_on(async {
        let processes = process::Manager::new(Arc::clone(&files), Arc::new(clock::System), memory);
        let places = context::Places::new(files.home(), |name| std::env::var(name).ok());
        let context = Arc::new(context::Context::new(places));
        let asked = context::serve(Arc::clone(&files), Arc::clone(&context));
        let questions = git::Questions::default();
        let askpass = git::Askpass::open(files.home())
            .inspect_err(|error| tracing::warn!(%error, "git cannot ask for credentials here"))
            .ok();
        let git = git::Desk {
            repositories: git::Repositories::new(Arc::clone(&files), Arc::new(clock::System)),
            questions: questions.clone(),
            variables: Arc::new(askpass.as_ref().map(git::Askpass::variables).unwrap_or_default()),
        };
        if let Some(askpass) = askpass {
            tokio::spawn(askpass.serve(Arc::clone(&processes), questions));
        }
        let link = link::keep(&setup, enforced, files, Arc::clone(&processes), context, git);
        let outcome = tokio::select! {
            outcome = link => outcome,
            () = end => Ok(()),
            () = processes.collect_leftovers() => Ok(()),
            () = asked => Ok(()),
        };
        processes.kill_all();
        outcome
    });
    process::end_leftovers();
    runtime.shutdown_background();
    outcome
}

/// Ends when standard input does: whoever started the agent is gone, or wants it gone.
async fn input_closed() {
    let (sender, closed) = oneshot::channel::<()>();
    let spawned = std::thread::Builder::new()
        .name("standard input".to_owned())
        .spawn(move || {
            let mut buffer = [0; 256];
            let mut input = std::io::stdin().lock();
            loop {
                match input.read(&mut buffer) {
                    Ok(0) => break,
                    Err(error) if error.kind() != std::io::ErrorKind::Interrupted => break,
                    Ok(_) | Err(_) => {}
                }
            }
            drop(sender);
        });
    if spawned.is_ok() {
        // An error is the news: the sender is dropped at the end of input.
        let _ = closed.await;
    }
}
