//! An API server of our own: keeps pods, secrets and claims, refuses what a real one refuses, and can be told to misbehave.
//!
//! Follows the public reference: server-side apply with a field manager, strict decoding, immutable fields, graceful deletion, claims that
//! are kept while a pod uses them, quotas, and the "restricted" level of pod security. Also included by the system tests, where a pod is a
//! process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Segments, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tandem_chassis::tls::ServerConfig;
use tandem_chassis::transport::{HttpListener, Listener};
use tokio::sync::watch;

#[path = "fake_shapes.rs"]
mod shapes;

use shapes::{claim_shape, fits, pod_shape, secret_shape};

/// The only namespace there is.
pub const NAMESPACE: &str = "workspaces";

/// What callers must show.
pub const CREDENTIAL: &str = "cluster-credential-that-nobody-may-see";

/// What happens to the next call instead of an answer to it.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing, ever.
    Hang,
    /// An answer that is no JSON.
    Garble,
    /// An answer of 5 MiB.
    Flood,
    /// This refusal.
    Refuse(u16, String),
}

#[derive(Default)]
struct Kept {
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    calls: Vec<String>,
    faults: VecDeque<Fault>,
    /// Status of pods that are made.
    status: Value,
    /// Somebody runs pods, and says when a deleted one has ended.
    has_kubelet: bool,
    max_pods: Option<usize>,
}

/// The server. Cheap to clone; ends with its runtime.
#[derive(Clone)]
pub struct Fake {
    kept: Arc<Mutex<Kept>>,
    changed: watch::Sender<u64>,
    address: String,
    /// PEM of the certificate that proves it.
    authority: Option<String>,
}

type Answer = Result<(StatusCode, Value), Refusal>;

/// An error as an API server words it.
struct Refusal(u16, &'static str, String);

impl Refusal {
    fn new<T>(code: u16, reason: &'static str, message: impl Into<String>) -> Result<T, Self> {
        Err(Self(code, reason, message.into()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(code, reason, message) = self;
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        (StatusCode::from_u16(code).unwrap(), body.to_string()).into_response()
    }
}

impl Fake {
    pub async fn start() -> Self {
        let address = "http://127.0.0.1:0".parse().unwrap();
        Self::serve(Listener::bind(&address).await.unwrap(), None)
    }

    /// With a certificate for 127.0.0.1, which is its own authority.
    pub async fn start_with_tls(directory: &Path) -> Self {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let files = ServerConfig {
            cert_file: directory.join("cert.pem"),
            key_file: directory.join("key.pem"),
            client_ca_file: None,
        };
        std::fs::write(&files.cert_file, issued.cert.pem()).unwrap();
        std::fs::write(&files.key_file, issued.signing_key.serialize_pem()).unwrap();
        let address = "https://127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind_with(&address, Some(files.load().unwrap()))
            .await
            .unwrap();
        Self::serve(listener, Some(issued.cert.pem()))
    }

    fn serve(listener: Listener, authority: Option<String>) -> Self {
        let fake = Self {
            kept: Arc::default(),
            changed: watch::Sender::new(0),
            address: listener.address().to_string(),
            authority,
        };
        fake.lock().status = json!({ "phase": "Pending" });
        let one = get(find).patch(apply).delete(remove);
        let router = Router::new()
            .route("/api/v1/namespaces/{namespace}/{plural}", delete(remove_all))
            .route("/api/v1/namespaces/{namespace}/{plural}/{name}", one)
            .with_state(fake.clone());
        tokio::spawn(async move { axum::serve(HttpListener::from(listener), router).await.unwrap() });
        fake
    }

    /// Writes credentials for it. What is JSON is YAML too.
    pub fn write_kubeconfig(&self, path: &Path) {
        let context = json!({ "cluster": "fake", "user": "tandem", "namespace": NAMESPACE });
        let mut cluster = json!({ "server": self.address });
        if let Some(authority) = &self.authority {
            cluster["certificate-authority-data"] = STANDARD.encode(authority).into();
        }
        let file = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{ "name": "fake", "cluster": cluster }],
            "users": [{ "name": "tandem", "user": { "token": CREDENTIAL } }],
            "contexts": [{ "name": "fake", "context": context }],
        });
        std::fs::write(path, file.to_string()).unwrap();
    }

    /// What happens to the next calls, one each.
    pub fn misbehave(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// The status that pods have from now on as soon as they are made.
    pub fn pods_become(&self, status: Value) {
        self.lock().status = status;
    }

    /// Deleted pods stay until [`Fake::strike`].
    pub fn use_kubelet(&self) {
        self.lock().has_kubelet = true;
    }

    /// A quota of the namespace.
    pub fn allow_pods(&self, count: usize) {
        self.lock().max_pods = Some(count);
    }

    /// All objects of a kind.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        let kept = self.lock();
        let found = kept.objects.iter().filter(|((of, _), _)| of == plural);
        found.map(|(_, object)| object.clone()).collect()
    }

    /// Changes a pod's status.
    pub fn set_status(&self, name: &str, status: Value) {
        let mut kept = self.lock();
        kept.version += 1;
        let version = kept.version.to_string();
        if let Some(pod) = kept.objects.get_mut(&("pods".to_owned(), name.to_owned())) {
            pod["status"] = status;
            pod["metadata"]["resourceVersion"] = version.into();
        }
    }

    /// A pod is no more, because it has ended or because its node is lost; a claim that was to go when it does goes too.
    pub fn strike(&self, name: &str) {
        let mut kept = self.lock();
        kept.objects.remove(&("pods".to_owned(), name.to_owned()));
        let pods: Vec<Value> = kept.of("pods");
        kept.objects.retain(|(plural, name), object| {
            let is_leaving = !object["metadata"]["deletionTimestamp"].is_null();
            plural != "persistentvolumeclaims" || !is_leaving || pods.iter().any(|pod| uses(pod, name))
        });
        drop(kept);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Method and path of every call so far.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Counts changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// What comes before every answer: the log, faults, credentials.
    async fn enter(&self, call: String, headers: &HeaderMap) -> Result<(), Response> {
        let fault = {
            let mut kept = self.lock();
            kept.calls.push(call);
            kept.faults.pop_front()
        };
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Garble) => return Err("<html>gateway".into_response()),
            Some(Fault::Flood) => return Err("x".repeat(5 * 1024 * 1024).into_response()),
            Some(Fault::Refuse(code, message)) => return Err(Refusal(code, "Fault", message).into_response()),
            None => {}
        }
        let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
        if shown != Some(&format!("Bearer {CREDENTIAL}")) {
            return Err(Refusal(401, "Unauthorized", "Unauthorized".to_owned()).into_response());
        }
        Ok(())
    }
}

impl Kept {
    fn of(&self, plural: &str) -> Vec<Value> {
        let found = self.objects.iter().filter(|((of, _), _)| of == plural);
        found.map(|(_, object)| object.clone()).collect()
    }
}

fn uses(pod: &Value, claim: &str) -> bool {
    let volumes = pod["spec"]["volumes"].as_array();
    volumes.is_some_and(|all| {
        all.iter()
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == claim)
    })
}

fn answered(answer: Answer) -> Response {
    match answer {
        Ok((status, body)) => (status, [("content-type", "application/json")], body.to_string()).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

fn missing<T>(plural: &str, name: &str) -> Result<T, Refusal> {
    Refusal::new(404, "NotFound", format!("{plural} \"{name}\" not found"))
}

async fn find(
    State(fake): State<Fake>,
    Segments((namespace, plural, name)): Segments<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(answer) = fake.enter(format!("GET {plural}/{name}"), &headers).await {
        return answer;
    }
    let found = fake.lock().objects.get(&(plural.clone(), name.clone())).cloned();
    answered(match found {
        Some(object) if namespace == NAMESPACE => Ok((StatusCode::OK, object)),
        _ => missing(&plural, &name),
    })
}

async fn apply(
    State(fake): State<Fake>,
    Segments((namespace, plural, name)): Segments<(String, String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(answer) = fake.enter(format!("APPLY {plural}/{name}"), &headers).await {
        return answer;
    }
    let outcome = checked(&namespace, &plural, &name, &query, &headers, &body)
        .and_then(|object| store(&mut fake.lock(), &plural, &name, object));
    fake.changed.send_modify(|count| *count += 1);
    answered(outcome)
}

/// The object of an apply, if it is one.
fn checked(
    namespace: &str,
    plural: &str,
    name: &str,
    query: &HashMap<String, String>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, Refusal> {
    if headers
        .get("content-type")
        .is_none_or(|kind| kind != "application/apply-patch+yaml")
    {
        return Refusal::new(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format",
        );
    }
    if query.get("fieldManager").is_none_or(String::is_empty) {
        return Refusal::new(400, "BadRequest", "fieldManager is required for apply patch");
    }
    assert_eq!(
        query.get("fieldValidation").map(String::as_str),
        Some("Strict"),
        "mistakes must be told"
    );
    if namespace != NAMESPACE {
        return Refusal::new(404, "NotFound", format!("namespaces \"{namespace}\" not found"));
    }
    let object: Value = match serde_json::from_slice(body) {
        Ok(object) => object,
        Err(error) => return Refusal::new(400, "BadRequest", format!("error decoding YAML: {error}")),
    };
    let (kind, shape) = match plural {
        "pods" => ("Pod", pod_shape()),
        "secrets" => ("Secret", secret_shape()),
        "persistentvolumeclaims" => ("PersistentVolumeClaim", claim_shape()),
        _ => return Refusal::new(404, "NotFound", "the server could not find the requested resource"),
    };
    if let Err(problem) = fits(&object, &shape, "") {
        return Refusal::new(400, "BadRequest", format!("strict decoding error: {problem}"));
    }
    let metadata = &object["metadata"];
    if (&object["apiVersion"], &object["kind"]) != (&json!("v1"), &json!(kind)) {
        return Refusal::new(
            400,
            "BadRequest",
            "the API version or kind in the data does not match the expected",
        );
    }
    if metadata["name"] != name || metadata["namespace"] != namespace {
        return Refusal::new(
            400,
            "BadRequest",
            "the name or namespace of the object does not match the URL",
        );
    }
    let labels = metadata["labels"].as_object().into_iter().flatten();
    for (key, value) in labels {
        if !is_label(key.rsplit('/').next().unwrap()) || !is_label(value.as_str().unwrap()) {
            return invalid(
                kind,
                name,
                "metadata.labels: a valid label must be an alphanumeric string of at most 63",
            );
        }
    }
    let is_name = name.len() <= 253 && name.split(['.', '-']).all(is_label) && name == name.to_lowercase();
    if !is_name {
        return invalid(
            kind,
            name,
            "metadata.name: a lowercase RFC 1123 subdomain must consist of lower case",
        );
    }
    match plural {
        "pods" => check_pod(&object, name)?,
        "secrets" => check_secret(&object, name)?,
        _ => {
            let spec = &object["spec"];
            if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
                return invalid(
                    kind,
                    name,
                    "spec.accessModes: Required value: at least 1 access mode is required",
                );
            }
            if !is_quantity(&spec["resources"]["requests"]["storage"]) {
                return invalid(kind, name, "spec.resources[storage]: Required value");
            }
        }
    }
    Ok(object)
}

fn invalid<T>(kind: &str, name: &str, problem: &str) -> Result<T, Refusal> {
    Refusal::new(422, "Invalid", format!("{kind} \"{name}\" is invalid: {problem}"))
}

fn is_label(text: &str) -> bool {
    let is_end = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    text.len() <= 63
        && is_end(text.chars().next())
        && is_end(text.chars().last())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn is_quantity(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with(|first: char| first.is_ascii_digit()))
}

/// Makes an object, or changes what may be changed of it.
fn store(kept: &mut Kept, plural: &str, name: &str, object: Value) -> Answer {
    let key = (plural.to_owned(), name.to_owned());
    kept.version += 1;
    let version = kept.version.to_string();
    let Some(current) = kept.objects.get_mut(&key) else {
        let pods = kept.of("pods").len();
        if plural == "pods" && kept.max_pods.is_some_and(|max| pods >= max) {
            let used = format!("requested: pods=1, used: pods={pods}, limited: pods={pods}");
            let message = format!("pods \"{name}\" is forbidden: exceeded quota: team, {used}");
            return Refusal::new(403, "Forbidden", message);
        }
        let mut made = object;
        made["metadata"]["uid"] = format!("uid-{version}").into();
        made["metadata"]["resourceVersion"] = version.into();
        made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        made["status"] = match plural {
            "pods" => kept.status.clone(),
            "secrets" => Value::Null,
            _ => json!({ "phase": "Bound" }),
        };
        kept.objects.insert(key, made.clone());
        return Ok((StatusCode::CREATED, made));
    };
    let asked_version = &object["metadata"]["resourceVersion"];
    if !asked_version.is_null() && *asked_version != current["metadata"]["resourceVersion"] {
        return Refusal::new(
            409,
            "Conflict",
            "the object has been modified; please apply your changes to the latest version",
        );
    }
    match plural {
        "pods" if object["spec"] != current["spec"] => {
            let problem = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`";
            return invalid("Pod", name, problem);
        }
        "secrets" if current["immutable"] == true && object["data"] != current["data"] => {
            let problem = "data: Forbidden: field is immutable when `immutable` is set";
            return invalid("Secret", name, problem);
        }
        "persistentvolumeclaims" if object["spec"] != current["spec"] => {
            let problem = "spec: Forbidden: spec is immutable after creation except resources.requests";
            return invalid("PersistentVolumeClaim", name, problem);
        }
        _ => {}
    }
    for field in ["labels", "annotations"] {
        if let Some(fields) = object["metadata"][field].as_object() {
            for (name, value) in fields {
                current["metadata"][field][name] = value.clone();
            }
        }
    }
    current["metadata"]["resourceVersion"] = version.into();
    Ok((StatusCode::OK, current.clone()))
}

async fn remove(
    State(fake): State<Fake>,
    Segments((_, plural, name)): Segments<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(answer) = fake.enter(format!("DELETE {plural}/{name}"), &headers).await {
        return answer;
    }
    let options: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let shape = json!({ "gracePeriodSeconds": "i", "kind": "s", "apiVersion": "s" });
    assert_eq!(fits(&options, &shape, ""), Ok(()), "{options}");
    let answer = {
        let mut kept = fake.lock();
        let is_used = plural == "persistentvolumeclaims" && kept.of("pods").iter().any(|pod| uses(pod, &name));
        let is_graceful = plural == "pods" && kept.has_kubelet && options["gracePeriodSeconds"] != 0;
        let key = (plural.clone(), name.clone());
        match kept.objects.get_mut(&key) {
            None => missing(&plural, &name),
            Some(object) if is_used || is_graceful => {
                object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z".into();
                object["metadata"]["deletionGracePeriodSeconds"] = options["gracePeriodSeconds"].clone();
                Ok((StatusCode::OK, object.clone()))
            }
            Some(_) => {
                kept.objects.remove(&key);
                Ok((StatusCode::OK, json!({ "kind": "Status", "status": "Success" })))
            }
        }
    };
    fake.changed.send_modify(|count| *count += 1);
    answered(answer)
}

async fn remove_all(
    State(fake): State<Fake>,
    Segments((_, plural)): Segments<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if let Err(answer) = fake.enter(format!("DELETE {plural}"), &headers).await {
        return answer;
    }
    // A real one would delete everything.
    let selector = query.get("labelSelector").expect("which ones must be said");
    let (label, wanted) = selector.split_once('=').expect("a label and its value");
    fake.lock()
        .objects
        .retain(|(of, _), object| *of != plural || object["metadata"]["labels"][label] != wanted);
    answered(Ok((StatusCode::OK, json!({ "kind": "List", "items": [] }))))
}

/// Pods: what is required, what belongs together, and the "restricted" level of pod security.
fn check_pod(pod: &Value, name: &str) -> Result<(), Refusal> {
    let spec = &pod["spec"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let volumes = list(&spec["volumes"]);
    let mut containers = list(&spec["containers"]);
    if containers.is_empty() {
        return invalid("Pod", name, "spec.containers: Required value");
    }
    containers.extend(list(&spec["initContainers"]));
    let context = &spec["securityContext"];
    let mut is_restricted = context["runAsNonRoot"] == true
        && context["seccompProfile"]["type"] == "RuntimeDefault"
        && context["runAsUser"] != 0;
    for container in &containers {
        if container["image"].as_str().is_none_or(str::is_empty) {
            return invalid("Pod", name, "spec.containers[0].image: Required value");
        }
        for mount in list(&container["volumeMounts"]) {
            if !volumes.iter().any(|volume| volume["name"] == mount["name"]) {
                return invalid("Pod", name, "spec.containers[0].volumeMounts[0].name: Not found");
            }
        }
        for amounts in ["requests", "limits"] {
            let amounts = container["resources"][amounts].as_object().cloned().unwrap_or_default();
            if !amounts.values().all(is_quantity) {
                return Refusal::new(400, "BadRequest", "quantities must match the regular expression");
            }
        }
        let own = &container["securityContext"];
        is_restricted &= own["allowPrivilegeEscalation"] == false
            && own["privileged"] != true
            && own["capabilities"]["drop"] == json!(["ALL"])
            && own["capabilities"]["add"].is_null();
    }
    if !is_restricted {
        let message = format!("pods \"{name}\" is forbidden: violates PodSecurity \"restricted:latest\"");
        return Refusal::new(403, "Forbidden", message);
    }
    Ok(())
}

fn check_secret(secret: &Value, name: &str) -> Result<(), Refusal> {
    for (key, value) in secret["data"].as_object().into_iter().flatten() {
        let decoded = STANDARD.decode(value.as_str().unwrap_or("!"));
        if decoded.is_err() {
            return invalid("Secret", name, &format!("data.{key}: illegal base64 data"));
        }
    }
    Ok(())
}
