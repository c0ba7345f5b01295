//! Tools of MCP servers for programs that come over the bridge: put into their requests, run for them, and hidden from them.
//!
//! Owns what tool-runner offers a user, for a few seconds, and how it is asked to run one of them. [`request`] puts tools and results
//! into a body, [`answer`] takes the model's calls out of an answer, [`relayed`] and [`neutral`] ask the model again until it has
//! answered. A tool-runner that is away takes nothing from an exchange but the tools.

pub(super) mod answer;
pub(super) mod budget;
mod frames;
pub(super) mod neutral;
pub(super) mod relayed;
pub(super) mod request;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use serde_json::{Map, Value};
use tandem_chassis::{
    client::Outbound,
    identity::User,
    status::{Code, Fault},
    with_message_limits,
};
use tandem_chat_core::id::UserId;
use tandem_proto::tool::v1::{
    BridgeTool, CallBridgeToolRequest, ListBridgeToolsRequest, mcp_bridge_service_client::McpBridgeServiceClient,
};
use tonic::transport::Channel;

use super::{metrics::Metrics, sniff::Heard};

/// Time for tool-runner to say what there is: what it gives a server, and a little.
const LIST_DEADLINE: Duration = Duration::from_secs(12);

/// Time for a tool to run: what tool-runner gives it, and a little.
const CALL_DEADLINE: Duration = Duration::from_secs(75);

/// How long an answer to what there is counts.
const REMEMBERED: Duration = Duration::from_secs(10);

/// How long tool-runner is not asked again that could not be.
const AWAY: Duration = Duration::from_secs(15);

/// What the tools of all remembered users may take, in bytes.
const MAX_REMEMBERED_BYTES: u64 = 64 * 1024 * 1024;

/// Tools in one request, the program's own included: more no vendor takes.
const MAX_TOOLS: usize = 128;

/// Longest arguments handed on, in bytes.
const MAX_ARGUMENTS_BYTES: usize = 1024 * 1024;

/// Longest error that is recorded, in bytes.
const MAX_ERROR_BYTES: usize = 512;

/// What is recorded of a call that nothing came of.
const NO_RESULT: &str =
    "not run to its end: the program left, its own tools were called too, or no more calls were allowed";

/// In the names of models that programs ask for small things, such as titles, for which nobody needs tools.
const SMALL: &str = "haiku";

/// With these a vendor may mean the tools: asked without them, it may answer.
const MEANS_TOOLS: [u16; 4] = [400, 404, 413, 422];

/// Whether a vendor that refuses a request with that status is asked again without tools.
pub(super) fn may_mean_tools(status: u16) -> bool {
    MEANS_TOOLS.contains(&status)
}

/// Knows tool-runner.
pub(super) struct Injector {
    outbound: Outbound,
    tools: McpBridgeServiceClient<Channel>,
    known: Cache<UserId, Arc<[Tool]>>,
    /// Has an entry while tool-runner is left alone.
    away: Cache<(), ()>,
    metrics: Metrics,
}

/// A tool as it is put into requests.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tool {
    /// 1 to 64 characters of `[a-zA-Z0-9_-]`.
    name: String,
    description: String,
    /// A JSON Schema object.
    schema: Map<String, Value>,
    /// For the record, without secrets.
    server_url: String,
    /// For metrics: as an administrator named it.
    server_name: String,
}

/// What one request is given.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    user: User,
    /// By name, which none of the program's own tools has.
    tools: Arc<[Tool]>,
}

/// A call of the model to one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// The vendor's.
    pub(super) id: String,
    /// The tool.
    pub(super) name: String,
    /// JSON text.
    pub(super) arguments: String,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// For the model.
    pub(super) text: String,
    /// The text says what went wrong.
    pub(super) is_error: bool,
    /// For the record: why it could not be run; empty if it was.
    pub(super) not_run: String,
}

impl Outcome {
    /// It could not be run.
    pub(super) fn not_run(why: &str) -> Self {
        Self {
            text: why.to_owned(),
            is_error: true,
            not_run: super::sniff::cut(why, MAX_ERROR_BYTES).to_owned(),
        }
    }
}

/// A call with what came of it.
pub(super) type Done = (Call, Outcome);

impl Injector {
    /// Asks the tool-runner behind `channel`.
    pub(super) fn new(outbound: Outbound, channel: Channel, metrics: Metrics) -> Self {
        let weigh = |_: &UserId, tools: &Arc<[Tool]>| {
            let bytes: usize = tools.iter().map(Tool::size_bytes).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            outbound,
            tools: with_message_limits!(McpBridgeServiceClient::new(channel)),
            known: Cache::builder()
                .max_capacity(MAX_REMEMBERED_BYTES)
                .weigher(weigh)
                .time_to_live(REMEMBERED)
                .build(),
            away: Cache::builder().max_capacity(1).time_to_live(AWAY).build(),
            metrics,
        }
    }

    /// What a request of `user` is given; `None` if that is nothing.
    ///
    /// * `model`: as the vendor calls it.
    /// * `own`: the names of the program's own tools, which win.
    pub(super) async fn offer(&self, user: &User, model: &str, own: &[String]) -> Option<Offer> {
        if model.contains(SMALL) {
            return None;
        }
        let known = self.list(user).await?;
        let room = MAX_TOOLS.saturating_sub(own.len());
        let free = known.iter().filter(|tool| !own.contains(&tool.name));
        let tools: Arc<[Tool]> = free.take(room).cloned().collect();
        (!tools.is_empty()).then(|| Offer {
            user: user.clone(),
            tools,
        })
    }

    async fn list(&self, user: &User) -> Option<Arc<[Tool]>> {
        if self.away.contains_key(&()) {
            self.metrics.without_tools();
            return None;
        }
        let asking = self.known.try_get_with(UserId::new(user.id), self.ask(user));
        match asking.await {
            Ok(tools) => Some(tools),
            Err(fault) => {
                tracing::warn!(error = %fault, "tool-runner does not say which tools there are; an exchange goes on without");
                self.metrics.without_tools();
                if matches!(fault.code, Code::Unavailable | Code::Deadline) {
                    self.away.insert((), ()).await;
                }
                None
            }
        }
    }

    async fn ask(&self, user: &User) -> Result<Arc<[Tool]>, Fault> {
        let request = self
            .outbound
            .request(Some(user), LIST_DEADLINE, ListBridgeToolsRequest {});
        let listed = self.tools.clone().list_bridge_tools(request).await?.into_inner();
        let mut tools: Vec<Tool> = listed.tools.into_iter().filter_map(Tool::of).collect();
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        tools.dedup_by(|later, earlier| later.name == earlier.name);
        Ok(tools.into())
    }

    /// Runs a tool of an offer. Whatever goes wrong is something the model is told.
    pub(super) async fn call(&self, offer: &Offer, call: &Call) -> Outcome {
        let Some(tool) = offer.find(&call.name) else {
            return Outcome::not_run("There is no such tool.");
        };
        let outcome = self.run(offer, call).await;
        let said = match (&outcome.not_run, outcome.is_error) {
            (why, _) if !why.is_empty() => "not_run",
            (_, true) => "error",
            (_, false) => "ok",
        };
        self.metrics.injected_tool_ran(&tool.server_name, said);
        outcome
    }

    async fn run(&self, offer: &Offer, call: &Call) -> Outcome {
        if call.arguments.len() > MAX_ARGUMENTS_BYTES {
            return Outcome::not_run("The arguments are longer than 1 MiB.");
        }
        let message = CallBridgeToolRequest {
            name: call.name.clone(),
            arguments_json: call.arguments.clone(),
            tool_call_id: call.id.clone(),
        };
        let request = self.outbound.request(Some(&offer.user), CALL_DEADLINE, message);
        match self.tools.clone().call_bridge_tool(request).await.map_err(Fault::from) {
            Ok(answer) => {
                let answer = answer.into_inner();
                Outcome {
                    text: answer.text,
                    is_error: answer.is_error,
                    not_run: String::new(),
                }
            }
            Err(fault) => {
                tracing::warn!(tool = call.name, error = %fault, "an injected tool could not be run");
                Outcome::not_run("The tool gave no answer. Whether it has done anything is not known.")
            }
        }
    }
}

impl Tool {
    /// A tool that vendors take.
    fn of(told: BridgeTool) -> Option<Self> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let fits = (1..=64).contains(&told.name.len()) && told.name.bytes().all(is_name);
        let schema = serde_json::from_str(&told.input_schema_json).ok().filter(|_| fits)?;
        Some(Self {
            name: told.name,
            description: told.description,
            schema,
            server_url: told.server_url,
            server_name: told.server_name,
        })
    }

    fn size_bytes(&self) -> usize {
        /// What a parsed schema takes, compared with its text.
        const PARSED: usize = 4;
        let schema = serde_json::to_string(&self.schema).map_or(0, |text| text.len() * PARSED);
        size_of::<Self>() + self.name.len() + self.description.len() + schema
    }
}

impl Offer {
    /// The tool of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Tool> {
        let place = self.tools.binary_search_by(|tool| tool.name.as_str().cmp(name)).ok()?;
        self.tools.get(place)
    }

    /// In neutral terms.
    pub(super) fn tools(&self) -> impl Iterator<Item = tandem_protocols::call::Tool> {
        self.tools.iter().map(|tool| tandem_protocols::call::Tool {
            name: tool.name.clone(),
            description: tool.description.clone(),
            input_schema: Value::Object(tool.schema.clone()),
            computer: None,
        })
    }

    /// Notes beside the calls that were heard which of them are to these tools, and what came of those; once for each.
    pub(super) fn mark(&self, heard: &mut Heard, done: &[Done]) {
        for call in heard.calls.iter_mut().filter(|call| call.server_url.is_none()) {
            let Some(tool) = self.find(&call.name) else { continue };
            let mut ran = done.iter().filter(|(ran, _)| ran.id == call.id);
            let not_run = match ran.next() {
                Some((_, outcome)) => outcome.not_run.clone(),
                None => NO_RESULT.to_owned(),
            };
            call.server_url = Some(tool.server_url.clone());
            call.not_run = not_run;
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// An offer of tools with these names.
    pub(in crate::bridge) fn offer(names: &[&str]) -> Arc<Offer> {
        let mut tools: Vec<Tool> = names.iter().map(|name| tool(name)).collect();
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        let user = User {
            id: uuid::Uuid::from_u128(1),
            is_admin: false,
            organization_ids: Vec::new(),
        };
        Arc::new(Offer {
            user,
            tools: tools.into(),
        })
    }

    fn tool(name: &str) -> Tool {
        Tool::of(BridgeTool {
            name: name.to_owned(),
            description: "Does it.".to_owned(),
            input_schema_json: r#"{"type":"object"}"#.to_owned(),
            server_url: "https://mcp.example/".to_owned(),
            server_name: "files".to_owned(),
            tool_name: name.to_owned(),
        })
        .unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, schema: &str) -> BridgeTool {
        BridgeTool {
            name: name.to_owned(),
            input_schema_json: schema.to_owned(),
            ..BridgeTool::default()
        }
    }

    #[test]
    fn only_tools_that_every_vendor_takes_are_offered() {
        assert!(Tool::of(told("bmcp_a-b_C9", "{}")).is_some());
        for (name, schema) in [
            ("", "{}"),
            ("a b", "{}"),
            ("ä", "{}"),
            ("a", ""),
            ("a", "[]"),
            (&"x".repeat(65), "{}"),
        ] {
            assert_eq!(Tool::of(told(name, schema)), None, "{name} {schema}");
        }
    }

    #[test]
    fn calls_are_noted_with_where_they_went_and_what_came_of_them() {
        let offer = testing::offer(&["bmcp_f_a", "bmcp_f_b"]);
        let mut heard = Heard::new(super::super::sniff::Keep::Texts);
        for (index, name) in [(0, "bmcp_f_a"), (1, "own"), (2, "bmcp_f_b")] {
            heard.call(index, Some(&format!("c{index}")), Some(name), Some("{}"));
        }
        let ran = Call {
            id: "c0".to_owned(),
            name: "bmcp_f_a".to_owned(),
            arguments: String::new(),
        };
        offer.mark(&mut heard, &[(ran, Outcome::not_run("gone"))]);
        let noted: Vec<_> = heard
            .calls
            .iter()
            .map(|call| (call.server_url.is_some(), &*call.not_run))
            .collect();
        assert_eq!((noted[0], noted[1]), ((true, "gone"), (false, "")));
        assert!(noted[2].0 && noted[2].1.starts_with("not run"));
    }
}
