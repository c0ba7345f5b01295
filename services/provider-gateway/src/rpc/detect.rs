//! Looks for model servers on this machine, at the ports where they usually listen.

use std::time::Duration;

use futures::future::join_all;
use tandem_proto::provider::v1::LocalProvider;

use super::models;
use crate::outbound::Outbound;

/// What usually listens where.
const PLACES: [(&str, u16); 4] = [("ollama", 11_434), ("llamacpp", 8080), ("vllm", 8000), ("lmstudio", 1234)];

/// Time one of them gets to answer.
const PATIENCE: Duration = Duration::from_millis(300);

/// The servers that answer with a list of models, in the order of [`PLACES`]; all are asked at once.
pub(super) async fn all(outbound: &Outbound) -> Vec<LocalProvider> {
    let asked = PLACES.into_iter().map(|(kind, port)| ask(outbound, kind, port));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn ask(outbound: &Outbound, kind: &str, port: u16) -> Option<LocalProvider> {
    let base_url = format!("http://127.0.0.1:{port}/v1");
    let request = outbound.get(format!("{base_url}/models").parse().ok()?).ok()?;
    let answer = tokio::time::timeout(PATIENCE, async {
        let response = request.send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let body = models::read(response).await.ok()?;
        models::parse(&body)
    });
    Some(LocalProvider {
        kind: kind.to_owned(),
        models: answer.await.ok()??,
        base_url,
    })
}
