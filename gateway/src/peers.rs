//! Whether the services behind the gateway can work: asked again and again, told as checks of the gateway's own health,
//! so that `/readyz` answers at once and says which one is missing.

use std::time::Duration;

use futures::future;
use tandem_chassis::health::Check;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::service::App;

/// Between two rounds of questions: while somebody is missing, and when all is well.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(3);

/// Time a service has to answer.
const DEADLINE: Duration = Duration::from_secs(2);

/// The services to ask after. All count as missing until they have answered once.
pub struct Peers {
    app: App,
    peers: Vec<(Check, Channel)>,
}

impl Peers {
    /// Those of `app`.
    pub fn new(app: App) -> Self {
        let peers: Vec<_> = app
            .clients
            .channels()
            .iter()
            .map(|(name, channel)| (app.health.check(name), channel.clone()))
            .collect();
        for (check, _) in &peers {
            check.fail("not asked yet");
        }
        Self { app, peers }
    }

    /// Asks until the future is dropped.
    pub async fn watch(self) {
        loop {
            let asked = self.peers.iter().map(|(check, channel)| ask(&self.app, check, channel));
            let is_complete = future::join_all(asked).await.into_iter().all(|is_well| is_well);
            tokio::time::sleep(if is_complete { LATER } else { SOON }).await;
        }
    }
}

/// Whether the service is well.
async fn ask(app: &App, check: &Check, channel: &Channel) -> bool {
    let request = app.clients.ask_as_service(HealthCheckRequest::default());
    let mut client = HealthClient::new(channel.clone());
    match tokio::time::timeout(DEADLINE, client.check(request)).await {
        Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving => {
            check.pass();
            return true;
        }
        Ok(Ok(_)) => check.fail("not ready"),
        Ok(Err(_)) => check.fail("not to be reached"),
        Err(_) => check.fail("no answer in time"),
    }
    false
}
