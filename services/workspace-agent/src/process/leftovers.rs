//! Processes nobody waits for: what left its group, or outlived the shell that started it, and became the agent's own child.
//!
//! The agent is their reaper. It collects them when they end, and ends them when it does.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

/// How often ended leftovers are collected.
pub(crate) const COLLECT_INTERVAL: Duration = Duration::from_secs(5);

/// Rounds of killing: what forks meanwhile is found in the next one.
const MAX_ROUNDS: usize = 50;

/// Pause between rounds.
const ROUND_PAUSE: Duration = Duration::from_millis(10);

/// A process as the system shows it.
struct Seen {
    id: i32,
    parent: i32,
    is_ended: bool,
}

/// Collects our ended children except those in `awaited`, which somebody waits for.
pub(crate) fn collect(awaited: &HashSet<i32>) {
    let us = getpid().as_raw_nonzero().get();
    for process in all() {
        if process.parent == us && process.is_ended && !awaited.contains(&process.id) {
            // It may have been collected meanwhile.
            let _ = Pid::from_raw(process.id).map(|id| waitpid(Some(id), WaitOptions::NOHANG));
        }
    }
}

/// Kills everything that descends from us, until nothing of it runs. Blocks for at most half a second.
pub(crate) fn end() {
    for _ in 0..MAX_ROUNDS {
        let running = descendants();
        if running.is_empty() {
            return;
        }
        for id in running.into_iter().filter_map(Pid::from_raw) {
            // It may have ended meanwhile.
            let _ = kill_process(id, Signal::KILL);
        }
        std::thread::sleep(ROUND_PAUSE);
    }
    tracing::warn!("processes are left that cannot be ended");
}

/// Ids of all running processes that descend from us.
fn descendants() -> Vec<i32> {
    let mut children: HashMap<i32, Vec<Seen>> = HashMap::new();
    for process in all() {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut open = vec![getpid().as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            open.push(process.id);
            if !process.is_ended {
                found.push(process.id);
            }
        }
    }
    found
}

fn all() -> Vec<Seen> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    ids.filter_map(look).collect()
}

fn look(id: i32) -> Option<Seen> {
    let line = std::fs::read(format!("/proc/{id}/stat")).ok()?;
    let line = String::from_utf8_lossy(&line);
    // The name stands in brackets and may hold anything, brackets too.
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    Some(Seen {
        id,
        parent: fields.next()?.parse().ok()?,
        is_ended: matches!(state, "Z" | "X" | "x"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself_and_its_parent() {
        let us = look(getpid().as_raw_nonzero().get()).unwrap();
        assert!(!us.is_ended);
        assert_eq!(Pid::from_raw(us.parent), rustix::process::getppid());
    }

    #[test]
    fn an_ended_child_is_collected_unless_somebody_waits_for_it() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let is_ended = || look(id).is_some_and(|seen| seen.is_ended);
        while !is_ended() {
            std::thread::sleep(Duration::from_millis(5));
        }
        collect(&HashSet::from([id]));
        assert!(is_ended());
        assert!(child.wait().unwrap().success());
    }
}
