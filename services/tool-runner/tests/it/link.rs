//! Agents that nobody here started, spoken for by the test itself.

use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use tandem_chassis::transport::Address;
use tandem_chassis::{client, tls};
use tandem_proto::storage::v1::{TemplateBackend, Workspace, WorkspaceStatus};
use tandem_proto::workspace::v1::agent_link_service_client::AgentLinkServiceClient;
use tandem_proto::workspace::v1::link_request::Message;
use tandem_proto::workspace::v1::link_response::Message as Answer;
use tandem_proto::workspace::v1::operation::Operation;
use tandem_proto::workspace::v1::reply::Result as Outcome;
use tandem_proto::workspace::v1::{
    Hello, LinkRequest, LinkResponse, ListProcessesResult, ProcessChunk, ProcessSnapshot, Reply, StartProcessResult,
    WaitProcess,
};
use tandem_tool_runner::Config;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use crate::harness::Harness;
use crate::stub::Storage;

const TIME: Duration = Duration::from_secs(20);

/// An agent's side of a link. It lives as long as the sender does.
pub struct Agent {
    pub sender: mpsc::Sender<LinkRequest>,
    pub incoming: Streaming<LinkResponse>,
}

impl Agent {
    /// Dials as the agent of this workspace, as soon as somebody listens.
    pub async fn dial(harness: &Harness, workspace_id: &str, token: &str) -> Result<Self, Status> {
        let dialling = async {
            loop {
                match Self::dial_once(harness, workspace_id, token).await {
                    Err(status) if status.code() == Code::Unavailable => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    other => return other,
                }
            }
        };
        tokio::time::timeout(TIME, dialling).await.unwrap()
    }

    async fn dial_once(harness: &Harness, workspace_id: &str, token: &str) -> Result<Self, Status> {
        let link = Address::Unix(harness.directory.path().join("link").join("agents.sock"));
        let channel = client::channel(&link, &tls::ClientConfig::default()).unwrap();
        let (sender, receiver) = mpsc::channel(16);
        let hello = Hello {
            workspace_id: workspace_id.to_owned(),
            token: token.to_owned(),
            home: "/home/mia".to_owned(),
            ..Hello::default()
        };
        let message = Some(Message::Hello(hello));
        sender.send(LinkRequest { message }).await.unwrap();
        let incoming = AgentLinkServiceClient::new(channel)
            .link(ReceiverStream::new(receiver))
            .await?
            .into_inner();
        Ok(Self { sender, incoming })
    }

    pub async fn say(&self, message: Message) {
        let message = Some(message);
        self.sender.send(LinkRequest { message }).await.unwrap();
    }

    /// The next operation that is asked for, with its number.
    pub async fn asked(&mut self) -> (u64, Operation) {
        loop {
            if let Answer::Operation(operation) = self.next().await.expect("the link is up") {
                return (operation.id, operation.operation.unwrap());
            }
        }
    }

    pub async fn answer(&self, operation_id: u64, outcome: Outcome) {
        let reply = Reply {
            operation_id,
            result: Some(outcome),
        };
        self.say(Message::Reply(reply)).await;
    }

    /// The next operation, which must be a wait for a process.
    async fn wait_asked(&mut self) -> (u64, WaitProcess) {
        match self.asked().await {
            (id, Operation::WaitProcess(wait)) => (id, wait),
            (_, other) => panic!("a wait expected: {other:?}"),
        }
    }

    async fn print(&self, operation_id: u64, output: &str, next_position: u64) {
        let chunk = ProcessChunk {
            operation_id,
            output: output.to_owned(),
            next_position,
        };
        self.say(Message::Chunk(chunk)).await;
    }

    /// The next thing that is said to it besides pings; `None` when the link is over.
    pub async fn next(&mut self) -> Option<Answer> {
        let next = async {
            loop {
                match self.incoming.message().await.ok().flatten()?.message {
                    None | Some(Answer::Ping(_)) => {}
                    said => return said,
                }
            }
        };
        tokio::time::timeout(TIME, next).await.unwrap()
    }
}

/// A workspace on a user's own host, with this token.
pub fn host(harness: &Harness, token: &str) -> String {
    let id = Uuid::new_v4().to_string();
    let workspace = Workspace {
        id: id.clone(),
        backend: TemplateBackend::External.into(),
        status: WorkspaceStatus::Running.into(),
        ..Workspace::default()
    };
    let mut workspaces = harness.storage.workspaces.lock().unwrap();
    workspaces.insert("chat".to_owned(), workspace);
    *harness.storage.agent_token_hash.lock().unwrap() = Sha256::digest(token).to_vec();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_taken_back_while_its_agent_is_let_in_ends_the_link() {
    let harness = Harness::start().await;
    let id = host(&harness, "t0ken");
    assert!(Agent::dial(&harness, &id, "another").await.is_err());
    // Storage has said yes, and nobody was connected yet when the token was taken back.
    *harness.storage.is_agent_token_fleeting.lock().unwrap() = true;
    let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
    assert!(matches!(agent.next().await, Some(Answer::Welcome(_))));
    assert_eq!(agent.next().await, None);
    assert!(Agent::dial(&harness, &id, "t0ken").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_command_is_followed_from_wait_to_wait_and_from_link_to_link() {
    let harness = Harness::start().await;
    let id = host(&harness, "t0ken");
    let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
    let command = harness.call("chat", "1", "execute", json!({"command": "make all", "timeout": "4h"}));
    let running = |is_running| {
        Outcome::Process(ProcessSnapshot {
            is_running,
            output: "one two three".to_owned(),
            ..ProcessSnapshot::default()
        })
    };
    let hosting = async {
        let (start, asked) = agent.asked().await;
        assert!(matches!(asked, Operation::StartProcess(_)), "{asked:?}");
        agent
            .answer(start, Outcome::StartProcess(StartProcessResult::default()))
            .await;
        let (wait, asked) = agent.wait_asked().await;
        assert!(asked.is_following && asked.from_position == 0, "{asked:?}");
        agent.print(wait, "one ", 4).await;
        // The longest wait of an agent is over, and the command is not.
        agent.answer(wait, running(true)).await;
        let (wait, asked) = agent.wait_asked().await;
        assert!(asked.is_following && asked.from_position == 4, "{asked:?}");
        agent.print(wait, "two ", 8).await;
        // What was said before the link broke counts, so it must have arrived.
        agent.answer(wait, running(true)).await;
        agent.wait_asked().await;
        drop(agent);
        let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
        let (wait, asked) = agent.wait_asked().await;
        assert!(asked.is_following && asked.from_position == 8, "{asked:?}");
        agent.print(wait, "three", 13).await;
        agent.answer(wait, running(false)).await;
        agent
    };
    let (answer, _agent) = tokio::join!(command, hosting);
    let answer = answer.unwrap();
    assert_eq!(answer.live, "one two three");
    assert_eq!(answer.value()["success"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_count_its_output_is_not_followed_twice() {
    let harness = Harness::start().await;
    let id = host(&harness, "t0ken");
    let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
    let command = harness.call("chat", "1", "execute", json!({"command": "make all", "timeout": "4h"}));
    let hosting = async {
        let (start, _) = agent.asked().await;
        agent
            .answer(start, Outcome::StartProcess(StartProcessResult::default()))
            .await;
        let (wait, _) = agent.wait_asked().await;
        agent.print(wait, "one", 0).await;
        let snapshot = ProcessSnapshot {
            is_running: true,
            ..ProcessSnapshot::default()
        };
        agent.answer(wait, Outcome::Process(snapshot)).await;
        let (wait, asked) = agent.wait_asked().await;
        agent.answer(wait, Outcome::Process(ProcessSnapshot::default())).await;
        asked
    };
    let (answer, asked) = tokio::join!(command, hosting);
    assert!(!asked.is_following, "{asked:?}");
    assert_eq!(answer.unwrap().live, "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_where_no_call_came_since_the_service_started_counts_as_use() {
    let config = Config {
        idle_timeout: Duration::from_millis(100),
        ..Config::default()
    };
    let harness = Harness::start_config(Storage::default(), tempfile::tempdir().unwrap(), config).await;
    let id = host(&harness, "t0ken");
    let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
    let running = |is_running| {
        let process = ProcessSnapshot {
            is_running,
            ..ProcessSnapshot::default()
        };
        Outcome::ListProcesses(ListProcessesResult {
            processes: vec![process],
        })
    };
    for is_running in [false, true] {
        assert_eq!(*harness.storage.uses.lock().unwrap(), Vec::<String>::new());
        let (look, asked) = agent.asked().await;
        assert!(matches!(asked, Operation::ListProcesses(_)), "{asked:?}");
        agent.answer(look, running(is_running)).await;
    }
    let told = async {
        while harness.storage.uses.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TIME, told).await.unwrap();
    assert_eq!(*harness.storage.uses.lock().unwrap(), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_answers_nonsense_is_asked_now_and_then_until_the_time_is_over() {
    let harness = Harness::start().await;
    let id = host(&harness, "t0ken");
    let mut agent = Agent::dial(&harness, &id, "t0ken").await.unwrap();
    let command = harness.call("chat", "1", "execute", json!({"command": "make all", "timeout": "3s"}));
    let mut waits = 0;
    let hosting = async {
        let (start, _) = agent.asked().await;
        agent
            .answer(start, Outcome::StartProcess(StartProcessResult::default()))
            .await;
        loop {
            let (asked, operation) = agent.asked().await;
            waits += usize::from(matches!(operation, Operation::WaitProcess(_)));
            let nonsense = Outcome::StartProcess(StartProcessResult::default());
            agent.answer(asked, nonsense).await;
        }
    };
    let answer = tokio::select! {
        answer = command => answer.unwrap(),
        () = hosting => panic!("it goes on for ever"),
    };
    assert!(answer.outcome.is_unknown, "{answer:?}");
    assert!((2..=6).contains(&waits), "{waits}");
}
