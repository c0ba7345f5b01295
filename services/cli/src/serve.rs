//! `tandem serve`: every service in one process, joined by in-memory connections, with a PostgreSQL of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tandem_chassis::lifecycle::{Shutdown, signals};
use tandem_chassis::transport::Listener;
use tandem_chassis::{Runtime, telemetry};
use tandem_storage::postgres::Private;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::listen;
use crate::services::{self, Extras, Name};

/// How long draining may take before it becomes stopping.
const GRACE: Duration = Duration::from_secs(30);

/// How long one service may take to drain before the next one begins.
const SERVICE_GRACE: Duration = Duration::from_secs(8);

/// A service and what stops it.
struct Running {
    name: Name,
    runtime: Runtime,
    task: JoinHandle<anyhow::Result<()>>,
}

/// Runs until a signal, or until a service falls.
pub(crate) async fn run(file: Option<&Path>) -> anyhow::Result<()> {
    let data = DataDir::locate()?;
    let config = Config::load(file, &data)?;
    let _telemetry = telemetry::init(&config.telemetry, "tandem")?;
    data.create()?;
    let listener = listen::bind(Name::Gateway, config.tls.as_ref()).await?;
    let admin = listen::bind_admin().await?;
    let address = listener.address().to_string();
    let database = match config.storage.database_url {
        Some(_) => None,
        None => Some(Private::start(&data.postgres()).await?),
    };

    let runtime = Runtime::new(data.service_secret()?);
    listen::serve_admin(admin, &runtime);
    let asked = Shutdown::new();
    tokio::spawn(stop_when_asked(asked.clone(), runtime.shutdown.clone()));
    let (setup_link, link) = oneshot::channel();
    let mut running = start(&config, &runtime, database.as_ref(), listener, setup_link).await?;
    tokio::spawn(greet(runtime.clone(), address, link));

    let fallen = tokio::select! {
        () = asked.draining() => None,
        fallen = first_end(&mut running) => Some(fallen),
    };
    asked.drain();
    for service in running {
        drain(service).await;
    }
    runtime.shutdown.stop();
    if let Some(database) = database {
        database.stop().await;
    }
    match fallen {
        Some((name, outcome)) => {
            outcome.with_context(|| format!("{} fell", name.as_str()))?;
            anyhow::bail!("{} ended by itself", name.as_str())
        }
        None => Ok(()),
    }
}

async fn start(
    config: &Config,
    runtime: &Runtime,
    database: Option<&Private>,
    listener: Listener,
    setup_link: oneshot::Sender<String>,
) -> anyhow::Result<Vec<Running>> {
    let mut face = Some((listener, setup_link));
    let mut running = Vec::new();
    for name in Name::DRAIN_ORDER {
        let mut extras = Extras::default();
        let listener = match (name, face.take()) {
            (Name::Gateway, Some((listener, setup_link))) => {
                extras.setup_link = Some(setup_link);
                listener
            }
            (_, kept) => {
                face = kept;
                Listener::bind(&name.memory_address())
                    .await
                    .context("could not open an in-memory listener")?
            }
        };
        if name == Name::Storage {
            extras.database = database.map(Private::connect_options);
        }
        let own = runtime.for_service(name.service());
        let task = tokio::spawn(services::run(name, config.clone(), listener, own.clone(), extras));
        running.push(Running {
            name,
            runtime: own,
            task,
        });
    }
    Ok(running)
}

/// The first service to end, and how.
async fn first_end(running: &mut [Running]) -> (Name, anyhow::Result<()>) {
    let ends = running.iter_mut().map(|service| {
        let name = service.name;
        Box::pin(async move {
            let outcome = (&mut service.task)
                .await
                .map_err(anyhow::Error::from)
                .and_then(|outcome| outcome);
            (name, outcome)
        })
    });
    futures::future::select_all(ends).await.0
}

/// Lets a service finish what it has, then ends it.
async fn drain(mut service: Running) {
    let name = service.name.as_str();
    service.runtime.shutdown.drain();
    if !service.task.is_finished() {
        match tokio::time::timeout(SERVICE_GRACE, &mut service.task).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::error!(
                service = name,
                error = format!("{error:#}"),
                "service fell while draining"
            ),
            Ok(Err(error)) => tracing::error!(service = name, %error, "service fell while draining"),
            Err(_) => tracing::warn!(service = name, "service took too long to drain"),
        }
    }
    if let Err(left) = service.runtime.tasks.finish(SERVICE_GRACE).await {
        tracing::warn!(service = name, ?left, "tasks still running, ending them");
    }
    service.runtime.shutdown.stop();
    tracing::info!(service = name, "stopped");
}

/// The first signal asks, the second, or the end of patience, ends everything.
async fn stop_when_asked(asked: Shutdown, everything: Shutdown) {
    if let Err(error) = signals(asked, GRACE).await {
        tracing::error!(%error, "could not listen for signals");
        return;
    }
    everything.stop();
}

/// Tells the person at the terminal where to go.
#[expect(clippy::print_stdout, reason = "the address is the command's answer")]
async fn greet(runtime: Runtime, address: String, link: oneshot::Receiver<String>) {
    runtime.health.ready().await;
    println!("\n  Tandem is ready at {address}");
    if let Ok(link) = link.await {
        println!("  Open this link once to sign in as administrator:\n\n    {link}\n");
    }
}
