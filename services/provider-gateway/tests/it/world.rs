//! A provider gateway on a stub storage, and clients of it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::StreamExt;
use tandem_chassis::{
    Runtime,
    client::{self, Outbound},
    identity::{ServiceName, ServiceSecret, User},
    server::Server,
    tls::ClientConfig,
    transport::{Address, Listener},
    with_message_limits,
};
use tandem_proto::{
    common::v1::{ModelConfig, Part, Role, TextPart, ToolDefinition, part::Kind},
    provider::v1::{
        AttachRequest, CancelCompletionRequest, CompleteRequest, CompletionEvent, CompletionFailed, CompletionFinished,
        CreateProviderRequest, GetProviderHealthRequest, PromptMessage, Provider, ProviderHealth,
        UpdateProviderRequest, bridge_service_client::BridgeServiceClient, completion_event::Event,
        completion_service_client::CompletionServiceClient, provider_admin_service_client::ProviderAdminServiceClient,
    },
    storage::v1::{
        interception_service_server::InterceptionServiceServer, provider_key_service_server::ProviderKeyServiceServer,
        settings_service_server::SettingsServiceServer, usage_service_server::UsageServiceServer,
        user_service_server::UserServiceServer,
    },
    tool::v1::mcp_bridge_service_server::McpBridgeServiceServer,
};
use tandem_provider_gateway::Config;
use tonic::{Status, Streaming, transport::Channel};
use uuid::Uuid;

use crate::{storage::Storage, tool_runner::ToolRunner};

/// Time for a whole test call.
const DEADLINE: Duration = Duration::from_secs(20);

/// Everything a test needs.
pub struct World {
    pub storage: Storage,
    pub tool_runner: ToolRunner,
    pub admin: ProviderAdminServiceClient<Channel>,
    pub completions: CompletionServiceClient<Channel>,
    pub bridge: BridgeServiceClient<Channel>,
    outbound: Outbound,
    gateway: Outbound,
    user: User,
    runtime: Runtime,
    own: Runtime,
}

impl Drop for World {
    fn drop(&mut self) {
        self.runtime.shutdown.stop();
    }
}

/// An address nobody else in this process has.
fn unique(name: &str) -> Address {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Address::Memory(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

impl World {
    /// With the defaults, a sealing key and a quick demo model.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With a configuration changed by `change`.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(Storage::default(), change).await
    }

    /// On rows that are there already.
    pub async fn start_on(storage: Storage, change: impl FnOnce(&mut Config)) -> Self {
        let runtime = Runtime::new(ServiceSecret::generate().unwrap());
        let storage_address = unique("storage");
        let listener = Listener::bind(&storage_address).await.unwrap();
        let server = Server::new(ServiceName::Storage, &runtime)
            .add_service(with_message_limits!(SettingsServiceServer::new(storage.clone())))
            .add_service(with_message_limits!(ProviderKeyServiceServer::new(storage.clone())))
            .add_service(with_message_limits!(InterceptionServiceServer::new(storage.clone())))
            .add_service(with_message_limits!(UserServiceServer::new(storage.clone())))
            .add_service(with_message_limits!(UsageServiceServer::new(storage.clone())));
        tokio::spawn(server.serve(listener, runtime.shutdown.draining()));

        let mut config = Config {
            kek: Some("ab".repeat(32).as_str().into()),
            ..Config::default()
        };
        config.peers.storage = storage_address;
        let tool_runner = ToolRunner::default();
        config.peers.tool_runner = unique("tool-runner");
        let listener = Listener::bind(&config.peers.tool_runner).await.unwrap();
        let server = Server::new(ServiceName::ToolRunner, &runtime)
            .add_service(with_message_limits!(McpBridgeServiceServer::new(tool_runner.clone())));
        tokio::spawn(server.serve(listener, runtime.shutdown.draining()));
        config.demo.word_pause = Duration::ZERO;
        change(&mut config);
        let address = unique("provider-gateway");
        let listener = Listener::bind(&address).await.unwrap();
        let own = runtime.for_service(ServiceName::ProviderGateway);
        tokio::spawn(tandem_provider_gateway::run(config, listener, own.clone()));

        let channel = client::channel(&address, &ClientConfig::default()).unwrap();
        Self {
            storage,
            tool_runner,
            admin: with_message_limits!(ProviderAdminServiceClient::new(channel.clone())),
            completions: with_message_limits!(CompletionServiceClient::new(channel.clone())),
            bridge: with_message_limits!(BridgeServiceClient::new(channel)),
            outbound: runtime.outbound(ServiceName::Orchestrator),
            gateway: runtime.outbound(ServiceName::Gateway),
            user: User {
                id: Uuid::from_u128(1),
                is_admin: true,
                organization_ids: Vec::new(),
            },
            runtime,
            own,
        }
    }

    /// Lets the gateway drain.
    pub fn drain_gateway(&self) {
        self.own.shutdown.drain();
    }

    /// What the gateway counts, as a page.
    pub fn metrics(&self) -> String {
        self.own.registry.render()
    }

    /// Stops the gateway hard.
    pub fn stop_gateway(&self) {
        self.own.shutdown.stop();
    }

    /// A request of the administrator at the gateway.
    pub fn as_admin<T>(&self, message: T) -> tonic::Request<T> {
        self.gateway.request(Some(&self.user), DEADLINE, message)
    }

    /// A request of somebody who is no administrator.
    pub fn as_member<T>(&self, message: T) -> tonic::Request<T> {
        self.as_user(self.user.id, message)
    }

    /// A request of this user, who is no administrator.
    pub fn as_user<T>(&self, id: Uuid, message: T) -> tonic::Request<T> {
        let user = User {
            id,
            is_admin: false,
            ..self.user.clone()
        };
        self.gateway.request(Some(&user), DEADLINE, message)
    }

    /// How a provider does.
    pub async fn health(&self, provider: &Provider) -> ProviderHealth {
        let request = self.as_admin(GetProviderHealthRequest {});
        let all = self.admin.clone().get_provider_health(request).await.unwrap();
        let mut all = all.into_inner().providers.into_iter();
        all.find(|health| health.provider_id == provider.id).unwrap()
    }

    /// Changes a provider.
    pub async fn update(&self, change: UpdateProviderRequest) -> Result<Provider, Status> {
        let updated = self.admin.clone().update_provider(self.as_admin(change)).await?;
        Ok(updated.into_inner().provider.unwrap())
    }

    /// A request of an orchestrator.
    pub fn as_orchestrator<T>(&self, message: T) -> tonic::Request<T> {
        self.outbound.request(None, DEADLINE, message)
    }

    /// Stores a provider of that type.
    pub async fn provider(&self, kind: &str, base_url: &str, keys: &[&str]) -> Provider {
        let message = CreateProviderRequest {
            r#type: kind.to_owned(),
            name: format!("p{}", self.storage.providers.lock().unwrap().len()),
            is_enabled: true,
            base_url: base_url.to_owned(),
            api_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..CreateProviderRequest::default()
        };
        let created = self
            .admin
            .clone()
            .create_provider(self.as_admin(message))
            .await
            .unwrap();
        created.into_inner().provider.unwrap()
    }

    /// Stores a model of a provider and gives its id.
    pub fn model(&self, provider: &Provider, call_config_json: &str) -> String {
        self.model_named("m-1", provider, call_config_json)
    }

    /// Stores a model of that name.
    pub fn model_named(&self, name: &str, provider: &Provider, call_config_json: &str) -> String {
        let id = Uuid::new_v4().to_string();
        let model = ModelConfig {
            id: id.clone(),
            provider_id: provider.id.clone(),
            provider_type: provider.r#type.clone(),
            model: name.to_owned(),
            is_enabled: true,
            is_provider_enabled: true,
            context_limit: 1000,
            call_config_json: call_config_json.to_owned(),
            ..ModelConfig::default()
        };
        self.storage.models.lock().unwrap().insert(id.clone(), model);
        id
    }

    /// Starts a completion of `text` that somebody pays for.
    pub async fn complete_for(&self, owner: Uuid, id: Uuid, model: &str, text: &str) -> Result<Events, Status> {
        let message = CompleteRequest {
            owner_id: owner.to_string(),
            ..prompt(id, model, text)
        };
        let response = self.completions.clone().complete(self.as_orchestrator(message)).await?;
        Ok(Events::Complete(response.into_inner()))
    }

    /// Starts a completion of `text`.
    pub async fn complete(&self, id: Uuid, model: &str, text: &str) -> Result<Events, Status> {
        self.ask(prompt(id, model, text)).await
    }

    /// Starts a completion.
    pub async fn ask(&self, message: CompleteRequest) -> Result<Events, Status> {
        let response = self.completions.clone().complete(self.as_orchestrator(message)).await?;
        Ok(Events::Complete(response.into_inner()))
    }

    /// Reads on behind an index.
    pub async fn attach(&self, id: Uuid, after_index: i64) -> Result<Events, Status> {
        let message = AttachRequest {
            completion_id: id.to_string(),
            after_index,
        };
        let response = self.completions.clone().attach(self.as_orchestrator(message)).await?;
        Ok(Events::Attach(response.into_inner()))
    }

    /// Stops a completion; says whether it was running.
    pub async fn cancel(&self, id: Uuid) -> bool {
        let message = CancelCompletionRequest {
            completion_id: id.to_string(),
        };
        let response = self
            .completions
            .clone()
            .cancel_completion(self.as_orchestrator(message))
            .await;
        response.unwrap().into_inner().was_running
    }
}

/// A request to complete `text`, with one tool on offer.
pub fn prompt(id: Uuid, model: &str, text: &str) -> CompleteRequest {
    let text = TextPart { text: text.to_owned() };
    CompleteRequest {
        completion_id: id.to_string(),
        model_config_id: model.to_owned(),
        messages: vec![PromptMessage {
            role: Role::User.into(),
            parts: vec![Part {
                kind: Some(Kind::Text(text)),
                provider_metadata_json: String::new(),
            }],
        }],
        tools: vec![ToolDefinition {
            name: "execute".to_owned(),
            description: "Runs a command.".to_owned(),
            input_schema_json: r#"{"type":"object"}"#.to_owned(),
            computer: None,
        }],
        ..CompleteRequest::default()
    }
}

/// The events of a completion, however they were asked for.
pub enum Events {
    Complete(Streaming<tandem_proto::provider::v1::CompleteResponse>),
    Attach(Streaming<tandem_proto::provider::v1::AttachResponse>),
}

impl Events {
    pub async fn next(&mut self) -> Option<CompletionEvent> {
        match self {
            Self::Complete(stream) => stream.next().await.map(|event| event.unwrap().event.unwrap()),
            Self::Attach(stream) => stream.next().await.map(|event| event.unwrap().event.unwrap()),
        }
    }

    /// All events to the last, or until the server breaks off.
    pub async fn all_until_broken(self) -> Vec<CompletionEvent> {
        let mut events = Vec::new();
        match self {
            Self::Complete(mut stream) => {
                while let Some(Ok(event)) = stream.next().await {
                    events.extend(event.event);
                }
            }
            Self::Attach(mut stream) => {
                while let Some(Ok(event)) = stream.next().await {
                    events.extend(event.event);
                }
            }
        }
        events
    }

    /// All events to the last.
    pub async fn all(mut self) -> Vec<CompletionEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The streamed text.
pub fn text_of(events: &[CompletionEvent]) -> String {
    let deltas = events.iter().filter_map(|event| match &event.event {
        Some(Event::TextDelta(text)) => Some(text.as_str()),
        _ => None,
    });
    deltas.collect()
}

/// The last event, if it is a good end.
pub fn finished(events: &[CompletionEvent]) -> Option<&CompletionFinished> {
    match &events.last()?.event {
        Some(Event::Finished(finished)) => Some(finished),
        _ => None,
    }
}

/// The last event, if it is a bad end.
pub fn failed(events: &[CompletionEvent]) -> Option<&CompletionFailed> {
    match &events.last()?.event {
        Some(Event::Failed(failed)) => Some(failed),
        _ => None,
    }
}
