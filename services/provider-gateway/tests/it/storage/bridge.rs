//! Accounts, and what is recorded of bridged exchanges.

use tandem_chassis::{
    identity::{Caller, ServiceName},
    status::Fault,
};
use tandem_proto::storage::v1::{
    interception_service_server::InterceptionService, user_service_server::UserService, *,
};
use tonic::Request;
use uuid::Uuid;

use super::{Answer, Response, Storage, unused};

/// The token of the one user there is.
pub const GOOD_TOKEN: &str = "tdm_canary-0123456789abcdef";

/// Everything that was recorded.
#[derive(Default)]
pub struct Recorded {
    /// Why nothing is taken.
    pub outage: Option<Fault>,
    /// How often it was asked whose a token is.
    pub authentications: usize,
    pub starts: Vec<Interception>,
    pub ends: Vec<InterceptionEnd>,
    pub token_usages: Vec<TokenUsage>,
    pub user_prompts: Vec<UserPrompt>,
    pub tool_usages: Vec<ToolUsage>,
    pub model_thoughts: Vec<ModelThought>,
    pub prunings: Vec<PruneInterceptionsRequest>,
}

#[tonic::async_trait]
impl InterceptionService for Storage {
    async fn record_interceptions(
        &self,
        request: Request<RecordInterceptionsRequest>,
    ) -> Answer<RecordInterceptionsResponse> {
        assert_eq!(Caller::of(&request)?.service, ServiceName::ProviderGateway);
        let message = request.into_inner();
        let mut recorded = self.recorded.lock().unwrap();
        self.noted.notify_one();
        if let Some(fault) = recorded.outage.clone() {
            return Err(fault.into());
        }
        recorded.starts.extend(message.starts);
        recorded.ends.extend(message.ends);
        recorded.token_usages.extend(message.token_usages);
        recorded.user_prompts.extend(message.user_prompts);
        recorded.tool_usages.extend(message.tool_usages);
        recorded.model_thoughts.extend(message.model_thoughts);
        Ok(Response::new(RecordInterceptionsResponse {}))
    }

    async fn list_interceptions(&self, _: Request<ListInterceptionsRequest>) -> Answer<ListInterceptionsResponse> {
        Err(unused())
    }

    async fn list_sessions(&self, _: Request<ListSessionsRequest>) -> Answer<ListSessionsResponse> {
        Err(unused())
    }

    async fn get_session(&self, _: Request<GetSessionRequest>) -> Answer<GetSessionResponse> {
        Err(unused())
    }

    async fn list_interception_values(
        &self,
        _: Request<ListInterceptionValuesRequest>,
    ) -> Answer<ListInterceptionValuesResponse> {
        Err(unused())
    }

    async fn prune_interceptions(
        &self,
        request: Request<PruneInterceptionsRequest>,
    ) -> Answer<PruneInterceptionsResponse> {
        assert_eq!(Caller::of(&request)?.service, ServiceName::ProviderGateway);
        let mut recorded = self.recorded.lock().unwrap();
        self.noted.notify_one();
        recorded.prunings.push(request.into_inner());
        Ok(Response::new(PruneInterceptionsResponse {
            deleted_rows: 1,
            // The first look finds more than a piece.
            has_more: recorded.prunings.len() == 1,
        }))
    }
}

macro_rules! unused_methods {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl UserService for Storage {
            async fn authenticate(&self, request: Request<AuthenticateRequest>) -> Answer<AuthenticateResponse> {
                assert_eq!(Caller::of(&request)?.service, ServiceName::ProviderGateway);
                self.recorded.lock().unwrap().authentications += 1;
                if request.get_ref().token != GOOD_TOKEN {
                    return Err(Fault::unauthenticated("BAD_TOKEN", "no").into());
                }
                let user = User {
                    id: Uuid::from_u128(1).to_string(),
                    username: "ada".to_owned(),
                    ..User::default()
                };
                Ok(Response::new(AuthenticateResponse {
                    user: Some(user),
                    credential_id: "token-1".to_owned(),
                    is_session: false,
                }))
            }

            $(async fn $name(&self, _: Request<$request>) -> Answer<$response> {
                Err(unused())
            })*
        }
    };
}

unused_methods! {
    get_setup_state(GetSetupStateRequest) -> GetSetupStateResponse;
    bootstrap(BootstrapRequest) -> BootstrapResponse;
    redeem_setup_code(RedeemSetupCodeRequest) -> RedeemSetupCodeResponse;
    login(LoginRequest) -> LoginResponse;
    check_credentials(CheckCredentialsRequest) -> CheckCredentialsResponse;
    logout(LogoutRequest) -> LogoutResponse;
    set_password(SetPasswordRequest) -> SetPasswordResponse;
    create_user(CreateUserRequest) -> CreateUserResponse;
    get_user(GetUserRequest) -> GetUserResponse;
    list_users(ListUsersRequest) -> ListUsersResponse;
    update_user(UpdateUserRequest) -> UpdateUserResponse;
    delete_user(DeleteUserRequest) -> DeleteUserResponse;
    list_organizations(ListOrganizationsRequest) -> ListOrganizationsResponse;
    create_organization(CreateOrganizationRequest) -> CreateOrganizationResponse;
    add_member(AddMemberRequest) -> AddMemberResponse;
    create_api_token(CreateApiTokenRequest) -> CreateApiTokenResponse;
    list_api_tokens(ListApiTokensRequest) -> ListApiTokensResponse;
    delete_api_token(DeleteApiTokenRequest) -> DeleteApiTokenResponse;
}
