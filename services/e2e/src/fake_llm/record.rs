//! What a test can see of the requests the fake got: each request, its outcome, and each conversation's bill.
//!
//! How they are kept is [`super::log`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still being answered.
    InProgress,
    /// Answered to the last byte of the script.
    Completed,
    /// Refused by validation; the answer says why.
    Rejected,
    /// The client went away before the end.
    Disconnected,
    /// The script cut the connection.
    Cut,
}

/// One request as the fake saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Counts all requests below `/v1` from 1.
    pub number: u64,
    /// Milliseconds from the start of the fake until the request's body was complete.
    pub received_ms: u64,
    pub method: String,
    pub path: String,
    /// In lower case; credentials are replaced by `[redacted]`.
    pub headers: BTreeMap<String, String>,
    /// `null` when it was not JSON.
    pub body: Value,
    /// The last three characters of the key, enough to tell which key of a pool was used.
    pub key_hint: String,
    /// The name of the script that answered; empty for a script without a name and for the default answer.
    pub script: String,
    /// `prompt_cache_key`, else `user`, else the text of the first user message.
    pub conversation: String,
    /// The status answered; 0 while the answer has not begun.
    pub status: u16,
    /// Why validation refused it.
    pub rejection: Option<String>,
    pub outcome: Outcome,
    /// Completion tokens handed to the socket, which is what the vendor bills.
    pub tokens_sent: u64,
    /// Bytes of the response body handed to the socket.
    pub bytes_sent: u64,
}

impl RecordedRequest {
    /// The messages of the request; empty when there are none.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The roles of the messages, in order.
    pub fn roles(&self) -> Vec<&str> {
        self.messages()
            .iter()
            .filter_map(|message| message["role"].as_str())
            .collect()
    }

    /// Call ids and contents of the tool messages, in order.
    pub fn tool_results(&self) -> Vec<(&str, String)> {
        self.messages()
            .iter()
            .filter(|message| message["role"] == "tool")
            .map(|message| {
                let id = message["tool_call_id"].as_str().unwrap_or_default();
                (id, super::validate::text_of(&message["content"]))
            })
            .collect()
    }

    /// Names of the tools offered, in order.
    pub fn tool_names(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools
            .iter()
            .filter_map(|tool| tool["function"]["name"].as_str())
            .collect()
    }
}

/// What one conversation cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Accepted requests.
    pub requests: u64,
    pub completed: u64,
    pub disconnected: u64,
    pub rejected: u64,
    /// Counted from the accepted requests.
    pub prompt_tokens: u64,
    /// Handed to the socket.
    pub completion_tokens: u64,
}
