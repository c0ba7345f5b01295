//! What the fake answers: scripts, the requests they apply to, and ready-made shapes of them.
//!
//! A script knows nothing of HTTP; one reply's content and faults are in [`super::reply`].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reply::Reply;

/// A queue of replies for the requests it matches, consumed front to back, one reply per accepted request.
///
/// A script whose replies are used up is dropped; later requests go to the next matching script, in the order
/// the scripts were added, and finally to the default echo. A request that fails validation consumes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Shown in the record of each request the script answered; free text.
    pub name: String,
    /// Which requests the script answers. All given conditions must hold; none given matches every request.
    pub matcher: Matcher,
    /// The replies left, front first.
    pub replies: VecDeque<Reply>,
    /// Put each used reply back at the end, so that the script never runs out.
    pub repeat: bool,
}

/// The conditions under which a [`Script`] answers a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matcher {
    /// The text of the last `user` message contains this. It stays true for every step of a turn.
    pub last_user_contains: Option<String>,
    /// The text of any message contains this.
    pub any_message_contains: Option<String>,
    /// The request names exactly this model.
    pub model: Option<String>,
    /// The request has this header (name in lower case) with exactly this value.
    pub header: Option<(String, String)>,
}

impl Script {
    /// A script that answers its first request with `reply` and has no more.
    pub fn reply(reply: Reply) -> Self {
        Self::turn([reply])
    }

    /// A script of several steps: the first reply for the first request, and so on.
    pub fn turn(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            replies: replies.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The plainest script: one streamed answer.
    pub fn text(text: impl Into<String>) -> Self {
        Self::reply(Reply::text(text))
    }

    /// The same reply for every matching request, for ever.
    pub fn always(reply: Reply) -> Self {
        Self {
            repeat: true,
            ..Self::reply(reply)
        }
    }

    /// `steps` steps that each call `execute` with `echo step <k>`, then the text `Done after <steps> steps.`
    pub fn loop_tools(steps: usize) -> Self {
        let calls = (1..=steps).map(|step| Reply::call("execute", json!({ "command": format!("echo step {step}") })));
        let end = Reply::text(format!("Done after {steps} steps."));
        Self::turn(calls.chain([end]))
    }

    /// Names the script in the request log.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Only requests whose last user message contains `text`.
    pub fn when_user_says(mut self, text: impl Into<String>) -> Self {
        self.matcher.last_user_contains = Some(text.into());
        self
    }

    /// Only requests in which any message contains `text`.
    pub fn when_any_message_says(mut self, text: impl Into<String>) -> Self {
        self.matcher.any_message_contains = Some(text.into());
        self
    }

    /// Only requests for exactly this model.
    pub fn when_model(mut self, model: impl Into<String>) -> Self {
        self.matcher.model = Some(model.into());
        self
    }

    /// Only requests carrying this header with exactly this value; the name is compared without case.
    pub fn when_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.matcher.header = Some((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Takes the reply for the next request, if there is one left.
    pub(super) fn take(&mut self) -> Option<Reply> {
        let reply = self.replies.pop_front()?;
        if self.repeat {
            self.replies.push_back(reply.clone());
        }
        Some(reply)
    }
}

/// The facts of a request that matchers look at.
pub(super) struct Facts<'a> {
    pub model: &'a str,
    pub last_user: &'a str,
    pub texts: &'a [String],
    pub headers: &'a http::HeaderMap,
}

impl Matcher {
    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        let model = self.model.as_ref().is_none_or(|m| m == facts.model);
        let last_user = self
            .last_user_contains
            .as_ref()
            .is_none_or(|text| facts.last_user.contains(text.as_str()));
        let any = self
            .any_message_contains
            .as_ref()
            .is_none_or(|text| facts.texts.iter().any(|t| t.contains(text.as_str())));
        let header = self.header.as_ref().is_none_or(|(name, value)| {
            facts
                .headers
                .get(name.as_str())
                .is_some_and(|found| found.as_bytes() == value.as_bytes())
        });
        model && last_user && any && header
    }
}
