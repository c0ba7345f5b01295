//! A vendor's list of models: read within bounds and reduced to names.

use futures::StreamExt;
use serde_json::Value;

/// Longest list read.
const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Names given back at most.
const MAX_MODELS: usize = 500;

/// Longest name believed, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Why an answer was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
    /// It is longer than [`MAX_BODY_BYTES`].
    #[error("the answer is longer than {MAX_BODY_BYTES} bytes")]
    TooLong,
}

/// The whole body.
pub(super) async fn read(response: reqwest::Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        if body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The names in `{"data": [{"id": …}]}`, sorted; `None` if it is no such list.
pub(super) fn parse(body: &[u8]) -> Option<Vec<String>> {
    let list: Value = serde_json::from_slice(body).ok()?;
    let entries = list.get("data")?.as_array()?;
    let mut names: Vec<String> = entries
        .iter()
        .filter_map(|entry| entry.get("id")?.as_str())
        .filter(|name| !name.is_empty() && name.len() <= MAX_NAME_BYTES)
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names.truncate(MAX_MODELS);
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_bounded() {
        let body = br#"{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"b"},{"id":""},{"x":1}]}"#;
        assert_eq!(parse(body).unwrap(), ["a", "b"]);
        let many: Vec<Value> = (0..600).map(|number| serde_json::json!({"id": format!("m{number:03}")})).collect();
        let body = serde_json::json!({ "data": many }).to_string();
        assert_eq!(parse(body.as_bytes()).unwrap().len(), MAX_MODELS);
    }

    #[test]
    fn anything_else_is_no_list() {
        for body in ["", "<html>", "[]", "{}", r#"{"data":{}}"#] {
            assert_eq!(parse(body.as_bytes()), None, "{body}");
        }
    }
}
