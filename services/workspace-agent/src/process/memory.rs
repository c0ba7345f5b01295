//! Whether processes of this workspace were killed because the memory it may use was used up.
//!
//! The kernel counts that for the control group the agent is in. What counts is read through a file opened before the agent is confined,
//! since later it could not be.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::setup::Memory as Setup;

/// Where the kernel shows control groups.
const MOUNTED_AT: &str = "/sys/fs/cgroup";

/// More than the file ever has, in bytes.
const MAX_EVENTS_BYTES: usize = 4_096;

/// What the line that counts begins with, in either version of control groups.
const COUNTER: &str = "oom_kill ";

/// The counter of the agent's own control group.
#[derive(Debug)]
pub(crate) struct Memory {
    events: File,
    /// 0: not known.
    limit_bytes: u64,
}

impl Memory {
    /// Opens what the setup names, or finds the agent's own group. `None` on a host that counts nothing.
    pub(crate) fn open(setup: Option<&Setup>) -> Option<Self> {
        let found = match setup {
            Some(setup) => Self::at(&setup.events, setup.limit_bytes),
            None => {
                let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
                Self::find(Path::new(MOUNTED_AT), &own)
            }
        };
        if found.is_none() {
            tracing::debug!("this host does not count what it kills for want of memory");
        }
        found
    }

    /// The group named in `own`, or the one that stands in its place where a container sees none but its own.
    fn find(mounted_at: &Path, own: &str) -> Option<Self> {
        let path_of = |line: &str, names: &str| {
            let (_, rest) = line.split_once(':')?;
            let (found, path) = rest.split_once(':')?;
            (found == names).then(|| path.trim_start_matches('/').to_owned())
        };
        let two = own.lines().find_map(|line| path_of(line, "")).unwrap_or_default();
        let one = own.lines().find_map(|line| path_of(line, "memory")).unwrap_or_default();
        let memory = mounted_at.join("memory");
        let places: [(PathBuf, &str, &str); 4] = [
            (mounted_at.join(two), "memory.events", "memory.max"),
            (mounted_at.to_owned(), "memory.events", "memory.max"),
            (memory.join(one), "memory.oom_control", "memory.limit_in_bytes"),
            (memory, "memory.oom_control", "memory.limit_in_bytes"),
        ];
        places.into_iter().find_map(|(group, events, limit)| {
            let limit = std::fs::read_to_string(group.join(limit)).unwrap_or_default();
            Self::at(&group.join(events), bound(&limit))
        })
    }

    fn at(events: &Path, limit_bytes: u64) -> Option<Self> {
        let events = File::open(events).ok()?;
        let found = Self { events, limit_bytes };
        found.read().map(|_| found)
    }

    /// How many processes were killed so far.
    pub(super) fn kills(&self) -> u64 {
        self.read().unwrap_or_default()
    }

    /// Bytes of memory there are for the group; 0: not known.
    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    fn read(&self) -> Option<u64> {
        let mut text = [0; MAX_EVENTS_BYTES];
        let length = self.events.read_at(&mut text, 0).ok()?;
        let text = String::from_utf8_lossy(&text[..length]);
        text.lines()
            .find_map(|line| line.strip_prefix(COUNTER)?.trim().parse().ok())
    }
}

/// The words for a group without a bound are `max`, or a number larger than any machine has.
fn bound(text: &str) -> u64 {
    let limit = text.trim().parse().unwrap_or(0);
    if limit < 1 << 60 { limit } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        place
    }

    #[test]
    fn the_counter_is_found_in_either_version_and_in_a_container() {
        let two = ("memory.events", "low 0\noom 4\noom_kill 2\noom_group_kill 0\n");
        let one = ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
        let own = "4:memory:/a\n3:pids:/\n0::/b\n";
        let cases = [
            (
                vec![("b/memory.events", two.1), ("b/memory.max", "1048576\n")],
                2,
                1_048_576,
            ),
            (vec![("memory.events", two.1), ("memory.max", "max\n")], 2, 0),
            (
                vec![
                    ("memory/a/memory.oom_control", one.1),
                    ("memory/a/memory.limit_in_bytes", "4096\n"),
                ],
                3,
                4_096,
            ),
            (
                vec![
                    ("memory/memory.oom_control", one.1),
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                3,
                0,
            ),
        ];
        for (files, kills, limit) in cases {
            let place = host(&files);
            let memory = Memory::find(place.path(), own).unwrap();
            assert_eq!((memory.kills(), memory.limit_bytes()), (kills, limit), "{files:?}");
        }
        assert!(Memory::find(host(&[]).path(), own).is_none());
    }

    #[test]
    fn what_is_counted_later_is_seen() {
        let place = host(&[("memory.events", "oom_kill 0\n")]);
        let memory = Memory::find(place.path(), "").unwrap();
        assert_eq!(memory.kills(), 0);
        std::fs::write(place.path().join("memory.events"), "oom_kill 1\n").unwrap();
        assert_eq!(memory.kills(), 1);
    }
}
