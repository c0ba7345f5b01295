//! A scriptable stand-in for LLM vendors: OpenAI Chat Completions and Responses, Anthropic Messages (also as AWS speaks it) and
//! Google Gemini, byte for byte, on a real socket.
//!
//! It answers with what tests script, checks every request as strictly as the vendor and in the vendor's words,
//! remembers what it was asked and what it sent, and goes wrong where told: at any byte, with any status.
//! Without a script it answers `You said: <last user message>`. It has no randomness; the only clock is `created`.
//!
//! It is no model: it reads tool results only to check and record them.

mod anthropic;
mod aws;
mod bedrock;
mod body;
mod control;
mod gate;
mod google;
mod io;
mod keys;
mod log;
mod record;
mod render;
mod reply;
mod responses;
mod script;
mod server;
mod validate;
mod wire;

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::timeout};

pub use self::{
    aws::ROLE_TOKEN,
    google::signature as gemini_signature,
    keys::KeyState,
    record::{Counters, Outcome, RecordedRequest},
    reply::{ErrorEvent, Failure, Fault, FaultKind, Item, Pace, Raw, Reply, Usage},
    responses::{encrypted_reasoning, id as response_id},
    script::{Matcher, Script},
};
use self::{gate::Gates, log::Log, server::Shared, validate::Rules};

/// The key accepted unless others are given.
pub const DEFAULT_KEY: &str = "sk-fake-0123456789abcdefghijklmnopqrstuvwxyz";
/// The models known unless others are given; the first is meant for plain tests.
pub const DEFAULT_MODELS: [&str; 4] = ["fake-model", "gpt-4o", "gpt-4o-mini", "o4-mini"];
/// `created` of every model.
const MODELS_CREATED: u64 = 1_686_935_002;
/// Messages in one request, as the vendor allows.
const DEFAULT_MAX_MESSAGES: usize = 2048;

/// What a server is started with. The defaults: a free port, [`DEFAULT_KEY`], [`DEFAULT_MODELS`].
#[derive(Debug, Clone)]
pub struct Builder {
    port: u16,
    keys: HashMap<String, KeyState>,
    rules: Rules,
    created: Option<u64>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            port: 0,
            keys: HashMap::from([(DEFAULT_KEY.to_owned(), KeyState::Valid)]),
            rules: Rules {
                models: DEFAULT_MODELS.map(str::to_owned).to_vec(),
                max_messages: DEFAULT_MAX_MESSAGES,
            },
            created: None,
        }
    }
}

impl Builder {
    /// Listens on this port of 127.0.0.1; 0 takes a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Accepts one more key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.insert(key.into(), KeyState::Valid);
        self
    }

    /// Asks for no key at all, like a local server.
    pub fn without_keys(mut self) -> Self {
        self.keys.clear();
        self
    }

    /// Knows exactly these models; an empty list accepts every name.
    pub fn models<S: Into<String>>(mut self, models: impl IntoIterator<Item = S>) -> Self {
        self.rules.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// Refuses requests of more messages than this.
    pub fn max_messages(mut self, max: usize) -> Self {
        self.rules.max_messages = max;
        self
    }

    /// Shows this time as `created` in every answer, in Unix seconds.
    pub fn created(mut self, unix_seconds: u64) -> Self {
        self.created = Some(unix_seconds);
        self
    }

    /// Starts the server on the current runtime.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(self) -> anyhow::Result<FakeLlm> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
            .await
            .with_context(|| format!("fake LLM cannot listen on port {}", self.port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            rules: self.rules,
            created: self.created,
            started: Instant::now(),
            keys: Mutex::new(self.keys),
            scripts: Mutex::default(),
            gates: Arc::new(Gates::default()),
            log: Arc::new(Log::new()),
            kept: Mutex::default(),
            role: aws::Role::default(),
            hang_up: Notify::new(),
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(FakeLlm { shared, address, task })
    }
}

/// A running fake. Dropping it closes the port and every connection.
pub struct FakeLlm {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl FakeLlm {
    /// A fake with the defaults.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// A fake of your own making.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// What clients take as the provider's base URL, with `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A key it accepts.
    pub fn api_key(&self) -> &'static str {
        DEFAULT_KEY
    }

    /// Adds a script behind those already waiting.
    pub fn script(&self, script: Script) {
        self.shared.scripts().push_back(script);
    }

    /// Scripts that still have replies; a test that used all it scripted ends with 0.
    pub fn scripts_left(&self) -> usize {
        self.shared.scripts().len()
    }

    /// Changes how a key is treated from the next request on.
    pub fn set_key(&self, key: &str, state: KeyState) {
        self.shared.keys().insert(key.to_owned(), state);
    }

    /// Opens a gate for those who wait and those who come later.
    pub fn open(&self, gate: &str) {
        self.shared.gates.open(gate);
    }

    /// Closes a gate again.
    pub fn close(&self, gate: &str) {
        self.shared.gates.close(gate);
    }

    /// Ends every stall, now and later.
    pub fn end_stalls(&self) {
        self.open(body::STALL_GATE);
    }

    /// Ends every open connection without a word.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_one();
    }

    /// How often the role of a container was asked for credentials, with success; see [`ROLE_TOKEN`]. It is asked at `/aws/role`.
    pub fn role_credentials_given(&self) -> u64 {
        self.shared.role.given()
    }

    /// Forgets all responses that requests can go on from, as the vendor does after some weeks.
    pub fn forget_responses(&self) {
        self.shared.kept().forget();
    }

    /// Forgets scripts, requests, kept responses and opened gates. Request numbers go on.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// All remembered requests, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.log.requests(log::MAX_REQUESTS).0
    }

    /// The remembered completion requests that passed validation, oldest first.
    pub fn completions(&self) -> Vec<RecordedRequest> {
        let mut requests = self.requests();
        let paths = ["/v1/chat/completions", anthropic::MESSAGES, responses::RESPONSES];
        let is_completion = |path: &str| {
            paths.contains(&responses::path(path)) || google::is_completion(path) || bedrock::is_completion(path)
        };
        requests.retain(|request| is_completion(&request.path) && request.rejection.is_none());
        requests
    }

    /// The bill of one conversation; see [`RecordedRequest::conversation`] for its name.
    pub fn counters(&self, conversation: &str) -> Counters {
        self.shared.log.counters(conversation)
    }

    /// The bills of all conversations.
    pub fn all_counters(&self) -> BTreeMap<String, Counters> {
        self.shared.log.all_counters()
    }

    /// Waits until a reply waits at the gate.
    ///
    /// # Errors
    /// When none came within `limit`.
    pub async fn wait_at_gate(&self, gate: &str, limit: Duration) -> anyhow::Result<()> {
        let waiting = self.shared.gates.waited_at(gate, 1);
        timeout(limit, waiting)
            .await
            .with_context(|| format!("no reply reached gate {gate:?} within {limit:?}; {}", self.summary()))
    }

    /// Waits until the remembered requests satisfy `met`.
    ///
    /// # Errors
    /// When they did not within `limit`; the error lists what came instead.
    pub async fn wait_until(
        &self,
        limit: Duration,
        met: impl Fn(&[RecordedRequest]) -> bool,
    ) -> anyhow::Result<Vec<RecordedRequest>> {
        timeout(limit, self.shared.log.wait(met))
            .await
            .with_context(|| format!("requests not as expected within {limit:?}; {}", self.summary()))?;
        Ok(self.requests())
    }

    /// Fails when any request was refused by validation.
    ///
    /// # Errors
    /// Names every refusal.
    pub fn check_no_rejections(&self) -> anyhow::Result<()> {
        let rejections: Vec<String> = self
            .requests()
            .into_iter()
            .filter_map(|request| Some(format!("#{}: {}", request.number, request.rejection?)))
            .collect();
        ensure!(rejections.is_empty(), "requests were refused: {rejections:#?}");
        Ok(())
    }

    /// One line per request, for messages of failed tests.
    pub fn summary(&self) -> String {
        let lines: Vec<String> = self
            .requests()
            .iter()
            .map(|r| {
                let number = r.number;
                format!(
                    "#{number} {} {} {} {:?} {} tokens",
                    r.method, r.path, r.status, r.outcome, r.tokens_sent
                )
            })
            .collect();
        format!("{} requests so far: {lines:#?}", lines.len())
    }
}

impl Drop for FakeLlm {
    fn drop(&mut self) {
        self.task.abort();
    }
}
