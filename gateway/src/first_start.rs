//! The first start: makes sure there is an administrator, and a one-time code to sign in with while nobody has.

use std::time::Duration;

use sha2::{Digest, Sha256};
use tandem_chassis::{
    RunError,
    status::{Code, Fault},
};
use tandem_proto::storage::v1::BootstrapRequest;

use crate::{clients::Answer, service::App};

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Random bytes of a code.
const CODE_BYTES: usize = 16;

/// Creates the administrator where there is none. Returns the link that opens the first session while nobody has signed
/// in yet. Waits for storage as long as that takes.
///
/// # Errors
/// Storage refuses, or there is no randomness.
pub async fn prepare(app: &App) -> Result<Option<String>, RunError> {
    let code = code()?;
    let request = BootstrapRequest {
        api_token: app
            .config
            .bootstrap_token
            .as_ref()
            .map_or_else(String::new, |token| token.expose().to_owned()),
        setup_code_hash: Sha256::digest(code.as_bytes()).to_vec(),
    };
    let answer = loop {
        let message = app.clients.ask_as_service(request.clone());
        match app.clients.users.clone().bootstrap(message).await.answer() {
            Ok(answer) => break answer,
            Err(fault) if is_passing(&fault) => tokio::time::sleep(PAUSE).await,
            Err(fault) => return Err(RunError::start("prepare the first sign-in", fault)),
        }
    };
    if answer.is_created {
        tracing::info!("administrator created");
    }
    if !answer.is_setup_code_active {
        return Ok(None);
    }
    let base = app.public_url.as_str().trim_end_matches('/');
    Ok(Some(format!("{base}/setup#code={code}")))
}

fn is_passing(fault: &Fault) -> bool {
    matches!(fault.code, Code::Unavailable | Code::Deadline | Code::Cancelled)
}

fn code() -> Result<String, RunError> {
    let mut bytes = [0; CODE_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| RunError::start("make a sign-in code", error.to_string()))?;
    Ok(hex::encode(bytes))
}
