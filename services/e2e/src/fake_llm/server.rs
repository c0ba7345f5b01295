//! The HTTP face: accepts connections, tells endpoints apart, checks the key, picks the script.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tandem_chassis::clock::{self, Clock as _};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use super::{
    MODELS_CREATED, anthropic,
    aws::{self, Signed},
    bedrock,
    body::ReplyBody,
    control,
    gate::Gates,
    google,
    io::{Io, Wire},
    keys::{self, KeyState},
    log::{Arrival, Log, Ticket},
    record::Outcome,
    render::{self, Context, Response},
    reply::Reply,
    responses,
    script::{Facts, Script},
    validate::{self, Accepted, Rules},
    wire::{self, VendorError},
};

/// Connections served at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 16_384;
/// Bytes of one request body.
const MAX_REQUEST_BYTES: usize = 64 << 20;
/// Scripts waiting for requests.
pub(super) const MAX_SCRIPTS: usize = 10_000;
/// What stands before the id of one model, in all dialects that list models here.
const MODEL: &str = "/v1/models/";
/// Rest after a failed `accept`, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

pub(super) type Answer = http::Response<Either<ReplyBody, Full<Bytes>>>;

/// Everything the connections share.
pub(super) struct Shared {
    pub rules: Rules,
    /// Fixed `created` for every answer, else the time of the request.
    pub created: Option<u64>,
    pub started: Instant,
    pub keys: Mutex<HashMap<String, KeyState>>,
    pub scripts: Mutex<VecDeque<Script>>,
    pub gates: Arc<Gates>,
    pub log: Arc<Log>,
    /// Responses that requests can go on from.
    pub kept: Mutex<responses::Kept>,
    /// What a container is given to sign with.
    pub role: aws::Role,
    /// Ends every open connection.
    pub hang_up: Notify,
}

impl Shared {
    pub fn scripts(&self) -> MutexGuard<'_, VecDeque<Script>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn keys(&self) -> MutexGuard<'_, HashMap<String, KeyState>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kept(&self) -> MutexGuard<'_, responses::Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets scripts, requests, kept responses and opened gates.
    pub fn reset(&self) {
        self.scripts().clear();
        self.kept().forget();
        self.log.reset();
        self.gates.reset();
    }

    /// The next reply for a request, with the name of its script.
    fn take_reply(&self, facts: &Facts<'_>) -> (Reply, String) {
        let mut scripts = self.scripts();
        let found = scripts.iter().position(|script| script.matcher.matches(facts));
        if let Some(index) = found
            && let Some(script) = scripts.get_mut(index)
            && let Some(reply) = script.take()
        {
            let name = script.name.clone();
            if script.replies.is_empty() {
                scripts.remove(index);
            }
            return (reply, name);
        }
        let echo = Reply::text(format!("You said: {}", facts.last_user));
        (echo, String::new())
    }

    fn created(&self) -> u64 {
        self.created.unwrap_or_else(|| {
            let now = clock::System.now().unix_timestamp();
            u64::try_from(now).unwrap_or(0)
        })
    }
}

/// Serves until the task is aborted; the connections end with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shared.hang_up.notified() => connections.abort_all(),
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let stream = match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "connection not accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                };
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "connection is gone already");
                }
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let wire = Arc::new(Wire::default());
                    let io = TokioIo::new(Io::new(stream, Arc::clone(&wire)));
                    let service = service_fn(move |request| {
                        handle(request, Arc::clone(&shared), Arc::clone(&wire))
                    });
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(io, service);
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "connection ended early");
                    }
                    drop(slot);
                });
            }
        }
    }
}

async fn handle(request: Request<Incoming>, shared: Arc<Shared>, wire: Arc<Wire>) -> Result<Answer, io::Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_REQUEST_BYTES).collect().await;
    let too_large = body
        .as_ref()
        .is_err_and(|error| error.is::<http_body_util::LengthLimitError>());
    let body = match body {
        Ok(body) => body.to_bytes(),
        Err(_) if too_large => Bytes::new(),
        Err(error) => return Err(io::Error::other(error)),
    };
    let path = parts.uri.path();
    if path.starts_with(control::PREFIX) {
        return Ok(control::handle(&shared, &parts.method, &parts.uri, &body));
    }
    let exchange = Exchange {
        shared,
        wire,
        number: 0,
        method: parts.method.clone(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    exchange.answer(too_large).await
}

/// One request to a vendor and the way to its answer.
struct Exchange {
    shared: Arc<Shared>,
    wire: Arc<Wire>,
    number: u64,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Exchange {
    async fn answer(mut self, too_large: bool) -> Result<Answer, io::Error> {
        self.number = self.shared.log.number();
        let verdict = match too_large {
            true => Err(VendorError::invalid("Request body is too large.", None, None).with_status(413)),
            false => self.route(),
        };
        match verdict {
            Ok(Route::Told(body)) => {
                let ticket = self.enter(String::new(), None, None);
                let response = render::plain(self.number, wire::JSON, body);
                Ok(self.begin(response, ticket))
            }
            Ok(Route::Completion(accepted)) => self.complete(*accepted).await,
            Err(error) => {
                let message = error.message.clone();
                let ticket = self.enter(String::new(), None, Some(message));
                let response = match self.dialect() {
                    Dialect::Anthropic => anthropic::error(self.number, &error),
                    Dialect::Google => google::error(self.number, &error),
                    Dialect::Bedrock => bedrock::error(self.number, &error),
                    Dialect::OpenAi | Dialect::Responses => render::error(self.number, &error),
                };
                Ok(self.begin(response, ticket))
            }
        }
    }

    /// Decides what is asked for and whether it may be.
    fn route(&self) -> Result<Route, VendorError> {
        let is_get = self.method == Method::GET;
        let is_post = self.method == Method::POST;
        if self.path == aws::ROLE && is_get {
            return Ok(Route::Told(self.shared.role.give(&self.headers)?));
        }
        if self.dialect() == Dialect::Google {
            return self.route_google();
        }
        if self.dialect() == Dialect::Bedrock {
            return self.route_bedrock();
        }
        if self.dialect() == Dialect::Anthropic {
            let version = anthropic::check_caller(&self.shared.keys(), &self.headers)?;
            let betas = anthropic::betas(&self.headers);
            self.check_content_type_of(is_post)?;
            return match self.path.as_str() {
                anthropic::MESSAGES if is_post => {
                    let accepted = anthropic::check(&self.body, &self.shared.rules, version, &betas)?;
                    Ok(Route::Completion(Box::new(accepted)))
                }
                anthropic::COUNT_TOKENS if is_post => {
                    let counted = anthropic::count(&self.body, &self.shared.rules, version, &betas)?;
                    Ok(Route::Told(counted))
                }
                anthropic::MODELS if is_get => Ok(Route::Told(anthropic::models(&self.shared.rules.models))),
                path if is_get && path.starts_with(MODEL) => {
                    let id = path.trim_start_matches(MODEL);
                    Ok(Route::Told(anthropic::model(&self.shared.rules.models, id)?))
                }
                _ => Err(anthropic::no_route()),
            };
        }
        responses::check_caller(&self.shared.keys(), &self.path, &self.headers)?;
        match responses::path(&self.path) {
            "/v1/models" if is_get => Ok(Route::Told(self.models(None)?)),
            "/v1/chat/completions" if is_post => {
                self.check_content_type()?;
                let accepted = validate::check(&self.body, &self.shared.rules)?;
                Ok(Route::Completion(Box::new(accepted)))
            }
            responses::RESPONSES if is_post => {
                self.check_content_type()?;
                let accepted = responses::check(&self.body, &self.shared.rules, &self.shared.kept())?;
                Ok(Route::Completion(Box::new(accepted)))
            }
            path if is_get && path.starts_with(MODEL) => {
                let id = path.trim_start_matches(MODEL);
                Ok(Route::Told(self.models(Some(id))?))
            }
            "/v1/models" | "/v1/chat/completions" | responses::RESPONSES => {
                let hint = if is_get { "POST" } else { "GET" };
                let message = format!(
                    "Not allowed to {} on {}. (HINT: Perhaps you meant to make a {hint} request?)",
                    self.method, self.path
                );
                let code = Some("method_not_supported");
                Err(VendorError::invalid(message, None, code).with_status(405))
            }
            path => {
                let message = format!("Invalid URL ({} {path})", self.method);
                Err(VendorError::invalid(message, None, None).with_status(404))
            }
        }
    }

    fn route_google(&self) -> Result<Route, VendorError> {
        google::check_caller(&self.shared.keys(), &self.headers)?;
        if self.method == Method::GET && google::is_list(&self.path) {
            return Ok(Route::Told(google::models(&self.shared.rules.models)));
        }
        if self.method != Method::POST {
            return Err(google::no_route());
        }
        self.check_content_type()?;
        let accepted = google::check(&self.path, &self.query, &self.body, &self.shared.rules)?;
        Ok(Route::Completion(Box::new(accepted)))
    }

    fn route_bedrock(&self) -> Result<Route, VendorError> {
        if aws::is_signed(&self.headers) {
            let signed = Signed {
                method: &self.method,
                path: &self.path,
                query: &self.query,
                headers: &self.headers,
                body: &self.body,
            };
            signed.check(&self.shared.role)?;
        } else {
            bedrock::check_caller(&self.shared.keys(), &self.headers)?;
        }
        if self.method == Method::GET && bedrock::is_list(&self.path) {
            return Ok(Route::Told(bedrock::models(&self.shared.rules.models)));
        }
        if self.method != Method::POST {
            return Err(bedrock::no_route());
        }
        self.check_content_type()?;
        let accepted = bedrock::check(&self.path, &self.body, &self.shared.rules)?;
        Ok(Route::Completion(Box::new(accepted)))
    }

    fn dialect(&self) -> Dialect {
        if google::is_spoken(&self.path) {
            Dialect::Google
        } else if bedrock::is_spoken(&self.path) {
            Dialect::Bedrock
        } else if anthropic::is_spoken(&self.path, &self.headers) {
            Dialect::Anthropic
        } else if responses::path(&self.path) == responses::RESPONSES {
            Dialect::Responses
        } else {
            Dialect::OpenAi
        }
    }

    fn check_content_type_of(&self, has_body: bool) -> Result<(), VendorError> {
        if has_body { self.check_content_type() } else { Ok(()) }
    }

    /// Without the JSON content type the vendor does not look into the body.
    fn check_content_type(&self) -> Result<(), VendorError> {
        let value = self.headers.get(header::CONTENT_TYPE);
        let is_json = value
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/json"));
        match is_json {
            true => Ok(()),
            false => {
                let message = "you must provide a model parameter";
                Err(VendorError::invalid(message, None, None))
            }
        }
    }

    /// The list of models, or one of them.
    fn models(&self, id: Option<&str>) -> Result<Vec<u8>, VendorError> {
        let models = &self.shared.rules.models;
        match id {
            None => {
                let data = models.iter().map(|id| Model::new(id)).collect();
                let object = "list";
                Ok(wire::pretty(&ModelList { object, data }, b"  "))
            }
            Some(id) if models.iter().any(|known| known == id) => Ok(wire::pretty(&Model::new(id), b"  ")),
            Some(id) => {
                let message = format!("The model '{id}' does not exist");
                let (param, code) = (Some("model"), Some("model_not_found"));
                Err(VendorError::invalid(message, param, code).with_status(404))
            }
        }
    }

    async fn complete(self, accepted: Accepted) -> Result<Answer, io::Error> {
        let (reply, script) = self.shared.take_reply(&Facts {
            model: &accepted.model,
            last_user: &accepted.last_user,
            texts: &accepted.texts,
            headers: &self.headers,
        });
        let ticket = self.enter(script, Some(&accepted), None);
        if let Some(gate) = &reply.pace.headers_gate {
            Arc::clone(&self.shared.gates).pass(gate.clone()).await;
        }
        if reply.pace.first_ms > 0 {
            tokio::time::sleep(Duration::from_millis(reply.pace.first_ms)).await;
        }
        if let Some(reset) = reply.hang_up {
            ticket.close(Outcome::Cut);
            if reset {
                self.wire.reset_on_close();
            }
            return Err(io::Error::other("the script hangs up here"));
        }
        let context = Context {
            number: self.number,
            created: self.shared.created(),
            model: accepted.model.clone(),
            stream: accepted.stream,
            include_usage: accepted.include_usage,
            may_obfuscate: accepted.may_obfuscate,
            prompt_tokens: accepted.prompt_tokens,
        };
        let response = match self.dialect() {
            Dialect::Anthropic => anthropic::reply(&context, &reply),
            Dialect::Google => google::reply(&context, &reply),
            Dialect::Bedrock => bedrock::reply(&context, &reply),
            Dialect::OpenAi => render::reply(&context, &reply),
            Dialect::Responses => {
                self.shared.kept().keep(&context, &self.body, &accepted, &reply);
                responses::reply(&context, &reply)
            }
        };
        Ok(self.begin(response, ticket))
    }

    fn enter(&self, script: String, accepted: Option<&Accepted>, rejection: Option<String>) -> Ticket {
        let received = self.shared.started.elapsed().as_millis();
        self.shared.log.enter(Arrival {
            number: self.number,
            received_ms: u64::try_from(received).unwrap_or(u64::MAX),
            method: self.method.to_string(),
            path: self.path.clone(),
            headers: keys::redacted(&self.headers),
            body: self.body.clone(),
            key_hint: keys::hint(&self.headers),
            script,
            conversation: accepted.map_or_else(String::new, |a| a.conversation.clone()),
            prompt_tokens: accepted.map_or(0, |a| a.prompt_tokens),
            rejection,
        })
    }

    fn begin(self, mut response: Response, ticket: Ticket) -> Answer {
        ticket.begins(response.status);
        let headers = std::mem::take(&mut response.headers);
        let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let gates = Arc::clone(&self.shared.gates);
        let body = ReplyBody::new(&mut response, gates, self.wire, ticket);
        let mut answer = http::Response::new(Either::Left(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }
}

#[derive(Serialize)]
struct ModelList<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> Model<'a> {
    fn new(id: &'a str) -> Self {
        Self {
            id,
            object: "model",
            created: MODELS_CREATED,
            owned_by: "tandem-fake",
        }
    }
}

/// How a request speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    OpenAi,
    Responses,
    Anthropic,
    Google,
    Bedrock,
}

enum Route {
    /// Answered with this JSON.
    Told(Vec<u8>),
    Completion(Box<Accepted>),
}
