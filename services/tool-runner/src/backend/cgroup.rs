//! Bounds of a workspace as a whole: memory, processes and processor time of everything in it together.
//!
//! Control groups of version 2 where they have the controllers, else of version 1. What a group holds is killed through it too: nothing
//! in a workspace can leave its group.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use uuid::Uuid;

use crate::config::Limits;

/// Where the kernel shows its groups.
const MOUNTED_AT: &str = "/sys/fs/cgroup";

/// What is bounded.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Length of time a share of the processors is counted in, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// How our groups' names begin; the id of our process follows, so that groups of one that was killed are known.
const PREFIX: &str = "tandem-";

/// Rounds of emptying a group, and the pause between them.
const MAX_ROUNDS: usize = 100;
const ROUND_PAUSE: Duration = Duration::from_millis(20);

/// The version of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Where groups can be made on this host.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    version: Version,
    /// Version 1: the directory of each controller, in their order. Version 2: one for all.
    bases: Vec<PathBuf>,
}

/// The group of one workspace. Its processes are killed when it is dropped.
#[derive(Debug)]
pub(super) struct Group {
    version: Version,
    directories: Vec<PathBuf>,
}

impl Groups {
    /// What this host lets us do, if anything: all controllers, and room to make groups in. Removes what an earlier process left.
    pub(super) fn probe() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let groups = Self::two(Path::new(MOUNTED_AT), &own).or_else(|| Self::one(Path::new(MOUNTED_AT), &own))?;
        groups.forget_the_dead();
        // Trying is the only proof: directories may be read-only, or another's.
        let trial = groups.make("trial", &Limits::default()).ok()?;
        drop(trial);
        Some(groups)
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    fn two(mounted_at: &Path, own: &str) -> Option<Self> {
        let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        let base = mounted_at.join(path.trim_start_matches('/'));
        let available = fs::read_to_string(base.join("cgroup.controllers")).ok()?;
        if !CONTROLLERS
            .iter()
            .all(|name| available.split_whitespace().any(|found| found == *name))
        {
            return None;
        }
        let wanted = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
        let enable = || fs::write(base.join("cgroup.subtree_control"), &wanted);
        if enable().is_err() {
            // A group with groups of its own may hold no process beside them: we move into one.
            let ours = base.join(format!("{PREFIX}service"));
            fs::create_dir_all(&ours).ok()?;
            fs::write(ours.join("cgroup.procs"), "0").ok()?;
            enable().ok()?;
        }
        Some(Self {
            version: Version::Two,
            bases: vec![base],
        })
    }

    fn one(mounted_at: &Path, own: &str) -> Option<Self> {
        let base = |controller: &str| {
            let path = own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (names, path) = rest.split_once(':')?;
                names.split(',').any(|name| name == controller).then_some(path)
            })?;
            let base = mounted_at.join(controller).join(path.trim_start_matches('/'));
            base.is_dir().then_some(base)
        };
        let bases: Option<Vec<PathBuf>> = CONTROLLERS.into_iter().map(base).collect();
        Some(Self {
            version: Version::One,
            bases: bases?,
        })
    }

    /// Makes the group of a workspace, empty and bounded.
    ///
    /// # Errors
    /// As the system says; nothing is left then.
    pub(super) fn make(&self, workspace_id: &str, limits: &Limits) -> io::Result<Group> {
        // A group that is still ending does not stand in the way of the next one.
        let name = format!(
            "{PREFIX}{}-{workspace_id}-{}",
            std::process::id(),
            Uuid::new_v4().simple()
        );
        let group = Group {
            version: self.version,
            directories: self.bases.iter().map(|base| base.join(&name)).collect(),
        };
        for directory in &group.directories {
            fs::create_dir(directory)?;
        }
        for (controller, file, value) in bounds(self.version, limits) {
            let place = match self.version {
                Version::Two => 0,
                Version::One => controller,
            };
            fs::write(group.directories[place].join(file), value)?;
        }
        // Without it a group of version 2 would move to the disk what its memory does not hold. Some kernels count no swap.
        let swap = match self.version {
            Version::Two => ("memory.swap.max", "0".to_owned()),
            Version::One => ("memory.memsw.limit_in_bytes", limits.max_memory_bytes.to_string()),
        };
        let _ = fs::write(group.directories[0].join(swap.0), swap.1);
        Ok(group)
    }

    /// Removes groups whose makers are gone. Those of others that live are left alone.
    fn forget_the_dead(&self) {
        for base in &self.bases {
            for entry in fs::read_dir(base).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let maker = name.to_str().and_then(|name| {
                    let (maker, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
                    maker.parse::<u32>().ok()
                });
                let is_dead = maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists());
                if is_dead {
                    Group {
                        version: self.version,
                        directories: vec![entry.path()],
                    }
                    .end();
                }
            }
        }
    }
}

/// The bounds as files to be written: the controller's place, the file, and the value.
fn bounds(version: Version, limits: &Limits) -> Vec<(usize, &'static str, String)> {
    let memory = limits.max_memory_bytes.to_string();
    let processes = limits.max_processes.to_string();
    let quota = u64::from(limits.max_cpu_percent) * CPU_PERIOD / 100;
    let mut all = match version {
        Version::Two => vec![(0, "memory.max", memory), (1, "pids.max", processes)],
        Version::One => vec![(0, "memory.limit_in_bytes", memory), (1, "pids.max", processes)],
    };
    if quota > 0 {
        all.extend(match version {
            Version::Two => vec![(2, "cpu.max", format!("{quota} {CPU_PERIOD}"))],
            Version::One => vec![
                (2, "cpu.cfs_period_us", CPU_PERIOD.to_string()),
                (2, "cpu.cfs_quota_us", quota.to_string()),
            ],
        });
    }
    all
}

impl Group {
    /// Files to write `0` to, by a process that wants to join.
    pub(super) fn doors(&self) -> Vec<String> {
        let door = |directory: &PathBuf| directory.join("cgroup.procs").to_string_lossy().into_owned();
        self.directories.iter().map(door).collect()
    }

    /// The file with the counter of what the kernel kills here for want of memory.
    pub(super) fn memory_events(&self) -> Option<PathBuf> {
        let name = match self.version {
            Version::Two => "memory.events",
            Version::One => "memory.oom_control",
        };
        // Memory is the first controller.
        self.directories.first().map(|directory| directory.join(name))
    }

    /// Puts a process that has no children yet into the group.
    ///
    /// # Errors
    /// As the system says; it may have gone already.
    pub(super) fn admit(&self, process: u32) -> io::Result<()> {
        self.doors()
            .into_iter()
            .try_for_each(|door| fs::write(door, process.to_string()))
    }

    /// Kills everything in the group and removes it. Blocks for at most two seconds.
    fn end(&self) {
        for _ in 0..MAX_ROUNDS {
            let mut is_gone = true;
            for directory in &self.directories {
                if self.version == Version::Two {
                    let _ = fs::write(directory.join("cgroup.kill"), "1");
                }
                for process in processes(directory) {
                    // It may have ended meanwhile.
                    let _ = kill_process(process, Signal::KILL);
                }
                is_gone &= match fs::remove_dir(directory) {
                    Ok(()) => true,
                    Err(error) => error.kind() == io::ErrorKind::NotFound,
                };
            }
            if is_gone {
                return;
            }
            std::thread::sleep(ROUND_PAUSE);
        }
        tracing::warn!(group = ?self.directories, "the group of a workspace cannot be removed");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

fn processes(directory: &Path) -> Vec<Pid> {
    let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    listed
        .lines()
        .filter_map(|line| Pid::from_raw(line.parse().ok()?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            max_memory_bytes: 1_000_000,
            max_processes: 50,
            max_cpu_percent: 150,
            ..Limits::default()
        }
    }

    #[test]
    fn bounds_are_written_in_the_words_of_each_version() {
        let written = |version| -> Vec<String> {
            bounds(version, &limits())
                .into_iter()
                .map(|(_, file, value)| format!("{file}={value}"))
                .collect()
        };
        assert_eq!(
            written(Version::Two),
            ["memory.max=1000000", "pids.max=50", "cpu.max=150000 100000"]
        );
        assert_eq!(
            written(Version::One),
            [
                "memory.limit_in_bytes=1000000",
                "pids.max=50",
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=150000"
            ]
        );
        let unbounded = Limits {
            max_cpu_percent: 0,
            ..limits()
        };
        assert_eq!(bounds(Version::Two, &unbounded).len(), 2);
    }

    #[test]
    fn our_own_group_is_found_in_either_version() {
        let place = tempfile::tempdir().unwrap();
        let at = place.path();
        let own = "9:name=systemd:/\n4:memory:/a\n3:pids:/\n2:cpu,cpuacct:/b\n0::/c\n";
        for directory in ["memory/a", "pids", "cpu/b", "c"] {
            fs::create_dir_all(at.join(directory)).unwrap();
        }
        assert!(Groups::two(at, own).is_none());
        let one = Groups::one(at, own).unwrap();
        assert_eq!(one.bases, [at.join("memory/a"), at.join("pids"), at.join("cpu/b")]);
        fs::write(at.join("c/cgroup.controllers"), "cpuset cpu memory pids\n").unwrap();
        let two = Groups::two(at, own).unwrap();
        assert_eq!((two.version, two.bases), (Version::Two, vec![at.join("c")]));
        assert_eq!(
            fs::read_to_string(at.join("c/cgroup.subtree_control")).unwrap(),
            "+memory +pids +cpu"
        );
        assert!(Groups::one(at, "0::/c\n").is_none());
    }

    #[test]
    fn a_group_ends_with_everything_in_it() {
        let Some(groups) = Groups::probe() else {
            return;
        };
        let group = groups.make("ends", &Limits::default()).unwrap();
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        group.admit(child.id()).unwrap();
        assert_eq!(processes(&group.directories[0]).len(), 1);
        let directories = group.directories.clone();
        drop(group);
        assert!(!child.wait().unwrap().success());
        assert!(directories.iter().all(|directory| !directory.exists()));
    }
}
