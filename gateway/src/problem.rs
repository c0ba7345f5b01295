//! The house's door for errors: every failure as HTTP. A [`Problem`] is what went wrong; which of the two shapes the
//! client reads (`{message, detail, validations}`, or RFC 9457 when it asks for `application/problem+json`) is decided
//! once, in [`render`], where the request is known.

use std::{str::FromStr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tandem_chassis::status::{Code, Fault};
use utoipa::ToSchema;

use crate::json;

/// What everybody reads who asks for a thing that is not there, or not theirs.
const NOT_FOUND_MESSAGE: &str = "Not found, or not yours to see.";

/// Why somebody is refused who has spent what they may.
const USAGE_LIMIT: &str = "USAGE_LIMIT_EXCEEDED";

/// When to come back to a service that could not be asked when.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A failed request.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    fault: Fault,
    detail: Option<String>,
}

/// The plain shape of an error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct Plain {
    /// One sentence for people.
    pub message: String,
    /// What exactly, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Fields that cannot be accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<Validation>,
    /// With a reached spend limit, as the next two: what was spent, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_micros: Option<i64>,
    /// When the spend begins anew; RFC 3339. No other conflict has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
}

/// One field that cannot be accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Validation {
    /// Path of the field, for example `content[2].text`.
    pub field: String,
    /// What it must be.
    pub detail: String,
}

/// The shape of RFC 9457, given to clients that accept `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Detailed {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: String,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request's id.
    pub instance: String,
    /// Stable word for programs, for example `CHAT_NOT_FOUND`.
    pub code: String,
    /// When a retry can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub validations: Vec<Validation>,
    /// With a reached spend limit, as the next two: what was spent, in millionths of a US dollar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_micros: Option<i64>,
    /// When the spend begins anew; RFC 3339. No other conflict has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
}

impl Problem {
    /// A refusal of the gateway's own, 400.
    pub fn invalid(reason: &'static str, message: impl Into<String>) -> Self {
        Fault::invalid(reason, message).into()
    }

    /// A field that cannot be accepted, 400.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Fault::invalid("INVALID_FIELD", "The request is not valid.")
            .violation(field, problem)
            .into()
    }

    /// There is no such thing, 404.
    pub fn not_found() -> Self {
        Fault::not_found("NOT_FOUND", NOT_FOUND_MESSAGE).into()
    }

    /// Adds what exactly is wrong, for the client.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same problem under another HTTP status.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The HTTP status.
    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.fault.code
    }

    /// The word for programs.
    pub fn reason(&self) -> &str {
        &self.fault.reason
    }

    /// For commands whose only state that refuses them is one the client can read: 400 instead of 409. A reached spend limit is none.
    pub fn state_is_invalid(self) -> Self {
        match self.fault.code {
            Code::WrongState if self.reason() == USAGE_LIMIT => self,
            Code::WrongState => self.with_status(StatusCode::BAD_REQUEST),
            _ => self,
        }
    }

    /// For commands that name other things in their body: those missing is a bad body (400), `subject` missing is 404.
    pub fn references_are_invalid(self, subjects: &[&str]) -> Self {
        let is_reference = self.fault.code == Code::NotFound && !subjects.contains(&self.reason());
        if is_reference {
            self.with_status(StatusCode::BAD_REQUEST)
        } else {
            self
        }
    }

    /// For requests some of whose fields the contract calls otherwise: pairs of its name and the client's.
    pub fn fields_are(mut self, names: &[(&str, &str)]) -> Self {
        for violation in &mut self.fault.violations {
            let (path, last) = violation.field.rsplit_once('.').unwrap_or(("", &violation.field));
            let Some((_, shown)) = names.iter().find(|(name, _)| *name == last) else {
                continue;
            };
            let shown = match path {
                "" => (*shown).to_owned(),
                path => format!("{path}.{shown}"),
            };
            self.fault.message = self.fault.message.replacen(&violation.field, &shown, 1);
            violation.field = shown;
        }
        self
    }

    fn message(&self) -> String {
        match self.status {
            StatusCode::NOT_FOUND => NOT_FOUND_MESSAGE.to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => "Something went wrong inside Tandem.".to_owned(),
            _ => sentence(&self.fault.message),
        }
    }

    fn details(&self, request_id: &str) -> Option<String> {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            return Some(format!("The log has more under request {request_id}."));
        }
        if let Some(detail) = &self.detail {
            return Some(detail.clone());
        }
        let lines: Vec<String> = self
            .fault
            .violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    fn validations(&self) -> Vec<Validation> {
        self.fault
            .violations
            .iter()
            .map(|violation| Validation {
                field: violation.field.clone(),
                detail: violation.description.clone(),
            })
            .collect()
    }

    /// A fact that is told with a reached spend limit.
    fn spend_fact<T: FromStr>(&self, name: &str) -> Option<T> {
        let fact = self.fault.metadata.get(name).filter(|_| self.reason() == USAGE_LIMIT);
        fact?.parse().ok()
    }

    fn retry_after_ms(&self) -> Option<u64> {
        self.fault
            .retry_after
            .map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<Fault> for Problem {
    /// Logs the private detail, then drops it.
    fn from(mut fault: Fault) -> Self {
        fault.log();
        if fault.code == Code::Unavailable {
            fault.retry_after.get_or_insert(RETRY_AFTER);
        }
        Self {
            status: status_of(&fault),
            fault,
            detail: None,
        }
    }
}

/// The status of the code, but for the few reasons whose status clients have always been given.
fn status_of(fault: &Fault) -> StatusCode {
    match (fault.code, &*fault.reason) {
        (Code::WrongState, "CHAT_ARCHIVED") => StatusCode::BAD_REQUEST,
        (Code::WrongState, "PROVIDER_UNAVAILABLE") => StatusCode::PRECONDITION_FAILED,
        (Code::Invalid, "IDEMPOTENCY_KEY_REUSED") => StatusCode::UNPROCESSABLE_ENTITY,
        (code, _) => StatusCode::from_u16(code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// `chat is archived` as `Chat is archived.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut sentence: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    if !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

impl IntoResponse for Problem {
    /// The status without a body; [`render`] writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Writes the body of a problem, in the shape the client accepts. Other responses pass unchanged.
pub fn render(mut response: Response, accept: &HeaderMap, request_id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Arc<Problem>>() else {
        return response;
    };
    let (content_type, body) = if accepts_problem_json(accept) {
        let detailed = Detailed {
            kind: "about:blank",
            title: problem.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: problem.status.as_u16(),
            detail: Some(match problem.details(request_id) {
                Some(detail) => format!("{} {detail}", problem.message()),
                None => problem.message(),
            }),
            instance: request_id.to_owned(),
            code: problem.reason().to_owned(),
            retry_after_ms: problem.retry_after_ms(),
            validations: problem.validations(),
            spent_micros: problem.spend_fact("spent_micros"),
            limit_micros: problem.spend_fact("limit_micros"),
            resets_at: problem.spend_fact("resets_at"),
        };
        ("application/problem+json", json::to_vec(&detailed))
    } else {
        let plain = Plain {
            message: problem.message(),
            detail: problem.details(request_id),
            validations: problem.validations(),
            spent_micros: problem.spend_fact("spent_micros"),
            limit_micros: problem.spend_fact("limit_micros"),
            resets_at: problem.spend_fact("resets_at"),
        };
        (json::CONTENT_TYPE, json::to_vec(&plain))
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.remove(header::CONTENT_LENGTH);
    if let Some(pause) = problem.fault.retry_after {
        // Whole seconds, rounded up: an early retry would be refused again.
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    *response.body_mut() = Body::from(body);
    response
}

fn accepts_problem_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let media_type = range.split(';').next().unwrap_or_default();
            media_type.trim().eq_ignore_ascii_case("application/problem+json")
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn rendered(problem: Problem, accept: Option<&str>) -> (u16, String, String) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let response = render(problem.into_response(), &headers, "r1");
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn plain_shape_names_every_bad_field() {
        let problem = Problem::field("content[1].text", "must not be empty");
        let (status, content_type, body) = rendered(problem, None).await;
        assert_eq!(
            (status, content_type.as_str()),
            (400, "application/json; charset=utf-8")
        );
        assert_eq!(
            body,
            concat!(
                r#"{"message":"The request is not valid.","detail":"content[1].text: must not be empty","#,
                r#""validations":[{"field":"content[1].text","detail":"must not be empty"}]}"#,
                "\n"
            )
        );
    }

    #[tokio::test]
    async fn fields_are_called_as_the_client_calls_them() {
        let fault = Fault::invalid("INVALID_REQUEST", "spec.parameters[0].default_value must be a number")
            .violation("spec.parameters[0].default_value", "must be a number")
            .violation("icon_url", "is too long")
            .violation("readme", "is too long");
        let problem = Problem::from(fault).fields_are(&[("icon_url", "icon"), ("default_value", "default")]);
        let fields: Vec<String> = problem.validations().into_iter().map(|each| each.field).collect();
        assert_eq!(fields, ["spec.parameters[0].default", "icon", "readme"]);
        let (_, _, body) = rendered(problem, None).await;
        assert!(body.contains("Spec.parameters[0].default must be a number."), "{body}");
    }

    #[tokio::test]
    async fn problem_documents_come_when_asked_for() {
        let fault = Fault::rate_limited("QUEUE_FULL", "the queue is full").retry_after(Duration::from_millis(1500));
        let (status, content_type, body) =
            rendered(fault.into(), Some("text/html, Application/Problem+JSON;q=0.9")).await;
        assert_eq!((status, content_type.as_str()), (429, "application/problem+json"));
        assert_eq!(
            body,
            concat!(
                r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"The queue is full.","#,
                r#""instance":"r1","code":"QUEUE_FULL","retry_after_ms":1500}"#,
                "\n"
            )
        );
    }

    #[test]
    fn who_cannot_be_served_now_is_told_when_to_come_back() {
        let seconds = |fault: Fault| {
            let response = render(Problem::from(fault).into_response(), &HeaderMap::new(), "r1");
            let header = response.headers().get(header::RETRY_AFTER).cloned();
            header.map(|header| header.to_str().unwrap().to_owned())
        };
        let gone = || Fault::unavailable("UNREACHABLE", "nobody there");
        assert_eq!(seconds(gone()).as_deref(), Some("1"));
        assert_eq!(
            seconds(gone().retry_after(Duration::from_secs(7))).as_deref(),
            Some("7")
        );
        assert_eq!(seconds(Fault::not_found("CHAT_NOT_FOUND", "no chat")), None);
    }

    #[tokio::test]
    async fn what_is_hidden_and_what_is_missing_read_alike() {
        let hidden = Fault::not_found("CHAT_NOT_FOUND", "chat 7 belongs to somebody else");
        let (_, _, first) = rendered(hidden.into(), None).await;
        let (_, _, second) = rendered(Problem::not_found(), None).await;
        assert_eq!(first, second);
    }

    #[tokio::test]
    async fn internal_errors_say_only_the_request() {
        let fault = Fault::internal("SQL", "password is hunter2");
        let (status, _, body) = rendered(fault.into(), None).await;
        assert_eq!(status, 500);
        assert!(body.contains("request r1") && !body.contains("hunter2"), "{body}");
    }

    #[tokio::test]
    async fn a_reached_spend_limit_is_a_conflict_with_its_numbers() {
        let fault = || {
            Fault::wrong_state("USAGE_LIMIT_EXCEEDED", "spent")
                .with("spent_micros", 12)
                .with("limit_micros", 10)
                .with("resets_at", "2026-03-02T00:00:00Z")
        };
        let (status, _, body) = rendered(Problem::from(fault()).state_is_invalid(), None).await;
        assert_eq!(status, 409);
        assert_eq!(
            body,
            concat!(
                r#"{"message":"Spent.","spent_micros":12,"limit_micros":10,"resets_at":"2026-03-02T00:00:00Z"}"#,
                "\n"
            )
        );
        let (_, _, body) = rendered(fault().into(), Some("application/problem+json")).await;
        assert!(body.contains(r#""limit_micros":10"#), "{body}");
    }

    #[test]
    fn reasons_with_a_status_of_their_own_have_it() {
        let status = |fault: Fault| Problem::from(fault).status().as_u16();
        assert_eq!(status(Fault::wrong_state("CHAT_ARCHIVED", "archived")), 400);
        assert_eq!(status(Fault::wrong_state("PROVIDER_UNAVAILABLE", "disabled")), 412);
        assert_eq!(status(Fault::invalid("IDEMPOTENCY_KEY_REUSED", "reused")), 422);
        assert_eq!(status(Fault::wrong_state("NOT_WAITING_FOR_TOOLS", "running")), 409);
        let missing = Problem::from(Fault::not_found("MODEL_CONFIG_NOT_FOUND", "no model"));
        assert_eq!(missing.references_are_invalid(&["CHAT_NOT_FOUND"]).status(), 400);
        let chat = Problem::from(Fault::not_found("CHAT_NOT_FOUND", "no chat"));
        assert_eq!(chat.references_are_invalid(&["CHAT_NOT_FOUND"]).status(), 404);
    }
}
