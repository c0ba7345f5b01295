//! Whether the services behind the gateway can work: asked again and again, told as checks of the gateway's own health,
//! so that `/readyz` answers at once and says which one is missing.

use std::time::Duration;

use futures::future;
use tandem_chassis::health::Check;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::service::App;

/// Between two rounds of questions.
const INTERVAL: Duration = Duration::from_secs(2);

/// Time a service has to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// Asks until the task is dropped.
pub async fn watch(app: App) {
    let peers: Vec<(Check, Channel)> = app
        .clients
        .channels()
        .iter()
        .map(|(name, channel)| (app.health.check(name), channel.clone()))
        .collect();
    loop {
        future::join_all(peers.iter().map(|(check, channel)| ask(&app, check, channel))).await;
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn ask(app: &App, check: &Check, channel: &Channel) {
    let request = app.clients.ask_as_service(HealthCheckRequest::default());
    let mut client = HealthClient::new(channel.clone());
    match tokio::time::timeout(DEADLINE, client.check(request)).await {
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => check.pass(),
        Ok(Ok(_)) => check.fail("not ready"),
        Ok(Err(_)) => check.fail("not to be reached"),
        Err(_) => check.fail("no answer in time"),
    }
}
