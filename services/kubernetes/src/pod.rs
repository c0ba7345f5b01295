//! What a pod's status means for whoever waits for its agent.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::manifest::{BUILD, CONTAINER};

/// Words of the cluster's for an image that will not be there however long one waits.
const NO_IMAGE: [&str; 4] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
];

/// The same for a container that cannot be made or does not stay up.
const NO_CONTAINER: [&str; 4] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

/// Most characters of one message of the cluster's.
const MAX_MESSAGE_CHARS: usize = 600;

/// How a workspace's pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none, or it is on its way out.
    Gone,
    /// It is being placed or prepared; with what it waits for, in words, where the cluster says so.
    Waiting(String),
    /// Its container runs.
    Running,
    /// It does not get up by itself; why, in words.
    Broken(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pod {
    metadata: Metadata,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    reason: String,
    message: String,
    conditions: Vec<Condition>,
    init_container_statuses: Vec<Container>,
    container_statuses: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    name: String,
    image: String,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    waiting: Option<Reason>,
    terminated: Option<Reason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reason {
    reason: String,
    message: String,
    exit_code: Option<i32>,
}

impl Pod {
    /// Whether it was made for this build and can still serve it.
    pub(crate) fn is_alive_for(&self, build_id: &str) -> bool {
        let is_of_build = self.metadata.annotations.get(BUILD).is_some_and(|id| id == build_id);
        is_of_build && !matches!(self.state(), State::Gone | State::Broken(_))
    }

    pub(crate) fn state(&self) -> State {
        if self.metadata.deletion_timestamp.is_some() {
            return State::Gone;
        }
        let status = &self.status;
        if matches!(status.phase.as_str(), "Failed" | "Succeeded") {
            let why = said(&status.reason, &status.message);
            let last = status.container_statuses.iter().find_map(|container| {
                let ended = container.state.terminated.as_ref()?;
                Some(ended_as(&container.name, ended))
            });
            let why = if why.is_empty() { last.unwrap_or_default() } else { why };
            return State::Broken(format!("The pod has ended: {}.", or_unknown(why)));
        }
        let containers = || status.init_container_statuses.iter().chain(&status.container_statuses);
        if let Some(words) = containers().find_map(Container::is_stuck) {
            return State::Broken(words);
        }
        let scheduled = status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "PodScheduled");
        if let Some(unplaced) = scheduled.filter(|condition| condition.status == "False") {
            let why = said(&unplaced.reason, &unplaced.message);
            return State::Waiting(format!("The cluster finds no place for the pod: {}.", or_unknown(why)));
        }
        let is_up = status.phase == "Running" && containers().all(|container| container.state.waiting.is_none());
        if is_up {
            return State::Running;
        }
        let pause = containers().find_map(|container| {
            let waiting = container.state.waiting.as_ref()?;
            let why = said(&waiting.reason, &waiting.message);
            (!why.is_empty()).then(|| format!("The pod's container \"{}\" waits: {why}.", container.name))
        });
        State::Waiting(pause.unwrap_or_default())
    }
}

impl Container {
    fn is_stuck(&self) -> Option<String> {
        let waiting = self.state.waiting.as_ref()?;
        let reason = waiting.reason.as_str();
        let why = said(reason, &waiting.message);
        if NO_IMAGE.contains(&reason) {
            return Some(format!("The image {} cannot be pulled: {why}.", shortened(&self.image)));
        }
        if !NO_CONTAINER.contains(&reason) {
            return None;
        }
        let last = self.last_state.terminated.as_ref();
        let last = last.map(|ended| format!(" {}.", ended_as(&self.name, ended)));
        let what = if self.name == CONTAINER {
            "agent"
        } else {
            "pod's preparation"
        };
        Some(format!(
            "The {what} does not stay up: {why}.{}",
            last.unwrap_or_default()
        ))
    }
}

fn ended_as(name: &str, ended: &Reason) -> String {
    let why = said(&ended.reason, &ended.message);
    match ended.exit_code {
        Some(code) if why.is_empty() => format!("Container \"{name}\" ended with exit code {code}"),
        Some(code) => format!("Container \"{name}\" ended with exit code {code} ({why})"),
        None => format!("Container \"{name}\" ended: {}", or_unknown(why)),
    }
}

/// A reason and a message of the cluster's as one text; either may be empty.
fn said(reason: &str, message: &str) -> String {
    let message = shortened(message);
    let message = message.trim().trim_end_matches('.');
    match (reason.is_empty(), message.is_empty()) {
        (true, _) => message.to_owned(),
        (false, true) => shortened(reason),
        (false, false) => format!("{}: {message}", shortened(reason)),
    }
}

fn shortened(text: &str) -> String {
    let printable = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    printable.take(MAX_MESSAGE_CHARS).collect()
}

fn or_unknown(why: String) -> String {
    if why.is_empty() {
        "the cluster does not say why".to_owned()
    } else {
        why
    }
}

#[cfg(test)]
mod tests;
