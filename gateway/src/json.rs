//! JSON in and out. Bodies are read as clients of this API have always been: the first value counts, unknown members are
//! ignored, and a body over the route's cap is a body that cannot be decoded (400). Answers are compact, end with a
//! newline, and write `<`, `>` and `&` as escapes, so that no answer is ever HTML.

use std::io;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::ser::Formatter;
use tandem_chassis::status::Fault;

use crate::{idempotency, problem::Problem, service::App};

/// Of every JSON answer.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";

/// Largest body of most routes, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Largest body that sends or edits a message, in bytes: 1 MiB of text, however it is escaped.
pub const MAX_MESSAGE_BODY_BYTES: usize = 6 * 1024 * 1024;

/// A decoded request body of at most `MAX` bytes.
pub struct Body<T, const MAX: usize = MAX_BODY_BYTES>(pub T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<App> for Body<T, MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        match read(request, MAX, app).await? {
            Some(bytes) => decode(&bytes).map(Self),
            None => Err(Problem::invalid("BODY_TOO_LARGE", "The request body is too large.")
                .detail(format!("At most {MAX} bytes are accepted here."))),
        }
    }
}

/// The whole body, or `None` when it is longer than `max` bytes.
///
/// # Errors
/// 400 for a body that broke off, 504 for one that takes too long.
pub async fn read(request: Request, max: usize, app: &App) -> Result<Option<Bytes>, Problem> {
    let whole = Limited::new(request.into_body(), max).collect();
    match tokio::time::timeout(app.config.limits.body_timeout, whole).await {
        Ok(Ok(body)) => {
            let body = body.to_bytes();
            idempotency::saw_body(&body);
            Ok(Some(body))
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Ok(None),
        Ok(Err(_)) => Err(Problem::invalid("BODY_CUT", "The request body broke off.")),
        Err(_) => Err(Fault::deadline("BODY_SLOW", "the request body did not arrive in time").into()),
    }
}

/// The first JSON value of `bytes`.
///
/// # Errors
/// 400 that names the place.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::invalid("BODY_NOT_UTF8", "The request body is not valid UTF-8.")
            .detail(format!("Byte {} is not part of a character.", error.valid_up_to()))
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let problem = Problem::invalid("BODY_NOT_DECODED", "The request body could not be decoded.");
        let said = without_values(&error.inner().to_string());
        match path.as_str() {
            "." | "?" => problem.detail(said),
            _ => problem.detail(format!("{path}: {said}")),
        }
    })
}

/// A complaint without the text it is about, which may be a key in the wrong place: answers end up in logs and reports.
fn without_values(said: &str) -> String {
    for (opening, closing) in [("string \"", "\", expected "), ("variant `", "`, expected ")] {
        if let (Some(start), Some(end)) = (said.find(opening), said.rfind(closing))
            && start + opening.len() <= end
        {
            return format!("{}…{}", &said[..start + opening.len()], &said[end..]);
        }
    }
    said.to_owned()
}

/// A JSON answer with its status.
pub struct Reply<T>(pub StatusCode, pub T);

impl<T: Serialize> Reply<T> {
    /// 200.
    pub fn ok(value: T) -> Self {
        Self(StatusCode::OK, value)
    }

    /// 201.
    pub fn created(value: T) -> Self {
        Self(StatusCode::CREATED, value)
    }
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        let content_type = HeaderValue::from_static(CONTENT_TYPE);
        (self.0, [(header::CONTENT_TYPE, content_type)], to_vec(&self.1)).into_response()
    }
}

/// `value` as the API writes JSON, newline included.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    write(&mut bytes, value);
    bytes.push(b'\n');
    bytes
}

/// Appends `value` as the API writes JSON, without newline.
pub fn write<T: Serialize>(bytes: &mut Vec<u8>, value: &T) {
    let start = bytes.len();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *bytes, HtmlSafe);
    if let Err(error) = value.serialize(&mut serializer) {
        // The shapes of this crate cannot fail: their keys are text and writing to memory works.
        tracing::error!(%error, "could not encode an answer");
        bytes.truncate(start);
        bytes.extend_from_slice(b"null");
    }
}

/// Compact JSON in which `<`, `>`, `&` and the two line separators of JavaScript are escaped.
struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        escape(writer, fragment)
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // In valid JSON these characters stand within strings only, where the escape means the same.
        escape(writer, fragment)
    }
}

fn escape<W: ?Sized + io::Write>(writer: &mut W, fragment: &str) -> io::Result<()> {
    let mut rest = fragment;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let (before, from) = rest.split_at(at);
        writer.write_all(before.as_bytes())?;
        let mut letters = from.chars();
        if let Some(letter) = letters.next() {
            write!(writer, "\\u{:04x}", u32::from(letter))?;
        }
        rest = letters.as_str();
    }
    writer.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{json, value::RawValue};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Message {
        content: Vec<Piece>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Piece {
        text: String,
    }

    #[test]
    fn only_the_first_value_counts_and_unknown_members_are_ignored() {
        let body = br#" {"content":[{"text":"hi","extra":{"a":1}}],"other":null} trailing {"#;
        let decoded: Message = decode(body).unwrap();
        assert_eq!(decoded.content[0].text, "hi");
    }

    #[test]
    fn every_undecodable_body_is_a_400_that_names_the_place() {
        let deep = "[".repeat(10_000);
        let table: [(&[u8], &str); 7] = [
            (b"", "EOF"),
            (b"{\"content\": ", "EOF"),
            (b"[]", "invalid length"),
            (b"{\"content\":[{\"text\":7}]}", "content[0].text"),
            (b"{\"content\":[{\"text\":\"\\ud800\"}]}", "content[0].text"),
            (b"{\"content\":[{\"text\":\"\xff\"}]}", "Byte 21"),
            (deep.as_bytes(), "content"),
        ];
        for (body, expected) in table {
            let problem = decode::<Message>(body).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            if !deep.as_bytes().eq(body) {
                let shown = format!("{problem:?}");
                assert!(shown.contains(expected), "{shown}");
            }
        }
    }

    #[test]
    fn texts_in_the_wrong_place_are_not_repeated() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Colour {
            Red,
        }
        for body in [
            r#"{"content":"sk-canary"}"#,
            r#"{"content":[{"text":["sk-canary"]}, "sk-canary\", expected "]}"#,
            r#"{"content":["sk-canary\"quoted\""]}"#,
            r#""sk-canary""#,
        ] {
            let shown = format!("{:?}", decode::<Message>(body.as_bytes()).unwrap_err());
            assert!(shown.contains("invalid type: ") && !shown.contains("canary"), "{shown}");
        }
        let shown = format!("{:?}", decode::<Colour>(br#""sk-canary""#).unwrap_err());
        assert!(
            shown.contains("unknown variant") && !shown.contains("canary"),
            "{shown}"
        );
        assert!(matches!(decode(br#""red""#), Ok(Colour::Red)));
    }

    #[test]
    fn answers_are_never_html() {
        let raw: Box<RawValue> = RawValue::from_string(r#"{"a":"<b>"}"#.to_owned()).unwrap();
        assert_eq!(to_vec(&raw), b"{\"a\":\"\\u003cb\\u003e\"}\n");
        let value = json!({"text": "a<b>&\"c\" \u{2028} é"});
        assert_eq!(
            String::from_utf8(to_vec(&value)).unwrap(),
            "{\"text\":\"a\\u003cb\\u003e\\u0026\\\"c\\\" \\u2028 é\"}\n"
        );
    }
}
