//! Users for workspaces: each has one nobody else has, known by who owns its home directory.

use std::io;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sha2::{Digest, Sha256};

/// Ids nobody else uses, as far as that can be known: first choice, and what containers with 65,536 ids leave.
const RANGES: [Range<u32>; 2] = [700_000..760_000, 20_000..60_000];

/// Rounds of ending a user's processes, and the pause between them.
const MAX_ROUNDS: usize = 50;
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// The users of one directory of workspaces.
#[derive(Debug)]
pub(super) struct Users {
    directory: PathBuf,
    ids: Range<u32>,
    /// Held while one is chosen, so that no two workspaces choose the same.
    choosing: Mutex<()>,
}

impl Users {
    /// `None` when we are not root, or root of a namespace that has no ids to give.
    pub(super) fn new(directory: &Path) -> Option<Self> {
        if !geteuid().is_root() {
            return None;
        }
        let mapped = |file| std::fs::read_to_string(file).unwrap_or_default();
        let (users, groups) = (mapped("/proc/self/uid_map"), mapped("/proc/self/gid_map"));
        let ids = RANGES.into_iter().find(|ids| has(&users, ids) && has(&groups, ids))?;
        Some(Self {
            directory: directory.to_owned(),
            ids,
            choosing: Mutex::default(),
        })
    }

    /// Makes the workspace's home directory if it is missing, and tells whose it is.
    ///
    /// # Errors
    /// As the system says, or no id is free.
    pub(super) fn settle(&self, workspace_id: &str) -> io::Result<u32> {
        let home = self.directory.join(workspace_id);
        let _choosing = self.choosing.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::create_dir_all(&home)?;
        let owner = std::fs::symlink_metadata(&home)?.uid();
        if self.ids.contains(&owner) {
            return Ok(owner);
        }
        let taken = self.taken()?;
        let free = candidates(workspace_id, &self.ids).find(|id| !taken.contains(id));
        let user = free.ok_or_else(|| io::Error::other("every user id for workspaces is taken"))?;
        chown(&home, Some(user), Some(user))?;
        Ok(user)
    }

    /// The first id, for trials.
    pub(super) fn first(&self) -> u32 {
        self.ids.start
    }

    fn taken(&self) -> io::Result<std::collections::HashSet<u32>> {
        let entries = std::fs::read_dir(&self.directory)?;
        Ok(entries
            .flatten()
            .filter_map(|entry| Some(entry.metadata().ok()?.uid()))
            .collect())
    }
}

/// Ends everything that runs as `user`, also what left the sandbox's sight. Blocks for at most a second.
pub(super) fn end_processes(user: u32) {
    for _ in 0..MAX_ROUNDS {
        let running = processes_of(user);
        if running.is_empty() {
            return;
        }
        for id in running {
            // It may have ended meanwhile.
            let _ = kill_process(id, Signal::KILL);
        }
        std::thread::sleep(ROUND_PAUSE);
    }
    tracing::warn!(user, "processes of a workspace are left that cannot be ended");
}

fn processes_of(user: u32) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    ids.filter(|id| runs_as(*id, user)).filter_map(Pid::from_raw).collect()
}

/// Whether the process runs, and as that user. Its directory's owner does not tell: a process can hide there.
fn runs_as(id: i32, user: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
    };
    let is_ended = field("State:").is_some_and(|state| matches!(state, "Z" | "X"));
    !is_ended && field("Uid:").and_then(|real| real.parse().ok()) == Some(user)
}

/// Whether all of `ids` exist in the namespace whose map this is: lines of first id inside, first id outside, count.
fn has(map: &str, ids: &Range<u32>) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        first <= u64::from(ids.start) && u64::from(ids.end) <= first + count
    })
}

/// All ids, from one that the workspace's id chooses, so that a restored workspace finds its old one if it is free.
fn candidates(workspace_id: &str, ids: &Range<u32>) -> impl Iterator<Item = u32> {
    let digest = Sha256::digest(workspace_id.as_bytes());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let (start, count) = (ids.start, ids.end - ids.start);
    (0..count).map(move |step| start + (number % count + step) % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_taken_from_what_the_namespace_has() {
        let [all, few] = RANGES;
        let host = "         0          0 4294967295\n";
        let container = "         0       1000          1\n         1     100000      65536\n";
        assert!(has(host, &all) && has(host, &few));
        assert!(!has(container, &all) && has(container, &few));
        assert!(!has("", &few) && !has("0 1000 1\n", &few));
    }

    #[test]
    fn every_id_is_a_candidate_once_and_the_first_is_always_the_same() {
        let ids = 100..110;
        let mut found: Vec<u32> = candidates("w", &ids).collect();
        assert_eq!(found.first(), candidates("w", &ids).next().as_ref());
        found.sort_unstable();
        assert_eq!(found, ids.collect::<Vec<_>>());
    }

    #[test]
    fn two_workspaces_never_share_a_user() {
        let place = tempfile::tempdir().unwrap();
        let Some(mut users) = Users::new(place.path()) else {
            return;
        };
        // So few that the hashes collide.
        users.ids = users.first()..users.first() + 4;
        let mut found: Vec<u32> = (0..4)
            .map(|index| users.settle(&format!("w{index}")).unwrap())
            .collect();
        assert_eq!(users.settle("w2").unwrap(), found[2]);
        assert!(users.settle("one too many").is_err());
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_users_processes_are_found_and_ended() {
        if !geteuid().is_root() {
            return;
        }
        use std::os::unix::process::CommandExt;
        let user = 759_999;
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .uid(user)
            .gid(user)
            .spawn()
            .unwrap();
        assert_eq!(processes_of(user).len(), 1);
        end_processes(user);
        assert!(!child.wait().unwrap().success());
        assert!(processes_of(user).is_empty());
    }
}
