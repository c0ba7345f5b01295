//! One service as a process of its own, and the private database alone.

use std::path::Path;
use std::time::Duration;

use tandem_chassis::lifecycle::signals;
use tandem_chassis::{Runtime, telemetry};
use tandem_storage::postgres::Private;
use tokio::sync::oneshot;

use crate::config::Config;
use crate::data_dir::DataDir;
use crate::listen;
use crate::services::{self, Extras, Name};

const GRACE: Duration = Duration::from_secs(30);

/// Runs a service until a signal.
pub(crate) async fn run(file: Option<&Path>, name: Name) -> anyhow::Result<()> {
    let data = DataDir::locate()?;
    let config = Config::load(file, &data)?;
    let _telemetry = telemetry::init(&config.telemetry, name.as_str())?;
    data.create()?;
    let listener = listen::bind(name, config.tls.as_ref()).await?;
    let admin = listen::bind_admin().await?;
    let needs_database = name == Name::Storage && config.storage.database_url.is_none();
    let database = if needs_database {
        Some(Private::start(&data.postgres()).await?)
    } else {
        None
    };

    let process = Runtime::new(data.service_secret()?);
    let runtime = process.for_service(name.service());
    listen::serve_admin(admin, &process);
    tokio::spawn({
        let (asked, everything) = (runtime.shutdown.clone(), process.shutdown.clone());
        async move {
            if let Err(error) = signals(asked, GRACE).await {
                tracing::error!(%error, "could not listen for signals");
            }
            everything.stop();
        }
    });
    let (setup_link, link) = oneshot::channel();
    tokio::spawn(tell(link));
    let extras = Extras {
        database: database.as_ref().map(Private::connect_options),
        setup_link: Some(setup_link),
    };
    let outcome = services::run(name, config, listener, runtime.clone(), extras).await;
    runtime.shutdown.drain();
    if let Err(left) = runtime.tasks.finish(GRACE).await {
        tracing::warn!(?left, "tasks still running, ending them");
    }
    process.shutdown.stop();
    if let Some(database) = database {
        database.stop().await;
    }
    outcome
}

/// Runs the private database until a signal.
#[expect(clippy::print_stdout, reason = "the address is the command's answer")]
pub(crate) async fn database() -> anyhow::Result<()> {
    let data = DataDir::locate()?;
    data.create()?;
    let database = Private::start(&data.postgres()).await?;
    let socket = database
        .connect_options()
        .get_socket()
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    println!("psql -h {socket} -U tandem tandem");
    let shutdown = tandem_chassis::lifecycle::Shutdown::new();
    tokio::spawn(signals(shutdown.clone(), GRACE));
    shutdown.draining().await;
    database.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the link is the command's answer")]
async fn tell(link: oneshot::Receiver<String>) {
    if let Ok(link) = link.await {
        println!("Open this link once to sign in as administrator:\n\n  {link}\n");
    }
}
