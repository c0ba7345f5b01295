//! The first start: whoever can read the server's terminal becomes administrator, once.

use axum::{Extension, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use tandem_chassis::status::{Code, Fault};
use tandem_proto::storage::v1 as proto;
use utoipa::ToSchema;

use super::{
    users::signed_in,
    wire::{or_default, user::LoginResponse},
};
use crate::{
    auth::{Peer, limiter::Subject},
    clients::{Answer, promised},
    json::{Body, Reply},
    problem::Problem,
    service::App,
};

/// Whether somebody still has to open the link of the first start.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetupState {
    pub needs_setup: bool,
}

#[derive(Deserialize, ToSchema)]
pub struct RedeemSetupCodeRequest {
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
}

/// Whether nobody has signed in yet.
#[utoipa::path(get, path = "/setup", tag = "setup", responses((status = 200, body = SetupState)), security(()))]
pub async fn state(State(app): State<App>) -> Result<Reply<SetupState>, Problem> {
    let request = app.clients.ask_as_service(proto::GetSetupStateRequest {});
    let state = app.clients.users.clone().get_setup_state(request).await.answer()?;
    Ok(Reply::ok(SetupState {
        needs_setup: state.needs_setup,
    }))
}

/// Exchanges the code of the first start for the administrator's session, once.
#[utoipa::path(post, path = "/setup", tag = "setup", request_body = RedeemSetupCodeRequest,
    responses((status = 201, body = LoginResponse)), security(()))]
pub async fn redeem(
    State(app): State<App>,
    Extension(Peer(peer)): Extension<Peer>,
    Body(body): Body<RedeemSetupCodeRequest>,
) -> Result<Response, Problem> {
    if body.code.is_empty() {
        return Err(Problem::field("code", "must not be empty"));
    }
    let subject = Subject::Address(peer);
    app.failed_logins.look(&subject).map_err(|pause| {
        Problem::from(Fault::rate_limited("RATE_LIMITED", "too many wrong codes").retry_after(pause))
    })?;
    let request = app
        .clients
        .ask_as_service(proto::RedeemSetupCodeRequest { code: body.code });
    let redeemed = app.clients.users.clone().redeem_setup_code(request).await.answer();
    let redeemed = redeemed.map_err(|fault| {
        let is_wrong_code = !matches!(fault.code, Code::Unavailable | Code::Deadline | Code::Internal);
        if is_wrong_code && app.failed_logins.admit(&subject).is_err() {
            tracing::warn!("many wrong setup codes from one address");
        }
        Problem::from(fault)
    })?;
    app.accounts.forget_all();
    signed_in(&app, promised(redeemed.session, "RedeemSetupCodeResponse.session")?)
}
